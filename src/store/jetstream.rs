//! The store that several gateways share: NATS JetStream, configured by `[nats]`.
//!
//! Each center's event log is a stream, `SWITCHBOARD_EVENTS_{center}`. Key-value entries and calls with a `request_id`
//! are key-value buckets. At its start the gateway creates them, or updates them to the configuration.
//!
//! A majority of the replicas stores a write before it is acknowledged. It is on their disks only if the servers run
//! with `sync_interval: always`; by default they call fsync every two minutes.

mod bucket;
mod connection;
mod idempotency;
mod keeper;
mod kv;
mod log;
mod presence;
mod read;
mod replies;
mod stream;

use std::{borrow::Cow, collections::HashMap, error::Error as StdError, fmt, io, iter, sync::Arc, time::Duration};

use async_nats::{ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr, jetstream::stream::Config};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;
use url::Url;

use self::{
    bucket::Bucket,
    connection::{Connection, REQUEST_TIMEOUT},
    idempotency::Calls,
    keeper::Keeper,
    log::Log,
};
use crate::config;

/// Events are published below this subject and the center's ID.
const SUBJECTS: &str = "switchboard.events";

/// Timeout of the first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Ping interval of an idle connection; it is closed after two pings without a pong.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// Most commands in the client's queue. After a reconnect the client sends them, even if their callers have cancelled.
const CLIENT_CAPACITY: usize = 128;
/// Longest backoff between two attempts to reconnect.
const MAX_RECONNECT_BACKOFF: Duration = Duration::from_secs(1);
/// The `max_payload` that the largest event requires: its body and its headers.
const REQUIRED_MAX_PAYLOAD: usize = (1 << 20) + (1 << 10);

/// The connected store. Cheap to clone: clones share it.
#[derive(Clone)]
pub struct JetStream(Arc<Inner>);

struct Inner {
    connection: Connection,
    logs: HashMap<String, Log>,
    state: Bucket,
    calls: Arc<Calls>,
    _keeper: Keeper,
}

/// Why the store cannot be used. Its text names the configuration key and is for the operator.
#[derive(Debug)]
pub struct JetStreamError(Cause);

/// The user information of a server's URL: a user without a password is a token.
enum Login {
    User(String, String),
    Token(String),
}

#[derive(Debug)]
enum Cause {
    /// The connection failed.
    Connect(ConnectErrorKind),
    Credentials,
    NotClustered,
    NoRandomness,
    UnsupportedVersion,
    NoJetStream,
    /// A stream could not be created or updated; transient while servers start.
    Stream {
        name: String,
        error: String,
        is_transient: bool,
    },
}

// === impl JetStream ===

impl JetStream {
    /// Connects to the configured servers and creates the missing streams and buckets of these centers.
    ///
    /// # Errors
    /// When no server responds in time, when it rejects the credentials or is too old, or when it rejects the
    /// configured streams.
    pub async fn connect<'a>(
        config: &config::Nats,
        events: &config::Events,
        centers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, JetStreamError> {
        Self::open(config, events, centers).await.map_err(JetStreamError)
    }

    /// Connects to the configured servers, and creates nothing.
    ///
    /// # Errors
    /// When no server responds in time, when it rejects the credentials or is too old.
    pub async fn probe(config: &config::Nats) -> Result<(), JetStreamError> {
        connect(config).await.map(drop).map_err(JetStreamError)
    }

    async fn open<'a>(
        config: &config::Nats,
        events: &config::Events,
        centers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Cause> {
        let logs = centers.into_iter().map(|center| (center.to_owned(), Log::new(center, events)));
        let logs: HashMap<String, Log> = logs.collect();
        let connection = connect(config).await?;
        let streams = streams(config.replicas, events, logs.keys());
        for wanted in &streams {
            stream::ensure(connection.context(), wanted).await?;
        }
        let state = Bucket::new(connection.clone(), kv::BUCKET);
        let calls = Calls::new(Bucket::new(connection.clone(), idempotency::BUCKET), state.clone())?;
        let calls = Arc::new(calls);
        let keeper = Keeper::spawn(connection.clone(), streams, calls.clone());
        Ok(Self(Arc::new(Inner { connection, logs, state, calls, _keeper: keeper })))
    }
}

impl JetStream {
    /// Whether a stream was lost while the gateway runs, and is not created again yet.
    pub fn lacks_a_stream(&self) -> bool {
        self.0.connection.presence().is_missing()
    }
}

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JetStream")
    }
}

