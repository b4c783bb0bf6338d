//! The store that several gateways share: NATS JetStream, chosen by `[nats]`.
//!
//! Each center's events are a stream, `SWITCHBOARD_EVENTS_{center}`; facts, and calls with a `request_id`, are key-value
//! buckets. All of them are made, or changed to what the configuration says, when the gateway starts.
//!
//! What is acknowledged is kept by most of the servers that are to keep it, and is on their disks only if they run with
//! `sync_interval: always`: otherwise they call fsync every two minutes.

mod answers;
mod bucket;
mod idempotency;
mod kv;
mod link;
mod log;
mod read;
mod stream;

use std::{borrow::Cow, collections::HashMap, error::Error as StdError, fmt, io, iter, sync::Arc, time::Duration};

use async_nats::{ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr, jetstream::Context};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;
use url::Url;

use self::{
    bucket::Bucket,
    idempotency::Calls,
    link::{Link, REQUEST_TIMEOUT},
    log::Log,
};
use crate::config;

/// Events are published below this subject, and the center's ID.
const SUBJECTS: &str = "switchboard.events";

/// How long the start waits for a server.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a quiet connection is tried; it is given up when two tries stay without an answer.
const PING: Duration = Duration::from_secs(2);
/// What may wait for the connection. It is carried out once that is back, also when nobody wants it any more.
const COMMANDS: usize = 128;
/// Longest pause between two attempts to connect again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What a server must take in one message: an event's body and a little more.
const LARGEST_MESSAGE: usize = (1 << 20) + (1 << 10);

/// The open store. Cheap to clone: clones are the same store.
#[derive(Clone)]
pub struct JetStream(Arc<Open>);

struct Open {
    link: Link,
    logs: HashMap<String, Log>,
    state: Bucket,
    calls: Calls,
}

/// Why the store cannot be used. Its text names the key and is fit for whoever runs the gateway.
#[derive(Debug)]
pub struct JetStreamError(Cause);

/// What stands before a server's name in a URL: a name alone is a token.
enum Login {
    User(String, String),
    Token(String),
}

#[derive(Debug)]
enum Cause {
    /// What connecting ended with.
    Connect(ConnectErrorKind),
    Credentials,
    Alone,
    NoRandomness,
    Old,
    NoJetStream,
    /// What servers say of a stream, and whether it may pass, as when they have just started.
    Stream {
        name: String,
        refusal: String,
        may_pass: bool,
    },
}

// === impl JetStream ===

impl JetStream {
    /// Connects to the configured servers, and makes what is missing there for these centers.
    ///
    /// # Errors
    /// When no server can be reached in time, when it takes no credentials or is too old, or when it refuses what the
    /// configuration asks for.
    pub async fn connect<'a>(
        config: &config::Nats,
        events: &config::Events,
        centers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, JetStreamError> {
        Self::open(config, events, centers).await.map_err(JetStreamError)
    }

    async fn open<'a>(
        config: &config::Nats,
        events: &config::Events,
        centers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Cause> {
        let logs = centers.into_iter().map(|center| (center.to_owned(), Log::new(center, events)));
        let logs: HashMap<String, Log> = logs.collect();
        let link = connect(config).await?;
        ensure_all(link.context(), config.replicas, events, logs.keys()).await?;
        let state = Bucket::new(link.clone(), kv::BUCKET);
        let calls = Calls::new(Bucket::new(link.clone(), idempotency::BUCKET))?;
        Ok(Self(Arc::new(Open { link, logs, state, calls })))
    }
}

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JetStream")
    }
}

