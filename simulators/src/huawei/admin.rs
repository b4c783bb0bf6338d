//! The admin route, outside the vendor's paths: `/simulator/...`. It is as private as the listener it is served on.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Simulator, envelope, operations::TOKEN};

/// `GET /simulator/requests`: the requests received, oldest first, without their secrets.
pub(super) async fn requests(State(simulator): State<Arc<Simulator>>) -> Response {
    let requests = simulator.requests();
    let shown: Vec<Value> = requests.iter().map(super::Request::without_secrets).collect();
    envelope::json(StatusCode::OK, &json!({ "requests": shown }))
}

/// `GET /simulator/state`: how often a token was asked for and each operation called, and how much the center holds.
pub(super) async fn state(State(simulator): State<Arc<Simulator>>) -> Response {
    let state = simulator.lock();
    let calls = state.journal.calls();
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

/// `POST /simulator/reset`: back to the start.
pub(super) async fn reset(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.reset();
    StatusCode::NO_CONTENT
}

/// `POST /simulator/tokens/revoke`: ends every token issued so far.
pub(super) async fn revoke_tokens(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.revoke_tokens();
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{
        super::{
            Options, Quirks, Tenant, Tokens,
            testing::{APP_SECRET, Bench, MANAGEMENT, REST, send},
        },
        *,
    };

    const SYS_INFO: &str = "/apiaccess/CC-Management/v1/querySysInfo";

    async fn status(bench: &Bench, path: &str) -> StatusCode {
        let request = bench.client.post(bench.url(path));
        request.send().await.unwrap().status()
    }

    async fn shown(bench: &Bench, path: &str) -> Value {
        send(bench.client.get(bench.url(path))).await.ok()
    }

    #[tokio::test]
    async fn requests_are_shown_without_secrets() {
        let bench = Bench::start(Tenant::Seeded, "").await;
        bench.ask_token(Some("60")).await.ok();
        bench.get("/nowhere").await;
        let shown = shown(&bench, "/simulator/requests").await;
        let requests = shown["requests"].as_array().unwrap();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0]["body"]["app_secret"], "[removed]");
        assert_eq!(requests[0]["headers"]["x-token-expire"], "60");
        assert_eq!(requests[1]["path"], "/nowhere");
        assert_eq!(requests[1]["headers"]["authorization"], "[removed]");
        assert!(!shown.to_string().contains(APP_SECRET));
        let kept = bench.simulator.requests();
        assert!(kept[0].body.contains(APP_SECRET) && !format!("{kept:?}").contains(APP_SECRET));
        bench.simulator.forget_requests();
        assert!(bench.simulator.requests().is_empty());
    }

    #[tokio::test]
    async fn calls_are_counted_by_operation_and_forgotten_by_a_reset() {
        let bench = Bench::start(Tenant::Seeded, "").await;
        bench.get(SYS_INFO).await.ok();
        bench.get("/apiaccess/CC-Mangemant/v1/querySysInfo").await.ok();
        bench.get_with(SYS_INFO, "wrong").await;
        let delete = json!({ "userAccount": "anna.berg" });
        bench.rest("agentAccount/delete", delete).await;
        let state = shown(&bench, "/simulator/state").await;
        assert_eq!(state["tokenRequests"], 1);
        let calls = json!({ "tokenByAkSk": 1, "querySysInfo": 3, "agentAccount/delete": 1 });
        assert_eq!(state["calls"], calls);
        assert_eq!(state["agents"], 11);

        assert_eq!(status(&bench, "/simulator/reset").await, StatusCode::NO_CONTENT);
        let state = shown(&bench, "/simulator/state").await;
        assert_eq!((&state["tokenRequests"], &state["agents"]), (&json!(0), &json!(12)));
        assert_eq!(state["calls"], json!({}));
        assert_eq!(bench.get(SYS_INFO).await.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn tokens_are_revoked_without_touching_the_rest() {
        let bench = Bench::start(Tenant::Seeded, "").await;
        bench.post(&format!("{REST}/agentAccount/delete"), json!({ "userAccount": "anna.berg" })).await.ok();
        assert_eq!(status(&bench, "/simulator/tokens/revoke").await, StatusCode::NO_CONTENT);
        let answer = bench.get(&format!("{MANAGEMENT}/querySysInfo")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(shown(&bench, "/simulator/state").await["agents"], 11);
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
