//! IDs of subscriptions, for vendors that tell a subscription's ID only once.
//!
//! A fact says: this ID had this name and callback. One ID may have several facts while a change is under way; whichever
//! of them the vendor's list shows, the ID is found. Each is written and removed by itself, so that any store can hold
//! them: what is new is written before what is old is removed.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{error::Result, store::kv::KeyValueStore};

/// The ID of a subscription that the vendor was asked for and has not named yet.
const AWAITED: &str = "";

/// What is remembered of subscriptions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory(Arc<dyn KeyValueStore>);

/// SHA-256 of a callback address, which may hold a secret of whoever receives there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Callback([u8; 32]);

/// What is known of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    /// The vendor's ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it posts.
    pub callback: Callback,
}

/// A fact as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    name: String,
    callback: String,
}

// === impl Memory ===

impl Memory {
    /// What this store holds.
    pub fn new(state: Arc<dyn KeyValueStore>) -> Self {
        Self(state)
    }

    /// Everything known of a center's subscriptions, by ID and name.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn known(&self, center: &str) -> Result<Vec<Known>> {
        let facts = self.0.list(&known_in(center)).await?;
        let mut known: Vec<Known> = facts.iter().filter_map(|(_, value)| Known::read(value)).collect();
        known.sort();
        Ok(known)
    }

    /// Notes that the vendor is about to be asked for a subscription, and so that its ID can be kept.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the vendor must not be asked.
    pub async fn await_id(&self, center: &str, name: &str, callback: Callback) -> Result<()> {
        self.know(center, AWAITED, name, callback).await.map(drop)
    }

    /// Notes the vendor's ID of a subscription that was awaited, under each name it may be listed by.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the subscription is there, but its ID is not kept.
    pub async fn keep_id(&self, center: &str, id: &str, names: &[&str], callback: Callback) -> Result<()> {
        for name in names {
            self.know(center, id, name, callback).await?;
            self.stop_awaiting(center, name, callback).await?;
        }
        Ok(())
    }

    /// Forgets that a subscription was awaited: the vendor refused it.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn stop_awaiting(&self, center: &str, name: &str, callback: Callback) -> Result<()> {
        self.forget_version(center, AWAITED, name, callback).await
    }

    /// Notes one more name and callback that a subscription may be listed by. Says whether they are new.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn know(&self, center: &str, id: &str, name: &str, callback: Callback) -> Result<bool> {
        let (key, value) = fact(center, id, name, callback);
        let is_new = self.0.get(&key).await?.is_none();
        // Written in either case: whoever goes on relies on a store that can be written.
        self.0.create(&key, value).await?;
        Ok(is_new)
    }

    /// Forgets one name and callback of a subscription.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn forget_version(&self, center: &str, id: &str, name: &str, callback: Callback) -> Result<()> {
        self.0.remove(&fact(center, id, name, callback).0).await
    }

    /// Forgets every name and callback of a subscription but this one, which is known from now on.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn forget_other_versions(&self, center: &str, id: &str, name: &str, callback: Callback) -> Result<()> {
        let (key, value) = fact(center, id, name, callback);
        let facts = self.0.list(&known_of(center, id)).await?;
        if !facts.iter().any(|(other, _)| *other == key) {
            // Another gateway may have forgotten it, whose change the vendor took first.
            self.0.create(&key, value).await?;
        }
        for (other, _) in facts.iter().filter(|(other, _)| *other != key) {
            self.0.remove(other).await?;
        }
        Ok(())
    }

    /// Forgets a subscription.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn forget(&self, center: &str, id: &str) -> Result<()> {
        for (key, _) in self.0.list(&known_of(center, id)).await? {
            self.0.remove(&key).await?;
        }
        Ok(())
    }
}

// === impl Callback ===

impl Callback {
    /// Of this address, as the vendor holds it.
    pub fn of(uri: &str) -> Self {
        Self(Sha256::digest(uri).into())
    }
}

