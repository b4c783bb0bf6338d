//! Posting one event once.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use reqwest::header;
use url::Url;

/// Longest time from the first attempt to connect to the answer's end.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes, so that the connection can be used again.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Connections to receivers. Made when the first event is posted: most simulators post none.
#[derive(Clone, Default)]
pub(super) struct Client(Arc<OnceLock<Option<reqwest::Client>>>);

// === impl Client ===

impl Client {
    /// Posts once; answers the status, or nothing if no answer came.
    pub async fn post(&self, address: &Url, body: Bytes) -> Option<u16> {
        let client = self.0.get_or_init(build).as_ref()?;
        let request = client.post(address.clone()).header(header::CONTENT_TYPE, "application/json;charset=utf-8");
        let mut response = request.body(body).send().await.ok()?;
        let mut length = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            length += chunk.len();
            if length > LONGEST_ANSWER {
                break;
            }
        }
        Some(response.status().as_u16())
    }
}

fn build() -> Option<reqwest::Client> {
    // The client is built for TLS and refuses to exist without a provider for it. The program has installed one.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let client = reqwest::Client::builder()
        .user_agent(concat!("switchboard-simulator/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .tcp_nodelay(true)
        .build();
    if client.is_err() {
        tracing::error!("no events are posted: the HTTP client could not be set up; are there trusted certificates?");
    }
    client.ok()
}
