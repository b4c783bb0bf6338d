//! The way in: every request is recorded, and led to its operation.

use std::{collections::VecDeque, fmt, sync::Arc};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{self, Extension},
    http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header},
    middleware::{self, Next},
};

use super::{
    Simulator,
    call::Query,
    envelope::{INCORRECT_REQUEST, rejection},
    operation::Route,
};
use crate::faults::{Alteration, Arrived, Wire};

/// How many requests are remembered, and how many bytes of their bodies together.
const REQUESTS_KEPT: usize = 1000;
const BYTES_KEPT: usize = 16 << 20;

/// The largest body taken, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// A request as it arrived, for tests to look at.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query's names and values, decoded, in the order sent. `Sign` is among them.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

/// The requests received.
#[derive(Default)]
pub(super) struct Requests {
    kept: VecDeque<Request>,
    bytes: usize,
}

// Queries hold signatures, bodies passwords and people's data: neither is shown.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, query, headers: _, body } = self;
        let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("method", method)
            .field("path", path)
            .field("query", &names)
            .field("body_bytes", &body.len())
            .finish_non_exhaustive()
    }
}

// === impl Requests ===

impl Requests {
    /// Remembers a request, and forgets the oldest where there is no room.
    pub fn keep(&mut self, request: Request) {
        self.bytes += request.body.len();
        self.kept.push_back(request);
        while self.kept.len() > REQUESTS_KEPT || self.bytes > BYTES_KEPT {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= oldest.body.len();
        }
    }

