//! Events that retention removes while a stream needs them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use switchboard::{
    clock::Clock,
    config::Config,
    error::Result,
    gateway,
    store::{
        Stores,
        event_log::{Appended, EventLog, Extent, Reader},
        fingerprint::Fingerprint,
    },
};
use tonic::Code;

use crate::support::{
    Day, Gateway,
    client::Client,
    events::{Watcher, at, from, numbered, posted, posting, request},
    install_cryptography,
};

/// What happens to the log right before its second reader opens.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    /// New events exceed the retention size.
    SizeExceeded,
    /// The retention time passes.
    Expired,
}

/// A log that removes the events of center `beta` right before the second read.
struct TrimmedLog {
    log: Arc<dyn EventLog>,
    day: Day,
    meanwhile: Meanwhile,
    readers: AtomicUsize,
}

impl TrimmedLog {
    async fn append_all(&self, center: &str, bodies: impl IntoIterator<Item = String>) {
        for body in bodies.into_iter().map(Bytes::from) {
            let fingerprint = Fingerprint::of(&body);
            self.log.append(center, body, fingerprint).await.unwrap();
        }
    }
}

impl std::fmt::Debug for TrimmedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrimmedLog")
    }
}

#[async_trait]
impl EventLog for TrimmedLog {
    async fn append(&self, center: &str, body: Bytes, fingerprint: Fingerprint) -> Result<Appended> {
        self.log.append(center, body, fingerprint).await
    }

    async fn extent(&self, center: &str) -> Result<Extent> {
        self.log.extent(center).await
    }

    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64> {
        self.log.seek(center, time).await
    }

    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>> {
        // The first reader follows the end of the log.
        match (self.readers.fetch_add(1, Ordering::AcqRel), self.meanwhile) {
            (1, Meanwhile::SizeExceeded) => self.append_all("beta", (100..200).map(numbered)).await,
            (1, Meanwhile::Expired) => {
                self.day.pass(Duration::from_secs(7200));
                // An append to any log removes the expired events of all.
                self.append_all("acme", [numbered(0)]).await;
            }
            _ => {}
        }
        self.log.read(center, after).await
    }
}

/// A gateway whose center `beta` has three events, which are removed while a stream opens; and its log.
async fn trimmed(meanwhile: Meanwhile, keys: &str) -> (Client, Arc<TrimmedLog>) {
    install_cryptography();
    let text = format!(
        "[listen]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[events]\n{keys}\n{}{}",
        posting(),
        crate::support::acme("127.0.0.1:1".parse().unwrap())
    );
    let config = Config::parse(&text, "test", &|_| None).unwrap();
    let day = Day::default();
    let clock = Clock::from_source(day.clone());
    let mut stores = Stores::in_memory(&config, &clock).unwrap();
    let readers = AtomicUsize::new(0);
    let log = Arc::new(TrimmedLog { log: stores.events.clone(), day, meanwhile, readers });
    stores.events = log.clone();
    log.append_all("beta", (0..3).map(numbered)).await;
    let gateway = gateway::bind(config, clock, stores).await.unwrap();
    let grpc = gateway.grpc_address().unwrap();
    tokio::spawn(gateway.run(std::future::pending()));
    (Client::connect(grpc).await, log)
}

fn is_of(call_id: &str, mut numbers: std::ops::Range<usize>) -> bool {
    numbers.any(|number| call_id == format!("c-{number}"))
}

#[tokio::test]
async fn a_cursor_of_a_removed_event_is_expired() {
    let keys = format!("[events]\nretention_size = \"4KiB\"\n{}", posting());
    let gateway = Gateway::start(&keys).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    posted(&gateway, [numbered(0)]).await;
    watcher.event().await;
    posted(&gateway, (1..100).map(numbered)).await;
    let strict = from("beta", &watcher.cursor);
    let refused = Watcher::open(gateway.client.channel.clone(), strict.clone()).await.err().unwrap();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"));
    // The formerly oldest event is removed, too: the returned cursor stays valid.
    posted(&gateway, (100..200).map(numbered)).await;
    let oldest = from("beta", &refused.metadata["oldestCursor"]);
    let mut oldest = Watcher::open(gateway.client.channel.clone(), oldest).await.unwrap();
    let first = oldest.event().await.call.unwrap().call_id;
    assert!(is_of(&first, 100..200), "{first}");
    assert_eq!(Watcher::open(gateway.client.channel.clone(), strict).await.err().unwrap().reason, "CURSOR_EXPIRED");
    // After its first event, a stream never skips events silently.
    let resumed = from("beta", &oldest.cursor);
    posted(&gateway, (200..300).map(numbered)).await;
    assert_eq!(Watcher::open(gateway.client.channel.clone(), resumed).await.err().unwrap().reason, "CURSOR_EXPIRED");
}

#[tokio::test]
async fn a_stream_from_a_time_begins_with_the_oldest_event_left() {
    let (client, _) = trimmed(Meanwhile::SizeExceeded, "retention_size = \"4KiB\"").await;
    let mut watcher = Watcher::open(client.channel.clone(), at("beta", UNIX_EPOCH)).await.unwrap();
    let first = watcher.event().await.call.unwrap().call_id;
    assert!(is_of(&first, 100..200), "{first}");
}

#[tokio::test]
async fn a_stream_whose_events_are_all_removed_fails() {
    let (client, log) = trimmed(Meanwhile::Expired, "retention = \"1h\"").await;
    let before =
        switchboard::event::cursor::Cursor { log: log.extent("beta").await.unwrap().log, position: 0, may_skip: false };
    let mut request = from("beta", &before.encode("beta"));
    request.heartbeat_interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let mut watcher = Watcher::open(client.channel.clone(), request).await.unwrap();
    let failure = watcher.failure().await;
    assert_eq!((failure.code, failure.reason.as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"));
}
