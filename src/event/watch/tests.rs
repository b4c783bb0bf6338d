//! Streams and their feed over a log that does what a test says.

mod gaps;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::UNIX_EPOCH,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::{
    adapter::{Adapter, Agents, Calls, Events, Extensions, PhoneNumbers, Queues, Softphones, Subscriptions},
    clock::Clock,
    context::Context,
    proto::v1,
    store::{
        event_log::{Appended, EventLog},
        fingerprint::Fingerprint,
    },
    telemetry::Metrics,
};

const LOG: u64 = 7;
const CENTER: &str = "acme";
/// The wanted type; an event's body is its type's number.
const WANTED: i32 = v1::EventType::CallQueued as i32;
const OTHER: i32 = v1::EventType::CallHungUp as i32;

/// A log of events, a second apart, whose old end a test removes.
#[derive(Debug, Default)]
struct ScriptedLog {
    types: Mutex<Vec<i32>>,
    oldest: AtomicU64,
    /// Readers that were opened, and pages that they gave.
    readers: AtomicUsize,
    pages: AtomicUsize,
    /// How often its ends were asked for.
    extents: AtomicUsize,
    /// From now on reading fails.
    fails: AtomicBool,
    appended: Notify,
}

struct ScriptedReader {
    log: Arc<ScriptedLog>,
    after: u64,
}

/// A vendor of whom only the events matter.
#[derive(Debug)]
struct PlainAdapter;

impl ScriptedLog {
    fn append(&self, types: impl IntoIterator<Item = i32>) {
        self.types.lock().unwrap().extend(types);
        self.appended.notify_waiters();
    }

    fn newest(&self) -> u64 {
        self.types.lock().unwrap().len() as u64
    }

    fn readers(&self) -> usize {
        self.readers.load(Ordering::Acquire)
    }
}

fn received(sequence: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(sequence)
}

/// The log as the feed has it: a reader needs to share it.
#[derive(Debug)]
struct Shared(Arc<ScriptedLog>);

#[async_trait]
impl EventLog for Shared {
    async fn append(&self, _center: &str, _body: Bytes, _fingerprint: Fingerprint) -> Result<Appended> {
        unreachable!("nobody posts")
    }

    async fn extent(&self, _center: &str) -> Result<Extent> {
        self.0.extents.fetch_add(1, Ordering::AcqRel);
        Ok(Extent { log: LOG, oldest: self.0.oldest.load(Ordering::Acquire), newest: self.0.newest() })
    }

    async fn seek(&self, _center: &str, time: SystemTime) -> Result<u64> {
        let before = (1..=self.0.newest()).take_while(|sequence| received(*sequence) < time).count();
        Ok(before as u64)
    }

    async fn read(&self, _center: &str, after: u64) -> Result<Box<dyn Reader>> {
        self.0.readers.fetch_add(1, Ordering::AcqRel);
        Ok(Box::new(ScriptedReader { log: self.0.clone(), after }))
    }
}

#[async_trait]
impl Reader for ScriptedReader {
    async fn next(&mut self) -> Result<Vec<Record>> {
        loop {
            let appended = self.log.appended.notified();
            if self.log.fails.load(Ordering::Acquire) {
                return Err(Error::internal("broken for the test"));
            }
            let after = self.after.max(self.log.oldest.load(Ordering::Acquire));
            let page: Vec<Record> = (after + 1..=self.log.newest())
                .zip(self.log.types.lock().unwrap().iter().skip(usize::try_from(after).unwrap()))
                .take(100)
                .map(|(sequence, event_type)| Record {
                    sequence,
                    received: received(sequence),
                    body: event_type.to_string().into(),
                })
                .collect();
            if let Some(last) = page.last() {
                self.after = last.sequence;
                self.log.pages.fetch_add(1, Ordering::AcqRel);
                return Ok(page);
            }
            appended.await;
        }
    }
}

impl PhoneNumbers for PlainAdapter {}
impl Agents for PlainAdapter {}
impl Extensions for PlainAdapter {}
impl Queues for PlainAdapter {}
impl Softphones for PlainAdapter {}
impl Calls for PlainAdapter {}
impl Subscriptions for PlainAdapter {}

