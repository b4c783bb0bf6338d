//! The three envelopes (C10): `{ErrCode, ErrDesc, Result}`, `{ErrCode, ErrDesc, msg_id, results, data}` and `{code,
//! message, results}`. The code overrides the HTTP status (C6).

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ccapi::Style, codes, statuses};
use crate::{
    body::{self, Exact},
    error::ErrorReason::{CenterMisconfigured, VendorAuthFailed, VendorOutcomeUnknown},
    http::{HttpResponse, Operation, ParsedResponse, Refusal},
    vendor::de::Text,
};

/// Which envelope an operation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Udesk 01 to 21, 25, 26: the payload is `Result`.
    Result,
    /// Udesk 22, 23: the payload is the whole response, for `msg_id`, `results` and `data`.
    Message,
    /// Udesk 24: the payload is `results`.
    Results,
}

/// The members of all three.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "ErrCode", default)]
    err_code: Option<Text>,
    #[serde(default)]
    code: Option<Text>,
    #[serde(rename = "ErrDesc", default)]
    err_desc: Text,
    #[serde(default)]
    message: Text,
    #[serde(rename = "Result", borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    results: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Why the outcome of a write is unknown after HTTP 202: "a request has entered the background queue".
const QUEUED: &str = "the vendor queued the request (HTTP 202) and has not reported its outcome";

/// Parses a response.
pub(crate) fn open(operation: &Operation<Style>, response: &HttpResponse) -> ParsedResponse {
    // A callback is asynchronous by itself: its success is that Udesk accepted it.
    let is_queued =
        response.status == StatusCode::ACCEPTED && !operation.repeatable && operation.style.envelope != Kind::Results;
    if response.body.trim_ascii().is_empty() {
        return match operation.method {
            _ if is_queued => ParsedResponse::Unreadable(QUEUED),
            Method::PUT | Method::DELETE if response.status.is_success() => ParsedResponse::Payload(nothing()),
            _ => by_status(response, "the response is empty"),
        };
    }
    // serde would read a list as an object, field by field.
    let object = response.body.trim_ascii_start().starts_with(b"{");
    let Some(envelope) = object.then(|| body::from_json::<Envelope<'_>>(&response.body).ok()).flatten() else {
        return by_status(response, "the response is not the documented JSON");
    };
    let code = envelope.err_code.or(envelope.code).map(Text::into_string).unwrap_or_default();
    match padded(code) {
        code if code.is_empty() => by_status(response, "the response has no return code"),
        code if is_foreign(&code, response.status) => by_status(response, "the return code is not the vendor's"),
        code if code == codes::SUCCESS && !response.status.is_success() => {
            ParsedResponse::Unreadable("the return code says success, the HTTP status says failure")
        }
        code if code == codes::SUCCESS && is_queued => ParsedResponse::Unreadable(QUEUED),
        code if code == codes::SUCCESS => ParsedResponse::Payload(match operation.style.envelope {
            Kind::Result => payload(&response.body, envelope.result.or(envelope.data).or(envelope.results)),
            Kind::Message => response.body.clone(),
            Kind::Results => payload(&response.body, envelope.results.or(envelope.result).or(envelope.data)),
        }),
        code => {
            let text = if envelope.err_desc.is_empty() { envelope.message } else { envelope.err_desc };
            let refusal = codes::refusal(code, text.into_string());
            ParsedResponse::Refused(if response.status.is_server_error() { undetermined(refusal) } else { refusal })
        }
    }
}

/// Whether a code is another server's: under a failure, text or the status itself. Udesk's codes have six digits.
fn is_foreign(code: &str, status: StatusCode) -> bool {
    let is_number = code.bytes().all(|byte| byte.is_ascii_digit());
    !status.is_success() && (!is_number || code.trim_start_matches('0') == status.as_str())
}

fn by_status(response: &HttpResponse, why: &'static str) -> ParsedResponse {
    match statuses::meaning(response.status) {
        Some(meaning) => ParsedResponse::Refused(meaning.refusal(String::new())),
        None => ParsedResponse::Unreadable(why),
    }
}

/// A refusal under HTTP 500: "the user will not be able to determine if the request was successful". Only a refusal of
/// the account comes before anything is done.
fn undetermined(refusal: Refusal) -> Refusal {
    match refusal.write {
        VendorAuthFailed | CenterMisconfigured => refusal,
        _ => Refusal { write: VendorOutcomeUnknown, ..refusal },
    }
}

/// Restores the leading zeros of a numeric code.
fn padded(code: String) -> String {
    let short = !code.is_empty() && code.len() < 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    if short { format!("{code:0>6}") } else { code }
}

fn nothing() -> Bytes {
    Bytes::from_static(b"null")
}

