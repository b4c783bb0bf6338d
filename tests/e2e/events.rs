//! From a vendor's callback to a watcher's stream.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use switchboard::{
    clock::Clock,
    proto::v1::{EventType, WatchEventsRequest},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use crate::support::{
    Gateway,
    events::{Watcher, address, at, from, numbered, post, posted, posting, request},
    http_client,
};

const CALL_STATE: &str = r#"{"callSerialNo":"1566523582-41","serviceNo":"1","called":"13800000000","callData":""}"#;

#[tokio::test]
async fn a_callback_is_acknowledged_in_the_vendors_format_and_streamed() {
    let gateway = Gateway::start(&posting()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    let before = SystemTime::now();
    let (status, response) = post(&address(gateway.http), CALL_STATE).await;
    assert_eq!((status, response.as_str()), (StatusCode::OK, r#"{"retCode":"0","retMsg":"success"}"#));

    let event = watcher.next().await.unwrap().unwrap();
    assert_eq!((event.center.as_str(), event.r#type()), ("centers/beta", EventType::CallStateChanged));
    assert_eq!(event.call.unwrap().call_id, "1566523582-41");
    assert!(!event.event_id.is_empty());
    let received = SystemTime::try_from(event.receive_time.unwrap()).unwrap();
    assert!(received + Duration::from_millis(1) > before && received <= SystemTime::now());
}

#[tokio::test]
async fn a_stream_resumes_after_its_cursor_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start_in(folder.path(), &posting(), "", Clock::system()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    posted(&gateway, (0..3).map(numbered)).await;
    let first = watcher.event().await;
    let cursor = watcher.cursor.clone();
    let second = watcher.event().await;
    gateway.stop();
    // The remaining events may or may not arrive before the stream ends.
    let failure = watcher.failure().await;
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "GATEWAY_DRAINING"));
    gateway.ended().await.unwrap();

    let gateway = Gateway::start_in(folder.path(), &posting(), "", Clock::system()).await;
    let mut watcher = Watcher::open(gateway.client.channel.clone(), from("beta", &cursor)).await.unwrap();
    assert_eq!(watcher.event().await, second);
    let third = watcher.event().await;
    assert!(watcher.next().await.unwrap().is_none(), "a heartbeat shows that the stream has caught up");
    posted(&gateway, [numbered(3)]).await;
    let fourth = watcher.event().await;
    let ids = [&first, &second, &third, &fourth].map(|event| event.call.as_ref().unwrap().call_id.as_str());
    assert_eq!(ids, ["c-0", "c-1", "c-2", "c-3"]);
}

#[tokio::test]
async fn other_event_types_are_skipped_and_heartbeats_move_the_cursor() {
    let gateway = Gateway::start(&posting()).await;
    let only_hung_up = WatchEventsRequest {
        event_types: vec![EventType::CallHungUp.into()],
        heartbeat_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..request("beta")
    };
    let mut watcher = Watcher::live(&gateway, only_hung_up).await;
    let begun = watcher.cursor.clone();
    posted(&gateway, (0..2).map(numbered)).await;
    let mut all = Watcher::open(gateway.client.channel.clone(), from("beta", &begun)).await.unwrap();
    all.event().await;
    all.event().await;
    while watcher.cursor != all.cursor {
        assert!(watcher.next().await.unwrap().is_none());
    }

    let mut behind = Watcher::open(gateway.client.channel.clone(), from("beta", &watcher.cursor)).await.unwrap();
    assert!(behind.next().await.unwrap().is_none(), "no event is after that cursor");
    let release = r#"{"callSerialNo":"c-9","releaseTime":"1566523582000","releaseReason":"513","uuid":"u-9"}"#;
    posted(&gateway, [release.to_owned()]).await;
    assert_eq!(watcher.event().await.r#type(), EventType::CallHungUp);
    assert_eq!(behind.event().await.r#type(), EventType::CallHungUp);
}

#[tokio::test]
async fn a_stream_begins_at_a_time() {
    let gateway = Gateway::start(&posting()).await;
    posted(&gateway, (0..3).map(numbered)).await;
    let mut all = Watcher::open(gateway.client.channel.clone(), at("beta", SystemTime::UNIX_EPOCH)).await.unwrap();
    let times = [all.event().await, all.event().await, all.event().await].map(|event| event.receive_time.unwrap());
    let second = SystemTime::try_from(times[1]).unwrap();
    let mut later = Watcher::open(gateway.client.channel.clone(), at("beta", second)).await.unwrap();
    assert_eq!(later.event().await.receive_time, Some(times[1]));
    let mut future =
        Watcher::open(gateway.client.channel.clone(), at("beta", second + Duration::from_secs(3600))).await.unwrap();
    assert!(future.next().await.unwrap().is_none());
}

#[tokio::test]
async fn an_expired_cursor_is_rejected_with_the_oldest_one() {
    let gateway = Gateway::start(&posting()).await;
    let other = Gateway::start(&posting()).await;
    posted(&other, (0..3).map(numbered)).await;
    posted(&gateway, (0..2).map(numbered)).await;
    let mut watcher = Watcher::live(&other, request("beta")).await;
    posted(&other, [numbered(3)]).await;
    watcher.event().await;

    let refused = Watcher::open(gateway.client.channel.clone(), from("beta", &watcher.cursor)).await.err().unwrap();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"));
    let mut oldest =
        Watcher::open(gateway.client.channel.clone(), from("beta", &refused.metadata["oldestCursor"])).await.unwrap();
    assert_eq!(oldest.event().await.call.unwrap().call_id, "c-0");

    for unreadable in ["x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""] {
        let refused = Watcher::open(gateway.client.channel.clone(), from("beta", unreadable)).await.err().unwrap();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "TOKEN_INVALID"), "{unreadable}");
    }
}

#[tokio::test]
async fn equal_callbacks_are_one_event() {
    let gateway = Gateway::start(&posting()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    posted(&gateway, [numbered(0), numbered(0), numbered(1), numbered(0)]).await;
    let ids = [watcher.event().await, watcher.event().await].map(|event| event.call.unwrap().call_id);
    assert_eq!(ids, ["c-0", "c-1"]);
    let metrics = gateway.admin("/metrics").await.1;
    for line in [
        "switchboard_events_posted_total{center=\"beta\",outcome=\"kept\"} 2",
        "switchboard_events_posted_total{center=\"beta\",outcome=\"duplicate\"} 2",
        "switchboard_events_delivered_total{center=\"beta\"} 2",
        "switchboard_watchers{center=\"beta\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn any_body_is_an_event() {
    let gateway = Gateway::start(&posting()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    for body in ["", "not JSON", "[1,2]", "{\"a\":", "\u{0}\u{1}"] {
        posted(&gateway, [body.to_owned()]).await;
        let event = watcher.event().await;
        assert_eq!(event.r#type(), EventType::Vendor, "{body:?}");
        assert!(event.vendor_payload.unwrap().fields.contains_key("body"), "{body:?}");
    }
    let largest = vec![b'1'; 1024 * 1024];
    assert_eq!(post(&address(gateway.http), largest).await.0, StatusCode::OK);
    watcher.event().await;
}

#[tokio::test]
async fn a_wrong_secret_reveals_nothing() {
    let gateway = Gateway::start(&posting()).await;
    let right = address(gateway.http);
    for wrong in [
        format!("{right}x"),
        right[..right.len() - 1].to_owned(),
        right.replace("/beta/", "/acme/"),
        right.replace("/callbacks/", "/callback/"),
        format!("http://{}/callbacks/beta/", gateway.http),
        format!("http://{}/", gateway.http),
    ] {
        assert_eq!(post(&wrong, CALL_STATE).await, (StatusCode::NOT_FOUND, String::new()), "{wrong}");
    }
    let seen = http_client().get(&right).send().await.unwrap();
    assert_eq!((seen.status(), seen.headers()["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    // A proxy may keep the path of the base URL.
    assert_eq!(post(&right.replace("/callbacks/", "/hooks/callbacks/"), CALL_STATE).await.0, StatusCode::OK);
    assert_eq!(post(&right, vec![b'1'; 1024 * 1024 + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn watching_a_center_without_callbacks_is_rejected() {
    let gateway = Gateway::start(&crate::support::beta("127.0.0.1:1".parse().unwrap())).await;
    let refused = Watcher::open(gateway.client.channel.clone(), request("beta")).await.err().unwrap();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "CENTER_MISCONFIGURED"));
    assert!(refused.message.contains("callback_secret"), "{}", refused.message);
}

#[tokio::test]
async fn a_slow_watcher_delays_no_other_and_loses_nothing() {
    let gateway = Gateway::start(&posting()).await;
    let mut slow = Watcher::live(&gateway, request("beta")).await;
    let mut fast = Watcher::live(&gateway, request("beta")).await;
    let body = |number: usize| format!(r#"{{"callSerialNo":"c-{number}","uuid":"u-{number}{}"}}"#, "x".repeat(100_000));
    // More than the feed's window and HTTP/2's flow-control window.
    for number in 0..100 {
        posted(&gateway, [body(number)]).await;
        assert_eq!(fast.event().await.call.unwrap().call_id, format!("c-{number}"));
    }
    for number in 0..100 {
        assert_eq!(slow.event().await.call.unwrap().call_id, format!("c-{number}"));
    }
}

#[tokio::test]
async fn a_stream_ends_at_the_callers_own_deadline() {
    let gateway = Gateway::start(&posting()).await;
    let begun = std::time::Instant::now();
    let response = gateway
        .client
        .call_bare("WatchEvents", serde_json::json!({"parent": "centers/beta"}), Duration::from_millis(300))
        .await;
    let failure = response.unwrap_err();
    assert_eq!(failure.code, Code::DeadlineExceeded);
    assert!(begun.elapsed() >= Duration::from_millis(290));
    let metrics = gateway.admin("/metrics").await.1;
    let ended = metrics.lines().find(|line| {
        line.starts_with("grpc_server_handled_total")
            && line.contains("DEADLINE_EXCEEDED")
            && line.contains("WatchEvents")
    });
    assert!(ended.is_some_and(|line| line.ends_with(" 1")), "an ended stream is counted with its code");
}

#[tokio::test]
async fn a_truncated_body_is_not_an_event() {
    let gateway = Gateway::start(&posting()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    let path = address(gateway.http);
    let path = path.split_once("/callbacks").unwrap().1;
    let mut cut = TcpStream::connect(gateway.http).await.unwrap();
    let head = format!("POST /callbacks{path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: 100\r\n\r\n{{\"half\":");
    cut.write_all(head.as_bytes()).await.unwrap();
    cut.shutdown().await.unwrap();
    let mut response = Vec::new();
    let _ = cut.read_to_end(&mut response).await;
    assert!(!response.starts_with(b"HTTP/1.1 200"));
    posted(&gateway, [numbered(1)]).await;
    assert_eq!(watcher.event().await.call.unwrap().call_id, "c-1");
}
