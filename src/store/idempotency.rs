//! Calls with a `request_id`: what a store keeps of them.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::error::Result;

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A keyed hash.
pub type Hash = [u8; 32];

/// Where calls and their answers are kept.
#[async_trait]
pub trait IdempotencyStore: Send + Sync + fmt::Debug {
    /// Notes a call that is about to run, unless it is known already. What is older than `expired` counts as gone.
    ///
    /// It is on disk when this returns.
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<Begun>;
    /// Keeps a call's sealed answer. May try for half a minute: nobody waits for it.
    async fn finish(&self, call: Hash, sealed: Vec<u8>) -> Result<()>;
    /// Forgets a call that did nothing, if this gateway began it. May try as long.
    async fn forget(&self, call: Hash) -> Result<()>;
    /// The key that everything is hashed and sealed with; made once and kept for as long as the store is.
    async fn key(&self) -> Result<Hash>;
}

/// What was known of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is noted now.
    Fresh,
    /// It had ended with this sealed answer.
    Finished(Vec<u8>),
    /// Another gateway runs it, or did moments ago.
    Running,
    /// It began and its end was never noted.
    Unfinished,
    /// The ID belongs to a call with other content.
    Other,
}
