//! What outlives the gateway, wherever it is kept: the event logs, the outcomes of calls, and small facts.

use std::{fmt, sync::Arc};

use crate::{
    clock::Clock,
    config::Config,
    error::Error,
    event::log::EventLog,
    idempotency::IdempotencyStore,
    jetstream::{JetStream, JetStreamError},
    state::StateStore,
    storage::{EmbeddedLog, Storage, StorageError},
};

/// The stores of one gateway, or of several that share them.
#[derive(Debug, Clone)]
pub struct Stores {
    /// What vendors posted.
    pub events: Arc<dyn EventLog>,
    /// Calls that can be repeated.
    pub repeats: Arc<dyn IdempotencyStore>,
    /// Small facts.
    pub state: Arc<dyn StateStore>,
    /// The embedded database that all of them are kept in; nothing, when they are kept elsewhere.
    embedded: Option<Storage>,
}

/// Why there are no stores. Its text is fit for whoever runs the gateway.
#[derive(Debug)]
pub enum StoresError {
    /// The embedded database cannot be used.
    Storage(StorageError),
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
            return Ok(Self { events: shared.clone(), repeats: shared.clone(), state: shared, embedded: None });
        }
        let storage = Storage::open(&config.storage).map_err(StoresError::Storage)?;
        Self::embedded(storage, config, clock)
    }

    /// Stores in this database.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn embedded(storage: Storage, config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        let centers = config.centers.keys();
        let log = EmbeddedLog::open(&storage, &config.events, centers, clock.clone()).map_err(StoresError::Unusable)?;
        let embedded = Some(storage.clone());
        let storage = Arc::new(storage);
        Ok(Self { events: Arc::new(log), repeats: storage.clone(), state: storage, embedded })
    }

    /// Stores that are gone when nobody uses them any more.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn in_memory(config: &Config, clock: &Clock) -> Result<Self, StoresError> {
        Self::embedded(Storage::in_memory().map_err(StoresError::Storage)?, config, clock)
    }

    /// Lets go of what is kept on this machine, so that the next gateway can have it at once. Whoever still uses the stores
    /// gets `STORAGE_UNAVAILABLE` from now on. A store that others share needs no end.
    pub async fn close(&self) {
        if let Some(storage) = &self.embedded {
            storage.close().await;
        }
    }
}

// === impl StoresError ===

impl fmt::Display for StoresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => error.fmt(f),
            Self::Shared(error) => error.fmt(f),
            Self::Unusable(error) => write!(f, "storage.path: {}", error.message()),
        }
    }
}

impl std::error::Error for StoresError {}
