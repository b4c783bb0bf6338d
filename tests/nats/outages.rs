//! Servers that are killed, restart and hang.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use bytes::Bytes;
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
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    event_log::events,
    server::Server,
    stores::{connect, connect_with, nats},
};

/// Timeout of what must happen.
const TIMEOUT: Duration = Duration::from_secs(60);

async fn post(store: &JetStream, number: usize) -> Result<Appended> {
    // Alternates bodies with and without a message ID.
    let name = if number.is_multiple_of(2) { "MsgId" } else { "State" };
    let body = Bytes::from(format!(r#"{{"{name}":"{number}"}}"#));
    let fingerprint = Fingerprint::of(&body);
    store.append("acme", body, fingerprint).await
}

/// Waits until a server responds again.
async fn wait_until_responsive(store: &JetStream) {
    let deadline = Instant::now() + TIMEOUT;
    while let Err(error) = store.extent("acme").await {
        assert!(Instant::now() < deadline, "{error}");
    }
}

#[tokio::test]
async fn acknowledged_events_survive_a_killed_server() {
    let mut server = Server::start_with("jetstream { store_dir: STORE, sync_interval: always }").await;
    let store = connect(&server).await;
    let mut reader = store.read("acme", 0).await.unwrap();
    let mut stored = 0;
    for _ in 0..3 {
        for _ in 0..10 {
            assert_eq!(post(&store, stored).await.unwrap(), Appended::Stored);
            stored += 1;
        }
        store.put("key", vec![1; stored]).await.unwrap();
        let before = store.extent("acme").await.unwrap();
        server.kill();
        server.restart().await;
        assert_eq!(store.extent("acme").await.unwrap(), before, "the same log");
        assert_eq!(store.get("key").await.unwrap().unwrap().len(), stored);
        assert_eq!(post(&store, stored - 2).await.unwrap(), Appended::Duplicate, "duplicates are still detected");
    }
    let mut records = Vec::new();
    while records.len() < stored {
        records.extend(timeout(TIMEOUT, reader.next()).await.unwrap().unwrap());
    }
    assert!(records.iter().map(|record| record.sequence).eq(1..=stored as u64));
}

#[tokio::test]
async fn a_reader_resumes_after_a_restart_of_the_server() {
    let mut server = Server::start().await;
    let store = connect(&server).await;
    let mut reader = store.read("acme", 0).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut records = Vec::new();
        while records.len() < 4 {
            records.extend(reader.next().await.unwrap());
        }
        records
    });
    for number in 0..2 {
        post(&store, 2 * number).await.unwrap();
        server.kill();
        server.restart().await;
        post(&store, 2 * number + 1).await.unwrap();
    }
    let records = timeout(TIMEOUT, reading).await.unwrap().unwrap();
    assert!(records.iter().map(|record| record.sequence).eq(1..=4));
}

