//! A vendor with two operations on a real socket, which counts the operations that ran, and a client.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{self, State},
    middleware::{self, Next},
    response::Response,
};
use http::header;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Faults, ReceivedRequest, ResetHandle, Vendor, routes, serve};

/// The vendor's response.
pub(super) const RESPONSE: &str = r#"{"code":"000000","message":"OK","results":{"name":"a","list":[{"n":1}]}}"#;

/// A served vendor.
pub(super) struct TestServer {
    pub(super) faults: Arc<Faults>,
    done: Arc<AtomicUsize>,
    base: String,
    client: reqwest::Client,
}

// === impl TestServer ===

impl TestServer {
    /// On a listener whose connections can be reset.
    pub(super) async fn start() -> Self {
        Self::start_on(true).await
    }

    /// On an ordinary listener.
    pub(super) async fn on_a_plain_listener() -> Self {
        Self::start_on(false).await
    }

    async fn start_on(resettable: bool) -> Self {
        let (faults, done) = (Faults::new(vendor()), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&done);
        let vendor = Router::new()
            .fallback(move || async move {
                counted.fetch_add(1, Ordering::Relaxed);
                ([(header::CONTENT_TYPE, "application/json")], RESPONSE)
            })
            .layer(middleware::from_fn_with_state(Arc::clone(&faults), inject));
        let router = routes(&faults).fallback_service(vendor);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        if resettable {
            tokio::spawn(serve(listener, router).into_future());
        } else {
            tokio::spawn(axum::serve(listener, router).into_future());
        }
        // The client is built for TLS and cannot be built without a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { faults, done, base, client }
    }

    /// With this one rule.
    pub(super) async fn with(rule: Value) -> Self {
        let server = Self::start().await;
        server.faults.add(&rule).unwrap();
        server
    }

    /// How many operations ran.
    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// A response's head; `None` if the connection ends before it.
    pub(super) async fn head(&self) -> Option<reqwest::Response> {
        self.request(reqwest::Method::GET, "/").send().await.ok()
    }

    /// A whole response.
    pub(super) async fn get(&self) -> (u16, header::HeaderMap, Vec<u8>) {
        let response = self.head().await.expect("a response");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.expect("the body is whole").to_vec())
    }

    /// A bare connection.
    pub(super) async fn connect(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.base.trim_start_matches("http://")).await.unwrap()
    }
}

pub(super) fn vendor() -> Vendor {
    Vendor {
        find: |name| match name {
            "read" => vec![0],
            "write" => vec![1],
            _ => Vec::new(),
        },
        naming: "read or write",
        has_tokens: true,
        has_batches: true,
    }
}

async fn inject(State(faults): State<Arc<Faults>>, request: extract::Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let operation = Some(usize::from(parts.method != "GET"));
    let fault = faults.trigger(&ReceivedRequest { operation, uri: &parts.uri, body: &body });
    let reset_handle = ResetHandle::of(&parts.extensions);
    fault.inject(reset_handle, next.run(extract::Request::from_parts(parts, Body::from(body)))).await
}
