//! Key-value entries, and the migration of the former table of subscriptions.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::Database;
use crate::{
    error::Result,
    store::{kv::KeyValueStore, subscription_ids, subscription_ids::CallbackHash},
};

pub(super) const TABLE: &str = "
    CREATE TABLE state (
        key TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Sorts after every character of a key.
const AFTER_ANY_KEY: char = '~';

#[async_trait]
impl KeyValueStore for Database {
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let (from, to) = (prefix.to_owned(), format!("{prefix}{AFTER_ANY_KEY}"));
        self.read(move |connection| {
            connection
                .prepare("SELECT key, value FROM state WHERE key >= ?1 AND key < ?2 ORDER BY key")?
                .query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = key.to_owned();
        self.read(move |connection| {
            connection.query_row("SELECT value FROM state WHERE key = ?1", [key], |row| row.get(0)).optional()
        })
        .await
    }

    async fn create(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        let key = key.to_owned();
        self.run(move |connection| {
            connection.execute("INSERT OR IGNORE INTO state (key, value) VALUES (?1, ?2)", params![key, value])?;
            connection.query_row("SELECT value FROM state WHERE key = ?1", [key], |row| row.get(0))
        })
        .await
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<()> {
        let key = key.to_owned();
        self.run(move |connection| {
            let put = "INSERT INTO state (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
            connection.execute(put, params![key, value]).map(drop)
        })
        .await
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.run(move |connection| connection.execute("DELETE FROM state WHERE key = ?1", [key]).map(drop)).await
    }
}

/// Moves the subscriptions of the former table into key-value entries.
pub(super) fn migrate_subscriptions(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut rows = transaction.prepare("SELECT center, id, name, callback FROM subscription")?;
    let mut rows = rows.query(())?;
    while let Some(row) = rows.next()? {
        let (center, id, name): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (key, value) = subscription_ids::entry(&center, &id, &name, CallbackHash::from(row.get::<_, [u8; 32]>(3)?));
        transaction.execute("INSERT INTO state (key, value) VALUES (?1, ?2)", params![key, value])?;
    }
    drop(rows);
    transaction.execute_batch("DROP TABLE subscription")
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::{
        config,
        error::ErrorReason,
        store::{
            sqlite::{self, Cause},
            subscription_ids::SubscriptionRecord,
        },
    };

    #[tokio::test]
    async fn entries_are_created_replaced_and_removed() {
        let database = Database::in_memory().unwrap();
        assert_eq!(database.get("a.b").await.unwrap(), None);
        assert_eq!(database.create("a.b", b"1".to_vec()).await.unwrap(), b"1");
        assert_eq!(database.create("a.b", b"2".to_vec()).await.unwrap(), b"1", "the first wins");
        database.put("a.b", b"3".to_vec()).await.unwrap();
        database.put("a.c", Vec::new()).await.unwrap();
        assert_eq!(database.get("a.b").await.unwrap(), Some(b"3".to_vec()));
        database.remove("a.b").await.unwrap();
        database.remove("a.b").await.unwrap();
        assert_eq!(database.get("a.b").await.unwrap(), None);
        assert_eq!(database.get("a.c").await.unwrap(), Some(Vec::new()));
    }

    #[tokio::test]
    async fn a_list_contains_the_keys_with_the_prefix_in_order() {
        let database = Database::in_memory().unwrap();
        for key in ["a.zz", "a.Z", "a.-", "a.0=", "a._", "a", "b.a", "A.a", "aa.a", "a.a.b"] {
            database.put(key, key.as_bytes().to_vec()).await.unwrap();
        }
        let keys = async |prefix: &str| -> Vec<String> {
            database.list(prefix).await.unwrap().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys("a.").await, ["a.-", "a.0=", "a.Z", "a._", "a.a.b", "a.zz"]);
        assert_eq!(keys("a.z").await, ["a.zz"]);
        assert_eq!(keys("").await.len(), 10);
        assert!(keys("c").await.is_empty());
        assert_eq!(database.list("b.").await.unwrap(), [("b.a".to_owned(), b"b.a".to_vec())]);
    }

    #[tokio::test]
    async fn a_failed_write_is_reported() {
        let database = Database::in_memory().unwrap();
        database.refuse_writes().await;
        for refused in [database.create("a", Vec::new()).await.map(drop), database.put("a", Vec::new()).await] {
            assert_eq!(refused.unwrap_err().reason(), ErrorReason::StorageUnavailable);
        }
    }

    /// A database of the version before key-value entries.
    fn older(path: &std::path::Path) -> Result<Connection, Cause> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "CREATE TABLE schema (version INTEGER NOT NULL) STRICT;
             INSERT INTO schema (version) VALUES (2);",
        )?;
        for table in [sqlite::subscription::TABLE, sqlite::idempotency::TABLE] {
            connection.execute_batch(table)?;
        }
        Ok(connection)
    }

    #[tokio::test]
    async fn subscriptions_of_an_older_database_are_migrated() {
        let directory = tempfile::tempdir().unwrap();
        let config = config::Storage { path: directory.path().join("switchboard.db") };
        let callback = CallbackHash::of("https://crm.example.com/calls");
        let connection = older(&config.path).unwrap();
        for (center, id, name) in
            [("acme", "168", "crm"), ("acme", "168", "\u{5ba2}\u{670d}/."), ("acme", "", "x"), ("b-1", "7", "")]
        {
            let insert = "INSERT INTO subscription (center, id, name, callback) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(insert, params![center, id, name, <[u8; 32]>::from(callback)]).unwrap();
        }
        drop(connection);

        let database = Database::open(&config).unwrap();
        let ids = subscription_ids::SubscriptionIds::new(std::sync::Arc::new(database.clone()));
        let record = |id: &str, name: &str| SubscriptionRecord { id: id.to_owned(), name: name.to_owned(), callback };
        assert_eq!(ids.list("acme").await.unwrap(), [record("168", "crm"), record("168", "\u{5ba2}\u{670d}/.")]);
        assert_eq!(ids.list("b-1").await.unwrap(), [record("7", "")]);
        assert_eq!(database.list("").await.unwrap().len(), 4, "also the pending one");
        // The migrated entries have the current keys.
        ids.remove_all("acme", "168").await.unwrap();
        ids.remove_pending("acme", "x", callback).await.unwrap();
        assert_eq!(database.list("").await.unwrap().len(), 1);
        drop((ids, database));
        let left = Connection::open(&config.path).unwrap();
        assert!(left.prepare("SELECT 1 FROM subscription").is_err(), "the table is dropped");
    }
}
