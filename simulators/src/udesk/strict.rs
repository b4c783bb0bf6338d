//! The checks by the operation's row: headers, names in the query, the body's fields and their types.

use axum::http::{HeaderMap, HeaderName, header};
use serde_json::{Map, Value};

use super::{
    call::Query,
    codes::{
        Failure, INCORRECT_REQUEST, INVALID_PARAMETER, NOT_ACCEPTABLE, PARAMETER_EMPTY, PARAMETER_ERROR, PARSING_FAILED,
    },
    operation::{ContentType, Field, Kind, Operation},
};

/// Checks that the caller accepts JSON, and that `Content-Type` is what the operation's table requires.
pub(super) fn check_headers(operation: &Operation, headers: &HeaderMap) -> Result<(), Failure> {
    if !accepts_json(headers) {
        return Err(NOT_ACCEPTABLE.because("Accept must allow application/json"));
    }
    let content_type = text_of(headers, &header::CONTENT_TYPE);
    match (operation.content_type, content_type) {
        (ContentType::Unchecked, _) | (ContentType::Any, Some(_)) => Ok(()),
        (ContentType::Json, Some(value)) if is_json(value) => Ok(()),
        (_, None) => Err(INCORRECT_REQUEST.because("Content-Type is missing")),
        (ContentType::Json, Some(_)) => Err(INCORRECT_REQUEST.because("Content-Type must be application/json")),
    }
}

/// Checks that no name is in the query twice.
pub(super) fn check_repeats(query: &Query) -> Result<(), Failure> {
    let mut seen = Vec::new();
    for name in query.names() {
        if seen.contains(&name) {
            return Err(PARAMETER_ERROR.because("a query parameter is repeated"));
        }
        seen.push(name);
    }
    Ok(())
}

/// Checks that the operation's table has every name in the query, and the query every name that the table requires.
pub(super) fn check_parameters(operation: &Operation, query: &Query) -> Result<(), Failure> {
    let known = |name: &str| {
        matches!(name, "Sid" | "Timestamp" | "Sign")
            || name == operation.app_id
            || operation.parameters.iter().any(|parameter| parameter.name == name)
    };
    if !query.names().all(known) {
        return Err(PARAMETER_ERROR.because("unknown query parameter"));
    }
    for parameter in operation.parameters {
        if parameter.required && query.get(parameter.name).is_none() {
            return Err(PARAMETER_EMPTY.because(parameter.name));
        }
    }
    Ok(())
}

/// Reads the body as an object, and checks its fields by the operation's table.
pub(super) fn check_body(operation: &Operation, body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if operation.content_type != ContentType::Json {
        return if body.is_empty() {
            Ok(Map::new())
        } else {
            Err(PARAMETER_ERROR.because("this operation has no body"))
        };
    }
    if body.is_empty() {
        return Err(PARAMETER_EMPTY.because("the body"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => {
            check_object(operation.fields, &object)?;
            Ok(object)
        }
        Ok(_) => Err(PARAMETER_ERROR.because("the body is not an object")),
        // The parser's error quotes the body.
        Err(_) => Err(PARSING_FAILED.because("the body is not JSON")),
    }
}

fn check_object(fields: &'static [Field], object: &Map<String, Value>) -> Result<(), Failure> {
    if !object.keys().all(|name| fields.iter().any(|field| field.name == name)) {
        return Err(PARAMETER_ERROR.because("unknown field"));
    }
    for field in fields {
        match object.get(field.name) {
            None if field.required => return Err(PARAMETER_EMPTY.because(field.name)),
            None => {}
            Some(value) => {
                check_type(field, value)?;
                if field.required && value.as_str().is_some_and(str::is_empty) {
                    return Err(PARAMETER_EMPTY.because(field.name));
                }
            }
        }
    }
    Ok(())
}

fn check_type(field: &Field, value: &Value) -> Result<(), Failure> {
    let fits = match field.kind {
        Kind::Text => value.is_string(),
        Kind::Integer => value.is_i64(),
        Kind::Boolean => value.is_boolean(),
        Kind::Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Kind::Switch => {
            return switch(value).map(|_| ()).ok_or(INVALID_PARAMETER.because(field.name));
        }
        Kind::TextOrArray => value.is_string() || value.is_array(),
        Kind::Objects(fields) => {
            let items = match value {
                Value::Array(items) => items.as_slice(),
                single => std::slice::from_ref(single),
            };
            for item in items {
                let object = item.as_object().ok_or(PARAMETER_ERROR.because(field.name))?;
                check_object(fields, object)?;
            }
            true
        }
    };
    if fits { Ok(()) } else { Err(PARAMETER_ERROR.because(field.name)) }
}

/// Reads a [`Kind::Switch`]: 0 or 1, a boolean, or a boolean as text (C31).
pub(super) fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether `Accept` allows JSON. An absent header allows everything (RFC 9110, 12.5.1).
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|parameter| {
                parameter
                    .split_once('=')
                    .is_some_and(|(name, weight)| name.eq_ignore_ascii_case("q") && weight.parse() == Ok(0.0))
            });
            !refused && matches!(kind.as_str(), "application/json" | "application/*" | "*/*")
        })
}

/// `application/json`, alone or with the character set UTF-8 in any spelling (C9).
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    parts.next().as_deref() == Some("application/json")
        && parts.all(|parameter| {
            parameter
                .split_once('=')
                .is_some_and(|(name, value)| name == "charset" && matches!(value.trim_matches('"'), "utf-8" | "utf8"))
        })
}

