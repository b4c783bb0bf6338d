//! What the contract promises about itself, proved by walking its descriptors.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::{Value, json};
use switchboard::{
    error::ErrorReason,
    proto::{METHODS, v1},
    server::SERVICE,
};
use switchboard_simulators::{huawei, udesk};
use tonic::Code;

use crate::support::{
    Gateway, acme, beta,
    client::{Failure, POOL, descriptor, message},
    vendor::{huawei_options, serve_router, udesk_options},
};

async fn both_vendors() -> Gateway {
    let udesk = serve_router(udesk::Simulator::new(udesk_options()).router()).await;
    let huawei = serve_router(huawei::Simulator::new(huawei_options()).router()).await;
    Gateway::start(&format!("{}{}", acme(udesk), beta(huawei))).await
}

#[test]
fn the_method_table_is_the_service() {
    let service = POOL.get_service_by_name(SERVICE).unwrap();
    let names: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
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

/// Every constraint that a comment of the contract states in one of these forms, for requests.
fn stated(field: &FieldDescriptor) -> Option<String> {
    let file = field.parent_message().parent_file();
    let path = field.path();
    let info = file.file_descriptor_proto().source_code_info.clone()?;
    let location = info.location.iter().find(|location| location.path == path)?;
    location.leading_comments.clone()
}

/// A request that the contract allows, for every method.
fn valid(method: &str, center: &str) -> Value {
    let name = |rest: &str| format!("centers/{center}/{rest}");
    let parent = json!({"parent": format!("centers/{center}")});
    let agent = name("agents/1001");
    let queue = name("queues/9001");
    match method {
        // What one vendor requires or refuses beyond the contract.
        "LoginAgent" if center == "beta" => json!({"name": agent, "phone_number": "5550102"}),
        "CreateAgent" if center == "beta" => json!({"parent": format!("centers/{center}"), "agent": {
            "display_name": "New", "email": "new@example.com", "login_account": "new.agent",
            "login_password": "Abcde#12",
        }}),
        "UpdateQueue" if center == "beta" => json!({"queue": {"name": queue, "wait_timeout": "30s"}}),
        "ListCenters" => json!({}),
        "GetCenter" => json!({"name": format!("centers/{center}")}),
        "GetCapabilities" => json!({"name": name("capabilities")}),
        "GetPhoneNumber" | "SetDefaultPhoneNumber" => json!({"name": name("phoneNumbers/01055500100")}),
        "GetAgent" | "DeleteAgent" | "LogoutAgent" => json!({"name": agent}),
        "LoginAgent" => json!({"name": agent, "queues": [queue]}),
        "CreateAgent" if center == "acme" => json!({
            "parent": "centers/acme", "agent_id": "2001", "agent": {"display_name": "New", "employee_number": "E2001"},
        }),
        "CreateAgent" => json!({"parent": format!("centers/{center}"), "agent": {"display_name": "New"}}),
        "UpdateAgent" => json!({"agent": {"name": agent, "display_name": "New"}}),
        "BindAgentExtensions" | "UnbindAgentExtensions" => {
            json!({"agent": agent, "extensions": [name("extensions/1101")]})
        }
        "AddAgentQueues" | "SetAgentQueues" | "RemoveAgentQueues" => json!({"agent": agent, "queues": [queue]}),
        "GetExtension" | "DeleteExtension" => json!({"name": name("extensions/1101")}),
        "CreateExtension" => json!({
            "parent": format!("centers/{center}"), "extension_id": "1999",
            "extension": {"protocol": "EXTENSION_PROTOCOL_SIP"},
        }),
        "GetQueue" | "DeleteQueue" => json!({"name": queue}),
        "CreateQueue" => json!({"parent": format!("centers/{center}"), "queue": {"display_name": "New"}}),
        "UpdateQueue" => json!({"queue": {"name": queue, "display_name": "New"}}),
        "AddQueueAgents" => json!({"queue": queue, "agents": [agent]}),
        "GetSoftphoneConfig" => json!({"name": name("softphoneConfig")}),
        "GetUserCallSettings" => json!({"name": name("users/1660270845627002401/callSettings")}),
        "UpdateUserCallSettings" => json!({"user_call_settings": {
            "name": name("users/1660270845627002401/callSettings"), "call_type": "OUTBOUND_CALL_TYPE_DIRECT",
        }}),
        "StartCallback" => json!({
            "parent": format!("centers/{center}"), "customer_number": "13800000000", "entry_number": "01055500100",
        }),
        "GetSubscription" | "DeleteSubscription" => json!({"name": name("subscriptions/168")}),
        "CreateSubscription" => json!({"parent": format!("centers/{center}"), "subscription": {
            "display_name": "s", "callback_uri": "https://example.com/x", "event_types": ["EVENT_TYPE_CALL_HUNG_UP"],
        }}),
        "UpdateSubscription" => json!({"subscription": {
            "name": name("subscriptions/168"), "event_types": ["EVENT_TYPE_CALL_HUNG_UP"],
        }}),
        "WatchEvents" => {
            json!({"parent": format!("centers/{center}"), "event_types": ["EVENT_TYPE_CALL_HUNG_UP"]})
        }
        _ => parent,
    }
}

/// How to break one stated constraint: the field's value in its message, and where the violation is told.
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
    let gateway = both_vendors().await;
    let mut tried = 0;
    for method in METHODS {
        let request = valid(method, "acme");
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
            let comment = stated(&field).unwrap_or_default();
            let output_only = comment.contains("Output only.");
            // Required in a resource means on create.
            let update = method.starts_with("Update") && path.len() == 2;
            for (what, value) in breaches(&field, &comment) {
                let skipped = output_only
                    || (what == "required" && update)
                    || (what == "format" && field.name() == "name" && path.len() == 2 && !update);
                if skipped {
                    continue;
                }
                let steps: Vec<&str> = path.iter().map(String::as_str).collect();
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
                let told = failure.fields.iter().any(|field| {
                    *field == place || field.strip_prefix(&place).is_some_and(|rest| rest.starts_with(['[', '.']))
                });
                // A missing mask and a missing update are the same thing to say.
                assert!(told, "{method} {place} {what}: told {:?}", failure.fields);
                tried += 1;
            }
        }
    }
    assert!(tried > 120, "{tried}");
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
    let gateway = both_vendors().await;
    for center in ["acme", "beta"] {
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
            let outcome = gateway.client.call_bare(method, valid(method, center), timeout).await;
            let told: Option<&Failure> = outcome.as_ref().err();
            let says_so = told
                .is_some_and(|failure| failure.reason == "METHOD_UNSUPPORTED" && failure.code == Code::Unimplemented);
            assert_eq!(says_so, unsupported, "{center} {method}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn fields_that_capabilities_call_unsupported_are_refused_when_set() {
    let gateway = both_vendors().await;
    let values = BTreeMap::from([
        ("request_id", json!("6f9619ff-8b86-4d11-b42d-00c04fc964ff")),
        ("agent.login_account", json!("new-account")),
        ("agent.login_password", json!("Abcde#12")),
        ("extension.vendor_data", json!({"x": 1})),
        ("queue.strategy", json!("QUEUE_STRATEGY_ROUND_ROBIN")),
        ("queue.wait_timeout", json!("30s")),
        ("queue.vendor_data", json!({"x": 1})),
        ("phone_number", json!("13800000000")),
        ("agent_id", json!("1099")),
        ("agent.employee_number", json!("w_199")),
        ("agent.role", json!("AGENT_ROLE_AGENT")),
        ("agent.enabled", json!(true)),
        ("agent.inbound_wrap_up_duration", json!("5s")),
        ("agent.outbound_wrap_up_duration", json!("5s")),
        ("agent.provision_extensions", json!(true)),
        ("role", json!("AGENT_ROLE_AGENT")),
        ("enabled", json!(true)),
        ("state", json!("AGENT_STATE_OFFLINE")),
        ("vendor_state", json!("4")),
        ("initial_state", json!("AGENT_STATE_READY")),
        ("employee_number", json!("w_199")),
        ("queues", json!(["centers/beta/queues/1"])),
        ("vendor_data", json!({"x": 1})),
        ("queue_id", json!("9008")),
        ("queue.display_name", json!("New")),
        ("queue.wait_music", json!("waitmusic.wav")),
    ]);
    for center in ["acme", "beta"] {
        let name = json!({"name": format!("centers/{center}/capabilities")});
        let capabilities = gateway.client.call("GetCapabilities", name).await.unwrap();
        for row in capabilities["methods"].as_array().unwrap() {
            let method = row["method"].as_str().unwrap();
            for field in row["unsupported_fields"].as_array().into_iter().flatten() {
                let field = field.as_str().unwrap();
                let value = values.get(field).unwrap_or_else(|| panic!("{method}: give a value for {field} above"));
                let steps: Vec<&str> = field.split('.').collect();
                let request = with(valid(method, center), &steps, value.clone());
                let failure = gateway.client.call(method, request).await.unwrap_err();
                assert_eq!(
                    (failure.reason.as_str(), failure.fields),
                    ("FIELD_UNSUPPORTED", vec![field.to_owned()]),
                    "{center} {method}"
                );
            }
        }
    }
}

#[test]
fn every_reason_is_the_contract_s_own() {
    let reasons = POOL.get_enum_by_name("contactcenter.v1.ErrorReason").unwrap();
    for value in reasons.values() {
        let reason = ErrorReason::try_from(value.number()).unwrap();
        assert_eq!(reason.as_str_name(), value.name());
    }
    // The name of the message is only used to see that the pool is the contract's.
    assert_eq!(message("Agent").name(), "Agent");
}
