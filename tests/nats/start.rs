//! The setup of the store at the gateway's start, and its errors.

use std::time::Duration;

use bytes::Bytes;
use switchboard::{
    config::{Events, Nats},
    error::ErrorReason,
    store::{
        event_log::{EventLog, PAGE_RECORDS},
        fingerprint::Fingerprint,
    },
};

use crate::{
    event_log::events,
    server::Server,
    stores::{connect, connect_with, nats},
};

/// The error of a gateway that cannot start.
async fn start_error(nats: &Nats, events: &Events) -> String {
    connect_with(nats, events).await.unwrap_err().to_string()
}

async fn append_all(log: &dyn EventLog, bodies: impl IntoIterator<Item = String>) {
    for body in bodies {
        let body = Bytes::from(body);
        let fingerprint = Fingerprint::of(&body);
        log.append("acme", body, fingerprint).await.unwrap();
    }
}

#[tokio::test]
async fn an_unreachable_server_is_reported_at_once() {
    let mut server = Server::start().await;
    server.kill();
    let nats = nats(&server);
    let error = start_error(&nats, &events()).await;
    assert_eq!(error, "nats.url: no server can be reached");
}

#[tokio::test]
async fn a_hanging_server_is_reported_in_time() {
    let server = Server::start().await;
    server.stop().await;
    let error = start_error(&nats(&server), &events()).await;
    assert_eq!(error, "nats.url: no server responds in time");
}

#[tokio::test]
async fn credentials_are_used_and_never_shown() {
    let settings = "authorization { user: me, password: \"s3cr3t@\" }\njetstream { store_dir: STORE }";
    let server = Server::start_with(settings).await;
    let with = |user: &str| Nats { url: server.url().replace("//", &format!("//{user}")).into(), ..nats(&server) };
    for user in ["", "me:wr0ng@"] {
        let error = start_error(&with(user), &events()).await;
        assert_eq!(error, "nats.url: the server rejects the credentials, or requires them");
    }
    let store = connect_with(&with("me:s3cr3t%40@"), &events()).await.unwrap();
    assert!(!format!("{store:?} {:?}", with("me:s3cr3t%40@")).contains("s3cr3t"));
}

#[tokio::test]
async fn a_user_without_a_password_is_a_token() {
    let server = Server::start_with("authorization { token: \"t0ken@\" }\njetstream { store_dir: STORE }").await;
    let with = |login: &str| Nats { url: server.url().replace("//", &format!("//{login}@")).into(), ..nats(&server) };
    let error = start_error(&with("wr0ng"), &events()).await;
    assert_eq!(error, "nats.url: the server rejects the credentials, or requires them");
    connect_with(&with("t0ken%40"), &events()).await.unwrap();
}

#[tokio::test]
async fn one_reachable_server_of_several_is_enough() {
    let (mut gone, server) = (Server::start().await, Server::start().await);
    gone.kill();
    let url = format!("{},{}", gone.url(), server.url());
    connect_with(&Nats { url: url.into(), ..nats(&server) }, &events()).await.unwrap();
}

#[tokio::test]
async fn a_server_without_jetstream_is_rejected() {
    let server = Server::start_with("").await;
    let error = start_error(&nats(&server), &events()).await;
    assert_eq!(error, "nats.url: JetStream is not enabled on the server or for this account");
}

#[tokio::test]
async fn a_standalone_server_supports_one_replica() {
    let server = Server::start().await;
    let more = Nats { replicas: 3, ..nats(&server) };
    let expected = "nats.replicas: the server is not clustered; it supports one replica";
    assert_eq!(start_error(&more, &events()).await, expected);
    // Also when the streams exist already.
    connect(&server).await;
    assert_eq!(start_error(&more, &events()).await, expected);
}

#[tokio::test]
async fn a_server_s_rejection_is_reported_with_its_text() {
    let small = Server::start_with("jetstream { store_dir: STORE, max_file: 1MB }").await;
    let error = start_error(&nats(&small), &events()).await;
    assert!(error.starts_with("nats: stream SWITCHBOARD_EVENTS_"), "{error}");
    assert!(error.contains("insufficient storage resources"), "{error}");
}

#[tokio::test]
async fn a_changed_configuration_changes_the_streams_and_keeps_the_events() {
    let server = Server::start().await;
    let first = connect(&server).await;
    append_all(&first, (0..100).map(|number| format!("{number:01000}"))).await;
    let before = first.extent("acme").await.unwrap();
    drop(first);

    let same = connect(&server).await;
    assert_eq!(same.extent("acme").await.unwrap(), before);
    let smaller = Events { retention_size: 32 << 10, duplicate_window: Duration::from_secs(1), ..events() };
    let changed = connect_with(&nats(&server), &smaller).await.unwrap();
    let after = changed.extent("acme").await.unwrap();
    assert_eq!((after.log, after.newest), (before.log, before.newest));
    assert!(after.oldest > before.oldest);
    // Shorter than JetStream accepts, and a retention below the window.
    let short = Events { retention: Duration::from_millis(1), duplicate_window: Duration::from_millis(1), ..events() };
    connect_with(&nats(&server), &short).await.unwrap();
}

#[tokio::test]
async fn gateways_that_start_at_the_same_time_agree() {
    let server = Server::start().await;
    let stores = (0..4).map(|_| connect(&server));
    let stores = futures_util::future::join_all(stores).await;
    let extent = stores[0].extent("acme").await.unwrap();
    for store in stores {
        assert_eq!(store.extent("acme").await.unwrap(), extent);
    }
}

#[tokio::test]
async fn an_event_beyond_max_payload_is_rejected() {
    let server = Server::start_with("jetstream { store_dir: STORE }").await;
    let store = connect(&server).await;
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let fingerprint = Fingerprint::of(&body);
    let error = store.append("acme", body, fingerprint).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::RequestTooLarge);
    assert_eq!(store.extent("acme").await.unwrap().newest, 0);
}

#[tokio::test]
async fn a_recreated_stream_is_another_log() {
    let server = Server::start().await;
    let store = connect(&server).await;
    append_all(&store, (0..PAGE_RECORDS).map(|number| number.to_string())).await;
    let before = store.extent("acme").await.unwrap();
    let mut reader = store.read("acme", before.newest).await.unwrap();

    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    context.delete_stream("SWITCHBOARD_EVENTS_acme").await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let after = loop {
        match store.extent("acme").await {
            Ok(after) => break after,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
    };
    assert_ne!(after.log, before.log);
    assert_eq!((after.oldest, after.newest), (0, 0));
    assert_eq!(connect(&server).await.extent("acme").await.unwrap(), after);
    // A reader of the old log fails and does not wait forever.
    let end = tokio::time::timeout(Duration::from_secs(60), reader.next()).await.unwrap();
    assert_eq!(end.unwrap_err().reason(), ErrorReason::StorageUnavailable);
}
