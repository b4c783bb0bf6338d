//! The embedded event log: one writer, which commits whatever has come in meanwhile as one group.
//!
//! A commit costs an fsync, so posts that wait for the disk anyway share one. The answer to each is given after it.
//!
//! An event's row is found by one number: its log's number times 2^40, plus its sequence. So every log lies in one stretch
//! of the table, new events go to the end of it, and no index is needed.

mod rows;
mod writer;

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub(super) use self::rows::TABLES;
use self::writer::{Post, Work, Writer};
use super::Storage;
use crate::{
    clock::Clock,
    config,
    error::{Error, ErrorReason, Result},
    event::{
        fingerprint::Fingerprint,
        log::{Appended, EventLog, Extent, Reader, Record},
    },
};

/// Posts that wait for the writer, and bytes of their bodies; past that the next is refused. Who gave up waiting for the
/// disk has not taken back what is to be written.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;
/// How often old events are looked for while nothing comes in.
const SWEEP: Duration = Duration::from_secs(60);

/// The event logs in the embedded database.
pub struct EmbeddedLog {
    storage: Storage,
    posts: mpsc::Sender<Work>,
    room: Arc<Semaphore>,
    logs: HashMap<String, Log>,
    clock: Clock,
    retention: Duration,
}

/// A configured center's log.
struct Log {
    number: i64,
    newest: watch::Receiver<u64>,
}

struct EmbeddedReader {
    storage: Storage,
    number: i64,
    after: u64,
    newest: watch::Receiver<u64>,
    /// The page that is being read, up to the newest event of then. Whoever stops waiting for it may wait again.
    looking: Option<(u64, BoxFuture<'static, Result<Vec<Record>>>)>,
}

// === impl EmbeddedLog ===

impl EmbeddedLog {
    /// The logs of these centers, and their writer, which ends with the last user of the log.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub fn open<'a>(
        storage: &Storage,
        terms: &config::Events,
        centers: impl Iterator<Item = &'a String>,
        clock: Clock,
    ) -> Result<Self> {
        let mut numbers = HashMap::new();
        for center in centers {
            let number = storage.locked(|connection| rows::number(connection, center))?;
            numbers.insert(center.clone(), number);
        }
        let states = storage.locked(rows::states)?;
        let logs = numbers
            .into_iter()
            .filter_map(|(center, number)| {
                let newest = states.get(&number)?.told.subscribe();
                Some((center, Log { number, newest }))
            })
            .collect();
        let writer = Writer::new(storage.clone(), clock.clone(), terms.clone(), states);
        let (posts, work) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("event-log".into())
            .spawn(|| writer.run(work))
            .map_err(|_| Error::internal("there is no thread for the event log"))?;
        tokio::spawn(sweep(posts.downgrade()));
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        Ok(Self { storage: storage.clone(), posts, room, logs, clock, retention: terms.retention })
    }