async fn connect(config: &config::Nats) -> Result<Connection, Cause> {
    let mut options = ConnectOptions::new()
        .name("switchboard")
        .connection_timeout(REQUEST_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .client_capacity(CLIENT_CAPACITY)
        // A server announces them in plain text, before TLS has authenticated it.
        .ignore_discovered_servers()
        .reconnect_delay_callback(|attempt| {
            let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
            MAX_RECONNECT_BACKOFF.min(Duration::from_millis(2_u64.saturating_pow(doublings)))
        })
        .event_callback(|event| {
            log_event(&event);
            std::future::ready(())
        });
    if let Some(credentials) = &config.credentials {
        options = options.credentials(credentials.expose_secret()).map_err(|_| Cause::Credentials)?;
    }
    let mut servers = Vec::new();
    for text in config.url.expose_secret().split(',') {
        if text.starts_with("tls://") {
            options = options.require_tls(true);
        }
        let (server, login) = split_user_info(text).ok_or(Cause::Connect(ConnectErrorKind::ServerParse))?;
        servers.push(server);
        options = match login {
            Some(Login::User(user, password)) => options.user_and_password(user, password),
            Some(Login::Token(token)) => options.token(token),
            None => options,
        };
    }
    let client = match timeout(CONNECT_TIMEOUT, options.connect(servers)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(Cause::Connect(kind(&error))),
        Err(_) => return Err(Cause::Connect(ConnectErrorKind::TimedOut)),
    };
    if !client.is_server_compatible(2, 11, 0) {
        return Err(Cause::UnsupportedVersion);
    }
    let max_payload = client.max_payload();
    if max_payload < REQUIRED_MAX_PAYLOAD {
        tracing::warn!(max_payload, needed = REQUIRED_MAX_PAYLOAD, "NATS max_payload is below the largest event");
    }
    let failed = |_| Cause::Connect(ConnectErrorKind::Io);
    Connection::new(client).await.map_err(failed)
}

/// Why the connection failed. The client reports an invalid certificate as an I/O error.
fn kind(error: &ConnectError) -> ConnectErrorKind {
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    let is_of_tls = |cause: &(dyn StdError + 'static)| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        matches!(inner, Some(inner) if inner.is::<rustls::Error>())
    };
    if causes.any(is_of_tls) { ConnectErrorKind::Tls } else { error.kind() }
}

/// Splits a URL into the server's address and the user information, which the client ignores in a URL.
fn split_user_info(text: &str) -> Option<(ServerAddr, Option<Login>)> {
    let mut url = Url::parse(text).ok()?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
    let login = match (url.username(), url.password()) {
        ("", _) => None,
        (token, None) => Some(Login::Token(decoded(token)?)),
        (user, Some(password)) => Some(Login::User(decoded(user)?, decoded(password)?)),
    };
    url.set_password(None).ok()?;
    url.set_username("").ok()?;
    Some((ServerAddr::from_url(url).ok()?, login))
}

/// The streams of the store.
fn streams<'a>(replicas: usize, events: &config::Events, centers: impl Iterator<Item = &'a String>) -> Vec<Config> {
    let mut streams = vec![stream::state_stream(replicas), stream::request_ids_stream(replicas)];
    streams.extend(centers.map(|center| stream::events_stream(center, replicas, events)));
    streams
}

/// Logs an event of the connection.
fn log_event(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("the connection to NATS is lost"),
        Event::SlowConsumer(_) => tracing::warn!("NATS sends faster than the gateway reads"),
        // It contains names of subjects and servers, so it is quoted.
        Event::ServerError(error) => tracing::warn!(error = ?error.to_string(), "NATS reports an error"),
        Event::LameDuckMode | Event::Draining | Event::Closed | Event::ClientError(_) => {}
    }
}

/// A hash in hexadecimal, for keys and subjects.
fn hex(hash: &[u8; 32]) -> String {
    use fmt::Write as _;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

// === impl JetStreamError ===

impl fmt::Display for JetStreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.0 {
            Cause::Stream { name, error, .. } => return write!(f, "nats: stream {name}: {error}"),
            Cause::Credentials => return f.write_str("nats.credentials: not the content of a .creds file"),
            Cause::NotClustered => {
                return f.write_str("nats.replicas: the server is not clustered; it supports one replica");
            }
            Cause::NoRandomness => return f.write_str("the system provides no randomness"),
            Cause::Connect(ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects) => "no server can be reached",
            Cause::Connect(ConnectErrorKind::TimedOut) => "no server responds in time",
            Cause::Connect(ConnectErrorKind::Dns) => "the server's name does not resolve",
            Cause::Connect(ConnectErrorKind::ServerParse) => "not a server URL",
            Cause::Connect(ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation) => {
                "the server rejects the credentials, or requires them"
            }
            Cause::Connect(ConnectErrorKind::Tls) => "the server's TLS certificate is not trusted",
            Cause::UnsupportedVersion => "the server is too old: NATS 2.11 or newer is needed",
            Cause::NoJetStream => "JetStream is not enabled on the server or for this account",
        };
        write!(f, "nats.url: {what}")
    }
}

impl std::error::Error for JetStreamError {}
