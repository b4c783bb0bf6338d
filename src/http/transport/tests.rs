//! The real network over real sockets, by a clock that leaps where a test waits.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{poll, stream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::{Instant, advance, pause, resume, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Chunks of ten bytes, and how many of them were asked for.
fn chunks(count: usize) -> (impl Stream<Item = Result<Bytes, ()>>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let chunks = stream::iter(0..count).map(move |_| {
        counted.fetch_add(1, Ordering::AcqRel);
        Ok(Bytes::from_static(b"0123456789"))
    });
    (chunks, asked)
}

#[tokio::test]
async fn a_body_is_read_to_its_limit_and_not_a_chunk_further() {
    for (largest, asked, is_read) in [(100, 10, true), (99, 10, false), (30, 4, false), (29, 3, false), (0, 1, false)] {
        let (chunks, counted) = chunks(10);
        let body = read_body(None, chunks, largest).await;
        assert_eq!(body.as_ref().map(Bytes::len), if is_read { Ok(100) } else { Err(&Failure::TooLarge) });
        assert_eq!(counted.load(Ordering::Acquire), asked, "of at most {largest} bytes");
    }
}

#[tokio::test]
async fn of_a_body_that_says_how_large_it_is_nothing_is_read_when_that_is_too_much() {
    for (announced, asked) in [(100, 10), (101, 0), (u64::MAX, 0)] {
        let (chunks, counted) = chunks(10);
        assert_eq!(read_body(Some(announced), chunks, 100).await.is_ok(), asked > 0);
        assert_eq!(counted.load(Ordering::Acquire), asked, "{announced} bytes");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_broken() {
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(())]);
    let failure = read_body(None, broken, 100).await.unwrap_err();
    assert_eq!(failure, Failure::Broken("the connection broke during the response"));
}

fn request(address: SocketAddr, repeatable: bool) -> HttpRequest {
    // There may be one already, from another test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let uri = format!("http://{address}/").parse().unwrap();
    HttpRequest {
        method: Method::GET,
        uri,
        headers: HeaderMap::new(),
        body: None,
        repeatable,
        waiting: Waiting::default(),
    }
}

/// An HTTP server that responds to everything, and how many connections came.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::AcqRel);
            tokio::spawn(respond(stream));
        }
    });
    (address, connections)
}

async fn respond(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut seen = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        seen.push(byte);
        if seen.ends_with(b"\r\n\r\n") {
            stream
                .write_all(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
        }
    }
}

/// Lets time pass on the clock alone.
async fn pass(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

#[tokio::test]
async fn an_idle_connection_of_reads_lives_a_minute_and_one_of_writes_two_seconds() {
    for (repeatable, idle) in [(true, 60_000), (false, 2000)] {
        let (address, connections) = server().await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let network = Network::new().unwrap();
        let ask = async |so_far: usize| {
            let response = network.send(request(address, repeatable), 100).await.unwrap();
            assert_eq!((response.status.as_u16(), &response.body[..]), (302, &b"ok"[..]), "redirects are not followed");
            assert_eq!(connections.load(Ordering::Acquire), so_far);
            // The connection goes back to its pool once the body has ended.
            tokio::task::yield_now().await;
        };
        ask(1).await;
        pass(Duration::from_millis(idle / 2)).await;
        ask(1).await;
        pass(Duration::from_millis(idle)).await;
        ask(2).await;
    }
}

#[tokio::test]
async fn reads_and_writes_have_connections_of_their_own() {
    let (address, connections) = server().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let network = Network::new().unwrap();
    for (repeatable, count) in [(true, 1), (false, 2), (true, 2), (false, 2)] {
        network.send(request(address, repeatable), 100).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(connections.load(Ordering::Acquire), count);
    }
}

/// A listener that never accepts, with a queue that is full: who connects now hears nothing.
async fn deaf() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    (listener, queued)
}

#[tokio::test]
async fn a_connection_is_made_within_two_seconds_or_nothing_was_sent() {
    let (listener, _queued) = deaf().await;
    let request = request(listener.local_addr().unwrap(), false);
    let network = Network::new().unwrap();
    pause();
    let begun = Instant::now();
    let failure = timeout(Duration::from_secs(60), network.send(request, 100)).await.unwrap().err().unwrap();
    assert_eq!(failure, Failure::NotSent("no connection within 2 s"));
    let waited = begun.elapsed().as_millis();
    assert!((2000..=2100).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn a_refused_connection_sends_nothing_and_a_broken_one_may_have_done_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = request(address, true);
    let network = Network::new().unwrap();
    let hang_up = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    };
    let (response, ()) = tokio::join!(network.send(asked, 100), hang_up);
    assert_eq!(response.err(), Some(Failure::Broken("the connection broke before the response")));
    drop(listener);
    let response = network.send(request(address, true), 100).await;
    assert_eq!(response.err(), Some(Failure::NotSent("connection refused")));
}

