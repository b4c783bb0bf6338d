//! What the contract promises about itself, proved by walking its descriptors.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::{Value, json};
use switchboard::{
    context::Context,
    error::{Error, ErrorReason},
    proto::{METHODS, v1},
};
use tokio::time::Instant;
use tonic::Code;

use crate::{
    fields,
    support::{
        Gateway,
        client::{Failure, POOL, comment, descriptor},
        vendor::serve_router,
        vendors::{VENDORS, every_vendor},
    },
};

/// The table is made from the descriptors, so it is held to the text that people read.
#[test]
fn the_method_table_is_the_service() {
    let contract = include_str!("../../proto/contactcenter/v1/contact_center.proto");
    let names: Vec<_> =
        contract.lines().filter_map(|line| line.trim_start().strip_prefix("rpc ")?.split('(').next()).collect();
    assert_eq!(names, METHODS);
}

macro_rules! debug_of {
    ($($message:ident)*) => {
        fn debug_of(name: &str, bytes: &[u8]) -> Option<String> {
            match name {
                $(stringify!($message) => Some(format!("{:?}", v1::$message::decode(bytes).unwrap())),)*
                _ => None,
            }
        }
    };
}

debug_of! {
    Agent AgentStateChanged CallDequeued CallHungUp CallReference CallTransferred Capabilities Center
    ConsultStarted CreateAgentRequest CreateExtensionRequest CreateQueueRequest CreateSubscriptionRequest DtmfGathered
    Event Extension FieldFormat HangupCauseReported ListAgentsRequest ListAgentsResponse ListExtensionsResponse
    ListPhoneNumbersResponse ListQueuesResponse ListSubscriptionsResponse LoginAgentRequest LoginAgentResponse
    LogoutAgentResponse MethodCapability PhoneNumber Queue RecordingStopped SoftphoneConfig SoftphoneCredential
    SpeechRecognized StartCallbackRequest Subscription UpdateAgentRequest UpdateQueueRequest
    UpdateSubscriptionRequest UpdateUserCallSettingsRequest UserCallSettings VoicemailLeft WatchEventsResponse
    AccessSoftphoneCredentialsResponse
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
}

/// Whether a redacted field is in the message or beneath it.
fn holds_redacted(message: &MessageDescriptor, seen: &mut BTreeSet<String>) -> bool {
    seen.insert(message.full_name().to_owned())
        && message.fields().any(|field| {
            is_redacted(&field)
                || matches!(field.kind(), Kind::Message(inner) if inner.package_name() == "contactcenter.v1" && holds_redacted(&inner, seen))
        })
}

const MARKER: &str = "MARKER-that-nobody-may-see";

/// A message with the marker in every redacted text, beneath it too.
fn marked(message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut filled = DynamicMessage::new(message.clone());
    for field in message.fields() {
        // Of a oneof, the first arm: setting another would empty it.
        if field.containing_oneof().is_some_and(|oneof| oneof.fields().next().as_ref() != Some(&field)) {
            continue;
        }
        let value = match field.kind() {
            Kind::String if field.is_list() => Field::List(vec![Field::String("plain".into())]),
            Kind::String if is_redacted(&field) => Field::String(MARKER.into()),
            Kind::String if !field.is_map() => Field::String("plain".into()),
            Kind::Message(_) if field.is_map() => {
                Field::Map([(prost_reflect::MapKey::String(MARKER.into()), Field::String(MARKER.into()))].into())
            }
            Kind::Message(inner) if inner.full_name() == "google.protobuf.Struct" => {
                let mut data = DynamicMessage::new(inner.clone());
                let text = json!({MARKER: MARKER});
                data.transcode_from(&DynamicMessage::deserialize(inner, text).unwrap()).unwrap();
                Field::Message(data)
            }
            Kind::Message(inner) if inner.package_name() == "contactcenter.v1" && depth < 4 => {
                let inner = Field::Message(marked(&inner, depth + 1));
                if field.is_list() { Field::List(vec![inner]) } else { inner }
            }
            _ => continue,
        };
        filled.set_field(&field, value);
    }
    filled
}

#[test]
fn what_is_marked_debug_redact_is_in_no_debug() {
    let mut walked = 0;
    for descriptor in POOL.all_messages().filter(|message| message.package_name() == "contactcenter.v1") {
        if descriptor.is_map_entry() || !holds_redacted(&descriptor, &mut BTreeSet::new()) {
            continue;
        }
        let filled = marked(&descriptor, 0);
        let bytes = filled.encode_to_vec();
        assert!(String::from_utf8_lossy(&bytes).contains(MARKER), "{} is filled", descriptor.name());
        let debug = debug_of(descriptor.name(), &bytes)
            .unwrap_or_else(|| panic!("{} holds redacted fields: add it to the list above", descriptor.name()));
        assert!(!debug.contains(MARKER), "{}: {debug}", descriptor.name());
        assert!(
            debug.contains("plain") || descriptor.fields().len() < 3,
            "{} shows the rest: {debug}",
            descriptor.name()
        );
        walked += 1;
    }
    assert!(walked > 20, "{walked}");
}

