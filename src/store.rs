//! What outlives the gateway, wherever it is kept: the event logs, the outcomes of calls, and small facts.

pub mod event_log;
pub mod fingerprint;
pub mod idempotency;
pub mod jetstream;
pub mod kv;
pub mod sqlite;
pub mod subscription_ids;

use std::{fmt, sync::Arc};

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
    /// What vendors posted.
    pub events: Arc<dyn EventLog>,
    /// Calls that can be repeated.
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// Small facts.
    pub kv: Arc<dyn KeyValueStore>,
    /// The embedded database that all of them are kept in; nothing, when they are kept elsewhere.
    embedded: Option<Database>,
}

/// Why there are no stores. Its text is fit for whoever runs the gateway.
#[derive(Debug)]
pub enum StoresError {
    /// The embedded database cannot be used.
    Database(DatabaseError),
    /// The store that several gateways share cannot be used.
    Shared(JetStreamError),
    /// It can be opened, but not used.
    Unusable(Error),
}

// === impl Stores ===

impl Stores {
    /// The stores that the configuration names.
    ///
    /// # Errors
    /// When they cannot be used.
    pub async fn open(config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        if let Some(nats) = &config.nats {
            let centers = config.centers.keys().map(String::as_str);
            let shared = JetStream::connect(nats, &config.events, centers).await.map_err(StoresError::Shared)?;
            let shared = Arc::new(shared);
            return Ok(Self { events: shared.clone(), idempotency: shared.clone(), kv: shared, embedded: None });
        }
        let database = Database::open(&config.storage).map_err(StoresError::Database)?;
        Self::embedded(database, config, clock)
    }

    /// Stores in this database.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn embedded(database: Database, config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        let centers = config.centers.keys();
        let log =
            SqliteEventLog::open(&database, &config.events, centers, clock.clone()).map_err(StoresError::Unusable)?;
        let embedded = Some(database.clone());
        let database = Arc::new(database);
        Ok(Self { events: Arc::new(log), idempotency: database.clone(), kv: database, embedded })
    }

    /// Stores that are gone when nobody uses them any more.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn in_memory(config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        Self::embedded(Database::in_memory().map_err(StoresError::Database)?, config, clock)
    }

    /// Lets go of what is kept on this machine, so that the next gateway can have it at once. Whoever still uses the stores
    /// gets `STORAGE_UNAVAILABLE` from now on. A store that others share needs no end.
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
            Self::Shared(error) => error.fmt(f),
            Self::Unusable(error) => write!(f, "storage.path: {}", error.message()),
        }
    }
}

impl std::error::Error for StoresError {}
