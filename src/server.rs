//! The listeners: gRPC, vendor callbacks, and operators.
//!
//! The stack of a gRPC call, read top-down:
//!
//! 1. [`accept`]: a connection gets a slot and must say something soon, so that silent ones do not pile up;
//! 2. HTTP/2 with bounds on streams, resets, headers and idle peers;
//! 3. [`request_layer`]: the call's context and deadline, counters, and a status that tonic made is given its details;
//! 4. the service, reflection and health.
//!
//! Ending is bounded: from the signal on, new calls are refused as draining, calls and sent writes may end within
//! `drain_timeout`, then connections are cut and the stores closed.

mod accept;
mod admin;
mod http1;
mod request_layer;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic_health::server::HealthReporter;

use crate::{
    config::{self, Config},
    drain::Draining,
    event::ingress::Ingress,
    proto::{FILE_DESCRIPTOR_SET, service::contact_center_server::ContactCenterServer},
    service::Service,
    store::Stores,
    telemetry::Metrics,
};

/// Resets by us, and streams reset by the peer before they were accepted, that a connection may cause.
const LOCAL_RESETS: usize = 1024;
const PENDING_RESETS: usize = 64;
/// Largest header list: callers send a deadline, trace and credentials, not data.
const HEADER_LIST_BYTES: u32 = 16 * 1024;
/// How long new calls are still answered, with a refusal, before connections are closed.
const LAME_DUCK: Duration = Duration::from_millis(500);
/// How long a disk may take to end with.
const CLOSE: Duration = Duration::from_secs(2);
/// A peer that answers no ping for this long is gone.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The full name of the served contract.
pub const SERVICE: &str = "contactcenter.v1.ContactCenter";

/// The bound addresses.
pub struct Listeners {
    grpc: TcpListener,
    http: TcpListener,
    admin: TcpListener,
}

/// What a gateway serves.
pub struct Served {
    /// The contract.
    pub service: Service,
    /// What vendors post.
    pub ingress: Ingress,
    /// Everything that is counted.
    pub metrics: Metrics,
    /// Writes that run, which an orderly end waits for.
    pub writes: TaskTracker,
    /// Told when the gateway is about to end.
    pub draining: Draining,
    /// Closed at the end.
    pub stores: Stores,
}

/// A gateway whose addresses are bound.
pub struct Gateway {
    listeners: Listeners,
    config: Config,
    served: Served,
}

/// Why the gateway could not start or go on.
#[derive(Debug)]
pub enum ServerError {
    /// An address could not be bound.
    Bind {
        /// Its key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The gRPC server failed.
    Serve(tonic::transport::Error),
    /// Reflection could not read the contract's descriptors.
    Reflection(tonic_reflection::server::Error),
}

// === impl Listeners ===

impl Listeners {
    /// Binds the three addresses.
    ///
    /// # Errors
    /// When one of them is in use or not ours.
    pub async fn bind(listen: &config::Listen) -> Result<Self, ServerError> {
        let bind = async |key, address| {
            TcpListener::bind(address).await.map_err(|error| ServerError::Bind { key, address, error })
        };
        Ok(Self {
            grpc: bind("listen.grpc", listen.grpc).await?,
            http: bind("listen.http", listen.http).await?,
            admin: bind("listen.admin", listen.admin).await?,
        })
    }

    /// The address of vendor callbacks, with the port that was given out for port 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn http_address(&self) -> io::Result<SocketAddr> {
        self.http.local_addr()
    }
}

// === impl Gateway ===

impl Gateway {
    /// A gateway on these addresses.
    pub fn new(listeners: Listeners, config: Config, served: Served) -> Self {
        Self { listeners, config, served }
    }

