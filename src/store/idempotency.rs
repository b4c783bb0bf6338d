//! The store of calls with a `request_id`.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::error::Result;

/// How long a response is retained.
pub const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// A keyed hash.
pub type Hash = [u8; 32];

/// Stores calls and their sealed responses.
#[async_trait]
pub trait IdempotencyStore: Send + Sync + fmt::Debug {
    /// Records a call that is about to run, unless it is recorded already. Entries from before `expired` do not count.
    ///
    /// The record is on disk when this returns.
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<CallState>;
    /// Stores a call's sealed response. It may retry for half a minute: no caller waits for it.
    async fn complete(&self, call: Hash, sealed: Vec<u8>) -> Result<()>;
    /// Discards a call that had no effect, if this gateway began it. It may retry as long.
    async fn discard(&self, call: Hash) -> Result<()>;
    /// The key of all hashes and seals; generated once per store.
    async fn key(&self) -> Result<Hash>;
}

/// The recorded state of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallState {
    /// It was not recorded; it is now.
    New,
    /// It completed with this sealed response.
    Completed(Vec<u8>),
    /// Another gateway runs it, or may still run it.
    Running,
    /// It began, and its completion was never recorded.
    Interrupted,
    /// The ID belongs to a call with other content.
    ContentMismatch,
}
