//! The requests that a simulator received.

use std::{collections::VecDeque, fmt};

use http::request::Parts;
use serde_json::{Map, Value};

/// Most requests kept.
const MAX_REQUESTS: usize = 1_000;
/// Most bytes of bodies kept, over all requests.
const MAX_BYTES: usize = 16 << 20;

/// A request as it was received, with its secrets. `Debug` shows names and lengths, never a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query's names and values, decoded, in the order sent.
    pub query: Vec<(String, String)>,
    /// The headers in the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

/// The newest requests, in the order received.
#[derive(Default)]
pub(crate) struct Journal {
    requests: VecDeque<Request>,
    bytes: usize,
}

/// What a vendor keeps secret in its requests, and how the simulator's own routes show it.
pub(crate) struct Redaction {
    /// Stands in place of a secret.
    pub(crate) marker: &'static str,
    /// Names of query parameters.
    pub(crate) parameters: &'static [&'static str],
    /// Names of headers, in lower case.
    pub(crate) headers: &'static [&'static str],
    /// Names of members of a JSON body, at every depth.
    pub(crate) members: &'static [&'static str],
}

// === impl Request ===

impl Request {
    /// A request with this body, which is empty if it could not be read.
    pub(crate) fn new(parts: &Parts, body: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
            body: text(body),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, query, headers, body } = self;
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Request")
            .field("method", method)
            .field("path", path)
            .field("query", &names(query))
            .field("headers", &names(headers))
            .field("body", &format_args!("{} bytes", body.len()))
            .finish()
    }
}

// === impl Journal ===

impl Journal {
    /// Keeps a request, and discards the oldest ones if there is no room.
    pub(crate) fn record(&mut self, request: Request) {
        self.bytes += request.body.len();
        self.requests.push_back(request);
        while self.requests.len() > MAX_REQUESTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.requests.pop_front() else {
                break;
            };
            self.bytes -= oldest.body.len();
        }
    }

    /// The requests kept, oldest first.
    pub(crate) fn requests(&self) -> impl ExactSizeIterator<Item = &Request> {
        self.requests.iter()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

// === impl Redaction ===

impl Redaction {
    /// The query's names and values, without secrets.
    pub(crate) fn query<'r>(&'r self, request: &'r Request) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.pairs(&request.query, self.parameters)
    }

    /// The headers' names and values, without secrets.
    pub(crate) fn headers<'r>(&'r self, request: &'r Request) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.pairs(&request.headers, self.headers)
    }

    /// The body without secrets, null if it is empty; `None` if it is not JSON, where secrets cannot be found.
    pub(crate) fn body(&self, request: &Request) -> Option<Value> {
        if request.body.is_empty() {
            return Some(Value::Null);
        }
        let mut body = serde_json::from_str(&request.body).ok()?;
        self.redact(&mut body);
        Some(body)
    }

    fn pairs<'r>(
        &'r self,
        pairs: &'r [(String, String)],
        secrets: &'r [&str],
    ) -> impl Iterator<Item = (&'r str, &'r str)> {
        pairs.iter().map(|(name, value)| {
            let value = if secrets.contains(&name.as_str()) { self.marker } else { value };
            (name.as_str(), value)
        })
    }

    fn redact(&self, value: &mut Value) {
        match value {
            Value::Object(members) => self.redact_members(members),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn redact_members(&self, members: &mut Map<String, Value>) {
        for (name, member) in members {
            if self.members.contains(&name.as_str()) {
                *member = self.marker.into();
            } else {
                self.redact(member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REDACTION: Redaction = Redaction {
        marker: "[removed]",
        parameters: &["password"],
        headers: &["authorization", "x-app-key"],
        members: &["oldPassWord", "password"],
    };

    fn request(body: &str) -> Request {
        let (parts, ()) = http::Request::post("/apiaccess/x?password=hidden&a=b%20c")
            .header("Authorization", "Bearer hidden")
            .header("X-APP-Key", "hidden")
            .header("Content-Type", "application/json")
            .body(())
            .unwrap()
            .into_parts();
        Request::new(&parts, body.as_bytes())
    }

    #[test]
    fn debug_output_holds_no_values() {
        let shown = format!("{:?}", request(r#"{"app_secret":"hidden"}"#));
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.contains("23 bytes") && shown.contains("authorization"), "{shown}");
    }

    #[test]
    fn secrets_are_redacted_by_their_names_and_at_every_depth() {
        let request = request(r#"{"a":{"b":[{"password":"hidden"}],"oldPassWord":{"c":"hidden"}},"d":"shown"}"#);
        let query: Vec<_> = REDACTION.query(&request).collect();
        assert_eq!(query, [("password", "[removed]"), ("a", "b c")]);
        let headers: Vec<_> = REDACTION.headers(&request).collect();
        let expected =
            [("authorization", "[removed]"), ("x-app-key", "[removed]"), ("content-type", "application/json")];
        assert_eq!(headers, expected);
        let body = json!({ "a": { "b": [{ "password": "[removed]" }], "oldPassWord": "[removed]" }, "d": "shown" });
        assert_eq!(REDACTION.body(&request), Some(body));
    }

    #[test]
    fn a_body_is_null_if_empty_and_withheld_if_not_json() {
        assert_eq!(REDACTION.body(&request("")), Some(Value::Null));
        assert_eq!(REDACTION.body(&request("password=hidden")), None);
    }

    #[test]
    fn the_oldest_requests_make_room() {
        let mut journal = Journal::default();
        for index in 0..=MAX_REQUESTS {
            journal.record(request(&index.to_string()));
        }
        assert_eq!(journal.requests().count(), MAX_REQUESTS);
        assert_eq!(journal.requests().next().unwrap().body, "1");
        for _ in 0..17 {
            journal.record(request(&" ".repeat(1 << 20)));
        }
        assert_eq!(journal.requests().count(), 16);
        journal.clear();
        journal.record(request("last"));
        assert_eq!(journal.requests().count(), 1);
    }
}
