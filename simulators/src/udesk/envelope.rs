//! Return codes and the three envelopes an answer is wrapped in (C10).

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::{Map, Value, json};

use super::{
    operation::{Envelope, Operation},
    quirks::{Quirk, Quirks},
};

/// A return code of the document's table that this simulator uses.
///
/// Where the table has two generations of one meaning, the older, `1xxxxx`, is used (C13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    number: &'static str,
    text: &'static str,
    /// The HTTP status of the document's general list; used only under [`Quirk::HttpStatuses`].
    status: StatusCode,
    /// The second generation's number and text, where it has one.
    second: Option<(&'static str, &'static str)>,
}

/// A value that is well formed but not allowed. Also the code of refusals for which none is documented (C62).
pub(super) const INVALID_PARAMETER: Code =
    code("000001", "Invalid parameter", StatusCode::BAD_REQUEST).or("200002", "Parameter error");
/// A header, method or path that no operation has.
pub(super) const INCORRECT_REQUEST: Code = code("000036", "Incorrect request", StatusCode::BAD_REQUEST);
/// The same code for an answer in a form that the caller does not take.
pub(super) const NOT_ACCEPTABLE: Code = code("000036", "Incorrect request", StatusCode::NOT_ACCEPTABLE);
pub(super) const PARAMETER_EMPTY: Code = code("100001", "Parameter is empty", StatusCode::BAD_REQUEST);
pub(super) const ACCOUNT_NOT_FOUND: Code = code("100003", "Account not found", StatusCode::UNAUTHORIZED);
pub(super) const NUMBER_NOT_FOUND: Code = code("100005", "Relay number not found", StatusCode::NOT_FOUND);
pub(super) const NAME_EXISTS: Code =
    code("100006", "Name already exists", StatusCode::UNPROCESSABLE_ENTITY).or("200019", "This name already exists");
pub(super) const NUMBER_EXISTS: Code = code("100015", "Number exists", StatusCode::UNPROCESSABLE_ENTITY);
pub(super) const APP_ID_EMPTY: Code = code("100017", "App ID is empty", StatusCode::BAD_REQUEST);
pub(super) const NOT_FOUND: Code =
    code("100018", "No records found", StatusCode::NOT_FOUND).or("200004", "No related records found");
pub(super) const PARSING_FAILED: Code = code("100019", "Parsing failed", StatusCode::BAD_REQUEST);
pub(super) const INVALID_STATE: Code = code("100021", "Invalid agent status", StatusCode::BAD_REQUEST);
pub(super) const APP_NOT_FOUND: Code = code("200001", "This app does not exist", StatusCode::NOT_FOUND);
/// A request of the wrong build: an unknown, repeated or wrongly typed name.
pub(super) const PARAMETER_ERROR: Code = code("200002", "Parameter error", StatusCode::BAD_REQUEST);
pub(super) const AUTHENTICATION_ERROR: Code = code("200020", "Authentication error", StatusCode::UNAUTHORIZED);

const fn code(number: &'static str, text: &'static str, status: StatusCode) -> Code {
    Code { number, text, status, second: None }
}

impl Code {
    const fn or(mut self, number: &'static str, text: &'static str) -> Self {
        self.second = Some((number, text));
        self
    }

    /// A failure with this code. `detail` tells refusals of one code apart; it never quotes what was sent.
    pub const fn because(self, detail: &'static str) -> Failure {
        Failure { code: self, detail }
    }
}

/// Why a call did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    code: Code,
    detail: &'static str,
}

impl Failure {
    fn code_and_text(self, quirks: Quirks) -> (&'static str, String) {
        let (number, text) = match self.code.second {
            Some(second) if quirks.contains(Quirk::SecondGenerationCodes) => second,
            _ => (self.code.number, self.code.text),
        };
        let text = if self.detail.is_empty() { text.to_owned() } else { format!("{text}: {}", self.detail) };
        (number, text)
    }
}

/// The answer of an operation that did what it was asked.
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

/// The answer of an operation that refused: HTTP 200, as the document's error example names no status (C6).
pub(super) fn failure(operation: &Operation, msg_id: &str, failure: Failure, quirks: Quirks) -> Response<Body> {
    let status = if quirks.contains(Quirk::HttpStatuses) { failure.code.status } else { StatusCode::OK };
    let (number, text) = failure.code_and_text(quirks);
    let result = if operation.envelope == Envelope::A { Value::Null } else { json!("") };
    respond(status, quirks.shape_envelope(wrap(operation.envelope, number, &text, msg_id, result)))
}

/// The answer to a request that reached no operation, in the document's general error form.
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