/// The payload, without a copy; JSON text is unwrapped (C38).
fn payload(body: &Bytes, raw: Option<&RawValue>) -> Bytes {
    let Some(raw) = raw else { return nothing() };
    let inner = || serde_json::from_str::<String>(raw.get()).ok().filter(|text| text.starts_with(['{', '[']));
    if raw.get().starts_with('"')
        && let Some(json) = inner()
    {
        // Escapes hid its characters from the repair of the response.
        return body::repair(&json, Exact::Integer64).text.into_owned().into();
    }
    body.slice_ref(raw.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        error::ErrorReason::{self, *},
        vendor::udesk::operations::{CALLBACK, READ, SIGN_IN, WRITE},
    };

    fn operation(method: Method, style: Style) -> Operation<Style> {
        Operation { name: "GET /test/{id}", repeatable: method == Method::GET, is_list: false, method, style }
    }

    fn response(status: u16, body: impl Into<Bytes>) -> HttpResponse {
        HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: body.into() }
    }

    fn read(status: u16, body: &'static str) -> Result<String, (String, ErrorReason)> {
        outcome(open(&operation(Method::GET, READ), &response(status, body)))
    }

    fn outcome(opened: ParsedResponse) -> Result<String, (String, ErrorReason)> {
        match opened {
            ParsedResponse::Payload(payload) => Ok(String::from_utf8(payload.to_vec()).unwrap()),
            ParsedResponse::Refused(refusal) => Err((refusal.code, refusal.read)),
            ParsedResponse::Unreadable(_) => Err((String::new(), VendorResponseInvalid)),
        }
    }

    #[test]
    fn the_code_overrides_the_status() {
        assert_eq!(read(200, r#"{"ErrCode":"000000","ErrDesc":"OK","Result":{"a":1}}"#), Ok(r#"{"a":1}"#.into()));
        assert_eq!(read(200, r#"{"ErrCode":"100018","ErrDesc":"x"}"#), Err(("100018".into(), ResourceNotFound)));
        assert_eq!(read(404, r#"{"ErrCode":"200020"}"#), Err(("200020".into(), VendorAuthFailed)));
        assert_eq!(read(404, r#"{"code":"300000"}"#), Err(("300000".into(), VendorCodeUnmapped)));
        assert_eq!(read(500, r#"{"ErrCode":"000000","Result":{}}"#), Err((String::new(), VendorResponseInvalid)));
    }

    #[test]
    fn a_code_may_be_a_number_and_a_payload_may_be_missing_or_text() {
        assert_eq!(read(200, r#"{"ErrCode":0}"#), Ok("null".into()));
        assert_eq!(read(200, r#"{"ErrCode":36}"#), Err(("000036".into(), VendorRejected)));
        assert_eq!(read(200, r#"{"ErrCode":"000000","Result":null}"#), Ok("null".into()));
        assert_eq!(read(200, r#"{"ErrCode":"000000","Result":"{\"a\":\"\u00e9\"}"}"#), Ok("{\"a\":\"\u{e9}\"}".into()));
        assert_eq!(read(200, r#"{"ErrCode":"000000","Result":"9008"}"#), Ok("\"9008\"".into()));
    }

    #[test]
    fn without_a_code_the_status_decides() {
        for (status, reason) in [
            (200, VendorResponseInvalid),
            (400, VendorRejected),
            (401, VendorAuthFailed),
            (403, VendorAuthFailed),
            (404, CenterMisconfigured),
            (405, CenterMisconfigured),
            (406, VendorRejected),
            (408, VendorUnavailable),
            (409, VendorRejected),
            (410, CenterMisconfigured),
            (422, VendorRejected),
            (429, VendorRateLimited),
            (500, VendorInternal),
            (502, VendorUnavailable),
            (503, VendorUnavailable),
            (504, VendorUnavailable),
            (522, VendorUnavailable),
        ] {
            for body in ["<html>", "", "{}", "[1]", "{\"Result\":1}"] {
                assert_eq!(read(status, body), Err((String::new(), reason)), "{status} {body}");
            }
        }
    }

    #[test]
    fn an_empty_success_is_success_where_the_document_says_no_content() {
        for (method, empty_is_success) in [(Method::PUT, true), (Method::DELETE, true), (Method::POST, false)] {
            let opened = open(&operation(method, WRITE), &response(204, ""));
            assert_eq!(outcome(opened).is_ok(), empty_is_success);
        }
    }

    #[test]
    fn each_envelope_has_its_payload() {
        let message = r#"{"ErrCode":"000000","ErrDesc":"OK","msg_id":"111","results":"","data":null}"#;
        assert_eq!(outcome(open(&operation(Method::POST, SIGN_IN), &response(200, message))), Ok(message.into()));
        let results = r#"{"code":"000000","message":"OK","results":"c9d52506"}"#;
        assert_eq!(
            outcome(open(&operation(Method::POST, CALLBACK), &response(200, results))),
            Ok("\"c9d52506\"".into())
        );
        let refused = r#"{"code":"200022","message":"no route"}"#;
        assert_eq!(
            outcome(open(&operation(Method::POST, CALLBACK), &response(200, refused))),
            Err(("200022".into(), RouteInvalid))
        );
    }

    #[test]
    fn a_payload_under_another_envelopes_name_is_found() {
        assert_eq!(read(200, r#"{"code":"000000","results":null,"data":{"a":1}}"#), Ok(r#"{"a":1}"#.into()));
        let result = r#"{"ErrCode":"000000","Result":"c9d52506"}"#;
        assert_eq!(
            outcome(open(&operation(Method::POST, CALLBACK), &response(200, result))),
            Ok("\"c9d52506\"".into())
        );
    }

    proptest! {
        #[test]
        fn no_body_panics(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(&operation(Method::POST, WRITE), &response(status, body));
        }

        #[test]
        fn no_json_panics(body in "\\{(\"(ErrCode|code|Result|results)\":(\"[0-9a-z{\\[\\\\]{0,8}\"|[0-9]{1,7}|null|\\[\\]|\\{\\}),?){0,4}\\}") {
            let _ = open(&operation(Method::PUT, WRITE), &response(200, body));
        }
    }
}
