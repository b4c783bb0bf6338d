//! Calls with a `request_id`: hashes of IDs and contents, and sealed responses.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Database;
use crate::{
    error::{Error, Result},
    store::idempotency::{CallState, Hash, IdempotencyStore},
};

pub(super) const TABLE: &str = "
    CREATE TABLE repeat (
        call BLOB NOT NULL PRIMARY KEY,
        content BLOB NOT NULL,
        sealed BLOB,
        began INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX repeat_began ON repeat (began);
    CREATE TABLE secret (
        name TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// The name of the key of all hashes and seals.
const KEY: &str = "request_id";

#[async_trait]
impl IdempotencyStore for Database {
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<CallState> {
        self.run(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM repeat WHERE began < ?1", [seconds(expired)])?;
            let recorded = transaction
                .query_row("SELECT content, sealed FROM repeat WHERE call = ?1", [call], |row| {
                    Ok((row.get::<_, Hash>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
                })
                .optional()?;
            let state = match recorded {
                Some((other, _)) if other != content => CallState::ContentMismatch,
                Some((_, Some(sealed))) => CallState::Completed(sealed),
                Some((_, None)) => CallState::Interrupted,
                None => {
                    let insert = "INSERT INTO repeat (call, content, began) VALUES (?1, ?2, ?3)";
                    transaction.execute(insert, params![call, content, seconds(now)])?;
                    CallState::New
                }
            };
            transaction.commit()?;
            Ok(state)
        })
        .await
    }

    async fn complete(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        self.run(move |connection| {
            connection.execute("UPDATE repeat SET sealed = ?2 WHERE call = ?1", params![call, sealed]).map(drop)
        })
        .await
    }

    async fn discard(&self, call: Hash) -> Result<()> {
        self.run(move |connection| connection.execute("DELETE FROM repeat WHERE call = ?1", [call]).map(drop)).await
    }

    async fn key(&self) -> Result<Hash> {
        let mut fresh = Hash::default();
        SystemRandom::new().fill(&mut fresh).map_err(|_| Error::internal("the system provides no randomness"))?;
        self.run(move |connection| secret(connection, KEY, fresh)).await
    }
}

/// The secret of this name; stores `fresh` if there is none.
fn secret(connection: &mut Connection, name: &str, fresh: Hash) -> rusqlite::Result<Hash> {
    connection.execute("INSERT OR IGNORE INTO secret (name, value) VALUES (?1, ?2)", params![name, fresh])?;
    connection.query_row("SELECT value FROM secret WHERE name = ?1", [name], |row| row.get(0))
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