    fn log(&self, center: &str) -> Result<&Log> {
        self.logs.get(center).ok_or_else(|| Error::internal("a center has no event log"))
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    async fn append(&self, center: &str, body: Bytes, fingerprint: Fingerprint) -> Result<Appended> {
        let number = self.log(center)?.number;
        let bytes = u32::try_from(body.len()).map_err(|_| overloaded())?;
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| overloaded())?;
        let (kept, answer) = oneshot::channel();
        match self.posts.try_send(Work::Append(Post::new(number, body, fingerprint, kept, room))) {
            Ok(()) => answer.await.map_err(|_| gone())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(overloaded()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
        }
    }

    async fn extent(&self, center: &str) -> Result<Extent> {
        let number = self.log(center)?.number;
        let since = rows::micros(self.clock.now()).saturating_sub(rows::duration_micros(self.retention));
        self.storage.read(move |connection| rows::extent(connection, number, since)).await
    }

    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64> {
        let number = self.log(center)?.number;
        self.storage.read(move |connection| rows::seek(connection, number, rows::first_micro(time))).await
    }

    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>> {
        let Log { number, newest } = self.log(center)?;
        let (storage, number, newest) = (self.storage.clone(), *number, newest.clone());
        Ok(Box::new(EmbeddedReader { storage, number, after, newest, looking: None }))
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedLog").field("centers", &self.logs.len()).finish_non_exhaustive()
    }
}

// === impl EmbeddedReader ===

#[async_trait]
impl Reader for EmbeddedReader {
    async fn next(&mut self) -> Result<Vec<Record>> {
        loop {
            if self.looking.is_none() {
                let newest = *self.newest.borrow_and_update();
                if newest <= self.after {
                    self.newest.changed().await.map_err(|_| gone())?;
                    continue;
                }
                let (storage, number, after) = (self.storage.clone(), self.number, self.after);
                let page = async move { storage.read(move |connection| rows::page(connection, number, after)).await };
                self.looking = Some((newest, page.boxed()));
            }
            let Some((newest, page)) = &mut self.looking else { continue };
            let (newest, page) = (*newest, page.await);
            self.looking = None;
            let page = page?;
            // What was there up to `newest` may have been removed meanwhile.
            self.after = page.last().map_or(newest, |last| last.sequence);
            if !page.is_empty() {
                return Ok(page);
            }
        }
    }
}

/// Asks for a look at old events, for as long as the log is in use.
async fn sweep(posts: mpsc::WeakSender<Work>) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(posts) = posts.upgrade() else { return };
        // A full queue has commits of its own, which look, too.
        let _ = posts.try_send(Work::Sweep);
    }
}

fn overloaded() -> Error {
    let message = "the disk does not keep up with the events that come in";
    Error::new(ErrorReason::CenterOverloaded, message).retry_after(Duration::from_secs(1))
}

