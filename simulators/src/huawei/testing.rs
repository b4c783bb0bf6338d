//! A simulator on a real socket, with a clock that only `advance` moves, and a client.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::StatusCode;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Options, Simulator, Tenant, Tokens};

pub(super) const APP_KEY: &str = "test-app-key";
pub(super) const APP_SECRET: &str = "test-app-secret";
pub(super) const TOKEN: &str = "/apigovernance/api/oauth/tokenByAkSk";
pub(super) const MANAGEMENT: &str = "/apiaccess/CC-Management/v1";
pub(super) const REST: &str = "/apiaccess/rest/cc-management/v1";
pub(super) const QUERY_PHONE: &str = "/apiaccess/CC-Management/v2/mobileAgent/queryPhone";
/// The second at which the clock starts: the `CreateTime` of A.
pub(super) const START: u64 = 1_545_650_171;

/// A served simulator.
pub(super) struct TestServer {
    pub(super) simulator: Arc<Simulator>,
    pub(super) client: reqwest::Client,
    base: String,
    clock: Arc<AtomicU64>,
    token: String,
}

#[derive(Debug)]
pub(super) struct TestResponse {
    pub(super) status: StatusCode,
    pub(super) content_type: String,
    pub(super) text: String,
}

// === impl TestServer ===

impl TestServer {
    /// Starts a simulator with these quirks, and gets a token.
    pub(super) async fn start(tenant: Tenant, quirks: &str) -> TestServer {
        let mut server = TestServer::start_with(tenant, quirks, Tokens::default()).await;
        server.refresh_token().await;
        server.simulator.forget_requests();
        server
    }

    pub(super) async fn refresh_token(&mut self) {
        let response = self.request_token(Some("3600")).await.ok();
        response["AccessToken"].as_str().unwrap().clone_into(&mut self.token);
    }

    /// Starts a simulator, and gets no token.
    pub(super) async fn start_with(tenant: Tenant, quirks: &str, tokens: Tokens) -> TestServer {
        // The client is built for TLS and cannot be built without a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Arc::new(AtomicU64::new(START));
        let seconds = Arc::clone(&clock);
        let simulator = Simulator::new(Options {
            app_key: APP_KEY.to_owned(),
            app_secret: APP_SECRET.into(),
            tokens,
            quirks: quirks.parse().unwrap(),
            tenant,
            clock: Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed))),
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = simulator.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        TestServer { simulator, client, base, clock, token: String::new() }
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) async fn request_token(&self, expire: Option<&str>) -> TestResponse {
        let body = json!({ "app_key": APP_KEY, "app_secret": APP_SECRET });
        let mut request = self.client.post(self.url(TOKEN)).header("Content-Type", "application/json");
        if let Some(expire) = expire {
            request = request.header("X-Token-Expire", expire);
        }
        send(request.body(body.to_string())).await
    }

    /// A `POST` with token, app key and content type.
    pub(super) fn request(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client
            .post(self.url(path))
            .header("Authorization", format!("Bearer {}", self.token))
            .header("X-APP-Key", APP_KEY)
            .header("Content-Type", "application/json")
            .body(body.to_string())
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> TestResponse {
        send(self.request(path, &body)).await
    }

    /// The JSON of a `POST` under `REST` whose response is HTTP 200.
    pub(super) async fn rest(&self, path: &str, body: Value) -> Value {
        self.post(&format!("{REST}/{path}"), body).await.ok()
    }

    pub(super) async fn get(&self, path: &str) -> TestResponse {
        self.get_with(path, &self.token).await
    }

    pub(super) async fn get_with(&self, path: &str, token: &str) -> TestResponse {
        send(self.client.get(self.url(path)).header("Authorization", format!("Bearer {token}"))).await
    }
}

// === impl TestResponse ===

impl TestResponse {
    /// The JSON of a response that is HTTP 200.
    pub(super) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.content_type, "application/json;charset=UTF-8", "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    /// Asserts HTTP 400 with the document's sentence.
    pub(super) fn is_bad_request(&self) {
        assert_eq!(self.status, StatusCode::BAD_REQUEST, "{}", self.text);
        assert_eq!(self.text, "Incorrect request. Check the request path and parameters.");
    }
}

pub(super) async fn send(request: RequestBuilder) -> TestResponse {
    let response = request.send().await.unwrap();
    let status = response.status();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    TestResponse { status, content_type, text: response.text().await.unwrap() }
}

/// The return code of a response, under its family's name for it.
pub(super) fn code(response: &Value) -> &str {
    ["resultCode", "returnCode", "retCode"]
        .iter()
        .find_map(|name| response[name].as_str())
        .unwrap_or_else(|| panic!("no return code in {response}"))
}
