//! Streams that are lost while the gateway runs.

use std::{net::SocketAddr, time::Duration};

use async_nats::jetstream::{self, stream::Config as StreamConfig};
use bytes::Bytes;
use switchboard::{
    clock::Clock,
    config::Config,
    error::{ErrorReason, Result},
    gateway,
    proto::v1::{
        Event, WatchEventsRequest, contact_center_client::ContactCenterClient, watch_events_request::Start,
        watch_events_response::Item,
    },
    store::{
        Stores,
        event_log::{Appended, EventLog as _},
        fingerprint::Fingerprint,
        idempotency::{CallState, IdempotencyStore as _},
        jetstream::JetStream,
        kv::KeyValueStore as _,
    },
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::{server::Server, stores::connect};

/// Timeout of what must happen.
const TIMEOUT: Duration = Duration::from_secs(60);
const SECRET: &str = "console-secret-7d1c";

async fn jetstream(server: &Server) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

/// Deletes every stream of the server.
async fn delete_all(server: &Server) {
    use futures_util::TryStreamExt as _;
    let jetstream = jetstream(server).await;
    let names: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        jetstream.delete_stream(name).await.unwrap();
    }
}

/// A request that is repeated until the store is available: a slow machine creates a stream slowly.
async fn eventually<T>(mut request: impl AsyncFnMut() -> Result<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match request().await {
            Ok(value) => return value,
            Err(error) => {
                assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
                assert!(Instant::now() < deadline, "{error}");
            }
        }
    }
}

