//! The listeners: gRPC, vendor callbacks, and administration.
//!
//! The stack of a gRPC call, from the outside in:
//!
//! 1. [`accept`]: a connection acquires a place of its listener and of its address ([`admission`]), an idle one's if
//!    none is free, and must be open in time ([`opening`]); some file descriptors ([`descriptors`]) are kept;
//! 2. HTTP/2 with limits on streams, resets and headers, and with keepalive;
//! 3. [`request_layer`]: the call's context, deadline and metrics, the limits of its [`body`], and error details for
//!    the statuses of tonic;
//! 4. the service, reflection and health.
//!
//! Shutdown is bounded: after the signal the gateway rejects new calls as draining. A request whose body does not
//! arrive within [`RECEIVE_TIMEOUT`] is rejected, too. Running calls and writes may finish within `drain_timeout`; then
//! the gateway closes connections and stores.

mod accept;
mod admin;
mod admission;
mod body;
mod descriptors;
mod http1;
mod opening;
mod request_layer;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic_health::{ServingStatus, server::HealthReporter};

use self::{admission::Limits, opening::Protocol};
use crate::{
    config::{self, Config},
    drain::Draining,
    event::ingress::Ingress,
    proto::{FILE_DESCRIPTOR_SET, service::contact_center_server::ContactCenterServer},
    service::Service,
    store::Stores,
    telemetry::Metrics,
};

/// Limits per connection: streams that the server resets after errors, and streams that the peer resets before the
/// server accepts them.
const MAX_LOCAL_ERROR_RESETS: usize = 1024;
const MAX_PENDING_ACCEPT_RESETS: usize = 64;
/// Largest header list that HTTP/2 accepts. The request layer rejects header lists above 16 KiB with a status.
const MAX_HEADER_LIST_SIZE: u32 = 64 * 1024;
/// Largest request of health and reflection.
const MAX_INFRASTRUCTURE_REQUEST_SIZE: usize = 16 * 1024;
/// How long the gateway rejects new calls with a status before it closes connections.
const LAME_DUCK: Duration = Duration::from_millis(500);
/// How long the rest of a request may arrive after that.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long responses may be written after the last call ended. Open connections without a
/// call do not delay the drain.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest time to close the stores.
const STORE_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// HTTP/2 keepalive: the interval of pings, and how long the server waits for a response before it closes the
/// connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The full name of the gRPC service.
pub const SERVICE: &str = "contactcenter.v1.ContactCenter";

/// The bound addresses.
pub struct Listeners {
    grpc: TcpListener,
    http: TcpListener,
    admin: TcpListener,
}

/// The components of a gateway.
pub struct Components {
    /// The gRPC service.
    pub service: Service,
    /// The endpoint of vendor callbacks.
    pub ingress: Ingress,
    /// The metrics.
    pub metrics: Metrics,
    /// Running writes. A graceful shutdown waits for them.
    pub writes: TaskTracker,
    /// The drain signal.
    pub draining: Draining,
    /// The stores. The gateway closes them last.
    pub stores: Stores,
}

/// A gateway with bound listeners.
pub struct Gateway {
    listeners: Listeners,
    config: Config,
    components: Components,
}

/// Why the gateway failed to start or to serve.
#[derive(Debug)]
pub enum ServerError {
    /// An address could not be bound.
    Bind {
        /// The address's configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
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
    /// When an address is in use, is not of this machine, or needs a permission.
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

    /// The address of vendor callbacks, with the assigned port for port 0.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn http_address(&self) -> io::Result<SocketAddr> {
        self.http.local_addr()
    }
}

// === impl Gateway ===

impl Gateway {
    /// A gateway on these listeners.
    pub fn new(listeners: Listeners, config: Config, components: Components) -> Self {
        Self { listeners, config, components }
    }

