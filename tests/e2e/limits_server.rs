//! The bounds of the three addresses, as a peer finds them that keeps to none.

use std::{
    net::SocketAddr,
    time::{Duration, Instant as WallInstant},
};

use serde_json::json;
use switchboard::{clock::Clock, server::SERVICE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{Instant, advance, pause, resume, timeout},
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    Gateway, acme,
    client::Client,
    events,
    vendor::{Response, Scripted},
    whole_seconds,
};

/// How an HTTP/2 client begins: its preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const PROBE: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
/// A callback. The response to a refused one would close the connection.
const CALLBACK: &[u8] = b"POST /callbacks/beta/console-secret-9f3a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
/// A callback whose body does not come: its connection is not idle.
const UNFINISHED: &[u8] = b"POST /callbacks/beta/console-secret-9f3a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\
                            expect: 100-continue\r\n\r\n";
/// Long enough for a response. A slow machine only makes it more certain that nothing comes.
const MOMENT: Duration = Duration::from_millis(300);

/// Longer than any bound; the clock leaps over it.
const HOUR: Duration = Duration::from_secs(3600);

// Frames of HTTP/2 (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame of HTTP/2.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// The number that its payload ends with, or begins with.
    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a call of `GetCenter`, in HPACK without compression; `path` is left out of a malformed one.
fn head(with_path: bool) -> Vec<u8> {
    // POST, http, and by the numbers of the static table: authority 1, path 4, content-type 31.
    let mut head = vec![0x83, 0x86, 0x01, 1, b'x'];
    if with_path {
        let path = b"/contactcenter.v1.ContactCenter/GetCenter";
        head.extend([0x04, u8::try_from(path.len()).unwrap()]);
        head.extend(path);
    }
    head.extend([0x0f, 0x10, 16]);
    head.extend(b"application/grpc");
    head
}

/// An HTTP/2 connection of bare frames.
struct Peer(TcpStream);

impl Peer {
    /// A connection whose settings are exchanged.
    async fn connect(address: SocketAddr) -> Self {
        let mut peer = Self(TcpStream::connect(address).await.unwrap());
        peer.0.write_all(PREFACE).await.unwrap();
        peer.0.write_all(&frame(SETTINGS, ACK, 0, &[])).await.unwrap();
        while peer.next().await.unwrap().kind != SETTINGS {}
        peer
    }

    /// The next frame; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Sends these frames and a ping behind them, and gives what comes back before the ping's response, or the end.
    async fn exchange(&mut self, frames: &[u8]) -> Vec<Frame> {
        let ping = frame(PING, 0, 0, b"finished");
        // Who is refused may not be able to send all of it.
        let _ = self.0.write_all(&[frames, &ping].concat()).await;
        let mut responses = Vec::new();
        while let Some(response) = self.next().await {
            if response.kind == PING && response.flags == ACK {
                break;
            }
            responses.push(response);
        }
        responses
    }
}

async fn gateway(listen: &str) -> Gateway {
    let centers = acme("127.0.0.1:1".parse().unwrap()) + &events::posting();
    Gateway::start_with(&centers, listen, Clock::system()).await
}

/// A connection from one of several addresses of this machine.
async fn connect_from(peer: u8, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 100 + peer], 0))).unwrap();
    socket.connect(address).await.unwrap()
}

/// Opens a connection and gives it back once it is served; `None` if it is closed.
async fn connect_served(peer: u8, address: SocketAddr, greeting: &[u8]) -> Option<TcpStream> {
    let mut stream = connect_from(peer, address).await;
    let _ = stream.write_all(greeting).await;
    matches!(stream.read(&mut [0; 1024]).await, Ok(1..)).then_some(stream)
}

async fn served_to(peer: u8, address: SocketAddr, greeting: &[u8]) -> TcpStream {
    connect_served(peer, address, greeting).await.unwrap()
}

