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
use self::{
    rows::NewEvent,
    writer::{Append, Work, Writer},
};
use super::Database;
use crate::{
    clock::Clock,
    config,
    error::{Error, ErrorReason, Result},
    store::{
        event_log::{Appended, EventLog, Extent, Reader, Record},
        fingerprint::Fingerprint,
    },
};

/// Posts that wait for the writer, and bytes of their bodies; past that the next is refused. Who gave up waiting for the
/// disk has not taken back what is to be written.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;
/// How often old events are looked for while nothing comes in.
const SWEEP: Duration = Duration::from_secs(60);

/// The event logs in the embedded database.
pub struct SqliteEventLog {
    database: Database,
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
    database: Database,
    number: i64,
    after: u64,
    newest: watch::Receiver<u64>,
    /// The page that is being read, up to the newest event of then. Whoever stops waiting for it may wait again.
    looking: Option<(u64, BoxFuture<'static, Result<Vec<Record>>>)>,
}

// === impl SqliteEventLog ===

impl SqliteEventLog {
    /// The logs of these centers, and their writer, which ends with the last user of the log.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub fn open<'a>(
        database: &Database,
        terms: &config::Events,
        centers: impl Iterator<Item = &'a String>,
        clock: Clock,
    ) -> Result<Self> {
        let mut numbers = HashMap::new();
        for center in centers {
            let number = database.locked(|connection| rows::number(connection, center))?;
            numbers.insert(center.clone(), number);
        }
        let states = database.locked(rows::states)?;
        let logs = numbers
            .into_iter()
            .filter_map(|(center, number)| {
                let newest = states.get(&number)?.told.subscribe();
                Some((center, Log { number, newest }))
            })
            .collect();
        let writer = Writer::new(database.clone(), clock.clone(), terms.clone(), states);
        let (posts, work) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("event-log".into())
            .spawn(|| writer.run(work))
            .map_err(|_| Error::internal("the event log's writer thread could not start"))?;
        tokio::spawn(sweep(posts.downgrade()));
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        Ok(Self { database: database.clone(), posts, room, logs, clock, retention: terms.retention })
    }

    fn log(&self, center: &str) -> Result<&Log> {
        self.logs.get(center).ok_or_else(|| Error::internal("the center has no event log"))
    }
}

#[async_trait]
impl EventLog for SqliteEventLog {
    async fn append(&self, center: &str, body: Bytes, fingerprint: Fingerprint) -> Result<Appended> {
        let number = self.log(center)?.number;
        let bytes = u32::try_from(body.len()).map_err(|_| overloaded())?;
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| overloaded())?;
        let (reply, appended) = oneshot::channel();
        let event = NewEvent { number, body, fingerprint };
        match self.posts.try_send(Work::Append(Append::new(event, reply, room))) {
            Ok(()) => appended.await.map_err(|_| gone())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(overloaded()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
        }
    }

    async fn extent(&self, center: &str) -> Result<Extent> {
        let number = self.log(center)?.number;
        let since = rows::micros(self.clock.now()).saturating_sub(rows::duration_micros(self.retention));
        self.database.read(move |connection| rows::extent(connection, number, since)).await
    }

    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64> {
        let number = self.log(center)?.number;
        self.database.read(move |connection| rows::seek(connection, number, rows::first_micro(time))).await
    }

    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>> {
        let Log { number, newest } = self.log(center)?;
        let (database, number, newest) = (self.database.clone(), *number, newest.clone());
        Ok(Box::new(EmbeddedReader { database, number, after, newest, looking: None }))
    }
}

impl fmt::Debug for SqliteEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEventLog").field("centers", &self.logs.len()).finish_non_exhaustive()
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
                let (database, number, after) = (self.database.clone(), self.number, self.after);
                let page = async move { database.read(move |connection| rows::page(connection, number, after)).await };
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
    let message = "the disk does not keep up with incoming events";
    Error::new(ErrorReason::CenterOverloaded, message).retry_after(Duration::from_secs(1))
}

fn gone() -> Error {
    Error::new(ErrorReason::StorageUnavailable, "the event log is closed")
}

#[cfg(test)]
mod tests;
