//! Valid values of fields, and how a value shows in what a vendor is asked.

use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Value, json};

use super::{
    Field,
    bench::{OTHER, Wire},
};
use crate::support::{client::comment, vendors::Vendor};

/// Values of text fields whose format the contract or a vendor narrows, by the field's name.
const TEXTS: &[(&str, &str)] = &[
    ("agent_id", "2077"),
    ("queue_id", "9077"),
    ("extension_id", "1077"),
    ("email", "walked@example.com"),
    ("employee_number", "W_77"),
    ("mobile_number", "13912345678"),
    ("phone_number", "13912345678"),
    ("customer_number", "13912345678"),
    ("entry_number", "01055500101"),
    ("caller_id", "02155500102"),
    ("login_account", "walked.account"),
    ("login_password", "Walk#d12"),
    ("callback_uri", "https://walked.example/x"),
    ("default_caller_id", "13912345678"),
    ("default_extension_number", "88880077"),
    ("caller_ids", "13912345678"),
    ("extension_numbers", "88880077"),
];

/// The request of a method without the field that is looked at.
pub(crate) fn plain(vendor: &Vendor, method: &str) -> Value {
    match method {
        // From the beginning, so that there is something to see.
        "WatchEvents" => json!({"parent": format!("centers/{}", vendor.center), "start_time": "2020-01-01T00:00:00Z"}),
        _ => vendor.request(method),
    }
}

/// Every valid value that the walk gives to a field.
pub(crate) fn of(vendor: &Vendor, method: &str, field: &Field) -> Vec<Value> {
    let place = field.place();
    let keys = vendor.keys.iter().filter(|(known, field, _)| (*known, *field) == (method, place.as_str()));
    let keys = keys.map(|(.., value)| value());
    let values: Vec<Value> = keys.chain(by_kind(vendor, &field.descriptor, &field.comment)).collect();
    let is_list = field.descriptor.is_list();
    values.into_iter().map(|value| if is_list { json!([value]) } else { value }).collect()
}

fn by_kind(vendor: &Vendor, field: &FieldDescriptor, comment: &str) -> Vec<Value> {
    match field.kind() {
        Kind::Message(_) if field.is_map() => vec![json!({"walked": "walked-too"})],
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Duration" => vec![json!("37s")],
            "google.protobuf.Timestamp" => vec![json!("2100-01-01T00:00:00Z")],
            // A key that no vendor has.
            "google.protobuf.Struct" => vec![json!({"walked": "walked-too"})],
            "google.protobuf.FieldMask" => vec![json!("walked")],
            other => panic!("{}: the walk has no value of {other}", field.full_name()),
        },
        Kind::Enum(values) => {
            values.values().filter(|value| value.number() != 0).map(|value| json!(value.name())).collect()
        }
        Kind::Bool if field.supports_presence() => vec![json!(true), json!(false)],
        Kind::Bool => vec![json!(true)],
        Kind::Int32 => vec![json!(1)],
        Kind::String => vec![json!(text(vendor, field, comment))],
        other => panic!("{}: the walk has no value of {other:?}", field.full_name()),
    }
}

fn text(vendor: &Vendor, field: &FieldDescriptor, comment: &str) -> String {
    if field.is_list() && vendor.ids.iter().any(|ids| ids.collection == field.name()) {
        return vendor.second(field.name());
    }
    if let Some((_, format)) = comment.split_once("Format: centers/{center}") {
        let format = format.split([' ', '\n']).next().unwrap_or_default().trim_end_matches('.');
        let mut steps = format.trim_start_matches('/').splitn(3, '/');
        return match (steps.next(), steps.next(), steps.next()) {
            (Some(collection), Some(_), None) => vendor.second(collection),
            (Some(collection), Some(_), Some(rest)) => format!("{}/{rest}", vendor.second(collection)),
            // A singleton of another center, or another center.
            _ => format!("centers/{OTHER}{format}"),
        };
    }
    TEXTS.iter().find(|(name, _)| *name == field.name()).map_or("walked", |(_, text)| text).to_owned()
}

/// A value for a field that is ignored, messages and their fields included.
pub(crate) fn filled(vendor: &Vendor, field: &Field) -> Value {
    fn of(vendor: &Vendor, field: &FieldDescriptor) -> Value {
        let value = match field.kind() {
            Kind::Message(message) if message.package_name() == "contactcenter.v1" => {
                message.fields().map(|field| (field.name().to_owned(), of(vendor, &field))).collect()
            }
            _ => by_kind(vendor, field, &comment(field)).remove(0),
        };
        if field.is_list() { json!([value]) } else { value }
    }
    of(vendor, &field.descriptor)
}

/// Whether what the vendor is asked beside the rest shows a value. A flag or a code shows by being another.
pub(crate) fn is_shown(vendor: &Vendor, value: &Value, new: &Wire) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) if is_enum(text) => true,
        Value::Array(items) => items.iter().all(|item| is_shown(vendor, item, new)),
        Value::Object(members) => members.values().all(|member| is_shown(vendor, member, new)),
        Value::Number(number) => new.iter().any(|leaf| leaf.ends_with(&format!("={number}"))),
        Value::String(text) => {
            let name = text.strip_suffix("/callSettings").unwrap_or(text).rsplit_once('/');
            let id = name.filter(|_| text.starts_with("centers/")).map(|(_, id)| id);
            let spelled = vendor.ids.iter().find(|ids| Some(ids.second) == id).map(|ids| ids.spelled);
            let seconds = text.strip_suffix('s').filter(|seconds| seconds.parse::<u32>().is_ok());
            let texts = [id.or(seconds).unwrap_or(text), spelled.unwrap_or(text)];
            new.iter().any(|leaf| texts.iter().any(|text| leaf.contains(text)))
        }
    }
}

fn is_enum(text: &str) -> bool {
    text.contains('_') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
