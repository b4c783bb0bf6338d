//! The log of a center's events, whatever keeps it.
//!
//! Each center has a log of its own, in the order of receipt. A record has a *sequence*, one more than the one before it;
//! a *position* is the sequence of the last record that was read, so reading goes on right after it, and 0 is before
//! everything. Records leave a log at its old end only, by age and by size.

use std::{fmt, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use super::fingerprint::Fingerprint;
use crate::error::Result;

/// Most records, and most bytes of their bodies, that a reader gives at once. A record larger than that comes alone.
pub const PAGE_RECORDS: usize = 256;
/// See [`PAGE_RECORDS`].
pub const PAGE_BYTES: usize = 256 * 1024;

/// Where events are kept.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug {
    /// Keeps what was posted to a center, unless it was posted before within the window of its fingerprint.
    ///
    /// It is on disk when this returns `Ok`, or was already.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: it may not have been kept, so it must not be acknowledged. `CENTER_OVERLOADED`: more waits
    /// to be kept than the store takes; it was not kept.
    async fn append(&self, center: &str, body: Bytes, fingerprint: Fingerprint) -> Result<Appended>;

    /// What a center's log holds now.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn extent(&self, center: &str) -> Result<Extent>;

    /// The position right before the first record that was received at `time` or later; the newest one when there is none.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64>;

    /// Reads a center's log from right after a position on. A position before the oldest record begins there.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>>;
}

/// Reads one log, in order.
#[async_trait]
pub trait Reader: Send {
    /// The next records, at least one: waits for it. May be dropped while it waits; nothing is lost then.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the reader is of no more use; a new one goes on from the last position.
    async fn next(&mut self) -> Result<Vec<Record>>;
}

/// One thing that was posted.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub sequence: u64,
    /// When it was received. Not before the record that precedes it, unless a clock was set right in between.
    pub received: SystemTime,
    /// As it was posted.
    pub body: Bytes,
}

/// What became of something that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It was kept.
    Fresh,
    /// It had been kept before.
    Duplicate,
}

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Which log: another one after the store was lost or made anew.
    pub log: u64,
    /// The position right before the oldest record.
    pub oldest: u64,
    /// The position of the newest record; `oldest` when there is none.
    pub newest: u64,
}

// What vendors post is about people.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("sequence", &self.sequence)
            .field("received", &self.received)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
