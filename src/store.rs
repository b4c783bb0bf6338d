//! Durable state: event logs, idempotency records and key-value entries, in SQLite or in NATS JetStream.

pub mod event_log;
pub mod fingerprint;
pub mod idempotency;
pub mod jetstream;
pub mod kv;
pub mod sqlite;
pub(crate) mod subscription_ids;

use std::{fmt, path::Path, sync::Arc};

use self::idempotency::IdempotencyStore;
use crate::{
    clock::Clock,
    config::Config,
    error::Error,
    store::{
        event_log::EventLog,
        jetstream::{JetStream, JetStreamError},
        kv::KeyValueStore,
        sqlite::{Database, DatabaseError, SqliteEventLog},
    },
};

/// The stores of one gateway, or of several that share them.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The event logs.
    pub events: Arc<dyn EventLog>,
    /// The records of calls with a `request_id`.
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// Key-value entries.
    pub kv: Arc<dyn KeyValueStore>,
    /// The embedded database behind all of them; `None` for JetStream.
    embedded: Option<Database>,
    /// The same for JetStream.
    shared: Option<JetStream>,
}

/// Why the stores cannot be used. Its text is for the operator.
#[derive(Debug)]
pub enum StoresError {
    /// The embedded database cannot be used.
    Database(DatabaseError),
    /// JetStream cannot be used.
    JetStream(JetStreamError),
    /// The embedded database opens, but its event logs cannot be read or written.
    EventLog(Error),
}

// === impl Stores ===

impl Stores {
    /// Opens the configured stores.
    ///
    /// # Errors
    /// When they cannot be used.
    pub async fn open(config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        if let Some(nats) = &config.nats {
            let centers = config.centers.keys().map(String::as_str);
            let store = JetStream::connect(nats, &config.events, centers).await.map_err(StoresError::JetStream)?;
            let (shared, store) = (Some(store.clone()), Arc::new(store));
            return Ok(Self { events: store.clone(), idempotency: store.clone(), kv: store, embedded: None, shared });
        }
        let database = Database::open(&config.storage).map_err(StoresError::Database)?;
        Self::embedded(database, config, clock)
    }

    /// Whether [`Stores::open`] would succeed, as far as that shows without a change. Returns the key that was probed.
    ///
    /// # Errors
    /// As for [`Stores::open`].
    pub async fn probe(config: &Config) -> Result<&'static str, StoresError> {
        match &config.nats {
            Some(nats) => JetStream::probe(nats).await.map(|()| "nats.url").map_err(StoresError::JetStream),
            None => Database::probe(&config.storage).map(|()| "storage.path").map_err(StoresError::Database),
        }
    }

    /// Stores in this database.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn embedded(database: Database, config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        let centers = config.centers.keys();
        let log =
            SqliteEventLog::open(&database, &config.events, centers, clock.clone()).map_err(StoresError::EventLog)?;
        let embedded = Some(database.clone());
        let database = Arc::new(database);
        Ok(Self { events: Arc::new(log), idempotency: database.clone(), kv: database, embedded, shared: None })
    }

    /// Stores in memory, which are discarded with their last clone.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn in_memory(config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        Self::embedded(Database::in_memory().map_err(StoresError::Database)?, config, clock)
    }

    /// The file of the embedded database, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.embedded.as_ref()?.path()
    }

    /// Whether the shared store has lost a stream, so that events cannot be stored or calls cannot be recorded.
    pub fn is_incomplete(&self) -> bool {
        self.shared.as_ref().is_some_and(JetStream::lacks_a_stream)
    }

    /// Closes the embedded database and releases its lock, so that the next gateway can open it at once. Later use of
    /// the stores fails with `STORAGE_UNAVAILABLE`. JetStream needs no close.
    pub async fn close(&self) {
        if let Some(database) = &self.embedded {
            database.close().await;
        }
    }
}

// === impl StoresError ===

impl fmt::Display for StoresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::JetStream(error) => error.fmt(f),
            Self::EventLog(error) => write!(f, "storage.path: {}", error.message()),
        }
    }
}

impl std::error::Error for StoresError {}
