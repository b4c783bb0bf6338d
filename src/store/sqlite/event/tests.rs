//! Tests of the embedded log beyond the suite of every log.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::UNIX_EPOCH,
};

use futures_util::future::join_all;

use super::*;
use crate::{clock::Source, config::Config};

/// A clock that the test sets, in seconds.
#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

impl Source for ManualClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + self.0.load(Ordering::Acquire))
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

fn events_config(keys: &str) -> config::Events {
    let text = format!(
        "[events]\n{keys}\n[centers.acme]\nvendor = 'udesk'\nbase_url = 'https://acme.example.com'\n\
         app_id = 'app'\nsid = 'sid'\nauth_token = 'token'"
    );
    Config::parse(&text, "gateway.toml", &|_| None).unwrap().events
}

fn open(database: &Database, keys: &str) -> (SqliteEventLog, ManualClock) {
    let clock = ManualClock::default();
    let centers = ["acme".to_owned(), "beta".to_owned()];
    let source = Clock::from_source(clock.clone());
    (SqliteEventLog::open(database, &events_config(keys), centers.iter(), source).unwrap(), clock)
}

async fn post(log: &SqliteEventLog, body: &str) -> Appended {
    log.append("acme", Bytes::copy_from_slice(body.as_bytes()), Fingerprint::of(body.as_bytes())).await.unwrap()
}

async fn read(log: &SqliteEventLog, after: u64, count: usize) -> Vec<(u64, String)> {
    let mut reader = log.read("acme", after).await.unwrap();
    let mut read = Vec::new();
    while read.len() < count {
        let page = reader.next().await.unwrap();
        read.extend(page.into_iter().map(|record| (record.sequence, String::from_utf8_lossy(&record.body).into())));
    }
    read
}

#[tokio::test]
async fn stored_events_survive_a_restart_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let config = config::Storage { path: directory.path().join("switchboard.db") };
    let before = {
        let database = Database::open(&config).unwrap();
        let (log, _) = open(&database, "");
        join_all((0..300).map(async |event| post(&log, &format!("time={event}1")).await)).await;
        let before = (log.extent("acme").await.unwrap(), read(&log, 0, 300).await);
        database.close().await;
        before
    };
    let database = Database::open(&config).unwrap();
    let (log, _) = open(&database, "");
    assert_eq!((log.extent("acme").await.unwrap(), read(&log, 0, 300).await), before);
    assert_eq!(before.0, Extent { log: before.0.log, oldest: 0, newest: 300 });
    assert_eq!(before.1.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), (1..=300).collect::<Vec<_>>());
    assert_eq!(post(&log, "time=01").await, Appended::Duplicate, "the window survives the restart");
    assert_eq!((post(&log, "new").await, read(&log, 300, 1).await[0].0), (Appended::Stored, 301));
}

#[tokio::test]
async fn equal_bodies_within_their_window_are_one_event() {
    let (log, clock) = open(&Database::in_memory().unwrap(), "duplicate_window = '10m'");
    let fresh = async |second: u64, body: &str| {
        clock.0.store(second, Ordering::Release);
        post(&log, body).await == Appended::Stored
    };
    assert!(fresh(0, "READY").await && fresh(0, "timestamp=1566523582").await);
    assert!(!fresh(5, "READY").await && !fresh(600, "timestamp=1566523582").await);
    assert!(fresh(606, "READY").await && fresh(1201, "timestamp=1566523582").await);
    assert!(!fresh(1201, "timestamp=1566523582").await);
    // After a small step back of the clock a duplicate is still a duplicate.
    assert!(!fresh(1200, "timestamp=1566523582").await);
    // After a correction of the clock a new event is not a duplicate.
    assert!(fresh(100, "READY").await && fresh(100, "timestamp=1566523582").await);
}

#[tokio::test]
async fn times_stand_still_after_a_small_step_back_and_follow_a_correction() {
    let (log, clock) = open(&Database::in_memory().unwrap(), "");
    for (number, second) in [100, 90, 110, 10_000, 120, 130].into_iter().enumerate() {
        clock.0.store(second, Ordering::Release);
        post(&log, &format!("time={number}1")).await;
    }
    let mut reader = log.read("acme", 0).await.unwrap();
    let start = ManualClock::default().now();
    let second = |record: &Record| record.received.duration_since(start).unwrap().as_secs();
    let page = reader.next().await.unwrap();
    assert_eq!(page.iter().map(second).collect::<Vec<_>>(), [100, 100, 110, 10_000, 120, 130]);
    assert_eq!(log.seek("acme", start + Duration::from_secs(125)).await.unwrap(), 5);
}

