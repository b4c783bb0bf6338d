//! The simulator's own routes, under `/simulator`. They require no credentials: a simulator belongs on loopback or in a
//! test network.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{envelope, operations::TOKEN, simulator::Simulator};
use crate::journal::{Redaction, Request};

/// The secrets of the vendor's requests, and the headers that belong to its credentials.
const REDACTION: Redaction = Redaction {
    marker: "[removed]",
    parameters: &SECRETS,
    headers: &["authorization", "cookie", "proxy-authorization", "x-app-key"],
    members: &SECRETS,
};
const SECRETS: [&str; 4] = ["app_secret", "newPassWord", "oldPassWord", "password"];

/// `GET /simulator/requests`: the requests received, oldest first, without secrets.
pub(super) async fn requests(State(simulator): State<Arc<Simulator>>) -> Response {
    let shown: Vec<Value> = simulator.lock().journal.requests().map(shown).collect();
    envelope::json(StatusCode::OK, &json!({ "requests": shown }))
}

/// `GET /simulator/state`: how often each operation was called, and how many resources of each kind there are.
pub(super) async fn state(State(simulator): State<Arc<Simulator>>) -> Response {
    let state = simulator.lock();
    let calls = &state.calls;
    let shown = json!({
        "tokenRequests": calls.get(TOKEN).copied().unwrap_or_default(),
        "calls": calls,
        "agents": state.center.agents.len(),
        "queues": state.center.skills.len(),
        "softphones": state.center.softphones.len(),
        "accessCodes": state.center.access_codes.len(),
        "callSettings": state.center.settings.len(),
    });
    drop(state);
    envelope::json(StatusCode::OK, &shown)
}

/// `POST /simulator/reset`: restores the start.
pub(super) async fn reset(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.reset();
    StatusCode::NO_CONTENT
}

/// `POST /simulator/tokens/revoke`: revokes every token issued so far.
pub(super) async fn revoke_tokens(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.revoke_tokens();
    StatusCode::NO_CONTENT
}

fn shown(request: &Request) -> Value {
    let object = |pairs: &mut dyn Iterator<Item = (&str, &str)>| -> Value {
        pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    };
    json!({
        "method": request.method,
        "path": request.path,
        "query": object(&mut REDACTION.query(request)),
        "headers": object(&mut REDACTION.headers(request)),
        "body": REDACTION.body(request).unwrap_or_else(|| REDACTION.marker.into()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{
        super::{
            Options, Quirks, Tenant, Tokens,
            testing::{APP_SECRET, MANAGEMENT, REST, TestServer, send},
        },
        *,
    };

    const SYS_INFO: &str = "/apiaccess/CC-Management/v1/querySysInfo";

    async fn status(server: &TestServer, path: &str) -> StatusCode {
        let request = server.client.post(server.url(path));
        request.send().await.unwrap().status()
    }

    async fn get(server: &TestServer, path: &str) -> Value {
        send(server.client.get(server.url(path))).await.ok()
    }

    fn request(body: &str) -> Request {
        let (parts, ()) = http::Request::post("/apiaccess/x?password=hidden&a=b%20c")
            .header("Authorization", "Bearer hidden")
            .header("X-APP-Key", "hidden")
            .header("Content-Type", "application/json")
            .body(())
            .unwrap()
            .into_parts();
        Request::new(&parts, body.as_bytes())
    }

    #[test]
    fn secrets_are_removed_at_every_depth() {
        let body = r#"{"requestParam":{"userAccount":"anna.berg","skills":[{"password":"hidden"}],
            "oldPassWord":"hidden"}}"#;
        let shown_request = shown(&request(body));
        assert!(!shown_request.to_string().contains("hidden"), "{shown_request}");
        assert_eq!(shown_request["query"], json!({ "a": "b c", "password": "[removed]" }));
        assert_eq!(shown_request["headers"]["content-type"], "application/json");
        assert_eq!(shown_request["body"]["requestParam"]["userAccount"], "anna.berg");
        assert_eq!(shown(&request("app_secret=hidden"))["body"], "[removed]");
        assert_eq!(shown(&request(""))["body"], Value::Null);
    }

    #[tokio::test]
    async fn requests_are_shown_without_secrets() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        server.request_token(Some("60")).await.ok();
        server.get("/nowhere").await;
        let shown = get(&server, "/simulator/requests").await;
        let requests = shown["requests"].as_array().unwrap();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0]["body"]["app_secret"], "[removed]");
        assert_eq!(requests[0]["headers"]["x-token-expire"], "60");
        assert_eq!(requests[1]["path"], "/nowhere");
        assert_eq!(requests[1]["headers"]["authorization"], "[removed]");
        assert!(!shown.to_string().contains(APP_SECRET));
        let kept = server.simulator.requests();
        assert!(kept[0].body.contains(APP_SECRET) && !format!("{kept:?}").contains(APP_SECRET));
        server.simulator.forget_requests();
        assert!(server.simulator.requests().is_empty());
    }

    #[tokio::test]
    async fn calls_are_counted_by_operation_and_forgotten_by_a_reset() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        server.get(SYS_INFO).await.ok();
        server.get("/apiaccess/CC-Mangemant/v1/querySysInfo").await.ok();
        server.get_with(SYS_INFO, "wrong").await;
        let delete = json!({ "userAccount": "anna.berg" });
        server.rest("agentAccount/delete", delete).await;
        let state = get(&server, "/simulator/state").await;
        assert_eq!(state["tokenRequests"], 1);
        let calls = json!({ "tokenByAkSk": 1, "querySysInfo": 3, "agentAccount/delete": 1 });
        assert_eq!(state["calls"], calls);
        assert_eq!(state["agents"], 11);

        assert_eq!(status(&server, "/simulator/reset").await, StatusCode::NO_CONTENT);
        let state = get(&server, "/simulator/state").await;
        assert_eq!((&state["tokenRequests"], &state["agents"]), (&json!(0), &json!(12)));
        assert_eq!(state["calls"], json!({}));
        assert_eq!(server.get(SYS_INFO).await.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn tokens_are_revoked_without_touching_the_rest() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        server.post(&format!("{REST}/agentAccount/delete"), json!({ "userAccount": "anna.berg" })).await.ok();
        assert_eq!(status(&server, "/simulator/tokens/revoke").await, StatusCode::NO_CONTENT);
        let response = server.get(&format!("{MANAGEMENT}/querySysInfo")).await;
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        assert_eq!(get(&server, "/simulator/state").await["agents"], 11);
    }

    #[test]
    fn options_show_no_credentials() {
        let options = Options {
            app_key: "hidden-key".to_owned(),
            app_secret: "hidden-secret".into(),
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            tenant: Tenant::Seeded,
            clock: Arc::new(|| SystemTime::UNIX_EPOCH),
        };
        let simulator = format!("{:?}", Simulator::new(options));
        assert!(!simulator.contains("hidden") && simulator.contains("Seeded"), "{simulator}");
    }
}
