//! `/simulator/deliveries`, what became of events and how often they are posted; `/simulator/events`, events on demand.

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

use super::{
    Deliveries, journal,
    rule::{Refused, Rule, check_names},
};
use crate::udesk::{Simulator, events::NAMES};

pub(in super::super) fn routes(simulator: &Arc<Simulator>) -> Router {
    Router::new()
        .route("/simulator/deliveries", get(list).post(set_rule))
        .route("/simulator/events", post(tell))
        .with_state(Arc::clone(simulator))
}

/// `GET /simulator/deliveries`: the rule in force, and at most the last 1,000 deliveries, oldest first. `status` is that of
/// the last attempt, null if no answer came.
async fn list(State(simulator): State<Arc<Simulator>>) -> Response {
    let body = {
        let center = simulator.center();
        let Deliveries { client: _, rule, journal, queues: _ } = &center.deliveries;
        json!({ "rule": rule.shown(), "deliveries": journal::of(journal).shown() })
    };
    json_response(&body)
}

/// `POST /simulator/deliveries`: the rule for what happens from now on; 400 and a sentence if it is none. The
/// `Content-Type` is not looked at.
async fn set_rule(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Response {
    match parse(&body).and_then(|given| Rule::read(&given)) {
        Ok(rule) => {
            simulator.center().deliveries.rule = rule;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refused) => bad_request(&refused),
    }
}

/// `POST /simulator/events`: one event of a name, made up where `fields` does not say otherwise. Answers its `MsgId` and the
/// subscriptions that are told.
async fn tell(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Response {
    match parse(&body).and_then(|given| tell_example(&simulator, &given)) {
        Ok(told) => json_response(&told),
        Err(refused) => bad_request(&refused),
    }
}

fn tell_example(simulator: &Simulator, given: &Value) -> Result<Value, Refused> {
    let Value::Object(given) = given else {
        return Err(Refused::new("", "an event is a JSON object"));
    };
    check_names(given, &["event", "fields"])?;
    let names = || NAMES.join(", ");
    let name = match given.get("event") {
        None => return Err(Refused::new("event", format!("missing; it is one of {}", names()))),
        Some(name) => name.as_str().unwrap_or_default(),
    };
    let fields = match given.get("fields") {
        None => None,
        Some(Value::Object(fields)) => Some(fields),
        Some(_) => return Err(Refused::new("fields", "a JSON object")),
    };
    let told = simulator.tell_example(name, fields);
    let (msg_id, subscriptions) =
        told.ok_or_else(|| Refused::new("event", format!("no such event; there are {}", names())))?;
    Ok(json!({ "msg_id": msg_id, "subscriptions": subscriptions }))
}

fn parse(body: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::new("", format!("not JSON at line {}, column {}", error.line(), error.column())))
}

fn bad_request(refused: &Refused) -> Response {
    (StatusCode::BAD_REQUEST, format!("{refused}\n")).into_response()
}

fn json_response(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::udesk::{
        events::NAMES,
        receiver::Receiver,
        testing::{APP_ID, Desk, NOW},
    };

    #[tokio::test]
    async fn every_event_can_be_seen() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::open().await;
        receiver.subscribe(&desk, "gateway", &NAMES).await;
        for name in NAMES {
            desk.tell(name, json!({})).await;
            let event = receiver.event().await;
            let stamp = (&event["Event"], &event["AppId"], &event["Timestamp"]);
            assert_eq!(stamp, (&json!(name), &json!(APP_ID), &json!(NOW)));
            assert!(event["MsgId"].is_string());
        }
    }

    #[tokio::test]
    async fn fields_override_what_is_made_up() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::open().await;
        receiver.subscribe(&desk, "gateway", &["record_stop"]).await;
        // A placeholder, within a text, too; a field of the payload that has no placeholder; one that it lacks.
        let fields = json!({ "CallId": "c-1", "MsgId": "m-1", "Extra": { "a": [1] }, "Direction": 7 });
        desk.tell("record_stop", fields).await;
        let event = receiver.event().await;
        assert_eq!((&event["CallId"], &event["MsgId"]), (&json!("c-1"), &json!("m-1")));
        assert_eq!((&event["Extra"], &event["Direction"]), (&json!({ "a": [1] }), &json!(7)));
        assert_eq!(event["RecordUrl"], "https://records.example.com/c-1.wav");
        desk.tell("record_stop", json!({ "RecordUrl": "elsewhere" })).await;
        assert_eq!(receiver.event().await["RecordUrl"], "elsewhere");
        assert_eq!(desk.deliveries().await[0]["msg_id"], "m-1");
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused_with_its_key() {
        let desk = Desk::open().await;
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
            let refused = desk.admin("POST", &format!("/simulator/{path}"), &body).await;
            assert!(refused.status == 400 && refused.body.starts_with(text), "{body}: {}", refused.body);
        }
        assert!(desk.deliveries().await.is_empty());
    }
}