async fn served(address: SocketAddr, greeting: &[u8]) -> TcpStream {
    served_to(1, address, greeting).await
}

#[tokio::test]
async fn each_address_serves_so_many_connections_and_the_next_one_waits() {
    let gateway = gateway("max_connections = 3").await;
    // The test's own client has one of the contract's.
    let cases = [(gateway.grpc, PREFACE, 2), (gateway.http, UNFINISHED, 3)];
    let waits = cases.map(async |(address, greeting, most)| {
        let mut open = Vec::new();
        for peer in 0..most {
            open.push(served_to(peer, address, greeting).await);
        }
        let mut next = connect_from(most, address).await;
        next.write_all(greeting).await.unwrap();
        let mut response = [0; 1024];
        assert!(timeout(MOMENT, next.read(&mut response)).await.is_err(), "{address} serves {} connections", most + 1);
        open.pop();
        assert!(next.read(&mut response).await.unwrap() > 0);
    });
    futures_util::future::join_all(waits).await;
}

#[tokio::test]
async fn the_admin_address_serves_32_connections_and_closes_the_oldest_idle_one_for_the_next() {
    let gateway = gateway("").await;
    let mut open = Vec::new();
    for peer in 0..32 {
        open.push(served_to(peer, gateway.admin, PROBE).await);
    }
    for number in 0..2 {
        open.push(served_to(40 + number, gateway.admin, PROBE).await);
        let oldest = &mut open[usize::from(number)];
        assert!(!matches!(oldest.read(&mut [0]).await, Ok(1..)), "it ends");
    }
    // All others are still served.
    for connection in &mut open[2..] {
        connection.write_all(PROBE).await.unwrap();
        assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn one_peer_has_half_of_the_connections_and_the_next_one_ends() {
    let gateway = gateway("max_connections = 6").await;
    for (address, greeting) in [(gateway.grpc, PREFACE), (gateway.http, UNFINISHED)] {
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(served_to(9, address, greeting).await);
        }
        let mut next = connect_from(9, address).await;
        let _ = next.write_all(greeting).await;
        assert!(!matches!(next.read(&mut [0]).await, Ok(1..)), "{address}");
        let _other = served_to(10, address, greeting).await;
        open.pop();
        // The listener may still have to see the end.
        while connect_served(9, address, greeting).await.is_none() {}
    }
}

#[tokio::test]
async fn a_connection_has_so_many_calls_at_once() {
    let gateway = gateway("max_streams_per_connection = 2").await;
    let mut peer = Peer::connect(gateway.grpc).await;
    let calls = [1, 3, 5].map(|stream| frame(HEADERS, END_HEADERS, stream, &head(true))).concat();
    let responses = peer.exchange(&calls).await;
    let resets: Vec<_> = responses.iter().filter(|response| response.kind == RST_STREAM).collect();
    assert_eq!(resets.iter().map(|reset| (reset.stream, reset.number(0))).collect::<Vec<_>>(), [(5, REFUSED_STREAM)]);
}

#[tokio::test]
async fn a_peer_that_opens_and_resets_calls_is_disconnected() {
    let gateway = gateway("").await;
    let cancel = 8_u32.to_be_bytes();
    for (count, is_cut_off) in [(40, false), (400, true)] {
        let mut peer = Peer::connect(gateway.grpc).await;
        let calls: Vec<u8> = (0..count)
            .map(|call| 2 * call + 1)
            .flat_map(|stream| {
                [frame(HEADERS, END_HEADERS, stream, &head(true)), frame(RST_STREAM, 0, stream, &cancel)].concat()
            })
            .collect();
        let responses = peer.exchange(&calls).await;
        let calm = responses.iter().any(|response| response.kind == GOAWAY && response.number(4) == ENHANCE_YOUR_CALM);
        assert_eq!(calm, is_cut_off, "{count} calls");
    }
}

#[tokio::test]
async fn a_peer_that_causes_resets_is_disconnected() {
    let gateway = gateway("").await;
    for (count, is_cut_off) in [(1000, false), (1100, true)] {
        let mut peer = Peer::connect(gateway.grpc).await;
        let mut responses = Vec::new();
        for first in (0..count).step_by(100) {
            let calls: Vec<u8> = (first..first + 100)
                .flat_map(|call| frame(HEADERS, END_HEADERS | END_STREAM, 2 * call + 1, &head(false)))
                .collect();
            responses.extend(peer.exchange(&calls).await);
        }
        let calm = responses.iter().any(|response| response.kind == GOAWAY && response.number(4) == ENHANCE_YOUR_CALM);
        assert_eq!(calm, is_cut_off, "{count} calls");
    }
}

#[tokio::test]
async fn a_call_s_headers_are_16_kib_at_most() {
    let gateway = gateway("").await;
    for (bytes, status) in [(15 << 10, (200, false)), (17 << 10, (200, true)), (70 << 10, (431, false))] {
        let stream = TcpStream::connect(gateway.grpc).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post("http://x/contactcenter.v1.ContactCenter/GetCenter")
            .header("content-type", "application/grpc")
            .header("x-large", "x".repeat(bytes))
            .body(())
            .unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        let is_too_large = response.headers().get("grpc-status").is_some_and(|code| code == "8");
        assert_eq!((response.status().as_u16(), is_too_large), status, "{bytes} bytes");
    }
}

/// So many header fields.
fn headers(count: usize) -> String {
    (0..count).fold(String::new(), |head, number| head + &format!("x-{number}: x\r\n"))
}

#[tokio::test]
async fn a_request_s_head_is_16_kib_and_64_headers_at_most() {
    let gateway = gateway("").await;
    for (address, status) in [(gateway.http, "404"), (gateway.admin, "200")] {
        for (head, status) in [
            (format!("x-large: {}\r\n", "x".repeat(15 << 10)), status),
            (format!("x-large: {}\r\n", "x".repeat(17 << 10)), "431"),
            (headers(63), status),
            (headers(64), "431"),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await.unwrap();
            let mut line = [0; 12];
            stream.read_exact(&mut line).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&line), format!("HTTP/1.1 {status}"), "{} bytes", head.len());
        }
    }
}