/// Starts a proxy in front of a server that announces another server in `connect_urls`. Returns the proxy's URL.
async fn advertising(server: &Server, other: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let behind = server.url().replace("nats://", "");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&behind).await else { continue };
            tokio::spawn(async move {
                let (mut server, mut line) = (BufReader::new(server), String::new());
                server.read_line(&mut line).await.unwrap();
                let mut info: serde_json::Value = serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap();
                info["connect_urls"] = serde_json::json!([other.to_string()]);
                client.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn only_servers_of_the_url_are_used() {
    let mut server = Server::start().await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let url = advertising(&server, other.local_addr().unwrap()).await;
    let store = connect_with(&Nats { url: url.into(), ..nats(&server) }, &events()).await.unwrap();
    server.kill();
    // The client tries to reconnect.
    store.extent("acme").await.unwrap_err();
    server.restart().await;
    store.extent("acme").await.unwrap();
    assert_eq!(other.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "no connection was made");
}

#[tokio::test]
async fn without_a_server_every_request_fails_soon_and_none_is_sent_later() {
    let mut server = Server::start().await;
    let store = connect(&server).await;
    let mut reader = store.read("acme", 0).await.unwrap();
    server.kill();
    let start = Instant::now();
    let failed = [
        post(&store, 0).await.map(drop),
        store.extent("acme").await.map(drop),
        store.put("key", Vec::new()).await,
        store.begin([1; 32], [2; 32], std::time::UNIX_EPOCH, std::time::UNIX_EPOCH).await.map(drop),
        timeout(TIMEOUT, reader.next()).await.unwrap().map(drop),
    ];
    assert!(failed.iter().all(|outcome| outcome.as_ref().unwrap_err().reason() == ErrorReason::StorageUnavailable));
    assert!(start.elapsed() < TIMEOUT);

    server.restart().await;
    assert_eq!(post(&store, 1).await.unwrap(), Appended::Stored);
    assert_eq!(store.extent("acme").await.unwrap().newest, 1);
    assert_eq!(store.get("key").await.unwrap(), None);
    let state = store.begin([1; 32], [2; 32], std::time::UNIX_EPOCH, std::time::UNIX_EPOCH).await.unwrap();
    assert_eq!(state, CallState::New);
}

#[tokio::test]
async fn requests_to_a_hanging_server_time_out_and_appends_in_flight_are_bounded() {
    let server = Server::start().await;
    let store = connect(&server).await;
    server.stop().await;
    let mut posts = JoinSet::new();
    for number in 0..1500 {
        let store = store.clone();
        posts.spawn(async move { post(&store, number).await.unwrap_err() });
    }
    let (mut overloaded, mut unavailable) = (0, 0);
    while let Some(error) = timeout(TIMEOUT, posts.join_next()).await.unwrap() {
        match error.unwrap().reason() {
            ErrorReason::CenterOverloaded => overloaded += 1,
            ErrorReason::StorageUnavailable => unavailable += 1,
            other => assert_eq!(other, ErrorReason::StorageUnavailable),
        }
    }
    assert_eq!((overloaded, unavailable), (476, 1024));
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let mut posts = JoinSet::new();
    for _ in 0..20 {
        let (store, large) = (store.clone(), large.clone());
        let fingerprint = Fingerprint::of(&large);
        posts.spawn(async move { store.append("acme", large, fingerprint).await.unwrap_err().reason() });
    }
    let reasons = posts.join_all().await;
    assert_eq!(reasons.iter().filter(|reason| **reason == ErrorReason::CenterOverloaded).count(), 4);

    // A retry after the server continues is stored once, whether the first attempt arrived or not.
    server.resume();
    wait_until_responsive(&store).await;
    // Even numbers only: the short window of the others could have passed.
    for number in (0..100).step_by(2) {
        post(&store, number).await.unwrap();
    }
    let newest = store.extent("acme").await.unwrap().newest;
    for number in (0..100).step_by(2) {
        assert_eq!(post(&store, number).await.unwrap(), Appended::Duplicate);
    }
    assert_eq!(store.extent("acme").await.unwrap().newest, newest);
}

#[tokio::test]
async fn every_request_times_out_while_nothing_can_be_sent() {
    let server = Server::start().await;
    let store = connect(&server).await;
    let mut reader = store.read("acme", 0).await.unwrap();
    server.stop().await;
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let mut asked = JoinSet::new();
    // More than the socket buffers hold.
    for _ in 0..16 {
        let (store, large) = (store.clone(), large.clone());
        let fingerprint = Fingerprint::of(&large);
        asked.spawn(async move { store.append("acme", large, fingerprint).await.map(drop) });
    }
    for _ in 0..500 {
        let store = store.clone();
        asked.spawn(async move { store.extent("acme").await.map(drop) });
    }
    asked.spawn(async move { reader.next().await.map(drop) });
    while let Some(ended) = timeout(TIMEOUT, asked.join_next()).await.unwrap() {
        assert_eq!(ended.unwrap().unwrap_err().reason(), ErrorReason::StorageUnavailable);
    }
}

#[tokio::test]
async fn a_completion_is_recorded_when_the_servers_are_back() {
    let mut server = Server::start().await;
    let (here, there) = (connect(&server).await, connect(&server).await);
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let begin = async |store: &JetStream, call| store.begin([call; 32], [0; 32], now, now).await.unwrap();
    let ends = |of: u8| {
        let (finishes, forgets) = (here.clone(), here.clone());
        tokio::spawn(async move {
            tokio::try_join!(finishes.complete([of; 32], b"sealed".to_vec()), forgets.discard([of + 1; 32])).map(drop)
        })
    };
    for call in 0..4 {
        assert_eq!(begin(&here, call).await, CallState::New);
    }

    server.stop().await;
    let unanswered = ends(0);
    // A later request times out.
    tokio::task::yield_now().await;
    here.extent("acme").await.unwrap_err();
    server.resume();
    unanswered.await.unwrap().unwrap();

    server.kill();
    let unconnected = ends(2);
    tokio::task::yield_now().await;
    here.extent("acme").await.unwrap_err();
    server.restart().await;
    unconnected.await.unwrap().unwrap();

    for call in [0, 2] {
        assert_eq!(begin(&there, call).await, CallState::Completed(b"sealed".to_vec()));
        assert_eq!(begin(&there, call + 1).await, CallState::New, "it had no effect");
    }
}

/// No response arrived, so it is unknown whether the call was recorded; but this gateway knows that it did not run.
#[tokio::test]
async fn a_call_recorded_without_a_reply_may_begin_again() {
    let server = Server::start().await;
    let (here, there) = (connect(&server).await, connect(&server).await);
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let begin = async |store: &JetStream| store.begin([1; 32], [2; 32], now, now).await;
    loop {
        server.stop().await;
        assert_eq!(begin(&here).await.unwrap_err().reason(), ErrorReason::StorageUnavailable);
        server.resume();
        // A request over the same connection is completed after the record has arrived.
        wait_until_responsive(&here).await;
        wait_until_responsive(&there).await;
        // The other gateway does not know that it did not run.
        if begin(&there).await.unwrap() == CallState::Running {
            break;
        }
        // The record was lost with the connection.
        there.discard([1; 32]).await.unwrap();
    }
    assert_eq!(begin(&here).await.unwrap(), CallState::New);
    assert_eq!(begin(&here).await.unwrap(), CallState::Interrupted, "it has state now");
}
