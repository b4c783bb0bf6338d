//! What the return codes of each family mean, by code and text (section B2).

use crate::error::ErrorReason::{
    self, CenterMisconfigured, ResourceNotFound, VendorCodeUnmapped, VendorInternal, VendorRejected,
};

/// The code of queryPhone that says there are no softphone numbers.
pub(super) const NO_MOBILE_AGENTS: &str = "2";

/// mobileAgent/*.
pub(super) fn mobile_agent(code: &str, _text: &str) -> ErrorReason {
    match code {
        // The gateway always sends limit and offset, so 4 is the vendor's fault.
        "1" | "4" => VendorInternal,
        NO_MOBILE_AGENTS => ResourceNotFound,
        "3" | "5" => CenterMisconfigured,
        _ => VendorCodeUnmapped,
    }
}

/// openapp/agentsettings/*, "other values: failure": the text says that there is nothing.
pub(super) fn agent_settings(_code: &str, text: &str) -> ErrorReason {
    let text = text.to_lowercase();
    let is_nothing = ["not exist", "not found", "no record", "no data"].iter().any(|words| text.contains(words));
    if is_nothing { ResourceNotFound } else { VendorRejected }
}

/// agentAccount/*, skill/*, accessCodeInfo/*, offline/*: the vendor refuses values.
pub(super) fn rejected(_code: &str, _text: &str) -> ErrorReason {
    VendorRejected
}

/// querySysInfo, queryAgentInfo: they have no code.
pub(super) fn unmapped(_code: &str, _text: &str) -> ErrorReason {
    VendorCodeUnmapped
}
