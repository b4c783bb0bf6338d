//! The vendor's side: a request is recorded, gets the fault it triggers, is checked, and runs its operation.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{self, Extension},
    http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header},
    middleware::{self, Next},
};
use serde_json::Value;

use super::{
    auth,
    call::{Call, Query},
    codes::{Failure, INCORRECT_REQUEST, INVALID_PARAMETER},
    document,
    envelope::{self, rejection},
    faults,
    operation::Operation,
    operations::Route,
    options::Tenant,
    simulator::Simulator,
    strict,
};
use crate::{
    faults::{Alteration, ReceivedRequest, ResetHandle},
    journal::Request,
};

/// Largest body accepted, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// A request for an operation, read to its end.
struct Received<'a> {
    operation: &'static Operation,
    /// The ID in the path, `""` if the path has none.
    id: &'a str,
    query: Query,
    headers: &'a HeaderMap,
    body: &'a Bytes,
}

/// Every path that is not the simulator's own.
pub(super) fn routes(simulator: &Arc<Simulator>) -> Router {
    Router::new()
        .fallback(operate)
        .layer(middleware::from_fn_with_state(Arc::clone(simulator), receive))
        .with_state(Arc::clone(simulator))
}

/// Records a request, finds its operation, and injects the fault it triggers.
async fn receive(
    extract::State(simulator): extract::State<Arc<Simulator>>,
    request: extract::Request,
    next: Next,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let route = Route::find(parts.method.as_str(), parts.uri.path());
    let body = to_bytes(body, MAX_BODY).await;
    simulator.record(Request::new(&parts, body.as_deref().unwrap_or_default()));
    let Ok(body) = body else {
        let failure = INCORRECT_REQUEST.because("the body is longer than 1 MiB or was cut off");
        return rejection(StatusCode::PAYLOAD_TOO_LARGE, failure, simulator.quirks);
    };
    let operation = match &route {
        Route::Operation(operation, _) => Some(usize::from(operation.number) - 1),
        Route::WrongMethod(_) | Route::Unknown => None,
    };
    let fault = simulator.faults.trigger(&ReceivedRequest { operation, uri: &parts.uri, body: &body });
    let reset_handle = ResetHandle::of(&parts.extensions);
    parts.extensions.insert(route);
    parts.extensions.insert(fault.alteration());
    fault.inject(reset_handle, next.run(extract::Request::from_parts(parts, Body::from(body)))).await
}

/// Runs the operation; without one, responds in the general error form.
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
            respond(&simulator, Received { operation, id: &id, query, headers: &headers, body: &body }, alteration)
        }
        Route::WrongMethod(allowed) => {
            let failure = INCORRECT_REQUEST.because("no operation has this method");
            let mut response = rejection(StatusCode::METHOD_NOT_ALLOWED, failure, simulator.quirks);
            if let Ok(allowed) = HeaderValue::try_from(allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            response
        }
        Route::Unknown => {
            let failure = INCORRECT_REQUEST.because("no operation has this path");
            rejection(StatusCode::NOT_FOUND, failure, simulator.quirks)
        }
    }
}

/// Dates a response by the simulator's clock, with the skew of its fault.
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

fn respond(simulator: &Simulator, mut received: Received<'_>, alteration: Alteration) -> Response<Body> {
    let operation = received.operation;
    if simulator.options.tenant == Tenant::Document {
        document::complete(operation, &mut received.query);
    }
    let result = check_and_run(simulator, &received, alteration);
    let msg_id = received.query.get("MsgId").unwrap_or_default();
    match result {
        Ok(result) => envelope::success(operation, msg_id, result, simulator.quirks),
        Err(failure) => envelope::failure(operation, msg_id, failure, simulator.quirks),
    }
}