#[tokio::test]
async fn expired_events_are_removed_and_positions_stay() {
    let (log, clock) = open(&Database::in_memory().unwrap(), "retention = '1h'");
    for minute in 0..10 {
        clock.0.store(minute * 60, Ordering::Release);
        post(&log, &format!("time={minute}1")).await;
    }
    assert_eq!(log.seek("acme", clock.now() - Duration::from_secs(150)).await.unwrap(), 7);
    assert_eq!(log.seek("acme", UNIX_EPOCH).await.unwrap(), 0);
    assert_eq!(log.seek("acme", clock.now() + Duration::from_secs(1)).await.unwrap(), 10);
    clock.0.store(3600 + 250, Ordering::Release);
    post(&log, "last").await;
    let extent = log.extent("acme").await.unwrap();
    assert_eq!((extent.oldest, extent.newest), (5, 11));
    assert_eq!(read(&log, 0, 1).await[0].0, 6);
    assert_eq!(log.seek("acme", UNIX_EPOCH).await.unwrap(), 5);

    clock.0.store(100_000, Ordering::Release);
    post(&log, "much later").await;
    let extent = log.extent("acme").await.unwrap();
    assert_eq!((extent.oldest, extent.newest), (11, 12));
}

#[tokio::test]
async fn an_append_does_not_wait_until_all_expired_events_are_removed() {
    let database = Database::in_memory().unwrap();
    let (log, clock) = open(&database, "retention = '1h'");
    for chunk in 0..5 {
        join_all((0..4000).map(async |event| post(&log, &format!("time={chunk}{event:04}1")).await)).await;
    }
    clock.0.store(100_000, Ordering::Release);
    let left = async || {
        database.run(|connection| connection.query_row("SELECT count(*) FROM event", (), |row| row.get(0))).await
    };
    // The sweep is queued first.
    assert!(log.queue.try_send(Work::Sweep).is_ok());
    post(&log, "new").await;
    let after_post: i64 = left().await.unwrap();
    assert!(after_post > 1, "the append waited for the whole sweep");
    while left().await.unwrap() > 1_i64 {
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&log, 0, 1).await, [(20_001, "new".to_owned())]);
}

#[tokio::test]
async fn a_cancelled_read_holds_its_permit_and_loses_no_page() {
    let database = Database::in_memory().unwrap();
    let (log, _) = open(&database, "");
    post(&log, "one").await;
    let mut reader = log.read("acme", 0).await.unwrap();
    let held = database.0.writer.lock();
    assert!(reader.next().now_or_never().is_none());
    assert_eq!(database.0.read_permit.available_permits(), 0);
    drop(held);
    assert_eq!(reader.next().await.unwrap().len(), 1);
    assert_eq!(database.0.read_permit.available_permits(), 1);
}

#[tokio::test]
async fn the_oldest_events_beyond_the_size_are_removed() {
    let (log, _) = open(&Database::in_memory().unwrap(), "retention_size = '100KiB'");
    for event in 0..200 {
        post(&log, &format!("time={event}1 {}", "x".repeat(1000))).await;
    }
    let extent = log.extent("acme").await.unwrap();
    assert_eq!(extent.newest, 200);
    assert!((90..=100).contains(&(extent.newest - extent.oldest)), "{extent:?}");
}

#[tokio::test]
async fn a_full_disk_rejects_appends_loses_nothing_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&config::Storage { path: directory.path().join("switchboard.db") }).unwrap();
    let (log, _) = open(&database, "");
    database.limit_pages(64).await.unwrap();
    let body = |event: usize| Bytes::from(format!("time={event}1 {}", "x".repeat(10_000)));
    let mut stored = 0;
    let refused = loop {
        let body = body(stored);
        match log.append("acme", body.clone(), Fingerprint::of(&body)).await {
            Ok(appended) => assert_eq!(appended, Appended::Stored),
            Err(error) => break error,
        }
        stored += 1;
    };
    assert_eq!(refused.reason(), ErrorReason::StorageUnavailable);
    assert!((1..64).contains(&stored));
    assert_eq!(read(&log, 0, stored).await.len(), stored);

    database.limit_pages(1000).await.unwrap();
    // The rejected event is not a duplicate of itself.
    assert_eq!(log.append("acme", body(stored), Fingerprint::of(&body(stored))).await.unwrap(), Appended::Stored);
    assert_eq!(read(&log, 0, stored + 1).await.len(), stored + 1);
}

#[tokio::test]
async fn the_queue_is_bounded_also_when_callers_cancel() {
    let database = Database::in_memory().unwrap();
    let (log, _) = open(&database, "");
    let body = |event: usize| Bytes::from(format!("time={event}1 {}", "x".repeat(1 << 20)));
    // The disk hangs: the writer stays locked.
    let held = database.0.writer.lock();
    let mut refused = 0;
    for event in 0..70 {
        let body = body(event);
        // The caller cancels at once, and the body stays in the queue.
        if let Some(outcome) = log.append("acme", body.clone(), Fingerprint::of(&body)).now_or_never() {
            assert_eq!(outcome.unwrap_err().reason(), ErrorReason::CenterOverloaded);
            refused += 1;
        }
    }
    assert!((6..=7).contains(&refused), "{refused}");
    drop(held);
}

