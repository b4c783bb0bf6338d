//! What API Fabric checks before an operation runs: path and method, token, app key, content type, JSON.

use std::sync::Arc;

use axum::{
    Extension,
    body::{Body, to_bytes},
    extract::{RawQuery, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::{
    envelope::{self, Refusal},
    operation::{AppKey, Call, Handler, Operation},
    operations,
    quirks::{Quirk, Quirks},
    simulator::Simulator,
    token,
};
use crate::{
    faults::{Alteration, ReceivedRequest, ResetHandle},
    journal::Request,
};

/// Largest body accepted, in bytes.
const MAX_BODY: usize = 1 << 20;

/// The layer around every operation: records the request, finds its operation, and injects the fault it triggers.
pub(super) async fn receive(
    State(simulator): State<Arc<Simulator>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let operation = operations::find(request.method(), request.uri().path());
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return envelope::page(StatusCode::PAYLOAD_TOO_LARGE);
    };
    simulator.record(Request::new(&parts, &body), operation);
    let index = operation.and_then(operations::index);
    let fault = simulator.faults.trigger(&ReceivedRequest { operation: index, uri: &parts.uri, body: &body });
    if fault.revokes_tokens() {
        simulator.revoke_tokens();
    }
    let reset_handle = ResetHandle::of(&parts.extensions);
    parts.extensions.insert(operation);
    parts.extensions.insert(fault.alteration());
    fault.inject(reset_handle, next.run(axum::extract::Request::from_parts(parts, Body::from(body)))).await
}

/// Responds to a request that was recorded.
pub(super) async fn respond(
    State(simulator): State<Arc<Simulator>>,
    Extension(operation): Extension<Option<&'static Operation>>,
    Extension(alteration): Extension<Alteration>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(operation) = operation else {
        return envelope::not_found();
    };
    let now = alteration.clock(simulator.now());
    let options = &simulator.options;
    let mut state = simulator.lock();
    if !matches!(operation.handler, Handler::IssueToken) {
        let authorized = bearer(&headers).is_some_and(|token| state.tokens.is_live(token, now))
            && has_app_key(&headers, operation.app_key, &options.app_key);
        if !authorized {
            return envelope::unauthorized();
        }
    }
    // No table has a query parameter.
    if query.is_some_and(|query| !query.is_empty()) {
        return envelope::bad_request();
    }
    let quirks = &options.quirks;
    let outcome = match operation.handler {
        Handler::Get(run) => Ok(run(&state.center, quirks)),
        Handler::Post(run) => parse(operation.wrapper, &headers, &body, quirks)
            .and_then(|body| run(&mut state.center, Call { body, quirks, now })),
        Handler::IssueToken => {
            let body = parse(None, &headers, &body, quirks);
            return token::issue(options, &mut state.tokens, &headers, body, now);
        }
    };
    envelope::respond(operation.style, operation.success, outcome, quirks)
}

/// The token of `Authorization: Bearer <token>`. Everything after the one space is the token, so a second space makes
/// it unknown.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    only(headers, header::AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
}

fn has_app_key(headers: &HeaderMap, rule: AppKey, app_key: &str) -> bool {
    match rule {
        AppKey::Optional if !headers.contains_key("x-app-key") => true,
        AppKey::Optional | AppKey::Mandatory => {
            only(headers, "x-app-key").is_some_and(|sent| token::same(sent, app_key))
        }
    }
}

/// The value of a header that was sent exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The body's JSON object, without its wrapper.
fn parse(wrapper: Option<&str>, headers: &HeaderMap, body: &[u8], quirks: &Quirks) -> Result<Value, Refusal> {
    let content_type = only(headers, header::CONTENT_TYPE.as_str()).ok_or(Refusal::Malformed)?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::Malformed);
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    if !body.is_object() || has_null(&body) {
        return Err(Refusal::Malformed);
    }
    match wrapper {
        Some(wrapper) => unwrap(wrapper, body, quirks),
        None => Ok(body),
    }
}

/// Tables wrap the fields, examples do not (B3.5 to B3.11): both are accepted, unless a quirk requires one.
fn unwrap(wrapper: &str, mut body: Value, quirks: &Quirks) -> Result<Value, Refusal> {
    let is_wrapped = body.as_object().is_some_and(|members| members.len() == 1 && members.contains_key(wrapper));
    let refused = if is_wrapped { Quirk::UnwrappedOnly } else { Quirk::WrappedOnly };
    if quirks.contains(refused) {
        return Err(Refusal::Malformed);
    }
    Ok(if is_wrapped { body[wrapper].take() } else { body })
}

