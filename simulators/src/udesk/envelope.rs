//! The three envelopes of a response (C10).

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::{Map, Value, json};

use super::{
    codes::Failure,
    operation::{Envelope, Operation},
    quirks::{Quirk, Quirks},
};

/// The response of an operation that succeeded.
pub(super) fn success(operation: &Operation, msg_id: &str, result: Value, quirks: Quirks) -> Response<Body> {
    let changes = matches!(operation.method, "PUT" | "DELETE");
    let status = match operation.method {
        _ if changes && quirks.contains(Quirk::EmptyBodies) => StatusCode::NO_CONTENT,
        _ if !quirks.contains(Quirk::HttpStatuses) => StatusCode::OK,
        "GET" => StatusCode::OK,
        "DELETE" => StatusCode::NO_CONTENT,
        _ => StatusCode::CREATED,
    };
    if status == StatusCode::NO_CONTENT {
        return empty(status);
    }
    let wrapped = wrap(operation.envelope, "000000", operation.success, msg_id, result);
    respond(status, quirks.shape_envelope(wrapped))
}

/// The response of an operation that failed: HTTP 200, as the document's error example names no status (C6).
pub(super) fn failure(operation: &Operation, msg_id: &str, failure: Failure, quirks: Quirks) -> Response<Body> {
    let status = if quirks.contains(Quirk::HttpStatuses) { failure.status() } else { StatusCode::OK };
    let (number, text) = failure.code_and_text(quirks);
    let result = if operation.envelope == Envelope::A { Value::Null } else { json!("") };
    respond(status, quirks.shape_envelope(wrap(operation.envelope, number, &text, msg_id, result)))
}

/// The response to a request that reached no operation, in the document's general error form.
pub(super) fn rejection(status: StatusCode, failure: Failure, quirks: Quirks) -> Response<Body> {
    let (number, text) = failure.code_and_text(quirks);
    respond(status, quirks.shape_envelope(wrap(Envelope::A, number, &text, "", Value::Null)))
}

fn wrap(envelope: Envelope, number: &str, text: &str, msg_id: &str, result: Value) -> Map<String, Value> {
    let mut wrapped = Map::new();
    match envelope {
        Envelope::A => {
            wrapped.insert("ErrCode".to_owned(), json!(number));
            wrapped.insert("ErrDesc".to_owned(), json!(text));
            wrapped.insert("Result".to_owned(), result);
        }
        Envelope::B => {
            wrapped.insert("ErrCode".to_owned(), json!(number));
            wrapped.insert("ErrDesc".to_owned(), json!(text));
            wrapped.insert("msg_id".to_owned(), json!(msg_id));
            wrapped.insert("results".to_owned(), result);
            wrapped.insert("data".to_owned(), Value::Null);
        }
        Envelope::C => {
            wrapped.insert("code".to_owned(), json!(number));
            wrapped.insert("message".to_owned(), json!(text));
            wrapped.insert("results".to_owned(), result);
        }
    }
    wrapped
}

fn respond(status: StatusCode, envelope: Map<String, Value>) -> Response<Body> {
    let mut response = Response::new(Body::from(Value::Object(envelope).to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json;charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
