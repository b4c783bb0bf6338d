//! The simulator's own routes, under `/simulator`: what it received, what it holds, whom it called, a reset.
//!
//! They require no credentials: a simulator belongs on loopback or in a test network.

mod events;

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, Response, StatusCode, header},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    simulator::{Center, Simulator},
    state::{self, Status},
};
use crate::journal::{Redaction, Request};

/// The secrets of the vendor's requests. A callback address is one, because its path may be.
const REDACTION: Redaction =
    Redaction { marker: "***", parameters: &["Sign"], headers: &[], members: &["Password", "callback"] };

pub(super) fn routes(simulator: &Arc<Simulator>) -> Router {
    Router::new()
        .route("/simulator/requests", get(requests))
        .route("/simulator/state", get(counts))
        .route("/simulator/callbacks", get(callbacks))
        .route("/simulator/reset", post(reset))
        .with_state(Arc::clone(simulator))
        .merge(events::routes(simulator))
}

/// `GET /simulator/requests`: the requests received, oldest first, without headers and secrets.
async fn requests(State(simulator): State<Arc<Simulator>>) -> Response<String> {
    let requests: Vec<Value> = simulator.center().journal.requests().map(shown).collect();
    json_response(&json!({ "requests": requests }))
}

/// `GET /simulator/state`: how many resources of each kind there are, over all applications.
async fn counts(State(simulator): State<Arc<Simulator>>) -> Response<String> {
    let center = simulator.center();
    let Center { states, journal, .. } = &*center;
    let count = |of: fn(&state::State) -> usize| states.iter().map(of).sum::<usize>();
    json_response(&json!({
        "agents": count(|state| state.agents.len()),
        "agents_signed_in": count(|state| {
            state.agents.iter().filter(|agent| agent.status != Status::Offline).count()
        }),
        "callbacks": states.iter().map(|state| state.callbacks_started).sum::<u64>(),
        "extensions": count(|state| state.extensions.len()),
        "queues": count(|state| state.queues.len()),
        "relay_numbers": count(|state| state.numbers.len()),
        "requests_kept": journal.requests().len(),
        "subscriptions": count(|state| state.subscriptions.len()),
    }))
}

/// `GET /simulator/callbacks`: the customers called, oldest first, the last 10,000 of an application. `times` counts
/// the calls of that customer up to this one: 2 is a customer who was called twice.
async fn callbacks(State(simulator): State<Arc<Simulator>>) -> Response<String> {
    let callbacks = simulator.callbacks();
    let mut times: HashMap<&str, u64> = HashMap::new();
    let rows: Vec<Value> = callbacks
        .iter()
        .map(|callback| {
            let times = times.entry(&callback.customer).or_default();
            *times += 1;
            json!({ "call_id": callback.call_id, "customer": callback.customer, "times": *times })
        })
        .collect();
    json_response(&json!({ "callbacks": rows }))
}

/// `POST /simulator/reset`: restores the start, without requests, callbacks and faults.
async fn reset(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.reset();
    StatusCode::NO_CONTENT
}

fn shown(request: &Request) -> Value {
    let query: Vec<[&str; 2]> = REDACTION.query(request).map(|(name, value)| [name, value]).collect();
    let body =
        REDACTION.body(request).unwrap_or_else(|| json!(format!("{} bytes that are not JSON", request.body.len())));
    json!({ "method": request.method, "path": request.path, "query": query, "body": body })
}

fn json_response(body: &Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::{TestResponse, TestServer, prepare};

    async fn admin(server: &TestServer, method: &'static str, path: &str) -> TestResponse {
        let mut prepared = prepare(1, "", Value::Null);
        prepared.method = method;
        prepared.path = path.to_owned();
        prepared.query.clear();
        server.send(prepared).await
    }

    #[tokio::test]
    async fn the_list_of_requests_holds_no_secret() {
        let server = TestServer::start().await;
        server.done(10, "", json!({ "Extension": "1500", "Password": "hidden-1" })).await;
        let item = json!({ "callback": "http://gateway.example.com/hidden-2", "events": ["begin"], "name": "n" });
        server.done(18, "", json!({ "subscriptions": [item] })).await;
        let mut garbage = prepare(10, "", Value::Null);
        garbage.body = "{\"Password\":\"hidden-3\"".to_owned();
        server.send(garbage).await;

        let response = admin(&server, "GET", "/simulator/requests").await;
        assert!(!response.body.contains("hidden"), "{}", response.body);
        for request in server.simulator.requests() {
            let (_, sign) = request.query.iter().find(|(name, _)| name == "Sign").expect("every call is signed");
            assert!(!response.body.contains(sign.as_str()));
        }
        let requests = response.json()["requests"].clone();
        assert_eq!(requests[0]["path"], "/ccapi/v2/extensions");
        assert_eq!(requests[0]["body"], json!({ "Extension": "1500", "Password": REDACTION.marker }));
        assert_eq!(requests[1]["body"]["subscriptions"][0]["name"], "n");
        assert_eq!(requests[2]["body"], "22 bytes that are not JSON");
    }

    #[tokio::test]
    async fn callbacks_show_who_was_called_and_how_often() {
        let server = TestServer::start().await;
        let mut ids = Vec::new();
        for customer in ["13676546374", "13676546375", "13676546374"] {
            let call = json!({ "caller": customer, "called": "01055500100", "called_display": "01055500100" });
            ids.push(server.done(24, "", call).await);
        }
        let row =
            |id: usize, customer: &str, times: u64| json!({ "call_id": ids[id], "customer": customer, "times": times });
        let rows = [row(0, "13676546374", 1), row(1, "13676546375", 1), row(2, "13676546374", 2)];
        let response = admin(&server, "GET", "/simulator/callbacks").await;
        assert_eq!(response.json(), json!({ "callbacks": rows }));
    }

    #[tokio::test]
    async fn a_reset_restores_the_start() {
        let server = TestServer::start().await;
        let at_start = admin(&server, "GET", "/simulator/state").await.json();
        let expected = json!({
            "agents": 12, "agents_signed_in": 6, "callbacks": 0, "extensions": 21, "queues": 4, "relay_numbers": 4,
            "requests_kept": 0, "subscriptions": 1,
        });
        assert_eq!(at_start, expected);

        server.done(12, "", json!({ "QueueName": "Night" })).await;
        server.done(23, "", json!({ "agent_id": "1001" })).await;
        let call = json!({ "caller": "13676546374", "called": "01055500100", "called_display": "01055500100" });
        server.done(24, "", call).await;
        let later = admin(&server, "GET", "/simulator/state").await.json();
        let changed = ["queues", "agents_signed_in", "callbacks", "requests_kept"].map(|name| later[name].as_u64());
        assert_eq!(changed, [Some(5), Some(5), Some(1), Some(3)]);

        assert_eq!(admin(&server, "POST", "/simulator/reset").await.status, 204);
        assert_eq!(admin(&server, "GET", "/simulator/state").await.json(), expected);
        assert!(server.simulator.callbacks().is_empty());
    }
}
