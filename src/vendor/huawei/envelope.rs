//! Response envelopes: every family of interfaces has its own (section B2). One constant here is one family.

use std::{collections::HashMap, fmt};

use bytes::Bytes;
use http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{api_fabric::Style, codes, statuses};
use crate::{
    body,
    error::ErrorReason::{self, VendorInternal, VendorOutcomeUnknown},
    http::{HttpResponse, Operation, ParsedResponse, Refusal},
    vendor::de::Text,
};

/// Where a family's responses have their return code and payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope {
    /// The member of the code; `None` where responses have no code.
    code: Option<&'static str>,
    /// The member of the text beside the code.
    text: &'static str,
    /// The member of the payload; `None` where the whole response is the payload.
    payload: Option<&'static str>,
    /// The meaning of a code other than "0", by code and text.
    meaning: fn(&str, &str) -> ErrorReason,
}

/// The members of a response; `None` is a member that occurs twice and is ambiguous.
struct Members<'a>(HashMap<String, Option<&'a RawValue>>);

/// querySysInfo, queryAgentInfo: a bare object.
pub(crate) const BARE: Envelope = Envelope { code: None, text: "", payload: None, meaning: codes::unmapped };

/// mobileAgent/*: `retCode`, `retMsg`, `result`.
pub(crate) const MOBILE_AGENT: Envelope =
    Envelope { code: Some("retCode"), text: "retMsg", payload: Some("result"), meaning: codes::mobile_agent };

/// openapp/agentsettings/*: `returnCode`, `returnDesc`, and the payload beside them.
pub(crate) const AGENT_SETTINGS: Envelope =
    Envelope { code: Some("returnCode"), text: "returnDesc", payload: None, meaning: codes::agent_settings };

/// agentAccount/*: `resultCode`, `resultMessage`, and the payload beside them.
pub(crate) const AGENT_ACCOUNT: Envelope =
    Envelope { code: Some("resultCode"), text: "resultMessage", payload: None, meaning: codes::rejected };

/// skill/*, accessCodeInfo/*, offline/*: `returnCode`, `description`, and the payload beside them.
pub(crate) const DESCRIBED: Envelope =
    Envelope { code: Some("returnCode"), text: "description", payload: None, meaning: codes::rejected };

// === impl Envelope ===

