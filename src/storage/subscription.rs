//! IDs of subscriptions, for vendors that tell a subscription's ID only once.
//!
//! A row says: this ID had this name and callback. One ID may have several rows while a change is under way; whichever
//! of them the vendor's list shows, the ID is found.

use std::fmt;

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use super::Storage;
use crate::error::Result;

pub(super) const TABLE: &str = "
    CREATE TABLE subscription (
        center TEXT NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        callback BLOB NOT NULL,
        PRIMARY KEY (center, id, name, callback)
    ) STRICT, WITHOUT ROWID;
";

/// The ID of a subscription that the vendor was asked for and has not named yet.
const AWAITED: &str = "";

/// SHA-256 of a callback address, which may hold a secret of whoever receives there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Callback([u8; 32]);

/// What is known of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSubscription {
    /// The vendor's ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it posts.
    pub callback: Callback,
}

impl Storage {
    /// Everything known of a center's subscriptions.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn subscriptions(&self, center: &str) -> Result<Vec<KnownSubscription>> {
        let center = center.to_owned();
        self.run(move |connection| {
            connection
                .prepare(
                    "SELECT id, name, callback FROM subscription WHERE center = ?1 AND id <> ?2 ORDER BY id, name",
                )?
                .query_map(params![center, AWAITED], |row| {
                    Ok(KnownSubscription { id: row.get(0)?, name: row.get(1)?, callback: Callback(row.get(2)?) })
                })?
                .collect()
        })
        .await
    }

    /// Notes that the vendor is about to be asked for a subscription, and so that its ID can be kept.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the vendor must not be asked.
    pub async fn await_subscription(&self, center: &str, name: &str, callback: Callback) -> Result<()> {
        self.know_subscription(center, AWAITED, name, callback).await.map(drop)
    }

    /// Notes the vendor's ID of a subscription that was awaited, under each name it may be listed by.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the subscription is there, but its ID is not kept.
    pub async fn keep_subscription(&self, center: &str, id: &str, names: &[&str], callback: Callback) -> Result<()> {
        let (center, id) = (center.to_owned(), id.to_owned());
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.run(move |connection| {
            let transaction = connection.transaction()?;
            for name in &names {
                insert(&transaction, &center, &id, name, callback)?;
                remove(&transaction, &center, AWAITED, name, callback)?;
            }
            transaction.commit()
        })
        .await
    }

    /// Forgets that a subscription was awaited: the vendor refused it.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn stop_awaiting_subscription(&self, center: &str, name: &str, callback: Callback) -> Result<()> {
        self.forget_version(center, AWAITED, name, callback).await
    }

    /// Notes one more name and callback that a subscription may be listed by. Says whether they are new.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn know_subscription(&self, center: &str, id: &str, name: &str, callback: Callback) -> Result<bool> {
        let (center, id, name) = (center.to_owned(), id.to_owned(), name.to_owned());
        self.run(move |connection| insert(connection, &center, &id, &name, callback)).await
    }

    /// Forgets one name and callback of a subscription.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn forget_version(&self, center: &str, id: &str, name: &str, callback: Callback) -> Result<()> {
        let (center, id, name) = (center.to_owned(), id.to_owned(), name.to_owned());
        self.run(move |connection| remove(connection, &center, &id, &name, callback)).await
    }

    /// Forgets every name and callback of a subscription but this one.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn forget_other_versions(&self, center: &str, id: &str, name: &str, callback: Callback) -> Result<()> {
        let (center, id, name) = (center.to_owned(), id.to_owned(), name.to_owned());
        self.run(move |connection| {
            let others = "DELETE FROM subscription WHERE center = ?1 AND id = ?2 AND NOT (name = ?3 AND callback = ?4)";
            connection.execute(others, params![center, id, name, callback.0]).map(drop)
        })
        .await
    }

    /// Forgets a subscription.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn forget_subscription(&self, center: &str, id: &str) -> Result<()> {
        let (center, id) = (center.to_owned(), id.to_owned());
        self.run(move |connection| {
            connection.execute("DELETE FROM subscription WHERE center = ?1 AND id = ?2", [center, id]).map(drop)
        })
        .await
    }
}

fn insert(at: &Connection, center: &str, id: &str, name: &str, callback: Callback) -> rusqlite::Result<bool> {
    let insert = "INSERT OR IGNORE INTO subscription (center, id, name, callback) VALUES (?1, ?2, ?3, ?4)";
    at.execute(insert, params![center, id, name, callback.0]).map(|rows| rows > 0)
}

fn remove(at: &Connection, center: &str, id: &str, name: &str, callback: Callback) -> rusqlite::Result<()> {
    let delete = "DELETE FROM subscription WHERE center = ?1 AND id = ?2 AND name = ?3 AND callback = ?4";
    at.execute(delete, params![center, id, name, callback.0]).map(drop)
}

// === impl Callback ===

impl Callback {
    /// Of this address, as the vendor holds it.
    pub fn of(uri: &str) -> Self {
        Self(Sha256::digest(uri).into())
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, error::ErrorReason};

    async fn known(storage: &Storage, center: &str) -> Vec<(String, String)> {
        storage.subscriptions(center).await.unwrap().into_iter().map(|known| (known.id, known.name)).collect()
    }

    #[tokio::test]
    async fn an_id_is_kept_over_a_restart_and_belongs_to_one_center() {
        let directory = tempfile::tempdir().unwrap();
        let config = config::Storage { path: directory.path().join("switchboard.db") };
        let callback = Callback::of("https://crm.example.com/secret-path");
        {
            let storage = Storage::open(&config).unwrap();
            storage.await_subscription("acme", "crm", callback).await.unwrap();
            assert!(known(&storage, "acme").await.is_empty());
            storage.keep_subscription("acme", "168", &["crm", "CRM"], callback).await.unwrap();
        }
        let storage = Storage::open(&config).unwrap();
        let rows = storage.subscriptions("acme").await.unwrap();
        assert_eq!(rows[0], KnownSubscription { id: "168".into(), name: "CRM".into(), callback });
        assert_eq!(rows.len(), 2);
        assert!(known(&storage, "beta").await.is_empty());
        drop(storage);
        let file = std::fs::read(config.path).unwrap();
        assert!(!file.windows(11).any(|bytes| bytes == b"secret-path"));
    }

    #[tokio::test]
    async fn a_change_is_known_by_both_sides_until_it_is_done() {
        let storage = Storage::in_memory().unwrap();
        let (old, new) = (Callback::of("http://old.example.com"), Callback::of("http://new.example.com"));
        storage.keep_subscription("acme", "168", &["a"], old).await.unwrap();
        assert!(storage.know_subscription("acme", "168", "b", new).await.unwrap());
        assert!(!storage.know_subscription("acme", "168", "b", new).await.unwrap());
        assert_eq!(known(&storage, "acme").await, [("168".into(), "a".into()), ("168".into(), "b".into())]);
        storage.forget_other_versions("acme", "168", "b", new).await.unwrap();
        assert_eq!(known(&storage, "acme").await, [("168".into(), "b".into())]);
        storage.forget_subscription("acme", "168").await.unwrap();
        assert!(known(&storage, "acme").await.is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_told() {
        let storage = Storage::in_memory().unwrap();
        storage.refuse_writes().await;
        let refused = storage.await_subscription("acme", "a", Callback::of("x")).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::StorageUnavailable);
    }
}