#[tokio::test]
async fn every_kind_of_request_finds_its_lost_stream_again() {
    let server = Server::start().await;
    let store = connect(&server).await;
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let body = Bytes::from_static(br#"{"MsgId":"8"}"#);
    let fingerprint = Fingerprint::of(&body);
    let append = async || store.append("acme", body.clone(), fingerprint).await;
    let begin = async || store.begin([1; 32], [2; 32], now, now).await;
    // The first request after the loss is another one in each round.
    for round in 0..5 {
        eventually(append).await;
        eventually(async || store.put("key", vec![7]).await).await;
        let before = eventually(async || store.extent("acme").await).await;
        assert_eq!((before.oldest, before.newest), (0, 1));
        delete_all(&server).await;
        match round {
            0 => assert_eq!(eventually(append).await, Appended::Stored),
            1 => eventually(async || store.put("key", vec![8]).await).await,
            2 => assert_eq!(eventually(async || store.get("key").await).await, None),
            3 => assert_eq!(eventually(begin).await, CallState::New),
            _ => assert!(eventually(async || store.list("").await).await.is_empty()),
        }
        let after = eventually(async || store.extent("acme").await).await;
        assert_ne!(after.log, before.log, "its cursors expire");
        assert_eq!((after.oldest, after.newest), (0, u64::from(round == 0)));
    }
}

#[tokio::test]
async fn the_key_of_request_ids_outlives_its_stream() {
    let server = Server::start().await;
    let (first, second) = (connect(&server).await, connect(&server).await);
    let key = first.key().await.unwrap();
    assert_eq!(second.key().await.unwrap(), key);
    delete_all(&server).await;
    // A request finds the loss; the key is written back before the next one.
    eventually(async || first.put("key", vec![7]).await).await;
    let deadline = Instant::now() + TIMEOUT;
    let bucket = jetstream(&server).await.get_stream("KV_switchboard_state").await.unwrap();
    while bucket.get_last_raw_message_by_subject("$KV.switchboard_state.request_id.key").await.is_err() {
        assert!(Instant::now() < deadline, "the key is not written back");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(connect(&server).await.key().await.unwrap(), key);
    assert_eq!(second.key().await.unwrap(), key);
}

#[tokio::test]
async fn a_gateway_with_another_key_begins_no_call() {
    let server = Server::start().await;
    let store = connect(&server).await;
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    store.key().await.unwrap();
    assert_eq!(store.begin([1; 32], [2; 32], now, now).await.unwrap(), CallState::New);
    // Another gateway has replaced the key.
    let jetstream = jetstream(&server).await;
    jetstream.publish("$KV.switchboard_state.request_id.key", vec![9; 32].into()).await.unwrap().await.unwrap();
    jetstream.delete_stream("KV_switchboard_request_ids").await.unwrap();
    let deadline = Instant::now() + TIMEOUT;
    while !store.lacks_a_stream() {
        assert!(Instant::now() < deadline, "the other key is not noticed");
        // Finds the lost stream, which causes a check.
        let _ = store.begin([3; 32], [2; 32], now, now).await;
    }
    let error = store.begin([4; 32], [2; 32], now, now).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
}

#[tokio::test]
async fn the_outcome_of_a_call_that_runs_outlives_the_bucket() {
    let server = Server::start().await;
    let (here, there) = (connect(&server).await, connect(&server).await);
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let begin = async |store: &JetStream, call: u8| store.begin([call; 32], [2; 32], now, now).await;
    // Completed as the first request after the loss, and once another request has found it.
    for round in 0..2 {
        let (call, discarded) = (4 * round, 4 * round + 1);
        for call in [call, discarded] {
            assert_eq!(begin(&here, call).await.unwrap(), CallState::New);
        }
        jetstream(&server).await.delete_stream("KV_switchboard_request_ids").await.unwrap();
        if round == 1 {
            assert_eq!(eventually(async || begin(&there, 4 * round + 2).await).await, CallState::New);
        }
        here.complete([call; 32], b"sealed".to_vec()).await.unwrap();
        here.discard([discarded; 32]).await.unwrap();
        for store in [&there, &here] {
            assert_eq!(begin(store, call).await.unwrap(), CallState::Completed(b"sealed".to_vec()));
            let other = store.begin([call; 32], [3; 32], now, now).await.unwrap();
            assert_eq!(other, CallState::ContentMismatch);
        }
        assert_eq!(begin(&there, discarded).await.unwrap(), CallState::New);
    }
}

#[tokio::test]
async fn a_call_that_began_again_after_the_loss_has_its_own_outcome() {
    let server = Server::start().await;
    let (here, there) = (connect(&server).await, connect(&server).await);
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let begin = async |store: &JetStream| store.begin([1; 32], [2; 32], now, now).await;
    assert_eq!(begin(&here).await.unwrap(), CallState::New);
    jetstream(&server).await.delete_stream("KV_switchboard_request_ids").await.unwrap();
    assert_eq!(eventually(async || begin(&there).await).await, CallState::New);
    assert!(here.complete([1; 32], b"first".to_vec()).await.is_err());
    there.complete([1; 32], b"second".to_vec()).await.unwrap();
    assert_eq!(begin(&here).await.unwrap(), CallState::Completed(b"second".to_vec()));
}

/// A gateway with a center that posts events.
struct Gateway {
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    async fn start(server: &Server) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = format!(
            "[listen]\ngrpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n[events]\ncallback_key = 'key-of-16-bytes..'\n[nats]\nurl = '{}'\n\
             [centers.beta]\nvendor = 'huawei'\nbase_url = 'http://127.0.0.1:1'\nallow_plaintext = true\napp_key = 'k'\n\
             app_secret = 's'\ncallback_secret = '{SECRET}'\n",
            server.url()
        );
        let config = Config::parse(&text, "test", &|_| None).unwrap();
        let clock = Clock::system();
        let stores = Stores::open(&config, &clock).await.unwrap();
        let gateway = gateway::bind(config, clock, stores).await.unwrap();
        let (grpc, http, admin) = (gateway.grpc_address(), gateway.http_address(), gateway.admin_address());
        tokio::spawn(gateway.run(std::future::pending()));
        Self { grpc: grpc.unwrap(), http: http.unwrap(), admin: admin.unwrap() }
    }

    /// Posts an event; the status of the response.
    async fn post(&self, number: usize) -> u16 {
        let url = format!("http://{}/callbacks/beta/{SECRET}", self.http);
        let body = format!(r#"{{"callSerialNo":"c-{number}","uuid":"u-{number}"}}"#);
        client().post(url).body(body).send().await.unwrap().status().as_u16()
    }

    async fn readiness(&self) -> (u16, String) {
        let response = client().get(format!("http://{}/readyz", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn wait_until_ready(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while self.readiness().await.0 != 200 {
            assert!(Instant::now() < deadline, "not ready");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first event from here on, and its cursor.
    async fn first(&self, start: Start) -> Result<(Event, String), Status> {
        let channel = tonic::transport::Endpoint::new(format!("http://{}", self.grpc)).unwrap().connect_lazy();
        let mut client = ContactCenterClient::new(channel);
        let parent = "centers/beta".to_owned();
        let request = WatchEventsRequest { parent, start: Some(start), ..WatchEventsRequest::default() };
        let mut items = client.watch_events(request).await?.into_inner();
        let wait = async {
            loop {
                let response = items.message().await?.unwrap();
                if let Some(Item::Event(event)) = response.item {
                    return Ok((event, response.cursor));
                }
            }
        };
        timeout(TIMEOUT, wait).await.unwrap()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn events_are_stored_again_and_cursors_of_the_lost_log_expire() {
    let server = Server::start().await;
    let gateway = Gateway::start(&server).await;
    assert_eq!(gateway.post(1).await, 200);
    let beginning = Start::StartTime(prost_types::Timestamp::default());
    let (event, cursor) = gateway.first(beginning.clone()).await.unwrap();
    assert_eq!(event.call.unwrap().call_id, "c-1");
    assert_eq!(gateway.readiness().await.0, 200);

    delete_all(&server).await;
    let deadline = Instant::now() + TIMEOUT;
    while gateway.post(2).await != 200 {
        assert!(Instant::now() < deadline, "the stream is not created again");
    }
    let expired = gateway.first(Start::Cursor(cursor)).await.unwrap_err();
    assert_eq!(expired.code(), Code::OutOfRange, "{expired}");
    let (event, _) = gateway.first(beginning).await.unwrap();
    assert_eq!(event.call.unwrap().call_id, "c-2");
    gateway.wait_until_ready().await;
}

#[tokio::test]
async fn a_gateway_whose_stream_cannot_be_created_again_is_not_ready() {
    let server = Server::start().await;
    let gateway = Gateway::start(&server).await;
    let jetstream = jetstream(&server).await;
    // Its subjects overlap with the lost stream's, and none of the gateway's is among them.
    let blocker = StreamConfig {
        name: "BLOCKER".to_owned(),
        subjects: vec!["switchboard.events.*.blocked".to_owned()],
        ..StreamConfig::default()
    };
    let deadline = Instant::now() + TIMEOUT;
    loop {
        assert!(Instant::now() < deadline, "the gateway is always faster");
        let _ = jetstream.delete_stream("SWITCHBOARD_EVENTS_beta").await;
        // The gateway may have been faster.
        if jetstream.create_stream(&blocker).await.is_ok() {
            break;
        }
    }
    assert_eq!(gateway.post(1).await, 503);
    while gateway.readiness().await != (503, "storage incomplete\n".to_owned()) {
        assert!(Instant::now() < deadline, "ready without its stream");
        sleep(Duration::from_millis(50)).await;
    }

    jetstream.delete_stream("BLOCKER").await.unwrap();
    gateway.wait_until_ready().await;
    assert_eq!(gateway.post(1).await, 200);
}