#[tokio::test]
async fn a_reader_waits_and_reads_its_own_center_only() {
    let (log, _) = open(&Database::in_memory().unwrap(), "");
    let mut reader = log.read("acme", 0).await.unwrap();
    let mut next = reader.next();
    assert!(futures_util::poll!(&mut next).is_pending());
    log.append("beta", "other".into(), Fingerprint::of(b"other")).await.unwrap();
    post(&log, "own").await;
    let page = next.await.unwrap();
    assert_eq!((page.len(), &page[0].body[..]), (1, &b"own"[..]));
}

/// Work that waits, each event with a body of this many bytes, and the sender it came by.
fn waiting(count: usize, bytes: usize) -> (mpsc::Sender<Work>, mpsc::Receiver<Work>) {
    let (sender, work) = mpsc::channel(count);
    let room = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
    let body = Bytes::from(vec![b'x'; bytes]);
    for _ in 0..count {
        let event = NewEvent { number: 1, fingerprint: Fingerprint::of(b"x"), body: body.clone() };
        let held = room.clone().try_acquire_owned().unwrap();
        assert!(sender.try_send(Work::Append(Append::new(event, oneshot::channel().0, held))).is_ok());
    }
    (sender, work)
}

#[tokio::test]
async fn a_commit_has_1024_events_or_16_mib_at_most() {
    for (count, bytes, groups) in [(3000, 1, [1024, 1024, 952]), (40, 1 << 20, [16, 16, 8]), (3, 20 << 20, [1, 1, 1])] {
        let (_sender, mut work) = waiting(count, bytes);
        let sizes = groups.map(|_| {
            let mut group = Vec::new();
            writer::gather(work.try_recv().ok(), &mut work, &mut group);
            group.len()
        });
        assert_eq!(sizes, groups);
    }
}

#[tokio::test]
async fn posts_that_wait_for_the_writer_are_bounded() {
    let database = Database::in_memory().unwrap();
    let (log, _) = open(&database, "");
    let held = database.0.writer.lock();
    let mut refused = 0;
    // The writer may hold a whole group beside what waits.
    for event in 0..4096 + 1024 + 10 {
        let body = format!("time={event}1");
        let appended = log.append("acme", body.clone().into(), Fingerprint::of(body.as_bytes())).now_or_never();
        if let Some(appended) = appended {
            assert_eq!(appended.unwrap_err().reason(), ErrorReason::CenterOverloaded);
            refused += 1;
        }
    }
    assert!((10..=1024 + 10).contains(&refused), "{refused}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn expired_events_are_looked_for_every_minute_while_the_log_is_in_use() {
    let (sender, mut work) = mpsc::channel(1);
    tokio::spawn(sweep(sender.downgrade()));
    for seconds in [0, 60, 60] {
        let begun = tokio::time::Instant::now();
        assert!(matches!(work.recv().await, Some(Work::Sweep)));
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
    drop(sender);
    assert!(work.recv().await.is_none());
}

#[tokio::test]
async fn what_was_seen_is_forgotten_after_its_window() {
    let database = Database::in_memory().unwrap();
    let (log, day) = open(&database, "duplicate_window = '10m'");
    for event in 0..20 {
        post(&log, &format!("time={event}1")).await;
    }
    day.0.store(601, Ordering::Release);
    post(&log, "time=later1").await;
    let seen: i64 = database
        .run(|connection| connection.query_row("SELECT count(*) FROM event_seen", (), |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(seen, 1);
}

#[expect(clippy::await_holding_lock, reason = "holding it is what a hanging disk does")]
#[tokio::test]
async fn a_gateway_waits_two_seconds_for_a_disk_that_hangs_at_its_end() {
    let text = "[centers.acme]\nvendor = 'udesk'\nbase_url = 'https://acme.example.com'\napp_id = 'app'\nsid = 'sid'\n\
                auth_token = 'token'";
    let config = Config::parse(text, "gateway.toml", &|_| None).unwrap();
    let stores = crate::store::Stores::in_memory(&config, &Clock::system()).unwrap();
    let database = stores.embedded.clone().unwrap();
    let held = database.0.writer.lock();
    tokio::time::pause();
    let mut closed = tokio::spawn(async move { crate::server::close(&stores).await });
    for (seconds, is_over) in [(1, false), (2, true)] {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::task::yield_now().await;
        assert_eq!((&mut closed).now_or_never().is_some(), is_over);
    }
    drop(held);
}
