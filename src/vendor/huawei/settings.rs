//! Users' outbound-call settings: openapp/agentsettings/query (B3.22).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    fabric::{Fabric, Style},
    family::AGENT_SETTINGS,
};
use crate::{
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    http::Client,
    name::{CallSettingsName, ResourceName as _},
    proto::v1,
    vendor::lenient::{List, Text},
    vendor_data::VendorData,
};

/// `POST openapp/agentsettings/query`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query<'a> {
    user_id: &'a str,
}

endpoint!(Fabric: Query<'_>, POST "agentsettings/query", ask, Style {
    operation: "agentsettings/query",
    path: "/apiaccess/CC-Management/v1/openapp/agentsettings/query",
    family: AGENT_SETTINGS,
    takes_caller_values: true,
} => Settings);

/// Answer of agentsettings/query: everything on top, beside the return code.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    id: Value,
    call_type: Text,
    caller_present: List<Text>,
    call_number: List<Text>,
    call_number_default: Text,
    caller_present_default: Text,
    agent_name: Text,
}

/// Gets one user's settings.
pub async fn get(
    fabric: &Arc<Client<Fabric>>,
    cx: &Context,
    name: &CallSettingsName,
    request: v1::GetUserCallSettingsRequest,
) -> Result<v1::UserCallSettings> {
    let view = request.view();
    let v1::GetUserCallSettingsRequest { name: _, view: _ } = request;
    let settings = fabric.call(cx, &Query { user_id: name.id() }).await.map_err(|error| match error.reason() {
        ErrorReason::ResourceNotFound => error.about(CallSettingsName::KIND, name),
        _ => error,
    })?;
    // Success without an ID is how the vendor says that there are none yet.
    if matches!(&settings.id, Value::Null) || settings.id.as_str() == Some("") {
        return Err(Error::not_found(CallSettingsName::KIND, name));
    }
    Ok(settings.into_resource(name, view))
}

// === impl Settings ===

impl Settings {
    fn into_resource(self, name: &CallSettingsName, view: v1::View) -> v1::UserCallSettings {
        let numbers = |numbers: List<Text>| numbers.into_iter().map(Text::into_string).collect();
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
            caller_ids: numbers(self.caller_present),
            default_caller_id: self.caller_present_default.into_string(),
            extension_numbers: numbers(self.call_number),
            default_extension_number: self.call_number_default.into_string(),
            agent_account: self.agent_name.into_string(),
            vendor_data,
        }
    }
}