impl Events for PlainAdapter {
    fn acknowledgement(&self) -> &'static str {
        "{}"
    }

    fn read_event(&self, _center: &str, body: &[u8]) -> v1::Event {
        let event_type = std::str::from_utf8(body).unwrap().parse().unwrap();
        assert!(event_type >= 0, "a vendor's event that no adapter can read");
        v1::Event { r#type: event_type, ..v1::Event::default() }
    }
}

#[async_trait]
impl Adapter for PlainAdapter {
    fn vendor(&self) -> &'static str {
        "plain"
    }

    fn capabilities(&self) -> v1::Capabilities {
        v1::Capabilities::default()
    }

    async fn probe(&self, _cx: &Context) -> Result<()> {
        Ok(())
    }
}

/// A feed and its log.
pub(in crate::event) struct Fixture {
    pub(in crate::event) feed: Arc<Feed>,
    log: Arc<ScriptedLog>,
    draining: Draining,
    metrics: Metrics,
}

impl Fixture {
    pub(in crate::event) fn new(types: impl IntoIterator<Item = i32>) -> Self {
        let log = Arc::new(ScriptedLog::default());
        log.append(types);
        let shared = Arc::new(Shared(log.clone()));
        let feed = Feed::new(CENTER.into(), shared, Arc::new(PlainAdapter), Clock::system());
        Self { feed: Arc::new(feed), log, draining: Draining::default(), metrics: Metrics::new().unwrap() }
    }

    async fn watch(&self, options: WatchOptions) -> Result<Watch> {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let permit = WatcherPermit::new(self.draining.clone(), self.metrics.watch(CENTER), permit);
        Watch::start(self.feed.clone(), options, permit).await
    }

    fn cursor(position: u64, may_skip: bool) -> Start {
        Start::Cursor(Cursor { log: LOG, position, may_skip }.encode(CENTER))
    }
}

fn options(start: Start) -> WatchOptions {
    WatchOptions { start, event_types: Vec::new(), heartbeat_interval: Duration::from_secs(15), deadline: None }
}

/// Sequence and type of the next item, or the position of a heartbeat.
#[derive(Debug, PartialEq)]
enum Received {
    Event(u64, i32),
    Heartbeat(u64),
    End(ErrorReason),
}

