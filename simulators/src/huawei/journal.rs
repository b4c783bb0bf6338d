//! What was received: the requests, and how often each operation was called.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use http::request::Parts;
use serde_json::{Map, Value, json};

use super::operations::Operation;

/// So many requests are kept.
const KEPT_REQUESTS: usize = 1_000;
/// So many bytes of bodies are kept together.
const KEPT_BYTES: usize = 16 << 20;

const REMOVED: &str = "[removed]";
/// The members of request bodies that are secrets.
const SECRET_MEMBERS: [&str; 4] = ["app_secret", "newPassWord", "oldPassWord", "password"];
/// The headers that are secrets or part of the credentials.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-app-key"];

/// A request as it was received, with its secrets. Its `Debug` output holds none: no header values, no query values,
/// no body.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query's parameters, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body; bytes that are no UTF-8 are replaced.
    pub body: String,
}

/// The requests received, and the counts by operation.
#[derive(Default)]
pub(super) struct Journal {
    requests: VecDeque<Request>,
    bytes: usize,
    calls: BTreeMap<&'static str, u64>,
}

// === impl Request ===

impl Request {
    pub(super) fn new(parts: &Parts, body: &[u8]) -> Request {
        let query = parts.uri.query().unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Request {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
            body: text(body),
        }
    }

    /// The request as JSON, with the secrets removed.
    pub(super) fn without_secrets(&self) -> Value {
        let hide = |secret: bool, value: &str| {
            if secret { REMOVED.to_owned() } else { value.to_owned() }
        };
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), hide(SECRET_HEADERS.contains(&name.as_str()), value).into()))
            .collect();
        let query: Map<String, Value> = self
            .query
            .iter()
            .map(|(name, value)| (name.clone(), hide(SECRET_MEMBERS.contains(&name.as_str()), value).into()))
            .collect();
        // A body that cannot be read cannot be cleaned either.
        let body = match serde_json::from_str(&self.body) {
            _ if self.body.is_empty() => Value::Null,
            Ok(mut body) => {
                remove_secrets(&mut body);
                body
            }
            Err(_) => REMOVED.into(),
        };
        json!({ "method": self.method, "path": self.path, "query": query, "headers": headers, "body": body })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &names(&self.query))
            .field("headers", &names(&self.headers))
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

// === impl Journal ===

impl Journal {
    /// Keeps a request, and counts it for its operation, if it is one's.
    pub(super) fn record(&mut self, request: Request, operation: Option<&Operation>) {
        if let Some(operation) = operation {
            *self.calls.entry(operation.name).or_default() += 1;
        }
        self.bytes += request.body.len();
        self.requests.push_back(request);
        while self.requests.len() > KEPT_REQUESTS || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.requests.pop_front() else {
                break;
            };
            self.bytes -= oldest.body.len();
        }
    }

    /// The requests kept, oldest first.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter()
    }

    /// How often each operation was called, also when it refused.
    pub(super) fn calls(&self) -> &BTreeMap<&'static str, u64> {
        &self.calls
    }

    pub(super) fn forget_requests(&mut self) {
        self.requests.clear();
        self.bytes = 0;
    }
}

fn remove_secrets(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if SECRET_MEMBERS.contains(&name.as_str()) {
                    *member = REMOVED.into();
                } else {
                    remove_secrets(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove_secrets),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn secrets_are_removed_at_every_depth() {
        let body = r#"{"requestParam":{"userAccount":"anna.berg","skills":[{"password":"hidden"}],
            "oldPassWord":"hidden"}}"#;
        let shown = request(body).without_secrets();
        assert!(!shown.to_string().contains("hidden"), "{shown}");
        assert_eq!(shown["query"], json!({ "a": "b c", "password": "[removed]" }));
        assert_eq!(shown["headers"]["content-type"], "application/json");
        assert_eq!(shown["body"]["requestParam"]["userAccount"], "anna.berg");
        assert_eq!(request("app_secret=hidden").without_secrets()["body"], "[removed]");
        assert_eq!(request("").without_secrets()["body"], Value::Null);
    }

    #[test]
    fn the_oldest_requests_make_room() {
        let mut journal = Journal::default();
        for index in 0..=KEPT_REQUESTS {
            journal.record(request(&index.to_string()), None);
        }
        assert_eq!(journal.requests().count(), KEPT_REQUESTS);
        assert_eq!(journal.requests().next().unwrap().body, "1");
        for _ in 0..17 {
            journal.record(request(&" ".repeat(1 << 20)), None);
        }
        assert_eq!(journal.requests().count(), 16);
        journal.forget_requests();
        journal.record(request("last"), None);
        assert_eq!(journal.requests().count(), 1);
    }
}
