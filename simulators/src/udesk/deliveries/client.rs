//! Posts one event once.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use reqwest::header;
use url::Url;

/// Longest time from connecting to the end of the response.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes read of a response. A response read to its end lets the connection be used again.
const MAX_RESPONSE: usize = 64 * 1024;

/// Connections to receivers. The first post builds the client, because most simulators post nothing.
#[derive(Clone, Default)]
pub(super) struct Client(Arc<OnceLock<Option<reqwest::Client>>>);

// === impl Client ===

impl Client {
    /// Posts once; returns the HTTP status, `None` if there was no response.
    pub(super) async fn post(&self, address: &Url, body: Bytes) -> Option<u16> {
        let client = self.0.get_or_init(build).as_ref()?;
        let request = client.post(address.clone()).header(header::CONTENT_TYPE, "application/json;charset=utf-8");
        let mut response = request.body(body).send().await.ok()?;
        let mut length = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            length += chunk.len();
            if length > MAX_RESPONSE {
                break;
            }
        }
        Some(response.status().as_u16())
    }
}

fn build() -> Option<reqwest::Client> {
    // The client is built for TLS and cannot be built without a provider. The program installs one; tests may not.
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
        tracing::error!(
            "no event is posted: the HTTP client cannot be built; check that the system has trusted certificates"
        );
    }
    client.ok()
}
