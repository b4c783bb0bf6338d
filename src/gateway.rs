//! The gateway put together: a configuration becomes centers, a service and bound addresses.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    center::Centers,
    clock::Clock,
    config::{Config, ConfigErrors},
    context::Context,
    error::Error,
    event::address::Addresses,
    http::Connections,
    idempotency::Repeats,
    server::{Gateway, ServerError},
    service::Service,
    state::StateStore,
    storage::{Storage, StorageError},
    telemetry::Metrics,
    token::Tokens,
    vendor::Parts,
};

/// Why a gateway could not be put together.
#[derive(Debug)]
pub enum StartError {
    /// A part could not be built.
    Build(Error),
    /// An address could not be bound, or serving failed.
    Server(ServerError),
    /// The configuration is not valid.
    Config(ConfigErrors),
    /// The storage cannot be used.
    Storage(StorageError),
    /// Two metrics have one name.
    Metrics,
}

/// What a vendor answered when it was asked once.
#[derive(Debug)]
pub struct Probed {
    /// ID of the center.
    pub center: String,
    /// Nothing, or what went wrong.
    pub outcome: Result<(), Error>,
}

/// Builds every part and binds the addresses.
///
/// # Errors
/// When a part cannot be built or an address cannot be bound.
pub async fn bind(config: Config, clock: Clock, storage: Storage) -> Result<Gateway, StartError> {
    let (centers, parts) = build(&config, clock, storage)?;
    let writes = parts.connections.running_writes();
    Gateway::bind(config, Service::new(Arc::new(centers)), parts.metrics, writes).await.map_err(StartError::Server)
}

/// Asks every center's vendor one harmless question, all at the same time.
///
/// # Errors
/// When a part cannot be built. What the vendors answer is in the result.
pub async fn probe(config: &Config, timeout: Duration) -> Result<Vec<Probed>, StartError> {
    // A question changes nothing, and the configured database may be a running gateway's.
    let storage = Storage::in_memory().map_err(StartError::Storage)?;
    let (centers, _) = build(config, Clock::system(), storage)?;
    let mut questions = JoinSet::new();
    for center in centers.iter() {
        let (id, adapter) = (center.id.clone(), center.adapter.clone());
        questions.spawn(async move {
            let cx = Context::new("Probe", String::new(), Instant::now() + timeout);
            Probed { outcome: adapter.probe(&cx).await, center: id }
        });
    }
    let mut probed: Vec<Probed> = questions.join_all().await;
    probed.sort_by(|left, right| left.center.cmp(&right.center));
    Ok(probed)
}

fn build(config: &Config, clock: Clock, storage: Storage) -> Result<(Centers, Parts), StartError> {
    let metrics = Metrics::new().map_err(|_| StartError::Metrics)?;
    let state: Arc<dyn StateStore> = Arc::new(storage.clone());
    let parts = Parts {
        connections: Connections::new().map_err(StartError::Build)?,
        tokens: Tokens::new(clock.clone(), metrics.clone()),
        metrics,
        addresses: Addresses::new(&config.events, state.clone(), clock.clone()),
        clock,
        state,
    };
    let repeats = Repeats::new(Arc::new(storage), parts.clock.clone(), parts.connections.running_writes());
    let centers = Centers::build(&config.centers, &parts, &repeats).map_err(StartError::Build)?;
    Ok((centers, parts))
}

// === impl StartError ===

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => f.write_str(error.message()),
            Self::Server(error) => error.fmt(f),
            Self::Config(errors) => errors.fmt(f),
            Self::Storage(error) => error.fmt(f),
            Self::Metrics => f.write_str("two metrics have one name"),
        }
    }
}

impl std::error::Error for StartError {}