async fn connect(config: &config::Nats) -> Result<Link, Cause> {
    let mut options = ConnectOptions::new()
        .name("switchboard")
        .connection_timeout(REQUEST_TIMEOUT)
        .ping_interval(PING)
        .client_capacity(COMMANDS)
        // They are told in plain text, before a server has shown who it is.
        .ignore_discovered_servers()
        .reconnect_delay_callback(|attempt| {
            let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
            LONGEST_PAUSE.min(Duration::from_millis(2_u64.saturating_pow(doublings)))
        })
        .event_callback(|event| {
            tell(&event);
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
        let (server, login) = parted(text).ok_or(Cause::Connect(ConnectErrorKind::ServerParse))?;
        servers.push(server);
        options = match login {
            Some(Login::User(user, password)) => options.user_and_password(user, password),
            Some(Login::Token(token)) => options.token(token),
            None => options,
        };
    }
    let client = match timeout(CONNECT, options.connect(servers)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(Cause::Connect(kind(&error))),
        Err(_) => return Err(Cause::Connect(ConnectErrorKind::TimedOut)),
    };
    if !client.is_server_compatible(2, 11, 0) {
        return Err(Cause::Old);
    }
    let most = client.max_payload();
    if most < LARGEST_MESSAGE {
        tracing::warn!(max_payload = most, needed = LARGEST_MESSAGE, "NATS max_payload is below the largest event");
    }
    let broken = |_| Cause::Connect(ConnectErrorKind::Io);
    Link::new(client).await.map_err(broken)
}

/// Why there is no connection. What is wrong with a certificate comes as an error of the connection.
fn kind(error: &ConnectError) -> ConnectErrorKind {
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    let is_of_tls = |cause: &(dyn StdError + 'static)| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        matches!(inner, Some(inner) if inner.is::<rustls::Error>())
    };
    if causes.any(is_of_tls) { ConnectErrorKind::Tls } else { error.kind() }
}

/// A server's address, and who logs in, if that stands in it: the client would not use it there.
fn parted(text: &str) -> Option<(ServerAddr, Option<Login>)> {
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

async fn ensure_all(
    context: &Context,
    replicas: usize,
    events: &config::Events,
    centers: impl Iterator<Item = &String>,
) -> Result<(), Cause> {
    stream::ensure(context, &stream::of_state(replicas)).await?;
    stream::ensure(context, &stream::of_repeats(replicas)).await?;
    for center in centers {
        stream::ensure(context, &stream::of_events(center, replicas, events)).await?;
    }
    Ok(())
}

/// Logs what became of the connection.
fn tell(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("the connection to NATS is lost"),
        Event::SlowConsumer(_) => tracing::warn!("NATS sends faster than the gateway reads"),
        // What a subject or a server is called stands in it, so it is quoted.
        Event::ServerError(error) => tracing::warn!(error = ?error.to_string(), "NATS reports an error"),
        Event::LameDuckMode | Event::Draining | Event::Closed | Event::ClientError(_) => {}
    }
}

/// A hash as keys and subjects have it.
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
            Cause::Stream { name, refusal, .. } => return write!(f, "nats: stream {name}: {refusal}"),
            Cause::Credentials => return f.write_str("nats.credentials: not the content of a .creds file"),
            Cause::Alone => {
                return f.write_str("nats.replicas: the server is not clustered; it supports one replica");
            }
            Cause::NoRandomness => return f.write_str("the system provides no randomness"),
            Cause::Connect(ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects) => "no server can be reached",
            Cause::Connect(ConnectErrorKind::TimedOut) => "no server answers in time",
            Cause::Connect(ConnectErrorKind::Dns) => "the server's name does not resolve",
            Cause::Connect(ConnectErrorKind::ServerParse) => "not a server URL",
            Cause::Connect(ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation) => {
                "the server rejects the credentials, or requires them"
            }
            Cause::Connect(ConnectErrorKind::Tls) => "the server's TLS certificate is not trusted",
            Cause::Old => "the server is too old: NATS 2.11 or newer is needed",
            Cause::NoJetStream => "JetStream is not enabled on the server or for this account",
        };
        write!(f, "nats.url: {what}")
    }
}

impl std::error::Error for JetStreamError {}
