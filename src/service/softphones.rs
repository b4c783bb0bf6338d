//! Softphones: addresses, passwords, users' outbound-call settings.

use super::mask::{self, Path};
use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::{Error, ErrorReason, Result},
    name::{AgentName, CallSettingsName, CenterName, SoftphoneConfigName},
    page::Page,
    proto::v1::{
        AccessSoftphoneCredentialsRequest, AccessSoftphoneCredentialsResponse, GetSoftphoneConfigRequest,
        GetUserCallSettingsRequest, OutboundCallType, SoftphoneConfig, UpdateUserCallSettingsRequest, UserCallSettings,
        View,
    },
};

/// Most numbers a user may have of a kind.
const NUMBERS: usize = 5;

pub async fn get_softphone_config(
    centers: &Centers,
    cx: &Context,
    request: GetSoftphoneConfigRequest,
) -> Result<SoftphoneConfig> {
    let mut check = Check::new();
    let name: SoftphoneConfigName = check.name("name", &request.name);
    check.done()?;
    centers.get(cx, &name)?.adapter.get_softphone_config(cx, name.parent().clone()).await
}

pub async fn access_softphone_credentials(
    centers: &Centers,
    cx: &Context,
    mut request: AccessSoftphoneCredentialsRequest,
) -> Result<AccessSoftphoneCredentialsResponse> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    check.page_size(request.page_size);
    let agent: Option<AgentName> = check.optional_name("agent", &request.agent);
    check.done()?;
    let center = centers.get(cx, &parent)?;
    let page = Page::take(cx.method(), &mut request)?;
    if !center.expose_credentials {
        return Err(Error::new(
            ErrorReason::AccessDenied,
            "this center gives no passwords away; whoever runs the gateway can set expose_credentials",
        ));
    }
    center.adapter.access_softphone_credentials(cx, parent, agent, page).await
}

pub async fn get_user_call_settings(
    centers: &Centers,
    cx: &Context,
    request: GetUserCallSettingsRequest,
) -> Result<UserCallSettings> {
    let mut check = Check::new();
    let name: CallSettingsName = check.name("name", &request.name);
    check.known::<View>("view", request.view);
    check.done()?;
    centers.get(cx, &name)?.adapter.get_user_call_settings(cx, name, request).await
}

pub async fn update_user_call_settings(
    centers: &Centers,
    cx: &Context,
    request: UpdateUserCallSettingsRequest,
) -> Result<UserCallSettings> {
    let UpdateUserCallSettingsRequest { user_call_settings, update_mask, allow_missing } = request;
    let mut check = Check::new();
    let settings = check.message("user_call_settings", user_call_settings);
    let name: CallSettingsName = check.name("user_call_settings.name", &settings.name);
    check.known::<OutboundCallType>("user_call_settings.call_type", settings.call_type);
    check.count("user_call_settings.caller_ids", settings.caller_ids.len(), (0, NUMBERS));
    check.count("user_call_settings.extension_numbers", settings.extension_numbers.len(), (0, NUMBERS));
    let paths = [
        Path::needed("call_type", settings.call_type != 0),
        Path::clearing("caller_ids", !settings.caller_ids.is_empty()),
        Path::clearing("default_caller_id", !settings.default_caller_id.is_empty()),
        Path::clearing("extension_numbers", !settings.extension_numbers.is_empty()),
        Path::clearing("default_extension_number", !settings.default_extension_number.is_empty()),
    ];
    let mask = mask::paths(&mut check, "user_call_settings", update_mask.as_ref(), &paths);
    check.done()?;
    centers
        .get(cx, &name)?
        .write(cx, async move |adapter, cx| {
            adapter.update_user_call_settings(&cx, name, settings, mask, allow_missing).await
        })
        .await
}