fn text_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;
    use crate::udesk::{
        operations::OPERATIONS,
        testing::{TestServer, prepare},
    };

    /// A value of the field's type.
    fn sample(field: &Field) -> Value {
        match field.kind {
            Kind::Text => json!("1001"),
            Kind::Integer | Kind::Switch => json!(1),
            Kind::Boolean => json!(true),
            Kind::Texts => json!(["1001"]),
            Kind::TextOrArray => json!("[]"),
            Kind::Objects(fields) => json!([full(fields)]),
        }
    }

    fn full(fields: &[Field]) -> Value {
        fields.iter().map(|field| (field.name.to_owned(), sample(field))).collect()
    }

    fn check(operation: &Operation, body: &Value) -> Result<Map<String, Value>, Failure> {
        check_body(operation, body.to_string().as_bytes())
    }

    fn with_bodies() -> impl Iterator<Item = &'static Operation> {
        OPERATIONS.iter().filter(|operation| operation.content_type == ContentType::Json)
    }

    #[test]
    fn every_field_has_its_type_and_only_that() {
        for operation in with_bodies() {
            assert!(check(operation, &full(operation.fields)).is_ok(), "{:02}", operation.number);
            for field in operation.fields {
                let wrong = match field.kind {
                    Kind::Text | Kind::TextOrArray => [json!(1001), json!(null), json!({})],
                    Kind::Integer => [json!("1"), json!(1.5), json!(null)],
                    Kind::Boolean => [json!("true"), json!(1), json!(null)],
                    Kind::Texts => [json!("1001"), json!([1001]), json!(null)],
                    Kind::Switch => [json!(2), json!("1"), json!(null)],
                    Kind::Objects(_) => [json!("1"), json!([1]), json!(null)],
                };
                for value in wrong {
                    let mut body = full(operation.fields);
                    body[field.name] = value;
                    let code = if matches!(field.kind, Kind::Switch) { INVALID_PARAMETER } else { PARAMETER_ERROR };
                    let refused = Err(code.because(field.name));
                    assert_eq!(check(operation, &body), refused, "{:02} {body}", operation.number);
                }
            }
        }
    }

    #[test]
    fn every_required_field_must_be_there() {
        for operation in with_bodies() {
            for field in operation.fields {
                let mut body = full(operation.fields);
                body.as_object_mut().expect("a body is an object").remove(field.name);
                let expected = if field.required { Err(PARAMETER_EMPTY.because(field.name)) } else { Ok(()) };
                assert_eq!(check(operation, &body).map(drop), expected, "{:02} {}", operation.number, field.name);
            }
        }
    }

    #[test]
    fn no_operation_accepts_an_unknown_field_or_no_object() {
        for operation in with_bodies() {
            let mut body = full(operation.fields);
            body["More"] = json!(1);
            assert_eq!(check(operation, &body), Err(PARAMETER_ERROR.because("unknown field")));
            assert_eq!(check(operation, &json!([])), Err(PARAMETER_ERROR.because("the body is not an object")));
            assert_eq!(check_body(operation, b"{"), Err(PARSING_FAILED.because("the body is not JSON")));
            assert_eq!(check_body(operation, b""), Err(PARAMETER_EMPTY.because("the body")));
        }
    }

    #[tokio::test]
    async fn headers_are_those_of_the_operations_page() {
        let server = TestServer::start().await;
        let body = json!({ "DefSpNumber": "01055500100" });
        let without = |number: u8, body: Value| {
            let mut prepared = prepare(number, "101", body);
            prepared.headers.retain(|(name, _)| *name != "content-type");
            prepared
        };
        let rows = [
            (without(1, Value::Null), "000000"),
            (without(2, body.clone()), "000036"),
            (prepare(2, "", body.clone()).header("content-type", "application/json"), "000000"),
            (prepare(2, "", body.clone()).header("content-type", "text/plain"), "000036"),
            (without(20, Value::Null), "000036"),
            (prepare(3, "", Value::Null).header("content-type", "application/json"), "000000"),
            (prepare(20, "101", Value::Null).header("content-type", "application/json"), "000000"),
            (prepare(1, "", Value::Null).header("accept", "text/html"), "000036"),
        ];
        for (prepared, code) in rows {
            let asked = format!("{} {} {:?}", prepared.method, prepared.path, prepared.headers);
            assert_eq!(server.send(prepared).await.code(), code, "{asked}");
        }
    }

    #[tokio::test]
    async fn an_operation_without_a_body_accepts_none() {
        let server = TestServer::start().await;
        assert_eq!(server.refused(3, "", json!({})).await, "200002");
        assert_eq!(server.refused(20, "101", json!({})).await, "200002");
    }

    #[tokio::test]
    async fn an_unknown_query_parameter_is_an_error() {
        let server = TestServer::start().await;
        for (number, name) in [(1, "PageSize"), (26, "Role"), (6, "role"), (24, "MsgId")] {
            let response = server.send(prepare(number, "9001", Value::Null).set(name, "1")).await;
            assert_eq!(response.code(), "200002", "{number:02} {name}");
        }
    }

    #[test]
    fn the_character_set_may_be_spelled_in_any_way() {
        for accepted in [
            "application/json",
            "application/json;charset=utf-8",
            "Application/JSON; Charset=UTF-8",
            "application/json;charset=\"utf8\"",
        ] {
            assert!(is_json(accepted), "{accepted}");
        }
        for refused in ["text/json", "application/json;charset=gbk", "application/json;version=1", ""] {
            assert!(!is_json(refused), "{refused}");
        }
    }

    #[test]
    fn accept_must_leave_room_for_json() {
        let rows = [
            ("application/json", true),
            ("*/*", true),
            ("text/html, application/*;q=0.5", true),
            ("text/html", false),
            ("application/json;q=0", false),
        ];
        assert!(accepts_json(&HeaderMap::new()));
        for (value, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            assert_eq!(accepts_json(&headers), expected, "{value}");
        }
    }
}
