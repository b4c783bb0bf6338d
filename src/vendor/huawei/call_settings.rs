//! Users' outbound-call settings: openapp/agentsettings/query, create, update (document 002, B3.22).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Huawei,
    api_fabric::ApiFabric,
    formats::Formats as _,
    operations::{CREATE_SETTINGS, QUERY_SETTINGS, UPDATE_SETTINGS},
};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    name::{CallSettingsName, ResourceName as _},
    proto::{enum_value, v1},
    vendor::{
        de::{List, Text},
        written_back::{self, WrittenBack},
    },
    vendor_data::VendorData,
};

/// `POST openapp/agentsettings/query`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query<'a> {
    user_id: &'a str,
}

/// `POST openapp/agentsettings/create`: the fields of the record.
#[derive(Serialize)]
#[serde(transparent)]
struct Create(Map<String, Value>);

/// `POST openapp/agentsettings/update`: the whole record, as the vendor returned it except for the changes.
#[derive(Serialize)]
#[serde(transparent)]
struct Update(Map<String, Value>);

endpoint!(ApiFabric: Query<'_>, POST "agentsettings/query", ask, QUERY_SETTINGS.of_caller() => Map<String, Value>);
endpoint!(ApiFabric: Create, POST "agentsettings/create", write, CREATE_SETTINGS.of_caller() => Created);
endpoint!(ApiFabric: Update, POST "agentsettings/update", write, UPDATE_SETTINGS.of_caller() => Created);

/// Response of create and update.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Created {
    id: Text,
}

/// Response of agentsettings/query: all members beside the return code.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    id: Value,
    call_type: Text,
    caller_present: Numbers,
    call_number: Numbers,
    call_number_default: Text,
    caller_present_default: Text,
    agent_name: Text,
}

/// Numbers: a list in the type and the example, text separated by commas in the description (document 002).
#[derive(Default)]
struct Numbers(Vec<String>);

/// The members that create and update accept, in the table's order, and their fields.
const WRITABLE: [(&str, &str); 5] = [
    ("callType", "call_type"),
    ("callerPresent", "caller_ids"),
    ("callNumber", "extension_numbers"),
    ("callNumberDefault", "default_extension_number"),
    ("callerPresentDefault", "default_caller_id"),
];

/// The members of a response that are no setting: the return code, its text, and the user that the request named.
const BESIDE: [&str; 3] = ["returnCode", "returnDesc", "userId"];

// === impl Numbers ===

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = match Value::deserialize(deserializer)? {
            Value::String(text) => text.split(',').map(str::trim).map(str::to_owned).collect(),
            other => {
                let list = List::<Text>::deserialize(other).map_err(|_| serde::de::Error::custom("not a list"))?;
                list.into_iter().map(Text::into_string).collect::<Vec<_>>()
            }
        };
        Ok(Self(list.into_iter().filter(|number| !number.is_empty()).collect()))
    }
}

// === impl Settings ===

impl Settings {
    /// Parses a record whose `returnCode` is success.
    fn read(record: &Map<String, Value>) -> Result<Self> {
        Self::deserialize(record).map_err(|_| {
            // The error's text quotes the input.
            Error::new(
                ErrorReason::VendorResponseInvalid,
                "the vendor's call settings do not have the documented structure",
            )
        })
    }

