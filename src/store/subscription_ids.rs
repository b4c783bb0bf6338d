//! IDs of subscriptions, for a vendor that returns a subscription's ID only once.
//!
//! A record maps a name and a callback to an ID. During a change an ID has several records, so that it is found by the
//! old and by the new values in the vendor's list. Records are written and removed one by one, so that any key-value
//! store works: the new record is written before the old one is removed.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{error::Result, store::kv::KeyValueStore};

/// The ID of a pending subscription: the vendor has not returned its ID yet.
const PENDING: &str = "";

/// The records of all centers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionIds(Arc<dyn KeyValueStore>);

/// SHA-256 of a callback URI, which may contain a secret of its receiver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallbackHash([u8; 32]);

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SubscriptionRecord {
    /// The vendor's ID.
    pub id: String,
    /// The subscription's name.
    pub name: String,
    /// The hash of its callback URI.
    pub callback: CallbackHash,
}

/// A record's JSON.
#[derive(Serialize, Deserialize)]
struct StoredRecord {
    id: String,
    name: String,
    callback: String,
    /// Whether only the vendor has this name for it, and nobody requested it.
    #[serde(default)]
    is_listed_name: bool,
}

// === impl SubscriptionIds ===

impl SubscriptionIds {
    /// The records in this store.
    pub(crate) fn new(store: Arc<dyn KeyValueStore>) -> Self {
        Self(store)
    }

    /// A center's records, ordered by ID and name.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn list(&self, center: &str) -> Result<Vec<SubscriptionRecord>> {
        let entries = self.0.list(&center_prefix(center)).await?;
        let mut records: Vec<_> = entries.iter().filter_map(|(_, value)| SubscriptionRecord::parse(value)).collect();
        records.sort();
        Ok(records)
    }

    /// Adds a pending record before a subscription is created, which proves that its ID can be stored.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the subscription must not be created.
    pub(crate) async fn add_pending(&self, center: &str, name: &str, callback: CallbackHash) -> Result<()> {
        self.add(center, PENDING, name, callback).await.map(drop)
    }

    /// Replaces a pending record by the vendor's ID, with each name that the vendor may list the subscription by: the
    /// requested one first.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the subscription exists, but its ID is not stored.
    pub(crate) async fn resolve_pending(
        &self,
        center: &str,
        id: &str,
        names: &[&str],
        callback: CallbackHash,
    ) -> Result<()> {
        for (index, name) in names.iter().enumerate() {
            if index == 0 {
                self.add(center, id, name, callback).await?;
            } else {
                self.add_listed_name(center, id, name, callback).await?;
            }
            self.remove_pending(center, name, callback).await?;
        }
        Ok(())
    }

    /// Adds a record with a name that the vendor may list the subscription by and that nobody requested.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn add_listed_name(
        &self,
        center: &str,
        id: &str,
        name: &str,
        callback: CallbackHash,
    ) -> Result<()> {
        let (key, _) = entry(center, id, name, callback);
        self.0.create(&key, record(id, name, callback, true)).await.map(drop)
    }

    /// The name that was requested last for a subscription; `None` if it is not known, or during a change.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn requested_name(&self, center: &str, id: &str) -> Result<Option<String>> {
        let entries = self.0.list(&subscription_prefix(center, id)).await?;
        let records = entries.iter().filter_map(|(_, value)| serde_json::from_slice::<StoredRecord>(value).ok());
        let mut names: Vec<String> = records.filter(|it| !it.is_listed_name).map(|it| it.name).collect();
        names.dedup();
        Ok(if names.len() == 1 { names.pop() } else { None })
    }

    /// Removes a pending record: the vendor rejected the subscription.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn remove_pending(&self, center: &str, name: &str, callback: CallbackHash) -> Result<()> {
        self.remove(center, PENDING, name, callback).await
    }

    /// Adds a record. Returns whether it is new.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn add(&self, center: &str, id: &str, name: &str, callback: CallbackHash) -> Result<bool> {
        let (key, value) = entry(center, id, name, callback);
        let is_new = self.0.get(&key).await?.is_none();
        // Written in either case: the caller relies on a writable store, and the vendor may have had this name for it.
        self.0.put(&key, value).await?;
        Ok(is_new)
    }

    /// Removes one record.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn remove(&self, center: &str, id: &str, name: &str, callback: CallbackHash) -> Result<()> {
        self.0.remove(&entry(center, id, name, callback).0).await
    }

    /// Removes every record of a subscription but this one, which is added if it is missing.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn remove_others(&self, center: &str, id: &str, name: &str, callback: CallbackHash) -> Result<()> {
        let (key, value) = entry(center, id, name, callback);
        let entries = self.0.list(&subscription_prefix(center, id)).await?;
        if !entries.iter().any(|(other, _)| *other == key) {
            // Another gateway may have removed it, whose change the vendor applied first.
            self.0.create(&key, value).await?;
        }
        for (other, _) in entries.iter().filter(|(other, _)| *other != key) {
            self.0.remove(other).await?;
        }
        Ok(())
    }

    /// Removes every record of a subscription.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub(crate) async fn remove_all(&self, center: &str, id: &str) -> Result<()> {
        for (key, _) in self.0.list(&subscription_prefix(center, id)).await? {
            self.0.remove(&key).await?;
        }
        Ok(())
    }
}

// === impl CallbackHash ===

impl CallbackHash {
    /// The hash of this URI, in the vendor's spelling.
    pub fn of(uri: &str) -> Self {
        Self(Sha256::digest(uri).into())
    }
}

