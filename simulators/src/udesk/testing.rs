//! A simulator on a real socket, and a client that signs as the document says.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{Client, Method, header};
use secrecy::SecretString;
use serde_json::Value;
use sha1::{Digest, Sha1};
use tokio::net::TcpListener;

use super::{
    Options, Quirk, Simulator, Tenant,
    operation::{ContentType, Operation},
    operations::OPERATIONS,
};

pub(super) const APP_ID: &str = "4b8dc715-05e0-4340-6cae-a6e3c39a6012";
pub(super) const SID: &str = "SID_demo_0001";
const AUTH_TOKEN: &str = "TOKEN_demo_abcdef";

/// The simulator's clock, in milliseconds since 1970.
pub(super) const NOW: u64 = 1_700_000_000_123;

/// A served simulator.
pub(super) struct TestServer {
    pub(super) simulator: Arc<Simulator>,
    base: String,
    client: Client,
}

/// A request as the document requires it, which a test may change.
pub(super) struct Prepared {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// A response.
pub(super) struct TestResponse {
    pub(super) status: u16,
    pub(super) headers: header::HeaderMap,
    pub(super) body: String,
}

// === impl TestServer ===

impl TestServer {
    /// Serves the seeded tenant.
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Serves the seeded tenant with a quirk.
    pub(super) async fn with_quirk(quirk: Quirk) -> Self {
        Self::with(|options| options.quirks.insert(quirk)).await
    }

    /// Serves the document's examples.
    pub(super) async fn start_document() -> Self {
        Self::with(|options| options.tenant = Tenant::Document).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(APP_ID, SID, SecretString::from(AUTH_TOKEN));
        options.clock = Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_millis(NOW));
        change(&mut options);
        let simulator = Simulator::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let base = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let router = simulator.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        // The client is built for TLS and cannot be built without a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().expect("the client's settings are valid");
        Self { simulator, base, client }
    }

    /// Calls an operation by its number; returns the envelope.
    pub(super) async fn call(&self, number: u8, id: &str, body: Value) -> Value {
        let response = self.send(prepare(number, id, body)).await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()
    }

    /// Calls an operation that must succeed; returns its result.
    pub(super) async fn done(&self, number: u8, id: &str, body: Value) -> Value {
        let mut envelope = self.call(number, id, body).await;
        assert_eq!(code(&envelope), "000000", "{number:02}: {envelope}");
        let payload = if envelope.get("Result").is_some() { "Result" } else { "results" };
        envelope[payload].take()
    }

    /// Calls an operation that must fail; returns the code.
    pub(super) async fn refused(&self, number: u8, id: &str, body: Value) -> String {
        let envelope = self.call(number, id, body).await;
        assert_ne!(code(&envelope), "000000", "{number:02}: {envelope}");
        code(&envelope).to_owned()
    }

    pub(super) async fn send(&self, prepared: Prepared) -> TestResponse {
        let Prepared { method, path, query, headers, body } = prepared;
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let method = Method::from_bytes(method.as_bytes()).expect("tests use real methods");
        let mut request = self.client.request(method, format!("{}{path}?{query}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.expect("the simulator responds");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        TestResponse { status, headers, body: response.text().await.expect("the response is text") }
    }
}

// === impl Prepared ===

impl Prepared {
    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.query.retain(|(key, _)| key != name);
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(key, _)| *key != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn signed_at(self, timestamp: &str) -> Self {
        let sign = sign(timestamp);
        self.set("Timestamp", timestamp).set("Sign", &sign)
    }
}

// === impl TestResponse ===

impl TestResponse {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the response is JSON")
    }

    pub(super) fn code(&self) -> String {
        code(&self.json()).to_owned()
    }
}

/// A request of an operation as its page in the document describes it. Null means no body.
#[expect(clippy::needless_pass_by_value, reason = "bodies are written in place")]
pub(super) fn prepare(number: u8, id: &str, body: Value) -> Prepared {
    let operation: &Operation = &OPERATIONS[usize::from(number) - 1];
    let mut headers = vec![("accept", "application/json".to_owned())];
    match operation.content_type {
        ContentType::Unchecked => {}
        ContentType::Any => headers.push(("content-type", "application/x-www-form-urlencoded".to_owned())),
        ContentType::Json => {
            headers.push(("content-type", "application/json;charset=utf-8".to_owned()));
        }
    }
    let mut query = vec![(operation.app_id.to_owned(), APP_ID.to_owned()), ("Sid".to_owned(), SID.to_owned())];
    if operation.number == 22 {
        query.push(("MsgId".to_owned(), "m-1".to_owned()));
    }
    let prepared = Prepared {
        method: operation.method,
        path: operation.path.replace("{id}", id),
        query,
        headers,
        body: if body.is_null() { String::new() } else { body.to_string() },
    };
    prepared.signed_at(&NOW.to_string())
}

/// The code of any of the three envelopes.
pub(super) fn code(envelope: &Value) -> &str {
    envelope["ErrCode"].as_str().or(envelope["code"].as_str()).expect("an envelope has a code")
}

fn sign(timestamp: &str) -> String {
    let digest = Sha1::digest(format!("{SID}{AUTH_TOKEN}{timestamp}"));
    digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
