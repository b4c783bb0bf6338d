//! What the listeners admit, over raw sockets: slow, silent and half-closed peers, many bytes, other protocols.

use std::{future::poll_fn, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, StatusCode};
use serde_json::json;
use switchboard::{clock::Clock, server::SERVICE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, pause, resume, timeout},
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient, server_reflection_request,
};

use crate::support::{
    Gateway, acme,
    client::Failure,
    events::{CALLBACK_SECRET, address, post, posting},
    vendor::{Response, Scripted},
};

/// Longer than anything here may last, and shorter than the drains.
const LONG: Duration = Duration::from_secs(60);
const SLOW_DRAIN: &str = "drain_timeout = \"1h\"";

/// The head of a post to center `beta`.
fn head(length: usize) -> String {
    format!("POST /callbacks/beta/{CALLBACK_SECRET} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")
}

async fn connect(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// A connection of h2, which knows nothing of gRPC.
async fn http2(address: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn grpc(gateway: &Gateway, method: &str) -> http::request::Builder {
    Request::post(format!("http://{}/{SERVICE}/{method}", gateway.grpc)).header("te", "trailers")
}

#[tokio::test]
async fn a_drain_waits_for_no_connection_without_a_call() {
    let mut gateway = Gateway::start_with(&posting(), SLOW_DRAIN, Clock::system()).await;
    let _silent = [connect(gateway.grpc, b"").await, connect(gateway.http, b"").await];
    let _byte = [connect(gateway.grpc, b"P").await, connect(gateway.http, b"P").await];
    let _opened = http2(gateway.grpc).await;
    // These two were accepted after the others, on the same listeners.
    assert_eq!(post(&address(gateway.http), "{}").await.0, StatusCode::OK);
    gateway.client.call("GetCenter", json!({"name": "centers/beta"})).await.unwrap();
    gateway.stop();
    timeout(LONG, gateway.ended()).await.expect("the drain ends").unwrap();
}

#[tokio::test]
async fn silent_connections_delay_no_other_one_of_the_same_address() {
    let gateway = Gateway::start_with(&posting(), "max_connections = 20", Clock::system()).await;
    let post = format!("{}{{}}", head(2));
    for (address, half, request) in [
        (gateway.admin, "GET /readyz HTTP/1.1\r\nho", "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n"),
        (gateway.http, &post[..20], &post),
        (gateway.grpc, "PRI * HTTP/2.0\r\n\r\nSM", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    ] {
        let mut silent = Vec::new();
        for number in 0..100 {
            silent.push(connect(address, if number % 3 == 0 { half.as_bytes() } else { b"" }).await);
        }
        // The clock stands still, so no time of a head or of a handshake expires.
        pause();
        let request = request.to_owned();
        let response = standing_still(async move {
            let mut stream = connect(address, request.as_bytes()).await;
            let mut response = [0; 15];
            stream.read_exact(&mut response).await.map(|_| response)
        });
        let response = response.await.unwrap();
        assert!(address == gateway.grpc || response.starts_with(b"HTTP/1.1 200 OK"), "{response:?}");
        // The ones that the new ones displaced are closed.
        let mut oldest = silent.swap_remove(0);
        let _ = standing_still(async move { oldest.read_to_end(&mut Vec::new()).await }).await;
        resume();
    }
}

/// Waits for a task by a clock that stands still: a task that yields all the time keeps it from advancing by itself.
async fn standing_still<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    let limit = std::time::Instant::now() + LONG;
    let task = tokio::spawn(task);
    while !task.is_finished() {
        assert!(std::time::Instant::now() < limit, "it does not end");
        tokio::task::yield_now().await;
    }
    task.await.unwrap()
}

/// A post whose body comes later. The gateway waits for it.
async fn waited_for(gateway: &Gateway, length: usize) -> TcpStream {
    let head = head(length).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    let mut stream = connect(gateway.http, head.as_bytes()).await;
    let mut response = [0; 25];
    stream.read_exact(&mut response).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn a_drain_keeps_a_body_that_arrives_soon_and_waits_for_no_other() {
    let mut gateway = Gateway::start_with(&posting(), SLOW_DRAIN, Clock::system()).await;
    let (mut cut, mut whole) = (waited_for(&gateway, 40).await, waited_for(&gateway, 2).await);
    cut.write_all(b"{\"callSerialNo\":").await.unwrap();
    let mut sender = http2(gateway.grpc).await;
    let mut calls = Vec::new();
    for method in ["GetAgent", "StartCallback", "WatchEvents"] {
        let request = grpc(&gateway, method).header("content-type", "application/grpc").body(()).unwrap();
        let (response, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"\0\0\0\0\x20half"), false).unwrap();
        calls.push((method, response, body));
        let method = format!("grpc_method=\"{method}\"");
        let started = |line: &str| {
            line.starts_with("grpc_server_started_total") && line.contains(&method) && line.ends_with(" 1")
        };
        while !gateway.admin("/metrics").await.1.lines().any(started) {
            tokio::task::yield_now().await;
        }
    }

    pause();
    let begun = Instant::now();
    gateway.stop();
    let kept = standing_still(async move {
        whole.write_all(b"{}").await.unwrap();
        let mut response = [0; 15];
        whole.read_exact(&mut response).await.unwrap();
        response
    });
    assert_eq!(&kept.await, b"HTTP/1.1 200 OK");
    let mut response = String::new();
    cut.read_to_string(&mut response).await.unwrap();
    let is_final = response.contains("connection: close") && response.contains("retry-after: 1");
    assert!(response.starts_with("HTTP/1.1 503 ") && is_final, "{response}");
    for (method, response, _body) in calls {
        let failure = Failure::of(Status::from_header_map(response.await.unwrap().headers()).unwrap());
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "GATEWAY_DRAINING"), "{method}");
    }
    gateway.ended().await.unwrap();
    // Half a second each for new calls and for the bodies.
    let after = begun.elapsed().as_millis();
    assert!((1_000..1_100).contains(&after), "{after} ms");
}