/// How to break one stated constraint: the field's value in its message, and where the violation is reported.
fn breaches(field: &FieldDescriptor, comment: &str) -> Vec<(&'static str, Value)> {
    let mut breaches = Vec::new();
    let says = |words: &str| comment.contains(words);
    let number = |before: &str, after: &str| {
        let (_, rest) = comment.split_once(before)?;
        rest.split_once(after)?.0.parse::<usize>().ok()
    };
    if says("Required.") {
        breaches.push(("required", Value::Null));
    }
    if says("Not negative.") {
        let value = if matches!(field.kind(), Kind::Int32) { json!(-1) } else { json!("-1s") };
        breaches.push(("not negative", value));
    }
    if let Some(most) = number("At most ", " characters") {
        breaches.push(("too long", json!("x".repeat(most + 1))));
    }
    if says("whole seconds") {
        breaches.push(("whole seconds", json!("1.5s")));
    }
    if says("Format: centers/") {
        let value = json!("centers/Not-A-Name!");
        breaches.push(("format", if field.is_list() { json!([value]) } else { value }));
    }
    if says("A valid e-mail address.") {
        breaches.push(("e-mail", json!("nobody")));
    }
    if says("An absolute URI.") {
        breaches.push(("uri", json!("/relative")));
    }
    if matches!(field.kind(), Kind::Enum(_)) && !field.is_list() {
        breaches.push(("unknown enum value", json!(77)));
    }
    if field.is_list()
        && (says("no duplicates") || says("No duplicates"))
        && matches!(field.kind(), Kind::String | Kind::Enum(_))
    {
        breaches.push(("duplicates", json!("TWICE")));
    }
    breaches
}

/// Sets or removes a field of a JSON message at a path.
fn with(mut request: Value, path: &[&str], value: Value) -> Value {
    let mut place = &mut request;
    for step in &path[..path.len() - 1] {
        place = place.get_mut(*step).unwrap();
    }
    let last = path[path.len() - 1];
    match value {
        Value::Null => drop(place.as_object_mut().unwrap().remove(last)),
        twice if twice == "TWICE" => {
            let first = place[last][0].clone();
            place[last] = json!([first, first]);
        }
        value => place[last] = value,
    }
    request
}

#[tokio::test]
async fn every_constraint_that_the_contract_states_is_enforced() {
    let (gateway, _simulators) = every_vendor().await;
    let mut tried = 0;
    for (vendor, method) in VENDORS.iter().flat_map(|vendor| METHODS.map(|method| (vendor, method))) {
        let request = vendor.request(method);
        let input = descriptor(method).input();
        let mut fields: Vec<(Vec<String>, FieldDescriptor)> =
            input.fields().map(|field| (vec![field.name().to_owned()], field)).collect();
        // The resource in a create or an update, too.
        for (path, field) in fields.clone() {
            if let Kind::Message(inner) = field.kind()
                && inner.package_name() == "contactcenter.v1"
                && !field.is_list()
                && !field.is_map()
            {
                fields.extend(inner.fields().map(|inner| (vec![path[0].clone(), inner.name().to_owned()], inner)));
            }
        }
        for (path, field) in fields {
            let comment = comment(&field);
            let output_only = comment.contains("Output only.");
            // Required in a resource means on create.
            let update = method.starts_with("Update") && path.len() == 2;
            for (what, value) in breaches(&field, &comment) {
                let steps: Vec<&str> = path.iter().map(String::as_str).collect();
                let skipped = output_only
                    || (what == "duplicates" && request.pointer(&format!("/{}", path.join("/"))).is_none())
                    || (what == "required" && update)
                    || (what == "format" && field.name() == "name" && path.len() == 2 && !update);
                if skipped {
                    continue;
                }
                let broken = with(request.clone(), &steps, value);
                let failure = gateway
                    .client
                    .call(method, broken.clone())
                    .await
                    .err()
                    .unwrap_or_else(|| panic!("{method} took {broken}, which breaks {what} of {}", path.join(".")));
                let place = path.join(".");
                assert_eq!(
                    (failure.code, failure.reason.as_str()),
                    (Code::InvalidArgument, "FIELD_INVALID"),
                    "{method} {place} {what}: {failure:?}"
                );
                let reported = failure.fields.iter().any(|field| {
                    *field == place || field.strip_prefix(&place).is_some_and(|rest| rest.starts_with(['[', '.']))
                });
                // A missing mask and a missing update are the same thing to say.
                assert!(reported, "{method} {place} {what}: reported {:?}", failure.fields);
                tried += 1;
            }
        }
    }
    assert!(tried > 120 * VENDORS.len(), "{tried}");
}

