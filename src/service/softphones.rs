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

/// At most this many numbers per list.
const NUMBERS: usize = 5;

pub(super) async fn get_softphone_config(
    centers: &Centers,
    cx: &Context,
    request: GetSoftphoneConfigRequest,
) -> Result<SoftphoneConfig> {
    let GetSoftphoneConfigRequest { name } = request;
    let mut check = Check::new();
    let name: SoftphoneConfigName = check.name("name", &name);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.adapter.get_softphone_config(cx, name.into()).await
}

pub(super) async fn access_softphone_credentials(
    centers: &Centers,
    cx: &Context,
    mut request: AccessSoftphoneCredentialsRequest,
) -> Result<AccessSoftphoneCredentialsResponse> {
    // Page::take reads the token.
    let AccessSoftphoneCredentialsRequest { parent, page_size, page_token: _, agent } = &request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.page_size(*page_size);
    let agent: Option<AgentName> = check.optional_name("agent", agent);
    check.hand_over(cx)?;
    let center = centers.get(cx, &parent)?;
    let page = Page::take(cx.method(), &mut request)?;
    if !center.expose_credentials {
        return Err(Error::new(
            ErrorReason::AccessDenied,
            "this center does not return passwords; the operator can set expose_credentials",
        ));
    }
    center.adapter.access_softphone_credentials(cx, parent, agent, page).await
}

pub(super) async fn get_user_call_settings(
    centers: &Centers,
    cx: &Context,
    request: GetUserCallSettingsRequest,
) -> Result<UserCallSettings> {
    let GetUserCallSettingsRequest { name, view } = &request;
    let mut check = Check::new();
    let name: CallSettingsName = check.name("name", name);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.adapter.get_user_call_settings(cx, name, request).await
}

pub(super) async fn update_user_call_settings(
    centers: &Centers,
    cx: &Context,
    request: UpdateUserCallSettingsRequest,
) -> Result<UserCallSettings> {
    let UpdateUserCallSettingsRequest { user_call_settings, update_mask, allow_missing } = request;
    let mut check = Check::new();
    let settings = check.message("user_call_settings", user_call_settings);
    let name: CallSettingsName = check.name("user_call_settings.name", &settings.name);
    let paths = call_settings_fields(&mut check, &settings);
    let mask = mask::paths(&mut check, "user_call_settings", update_mask.as_ref(), &paths);
    check.hand_over(cx)?;
    centers
        .get(cx, &name)?
        .write(cx, async move |adapter, cx| {
            adapter.update_user_call_settings(&cx, name, settings, mask, allow_missing).await
        })
        .await
}

/// Validates the fields of changed settings and returns the paths that `UpdateUserCallSettings` can change. The
/// contract ignores output-only fields.
fn call_settings_fields(check: &mut Check, settings: &UserCallSettings) -> [Path; 6] {
    let UserCallSettings {
        name: _,
        call_type,
        caller_ids,
        default_caller_id,
        extension_numbers,
        default_extension_number,
        agent_account: _,
        vendor_data, // the vendor validates its keys
    } = settings;
    check.known::<OutboundCallType>("user_call_settings.call_type", *call_type);
    check.count("user_call_settings.caller_ids", caller_ids.len(), (0, NUMBERS));
    check.count("user_call_settings.extension_numbers", extension_numbers.len(), (0, NUMBERS));
    [
        Path::needed("call_type", *call_type != 0),
        Path::clearing("caller_ids", !caller_ids.is_empty()),
        Path::clearing("default_caller_id", !default_caller_id.is_empty()),
        Path::clearing("extension_numbers", !extension_numbers.is_empty()),
        Path::clearing("default_extension_number", !default_extension_number.is_empty()),
        Path::needed("vendor_data", vendor_data.is_some()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_mask_exactly_the_settings_that_are_set_change() {
        type Set = fn(&mut UserCallSettings);
        let sets: [(&str, Set); 6] = [
            ("call_type", |settings| settings.call_type = OutboundCallType::Direct.into()),
            ("caller_ids", |settings| settings.caller_ids = vec!["01055500100".into()]),
            ("default_caller_id", |settings| settings.default_caller_id = "01055500100".into()),
            ("extension_numbers", |settings| settings.extension_numbers = vec!["8001".into()]),
            ("default_extension_number", |settings| settings.default_extension_number = "8001".into()),
            ("vendor_data", |settings| settings.vendor_data = Some(prost_types::Struct::default())),
        ];
        for (field, set) in sets {
            let mut settings = UserCallSettings::default();
            set(&mut settings);
            let mut check = Check::new();
            let paths = call_settings_fields(&mut check, &settings);
            assert_eq!(mask::paths(&mut check, "user_call_settings", None, &paths), [field]);
            check.done().unwrap();
        }
    }
}
