// Vanguard is vanguard-go in front of Udesk's REST API: gRPC in, REST out, by the annotations of udesk.v1, unsigned.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"

	"connectrpc.com/vanguard"

	// The types that vanguard looks up.
	_ "peers/udesk/v1"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	baseURL := flag.String("base-url", "", "the vendor's address")
	flag.Parse()

	vendor, err := url.Parse(*baseURL)
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	// The default keeps two connections, and opens one for almost every call beyond.
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 2048
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(request *httputil.ProxyRequest) { request.SetURL(vendor) },
		Transport: transport,
	}
	service := vanguard.NewService(
		"/udesk.v1.Agents/",
		proxy,
		vanguard.WithTargetProtocols(vanguard.ProtocolREST),
		vanguard.WithTargetCodecs(vanguard.CodecJSON),
		vanguard.WithNoTargetCompression(),
	)
	transcoder, err := vanguard.NewTranscoder([]*vanguard.Service{service})
	if err != nil {
		log.Fatal(err)
	}

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: transcoder, Protocols: protocols}
	log.Printf("listening on %s", listener.Addr())
	log.Fatal(server.Serve(listener))
}
