// Gateway is what a Go programmer writes by hand: grpc-go, net/http, encoding/json. GetAgent at Udesk, signed, and
// nothing else: no limits, retries, metrics, logs, authentication, and no check of what it receives.
package main

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	contactcenter "peers/contactcenter/v1"
)

// envelope is Udesk's response.
type envelope struct {
	ErrCode string
	ErrDesc string
	Result  *record
}

// record is Udesk's agent.
type record struct {
	WorkId        string
	Name          string
	Mobile        string
	Email         string
	Role          string
	Queues        []string
	Extensions    []string
	DefSpNumber   string
	State         int
	StateDes      string
	ReasonCode    int
	ReasonCodeDes string
	ExtState      int
	Enable        bool
}

type gateway struct {
	contactcenter.UnimplementedContactCenterServer
	client    *http.Client
	baseURL   string
	appID     string
	sid       string
	authToken string
}

func (g *gateway) GetAgent(ctx context.Context, request *contactcenter.GetAgentRequest) (*contactcenter.Agent, error) {
	segments := strings.Split(request.GetName(), "/")
	if len(segments) != 4 || segments[0] != "centers" || segments[2] != "agents" {
		return nil, status.Error(codes.InvalidArgument, "name: expected centers/{center}/agents/{agent}")
	}
	center, id := segments[1], segments[3]

	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	digest := sha1.Sum([]byte(g.sid + g.authToken + timestamp))
	query := url.Values{
		"AppId":     {g.appID},
		"Timestamp": {timestamp},
		"Sign":      {hex.EncodeToString(digest[:])},
		"Sid":       {g.sid},
	}
	address := g.baseURL + "/ccapi/v2/agents/" + url.PathEscape(id) + "?" + query.Encode()
	call, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, status.Error(codes.Internal, "no request")
	}
	call.Header.Set("Accept", "application/json")
	response, err := g.client.Do(call)
	if err != nil {
		return nil, status.Error(codes.Unavailable, "no response")
	}
	defer response.Body.Close()
	var answer envelope
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, status.Error(codes.Unavailable, "unreadable response")
	}
	if answer.ErrCode != "000000" || answer.Result == nil {
		return nil, status.Error(codes.Unknown, answer.ErrCode+": "+answer.ErrDesc)
	}
	return agent(answer.Result, center, id), nil
}

func agent(record *record, center, id string) *contactcenter.Agent {
	role := contactcenter.AgentRole_AGENT_ROLE_UNSPECIFIED
	switch record.Role {
	case "agent":
		role = contactcenter.AgentRole_AGENT_ROLE_AGENT
	case "leader":
		role = contactcenter.AgentRole_AGENT_ROLE_LEADER
	}
	state := contactcenter.AgentState_AGENT_STATE_UNSPECIFIED
	switch record.State {
	case 0:
		state = contactcenter.AgentState_AGENT_STATE_READY
	case 1:
		state = contactcenter.AgentState_AGENT_STATE_NOT_READY
	case 4:
		state = contactcenter.AgentState_AGENT_STATE_OFFLINE
	}
	value := func(code int, description string) *contactcenter.VendorValue {
		return &contactcenter.VendorValue{Code: strconv.Itoa(code), Description: description}
	}
	names := func(ids []string, collection string) []string {
		names := make([]string, len(ids))
		for i, id := range ids {
			id, _, _ = strings.Cut(id, "@")
			names[i] = "centers/" + center + "/" + collection + "/" + id
		}
		return names
	}
	return &contactcenter.Agent{
		Name:                 "centers/" + center + "/agents/" + id,
		DisplayName:          record.Name,
		EmployeeNumber:       record.WorkId,
		MobileNumber:         record.Mobile,
		Email:                record.Email,
		Role:                 role,
		Enabled:              &record.Enable,
		State:                state,
		VendorState:          value(record.State, record.StateDes),
		StateReason:          value(record.ReasonCode, record.ReasonCodeDes),
		VendorExtensionState: value(record.ExtState, ""),
		Queues:               names(record.Queues, "queues"),
		Extensions:           names(record.Extensions, "extensions"),
		DefaultPhoneNumber:   "centers/" + center + "/phoneNumbers/" + record.DefSpNumber,
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	baseURL := flag.String("base-url", "", "the vendor's address")
	appID := flag.String("app-id", "", "AppId")
	sid := flag.String("sid", "", "Sid")
	authToken := flag.String("auth-token", "", "the secret of the signature")
	flag.Parse()

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	// The default keeps two connections, and opens one for almost every call beyond.
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 2048
	server := grpc.NewServer()
	contactcenter.RegisterContactCenterServer(server, &gateway{
		client:    &http.Client{Transport: transport},
		baseURL:   *baseURL,
		appID:     *appID,
		sid:       *sid,
		authToken: *authToken,
	})
	log.Printf("listening on %s", listener.Addr())
	log.Fatal(server.Serve(listener))
}