    fn into_resource(self, name: &CallSettingsName, view: v1::View) -> v1::UserCallSettings {
        let call_type = match &*self.call_type {
            "0" => v1::OutboundCallType::Direct,
            "1" => v1::OutboundCallType::Bidirectional,
            "2" => v1::OutboundCallType::PassThrough,
            _ => v1::OutboundCallType::Unspecified,
        };
        let vendor_data = match view {
            v1::View::Full => VendorData::new().json("id", &self.id).text("callType", self.call_type.0).build(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        v1::UserCallSettings {
            name: name.to_string(),
            call_type: call_type.into(),
            caller_ids: self.caller_present.0,
            default_caller_id: self.caller_present_default.into_string(),
            extension_numbers: self.call_number.0,
            default_extension_number: self.call_number_default.into_string(),
            agent_account: self.agent_name.into_string(),
            vendor_data,
        }
    }
}

/// Validates the members that `mask` changes, and returns them.
fn changed(cx: &Context, settings: &v1::UserCallSettings, mask: &[String]) -> Result<Map<String, Value>> {
    let v1::UserCallSettings {
        name: _,
        call_type,
        caller_ids,
        default_caller_id,
        extension_numbers,
        default_extension_number,
        agent_account: _, // output only
        vendor_data: _,   // the mask rejects it
    } = settings;
    let mut check = Check::of(cx);
    let mut members = Map::new();
    for path in mask {
        let field = format!("user_call_settings.{path}");
        let (member, value) = match path.as_str() {
            "call_type" => ("callType", call_type_code(enum_value(*call_type))),
            "caller_ids" => ("callerPresent", numbers(&mut check, &field, caller_ids)),
            "extension_numbers" => ("callNumber", numbers(&mut check, &field, extension_numbers)),
            "default_caller_id" => ("callerPresentDefault", number(&mut check, field, default_caller_id)),
            "default_extension_number" => ("callNumberDefault", number(&mut check, field, default_extension_number)),
            "vendor_data" => {
                check.unsupported(field, "Huawei accepts no further fields of call settings");
                continue;
            }
            _ => {
                check.unsupported(field, "Huawei cannot change it");
                continue;
            }
        };
        members.insert(member.to_owned(), value);
    }
    check.done()?;
    Ok(members)
}

fn call_type_code(call_type: v1::OutboundCallType) -> Value {
    match call_type {
        v1::OutboundCallType::Unspecified => Value::Null,
        v1::OutboundCallType::Direct => "0".into(),
        v1::OutboundCallType::Bidirectional => "1".into(),
        v1::OutboundCallType::PassThrough => "2".into(),
    }
}

/// A list of numbers. An empty number is invalid.
fn numbers(check: &mut Check, field: &str, numbers: &[String]) -> Value {
    for (index, number) in numbers.iter().enumerate() {
        check.settings_number(format!("{field}[{index}]"), number, 1);
    }
    json!(numbers)
}

/// A number; an empty text clears it.
fn number(check: &mut Check, field: String, number: &str) -> Value {
    check.settings_number(field, number, 0);
    json!(number)
}

/// A user's record; `None` when the user has none. What the vendor returns then is not documented: success without any
/// setting and a failure that says so are both read. Every member of the response is optional, also the ID.
async fn record(huawei: &Huawei, cx: &Context, name: &CallSettingsName) -> Result<Option<Map<String, Value>>> {
    match huawei.api_fabric.call(cx, &Query { user_id: name.id() }).await {
        Ok(record) => {
            let is_setting =
                |(member, value): (&String, &Value)| !BESIDE.contains(&member.as_str()) && !is_empty(value);
            let is_there = record.iter().any(is_setting);
            Ok(is_there.then_some(record))
        }
        Err(error) if error.reason() == ErrorReason::ResourceNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a member has no value.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) async fn get(
    huawei: &Huawei,
    cx: &Context,
    name: &CallSettingsName,
    request: v1::GetUserCallSettingsRequest,
) -> Result<v1::UserCallSettings> {
    let v1::GetUserCallSettingsRequest { name: _, view } = request;
    let view = enum_value(view);
    let record = record(huawei, cx, name).await?;
    let record = record.ok_or_else(|| Error::not_found(CallSettingsName::KIND, name))?;
    Ok(Settings::read(&record)?.into_resource(name, view))
}

/// Reads the record, changes the fields in `mask` and writes the whole record; creates a missing record if allowed.
pub(super) async fn update(
    huawei: &Huawei,
    cx: &Context,
    name: &CallSettingsName,
    settings: &v1::UserCallSettings,
    mask: &[String],
    allow_missing: bool,
) -> Result<v1::UserCallSettings> {
    let changed = changed(cx, settings, mask)?;
    let _guard = huawei.locks.lock(name.to_string(), cx.deadline()).await?;
    let before = record(huawei, cx, name).await?;
    let mut record: Map<String, Value> = [("userId".to_owned(), name.id().into())].into_iter().collect();
    let Some(before) = before else {
        if !allow_missing {
            return Err(Error::not_found(CallSettingsName::KIND, name));
        }
        record.extend(changed);
        let created = huawei.api_fabric.call(cx, &Create(record.clone())).await?;
        record.insert("id".to_owned(), created.id.into_string().into());
        return read_back(huawei, cx, name, &record).await;
    };
    let mut kept = WrittenBack::default();
    for (member, field) in WRITABLE.into_iter().filter(|(member, _)| !changed.contains_key(*member)) {
        if let Some(value) = before.get(member).filter(|value| !value.is_null()) {
            kept.value(format!("user_call_settings.{field}"), value);
            record.insert(member.to_owned(), value.clone());
        }
    }
    kept.done()?;
    record.extend(changed);
    let id = before.get("id").and_then(|id| Text::deserialize(id).ok()).unwrap_or_default();
    if id.is_empty() || written_back::is_unreadable(&id) {
        return Err(Error::new(
            ErrorReason::VendorResponseInvalid,
            "Huawei returned these settings without a readable ID, which a change requires; nothing was written",
        )
        .about(CallSettingsName::KIND, name));
    }
    record.insert("id".to_owned(), id.into_string().into());
    huawei.api_fabric.call(cx, &Update(record.clone())).await?;
    record.extend(before.get("agentName").map(|account| ("agentName".to_owned(), account.clone())));
    read_back(huawei, cx, name, &record).await
}

/// The record read back after a write, or as sent when the read fails.
async fn read_back(
    huawei: &Huawei,
    cx: &Context,
    name: &CallSettingsName,
    sent: &Map<String, Value>,
) -> Result<v1::UserCallSettings> {
    let read = record(huawei, cx, name).await.ok().flatten().and_then(|record| Settings::read(&record).ok());
    let settings = match read {
        Some(settings) => settings,
        None => Settings::read(sent)?,
    };
    Ok(settings.into_resource(name, v1::View::Full))
}
