//! The embedded event log, with group commit by one writer.
//!
//! A commit costs an fsync, so the events that wait share one. Each append returns after its commit.
//!
//! The row ID of an event is its log's number times 2^40, plus its sequence. So each log is one contiguous range of the
//! table, new events are appended to its end, and no index is needed.

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

/// Most appends that wait for the writer, and most bytes of their bodies; the next one is rejected. An append whose
/// caller cancelled stays in the queue and is written.
const QUEUE: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;
/// How often expired events are removed while no event arrives.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The event logs in the embedded database.
pub struct SqliteEventLog {
    database: Database,
    queue: mpsc::Sender<Work>,
    queue_bytes: Arc<Semaphore>,
    logs: HashMap<String, Log>,
    clock: Clock,
    retention: Duration,
}

/// The log of a configured center.
struct Log {
    number: i64,
    newest: watch::Receiver<u64>,
}

struct SqliteReader {
    database: Database,
    number: i64,
    after: u64,
    newest: watch::Receiver<u64>,
    /// The read in progress, and the newest position when it began. It survives a cancelled [`Reader::next`].
    pending: Option<(u64, BoxFuture<'static, Result<Vec<Record>>>)>,
}

// === impl SqliteEventLog ===

impl SqliteEventLog {
    /// Opens the logs of these centers and starts their writer, which ends when the log is dropped.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub fn open<'a>(
        database: &Database,
        config: &config::Events,
        centers: impl Iterator<Item = &'a String>,
        clock: Clock,
    ) -> Result<Self> {
        let mut numbers = HashMap::new();
        for center in centers {
            let number = database.run_here(|connection| rows::number(connection, center))?;
            numbers.insert(center.clone(), number);
        }
        let states = database.run_here(rows::states)?;
        let logs = numbers
            .into_iter()
            .filter_map(|(center, number)| {
                let newest = states.get(&number)?.published.subscribe();
                Some((center, Log { number, newest }))
            })
            .collect();
        let writer = Writer::new(database.clone(), clock.clone(), config.clone(), states);
        let (queue, work) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("event-log".into())
            .spawn(|| writer.run(work))
            .map_err(|_| Error::internal("the event log's writer thread could not start"))?;
        tokio::spawn(sweep(queue.downgrade()));
        let queue_bytes = Arc::new(Semaphore::new(QUEUE_BYTES));
        Ok(Self { database: database.clone(), queue, queue_bytes, logs, clock, retention: config.retention })
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
        let permit = self.queue_bytes.clone().try_acquire_many_owned(bytes).map_err(|_| overloaded())?;
        let (reply, appended) = oneshot::channel();
        let event = NewEvent { number, body, fingerprint };
        match self.queue.try_send(Work::Append(Append::new(event, reply, permit))) {
            Ok(()) => appended.await.map_err(|_| closed())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(overloaded()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
        }
    }

    async fn extent(&self, center: &str) -> Result<Extent> {
        let number = self.log(center)?.number;
        let since = rows::micros(self.clock.now()).saturating_sub(rows::duration_micros(self.retention));
        self.database.read(move |connection| rows::extent(connection, number, since)).await
    }

    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64> {
        let number = self.log(center)?.number;
        self.database.read(move |connection| rows::seek(connection, number, rows::micros_ceil(time))).await
    }

    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>> {
        let Log { number, newest } = self.log(center)?;
        let (database, number, newest) = (self.database.clone(), *number, newest.clone());
        Ok(Box::new(SqliteReader { database, number, after, newest, pending: None }))
    }
}

impl fmt::Debug for SqliteEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEventLog").field("centers", &self.logs.len()).finish_non_exhaustive()
    }
}

// === impl SqliteReader ===

#[async_trait]
impl Reader for SqliteReader {
    async fn next(&mut self) -> Result<Vec<Record>> {
        loop {
            if self.pending.is_none() {
                let newest = *self.newest.borrow_and_update();
                if newest <= self.after {
                    self.newest.changed().await.map_err(|_| closed())?;
                    continue;
                }
                let (database, number, after) = (self.database.clone(), self.number, self.after);
                let page = async move { database.read(move |connection| rows::page(connection, number, after)).await };
                self.pending = Some((newest, page.boxed()));
            }
            let Some((newest, page)) = &mut self.pending else { continue };
            let (newest, page) = (*newest, page.await);
            self.pending = None;
            let page = page?;
            // Retention may have removed the events up to `newest` in the meantime.
            self.after = page.last().map_or(newest, |last| last.sequence);
            if !page.is_empty() {
                return Ok(page);
            }
        }
    }
}

/// Requests the removal of expired events at an interval, until the log is dropped.
async fn sweep(queue: mpsc::WeakSender<Work>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(queue) = queue.upgrade() else { return };
        // If the queue is full, its commits remove expired events anyway.
        let _ = queue.try_send(Work::Sweep);
    }
}

fn overloaded() -> Error {
    let message = "the disk does not keep up with incoming events";
    Error::new(ErrorReason::CenterOverloaded, message).retry_after(Duration::from_secs(1))
}

fn closed() -> Error {
    Error::new(ErrorReason::StorageUnavailable, "the event log is closed")
}

#[cfg(test)]
mod tests;
