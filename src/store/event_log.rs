//! The log of a center's events.
//!
//! Each center has its own log, in the order of receipt. Each record has a *sequence*, one more than the previous
//! record's. A *position* is the sequence of the last record that was read: reading resumes right after it, and 0 is
//! before the first record. Retention, by age and by size, removes the oldest records.

use std::{fmt, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use super::fingerprint::Fingerprint;
use crate::error::Result;

/// Most records, and most bytes of their bodies, in one page of a reader. A larger record is a page of its own.
pub const PAGE_RECORDS: usize = 256;
/// See [`PAGE_RECORDS`].
pub const PAGE_BYTES: usize = 256 * 1024;

/// Stores events.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug {
    /// Appends a callback's body to a center's log, unless it is a duplicate within the window of its fingerprint.
    ///
    /// When this returns `Ok`, the event is on disk.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the event may not be stored, so it must not be acknowledged. `CENTER_OVERLOADED`: the
    /// store's queue is full; the event was not stored.
    async fn append(&self, center: &str, body: Bytes, fingerprint: Fingerprint) -> Result<Appended>;

    /// The current extent of a center's log.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn extent(&self, center: &str) -> Result<Extent>;

    /// The position right before the first record that was received at `time` or later; the newest position if there is
    /// none.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64>;

    /// Reads a center's log after a position, or from the oldest record if that is later.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>>;
}

/// Reads one log in order.
#[async_trait]
pub trait Reader: Send {
    /// Waits for the next records, at least one. Cancel safe.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the reader is closed; a new one can resume from the last position.
    async fn next(&mut self) -> Result<Vec<Record>>;
}

/// One callback in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its sequence in the log.
    pub sequence: u64,
    /// When it was received. Not before the previous record, unless the clock was corrected in between.
    pub received: SystemTime,
    /// The callback's body.
    pub body: Bytes,
}

/// The outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The event was stored.
    Stored,
    /// The event was stored before.
    Duplicate,
}

/// The range of positions in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Identifies the log; it changes when the store is lost or recreated.
    pub log: u64,
    /// The position right before the oldest record.
    pub oldest: u64,
    /// The position of the newest record; `oldest` when the log is empty.
    pub newest: u64,
}

// Callbacks contain personal data.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("sequence", &self.sequence)
            .field("received", &self.received)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
