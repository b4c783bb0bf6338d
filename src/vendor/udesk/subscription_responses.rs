//! The responses of Udesk 18 and 19, and their meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    Api, VendorId, ccapi::Ccapi, codes::SUCCESS, done_without_id, operations::WRITE,
    subscription_spec::SubscriptionSpec,
};
use crate::{
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result, Vendor},
    http::{Dialect as _, Endpoint as _},
    name::{ResourceName as _, SubscriptionName},
    redact,
    vendor::de::{Integer, List, Object, Text},
};

/// `POST /subscriptions` (Udesk 18), one at a time, so that the response is about it (C41).
#[derive(Serialize)]
struct Subscribe<'a> {
    subscriptions: [Asked<'a>; 1],
}

#[derive(Serialize)]
struct Asked<'a> {
    callback: &'a str,
    events: &'a [String],
    name: &'a str,
}

endpoint!(Ccapi: Subscribe<'_>, POST "/subscriptions", write, WRITE => Object<Subscribed>);

/// Response of Udesk 18, which contains failures beside a code of success (C42).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Subscribed {
    sub_succ: List<CreatedSubscription>,
    sub_fail: Value,
}

/// A created subscription.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CreatedSubscription {
    /// Its ID, which Udesk returns only here.
    pub(super) subid: VendorId,
    /// Its name, which may differ from the requested one.
    pub(super) name: Text,
}

/// Response of Udesk 19: "Subscription Name & Event ID", as in `{"ymtest111": 164}` (C45). Any content is accepted,
/// because nothing of it is required.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replaced(pub(super) Option<(String, i64)>);

/// Creates a subscription.
///
/// # Errors
/// `VENDOR_REJECTED` only where Udesk reports a failure and no subscription. `VENDOR_OUTCOME_UNKNOWN` where it reports
/// both or neither: the code says success, so the subscription may exist.
pub(super) async fn subscribe(ccapi: &Api, cx: &Context, spec: &SubscriptionSpec) -> Result<CreatedSubscription> {
    let asked = Asked { callback: &spec.callback, events: &spec.events, name: &spec.name };
    let request = Subscribe { subscriptions: [asked] };
    let Object(Subscribed { sub_succ, sub_fail }) = ccapi.call(cx, &request).await?;
    let is_reported = !sub_succ.0.is_empty();
    let made = sub_succ.into_iter().find(|made| SubscriptionName::identifies(&made.subid.0));
    let failures = texts(&sub_fail);
    let vendor = Vendor { operation: Subscribe::operation().name, code: SUCCESS.into(), ..Vendor::default() };
    let unknown = |cause, vendor| Err(Error::outcome_unknown(cause).from_vendor(vendor));
    match made {
        Some(made) if failures.is_empty() => Ok(made),
        Some(_) => unknown("Udesk reported both that the subscription was created and that it failed", vendor),
        None if !failures.is_empty() => {
            let sent = redact::secrets_in(&serde_json::to_vec(&request).unwrap_or_default());
            let mut secrets = ccapi.dialect().secrets();
            secrets.extend(sent.iter().map(String::as_str));
            // The name is personal data, and Udesk may repeat it in the failure.
            secrets.push(&spec.name);
            let message = redact::vendor_text(&failures.join(", "), &secrets);
            let (reported, message) = if message.contains(char::is_alphanumeric) {
                (format!("Udesk refused the subscription: {message}"), message)
            } else {
                ("Udesk refused the subscription without a reason".to_owned(), String::new())
            };
            Err(Error::new(ErrorReason::VendorRejected, reported).from_vendor(Vendor { message, ..vendor }))
        }
        None if is_reported => Err(done_without_id(
            vendor.operation,
            "Udesk created the subscription and did not return its ID; do not repeat the request, find it with \
             ListSubscriptions",
        )),
        None => unknown("Udesk reported neither a subscription nor a failure", vendor),
    }
}

/// Every text, number and flag in a value, except null and empty text.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) if text.trim().is_empty() => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
    }
}

// === impl Replaced ===

impl<'de> Deserialize<'de> for Replaced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let fields: BTreeMap<String, Integer> = serde_json::from_str(json).unwrap_or_default();
        let mut fields = fields.into_iter();
        Ok(Self(match (fields.next(), fields.next()) {
            (Some((name, Integer(Some(number)))), None) => Some((name, number)),
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_to_a_change_names_the_subscription_or_nothing() {
        for (json, name) in [
            (r#"{"ymtest111": 164}"#, Some(("ymtest111".to_owned(), 164))),
            (r#"{"a": "7"}"#, Some(("a".to_owned(), 7))),
            (r#"{"a": 7, "b": 8}"#, None),
            (r#"{"a": "b"}"#, None),
            (r#"{"a": {"b": 7}}"#, None),
            ("{}", None),
            ("null", None),
            (r#"["a"]"#, None),
            (r#""OK""#, None),
            ("7", None),
        ] {
            assert_eq!(serde_json::from_str::<Replaced>(json).unwrap(), Replaced(name), "{json}");
        }
    }
}
