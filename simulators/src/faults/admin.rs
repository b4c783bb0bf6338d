//! `/simulator/faults`: the rules, listed, added and cleared.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::header;
use serde_json::json;

use super::{Faults, RuleError};

pub(super) fn routes(faults: &Arc<Faults>) -> Router {
    Router::new().route("/simulator/faults", get(list).post(add).delete(clear)).with_state(Arc::clone(faults))
}

/// `GET /simulator/faults`: the rules in force, `times` being what is left of it.
async fn list(State(faults): State<Arc<Faults>>) -> Response {
    let body = json!({ "faults": faults.list() });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// `POST /simulator/faults`: one more rule; 400 and a sentence if it is none. The `Content-Type` is not looked at.
async fn add(State(faults): State<Arc<Faults>>, body: Bytes) -> Response {
    let rule = serde_json::from_slice(&body)
        .map_err(|error| RuleError::new("", format!("not JSON at line {}, column {}", error.line(), error.column())));
    match rule.and_then(|rule| faults.add(&rule)) {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// `DELETE /simulator/faults`: no rules.
async fn clear(State(faults): State<Arc<Faults>>) -> StatusCode {
    faults.clear();
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use serde_json::{Value, json};

    use super::super::testing::Stall;

    async fn ask(stall: &Stall, method: Method, body: &str) -> (u16, String) {
        let request = stall.request(method, "/simulator/faults").body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn rules_are_added_listed_used_and_cleared() {
        let stall = Stall::open().await;
        let rule = r#"{"operation":"*","status":503,"times":3}"#;
        assert_eq!(ask(&stall, Method::POST, rule).await, (201, String::new()));
        assert_eq!(stall.get().await.0, 503);
        let (status, listed) = ask(&stall, Method::GET, "").await;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!((status, listed), (200, json!({ "faults": [{ "operation": "*", "status": 503, "times": 2 }] })));
        assert_eq!(ask(&stall, Method::DELETE, "").await.0, 204);
        assert_eq!(stall.get().await.0, 200);
        assert_eq!(ask(&stall, Method::GET, "").await.1, r#"{"faults":[]}"#);
    }

    #[tokio::test]
    async fn what_is_no_rule_is_refused_with_its_key() {
        let stall = Stall::open().await;
        for (body, text) in [
            (r#"{"operation":"*","staus":503}"#, "staus: no such key"),
            (r#"{"operation":"*","status":99}"#, "status: "),
            ("{", "not JSON at line 1, column 1"),
            ("[]", "a JSON object"),
        ] {
            let (status, refused) = ask(&stall, Method::POST, body).await;
            assert!(status == 400 && refused.contains(text), "{body}: {status} {refused}");
        }
        assert!(stall.faults.list().is_empty());
    }
}
