//! Unreadable responses, made from readable ones.
//!
//! A top-level text of digits is the return code and stays as it is: a corrupt response that claims success is the
//! harder one for a client.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::gzip_bomb;

/// Largest response of a simulator, in bytes. Responses are built in memory.
pub(super) const MAX_RESPONSE: usize = 64 << 20;

/// Nesting of `deep`.
const DEPTH: usize = 10_000;
/// Padding of `huge`: bytes of a piece, and pieces.
const PIECE: usize = 64 << 10;
const PIECES: usize = 1024;

const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Welcome</title></head>\n<body><h1>Please sign in</h1></body></html>\n";

/// How a response is corrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Garbage {
    /// HTTP 200 with a page of HTML.
    Html,
    /// The first half of the body, with the `Content-Length` of that half.
    Truncated,
    /// Bytes that are not UTF-8 in the first text.
    NotUtf8,
    /// Arrays nested 10,000 deep, in every member but the return code.
    Deep,
    /// Every member twice, with another value the second time.
    DuplicateKeys,
    /// An object in place of a text, number or boolean, at every depth.
    WrongTypes,
    /// 64 MiB of spaces inside the JSON, without a `Content-Length`.
    Huge,
    /// A few hundred KiB of gzip that unpack to 32 MiB of JSON, sent without the client asking for gzip.
    Gzip,
}

// === impl Garbage ===

