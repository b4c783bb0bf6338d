//! Stored records of addresses. A record has no MAC: a gateway computes it with the key.

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

/// How long a cached record is used. Shorter than [`GRACE`], so that an address that another gateway retired expires
/// here at the end of its grace, too.
pub(super) const CACHE_TTL: Duration = Duration::from_secs(60);
/// Most cached addresses.
const CACHE_CAPACITY: u64 = 10_000;

/// The records of all centers' addresses.
pub(super) struct AddressRecords {
    pub store: Arc<dyn KeyValueStore>,
    clock: Clock,
    /// By the records' store keys.
    cache: Cache<String, CacheEntry>,
}

/// The part of a record that [`AddressRecords::is_accepted`] uses, and when it was read.
#[derive(Clone, Copy)]
struct CacheEntry {
    /// In milliseconds since 1970; `None` without an end.
    accepted_until: Option<u64>,
    read_at: Duration,
}

/// The stored record of an address.
#[derive(Serialize, Deserialize)]
pub(super) struct AddressRecord {
    pub status: Status,
    /// When the status was set, in milliseconds since 1970.
    since: u64,
    /// The vendor's ID of the subscription; `None` until the vendor assigned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// The request that sends the address to the vendor runs, or its outcome is unknown.
    Pending,
    /// The vendor sends callbacks to the address.
    Adopted,
    /// The vendor sends no new events to the address.
    Retired,
}

// === impl AddressRecords ===

impl AddressRecords {
    pub(super) fn new(store: Arc<dyn KeyValueStore>, clock: Clock) -> Self {
        Self { store, clock, cache: Cache::new(CACHE_CAPACITY) }
    }

    /// Whether callbacks to the address are accepted now. Reads the store when the cache entry expired; concurrent
    /// calls share one read.
    pub(super) async fn is_accepted(&self, center: &str, nonce: &str) -> Result<bool> {
        let (key, now) = (key(center, nonce), self.clock.steady());
        let is_fresh = |entry: &CacheEntry| now.saturating_sub(entry.read_at) < CACHE_TTL;
        let entry = match self.cache.get(&key).await.filter(is_fresh) {
            Some(entry) => Some(entry),
            None => {
                let read = async |entry: Option<Entry<String, CacheEntry>>| match entry {
                    Some(entry) if is_fresh(entry.value()) => Ok(Op::Nop),
                    // The cache holds no absent records, because another gateway may mint the address meanwhile.
                    _ => Ok(self.read(&key).await?.map_or(Op::Remove, |record| Op::Put(record.cache_entry(now)))),
                };
                let computed: Result<_> = self.cache.entry_by_ref(&key).and_try_compute_with(read).await;
                match computed? {
                    CompResult::Removed(_) => None,
                    other => other.into_entry().map(Entry::into_value),
                }
            }
        };
        Ok(entry.is_some_and(|entry| entry.accepted_until.is_none_or(|end| self.clock.unix_millis() <= end)))
    }

    pub(super) async fn get(&self, center: &str, nonce: &Nonce) -> Result<Option<AddressRecord>> {
        self.read(&key(center, &nonce.0)).await
    }

    /// Stores a record and caches it, so that this gateway applies it immediately.
    pub(super) async fn put(
        &self,
        center: &str,
        nonce: &Nonce,
        status: Status,
        subscription: Option<&str>,
    ) -> Result<()> {
        let key = key(center, &nonce.0);
        let record =
            AddressRecord { status, since: self.clock.unix_millis(), subscription: subscription.map(str::to_owned) };
        // Serializing the record does not fail.
        self.store.put(&key, serde_json::to_vec(&record).unwrap_or_default()).await?;
        self.cache.insert(key, record.cache_entry(self.clock.steady())).await;
        Ok(())
    }

    pub(super) async fn remove(&self, center: &str, nonce: &Nonce) -> Result<()> {
        let key = key(center, &nonce.0);
        self.cache.invalidate(&key).await;
        self.store.remove(&key).await
    }

    /// The records of one subscription.
    pub(super) async fn of_subscription(
        &self,
        center: &str,
        subscription: &str,
    ) -> Result<Vec<(Nonce, AddressRecord)>> {
        let mut records = self.all(center).await?;
        records.retain(|(_, record)| record.belongs_to(subscription));
        Ok(records)
    }

    /// Removes the records of a center's addresses whose grace expired.
    pub(super) async fn remove_expired(&self, center: &str) -> Result<()> {
        let now = self.clock.unix_millis();
        let is_expired = |record: &AddressRecord| record.accepted_until().is_some_and(|end| end < now);
        for (nonce, _) in self.all(center).await?.into_iter().filter(|(_, record)| is_expired(record)) {
            self.store.remove(&key(center, &nonce.0)).await?;
        }
        Ok(())
    }

    /// Whether the record has its status for longer than `age`.
    pub(super) fn is_older(&self, record: &AddressRecord, age: Duration) -> bool {
        u128::from(self.clock.unix_millis().saturating_sub(record.since)) > age.as_millis()
    }

    async fn read(&self, key: &str) -> Result<Option<AddressRecord>> {
        let unreadable = |_| unreadable();
        self.store.get(key).await?.map(|bytes| serde_json::from_slice(&bytes).map_err(unreadable)).transpose()
    }

    /// The records of a center that this version of the gateway can read.
    async fn all(&self, center: &str) -> Result<Vec<(Nonce, AddressRecord)>> {
        let prefix = key(center, "");
        let records = self.store.list(&prefix).await?.into_iter().filter_map(|(key, bytes)| {
            let nonce = key.strip_prefix(&prefix)?.to_owned();
            Some((Nonce(nonce), serde_json::from_slice(&bytes).ok()?))
        });
        Ok(records.collect())
    }
}

// === impl AddressRecord ===

impl AddressRecord {
    pub(super) fn belongs_to(&self, subscription: &str) -> bool {
        self.subscription.as_deref() == Some(subscription)
    }

    /// End of the grace, in milliseconds since 1970; `None` unless the address is retired.
    fn accepted_until(&self) -> Option<u64> {
        let grace = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        (self.status == Status::Retired).then(|| self.since.saturating_add(grace))
    }

    fn cache_entry(&self, read_at: Duration) -> CacheEntry {
        CacheEntry { accepted_until: self.accepted_until(), read_at }
    }
}

/// The store key of an address's record.
fn key(center: &str, nonce: &str) -> String {
    format!("address.{center}.{nonce}")
}

/// # Errors
/// Always `STORAGE_UNAVAILABLE`.
pub(super) fn unreadable() -> Error {
    tracing::error!("a stored callback address record is malformed");
    Error::new(ErrorReason::StorageUnavailable, "the gateway cannot read a stored callback address record")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::Database;

    #[tokio::test]
    async fn addresses_in_memory_are_bounded() {
        let records = AddressRecords::new(Arc::new(Database::in_memory().unwrap()), Clock::system());
        let entry = CacheEntry { accepted_until: None, read_at: Duration::ZERO };
        for number in 0..CACHE_CAPACITY + 200 {
            records.cache.insert(number.to_string(), entry).await;
        }
        records.cache.run_pending_tasks().await;
        assert!(records.cache.entry_count() <= 10_000, "{}", records.cache.entry_count());
    }
}