#[tokio::test]
async fn a_call_with_a_malformed_deadline_is_refused() {
    let vendor = Scripted::start([Response::json(&json!({"code": "000000", "results": "c-1"}))]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let callback = json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"});
    for timeout in ["-3S", "x", "7s", "0.5S", "000000001S", "", "5", "5 S"] {
        for (method, request) in [
            ("StartCallback", callback.clone()),
            ("WatchEvents", json!({"parent": "centers/acme"})),
            ("GetCenter", json!({"name": "centers/acme"})),
        ] {
            let failure = gateway.client.call_with_header(method, request, timeout).await.unwrap_err();
            assert_eq!(
                (failure.code, failure.reason.as_str()),
                (Code::InvalidArgument, "FIELD_INVALID"),
                "{timeout:?}"
            );
            assert_eq!(failure.fields, ["grpc-timeout"], "{method} {timeout:?}");
            assert!(failure.message.contains("1 to 8 digits and a unit: H, M, S, m, u or n"), "{failure:?}");
        }
    }
    // Two deadlines are none, whichever is meant; health has no details.
    let mut sender = http2(gateway.grpc).await;
    for (path, has_details) in
        [(format!("{SERVICE}/GetCenter"), true), ("grpc.health.v1.Health/Check".to_owned(), false)]
    {
        let request = Request::post(format!("http://{}/{path}", gateway.grpc))
            .header("content-type", "application/grpc")
            .header("grpc-timeout", "3S")
            .header("grpc-timeout", "3S")
            .body(())
            .unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let status = Status::from_header_map(response.await.unwrap().headers()).unwrap();
        assert_eq!((status.code(), status.details().is_empty()), (Code::InvalidArgument, !has_details), "{path}");
    }
    assert!(vendor.asked().is_empty(), "something was sent");
}

#[tokio::test]
async fn a_drain_ends_health_and_reflection_streams() {
    let mut gateway = Gateway::start_with(&posting(), SLOW_DRAIN, Clock::system()).await;
    let mut health = HealthClient::new(gateway.client.channel.clone());
    let request = HealthCheckRequest { service: SERVICE.to_owned() };
    let mut statuses = health.watch(request).await.unwrap().into_inner();
    assert_eq!(statuses.message().await.unwrap().unwrap().status, 1);
    let mut reflection = ServerReflectionClient::new(gateway.client.channel.clone());
    let list = server_reflection_request::MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let requests = tokio_stream::iter([request]).chain(tokio_stream::pending());
    let mut responses = reflection.server_reflection_info(requests).await.unwrap().into_inner();
    responses.message().await.unwrap().unwrap();

    gateway.stop();
    let ended = async {
        assert_eq!(statuses.message().await.unwrap().unwrap().status, 2, "NOT_SERVING comes before the end");
        assert!(statuses.message().await.unwrap().is_none());
        assert!(responses.message().await.unwrap().is_none());
        gateway.ended().await.unwrap();
    };
    timeout(LONG, ended).await.expect("the streams end");
}

#[tokio::test]
async fn a_complete_post_is_kept_after_either_side_disconnects() {
    let gateway = Gateway::start(&posting()).await;
    let body = |number: usize| format!(r#"{{"callSerialNo":"c-{number:04}","uuid":"u-{number}"}}"#);
    let post = |number| format!("{}{}", head(body(number).len()), body(number));

    let mut half_closed = connect(gateway.http, post(1).as_bytes()).await;
    half_closed.shutdown().await.unwrap();
    let mut response = String::new();
    timeout(LONG, half_closed.read_to_string(&mut response)).await.expect("a response").unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");

    let posts = 100;
    for number in 2..=posts {
        drop(connect(gateway.http, post(number).as_bytes()).await);
    }
    let kept = format!("switchboard_events_posted_total{{center=\"beta\",outcome=\"kept\"}} {posts}\n");
    let counted = async {
        while !gateway.admin("/metrics").await.1.contains(&kept) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, counted).await.expect("every post is kept and counted");

    // Half a body is no event.
    let mut cut_off = connect(gateway.http, format!("{}half", head(8)).as_bytes()).await;
    cut_off.shutdown().await.unwrap();
    let mut response = String::new();
    timeout(LONG, cut_off.read_to_string(&mut response)).await.expect("an end").unwrap();
    assert!(!response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[tokio::test]
async fn a_wrong_address_ends_its_connection() {
    let gateway = Gateway::start(&posting()).await;
    let request = "POST /callbacks/beta/guess HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    let mut stream = connect(gateway.http, request.as_bytes()).await;
    let mut response = String::new();
    timeout(LONG, stream.read_to_string(&mut response)).await.expect("the connection ends").unwrap();
    assert!(response.starts_with("HTTP/1.1 404 ") && response.contains("connection: close"), "{response}");
}

#[tokio::test]
async fn unfinished_requests_occupy_a_bounded_number_of_bytes() {
    let gateway = Gateway::start(&posting()).await;
    let length: usize = 250 * 1024;
    let mut message = vec![0];
    message.extend(u32::try_from(length).unwrap().to_be_bytes());
    message.resize(5 + length - 1, 0);
    let (mut open, mut refused) = (Vec::new(), None);
    while refused.is_none() {
        assert!(open.len() < 400, "nothing bounds the bytes in flight");
        let mut sender = http2(gateway.grpc).await;
        let request = grpc(&gateway, "GetAgent").header("content-type", "application/grpc").body(()).unwrap();
        let (mut response, mut stream) = sender.send_request(request, false).unwrap();
        let mut rest = Bytes::from(message.clone());
        while !rest.is_empty() && refused.is_none() {
            stream.reserve_capacity(rest.len());
            tokio::select! {
                response = &mut response => refused = Some(response.unwrap()),
                capacity = poll_fn(|cx| stream.poll_capacity(cx)) => {
                    let Some(Ok(capacity)) = capacity else { continue };
                    stream.send_data(rest.split_to(capacity.min(rest.len())), false).unwrap();
                }
            }
        }
        open.push((sender, response, stream));
        // The gateway has the bytes of the others when it responds to this one.
        gateway.client.call("GetCenter", json!({"name": "centers/beta"})).await.ok();
        refused = refused
            .or_else(|| open.iter_mut().find_map(|(_, response, _)| response.now_or_never()).map(Result::unwrap));
    }
    let failure = Failure::of(Status::from_header_map(refused.unwrap().headers()).unwrap());
    assert_eq!((failure.code, failure.reason.as_str()), (Code::ResourceExhausted, "GATEWAY_OVERLOADED"));
    assert!(failure.retry_after.is_some());
    assert!(open.len() >= 100, "{}", open.len());
    // The bytes come back with the streams.
    drop(open);
    let recovered = async {
        while gateway.client.call("GetCenter", json!({"name": "centers/beta"})).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, recovered).await.expect("the budget is released");
}

#[tokio::test]
async fn metadata_and_content_types_outside_the_protocol_have_their_responses() {
    let gateway = Gateway::start(&posting()).await;
    let mut sender = http2(gateway.grpc).await;
    for length in [17_000, 40_000] {
        let request = grpc(&gateway, "GetAgent")
            .header("content-type", "application/grpc")
            .header("x-baggage", "b".repeat(length))
            .body(())
            .unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let failure = Failure::of(Status::from_header_map(response.await.unwrap().headers()).unwrap());
        assert_eq!((failure.code, failure.reason.as_str()), (Code::ResourceExhausted, "REQUEST_TOO_LARGE"));
    }
    for (content_type, status) in [
        ("application/json", 415),
        ("text/html; charset=utf-8", 415),
        ("application/grpc-web", 415),
        ("application/grpc+json", 415),
        ("application/grpc+proto", 200),
        ("application/grpc; charset=utf-8", 200),
    ] {
        for path in [format!("{SERVICE}/GetAgent"), "grpc.health.v1.Health/Check".to_owned()] {
            let request = Request::post(format!("http://{}/{path}", gateway.grpc))
                .header("content-type", content_type)
                .body(())
                .unwrap();
            let (response, _) = sender.send_request(request, true).unwrap();
            assert_eq!(response.await.unwrap().status(), status, "{content_type} {path}");
        }
    }
}