impl Garbage {
    pub(super) const NAMES: [(&'static str, Self); 8] = [
        ("html", Self::Html),
        ("truncated", Self::Truncated),
        ("not-utf8", Self::NotUtf8),
        ("deep", Self::Deep),
        ("duplicate-keys", Self::DuplicateKeys),
        ("wrong-types", Self::WrongTypes),
        ("huge", Self::Huge),
        ("gzip", Self::Gzip),
    ];

    pub(super) async fn corrupt(self, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        let body = to_bytes(body, MAX_RESPONSE).await.unwrap_or_default();
        parts.headers.remove(header::CONTENT_LENGTH);
        // HTTP 204 has no body to corrupt.
        if parts.status == StatusCode::NO_CONTENT {
            parts.status = StatusCode::OK;
        }
        let body = match self {
            Self::Html => return (HeaderMap::from_iter([html()]), PAGE).into_response(),
            Self::Truncated => Body::from(body.slice(..body.len() / 2)),
            Self::NotUtf8 => Body::from(not_utf8(&body)),
            Self::Deep => Body::from(deep(&body)),
            Self::DuplicateKeys => Body::from(duplicate_keys(&body)),
            Self::WrongTypes => Body::from(wrong_types(&body)),
            Self::Huge => huge(&body),
            Self::Gzip => {
                parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                Body::from(gzip_bomb::pack(members(&body)))
            }
        };
        Response::from_parts(parts, body)
    }
}

fn html() -> (header::HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
}

fn not_utf8(body: &[u8]) -> Vec<u8> {
    let start = body.windows(2).position(|pair| pair == b":\"").map_or(0, |colon| colon + 2);
    [&body[..start], b"\xff\xfe", &body[start..]].concat()
}

fn deep(body: &[u8]) -> String {
    let nested = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let Some(object) = object(body) else {
        return nested;
    };
    let members = object.iter().map(|(name, value)| {
        let value = if is_return_code(value) { value.to_string() } else { nested.clone() };
        format!("{}:{value}", json!(name))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn duplicate_keys(body: &[u8]) -> String {
    let object = object(body).unwrap_or_else(|| Map::from_iter([("message".to_owned(), json!("first"))]));
    let once = object.iter().map(|(name, value)| format!("{}:{value}", json!(name)));
    let again = object.keys().map(|name| format!("{}:\"second\"", json!(name)));
    format!("{{{}}}", once.chain(again).collect::<Vec<_>>().join(","))
}

fn wrong_types(body: &[u8]) -> String {
    let Some(mut object) = object(body) else {
        return "[]".to_owned();
    };
    object.values_mut().filter(|value| !is_return_code(value)).for_each(retype);
    Value::Object(object).to_string()
}

fn retype(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(retype),
        Value::Object(members) => members.values_mut().for_each(retype),
        leaf => *leaf = json!({ "unexpected": [true] }),
    }
}

fn huge(body: &Bytes) -> Body {
    let rest = members(body).to_vec();
    let padding = Bytes::from(vec![b' '; PIECE]);
    let pieces = std::iter::once(Bytes::from_static(b"{"))
        .chain(std::iter::repeat_n(padding, PIECES))
        .chain(std::iter::once(Bytes::from(rest)));
    Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
}

/// A JSON object without its first brace.
fn members(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"{").unwrap_or(b"}")
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

fn is_return_code(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::error::Category;

    use super::{
        super::testing::{RESPONSE, TestServer},
        *,
    };

    async fn corrupted(kind: &str) -> (HeaderMap, Vec<u8>) {
        let server = TestServer::with(json!({ "operation": "*", "garbage": kind })).await;
        let (status, headers, body) = server.get().await;
        assert_eq!((status, server.done()), (200, 1), "{kind}: the operation ran");
        (headers, body)
    }

    fn parse(body: &[u8]) -> Result<Value, Category> {
        serde_json::from_slice(body).map_err(|error| error.classify())
    }

    #[tokio::test]
    async fn a_page_is_no_json() {
        let (headers, body) = corrupted("html").await;
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert!(body.starts_with(b"<!DOCTYPE html>"));
    }

    #[tokio::test]
    async fn half_a_body_is_a_whole_response() {
        let (headers, body) = corrupted("truncated").await;
        assert_eq!(headers["content-length"], (RESPONSE.len() / 2).to_string().as_str());
        assert_eq!(parse(&body), Err(Category::Eof));
    }

    #[tokio::test]
    async fn a_text_is_no_utf8() {
        let (_, body) = corrupted("not-utf8").await;
        assert!(body.starts_with(b"{\"code\":\"\xff\xfe000000\""));
        assert_eq!(parse(&body), Err(Category::Syntax));
    }

    #[tokio::test]
    async fn nesting_is_deep_beside_a_code_that_claims_success() {
        let (_, body) = corrupted("deep").await;
        assert!(body.starts_with(b"{\"code\":\"000000\",\"message\":[[["));
        assert_eq!(parse(&body), Err(Category::Syntax));
        assert_eq!(String::from_utf8(body).unwrap().matches('[').count(), 2 * DEPTH);
    }

    #[tokio::test]
    async fn every_key_is_there_twice() {
        let (_, body) = corrupted("duplicate-keys").await;
        let text = String::from_utf8(body).unwrap();
        for key in ["code", "message", "results"] {
            assert_eq!(text.matches(&format!("\"{key}\":")).count(), 2, "{text}");
        }
        assert_eq!(parse(text.as_bytes()).unwrap()["code"], "second");
    }

    #[tokio::test]
    async fn types_are_wrong_but_the_codes() {
        let (_, body) = corrupted("wrong-types").await;
        let wrong = json!({ "unexpected": [true] });
        let expected = json!({
            "code": "000000", "message": wrong, "results": { "name": wrong, "list": [{ "n": wrong }] },
        });
        assert_eq!(parse(&body), Ok(expected));
    }

    #[tokio::test]
    async fn a_huge_body_has_no_length_and_is_json() {
        let (headers, body) = corrupted("huge").await;
        assert!(!headers.contains_key("content-length"));
        assert_eq!(body.len(), PIECE * PIECES + RESPONSE.len());
        assert_eq!(parse(&body), parse(RESPONSE.as_bytes()));
    }

    #[tokio::test]
    async fn gzip_comes_unasked() {
        let (headers, body) = corrupted("gzip").await;
        assert_eq!((&headers["content-encoding"], &body[..2]), (&"gzip".parse().unwrap(), &[0x1f, 0x8b][..]));
    }

    #[tokio::test]
    async fn what_was_no_json_object_is_corrupted_all_the_same() {
        for (kind, body) in
            [(Garbage::DuplicateKeys, r#"{"message":"first","message":"second"}"#), (Garbage::WrongTypes, "[]")]
        {
            let mut empty = Response::default();
            *empty.status_mut() = StatusCode::NO_CONTENT;
            let corrupted = kind.corrupt(empty).await;
            assert_eq!(corrupted.status(), StatusCode::OK);
            assert_eq!(to_bytes(corrupted.into_body(), 100).await.unwrap(), body);
        }
    }
}