impl From<[u8; 32]> for Callback {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl From<Callback> for [u8; 32] {
    fn from(callback: Callback) -> Self {
        callback.0
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

// === impl Known ===

impl Known {
    /// `None` for what this version of the gateway cannot read.
    fn read(value: &[u8]) -> Option<Self> {
        let Kept { id, name, callback } = serde_json::from_slice(value).ok()?;
        let callback = BASE64.decode(callback).ok()?.try_into().ok()?;
        Some(Self { id, name, callback: Callback(callback) })
    }
}

/// The key and value of what is known of a subscription. `id` is empty while it is awaited.
pub fn fact(center: &str, id: &str, name: &str, callback: Callback) -> (String, Vec<u8>) {
    // Names and IDs are the vendor's and may have any characters and length.
    let version = Sha256::new().chain_update(callback.0).chain_update(name).finalize();
    let place = if id == AWAITED { format!("subscription-awaited.{center}.") } else { known_of(center, id) };
    let kept = serde_json::json!({ "id": id, "name": name, "callback": BASE64.encode(callback.0) });
    (place + &BASE64.encode(version), kept.to_string().into_bytes())
}

fn known_in(center: &str) -> String {
    format!("subscription.{center}.")
}

fn known_of(center: &str, id: &str) -> String {
    format!("{}{}.", known_in(center), BASE64.encode(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{config, error::ErrorReason, store::sqlite::Database};

    fn memory(database: &Database) -> Memory {
        Memory::new(Arc::new(database.clone()))
    }

    async fn known(memory: &Memory, center: &str) -> Vec<(String, String)> {
        memory.known(center).await.unwrap().into_iter().map(|known| (known.id, known.name)).collect()
    }

    #[tokio::test]
    async fn an_id_is_kept_over_a_restart_and_belongs_to_one_center() {
        let directory = tempfile::tempdir().unwrap();
        let config = config::Storage { path: directory.path().join("switchboard.db") };
        let callback = Callback::of("https://crm.example.com/secret-path");
        {
            let memory = memory(&Database::open(&config).unwrap());
            memory.await_id("acme", "crm", callback).await.unwrap();
            assert!(known(&memory, "acme").await.is_empty());
            memory.keep_id("acme", "168", &["crm", "CRM"], callback).await.unwrap();
        }
        let database = Database::open(&config).unwrap();
        let rows = memory(&database).known("acme").await.unwrap();
        assert_eq!(rows[0], Known { id: "168".into(), name: "CRM".into(), callback });
        assert_eq!(rows.len(), 2);
        assert_eq!(database.list("").await.unwrap().len(), 2, "it is awaited no more");
        assert!(known(&memory(&database), "beta").await.is_empty());
        drop(database);
        let file = std::fs::read(config.path).unwrap();
        assert!(!file.windows(11).any(|bytes| bytes == b"secret-path"));
    }

    #[tokio::test]
    async fn a_change_is_known_by_both_sides_until_it_is_done() {
        let memory = memory(&Database::in_memory().unwrap());
        let (old, new) = (Callback::of("http://old.example.com"), Callback::of("http://new.example.com"));
        memory.keep_id("acme", "168", &["a"], old).await.unwrap();
        memory.keep_id("acme", "16", &["a"], old).await.unwrap();
        assert!(memory.know("acme", "168", "b", new).await.unwrap());
        assert!(!memory.know("acme", "168", "b", new).await.unwrap());
        let row = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(known(&memory, "acme").await, [row("16", "a"), row("168", "a"), row("168", "b")]);
        memory.forget_other_versions("acme", "168", "b", new).await.unwrap();
        assert_eq!(known(&memory, "acme").await, [row("16", "a"), row("168", "b")]);
        memory.forget("acme", "168").await.unwrap();
        assert_eq!(known(&memory, "acme").await, [row("16", "a")]);
        memory.forget_other_versions("acme", "168", "b", new).await.unwrap();
        assert_eq!(known(&memory, "acme").await, [row("16", "a"), row("168", "b")], "what was done is known");
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_told() {
        let database = Database::in_memory().unwrap();
        let (memory, callback) = (memory(&database), Callback::of("x"));
        memory.await_id("acme", "a", callback).await.unwrap();
        database.refuse_writes().await;
        let refused = memory.await_id("acme", "a", callback).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::StorageUnavailable, "also where it is awaited already");
    }

    proptest! {
        #[test]
        fn a_fact_is_read_back_and_its_key_suits_any_store(id in "\\PC{0,40}", name in "\\PC{0,200}", uri in "\\PC{0,99}") {
            let callback = Callback::of(&uri);
            let (key, value) = fact("acme-1", &id, &name, callback);
            prop_assert_eq!(Known::read(&value), Some(Known { id, name, callback }));
            let is_part = |part: &str| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
            };
            prop_assert!(key.split('.').all(is_part), "{}", key);
        }
    }
}
