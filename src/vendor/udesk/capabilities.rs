//! What a Udesk center can do.

use super::{NAME, formats::FIELD_FORMATS};
use crate::{
    capability::{self, Row},
    proto::v1,
};

/// In the contract's order.
const ROWS: &[Row] = &[
    Row::native("ListPhoneNumbers").never_fills(&["phone_numbers.vendor_data"]),
    Row::native("ListAgents")
        .never_fills(&["agents.login_account", "agents.login_password", "agents.provisioned_extensions"])
        .limited("state can only be OFFLINE, the one state whose code Udesk documents; vendor_state takes any code"),
    Row::native("GetAgent").never_fills(&["login_account", "login_password", "provisioned_extensions"]),
    Row::native("LoginAgent")
        .refuses(&["phone_number"])
        .limited("Udesk does not say which of its two states is READY; vendor_data.state takes its number"),
    Row::native("LogoutAgent"),
    Row::native("ListQueues"),
    Row::native("CreateQueue")
        .refuses(&["queue.strategy", "queue.wait_timeout", "queue.vendor_data"])
        .requires(&["queue.display_name"])
        .never_fills(&["strategy", "wait_timeout", "vendor_data"]),
    Row::native("StartCallback"),
];

/// Everything in one answer; the caller fills in the name.
pub fn capabilities() -> v1::Capabilities {
    v1::Capabilities {
        name: String::new(),
        vendor: NAME.to_owned(),
        methods: capability::methods(ROWS),
        event_types: Vec::new(),
        queue_strategies: Vec::new(),
        field_formats: capability::formats(FIELD_FORMATS),
    }
}
