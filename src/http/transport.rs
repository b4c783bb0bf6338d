//! Carrying one request to a vendor and its answer back.
//!
//! Behind a trait, so that a simulation can put a network of its own in the place of the real one and lose, delay and
//! repeat what it likes.

#[cfg(test)]
mod tests;

use std::{fmt, pin::pin, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, Method};
use url::Url;

use super::HttpResponse;
use crate::error::{Error, Result};

/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest a read's connection stays idle; a stale one costs a read a repeat.
const IDLE_FOR_READS: Duration = Duration::from_mins(1);
/// Longest a write's connection stays idle: a vendor that closes a stale one must not make an outcome unknown.
const IDLE_FOR_WRITES: Duration = Duration::from_secs(2);

/// A request with everything it needs.
pub struct HttpRequest {
    /// HTTP method.
    pub method: Method,
    /// Whole address.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Option<Bytes>,
    /// Whether a repeat is harmless.
    pub repeatable: bool,
}

/// Why a request brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Certainly nothing was sent.
    NotSent(&'static str),
    /// The connection broke, or the answer did, after something was sent.
    Broken(&'static str),
    /// The answer is larger than allowed.
    TooLarge,
}

/// A way to vendors.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Carries a request, once, and reads an answer of at most `largest` bytes.
    async fn send(&self, request: HttpRequest, largest: usize) -> Result<HttpResponse, Failure>;
}

/// The real network: pools of HTTP/1.1 connections, one for reads and one for writes.
#[derive(Debug)]
pub struct Network {
    reads: reqwest::Client,
    writes: reqwest::Client,
}

// === impl Network ===

impl Network {
    /// Connection pools without redirects, proxies and automatic repeats.
    ///
    /// # Errors
    /// When the machine's trusted certificates cannot be read.
    pub fn new() -> Result<Self> {
        let pool = |idle: Duration| {
            reqwest::Client::builder()
                .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(idle)
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
        Ok(Self { reads: pool(IDLE_FOR_READS)?, writes: pool(IDLE_FOR_WRITES)? })
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: HttpRequest, largest: usize) -> Result<HttpResponse, Failure> {
        let HttpRequest { method, url, headers, body, repeatable } = request;
        let pool = if repeatable { &self.reads } else { &self.writes };
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(Into::into);
        let mut response = pool.execute(request).await.map_err(|error| {
            if !error.is_connect() && !error.is_builder() {
                Failure::Broken("the connection broke before the response")
            } else if error.is_timeout() {
                Failure::NotSent("no connection within 2 s")
            } else {
                Failure::NotSent("connection failed")
            }
        })?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = read_body(response.content_length(), response.bytes_stream(), largest).await?;
        Ok(HttpResponse { status, headers, body })
    }
}

/// The whole body. Of one that is larger than allowed, no chunk is read after the one that is too much, and none when its
/// length is announced.
async fn read_body<E>(
    announced: Option<u64>,
    chunks: impl Stream<Item = Result<Bytes, E>>,
    largest: usize,
) -> Result<Bytes, Failure> {
    if announced.is_some_and(|length| length > largest as u64) {
        return Err(Failure::TooLarge);
    }
    let mut chunks = pin!(chunks);
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::Broken("the connection broke during the response"))?;
        if body.len() + chunk.len() > largest {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