fn gone() -> Error {
    Error::new(ErrorReason::StorageUnavailable, "the event log has ended")
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::UNIX_EPOCH,
    };

    use futures_util::future::join_all;

    use super::*;
    use crate::{clock::Source, config::Config};

    /// The time of day in seconds, as told.
    #[derive(Clone, Default)]
    struct Day(Arc<AtomicU64>);

    impl Source for Day {
        fn now(&self) -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(1_800_000_000 + self.0.load(Ordering::Acquire))
        }

        fn steady(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn terms(keys: &str) -> config::Events {
        let text = format!(
            "[events]\n{keys}\n[centers.acme]\nvendor = 'udesk'\nbase_url = 'https://acme.example.com'\n\
             app_id = 'app'\nsid = 'sid'\nauth_token = 'token'"
        );
        Config::parse(&text, "gateway.toml", &|_| None).unwrap().events
    }

    fn open(storage: &Storage, keys: &str) -> (EmbeddedLog, Day) {
        let day = Day::default();
        let centers = ["acme".to_owned(), "beta".to_owned()];
        let clock = Clock::from_source(day.clone());
        (EmbeddedLog::open(storage, &terms(keys), centers.iter(), clock).unwrap(), day)
    }

    async fn post(log: &EmbeddedLog, body: &str) -> Appended {
        log.append("acme", Bytes::copy_from_slice(body.as_bytes()), Fingerprint::of(body.as_bytes())).await.unwrap()
    }

    async fn read(log: &EmbeddedLog, after: u64, count: usize) -> Vec<(u64, String)> {
        let mut reader = log.read("acme", after).await.unwrap();
        let mut read = Vec::new();
        while read.len() < count {
            let page = reader.next().await.unwrap();
            read.extend(page.into_iter().map(|record| (record.sequence, String::from_utf8_lossy(&record.body).into())));
        }
        read
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart_in_its_order() {
        let directory = tempfile::tempdir().unwrap();
        let config = config::Storage { path: directory.path().join("switchboard.db") };
        let before = {
            let storage = Storage::open(&config).unwrap();
            let (log, _) = open(&storage, "");
            join_all((0..300).map(async |event| post(&log, &format!("time={event}1")).await)).await;
            let before = (log.extent("acme").await.unwrap(), read(&log, 0, 300).await);
            storage.close().await;
            before
        };
        let storage = Storage::open(&config).unwrap();
        let (log, _) = open(&storage, "");
        assert_eq!((log.extent("acme").await.unwrap(), read(&log, 0, 300).await), before);
        assert_eq!(before.0, Extent { log: before.0.log, oldest: 0, newest: 300 });
        assert_eq!(before.1.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), (1..=300).collect::<Vec<_>>());
        assert_eq!(post(&log, "time=01").await, Appended::Duplicate, "the window outlives the restart");
        assert_eq!((post(&log, "new").await, read(&log, 300, 1).await[0].0), (Appended::Fresh, 301));
    }

    #[tokio::test]
    async fn the_same_post_is_one_event_within_its_window() {
        let (log, day) = open(&Storage::in_memory().unwrap(), "duplicate_window = '10m'");
        let fresh = async |second: u64, body: &str| {
            day.0.store(second, Ordering::Release);
            post(&log, body).await == Appended::Fresh
        };
        assert!(fresh(0, "READY").await && fresh(0, "timestamp=1566523582").await);
        assert!(!fresh(5, "READY").await && !fresh(600, "timestamp=1566523582").await);
        assert!(fresh(606, "READY").await && fresh(1201, "timestamp=1566523582").await);
        assert!(!fresh(1201, "timestamp=1566523582").await);
        // A small step of the clock makes no repeat a new event.
        assert!(!fresh(1200, "timestamp=1566523582").await);
        // A clock that was set back makes nothing look as if it had been there.
        assert!(fresh(100, "READY").await && fresh(100, "timestamp=1566523582").await);
    }

    #[tokio::test]
    async fn what_is_too_old_goes_and_positions_stay() {
        let (log, day) = open(&Storage::in_memory().unwrap(), "retention = '1h'");
        for minute in 0..10 {
            day.0.store(minute * 60, Ordering::Release);
            post(&log, &format!("time={minute}1")).await;
        }
        assert_eq!(log.seek("acme", day.now() - Duration::from_secs(150)).await.unwrap(), 7);
        assert_eq!(log.seek("acme", UNIX_EPOCH).await.unwrap(), 0);
        assert_eq!(log.seek("acme", day.now() + Duration::from_secs(1)).await.unwrap(), 10);
        day.0.store(3600 + 250, Ordering::Release);
        post(&log, "last").await;
        let extent = log.extent("acme").await.unwrap();
        assert_eq!((extent.oldest, extent.newest), (5, 11));
        assert_eq!(read(&log, 0, 1).await[0].0, 6);
        assert_eq!(log.seek("acme", UNIX_EPOCH).await.unwrap(), 5);

        day.0.store(100_000, Ordering::Release);
        post(&log, "much later").await;
        let extent = log.extent("acme").await.unwrap();
        assert_eq!((extent.oldest, extent.newest), (11, 12));
    }

    #[tokio::test]
    async fn what_comes_in_does_not_wait_until_all_that_is_old_is_gone() {
        let storage = Storage::in_memory().unwrap();
        let (log, day) = open(&storage, "retention = '1h'");
        for chunk in 0..5 {
            join_all((0..4000).map(async |event| post(&log, &format!("time={chunk}{event:04}1")).await)).await;
        }
        day.0.store(100_000, Ordering::Release);
        let left = async || {
            storage.run(|connection| connection.query_row("SELECT count(*) FROM event", (), |row| row.get(0))).await
        };
        // It is asked for first.
        assert!(log.posts.try_send(Work::Sweep).is_ok());
        post(&log, "new").await;
        let after_post: i64 = left().await.unwrap();
        assert!(after_post > 1, "the post was the last to be done");
        while left().await.unwrap() > 1_i64 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(&log, 0, 1).await, [(20_001, "new".to_owned())]);
    }

    #[tokio::test]
    async fn a_page_that_nobody_waits_for_any_more_keeps_its_place_and_is_not_lost() {
        let storage = Storage::in_memory().unwrap();
        let (log, _) = open(&storage, "");
        post(&log, "one").await;
        let mut reader = log.read("acme", 0).await.unwrap();
        let held = storage.0.writer.locked();
        assert!(reader.next().now_or_never().is_none());
        assert_eq!(storage.0.reads.available_permits(), 0);
        drop(held);
        assert_eq!(reader.next().await.unwrap().len(), 1);
        assert_eq!(storage.0.reads.available_permits(), 1);
    }

    #[tokio::test]
    async fn what_is_too_much_goes_from_the_old_end() {
        let (log, _) = open(&Storage::in_memory().unwrap(), "retention_size = '100KiB'");
        for event in 0..200 {
            post(&log, &format!("time={event}1 {}", "x".repeat(1000))).await;
        }
        let extent = log.extent("acme").await.unwrap();
        assert_eq!(extent.newest, 200);
        assert!((90..=100).contains(&(extent.newest - extent.oldest)), "{extent:?}");
    }

    #[tokio::test]
    async fn a_full_disk_refuses_loses_nothing_and_recovers() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(&config::Storage { path: directory.path().join("switchboard.db") }).unwrap();
        let (log, _) = open(&storage, "");
        storage.limit_pages(64).await.unwrap();
        let body = |event: usize| Bytes::from(format!("time={event}1 {}", "x".repeat(10_000)));
        let mut kept = 0;
        let refused = loop {
            let body = body(kept);
            match log.append("acme", body.clone(), Fingerprint::of(&body)).await {
                Ok(appended) => assert_eq!(appended, Appended::Fresh),
                Err(error) => break error,
            }
            kept += 1;
        };
        assert_eq!(refused.reason(), ErrorReason::StorageUnavailable);
        assert!((1..64).contains(&kept));
        assert_eq!(read(&log, 0, kept).await.len(), kept);

        storage.limit_pages(1000).await.unwrap();
        // The one that was refused is not taken for a repeat of itself.
        assert_eq!(log.append("acme", body(kept), Fingerprint::of(&body(kept))).await.unwrap(), Appended::Fresh);
        assert_eq!(read(&log, 0, kept + 1).await.len(), kept + 1);
    }

    #[tokio::test]
    async fn what_waits_for_the_disk_is_bounded_also_when_nobody_waits_for_it() {
        let storage = Storage::in_memory().unwrap();
        let (log, _) = open(&storage, "");
        let body = |event: usize| Bytes::from(format!("time={event}1 {}", "x".repeat(1 << 20)));
        // The disk hangs: whoever has the database keeps it.
        let held = storage.0.writer.locked();
        let mut refused = 0;
        for event in 0..70 {
            let body = body(event);
            // Who posts gives up at once, and the body is still to be written.
            if let Some(answer) = log.append("acme", body.clone(), Fingerprint::of(&body)).now_or_never() {
                assert_eq!(answer.unwrap_err().reason(), ErrorReason::CenterOverloaded);
                refused += 1;
            }
        }
        assert!((6..=7).contains(&refused), "{refused}");
        drop(held);
    }

    #[tokio::test]
    async fn a_reader_waits_and_sees_its_own_center_only() {
        let (log, _) = open(&Storage::in_memory().unwrap(), "");
        let mut reader = log.read("acme", 0).await.unwrap();
        let mut next = reader.next();
        assert!(futures_util::poll!(&mut next).is_pending());
        log.append("beta", "other".into(), Fingerprint::of(b"other")).await.unwrap();
        post(&log, "own").await;
        let page = next.await.unwrap();
        assert_eq!((page.len(), &page[0].body[..]), (1, &b"own"[..]));
    }
}
