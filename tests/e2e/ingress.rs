//! Subscriptions to the gateway's own callback address, from the call to the vendor's callback; and a full disk.

use reqwest::StatusCode;
use serde_json::json;
use switchboard::{
    clock::Clock,
    config::Config,
    gateway,
    proto::v1::EventType,
    store::{Stores, sqlite::Database},
};
use switchboard_simulators::udesk;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    Gateway, acme,
    client::Client,
    events::{Watcher, address, post, posting, request},
    http_client, install_cryptography,
    vendor::{serve_router, udesk_options},
};

/// A Udesk tenant whose calls have no delays.
async fn tenant() -> (std::sync::Arc<udesk::Simulator>, String) {
    let simulator = udesk::Simulator::new(udesk::Options { pace: std::time::Duration::ZERO, ..udesk_options() });
    let center = acme(serve_router(simulator.router()).await);
    (simulator, center)
}

async fn subscribe(gateway: &Gateway, name: &str) -> String {
    let events = ["DIAL_STARTED", "CALL_QUEUED", "CALL_DEQUEUED", "RECORDING_STOPPED", "CALL_HUNG_UP"]
        .map(|event| format!("EVENT_TYPE_{event}"));
    let subscription = json!({"parent": "centers/acme", "subscription": {"display_name": name, "event_types": events}});
    let made = gateway.client.call("CreateSubscription", subscription).await.unwrap();
    assert!(made.get("callback_uri").is_none(), "{made}");
    made["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_event_of_a_callback_is_streamed() {
    let (_simulator, center) = tenant().await;
    let gateway = Gateway::start(&center).await;
    subscribe(&gateway, "live").await;
    let mut watcher = Watcher::live(&gateway, request("acme")).await;
    let call = json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"});
    let call = gateway.client.call("StartCallback", call).await.unwrap();
    let mut types = Vec::new();
    while types.last() != Some(&EventType::CallHungUp) {
        let event = watcher.event().await;
        assert_eq!(event.call.as_ref().unwrap().call_id, call["call_id"], "{:?}", event.r#type());
        types.push(event.r#type());
    }
    assert_eq!(types.first(), Some(&EventType::DialStarted));
    assert!(types.contains(&EventType::CallQueued) && types.contains(&EventType::CallDequeued), "{types:?}");
}

#[tokio::test]
async fn an_issued_address_is_accepted_after_a_restart() {
    let (simulator, center) = tenant().await;
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start_in(folder.path(), &center, "", Clock::system()).await;
    subscribe(&gateway, "live").await;
    let asked =
        simulator.requests().into_iter().rev().find(|request| request.path.ends_with("/subscriptions")).unwrap();
    let asked: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let given = asked["subscriptions"][0]["callback"].as_str().unwrap().to_owned();
    gateway.stop();
    gateway.ended().await.unwrap();

    let gateway = Gateway::start_in(folder.path(), &center, "", Clock::system()).await;
    let path = given.split_once("/callbacks/").unwrap().1;
    let now = format!("http://{}/callbacks/{path}", gateway.http);
    let mut watcher = Watcher::live(&gateway, request("acme")).await;
    let (status, response) = post(&now, r#"{"Event":"enqueue_succ","MsgId":"m-1"}"#).await;
    assert_eq!((status, response.as_str()), (StatusCode::OK, r#"{"ErrCode":"000000","ErrDesc":"OK"}"#));
    assert_eq!(watcher.event().await.r#type(), EventType::CallQueued);
}

#[tokio::test]
async fn a_drain_completes_a_running_callback_and_closes_the_listener_at_once() {
    let mut gateway = Gateway::start(&posting()).await;
    let http = gateway.http;
    let mut slow = TcpStream::connect(http).await.unwrap();
    let path = address(http).split_once(&http.to_string()).unwrap().1.to_owned();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 8\r\n\r\n");
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(b"half").await.unwrap();
    // Connections are accepted in order: once this one has its response, the slow one is accepted.
    assert_eq!(post(&address(http), "{}").await.0, StatusCode::OK);
    tokio::time::pause();
    gateway.stop();
    while TcpStream::connect(http).await.is_ok() {
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
    }
    // The clock stands still while a task yields: the rest of the body arrives in time, however slow the machine is.
    let response = tokio::spawn(async move {
        slow.write_all(b"half").await.unwrap();
        let mut response = String::new();
        slow.read_to_string(&mut response).await.unwrap();
        response
    });
    while !response.is_finished() {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    let response = response.await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    gateway.ended().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_rejects_callbacks_loses_nothing_and_recovers() {
    install_cryptography();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[listen]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[storage]\npath = {:?}\n{}",
        folder.path().join("switchboard.db"),
        posting()
    );
    let config = Config::parse(&text, "test", &|_| None).unwrap();
    let clock = Clock::system();
    let storage = Database::open(&config.storage).unwrap();
    let stores = Stores::embedded(storage.clone(), &config, &clock).unwrap();
    let gateway = gateway::bind(config, clock, stores).await.unwrap();
    let (grpc, url) = (gateway.grpc_address().unwrap(), address(gateway.http_address().unwrap()));
    tokio::spawn(gateway.run(std::future::pending()));

    storage.limit_pages(100).await.unwrap();
    let body = |number: usize| format!(r#"{{"callSerialNo":"c-{number}","uuid":"u-{number}{}"}}"#, "x".repeat(10_000));
    let http = http_client();
    let mut accepted = 0;
    let refused = loop {
        let response = http.post(&url).body(body(accepted)).send().await.unwrap();
        if response.status() != StatusCode::OK {
            break response;
        }
        accepted += 1;
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(accepted > 1, "some were accepted");

    let client = Client::connect(grpc).await;
    let all = switchboard::proto::v1::WatchEventsRequest {
        start: Some(switchboard::proto::v1::watch_events_request::Start::StartTime(prost_types::Timestamp::default())),
        ..request("beta")
    };
    let mut watcher = Watcher::open(client.channel.clone(), all).await.unwrap();
    for number in 0..accepted {
        assert_eq!(watcher.event().await.call.unwrap().call_id, format!("c-{number}"));
    }
    storage.limit_pages(10_000).await.unwrap();
    // The vendor retries the rejected callback.
    assert_eq!(post(&url, body(accepted)).await.0, StatusCode::OK);
    assert_eq!(watcher.event().await.call.unwrap().call_id, format!("c-{accepted}"));
}