/// How long, by a clock that leaps, a connection lives on. Its timer started a moment before, by the machine's clock:
/// on a slow machine that is up to half of it, which is still no less than the next shorter bound.
async fn assert_lives_on(mut stream: TcpStream, seconds: u128) {
    pause();
    let begun = Instant::now();
    let _ = timeout(HOUR, stream.read_to_end(&mut Vec::new())).await;
    let lived = begun.elapsed().as_millis();
    resume();
    assert!((seconds * 500..=seconds * 1000 + 100).contains(&lived), "{lived} ms");
}

#[tokio::test]
async fn a_connection_that_says_nothing_ends_after_its_time() {
    let gateway = gateway("").await;
    for (address, seconds) in [(gateway.grpc, 10), (gateway.http, 5), (gateway.admin, 5)] {
        for start in [&b""[..], b"P"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(start).await.unwrap();
            assert_lives_on(stream, seconds).await;
        }
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_whole_has_five_seconds_and_an_idle_connection_thirty() {
    let gateway = gateway("").await;
    for (address, greeting) in [(gateway.http, CALLBACK), (gateway.admin, PROBE)] {
        // The time of the idle connection runs from the response to the request before it.
        for (half, seconds) in [(&b""[..], 30), (&b"GET /healthz HTTP/1.1\r\nhost"[..], 5)] {
            let mut stream = served(address, greeting).await;
            stream.write_all(half).await.unwrap();
            assert_lives_on(stream, seconds).await;
        }
    }
}

#[tokio::test]
async fn a_peer_that_acknowledges_no_ping_is_gone_after_fifty_seconds() {
    let gateway = gateway("").await;
    let mut peer = Peer::connect(gateway.grpc).await;
    pause();
    let begun = Instant::now();
    let mut pings = Vec::new();
    while let Ok(Some(frame)) = timeout(HOUR, peer.next()).await {
        if frame.kind == PING {
            pings.push(begun.elapsed());
        }
    }
    let [ping] = pings[..] else { panic!("{pings:?}") };
    // The first interval began with the handshake, a moment before by the machine's clock.
    assert!((15.0..30.1).contains(&ping.as_secs_f64()), "{ping:?}");
    let after = begun.elapsed().saturating_sub(ping);
    assert!((19_900..=20_100).contains(&after.as_millis()), "{after:?}");
}

/// Waits for a call by a clock that stands still: who yields all the time leaves it no reason to leap.
async fn standing_still<T>(call: impl Future<Output = T> + Send + 'static) -> T
where
    T: Send + 'static,
{
    let limit = WallInstant::now() + Duration::from_secs(60);
    let call = tokio::spawn(call);
    while !call.is_finished() {
        assert!(WallInstant::now() < limit, "it does not end");
        tokio::task::yield_now().await;
    }
    call.await.unwrap()
}

/// What a call over a connection of its own ends with, once it is not served any more.
async fn reported_over_a_new_connection(address: SocketAddr) -> (Code, String) {
    standing_still(async move {
        loop {
            let client = Client::connect(address).await;
            let request = json!({"name": "centers/acme"});
            if let Err(failure) = client.call_bare("GetCenter", request, Duration::from_secs(20)).await {
                return (failure.code, failure.reason);
            }
        }
    })
    .await
}

/// What health says of a service.
async fn health(address: SocketAddr, service: &'static str) -> ServingStatus {
    standing_still(async move {
        let mut client = HealthClient::new(Client::connect(address).await.channel);
        client.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner().status()
    })
    .await
}

#[tokio::test]
async fn a_drain_refuses_new_calls_for_a_moment_before_its_address_closes() {
    for (drain_timeout, lame_duck) in [("10s", 500), ("2s", 200)] {
        let vendor = Scripted::start([Response::Hang]).await;
        let listen = format!("drain_timeout = \"{drain_timeout}\"");
        let mut gateway = Gateway::start_with(&acme(vendor.address), &listen, Clock::system()).await;
        let client = gateway.client.clone();
        let running =
            tokio::spawn(async move { client.call("GetAgent", json!({"name": "centers/acme/agents/7"})).await });
        while vendor.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let address = gateway.grpc;
        pause();
        gateway.stop();
        let refused = (Code::Unavailable, "GATEWAY_DRAINING".to_owned());
        assert_eq!(reported_over_a_new_connection(address).await, refused);
        for service in ["", SERVICE] {
            assert_eq!(health(address, service).await, ServingStatus::NotServing);
        }
        advance(Duration::from_millis(lame_duck - 10)).await;
        assert_eq!(reported_over_a_new_connection(address).await, refused, "{drain_timeout}: shortly before the end");
        advance(Duration::from_millis(20)).await;
        // Who comes now is refused by the system, and goes to another gateway at once.
        standing_still(async move { while TcpStream::connect(address).await.is_ok() {} }).await;
        running.abort();
        let _ = running.await;
        resume();
        gateway.ended().await.unwrap();
    }
}

#[tokio::test]
async fn a_drain_ends_at_its_timeout_with_calls_in_flight() {
    let vendor = Scripted::start([Response::Hang]).await;
    let listen = "drain_timeout = \"7s\"";
    let mut gateway = Gateway::start_with(&acme(vendor.address), listen, Clock::system()).await;
    let client = gateway.client.clone();
    let running = tokio::spawn(async move { client.call("GetAgent", json!({"name": "centers/acme/agents/7"})).await });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    pause();
    let begun = Instant::now();
    gateway.stop();
    gateway.ended().await.unwrap();
    assert_eq!(whole_seconds(begun.elapsed()), 7);
    running.abort();
}
