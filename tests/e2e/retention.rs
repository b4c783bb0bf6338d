//! Events that leave the log while somebody wants them.

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

/// What happens to a log right before its second reader begins.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    /// So much is posted that what is there leaves.
    Pushed,
    /// So much time passes.
    Aged,
}

/// The log of center `beta` in which events leave once they are looked for.
struct Leaving {
    log: Arc<dyn EventLog>,
    day: Day,
    meanwhile: Meanwhile,
    readers: AtomicUsize,
}

impl Leaving {
    async fn keep(&self, center: &str, bodies: impl IntoIterator<Item = String>) {
        for body in bodies.into_iter().map(Bytes::from) {
            let fingerprint = Fingerprint::of(&body);
            self.log.append(center, body, fingerprint).await.unwrap();
        }
    }
}

impl std::fmt::Debug for Leaving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leaving")
    }
}

#[async_trait]
impl EventLog for Leaving {
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
        // The first one follows the end of the log.
        match (self.readers.fetch_add(1, Ordering::AcqRel), self.meanwhile) {
            (1, Meanwhile::Pushed) => self.keep("beta", (100..200).map(numbered)).await,
            (1, Meanwhile::Aged) => {
                self.day.pass(Duration::from_secs(7200));
                // Whatever is kept anywhere takes what is too old along.
                self.keep("acme", [numbered(0)]).await;
            }
            _ => {}
        }
        self.log.read(center, after).await
    }
}

/// A gateway whose center `beta` has three events, which leave while a stream begins; and the position before them.
async fn leaving(meanwhile: Meanwhile, terms: &str) -> (Client, Arc<Leaving>) {
    install_cryptography();
    let text = format!(
        "[listen]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[events]\n{terms}\n{}{}",
        posting(),
        crate::support::acme("127.0.0.1:1".parse().unwrap())
    );
    let config = Config::parse(&text, "test", &|_| None).unwrap();
    let day = Day::default();
    let clock = Clock::from_source(day.clone());
    let mut stores = Stores::in_memory(&config, &clock).unwrap();
    let readers = AtomicUsize::new(0);
    let log = Arc::new(Leaving { log: stores.events.clone(), day, meanwhile, readers });
    stores.events = log.clone();
    log.keep("beta", (0..3).map(numbered)).await;
    let gateway = gateway::bind(config, clock, stores).await.unwrap();
    let grpc = gateway.grpc_address().unwrap();
    tokio::spawn(gateway.run(std::future::pending()));
    (Client::connect(grpc).await, log)
}

fn is_of(call_id: &str, mut numbers: std::ops::Range<usize>) -> bool {
    numbers.any(|number| call_id == format!("c-{number}"))
}

#[tokio::test]
async fn what_is_too_old_is_gone_and_its_cursor_expired() {
    let keys = format!("[events]\nretention_size = \"4KiB\"\n{}", posting());
    let gateway = Gateway::start(&keys).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    posted(&gateway, [numbered(0)]).await;
    watcher.event().await;
    posted(&gateway, (1..100).map(numbered)).await;
    let strict = from("beta", &watcher.cursor);
    let refused = Watcher::open(gateway.client.channel.clone(), strict.clone()).await.err().unwrap();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"));
    // Meanwhile what was the oldest event leaves, too: the cursor that was told is good all the same.
    posted(&gateway, (100..200).map(numbered)).await;
    let oldest = from("beta", &refused.metadata["oldestCursor"]);
    let mut oldest = Watcher::open(gateway.client.channel.clone(), oldest).await.unwrap();
    let first = oldest.event().await.call.unwrap().call_id;
    assert!(is_of(&first, 100..200), "{first}");
    assert_eq!(Watcher::open(gateway.client.channel.clone(), strict).await.err().unwrap().reason, "CURSOR_EXPIRED");
    // From its first event on, a stream misses nothing in silence.
    let kept = from("beta", &oldest.cursor);
    posted(&gateway, (200..300).map(numbered)).await;
    assert_eq!(Watcher::open(gateway.client.channel.clone(), kept).await.err().unwrap().reason, "CURSOR_EXPIRED");
}

#[tokio::test]
async fn a_stream_that_begins_at_a_time_begins_with_what_is_left() {
    let (client, _) = leaving(Meanwhile::Pushed, "retention_size = \"4KiB\"").await;
    let mut watcher = Watcher::open(client.channel.clone(), at("beta", UNIX_EPOCH)).await.unwrap();
    let first = watcher.event().await.call.unwrap().call_id;
    assert!(is_of(&first, 100..200), "{first}");
}

#[tokio::test]
async fn who_waits_for_events_that_are_all_gone_is_told() {
    let (client, log) = leaving(Meanwhile::Aged, "retention = \"1h\"").await;
    let before =
        switchboard::event::cursor::Cursor { log: log.extent("beta").await.unwrap().log, position: 0, may_skip: false };
    let mut request = from("beta", &before.encode("beta"));
    request.heartbeat_interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let mut watcher = Watcher::open(client.channel.clone(), request).await.unwrap();
    let failure = watcher.failure().await;
    assert_eq!((failure.code, failure.reason.as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"));
}