async fn next(watch: &mut Watch) -> Received {
    let item = match watch.next().await {
        Ok(item) => v1::WatchEventsResponse::decode(&*item.encode_to_vec()).unwrap(),
        Err(error) => return Received::End(error.reason()),
    };
    let position = Cursor::decode(CENTER, &item.cursor).unwrap().position;
    match item.item.unwrap() {
        watch_events_response::Item::Event(event) => {
            assert_eq!(event.event_id, format!("{LOG:016x}-{position}"));
            Received::Event(position, event.r#type)
        }
        watch_events_response::Item::Heartbeat(_) => Received::Heartbeat(position),
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_stream_says_that_it_is_there_and_then_what_comes() {
    let fixture = Fixture::new([OTHER; 5]);
    let mut watch = fixture.watch(options(Start::Live)).await.unwrap();
    assert_eq!(next(&mut watch).await, Received::Heartbeat(5));
    fixture.log.append([WANTED, OTHER]);
    assert_eq!(next(&mut watch).await, Received::Event(6, WANTED));
    assert_eq!(next(&mut watch).await, Received::Event(7, OTHER));
    let begun = Instant::now();
    assert_eq!((next(&mut watch).await, begun.elapsed()), (Received::Heartbeat(7), Duration::from_secs(15)));
    assert!(fixture.metrics.text().unwrap().contains("switchboard_events_delivered_total{center=\"acme\"} 2"));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_begins_right_after_it_also_far_behind() {
    let fixture = Fixture::new((0..5000).map(|number| if number % 2 == 0 { WANTED } else { OTHER }));
    for position in [0, 1, 4998, 4999] {
        let mut watch = fixture.watch(options(Fixture::cursor(position, false))).await.unwrap();
        for sequence in position + 1..=5000 {
            let event_type = if sequence % 2 == 1 { WANTED } else { OTHER };
            assert_eq!(next(&mut watch).await, Received::Event(sequence, event_type));
        }
        assert_eq!(next(&mut watch).await, Received::Heartbeat(5000), "it has caught up");
    }
}

#[tokio::test]
async fn a_cursor_that_leads_nowhere_says_where_the_log_begins() {
    let fixture = Fixture::new([WANTED; 10]);
    fixture.log.oldest.store(4, Ordering::Release);
    let start = async |cursor: Cursor| fixture.watch(options(Start::Cursor(cursor.encode(CENTER)))).await;
    for (log, position, may_skip, is_good) in [
        (LOG, 3, false, false),
        (LOG, 4, false, true),
        (LOG, 10, false, true),
        (LOG, 11, false, false),
        (LOG, 11, true, false),
        (LOG, 3, true, true),
        (LOG + 1, 5, false, false),
        (LOG + 1, 5, true, false),
    ] {
        let started = start(Cursor { log, position, may_skip }).await;
        let what = format!("{log} {position} {may_skip}");
        match started {
            Ok(watch) => assert_eq!((is_good, watch.position), (true, position.max(4)), "{what}"),
            Err(error) => {
                assert_eq!((is_good, error.reason()), (false, ErrorReason::CursorExpired), "{what}");
                let cx = Context::new("WatchEvents", String::new(), Instant::now());
                let info = tonic_types::StatusExt::get_details_error_info(&error.into_status(&cx)).unwrap();
                let oldest = Cursor::decode(CENTER, &info.metadata["oldestCursor"]).unwrap();
                assert_eq!(oldest, Cursor { log: LOG, position: 4, may_skip: true });
            }
        }
    }
    let other = Cursor { log: LOG, position: 5, may_skip: false }.encode("beta");
    let error = fixture.watch(options(Start::Cursor(other))).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::TokenInvalid);
}

#[tokio::test(start_paused = true)]
async fn what_expires_before_it_is_read_ends_the_stream_unless_its_cursor_may_skip() {
    for (may_skip, expected) in [(false, Received::End(ErrorReason::CursorExpired)), (true, Received::Event(9, WANTED))]
    {
        let fixture = Fixture::new([WANTED; 10]);
        let mut watch = fixture.watch(options(Fixture::cursor(2, may_skip))).await.unwrap();
        fixture.log.oldest.store(8, Ordering::Release);
        assert_eq!(next(&mut watch).await, expected);
    }
    // Right after the cursor nothing is gone.
    let fixture = Fixture::new([WANTED; 10]);
    let mut watch = fixture.watch(options(Fixture::cursor(8, false))).await.unwrap();
    fixture.log.oldest.store(8, Ordering::Release);
    assert_eq!(next(&mut watch).await, Received::Event(9, WANTED));
    fixture.log.oldest.store(9, Ordering::Release);
    assert_eq!(next(&mut watch).await, Received::Event(10, WANTED));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_of_expired_events_gets_an_error_at_the_next_heartbeat() {
    for (may_skip, expected) in [(false, Received::End(ErrorReason::CursorExpired)), (true, Received::Heartbeat(2))] {
        let fixture = Fixture::new([WANTED; 10]);
        let mut watch = fixture.watch(options(Fixture::cursor(2, may_skip))).await.unwrap();
        fixture.log.oldest.store(10, Ordering::Release);
        assert_eq!(next(&mut watch).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_begins_with_the_first_event_that_is_not_before_it() {
    let fixture = Fixture::new([WANTED; 10]);
    for (time, first) in [(received(4), 4), (received(4) + Duration::from_nanos(1), 5), (UNIX_EPOCH, 1)] {
        let mut watch = fixture.watch(options(Start::Time(time))).await.unwrap();
        assert_eq!(next(&mut watch).await, Received::Event(first, WANTED));
    }
    // A log that gateways share may hold one that was received earlier.
    let mut watch = fixture.watch(options(Start::Time(received(4)))).await.unwrap();
    watch.position = 0;
    assert_eq!(next(&mut watch).await, Received::Event(4, WANTED));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_while_events_pass_by_that_were_not_asked_for() {
    let fixture = Fixture::new([]);
    let asked = WatchOptions { event_types: vec![WANTED], ..options(Start::Live) };
    let mut watch = fixture.watch(asked).await.unwrap();
    assert_eq!(next(&mut watch).await, Received::Heartbeat(0));
    let begun = Instant::now();
    let log = fixture.log.clone();
    let posts = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            log.append([OTHER]);
        }
    });
    let reported = next(&mut watch).await;
    let Received::Heartbeat(position) = reported else { panic!("{reported:?}") };
    assert!((14..=15).contains(&position) && begun.elapsed() == Duration::from_secs(15), "{position}");
    posts.abort();
    fixture.log.append([WANTED]);
    assert_eq!(next(&mut watch).await, Received::Event(fixture.log.newest(), WANTED));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline_whatever_there_is_to_read() {
    let fixture = Fixture::new(vec![OTHER; 5000]);
    let deadline = Some(Instant::now());
    let asked = WatchOptions { event_types: vec![WANTED], deadline, ..options(Fixture::cursor(0, false)) };
    let mut watch = fixture.watch(asked).await.unwrap();
    assert_eq!(next(&mut watch).await, Received::End(ErrorReason::DeadlineBeforeSend));
    assert_eq!(fixture.log.pages.load(Ordering::Acquire), 0);

    let deadline = Some(Instant::now() + Duration::from_secs(20));
    let mut watch = fixture.watch(WatchOptions { deadline, ..options(Start::Live) }).await.unwrap();
    let begun = Instant::now();
    assert_eq!(
        [next(&mut watch).await, next(&mut watch).await],
        [Received::Heartbeat(5000), Received::Heartbeat(5000)]
    );
    assert_eq!(next(&mut watch).await, Received::End(ErrorReason::DeadlineBeforeSend));
    assert_eq!(begun.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_a_stream_that_waits_and_one_that_reads() {
    let fixture = Fixture::new(vec![OTHER; 5000]);
    let mut waiting = fixture.watch(options(Start::Live)).await.unwrap();
    assert_eq!(next(&mut waiting).await, Received::Heartbeat(5000));
    let asked = WatchOptions { event_types: vec![WANTED], ..options(Fixture::cursor(0, false)) };
    let mut reading = fixture.watch(asked).await.unwrap();
    let begun = Instant::now();
    let (reported, ()) = tokio::join!(next(&mut waiting), async { fixture.draining.begin() });
    assert_eq!(
        (reported, next(&mut reading).await),
        (Received::End(ErrorReason::GatewayDraining), Received::End(ErrorReason::GatewayDraining))
    );
    assert_eq!((begun.elapsed(), fixture.log.pages.load(Ordering::Acquire)), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn all_who_follow_share_one_reader_for_as_long_as_anybody_does() {
    let fixture = Fixture::new([]);
    let watches =
        [fixture.watch(options(Start::Live)).await.unwrap(), fixture.watch(options(Start::Live)).await.unwrap()];
    assert_eq!(fixture.log.readers(), 1);
    drop(watches);
    // The task that follows sees that nobody does any more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&fixture.feed), 1);
    let mut watch = fixture.watch(options(Start::Live)).await.unwrap();
    assert_eq!(fixture.log.readers(), 2);
    next(&mut watch).await;
    fixture.log.append([WANTED]);
    assert_eq!(next(&mut watch).await, Received::Event(1, WANTED));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_any_more_ends_its_streams() {
    let fixture = Fixture::new([]);
    let mut watch = fixture.watch(options(Start::Live)).await.unwrap();
    next(&mut watch).await;
    fixture.log.fails.store(true, Ordering::Release);
    fixture.log.append([WANTED]);
    assert_eq!(next(&mut watch).await, Received::End(ErrorReason::StorageUnavailable));
    // Who comes later begins anew.
    fixture.log.fails.store(false, Ordering::Release);
    let mut watch = fixture.watch(options(Fixture::cursor(0, false))).await.unwrap();
    assert_eq!((next(&mut watch).await, fixture.log.readers()), (Received::Event(1, WANTED), 3));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_no_adapter_can_read_is_sent_without_its_content() {
    let fixture = Fixture::new([]);
    let mut watch = fixture.watch(options(Start::Live)).await.unwrap();
    next(&mut watch).await;
    fixture.log.append([-1, WANTED]);
    assert_eq!(next(&mut watch).await, Received::Event(1, v1::EventType::Vendor.into()));
    assert_eq!(next(&mut watch).await, Received::Event(2, WANTED));
}

#[tokio::test(start_paused = true)]
async fn the_items_of_a_stream_end_with_its_error() {
    let fixture = Fixture::new([]);
    let mut items = std::pin::pin!(fixture.watch(options(Start::Live)).await.unwrap().items());
    assert!(items.next().await.unwrap().is_ok());
    assert!(items.next().now_or_never().is_none(), "it waits");
    fixture.draining.begin();
    let error = items.next().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), ErrorReason::GatewayDraining);
    assert!(items.next().await.is_none());
    assert!(fixture.metrics.text().unwrap().contains("switchboard_watchers{center=\"acme\"} 0"));
}