    /// Oldest first.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = &Request> {
        self.kept.iter()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Everything that is not the simulator's own is the vendor's.
pub(super) fn routes(simulator: &Arc<Simulator>) -> axum::Router {
    axum::Router::new()
        .fallback(operate)
        .layer(middleware::from_fn_with_state(Arc::clone(simulator), identify))
        .with_state(Arc::clone(simulator))
}

/// Records the request, finds its operation, and lets the faults befall it.
async fn identify(
    extract::State(simulator): extract::State<Arc<Simulator>>,
    request: extract::Request,
    next: Next,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let route = Route::find(parts.method.as_str(), parts.uri.path());
    let body = to_bytes(body, BODY_LIMIT).await;
    simulator.record(Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: Query::parse(parts.uri.query().unwrap_or_default()).into_pairs(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body: body.as_deref().map(text).unwrap_or_default(),
    });
    let Ok(body) = body else {
        let refused = INCORRECT_REQUEST.because("the body is longer than 1 MiB or was cut off");
        return rejection(StatusCode::PAYLOAD_TOO_LARGE, refused, simulator.quirks);
    };
    let operation = match &route {
        Route::Operation(operation, _) => Some(usize::from(operation.number) - 1),
        Route::WrongMethod(_) | Route::Unknown => None,
    };
    let fault = simulator.faults.strike(&Arrived { operation, uri: &parts.uri, body: &body });
    let wire = Wire::of(&parts.extensions);
    parts.extensions.insert(route);
    parts.extensions.insert(fault.alteration());
    fault.around(wire, next.run(extract::Request::from_parts(parts, Body::from(body)))).await
}

/// Answers by the operation, or in the general error form where there is none.
async fn operate(
    extract::State(simulator): extract::State<Arc<Simulator>>,
    Extension(route): Extension<Route>,
    Extension(alteration): Extension<Alteration>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    match route {
        Route::Operation(operation, id) => {
            let query = Query::parse(uri.query().unwrap_or_default());
            simulator.answer(operation, &id, query, &headers, &body, alteration)
        }
        Route::WrongMethod(allowed) => {
            let refused = INCORRECT_REQUEST.because("no operation has this method");
            let mut response = rejection(StatusCode::METHOD_NOT_ALLOWED, refused, simulator.quirks);
            if let Ok(allowed) = HeaderValue::try_from(allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            response
        }
        Route::Unknown => {
            let refused = INCORRECT_REQUEST.because("no operation has this path");
            rejection(StatusCode::NOT_FOUND, refused, simulator.quirks)
        }
    }
}

/// Dates the answer by the simulator's clock, or by what a fault has made of it.
pub(super) async fn date(
    extract::State(simulator): extract::State<Arc<Simulator>>,
    mut response: Response<Body>,
) -> Response<Body> {
    let alteration = response.extensions().get::<Alteration>().copied().unwrap_or_default();
    let now = httpdate::fmt_http_date(alteration.clock((simulator.options.clock)()));
    if let Ok(now) = HeaderValue::try_from(now) {
        response.headers_mut().insert(header::DATE, now);
    }
    response
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::udesk::{
        Quirk,
        testing::{APP_ID, Desk, prepare},
    };

    #[tokio::test]
    async fn what_leads_nowhere_has_the_general_error_form() {
        let desk = Desk::open().await;
        let mut patch = prepare(5, "1001", json!({ "Name": "x" }));
        patch.method = "PATCH";
        let mut unknown = prepare(1, "", Value::Null);
        unknown.path = "/ccapi/v2/apps".to_owned();
        for (prepared, status, allowed) in [(patch, 405, Some("PUT, GET")), (unknown, 404, None)] {
            let answer = desk.send(prepared).await;
            assert_eq!(answer.status, status);
            let envelope = answer.json();
            assert_eq!((&envelope["ErrCode"], &envelope["Result"]), (&json!("000036"), &Value::Null));
            assert_eq!(answer.headers.get("allow").and_then(|value| value.to_str().ok()), allowed);
        }
    }

    #[tokio::test]
    async fn a_body_ends_at_one_mebibyte() {
        let desk = Desk::open().await;
        let padded = |length: usize| {
            let mut prepared = prepare(14, "", json!({ "QueueId": "9999" }));
            prepared.body.push_str(&" ".repeat(length - prepared.body.len()));
            prepared
        };
        assert_eq!(desk.send(padded(BODY_LIMIT)).await.code(), "100018");
        let refused = desk.send(padded(BODY_LIMIT + 1)).await;
        assert_eq!((refused.status, refused.code().as_str()), (413, "000036"));
    }

    #[tokio::test]
    async fn every_answer_is_dated_by_the_simulators_clock() {
        let desk = Desk::with_quirk(Quirk::EmptyBodies).await;
        let mut admin = prepare(1, "", Value::Null);
        admin.path = "/simulator/state".to_owned();
        let mut unknown = prepare(1, "", Value::Null);
        unknown.path = "/".to_owned();
        let delete = prepare(9, "", json!({ "Extension": "1300" }));
        for prepared in [prepare(1, "", Value::Null), delete, admin, unknown] {
            let answer = desk.send(prepared).await;
            assert_eq!(answer.headers["date"], "Tue, 14 Nov 2023 22:13:20 GMT");
        }
    }

    #[tokio::test]
    async fn requests_are_remembered_as_they_came() {
        let desk = Desk::open().await;
        let body = json!({ "AgentId": "1001", "Queues": ["9002"] });
        desk.done(16, "", body.clone()).await;
        desk.send(prepare(6, "", Value::Null).set("FuzzyQuery", "a b&c")).await;
        let [first, second] = desk.simulator.requests().try_into().expect("two requests were sent");
        assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/ccapi/v2/agents/queues"));
        assert_eq!(first.body, body.to_string());
        assert!(first.query.contains(&("AppId".to_owned(), APP_ID.to_owned())));
        assert!(first.headers.contains(&("accept".to_owned(), "application/json".to_owned())));
        assert!(second.query.contains(&("FuzzyQuery".to_owned(), "a b&c".to_owned())));
        desk.simulator.forget_requests();
        assert!(desk.simulator.requests().is_empty());
    }

    #[tokio::test]
    async fn the_oldest_requests_make_room() {
        let desk = Desk::open().await;
        let request = |number: usize| Request {
            method: "GET".to_owned(),
            path: number.to_string(),
            query: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
        };
        for number in 0..1002 {
            desk.simulator.record(request(number));
        }
        let kept = desk.simulator.requests();
        assert_eq!((kept.len(), kept[0].path.as_str()), (1000, "2"));
        for _ in 0..17 {
            desk.simulator.record(Request { body: " ".repeat(1 << 20), ..request(0) });
        }
        assert_eq!(desk.simulator.requests().len(), 16);
        desk.simulator.forget_requests();
        desk.simulator.record(request(1));
        assert_eq!(desk.simulator.requests().len(), 1);
    }

    #[test]
    fn what_is_printed_of_a_request_shows_no_value() {
        let request = Request {
            method: "POST".to_owned(),
            path: "/ccapi/v2/extensions".to_owned(),
            query: vec![("Sign".to_owned(), "hidden-sign".to_owned())],
            headers: vec![("cookie".to_owned(), "hidden-header".to_owned())],
            body: "hidden-body".to_owned(),
        };
        let printed = format!("{request:?}");
        assert!(printed.contains("/ccapi/v2/extensions") && printed.contains("Sign"), "{printed}");
        assert!(!printed.contains("hidden"), "{printed}");
    }
}