impl From<[u8; 32]> for CallbackHash {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl From<CallbackHash> for [u8; 32] {
    fn from(callback: CallbackHash) -> Self {
        callback.0
    }
}

impl fmt::Debug for CallbackHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackHash")
    }
}

// === impl SubscriptionRecord ===

impl SubscriptionRecord {
    /// `None` for a record in an unknown format.
    fn parse(value: &[u8]) -> Option<Self> {
        let StoredRecord { id, name, callback, is_listed_name: _ } = serde_json::from_slice(value).ok()?;
        let callback = BASE64.decode(callback).ok()?.try_into().ok()?;
        Some(Self { id, name, callback: CallbackHash(callback) })
    }
}

/// The key and value of a record. `id` is empty while it is pending.
pub(crate) fn entry(center: &str, id: &str, name: &str, callback: CallbackHash) -> (String, Vec<u8>) {
    // The vendor's names and IDs may have any characters and length.
    let hash = Sha256::new().chain_update(callback.0).chain_update(name).finalize();
    let prefix =
        if id == PENDING { format!("subscription-awaited.{center}.") } else { subscription_prefix(center, id) };
    (prefix + &BASE64.encode(hash), record(id, name, callback, false))
}

/// The value of a record.
fn record(id: &str, name: &str, callback: CallbackHash, is_listed_name: bool) -> Vec<u8> {
    let mut stored = serde_json::json!({ "id": id, "name": name, "callback": BASE64.encode(callback.0) });
    if is_listed_name {
        stored["is_listed_name"] = true.into();
    }
    stored.to_string().into_bytes()
}

fn center_prefix(center: &str) -> String {
    format!("subscription.{center}.")
}

fn subscription_prefix(center: &str, id: &str) -> String {
    format!("{}{}.", center_prefix(center), BASE64.encode(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{config, error::ErrorReason, store::sqlite::Database};

    fn subscription_ids(database: &Database) -> SubscriptionIds {
        SubscriptionIds::new(Arc::new(database.clone()))
    }

    async fn listed(ids: &SubscriptionIds, center: &str) -> Vec<(String, String)> {
        ids.list(center).await.unwrap().into_iter().map(|record| (record.id, record.name)).collect()
    }

    #[tokio::test]
    async fn an_id_survives_a_restart_and_belongs_to_one_center() {
        let directory = tempfile::tempdir().unwrap();
        let config = config::Storage { path: directory.path().join("switchboard.db") };
        let callback = CallbackHash::of("https://crm.example.com/secret-path");
        {
            let ids = subscription_ids(&Database::open(&config).unwrap());
            ids.add_pending("acme", "crm", callback).await.unwrap();
            assert!(listed(&ids, "acme").await.is_empty());
            ids.resolve_pending("acme", "168", &["crm", "CRM"], callback).await.unwrap();
        }
        let database = Database::open(&config).unwrap();
        let rows = subscription_ids(&database).list("acme").await.unwrap();
        assert_eq!(rows[0], SubscriptionRecord { id: "168".into(), name: "CRM".into(), callback });
        assert_eq!(rows.len(), 2);
        assert_eq!(database.list("").await.unwrap().len(), 2, "the pending record is removed");
        assert!(listed(&subscription_ids(&database), "beta").await.is_empty());
        drop(database);
        let file = std::fs::read(config.path).unwrap();
        assert!(!file.windows(11).any(|bytes| bytes == b"secret-path"));
    }

    #[tokio::test]
    async fn an_id_is_found_by_old_and_new_values_during_a_change() {
        let ids = subscription_ids(&Database::in_memory().unwrap());
        let (old, new) = (CallbackHash::of("http://old.example.com"), CallbackHash::of("http://new.example.com"));
        ids.resolve_pending("acme", "168", &["a"], old).await.unwrap();
        ids.resolve_pending("acme", "16", &["a"], old).await.unwrap();
        assert!(ids.add("acme", "168", "b", new).await.unwrap());
        assert!(!ids.add("acme", "168", "b", new).await.unwrap());
        let row = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(listed(&ids, "acme").await, [row("16", "a"), row("168", "a"), row("168", "b")]);
        ids.remove_others("acme", "168", "b", new).await.unwrap();
        assert_eq!(listed(&ids, "acme").await, [row("16", "a"), row("168", "b")]);
        ids.remove_all("acme", "168").await.unwrap();
        assert_eq!(listed(&ids, "acme").await, [row("16", "a")]);
        ids.remove_others("acme", "168", "b", new).await.unwrap();
        assert_eq!(listed(&ids, "acme").await, [row("16", "a"), row("168", "b")], "the applied change is recorded");
    }

    #[tokio::test]
    async fn a_failed_write_is_reported() {
        let database = Database::in_memory().unwrap();
        let (ids, callback) = (subscription_ids(&database), CallbackHash::of("x"));
        ids.add_pending("acme", "a", callback).await.unwrap();
        database.refuse_writes().await;
        let refused = ids.add_pending("acme", "a", callback).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::StorageUnavailable, "also when the record exists");
    }

    proptest! {
        #[test]
        fn a_record_round_trips_and_its_key_is_valid_in_any_store(id in "\\PC{0,40}", name in "\\PC{0,200}", uri in "\\PC{0,99}") {
            let callback = CallbackHash::of(&uri);
            let (key, value) = entry("acme-1", &id, &name, callback);
            prop_assert_eq!(SubscriptionRecord::parse(&value), Some(SubscriptionRecord { id, name, callback }));
            let is_part = |part: &str| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
            };
            prop_assert!(key.split('.').all(is_part), "{}", key);
        }
    }
}