#[tokio::test]
async fn why_no_connection_was_made_is_known() {
    // A label of 64 characters is no name, so no server is asked.
    let url = |text: String| text.parse::<Uri>().unwrap();
    let (unresolved, invalid) =
        (format!("http://{}.example/", "a".repeat(64)), format!("https://{}.example/", "b".repeat(64)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing = url(format!("https://{}/", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        loop {
            // Closes after the first bytes of the handshake.
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = url(format!("https://{}/", refusing.local_addr().unwrap()));
    drop(refusing);
    for (url, cause) in [
        (url(unresolved), "the host name does not resolve"),
        (url(invalid), "the host name is not valid"),
        (closing, "the connection was closed during the handshake"),
        (refused, "connection refused"),
    ] {
        for repeatable in [true, false] {
            let asked = HttpRequest { uri: url.clone(), ..request("127.0.0.1:1".parse().unwrap(), repeatable) };
            let failure = Network::new().unwrap().send(asked, 100).await.err();
            assert_eq!(failure, Some(Failure::NotSent(cause)));
        }
    }
}

/// An idle connection that the vendor closed while a request was on its way to it. The request was not written, and
/// hyper could send it once more by itself.
#[test]
fn a_request_for_a_connection_that_was_just_closed_is_not_sent_by_itself() {
    // The system's events come after each task.
    let runtime = tokio::runtime::Builder::new_current_thread().event_interval(1).enable_all().build().unwrap();
    runtime.block_on(async {
        for repeatable in [true, false] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let (close, closes) = std::sync::mpsc::channel::<()>();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = std::io::Read::read(&mut stream, &mut [0; 1024]).unwrap();
                std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                closes.recv().unwrap();
            });
            let _ = rustls::crypto::ring::default_provider().install_default();
            let network = Network::new().unwrap();
            network.send(request(address, repeatable), 100).await.unwrap();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            // A task that is before the connection's: when that one runs, it sees its end before it sees the request.
            tokio::spawn(async {});
            let mut second = network.send(request(address, repeatable), 100);
            assert!(poll!(&mut second).is_pending());
            close.send(()).unwrap();
            server.join().unwrap();
            // Another connection would be refused.
            let failure = second.await.err();
            assert_eq!(failure, Some(Failure::NotSent("the connection closed before the request was sent")));
        }
    });
}

/// A server with TLS that responds to everything, the kind of each handshake, and a client's settings that trust it.
async fn tls_server() -> (SocketAddr, mpsc::UnboundedReceiver<HandshakeKind>, ClientConfig) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.self_signed(&key).unwrap().into()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = params.signed_by(&key, &issuer).unwrap().into();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, handshakes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.unwrap();
            seen.send(stream.get_ref().1.handshake_kind().unwrap()).unwrap();
            tokio::spawn(respond(stream));
        }
    });
    (address, handshakes, ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test]
async fn calls_share_a_connection_of_tls_and_connections_share_a_session() {
    let (address, mut handshakes, config) = tls_server().await;
    let network = Network::with_tls(config);
    let https = |repeatable: bool| {
        let uri = format!("https://{address}/").parse().unwrap();
        HttpRequest { uri, ..request(address, repeatable) }
    };
    for repeatable in [true, true, true, false, false, true] {
        network.send(https(repeatable), 100).await.unwrap();
        // The connection goes back to its pool once the body has ended.
        tokio::task::yield_now().await;
    }
    drop(network);
    let mut seen = Vec::new();
    while let Ok(kind) = handshakes.try_recv() {
        seen.push(kind);
    }
    assert_eq!(seen, [HandshakeKind::Full, HandshakeKind::Resumed], "one for reads, one for writes");
}

#[tokio::test]
async fn the_handshake_of_tls_is_part_of_the_two_seconds() {
    let (_, _, config) = tls_server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let network = Network::with_tls(config);
    let uri = format!("https://{address}/").parse().unwrap();
    let request = HttpRequest { uri, ..request(address, false) };
    let sending = tokio::spawn(async move { (network.send(request, 100).await.err(), Instant::now()) });
    // The first bytes of the handshake are here, and remain without an answer.
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.read_u8().await.unwrap();
    let begun = Instant::now();
    pause();
    let (failure, ended) = timeout(Duration::from_secs(60), sending).await.unwrap().unwrap();
    assert_eq!(failure, Some(Failure::NotSent("no connection within 2 s")));
    assert!((ended - begun) <= Duration::from_millis(2100), "{:?}", ended - begun);
}