    /// The address of the gRPC service, with the assigned port for port 0.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn grpc_address(&self) -> io::Result<SocketAddr> {
        self.listeners.grpc.local_addr()
    }

    /// The address of vendor callbacks.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn http_address(&self) -> io::Result<SocketAddr> {
        self.listeners.http_address()
    }

    /// The address of metrics and probes.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.listeners.admin.local_addr()
    }

    /// Serves until `shutdown`, then drains for at most `drain_timeout`, and closes the stores.
    ///
    /// # Errors
    /// When the gRPC server cannot be set up or fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let Self { listeners: Listeners { grpc, http, admin }, config, components } = self;
        let Components { service, ingress, metrics, writes, draining, stores } = components;
        // The admin listener stops last, so that probes and metrics show the drain.
        let (stop_serving, stopped) = watch::channel(false);
        let (stop_admin, admin_stopped) = watch::channel(false);

        let (health, health_service) = tonic_health::server::health_reporter();
        report_health(&health, ServingStatus::Serving).await;
        let health_service = health_service.max_decoding_message_size(MAX_INFRASTRUCTURE_REQUEST_SIZE);
        let reflection_v1 = reflection().build_v1().map_err(ServerError::Reflection)?;
        let reflection_v1alpha = reflection().build_v1alpha().map_err(ServerError::Reflection)?;
        let calls = TaskTracker::new();
        let listen = &config.listen;
        let max_connections = descriptors::max_connections(listen.max_connections, descriptors::raise_limit());
        // One address leaves half of the connections to others.
        let limits = |connections: usize| Limits { connections, per_address: connections.div_ceil(2) };
        let contact_center = ContactCenterServer::new(service).max_decoding_message_size(listen.max_request_size);
        let server = Server::builder()
            .max_concurrent_streams(listen.max_streams_per_connection)
            .http2_max_local_error_reset_streams(Some(MAX_LOCAL_ERROR_RESETS))
            .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_ACCEPT_RESETS))
            .http2_max_header_list_size(MAX_HEADER_LIST_SIZE)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .layer(request_layer::RequestLayer::new(&metrics, &config, draining.clone(), calls.clone()))
            .add_service(contact_center)
            .add_service(health_service)
            .add_service(reflection_v1.max_decoding_message_size(MAX_INFRASTRUCTURE_REQUEST_SIZE))
            .add_service(reflection_v1alpha.max_decoding_message_size(MAX_INFRASTRUCTURE_REQUEST_SIZE))
            .serve_with_incoming_shutdown(
                accept::connections(grpc, limits(max_connections), Protocol::Http2),
                wait_until_set(stopped.clone()),
            );

        let admin = accept::connections(admin, limits(descriptors::ADMIN_CONNECTIONS), Protocol::Http1);
        let admin = tokio::spawn(admin::serve(admin, metrics, draining.clone(), admin_stopped));
        let ingress = Arc::new(ingress);
        let handle = move |request| {
            let ingress = ingress.clone();
            async move { ingress.handle(request).await }
        };
        let callbacks = accept::connections(http, limits(max_connections), Protocol::Http1);
        let mut callbacks = tokio::spawn(http1::serve(callbacks, handle, stopped));
        let mut server = std::pin::pin!(server);
        let result = tokio::select! {
            result = &mut server => result.map_err(ServerError::Serve),
            () = shutdown => {
                tracing::info!(timeout_s = listen.drain_timeout.as_secs_f64(), "draining");
                // Health streams receive this before they end.
                report_health(&health, ServingStatus::NotServing).await;
                draining.begin();
                writes.close();
                let drained = async {
                    // New calls receive a status that names another gateway before their connection closes.
                    let lame_duck = LAME_DUCK.min(listen.drain_timeout / 10);
                    tokio::select! {
                        result = &mut server => return result,
                        () = sleep(lame_duck) => {}
                    }
                    stop_serving.send_replace(true);
                    let receiving = draining.clone();
                    let receive_timeout = RECEIVE_TIMEOUT.min(listen.drain_timeout / 10);
                    tokio::spawn(async move {
                        sleep(receive_timeout).await;
                        receiving.end_receiving();
                    });
                    calls.close();
                    let flush_timeout = FLUSH_TIMEOUT.min(listen.drain_timeout / 10);
                    let finished = async { drop(tokio::join!(calls.wait(), &mut callbacks, writes.wait())) };
                    let mut finished = std::pin::pin!(finished);
                    tokio::select! {
                        result = &mut server => {
                            finished.await;
                            result
                        }
                        () = &mut finished => tokio::select! {
                            result = &mut server => result,
                            () = sleep(flush_timeout) => Ok(()),
                        },
                    }
                };
                match timeout(listen.drain_timeout, drained).await {
                    Ok(result) => result.map_err(ServerError::Serve),
                    Err(_) => {
                        let (calls, writes) = (calls.len(), writes.len());
                        tracing::warn!(calls, writes, "drain_timeout expired with calls in flight");
                        Ok(())
                    }
                }
            }
        };
        stop_admin.send_replace(true);
        admin.abort();
        callbacks.abort();
        close(&stores).await;
        result
    }
}

/// Closes the stores, unless the disk hangs.
pub(crate) async fn close(stores: &Stores) {
    if timeout(STORE_CLOSE_TIMEOUT, stores.close()).await.is_err() {
        tracing::warn!("storage did not close in time; acknowledged data is on disk");
    }
}

async fn report_health(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
    health.set_service_status(SERVICE, status).await;
}

/// Reflection of the contract with its comments, of health, and of the error details, for clients without descriptors.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

async fn wait_until_set(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender was dropped, which also stops the listener.
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
                let cause = match error.kind() {
                    io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
                    io::ErrorKind::AddrNotAvailable => "the address does not belong to this machine".to_owned(),
                    io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    kind => kind.to_string(),
                };
                write!(f, "{key}: cannot listen on {address}: {cause}")
            }
            Self::Serve(_) => f.write_str("the gRPC server failed"),
            Self::Reflection(_) => f.write_str("the contract's descriptors cannot be served"),
        }
    }
}

impl std::error::Error for ServerError {}
