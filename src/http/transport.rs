//! Sending one HTTP request to a vendor and reading its response.
//!
//! [`Transport`] is a trait, so that a simulation replaces the real network and loses, delays and duplicates requests.

#[cfg(test)]
mod tests;

use std::{fmt, pin::pin, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, Method};
use url::Url;

use super::{HttpResponse, connect_error, tls};
use crate::error::{Error, Result};

/// Longest time to establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle timeout of a read's connection. A stale connection costs a read one retry.
const READ_IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Idle timeout of a write's connection. It is short, because the outcome of a write on a stale connection is unknown.
const WRITE_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// A request with its credentials.
pub struct HttpRequest {
    /// HTTP method.
    pub method: Method,
    /// URL with its query.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Option<Bytes>,
    /// Whether a retry has no further effect.
    pub repeatable: bool,
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
    reads: reqwest::Client,
    writes: reqwest::Client,
}

// === impl Network ===

impl Network {
    /// Connection pools without redirects, proxies and automatic retries.
    ///
    /// # Errors
    /// When the system's trusted certificates cannot be read.
    pub fn new() -> Result<Self> {
        let pool = |idle_timeout: Duration| {
            reqwest::Client::builder()
                .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(idle_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                // One HTTP/2 connection per host would queue calls past about 100 streams.
                .http1_only()
                .tcp_nodelay(true)
                .build()
                .map_err(|_| {
                    Error::internal("the HTTP client could not be built; check the system's trusted certificates")
                })
        };
        Ok(Self { reads: pool(READ_IDLE_TIMEOUT)?, writes: pool(WRITE_IDLE_TIMEOUT)? })
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: HttpRequest, max_response_size: usize) -> Result<HttpResponse, Failure> {
        let HttpRequest { method, url, headers, body, repeatable } = request;
        let pool = if repeatable { &self.reads } else { &self.writes };
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(Into::into);
        let mut response = pool.execute(request).await.map_err(|error| {
            match tls::error_in(&error) {
                // It comes after the handshake of TLS 1.3, instead of a response.
                Some(tls) if error.is_connect() || tls::requires_client_certificate(tls) => tls::failure(tls),
                _ if !error.is_connect() && !error.is_builder() => {
                    Failure::Broken("the connection broke before the response")
                }
                _ if error.is_timeout() => Failure::NotSent("no connection within 2 s"),
                _ => Failure::NotSent(connect_error::cause(&error)),
            }
        })?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = read_body(response.content_length(), response.bytes_stream(), max_response_size).await?;
        Ok(HttpResponse { status, headers, body })
    }
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
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::Broken("the connection broke during the response"))?;
        if body.len() + chunk.len() > max_size {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
