//! `/simulator/deliveries`: the outcome of deliveries, and how often events are posted. `/simulator/events`: events on
//! demand.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::{
    rule_error::{RuleError, check_keys, parse},
    udesk::{deliveries::Rule, event::NAMES, simulator::Simulator},
};

pub(super) fn routes(simulator: &Arc<Simulator>) -> Router {
    Router::new()
        .route("/simulator/deliveries", get(list).post(set_rule))
        .route("/simulator/events", post(dispatch))
        .with_state(Arc::clone(simulator))
}

/// `GET /simulator/deliveries`: the rule in force, and the last 1,000 deliveries, oldest first. `status` is the HTTP
/// status of the last attempt, null if there was no response.
async fn list(State(simulator): State<Arc<Simulator>>) -> Response {
    let body = {
        let center = simulator.center();
        json!({ "rule": center.deliveries.rule().to_json(), "deliveries": center.deliveries.log() })
    };
    json_response(&body)
}

/// `POST /simulator/deliveries`: sets the rule for events from now on; HTTP 400 with a sentence if the rule is refused.
/// Any `Content-Type` will do.
async fn set_rule(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Response {
    match parse(&body).and_then(|given| Rule::read(&given)) {
        Ok(rule) => {
            simulator.center().deliveries.set_rule(rule);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => bad_request(&error),
    }
}

/// `POST /simulator/events`: dispatches an event with example values, except for `fields`. The response has its `MsgId`
/// and the IDs of the subscriptions that get it.
async fn dispatch(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Response {
    match parse(&body).and_then(|given| dispatch_example(&simulator, &given)) {
        Ok(dispatched) => json_response(&dispatched),
        Err(error) => bad_request(&error),
    }
}

fn dispatch_example(simulator: &Simulator, given: &Value) -> Result<Value, RuleError> {
    let Value::Object(given) = given else {
        return Err(RuleError::new("", "an event is a JSON object"));
    };
    check_keys(given, &["event", "fields"])?;
    let names = || NAMES.join(", ");
    let name = match given.get("event") {
        None => return Err(RuleError::new("event", format!("missing; it is one of {}", names()))),
        Some(name) => name.as_str().unwrap_or_default(),
    };
    let fields = match given.get("fields") {
        None => None,
        Some(Value::Object(fields)) => Some(fields),
        Some(_) => return Err(RuleError::new("fields", "a JSON object")),
    };
    let dispatched = simulator.dispatch_example(name, fields);
    let dispatched =
        dispatched.ok_or_else(|| RuleError::new("event", format!("no such event; there are {}", names())))?;
    Ok(json!({ "msg_id": dispatched.msg_id, "subscriptions": dispatched.subscriptions }))
}

fn bad_request(error: &RuleError) -> Response {
    (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
}

fn json_response(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::udesk::{
        event::NAMES,
        receiver::Receiver,
        testing::{APP_ID, NOW, TestServer},
    };

    #[tokio::test]
    async fn every_event_can_be_seen() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::start().await;
        receiver.subscribe(&server, "gateway", &NAMES).await;
        for name in NAMES {
            server.dispatch(name, json!({})).await;
            let event = receiver.event().await;
            let stamp = (&event["Event"], &event["AppId"], &event["Timestamp"]);
            assert_eq!(stamp, (&json!(name), &json!(APP_ID), &json!(NOW)));
            assert!(event["MsgId"].is_string());
        }
    }

    #[tokio::test]
    async fn fields_override_example_values() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::start().await;
        receiver.subscribe(&server, "gateway", &["record_stop"]).await;
        // A placeholder, also within a text; a member of the payload without a placeholder; a member that it lacks.
        let fields = json!({ "CallId": "c-1", "MsgId": "m-1", "Extra": { "a": [1] }, "Direction": 7 });
        server.dispatch("record_stop", fields).await;
        let event = receiver.event().await;
        assert_eq!((&event["CallId"], &event["MsgId"]), (&json!("c-1"), &json!("m-1")));
        assert_eq!((&event["Extra"], &event["Direction"]), (&json!({ "a": [1] }), &json!(7)));
        assert_eq!(event["RecordUrl"], "https://records.example.com/c-1.wav");
        server.dispatch("record_stop", json!({ "RecordUrl": "elsewhere" })).await;
        assert_eq!(receiver.event().await["RecordUrl"], "elsewhere");
        assert_eq!(server.deliveries().await[0]["msg_id"], "m-1");
    }

    #[tokio::test]
    async fn an_unknown_key_or_value_is_refused_with_its_key() {
        let server = TestServer::start().await;
        for (path, body, text) in [
            ("deliveries", json!({ "copy": 2 }), "copy: no such key; there are copies, attempts, retry_ms\n"),
            ("deliveries", json!({ "copies": 0 }), "copies: a whole number from 1 to 100\n"),
            ("deliveries", Value::Null, "not JSON at line 1, column 0\n"),
            ("events", json!([]), "an event is a JSON object\n"),
            ("events", json!({ "fields": {} }), "event: missing; it is one of acd_agent_state, "),
            ("events", json!({ "event": "begin" }), "event: no such event; there are acd_agent_state, extension_state"),
            ("events", json!({ "event": 7 }), "event: no such event; "),
            ("events", json!({ "event": "play_succ", "field": {} }), "field: no such key; there are event, fields\n"),
            ("events", json!({ "event": "play_succ", "fields": [] }), "fields: a JSON object\n"),
        ] {
            let refused = server.admin("POST", &format!("/simulator/{path}"), &body).await;
            assert!(refused.status == 400 && refused.body.starts_with(text), "{body}: {}", refused.body);
        }
        assert!(server.deliveries().await.is_empty());
    }
}
