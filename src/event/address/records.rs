//! What is kept of addresses: everything but their macs, which whoever has the key can make again.

use std::{sync::Arc, time::Duration};

use moka::{
    Entry,
    future::Cache,
    ops::compute::{CompResult, Op},
};
use serde::{Deserialize, Serialize};

use super::{GRACE, Nonce};
use crate::{
    clock::Clock,
    error::{Error, ErrorReason, Result},
    store::kv::KeyValueStore,
};

/// How long what the store said is believed. Shorter than [`GRACE`], so that an address that another gateway gave up ends
/// here with its grace, too.
pub(super) const BELIEVED: Duration = Duration::from_secs(60);
/// Most addresses of which it is held in memory until when they are taken.
const MOST_KNOWN: u64 = 10_000;

/// The facts of all centers' addresses.
pub(super) struct AddressRecords {
    pub state: Arc<dyn KeyValueStore>,
    clock: Clock,
    /// By the facts' keys.
    known: Cache<String, Known>,
}

/// Until when an address is taken, and when that was read.
#[derive(Clone, Copy)]
struct Known {
    until: Option<u64>,
    read: Duration,
}

/// What is known of an address.
#[derive(Serialize, Deserialize)]
pub(super) struct AddressRecord {
    pub status: Status,
    /// Since when, in milliseconds since 1970.
    since: u64,
    /// The vendor's ID of the subscription that posts there, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// The vendor is being told of it, or nobody knows whether it took it.
    Pending,
    /// The vendor posts there.
    Adopted,
    /// The vendor posts there no longer.
    Retired,
}

// === impl AddressRecords ===

impl AddressRecords {
    pub fn new(state: Arc<dyn KeyValueStore>, clock: Clock) -> Self {
        Self { state, clock, known: Cache::new(MOST_KNOWN) }
    }

    /// Whether what is posted there is taken now. The store is asked when it was not for a while, and then once for all
    /// who ask.
    pub async fn is_taken(&self, center: &str, nonce: &str) -> Result<bool> {
        let (key, now) = (key(center, nonce), self.clock.steady());
        let is_fresh = |known: &Known| now.saturating_sub(known.read) < BELIEVED;
        let known = match self.known.get(&key).await.filter(is_fresh) {
            Some(known) => Some(known),
            None => {
                let read = async |entry: Option<Entry<String, Known>>| match entry {
                    Some(entry) if is_fresh(entry.value()) => Ok(Op::Nop),
                    // That there is none is not remembered: another gateway may have just made it.
                    _ => Ok(self.read(&key).await?.map_or(Op::Remove, |fact| Op::Put(fact.known(now)))),
                };
                let computed: Result<_> = self.known.entry_by_ref(&key).and_try_compute_with(read).await;
                match computed? {
                    CompResult::Removed(_) => None,
                    other => other.into_entry().map(Entry::into_value),
                }
            }
        };
        Ok(known.is_some_and(|known| known.until.is_none_or(|until| self.clock.unix_millis() <= until)))
    }

    pub async fn get(&self, center: &str, nonce: &Nonce) -> Result<Option<AddressRecord>> {
        self.read(&key(center, &nonce.0)).await
    }

    /// Keeps what became of an address. This gateway goes by it at once.
    pub async fn put(&self, center: &str, nonce: &Nonce, status: Status, subscription: Option<&str>) -> Result<()> {
        let key = key(center, &nonce.0);
        let fact =
            AddressRecord { status, since: self.clock.unix_millis(), subscription: subscription.map(str::to_owned) };
        // Nothing in it can fail to be written.
        self.state.put(&key, serde_json::to_vec(&fact).unwrap_or_default()).await?;
        self.known.insert(key, fact.known(self.clock.steady())).await;
        Ok(())
    }

    pub async fn remove(&self, center: &str, nonce: &Nonce) -> Result<()> {
        let key = key(center, &nonce.0);
        self.known.invalidate(&key).await;
        self.state.remove(&key).await
    }

    /// Those of one subscription.
    pub async fn of(&self, center: &str, subscription: &str) -> Result<Vec<(Nonce, AddressRecord)>> {
        let mut facts = self.all(center).await?;
        facts.retain(|(_, fact)| fact.is_of(subscription));
        Ok(facts)
    }

    /// Forgets the addresses of a center that are taken no longer.
    pub async fn sweep(&self, center: &str) -> Result<()> {
        let now = self.clock.unix_millis();
        let is_over = |fact: &AddressRecord| fact.known(Duration::ZERO).until.is_some_and(|until| until < now);
        for (nonce, _) in self.all(center).await?.into_iter().filter(|(_, fact)| is_over(fact)) {
            self.state.remove(&key(center, &nonce.0)).await?;
        }
        Ok(())
    }

    /// Whether it has been so for longer than this.
    pub fn is_older(&self, fact: &AddressRecord, age: Duration) -> bool {
        u128::from(self.clock.unix_millis().saturating_sub(fact.since)) > age.as_millis()
    }

    async fn read(&self, key: &str) -> Result<Option<AddressRecord>> {
        let unreadable = |_| unreadable();
        self.state.get(key).await?.map(|bytes| serde_json::from_slice(&bytes).map_err(unreadable)).transpose()
    }

    /// All of a center that this version of the gateway can read.
    async fn all(&self, center: &str) -> Result<Vec<(Nonce, AddressRecord)>> {
        let prefix = key(center, "");
        let facts = self.state.list(&prefix).await?.into_iter().filter_map(|(key, bytes)| {
            let nonce = key.strip_prefix(&prefix)?.to_owned();
            Some((Nonce(nonce), serde_json::from_slice(&bytes).ok()?))
        });
        Ok(facts.collect())
    }
}

// === impl AddressRecord ===

impl AddressRecord {
    pub fn is_of(&self, subscription: &str) -> bool {
        self.subscription.as_deref() == Some(subscription)
    }

    fn known(&self, read: Duration) -> Known {
        let grace = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        Known { until: (self.status == Status::Retired).then(|| self.since.saturating_add(grace)), read }
    }
}

/// The key of an address's fact.
fn key(center: &str, nonce: &str) -> String {
    format!("address.{center}.{nonce}")
}

/// # Errors
/// Always `STORAGE_UNAVAILABLE`.
pub(super) fn unreadable() -> Error {
    tracing::error!("a stored callback address record is malformed");
    Error::new(ErrorReason::StorageUnavailable, "the gateway cannot read a stored callback address record")
}
