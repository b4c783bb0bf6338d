//! Three servers that keep everything three times.

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

/// How long something may take that must come.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The store of one more gateway that knows all servers.
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

/// Posts until it is acknowledged, as a vendor does.
async fn insist(store: &JetStream, body: String) -> Appended {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match post(store, body.clone()).await {
            Ok(appended) => return appended,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

/// An event that names its message.
fn identified(event: usize) -> String {
    format!(r#"{{"MsgId":"{event}"}}"#)
}

/// Which server leads a stream.
async fn leader(servers: &[Server], stream: &str) -> usize {
    let client = async_nats::connect(servers[0].url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(stream).await.unwrap();
    let leader = stream.cached_info().cluster.as_ref().and_then(|cluster| cluster.leader.clone());
    ["a", "b", "c"].iter().position(|name| Some(*name) == leader.as_deref()).unwrap()
}

/// Waits until each server has all events, so that another one may end.
///
/// Without that one that comes back with nothing could be needed for the next election: a server whose log is empty
/// counts only when all take part, so nobody would lead until the one that ended is back.
async fn all_are_current(url: &str) {
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
        // Each event at both gateways.
        let (store, event) = (&stores[number % 2], number / 2);
        async move {
            if event % 2 == 0 {
                // However long its repeats take, it is known.
                return Ok(insist(store, identified(event)).await);
            }
            post(store, format!(r#"{{"State":"{event}"}}"#)).await
        }
    });
    // Not all at once: each is waited for on the disks of three servers.
    let outcomes: Vec<Result<Appended>> = posts.buffer_unordered(16).collect().await;
    let newest = usize::try_from(stores[0].extent("acme").await.unwrap().newest).unwrap();
    let mut reader = stores[1].read("acme", 0).await.unwrap();
    let mut bodies = Vec::new();
    while bodies.len() < newest {
        bodies.extend(reader.next().await.unwrap().into_iter().map(|record| record.body));
    }
    let kept: BTreeSet<&Bytes> = bodies.iter().collect();
    assert_eq!((kept.len(), bodies.len()), (newest, newest), "none is there twice");
    assert!((0..200).step_by(2).all(|event| kept.contains(&Bytes::from(identified(event)))));
    // A machine that stands still may let others fail, and it is not known what became of these.
    if outcomes.iter().all(Result::is_ok) {
        assert_eq!(newest, 200);
    }

    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut calls = JoinSet::new();
    for number in 0..40_u8 {
        let store = Arc::new(stores[usize::from(number) % 2].clone());
        calls.spawn(async move { store.begin([number / 4; 32], [0; 32], now, now).await.unwrap() });
    }
    let begun = calls.join_all().await;
    assert_eq!(begun.iter().filter(|begun| **begun == CallState::New).count(), 10, "{begun:?}");
    assert_eq!(stores[0].key().await.unwrap(), stores[1].key().await.unwrap());
    for number in 0..20_u8 {
        stores[0].put("a.b", vec![number]).await.unwrap();
        assert_eq!(stores[1].get("a.b").await.unwrap().unwrap(), [number]);
        assert_eq!(stores[1].list("a.").await.unwrap(), [("a.b".to_owned(), vec![number])]);
    }
}

#[tokio::test]
async fn any_one_server_may_end() {
    let mut servers = Server::cluster().await;
    let store = connect(&servers).await;
    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            let (mut bodies, mut position) = (Vec::new(), 0);
            while bodies.len() < 60 {
                // Who watches begins again where it was, when a reader gives up.
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
            insist(&store, format!(r#"{{"MsgId":"{round}-{number}"}}"#)).await;
        }
        server.kill();
        for number in 10..20 {
            insist(&store, format!(r#"{{"MsgId":"{round}-{number}"}}"#)).await;
        }
        server.start_again().await;
        all_are_current(&server.url()).await;
    }
    let bodies = timeout(TIMEOUT, reading).await.unwrap().unwrap();
    let expected = (0..3).flat_map(|round| (0..20).map(move |number| format!(r#"{{"MsgId":"{round}-{number}"}}"#)));
    assert!(bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned()).eq(expected));
}

#[tokio::test]
async fn what_became_of_a_call_is_noted_when_another_server_leads() {
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
async fn what_a_server_says_that_none_leads_is_not_believed() {
    let mut servers = Server::cluster().await;
    let store = connect(&servers).await;
    insist(&store, "event".to_owned()).await;
    store.put("key", Vec::new()).await.unwrap();
    let [left, gone @ ..] = &mut servers;
    gone.iter_mut().for_each(Server::kill);
    let context = async_nats::jetstream::new(async_nats::connect(left.url()).await.unwrap());
    for stream in ["SWITCHBOARD_EVENTS_acme", "KV_switchboard_state"] {
        let deadline = Instant::now() + TIMEOUT;
        // It takes its time until it sees that none leads, not even itself, and answers what it knows.
        let is_led = |answer: &Stream| answer.cached_info().cluster.as_ref().unwrap().leader.is_some();
        while context.get_stream(stream).await.ok().is_none_or(|answer| is_led(&answer)) {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(store.extent("acme").await.unwrap_err().reason(), ErrorReason::StorageUnavailable);
    assert_eq!(store.list("").await.unwrap_err().reason(), ErrorReason::StorageUnavailable);
}