    /// The address of the contract, with the port that was given out for port 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn grpc_address(&self) -> io::Result<SocketAddr> {
        self.listeners.grpc.local_addr()
    }

    /// The address of vendor callbacks.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn http_address(&self) -> io::Result<SocketAddr> {
        self.listeners.http_address()
    }

    /// The address of metrics and probes.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.listeners.admin.local_addr()
    }

    /// Serves until `shutdown`, then drains for at most `drain_timeout`, and closes the stores.
    ///
    /// # Errors
    /// When the gRPC server cannot be set up or fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let Self { listeners: Listeners { grpc, http, admin }, config, served } = self;
        let Served { service, ingress, metrics, writes, draining, stores } = served;
        // Operators and their probes see the drain to its end.
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);

        let (health, health_service) = tonic_health::server::health_reporter();
        serving(&health).await;
        let listen = &config.listen;
        let contract = ContactCenterServer::new(service).max_decoding_message_size(listen.max_request_size);
        let server = Server::builder()
            .max_concurrent_streams(listen.max_streams_per_connection)
            .http2_max_local_error_reset_streams(Some(LOCAL_RESETS))
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .layer(request_layer::RequestLayer::new(&metrics, config.deadline.clone(), draining.clone()))
            .add_service(contract)
            .add_service(health_service)
            .add_service(reflection().build_v1().map_err(ServerError::Reflection)?)
            .add_service(reflection().build_v1alpha().map_err(ServerError::Reflection)?)
            .serve_with_incoming_shutdown(accept::connections(grpc, listen.max_connections), signal(stopped.clone()));

        let admin = accept::connections(admin, listen.max_connections);
        let admin = tokio::spawn(admin::serve(admin, metrics, draining.clone(), ended));
        let ingress = Arc::new(ingress);
        let post = move |request| {
            let ingress = ingress.clone();
            async move { ingress.answer(request).await }
        };
        let callbacks = accept::connections(http, listen.max_connections);
        let mut callbacks = tokio::spawn(http1::serve(callbacks, post, stopped));
        let mut server = std::pin::pin!(server);
        let result = tokio::select! {
            result = &mut server => result.map_err(ServerError::Serve),
            () = shutdown => {
                tracing::info!(timeout_s = listen.drain_timeout.as_secs_f64(), "draining");
                draining.begin();
                not_serving(&health).await;
                writes.close();
                let drained = async {
                    // Whoever still calls is told to go elsewhere before connections are closed under it.
                    let lame_duck = LAME_DUCK.min(listen.drain_timeout / 10);
                    tokio::select! {
                        result = &mut server => return result,
                        () = sleep(lame_duck) => {}
                    }
                    stop.send_replace(true);
                    let (result, _, ()) = tokio::join!(server, &mut callbacks, writes.wait());
                    result
                };
                match timeout(listen.drain_timeout, drained).await {
                    Ok(result) => result.map_err(ServerError::Serve),
                    Err(_) => {
                        tracing::warn!(writes = writes.len(), "drain_timeout expired with calls in flight");
                        Ok(())
                    }
                }
            }
        };
        end.send_replace(true);
        admin.abort();
        callbacks.abort();
        if timeout(CLOSE, stores.close()).await.is_err() {
            tracing::warn!("storage did not close in time; acknowledged data is on disk");
        }
        result
    }
}

async fn serving(health: &HealthReporter) {
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    health.set_service_status(SERVICE, tonic_health::ServingStatus::Serving).await;
}

async fn not_serving(health: &HealthReporter) {
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    health.set_service_status(SERVICE, tonic_health::ServingStatus::NotServing).await;
}

/// The contract with its comments, health, and the error details, so that clients without the contract read them.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

async fn signal(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("listen", &self.config.listen).finish_non_exhaustive()
    }
}

// === impl ServerError ===

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { key, address, error } => {
                let why = match error.kind() {
                    io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
                    io::ErrorKind::AddrNotAvailable => "the address does not belong to this machine".to_owned(),
                    io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    kind => kind.to_string(),
                };
                write!(f, "{key}: cannot listen on {address}: {why}")
            }
            Self::Serve(_) => f.write_str("the gRPC server failed"),
            Self::Reflection(_) => f.write_str("the contract's descriptors cannot be served"),
        }
    }
}

impl std::error::Error for ServerError {}