/// No table has `null`: an optional member is absent.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            Tenant,
            testing::{APP_KEY, MANAGEMENT, QUERY_PHONE, REST, TestResponse, TestServer, send},
        },
        *,
    };

    const SYS_INFO: &str = "/apiaccess/CC-Management/v1/querySysInfo";
    const SETTINGS: &str = "/apiaccess/CC-Management/v1/openapp/agentsettings/query";

    fn is_unauthorized(response: &TestResponse) {
        assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{}", response.text);
        assert!(response.text.starts_with("Unauthorized operation. 1. Check whether"));
        assert_eq!(response.content_type, "text/plain;charset=UTF-8");
    }

    #[tokio::test]
    async fn every_operation_needs_a_token() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for operation in operations::all().filter(|row| !matches!(row.handler, Handler::IssueToken)) {
            let url = server.url(&operation.path());
            for token in [None, Some("Bearer 00000000000000000000000000000000")] {
                let mut request = match operation.handler {
                    Handler::Get(_) => server.client.get(&url),
                    _ => server.client.post(&url).header("Content-Type", "application/json").body("{}"),
                };
                if let Some(token) = token {
                    request = request.header("Authorization", token);
                }
                is_unauthorized(&send(request.header("X-APP-Key", APP_KEY)).await);
            }
        }
    }

    #[tokio::test]
    async fn authorization_has_exactly_one_space() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let token = server.request_token(None).await.ok()["AccessToken"].as_str().unwrap().to_owned();
        assert_eq!(server.get_with(SYS_INFO, &token).await.status, StatusCode::OK);
        for wrong in [
            token.clone(),
            format!("Bearer{token}"),
            format!("Bearer  {token}"),
            format!("bearer {token}"),
            format!("Bearer\t{token}"),
            format!("Bearer {token} {token}"),
            format!("Basic {token}"),
            "Bearer ".to_owned(),
        ] {
            let request = server.client.get(server.url(SYS_INFO)).header("Authorization", wrong);
            is_unauthorized(&send(request).await);
        }
        let twice = server.client.get(server.url(SYS_INFO)).header("Authorization", format!("Bearer {token}"));
        is_unauthorized(&send(twice.header("Authorization", format!("Bearer {token}"))).await);
    }

    #[tokio::test]
    async fn an_app_key_must_be_right_and_for_agentsettings_be_there() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let token = server.request_token(None).await.ok()["AccessToken"].as_str().unwrap().to_owned();
        let phones = json!({ "limit": "1", "offset": "0" });
        let user = json!({ "userId": "1" });
        for (path, body, app_key, status) in [
            (QUERY_PHONE, &phones, None, 200),
            (QUERY_PHONE, &phones, Some(APP_KEY), 200),
            (QUERY_PHONE, &phones, Some("wrong"), 401),
            (SETTINGS, &user, None, 401),
            (SETTINGS, &user, Some(APP_KEY), 200),
            (SETTINGS, &user, Some("wrong"), 401),
        ] {
            let mut request = server
                .client
                .post(server.url(path))
                .header("Authorization", format!("Bearer {token}"))
                .header("Content-Type", "application/json")
                .body(body.to_string());
            if let Some(app_key) = app_key {
                request = request.header("x-app-key", app_key);
            }
            assert_eq!(send(request).await.status, status, "{path} {app_key:?}");
        }
    }

    #[tokio::test]
    async fn wrong_paths_and_methods_are_not_found() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let not_found = |response: TestResponse| {
            assert_eq!(response.status, StatusCode::NOT_FOUND, "{}", response.text);
            assert_eq!(response.text, "The requested content is not found. Check the request path.");
        };
        not_found(server.get("/").await);
        not_found(server.get(QUERY_PHONE).await);
        not_found(server.get(&format!("{SYS_INFO}/")).await);
        not_found(server.get("/apiaccess/cc-management/v1/querySysInfo").await);
        not_found(server.post(SYS_INFO, json!({})).await);
        not_found(server.post(&format!("{MANAGEMENT}/mobileAgent/queryPhone"), json!({})).await);
        not_found(server.post("/apiaccess/CC-Mangemant/v1/openapp/agentsettings/query", json!({})).await);
    }

    #[tokio::test]
    async fn a_post_is_a_json_object_of_at_most_1_mib() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let text = |body: &str| server.request(QUERY_PHONE, &json!({})).body(body.to_owned());
        for wrong in ["", "limit=1", "[]", "\"x\"", "{\"limit\":\"1\",\"offset\":null}"] {
            send(text(wrong)).await.is_bad_request();
        }
        let right = json!({ "limit": "1", "offset": "0" });
        let untyped = server.request(QUERY_PHONE, &right).build().unwrap();
        let mut headers = untyped.headers().clone();
        headers.remove("content-type");
        let untyped = server.client.post(server.url(QUERY_PHONE)).headers(headers).body(right.to_string());
        send(untyped).await.is_bad_request();
        let padded = |length: usize| format!("{right}{}", " ".repeat(length - right.to_string().len()));
        assert_eq!(send(text(&padded(1_048_576))).await.status, StatusCode::OK);
        let large = send(text(&padded(1_048_577))).await;
        assert_eq!((large.status, large.content_type.as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "text/html"));
    }

    #[tokio::test]
    async fn no_operation_has_query_parameters() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        server.get(&format!("{SYS_INFO}?limit=1")).await.is_bad_request();
        server.post(&format!("{QUERY_PHONE}?a=b"), json!({ "limit": 1, "offset": 0 })).await.is_bad_request();
    }

    /// A well-formed body for every `POST`; most are business failures.
    fn well_formed() -> Vec<(&'static str, Value)> {
        let weights = json!({ "userAccounts": ["x"], "skillId": 9, "agentWeight": 1, "skillWeight": 1 });
        let create = json!({
            "userAccount": "x", "userName": "x", "password": "x", "email": "x", "agentType": 4, "ccRoleId": 2,
        });
        let release = json!({ "transferType": "Release" });
        let skill = json!({
            "mediaTypeId": 53, "description": "x", "name": "x", "maxWaitTime": 1, "maxWaitNum": 1,
            "maxAgentWrapupTime": 1, "skillParam": { "noAgents": release, "busy": release, "timeOut": release },
        });
        vec![
            ("agentAccount/create", create),
            ("agentAccount/update", json!({ "userAccount": "x" })),
            ("agentAccount/delete", json!({ "userAccount": "x" })),
            ("agentAccount/query", json!({ "userAccount": "x" })),
            ("agentAccount/addSkillsToAgent", weights),
            ("agentAccount/releaseAgentBySkillId", json!({ "skillId": 9, "userAccounts": ["x"] })),
            ("agentAccount/queryAgentInfoBySkillId", json!({ "skillId": 9, "pageSize": 1, "pageNum": 0 })),
            ("skill/createSkill", skill),
            ("skill/modifySkill", json!({ "skillId": 9 })),
            ("skill/deleteSkill", json!({ "skillIds": "1" })),
            ("skill/querySkills", json!({})),
            ("accessCodeInfo/queryAccessCodeList", json!({})),
            ("offline/agent/login", json!({ "phone": "x", "workNo": 9 })),
            ("offline/agent/logout", json!({ "workNo": 9 })),
            ("offline/agent/isOfflineAgent", json!({ "workNo": 9 })),
            ("mobileAgent/queryPhone", json!({ "limit": "1", "offset": "0" })),
            ("openapp/agentsettings/create", json!({ "userId": "x" })),
            ("openapp/agentsettings/update", json!({ "id": "x", "userId": "x" })),
            ("openapp/agentsettings/query", json!({ "userId": "x" })),
        ]
    }

    #[tokio::test]
    async fn unknown_fields_and_nulls_are_bad_requests_everywhere() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let bodies = well_formed();
        let posts = operations::all().filter(|row| matches!(row.handler, Handler::Post(_)));
        assert!(posts.map(|row| row.name).eq(bodies.iter().map(|(name, _)| *name)));
        for (name, body) in bodies {
            let path = operations::all().find(|row| row.name == name).unwrap().path();
            let response = server.post(&path, body.clone()).await;
            assert_eq!(response.status, StatusCode::OK, "{name}: {}", response.text);
            for value in [json!("x"), Value::Null] {
                let mut more = body.clone();
                more["noSuchField"] = value;
                server.post(&path, more).await.is_bad_request();
            }
        }
    }

    #[tokio::test]
    async fn wrapped_bodies_are_accepted_or_refused() {
        let query = format!("{REST}/agentAccount/query");
        let fields = json!({ "pageNum": 0, "pageSize": 1 });
        let wrapped = json!({ "requestParams": fields });
        for (quirks, plain_status, wrapped_status) in
            [("", 200, 200), ("wrapped-only", 400, 200), ("unwrapped-only", 200, 400)]
        {
            let server = TestServer::start(Tenant::Seeded, quirks).await;
            assert_eq!(server.post(&query, fields.clone()).await.status, plain_status, "{quirks}");
            assert_eq!(server.post(&query, wrapped.clone()).await.status, wrapped_status, "{quirks}");
            // The other spelling belongs to other operations, and some operations have no wrapper.
            server.post(&query, json!({ "requestParam": fields })).await.is_bad_request();
            let add = format!("{REST}/agentAccount/addSkillsToAgent");
            let one = json!({ "userAccounts": ["anna.berg"], "skillId": 1, "agentWeight": 1, "skillWeight": 1 });
            server.post(&add, json!({ "requestParam": one })).await.is_bad_request();
            server.post(&add, one).await.ok();
        }
    }
}
