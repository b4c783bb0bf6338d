//! A vendor of two operations behind a real socket that counts what it has done, and a client.

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

use super::{Arrived, Faults, Vendor, Wire, serve};

/// What the vendor answers.
pub(super) const ANSWER: &str = r#"{"code":"000000","message":"OK","results":{"name":"a","list":[{"n":1}]}}"#;

/// A served vendor.
pub(super) struct Stall {
    pub faults: Arc<Faults>,
    done: Arc<AtomicUsize>,
    base: String,
    client: reqwest::Client,
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

impl Stall {
    /// On a listener whose connections can be cut.
    pub async fn open() -> Self {
        Self::start(true).await
    }

    /// On a listener like any other.
    pub async fn on_a_plain_listener() -> Self {
        Self::start(false).await
    }

    async fn start(can_be_cut: bool) -> Self {
        let (faults, done) = (Faults::new(vendor()), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&done);
        let vendor = Router::new()
            .fallback(move || async move {
                counted.fetch_add(1, Ordering::Relaxed);
                ([(header::CONTENT_TYPE, "application/json")], ANSWER)
            })
            .layer(middleware::from_fn_with_state(Arc::clone(&faults), befall));
        let router = faults.routes().fallback_service(vendor);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        if can_be_cut {
            tokio::spawn(serve(listener, router).into_future());
        } else {
            tokio::spawn(axum::serve(listener, router).into_future());
        }
        // The client is built for TLS and refuses to exist without a provider for it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { faults, done, base, client }
    }

    /// With this one rule.
    pub async fn with(rule: Value) -> Self {
        let stall = Self::open().await;
        stall.faults.add(&rule).unwrap();
        stall
    }

    /// How many calls the vendor has carried out.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// An answer's head; `None` when the connection ends before one.
    pub async fn head(&self) -> Option<reqwest::Response> {
        self.request(reqwest::Method::GET, "/").send().await.ok()
    }

    /// A whole answer.
    pub async fn get(&self) -> (u16, header::HeaderMap, Vec<u8>) {
        let response = self.head().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.expect("the body is whole").to_vec())
    }

    /// A connection that speaks by hand.
    pub async fn dial(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.base.trim_start_matches("http://")).await.unwrap()
    }
}

async fn befall(State(faults): State<Arc<Faults>>, request: extract::Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let operation = Some(usize::from(parts.method != "GET"));
    let fault = faults.strike(&Arrived { operation, uri: &parts.uri, body: &body });
    let wire = Wire::of(&parts.extensions);
    fault.around(wire, next.run(extract::Request::from_parts(parts, Body::from(body)))).await
}
