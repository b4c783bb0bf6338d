//! Sending one HTTP request to a vendor and reading its response.
//!
//! [`Transport`] is a trait, so that a simulation replaces the real network and loses, delays and duplicates requests.

mod connect;

#[cfg(test)]
mod tests;

use std::{error::Error as StdError, fmt, future::poll_fn, io, pin::pin, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, Uri, header::USER_AGENT};
use http_body::Body as _;
use http_body_util::{BodyDataStream, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        self,
        connect::{HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls_platform_verifier::ConfigVerifierExt as _;

use self::connect::ConnectWithTimeout;
use super::{HttpResponse, Waiting, connect_error, failure::CONNECTION_CLOSED, tls};
use crate::error::{Error, Result};

/// Longest time to establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between TCP's probes of an idle connection, and how many without an answer close it.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;
/// Idle timeout of a read's connection. A stale connection costs a read one retry.
const READ_IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Idle timeout of a write's connection. It is short, because the outcome of a write on a stale connection is unknown.
const WRITE_IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// `User-Agent`.
const PRODUCT: HeaderValue = HeaderValue::from_static(concat!("switchboard/", env!("CARGO_PKG_VERSION")));

/// A request with its credentials.
pub struct HttpRequest {
    /// HTTP method.
    pub method: Method,
    /// Absolute URI with its query.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Option<Bytes>,
    /// Whether a retry has no further effect.
    pub repeatable: bool,
    /// Whether it still waits for a connection. A transport that does not set it takes the request at once.
    pub waiting: Waiting,
}

/// Why a request has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was sent.
    NotSent(&'static str),
    /// Nothing was sent, and a retry fails in the same way until an operator acts.
    Misconfigured(&'static str),
    /// The connection broke before or during the response; the request may have been sent.
    Broken(&'static str),
    /// The response exceeds `max_response_size`.
    TooLarge,
    /// The body of a successful response is not readable.
    Unreadable(&'static str),
}

/// Sends HTTP requests.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends a request once and reads a response of at most `max_response_size` bytes.
    async fn send(&self, request: HttpRequest, max_response_size: usize) -> Result<HttpResponse, Failure>;
}

/// The real network: pools of HTTP/1.1 connections, one for reads and one for writes.
#[derive(Debug)]
pub struct Network {
    reads: Pool,
    writes: Pool,
}

type Pool = legacy::Client<ConnectWithTimeout<HttpsConnector<HttpConnector>>, Full<Bytes>>;

// === impl Network ===

impl Network {
    /// Connection pools without redirects, proxies and automatic retries. They trust the system's certificates.
    ///
    /// # Errors
    /// When the system's trusted certificates cannot be read.
    pub fn new() -> Result<Self> {
        rustls::ClientConfig::with_platform_verifier()
            .map(Self::with_tls)
            .map_err(|_| Error::internal("the HTTP client could not be built; check the system's trusted certificates"))
    }

    /// The same pools with other TLS settings. They share its sessions.
    fn with_tls(mut tls: rustls::ClientConfig) -> Self {
        // One HTTP/2 connection per host would queue calls past about 100 streams.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = ConnectWithTimeout::new(HttpsConnector::from((tcp(), tls)), CONNECT_TIMEOUT);
        let pool = |idle_timeout: Duration| {
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(idle_timeout)
                // The gateway's own retries know whether a request may be repeated.
                .retry_canceled_requests(false)
                .build(connector.clone())
        };
        Self { reads: pool(READ_IDLE_TIMEOUT), writes: pool(WRITE_IDLE_TIMEOUT) }
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: HttpRequest, max_response_size: usize) -> Result<HttpResponse, Failure> {
        let HttpRequest { method, uri, headers, body, repeatable, waiting } = request;
        let pool = if repeatable { &self.reads } else { &self.writes };
        let mut request = http::Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request.headers_mut().insert(USER_AGENT, PRODUCT);
        // hyper sets the connection right before it sends the request there.
        let connection = capture_connection(&mut request);
        waiting.set(true);
        let mut responding = pin!(pool.request(request));
        let response = poll_fn(|task| {
            let polled = responding.as_mut().poll(task);
            waiting.set(connection.connection_metadata().is_none());
            polled
        });
        let response = response.await.map_err(|error| no_response(&error))?;
        let (head, body) = response.into_parts();
        let announced = body.size_hint().exact();
        let body = read_body(announced, BodyDataStream::new(body), max_response_size).await?;
        Ok(HttpResponse { status: head.status, headers: head.headers, body })
    }
}

/// Connects by TCP, also for `https`.
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // It divides this time among a host's addresses.
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    tcp
}

/// Why a request has no response.
fn no_response(error: &legacy::Error) -> Failure {
    match tls::error_in(error) {
        // It comes after the handshake of TLS 1.3, instead of a response.
        Some(tls) if error.is_connect() || tls::requires_client_certificate(tls) => tls::failure(tls),
        // An idle connection was closed before the request left its queue: hyper returns such a request whole.
        _ if !error.is_connect() && was_cancelled(error) => Failure::NotSent(CONNECTION_CLOSED),
        _ if !error.is_connect() => Failure::Broken("the connection broke before the response"),
        _ if is_timeout(error) => Failure::NotSent("no connection within 2 s"),
        _ => Failure::NotSent(connect_error::cause(error)),
    }
}

/// Whether hyper cancelled a request before it wrote the first byte.
fn was_cancelled(error: &legacy::Error) -> bool {
    error.source().and_then(|source| source.downcast_ref::<hyper::Error>()).is_some_and(hyper::Error::is_canceled)
}

/// Whether an error or one of its sources is a timeout, of this client or of the system.
fn is_timeout(error: &legacy::Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Reads the whole body. Reading stops at the chunk that exceeds the limit, and does not start when the announced
/// length exceeds it.
async fn read_body<E>(
    announced: Option<u64>,
    chunks: impl Stream<Item = Result<Bytes, E>>,
    max_size: usize,
) -> Result<Bytes, Failure> {
    if announced.is_some_and(|length| length > max_size as u64) {
        return Err(Failure::TooLarge);
    }
    let mut chunks = pin!(chunks);
    // A body of one chunk is not copied.
    let mut only = Bytes::new();
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::Broken("the connection broke during the response"))?;
        let size = only.len() + body.len() + chunk.len();
        if size > max_size {
            return Err(Failure::TooLarge);
        }
        if size == chunk.len() {
            only = chunk;
            continue;
        }
        if body.is_empty() {
            body.reserve(announced.map_or(size, |length| usize::try_from(length).unwrap_or(size)));
            body.extend_from_slice(&std::mem::take(&mut only));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(if body.is_empty() { only } else { body.freeze() })
}
