//! A receiver of events: a server at a secret address that keeps the posts it gets.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};

use super::testing::{TestResponse, TestServer, prepare};

/// The secret part of the address, which the simulator must not show.
pub(super) const SECRET: &str = "hidden-path";

/// A served receiver.
pub(super) struct Receiver {
    pub(super) callback: String,
    posted: mpsc::UnboundedReceiver<Posted>,
    script: Arc<Script>,
}

/// One post.
pub(super) struct Posted {
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// How a receiver responds.
struct Script {
    sender: mpsc::UnboundedSender<Posted>,
    /// The next statuses; 200 after the last.
    statuses: Mutex<VecDeque<u16>>,
    /// A response waits for a permit.
    permits: Semaphore,
}

// === impl Receiver ===

impl Receiver {
    /// Starts a receiver that responds 200.
    pub(super) async fn start() -> Self {
        Self::answering(&[]).await
    }

    /// Starts a receiver that responds with these statuses, then 200.
    pub(super) async fn answering(statuses: &[u16]) -> Self {
        Self::with(statuses, Semaphore::MAX_PERMITS).await
    }

    /// Starts a receiver that reads posts and does not respond.
    pub(super) async fn silent() -> Self {
        Self::with(&[], 0).await
    }

    async fn with(statuses: &[u16], permits: usize) -> Self {
        let (sender, posted) = mpsc::unbounded_channel();
        let statuses = Mutex::new(statuses.iter().copied().collect());
        let script = Arc::new(Script { sender, statuses, permits: Semaphore::new(permits) });
        let router = axum::Router::new().route(&format!("/{SECRET}"), post(take)).with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { callback: format!("http://{address}/{SECRET}"), posted, script }
    }

    /// Lets a silent receiver respond from now on.
    pub(super) fn resume(&self) {
        self.script.permits.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Subscribes to these events; returns the subscription's ID.
    pub(super) async fn subscribe(&self, server: &TestServer, name: &str, events: &[&str]) -> u64 {
        let item = json!({ "callback": self.callback, "events": events, "name": name });
        let made = server.done(18, "", json!({ "subscriptions": [item] })).await;
        made["sub_succ"][0]["subid"].as_u64().expect("the subscription is made")
    }

    pub(super) async fn posted(&mut self) -> Posted {
        self.posted.recv().await.expect("the receiver is served")
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> Value {
        serde_json::from_slice(&self.posted().await.body).expect("an event is JSON")
    }

    /// The names of the next events.
    pub(super) async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.event().await["Event"].as_str().expect("an event has a name").to_owned());
        }
        names
    }

    /// Whether every post was read by the test.
    pub(super) fn is_empty(&mut self) -> bool {
        self.posted.try_recv().is_err()
    }
}

// === impl TestServer ===

impl TestServer {
    /// Calls one of the simulator's own routes.
    pub(super) async fn admin(&self, method: &'static str, path: &str, body: &Value) -> TestResponse {
        let mut prepared = prepare(1, "", body.clone());
        prepared.method = method;
        prepared.path = path.to_owned();
        prepared.query.clear();
        self.send(prepared).await
    }

    /// Dispatches an event; returns the IDs of the subscriptions that get it.
    pub(super) async fn dispatch(&self, event: &str, fields: Value) -> Value {
        let response = self.admin("POST", "/simulator/events", &json!({ "event": event, "fields": fields })).await;
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()["subscriptions"].clone()
    }

    /// Sets the rule of deliveries.
    pub(super) async fn set_delivery_rule(&self, rule: Value) {
        assert_eq!(self.admin("POST", "/simulator/deliveries", &rule).await.status, 204);
    }

    /// The deliveries, once none waits.
    pub(super) async fn deliveries(&self) -> Vec<Value> {
        loop {
            let response = self.admin("GET", "/simulator/deliveries", &Value::Null).await;
            assert!(!response.body.contains(SECRET), "{}", response.body);
            let rows = response.json()["deliveries"].as_array().expect("there is a list").clone();
            if rows.iter().all(|row| row["outcome"] != "waiting") {
                return rows;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn take(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let _ = script.sender.send(Posted { content_type: content_type.to_owned(), body });
    let _ = script.permits.acquire().await;
    let status = script.statuses.lock().expect("no test panics with it").pop_front().unwrap_or(200);
    StatusCode::from_u16(status).expect("tests use real statuses")
}