/// An ID of the contract may hold any byte, percent-encoded: in a vendor's path it stays within its segment.
#[tokio::test]
async fn no_id_leaves_its_segment_of_a_vendors_path() {
    for vendor in VENDORS {
        let simulated = (vendor.simulate)();
        let address = serve_router(simulated.router.clone()).await;
        let gateway = Gateway::start(&(vendor.config)(vendor.center, address)).await;
        for method in METHODS {
            for field in fields::fields(method) {
                let Some((_, format)) = field.comment.split_once("Format: centers/{center}/") else { continue };
                let collection = format.split(['/', '.', ' ']).next().unwrap_or_default();
                let suffix = if format.contains("}/callSettings") { "/callSettings" } else { "" };
                // The IDs `a/../escaped?escaped=1` and `..`.
                for id in ["a%2F..%2Fescaped%3Fescaped%3D1", "%2E."] {
                    let name = json!(format!("centers/{}/{collection}/{id}{suffix}", vendor.center));
                    let value = if field.descriptor.is_list() { json!([name]) } else { name };
                    let steps: Vec<&str> = field.path.iter().map(String::as_str).collect();
                    drop(gateway.client.call(method, with(vendor.request(method), &steps, value)).await);
                }
                let asked = simulated.asked();
                let is_escaped = |path: &str, query: &BTreeMap<String, String>| {
                    path.contains("/escaped") || path.ends_with('/') || query.contains_key("escaped")
                };
                let escaped = asked.iter().find(|asked| is_escaped(&asked.path, &asked.query));
                assert!(escaped.is_none(), "{} {method} {}: {escaped:?}", vendor.name, field.place());
            }
        }
    }
}

fn supports(capabilities: &Value) -> BTreeMap<String, String> {
    let methods = capabilities["methods"].as_array().unwrap();
    methods
        .iter()
        .map(|row| (row["method"].as_str().unwrap().to_owned(), row["support"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn capabilities_name_every_method_and_each_does_what_they_say() {
    let (gateway, _simulators) = every_vendor().await;
    for vendor in VENDORS {
        let center = vendor.center;
        let name = json!({"name": format!("centers/{center}/capabilities")});
        let capabilities = gateway.client.call("GetCapabilities", name).await.unwrap();
        let supports = supports(&capabilities);
        let named: Vec<_> =
            capabilities["methods"].as_array().unwrap().iter().map(|row| row["method"].clone()).collect();
        assert_eq!(named, METHODS.map(Value::from));
        for method in METHODS {
            let unsupported = supports[method] == "SUPPORT_UNSUPPORTED";
            // A stream that is supported goes on until its deadline.
            let timeout = Duration::from_secs(if method == "WatchEvents" { 2 } else { 30 });
            let outcome = gateway.client.call_bare(method, vendor.request(method), timeout).await;
            let reported: Option<&Failure> = outcome.as_ref().err();
            let says_so = reported
                .is_some_and(|failure| failure.reason == "METHOD_UNSUPPORTED" && failure.code == Code::Unimplemented);
            assert_eq!(says_so, unsupported, "{center} {method}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn fields_that_capabilities_call_unsupported_are_refused_when_set() {
    let (gateway, _simulators) = every_vendor().await;
    for vendor in VENDORS {
        let center = vendor.center;
        let name = json!({"name": format!("centers/{center}/capabilities")});
        let capabilities = gateway.client.call("GetCapabilities", name).await.unwrap();
        for row in capabilities["methods"].as_array().unwrap() {
            let method = row["method"].as_str().unwrap();
            for field in row["unsupported_fields"].as_array().into_iter().flatten() {
                let field = field.as_str().unwrap();
                let known = fields::fields(method).into_iter().find(|known| known.place() == field);
                let known = known.unwrap_or_else(|| panic!("{center} {method}: there is no {field}"));
                let steps: Vec<&str> = field.split('.').collect();
                // Some values of an enum no vendor accepts.
                let mut failures = Vec::new();
                for value in fields::values::of(vendor, method, &known) {
                    let request = with(vendor.request(method), &steps, value);
                    failures.push(gateway.client.call(method, request).await.unwrap_err());
                }
                failures.retain(|failure| failure.reason != "FIELD_INVALID");
                let failure = failures.swap_remove(0);
                assert_eq!(
                    (failure.reason.as_str(), failure.fields),
                    ("FIELD_UNSUPPORTED", vec![field.to_owned()]),
                    "{center} {method}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_reason_has_the_code_that_the_contract_names() {
    let reasons = POOL.get_enum_by_name("contactcenter.v1.ErrorReason").unwrap();
    let info = reasons.parent_file().file_descriptor_proto().source_code_info.clone().unwrap();
    for value in reasons.values().filter(|value| value.number() != 0) {
        let location = info.location.iter().find(|location| location.path == value.path()).unwrap();
        let code = location.leading_comments().trim().split([':', ',', ' ']).next().unwrap_or_default();
        let cx = Context::new("Test", String::new(), Instant::now() + Duration::from_secs(1));
        let status = Error::new(ErrorReason::try_from(value.number()).unwrap(), "no").into_status(&cx);
        assert_eq!(format!("{:?}", status.code()).to_uppercase(), code.replace('_', ""), "{}", value.name());
        assert_eq!(Failure::of(status).reason, value.name());
    }
}