fn check_and_run(simulator: &Simulator, received: &Received<'_>, alteration: Alteration) -> Result<Value, Failure> {
    let Received { operation, id, query, headers, body } = received;
    strict::check_headers(operation, headers)?;
    strict::check_repeats(query)?;
    let now = alteration.clock((simulator.options.clock)());
    auth::authenticate(&simulator.options, query, operation.app_id, now)?;
    strict::check_parameters(operation, query)?;
    let mut body = strict::check_body(operation, body)?;
    let in_part = alteration.partial.is_some_and(|entries| faults::shorten(operation, &mut body, entries));
    let call = Call { id, query, body: &body, quirks: simulator.quirks };
    let mut center = simulator.center();
    let index = match simulator.options.tenant {
        Tenant::Seeded => 0,
        Tenant::Document => usize::from(operation.number) - 1,
    };
    let result = (operation.run)(&mut center.states[index], &call)?;
    if in_part {
        return Err(INVALID_PARAMETER.because("the list was applied in part"));
    }
    simulator.follow_up(&mut center, operation);
    Ok(simulator.quirks.shape_result(operation, &center.states[index].short_app_id, result))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::udesk::{
        Quirk,
        testing::{APP_ID, TestServer, prepare},
    };

    #[tokio::test]
    async fn an_unknown_path_or_method_has_the_general_error_form() {
        let server = TestServer::start().await;
        let mut patch = prepare(5, "1001", json!({ "Name": "x" }));
        patch.method = "PATCH";
        let mut unknown = prepare(1, "", Value::Null);
        unknown.path = "/ccapi/v2/apps".to_owned();
        for (prepared, status, allowed) in [(patch, 405, Some("PUT, GET")), (unknown, 404, None)] {
            let response = server.send(prepared).await;
            assert_eq!(response.status, status);
            let envelope = response.json();
            assert_eq!((&envelope["ErrCode"], &envelope["Result"]), (&json!("000036"), &Value::Null));
            assert_eq!(response.headers.get("allow").and_then(|value| value.to_str().ok()), allowed);
        }
    }

    #[tokio::test]
    async fn a_body_ends_at_one_mebibyte() {
        let server = TestServer::start().await;
        let padded = |length: usize| {
            let mut prepared = prepare(14, "", json!({ "QueueId": "9999" }));
            prepared.body.push_str(&" ".repeat(length - prepared.body.len()));
            prepared
        };
        assert_eq!(server.send(padded(MAX_BODY)).await.code(), "100018");
        let refused = server.send(padded(MAX_BODY + 1)).await;
        assert_eq!((refused.status, refused.code().as_str()), (413, "000036"));
    }

    #[tokio::test]
    async fn every_response_is_dated_by_the_simulators_clock() {
        let server = TestServer::with_quirk(Quirk::EmptyBodies).await;
        let mut admin = prepare(1, "", Value::Null);
        admin.path = "/simulator/state".to_owned();
        let mut unknown = prepare(1, "", Value::Null);
        unknown.path = "/".to_owned();
        let delete = prepare(9, "", json!({ "Extension": "1300" }));
        for prepared in [prepare(1, "", Value::Null), delete, admin, unknown] {
            let response = server.send(prepared).await;
            assert_eq!(response.headers["date"], "Tue, 14 Nov 2023 22:13:20 GMT");
        }
    }

    #[tokio::test]
    async fn requests_are_recorded_as_they_came() {
        let server = TestServer::start().await;
        let body = json!({ "AgentId": "1001", "Queues": ["9002"] });
        server.done(16, "", body.clone()).await;
        server.send(prepare(6, "", Value::Null).set("FuzzyQuery", "a b&c")).await;
        let [first, second] = server.simulator.requests().try_into().expect("two requests were sent");
        assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/ccapi/v2/agents/queues"));
        assert_eq!(first.body, body.to_string());
        assert!(first.query.contains(&("AppId".to_owned(), APP_ID.to_owned())));
        assert!(first.headers.contains(&("accept".to_owned(), "application/json".to_owned())));
        assert!(second.query.contains(&("FuzzyQuery".to_owned(), "a b&c".to_owned())));
        server.simulator.forget_requests();
        assert!(server.simulator.requests().is_empty());
    }

    #[tokio::test]
    async fn the_oldest_requests_make_room() {
        let server = TestServer::start().await;
        let request = |number: usize| Request {
            method: "GET".to_owned(),
            path: number.to_string(),
            query: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
        };
        for number in 0..1002 {
            server.simulator.record(request(number));
        }
        let kept = server.simulator.requests();
        assert_eq!((kept.len(), kept[0].path.as_str()), (1000, "2"));
        for _ in 0..17 {
            server.simulator.record(Request { body: " ".repeat(1 << 20), ..request(0) });
        }
        assert_eq!(server.simulator.requests().len(), 16);
        server.simulator.forget_requests();
        server.simulator.record(request(1));
        assert_eq!(server.simulator.requests().len(), 1);
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
