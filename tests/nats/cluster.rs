//! A cluster of three servers with three replicas.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use switchboard::{
    config::Nats,
    error::{ErrorReason, Result},
    store::{
        event_log::{Appended, EventLog as _},
        fingerprint::Fingerprint,
        idempotency::{CallState, IdempotencyStore as _},
        jetstream::JetStream,
        kv::KeyValueStore as _,
    },
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{event_log::events, server::Server, stores::connect_with};

/// Timeout of what must happen.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The store of another gateway, with the URLs of all servers.
async fn connect(servers: &[Server]) -> JetStream {
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    let nats = Nats { url: urls.join(",").into(), credentials: None, replicas: 3 };
    connect_with(&nats, &events()).await.unwrap()
}

async fn post(store: &JetStream, body: String) -> Result<Appended> {
    let body = Bytes::from(body);
    let fingerprint = Fingerprint::of(&body);
    store.append("acme", body, fingerprint).await
}

/// Retries until the event is acknowledged, as a vendor does.
async fn post_until_acknowledged(store: &JetStream, body: String) -> Appended {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match post(store, body.clone()).await {
            Ok(appended) => return appended,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

/// An event with a message ID.
fn identified(event: usize) -> String {
    format!(r#"{{"MsgId":"{event}"}}"#)
}

/// The index of the server that leads a stream.
async fn leader(servers: &[Server], stream: &str) -> usize {
    let client = async_nats::connect(servers[0].url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(stream).await.unwrap();
    let leader = stream.cached_info().cluster.as_ref().and_then(|cluster| cluster.leader.clone());
    ["a", "b", "c"].iter().position(|name| Some(*name) == leader.as_deref()).unwrap()
}

/// Waits until every replica is current, so that the next server can be killed.
///
/// Otherwise the next election could need a server that restarted with an empty log. Its vote counts only when all
/// servers take part, so there would be no leader until the killed one is back.
async fn all_replicas_are_current(url: &str) {
    let context = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let stream = context.get_stream("SWITCHBOARD_EVENTS_acme").await;
        let cluster = stream.ok().and_then(|stream| stream.cached_info().cluster.clone()).unwrap_or_default();
        if cluster.replicas.iter().filter(|replica| replica.current && !replica.offline).count() == 2 {
            return;
        }
        assert!(Instant::now() < deadline, "{cluster:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn two_gateways_agree_at_the_same_moment() {
    let servers = Server::cluster().await;
    let stores = [connect(&servers).await, connect(&servers).await];
    let posts = stream::iter(0..400).map(|number| {
        // Each event goes to both gateways.
        let (store, event) = (&stores[number % 2], number / 2);
        async move {
            if event % 2 == 0 {
                // A retry is a duplicate, however late.
                return Ok(post_until_acknowledged(store, identified(event)).await);
            }
            post(store, format!(r#"{{"State":"{event}"}}"#)).await
        }
    });
    // Not all at once: each waits for the disks of three servers.
    let outcomes: Vec<Result<Appended>> = posts.buffer_unordered(16).collect().await;
    let newest = usize::try_from(stores[0].extent("acme").await.unwrap().newest).unwrap();
    let mut reader = stores[1].read("acme", 0).await.unwrap();
    let mut bodies = Vec::new();
    while bodies.len() < newest {
        bodies.extend(reader.next().await.unwrap().into_iter().map(|record| record.body));
    }
    let distinct: BTreeSet<&Bytes> = bodies.iter().collect();
    assert_eq!((distinct.len(), bodies.len()), (newest, newest), "no event is stored twice");
    assert!((0..200).step_by(2).all(|event| distinct.contains(&Bytes::from(identified(event)))));
    // On a stalled machine some posts may fail with an unknown outcome.
    if outcomes.iter().all(Result::is_ok) {
        assert_eq!(newest, 200);
    }

    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut calls = JoinSet::new();
    for number in 0..40_u8 {
        let store = Arc::new(stores[usize::from(number) % 2].clone());
        calls.spawn(async move { store.begin([number / 4; 32], [0; 32], now, now).await.unwrap() });
    }
    let states = calls.join_all().await;
    assert_eq!(states.iter().filter(|state| **state == CallState::New).count(), 10, "{states:?}");
    assert_eq!(stores[0].key().await.unwrap(), stores[1].key().await.unwrap());
    for number in 0..20_u8 {
        stores[0].put("a.b", vec![number]).await.unwrap();
        assert_eq!(stores[1].get("a.b").await.unwrap().unwrap(), [number]);
        assert_eq!(stores[1].list("a.").await.unwrap(), [("a.b".to_owned(), vec![number])]);
    }
}

#[tokio::test]
async fn any_one_server_may_be_killed() {
    let mut servers = Server::cluster().await;
    let store = connect(&servers).await;
    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            let (mut bodies, mut position) = (Vec::new(), 0);
            while bodies.len() < 60 {
                // A watcher resumes at its position when a reader fails.
                let Ok(mut reader) = store.read("acme", position).await else { continue };
                while bodies.len() < 60
                    && let Ok(page) = reader.next().await
                {
                    position = page[page.len() - 1].sequence;
                    bodies.extend(page.into_iter().map(|record| record.body));
                }
            }
            bodies
        }
    });
    for (round, server) in servers.iter_mut().enumerate() {
        for number in 0..10 {
            post_until_acknowledged(&store, format!(r#"{{"MsgId":"{round}-{number}"}}"#)).await;
        }
        server.kill();
        for number in 10..20 {
            post_until_acknowledged(&store, format!(r#"{{"MsgId":"{round}-{number}"}}"#)).await;
        }
        server.restart().await;
        all_replicas_are_current(&server.url()).await;
    }
    let bodies = timeout(TIMEOUT, reading).await.unwrap().unwrap();
    let expected = (0..3).flat_map(|round| (0..20).map(move |number| format!(r#"{{"MsgId":"{round}-{number}"}}"#)));
    assert!(bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned()).eq(expected));
}

#[tokio::test]
async fn a_completion_is_recorded_after_a_new_leader_is_elected() {
    let mut servers = Server::cluster().await;
    let (here, there) = (connect(&servers).await, connect(&servers).await);
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for call in 0..2 {
        assert_eq!(here.begin([call; 32], [0; 32], now, now).await.unwrap(), CallState::New);
    }
    let leads = leader(&servers, "KV_switchboard_request_ids").await;
    servers[leads].kill();
    tokio::try_join!(here.complete([0; 32], b"sealed".to_vec()), here.discard([1; 32])).unwrap();
    let ended = there.begin([0; 32], [0; 32], now, now).await.unwrap();
    assert_eq!(ended, CallState::Completed(b"sealed".to_vec()));
    assert_eq!(there.begin([1; 32], [0; 32], now, now).await.unwrap(), CallState::New);
}

#[tokio::test]
async fn a_response_without_a_leader_is_ignored() {
    let mut servers = Server::cluster().await;
    let store = connect(&servers).await;
    post_until_acknowledged(&store, "event".to_owned()).await;
    store.put("key", Vec::new()).await.unwrap();
    let [left, gone @ ..] = &mut servers;
    gone.iter_mut().for_each(Server::kill);
    let context = async_nats::jetstream::new(async_nats::connect(left.url()).await.unwrap());
    for stream in ["SWITCHBOARD_EVENTS_acme", "KV_switchboard_state"] {
        let deadline = Instant::now() + TIMEOUT;
        // It takes a while until the server notices the lost leader and responds with its own state.
        let is_led = |response: &Stream| response.cached_info().cluster.as_ref().unwrap().leader.is_some();
        while context.get_stream(stream).await.ok().is_none_or(|response| is_led(&response)) {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(store.extent("acme").await.unwrap_err().reason(), ErrorReason::StorageUnavailable);
    assert_eq!(store.list("").await.unwrap_err().reason(), ErrorReason::StorageUnavailable);
}
