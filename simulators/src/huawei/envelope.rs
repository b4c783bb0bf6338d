//! The form of a response: the return codes of each family (B2), and the sentences and pages of earlier failures.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::quirks::{Quirk, Quirks};

/// The members of a successful response, without return code and text.
pub(super) type Payload = Map<String, Value>;

/// The outcome of an operation.
pub(super) type Outcome = Result<Payload, Refusal>;

/// Builds a [`Payload`].
macro_rules! payload {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::huawei::envelope::Payload::from_iter([$(($name.to_owned(), serde_json::json!($value))),*])
    };
}
pub(super) use payload;

/// Why an operation did nothing. It holds no value of the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The body does not match the table: HTTP 400.
    Malformed,
    /// The resource does not exist, and the table has HTTP 404 for that (B3.15).
    Missing,
    /// A business failure: the family's return code and text.
    Business {
        /// The return code.
        code: &'static str,
        /// The text beside it.
        text: &'static str,
    },
}

/// A family's names for return code and text; success is always "0" (B2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// No return code: querySysInfo, queryAgentInfo, tokenByAkSk.
    Bare,
    /// mobileAgent.
    Ret,
    /// openapp/agentsettings.
    ReturnDesc,
    /// agentAccount.
    Result,
    /// skill, accessCodeInfo, offline/agent.
    ReturnDescription,
}

// === impl Refusal ===

impl Refusal {
    /// A business failure with the usual code.
    pub(super) const fn because(text: &'static str) -> Refusal {
        Refusal::Business { code: "1", text }
    }
}

// === impl Style ===

impl Style {
    /// The names of the members that hold return code and text.
    const fn names(self) -> Option<(&'static str, &'static str)> {
        match self {
            Style::Bare => None,
            Style::Ret => Some(("retCode", "retMsg")),
            Style::ReturnDesc => Some(("returnCode", "returnDesc")),
            Style::Result => Some(("resultCode", "resultMessage")),
            Style::ReturnDescription => Some(("returnCode", "description")),
        }
    }

    fn wrap(self, code: &str, text: &str, mut payload: Payload) -> Value {
        if let Some((code_name, text_name)) = self.names() {
            payload.insert(code_name.to_owned(), code.into());
            payload.insert(text_name.to_owned(), text.into());
        }
        Value::Object(payload)
    }
}

/// The HTTP response of an outcome; `success` is the text beside return code "0".
pub(super) fn respond(style: Style, success: &str, outcome: Outcome, quirks: &Quirks) -> Response {
    let (status, mut body) = match outcome {
        Ok(payload) => (StatusCode::OK, style.wrap("0", success, payload)),
        Err(Refusal::Malformed) => return bad_request(),
        Err(Refusal::Missing) => return not_found(),
        Err(Refusal::Business { code, text }) => {
            let failed = quirks.contains(Quirk::FailuresAs500);
            let status = if failed { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
            (status, style.wrap(code, text, Payload::new()))
        }
    };
    quirks.distort(&mut body);
    json(status, &body)
}

/// A JSON response with the content type of document 002.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    response(status, "application/json;charset=UTF-8", body.to_string())
}

/// HTTP 400 in the documents' words.
pub(super) fn bad_request() -> Response {
    sentence(StatusCode::BAD_REQUEST, "Incorrect request. Check the request path and parameters.")
}

/// HTTP 401 in the documents' words.
pub(super) fn unauthorized() -> Response {
    sentence(
        StatusCode::UNAUTHORIZED,
        "Unauthorized operation. 1. Check whether you have purchased related services. 2. Contact customer service to \
         check the status of your account.",
    )
}

/// HTTP 404 in the documents' words.
pub(super) fn not_found() -> Response {
    sentence(StatusCode::NOT_FOUND, "The requested content is not found. Check the request path.")
}

/// A failure of the proxy in front of API Fabric, as a page of HTML.
pub(super) fn page(status: StatusCode) -> Response {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n\
         </html>\r\n"
    );
    response(status, "text/html", page)
}

fn sentence(status: StatusCode, words: &'static str) -> Response {
    response(status, "text/plain;charset=UTF-8", words.to_owned())
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{
        Tenant,
        testing::{MANAGEMENT, REST, TestServer, code},
    };

    #[tokio::test]
    async fn business_failures_may_be_500_with_the_same_body() {
        let query = format!("{REST}/agentAccount/delete");
        let unknown = json!({ "userAccount": "nobody.here" });
        let as_200 = TestServer::start(Tenant::Seeded, "").await.post(&query, unknown.clone()).await;
        let as_500 = TestServer::start(Tenant::Seeded, "failures-as-500").await.post(&query, unknown).await;
        assert_eq!((as_200.status.as_u16(), as_500.status.as_u16()), (200, 500));
        assert_eq!(code(&as_200.json()), "1");
        assert_eq!(as_200.json(), as_500.json());
    }

    #[tokio::test]
    async fn each_family_names_its_code_and_text() {
        let server = TestServer::start(Tenant::Empty, "").await;
        let accounts = server.rest("agentAccount/delete", json!({ "userAccount": "nobody" })).await;
        let text = "userAccount does not exist";
        assert_eq!(accounts, json!({ "resultCode": "1", "resultMessage": text }));
        let skills = server.rest("skill/modifySkill", json!({ "skillId": 1 })).await;
        let text = "The skill queue does not exist";
        assert_eq!(skills, json!({ "returnCode": "1", "description": text }));
        let update = json!({ "id": "1", "userId": "1" });
        let settings = server.post(&format!("{MANAGEMENT}/openapp/agentsettings/update"), update).await;
        let text = "The agent settings do not exist";
        assert_eq!(settings.ok(), json!({ "returnCode": "1", "returnDesc": text }));
        let bare = server.get(&format!("{MANAGEMENT}/queryAgentInfo")).await.ok();
        let address = json!({ "sipServiceIp": "203.0.113.10", "sipServicePort": 5060, "agents": [] });
        assert_eq!(bare, address);
    }
}
