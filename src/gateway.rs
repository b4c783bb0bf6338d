//! Builds the gateway: centers and service from a configuration, and bound addresses.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    center::Centers,
    clock::Clock,
    config::{Config, ConfigErrors},
    context::Context,
    drain::Draining,
    error::Error,
    event::{address::Addresses, ingress::Ingress},
    http::Connections,
    idempotency::Idempotency,
    lists::Lists,
    server::{Components, Gateway, Listeners, ServerError},
    service::Service,
    store::{Stores, StoresError},
    telemetry::Metrics,
    token::Tokens,
    vendor::Parts,
};

/// Why the gateway could not start.
#[derive(Debug)]
pub enum StartError {
    /// A component could not be built.
    Build(Error),
    /// An address could not be bound, or serving failed.
    Server(ServerError),
    /// The configuration is not valid.
    Config(ConfigErrors),
    /// The stores cannot be used.
    Stores(StoresError),
    /// Two metrics have the same name.
    Metrics,
}

/// The outcome of one center's probe.
#[derive(Debug)]
pub struct Probed {
    /// ID of the center.
    pub center: String,
    /// `Ok`, or why the probe failed.
    pub outcome: Result<(), Error>,
    /// How long the probe ran.
    pub elapsed: Duration,
}

/// Builds every component and binds the addresses.
///
/// # Errors
/// When a component cannot be built or an address cannot be bound.
pub async fn bind(mut config: Config, clock: Clock, stores: Stores) -> Result<Gateway, StartError> {
    let listeners = Listeners::bind(&config.listen).await.map_err(StartError::Server)?;
    if let (Some(0), Ok(bound)) = (config.events.callback_base_url.port(), listeners.http_address()) {
        // It fails only for a URL that cannot have a port.
        let _ = config.events.callback_base_url.set_port(Some(bound.port()));
    }
    let draining = Draining::with_stores(stores.clone());
    let (centers, parts) = build(&config, clock, &stores, &draining)?;
    if let Some(path) = stores.path() {
        parts.metrics.add_database(path).map_err(|_| StartError::Metrics)?;
    }
    let adapters = centers.iter().map(|center| (center.id.clone(), center.adapter.clone()));
    let ingress =
        Ingress::new(adapters, stores.events.clone(), parts.addresses, parts.metrics.clone(), draining.clone());
    let writes = parts.connections.running_writes();
    let service = Service::new(Arc::new(centers));
    let components = Components { service, ingress, metrics: parts.metrics, writes, draining, stores };
    Ok(Gateway::new(listeners, config, components))
}

/// Probes every center's vendor concurrently, with a read that has no side effects.
///
/// # Errors
/// When a component cannot be built. The outcome of each probe is in the result.
pub async fn probe(config: &Config, timeout: Duration) -> Result<Vec<Probed>, StartError> {
    // A probe stores nothing, and a running gateway may hold the configured database.
    let clock = Clock::system();
    let stores = Stores::in_memory(config, &clock).map_err(StartError::Stores)?;
    let (centers, _) = build(config, clock, &stores, &Draining::default())?;
    let mut tasks = JoinSet::new();
    for center in centers.iter() {
        let (id, adapter) = (center.id.clone(), center.adapter.clone());
        tasks.spawn(async move {
            let start = Instant::now();
            let cx = Context::new("Probe", String::new(), start + timeout);
            Probed { outcome: adapter.probe(&cx).await, center: id, elapsed: start.elapsed() }
        });
    }
    let mut probed: Vec<Probed> = tasks.join_all().await;
    probed.sort_by(|left, right| left.center.cmp(&right.center));
    Ok(probed)
}

fn build(config: &Config, clock: Clock, stores: &Stores, draining: &Draining) -> Result<(Centers, Parts), StartError> {
    let metrics = Metrics::new().map_err(|_| StartError::Metrics)?;
    let parts = Parts {
        connections: Connections::new().map_err(StartError::Build)?,
        tokens: Tokens::new(clock.clone(), metrics.clone()),
        metrics,
        addresses: Addresses::new(&config.events, stores.kv.clone(), clock.clone()),
        lists: Lists::new(clock.clone()),
        clock,
        kv: stores.kv.clone(),
    };
    let idempotency =
        Idempotency::new(stores.idempotency.clone(), parts.clock.clone(), parts.connections.running_writes());
    let centers =
        Centers::build(&config.centers, &parts, &idempotency, &stores.events, draining).map_err(StartError::Build)?;
    Ok((centers, parts))
}

// === impl StartError ===

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => f.write_str(error.message()),
            Self::Server(error) => error.fmt(f),
            Self::Config(errors) => errors.fmt(f),
            Self::Stores(error) => error.fmt(f),
            Self::Metrics => f.write_str("two metrics have one name"),
        }
    }
}

impl std::error::Error for StartError {}