impl Envelope {
    /// Parses a response. The code decides under 200 and 500, and the HTTP status otherwise.
    pub(crate) fn open(&self, operation: &Operation<Style>, response: &HttpResponse) -> ParsedResponse {
        let by_status = |why| by_status(&operation.style, response, why);
        if !response.status.is_success() && response.status != StatusCode::INTERNAL_SERVER_ERROR {
            return by_status("the HTTP status is not documented");
        }
        let Ok(members) = body::from_json::<Members<'_>>(&response.body) else {
            return by_status("the response is not the documented JSON");
        };
        if [self.code, self.payload].into_iter().flatten().any(|member| members.is_ambiguous(member)) {
            return by_status("the response contains a member twice");
        }
        let Some(code) = self.code else {
            return if response.status.is_success() {
                ParsedResponse::Payload(response.body.clone())
            } else {
                by_status("the HTTP status says failure")
            };
        };
        match members.text(code).as_str() {
            "" => by_status("the response has no return code"),
            "0" if !response.status.is_success() => {
                ParsedResponse::Unreadable("the return code says success, the HTTP status says failure")
            }
            "0" => ParsedResponse::Payload(match self.payload {
                Some(field) => members
                    .get(field)
                    .map_or(Bytes::from_static(b"null"), |raw| response.body.slice_ref(raw.get().as_bytes())),
                None => response.body.clone(),
            }),
            code => {
                let message = members.text(self.text);
                let read = (self.meaning)(code, &message);
                let write = if read == VendorInternal { VendorOutcomeUnknown } else { read };
                ParsedResponse::Refused(Refusal { code: code.to_owned(), message, read, write, status: None })
            }
        }
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().flatten()
    }

    fn is_ambiguous(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(Option::is_none)
    }

    /// A member as text: codes are text in one family and numbers in another.
    fn text(&self, name: &str) -> String {
        let text = self.get(name).and_then(|raw| serde_json::from_str::<Text>(raw.get()).ok());
        text.unwrap_or_default().into_string()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = HashMap<String, Option<&'de RawValue>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut members = HashMap::new();
                while let Some((name, value)) = entries.next_entry::<String, &RawValue>()? {
                    members.entry(name).and_modify(|known| *known = None).or_insert(Some(value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

fn by_status(style: &Style, response: &HttpResponse, why: &'static str) -> ParsedResponse {
    let text = sentence(response);
    match statuses::meaning(response.status, style, &text) {
        Some(meaning) => ParsedResponse::Refused(meaning.refusal(text)),
        None => ParsedResponse::Unreadable(why),
    }
}

/// A failure without a code is one sentence of plain text (B2) or the documented member `schema`; anything else is not
/// shown.
fn sentence(response: &HttpResponse) -> String {
    let body = std::str::from_utf8(&response.body).unwrap_or_default().trim();
    if body.starts_with('{') {
        return serde_json::from_str::<Members<'_>>(body).map(|members| members.text("schema")).unwrap_or_default();
    }
    let plain = body.len() <= 512 && !body.contains(['<', '[']);
    if plain { body.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorReason::{
        CenterMisconfigured, ResourceNotFound, VendorAuthFailed, VendorCodeUnmapped, VendorRateLimited, VendorRejected,
        VendorResponseInvalid, VendorUnavailable,
    };

    fn operation(envelope: Envelope, takes_caller_values: bool) -> Operation<Style> {
        let style = Style { operation: "test", path: "/test", envelope, takes_caller_values };
        Operation { name: "POST test", method: Method::POST, repeatable: true, is_list: false, style }
    }

    fn open(
        envelope: Envelope,
        takes_caller_values: bool,
        status: u16,
        body: impl Into<Bytes>,
    ) -> Result<String, (String, ErrorReason)> {
        let status = StatusCode::from_u16(status).unwrap();
        let response = HttpResponse { status, headers: HeaderMap::new(), body: body.into() };
        match envelope.open(&operation(envelope, takes_caller_values), &response) {
            ParsedResponse::Payload(payload) => Ok(String::from_utf8(payload.to_vec()).unwrap()),
            ParsedResponse::Refused(refusal) => Err((refusal.code, refusal.read)),
            ParsedResponse::Unreadable(_) => Err((String::new(), VendorResponseInvalid)),
        }
    }

    #[test]
    fn the_codes_of_query_phone() {
        for (code, reason) in [
            ("1", VendorInternal),
            ("2", ResourceNotFound),
            ("3", CenterMisconfigured),
            ("4", VendorInternal),
            ("5", CenterMisconfigured),
            ("6", VendorCodeUnmapped),
        ] {
            for body in [format!(r#"{{"retCode":"{code}","retMsg":"x"}}"#), format!(r#"{{"retCode":{code}}}"#)] {
                for status in [200, 500] {
                    assert_eq!(open(MOBILE_AGENT, false, status, body.clone()), Err((code.into(), reason)));
                }
            }
        }
        assert_eq!(
            open(MOBILE_AGENT, false, 200, r#"{"retCode":0,"result":{"total":2}}"#),
            Ok(r#"{"total":2}"#.into())
        );
        assert_eq!(open(MOBILE_AGENT, false, 200, r#"{"retCode":"0"}"#), Ok("null".into()));
    }

    #[test]
    fn a_readable_refusal_of_the_configuration_families_is_about_the_values() {
        for (family, names) in
            [(AGENT_ACCOUNT, ["resultCode", "resultMessage"]), (DESCRIBED, ["returnCode", "description"])]
        {
            for (code, status) in [("1", 200), ("1", 500), ("77", 200), ("-1", 200)] {
                let body = format!(r#"{{"{}":"{code}","{}":"no"}}"#, names[0], names[1]);
                assert_eq!(open(family, false, status, body), Err((code.into(), VendorRejected)));
            }
            let body = format!(r#"{{"{}":"0","data":[]}}"#, names[0]);
            assert_eq!(open(family, false, 200, body.clone()), Ok(body));
        }
    }

    #[test]
    fn a_member_that_occurs_twice_is_ambiguous() {
        let invalid = Err((String::new(), VendorResponseInvalid));
        for body in [r#"{"retCode":"0","retCode":"2"}"#, r#"{"retCode":"0","result":{},"result":{"total":1}}"#] {
            assert_eq!(open(MOBILE_AGENT, false, 200, body), invalid);
        }
        let harmless = r#"{"retCode":"0","result":{},"x":1,"x":2}"#;
        assert_eq!(open(MOBILE_AGENT, false, 200, harmless), Ok("{}".into()));
        assert_eq!(
            open(MOBILE_AGENT, false, 500, r#"{"retCode":"0","retCode":"2"}"#),
            Err((String::new(), VendorInternal))
        );
    }

    #[test]
    fn an_unknown_user_is_recognized_by_text_only() {
        let body = r#"{"returnCode":"1","returnDesc":"user does not exist"}"#;
        assert_eq!(open(AGENT_SETTINGS, true, 200, body), Err(("1".into(), ResourceNotFound)));
        let body = r#"{"returnCode":"1","returnDesc":"failed"}"#;
        assert_eq!(open(AGENT_SETTINGS, true, 200, body), Err(("1".into(), VendorRejected)));
    }

    #[test]
    fn who_must_mend_a_bad_request_depends_on_its_content() {
        for status in [400, 404] {
            assert_eq!(open(BARE, false, status, "Check the request path."), Err((String::new(), CenterMisconfigured)));
        }
        assert_eq!(open(AGENT_SETTINGS, true, 400, "{}"), Err((String::new(), VendorRejected)));
        // The path is the gateway's own, whose values are in the body.
        assert_eq!(open(AGENT_SETTINGS, true, 404, "{}"), Err((String::new(), CenterMisconfigured)));
    }

    #[test]
    fn other_statuses_decide_without_a_code() {
        for (status, reason) in [
            (401, VendorAuthFailed),
            (403, VendorAuthFailed),
            (429, VendorRateLimited),
            (500, VendorInternal),
            (502, VendorUnavailable),
            (418, VendorRejected),
            (200, VendorResponseInvalid),
        ] {
            assert_eq!(open(AGENT_SETTINGS, true, status, "<html>"), Err((String::new(), reason)), "{status}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(status in 200u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(MOBILE_AGENT, false, status, body);
        }
    }
}
