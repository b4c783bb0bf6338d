//! `/simulator/faults`: lists, adds and clears the rules.

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

use super::rules::Faults;
use crate::rule_error::parse;

pub(crate) fn routes(faults: &Arc<Faults>) -> Router {
    Router::new().route("/simulator/faults", get(list).post(add).delete(clear)).with_state(Arc::clone(faults))
}

/// `GET /simulator/faults`: the rules in force, with what remains of `times`.
async fn list(State(faults): State<Arc<Faults>>) -> Response {
    let body = json!({ "faults": faults.list() });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// `POST /simulator/faults`: adds a rule; HTTP 400 with a sentence if the rule is refused. Any `Content-Type` will do.
async fn add(State(faults): State<Arc<Faults>>, body: Bytes) -> Response {
    match parse(&body).and_then(|rule| faults.add(&rule)) {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// `DELETE /simulator/faults`: removes every rule.
async fn clear(State(faults): State<Arc<Faults>>) -> StatusCode {
    faults.clear();
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use serde_json::{Value, json};

    use super::super::testing::TestServer;

    async fn ask(server: &TestServer, method: Method, body: &str) -> (u16, String) {
        let request = server.request(method, "/simulator/faults").body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn rules_are_added_listed_used_and_cleared() {
        let server = TestServer::start().await;
        let rule = r#"{"operation":"*","status":503,"times":3}"#;
        assert_eq!(ask(&server, Method::POST, rule).await, (201, String::new()));
        assert_eq!(server.get().await.0, 503);
        let (status, listed) = ask(&server, Method::GET, "").await;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!((status, listed), (200, json!({ "faults": [{ "operation": "*", "status": 503, "times": 2 }] })));
        assert_eq!(ask(&server, Method::DELETE, "").await.0, 204);
        assert_eq!(server.get().await.0, 200);
        assert_eq!(ask(&server, Method::GET, "").await.1, r#"{"faults":[]}"#);
    }

    #[tokio::test]
    async fn what_is_no_rule_is_refused_with_its_key() {
        let server = TestServer::start().await;
        for (body, text) in [
            (r#"{"operation":"*","staus":503}"#, "staus: no such key"),
            (r#"{"operation":"*","status":99}"#, "status: "),
            ("{", "not JSON at line 1, column 1"),
            ("[]", "a JSON object"),
        ] {
            let (status, refused) = ask(&server, Method::POST, body).await;
            assert!(status == 400 && refused.contains(text), "{body}: {status} {refused}");
        }
        assert!(server.faults.list().is_empty());
    }
}
