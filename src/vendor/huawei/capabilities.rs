//! What a Huawei center can do.

use super::NAME;
use crate::{
    capability::{self, Row},
    proto::v1,
};

/// In the contract's order.
const ROWS: &[Row] = &[
    Row::native("ListExtensions").never_fills(&[
        "extensions.protocol",
        "extensions.agent",
        "extensions.initial_password",
    ]),
    Row::native("GetSoftphoneConfig"),
    Row::native("AccessSoftphoneCredentials")
        .never_fills(&["credentials.protocol"])
        .limited("agents first, then softphone numbers; Huawei does not say which number is which agent's"),
    Row::native("GetUserCallSettings"),
];

/// Everything in one answer; the caller fills in the name.
pub fn capabilities() -> v1::Capabilities {
    v1::Capabilities {
        name: String::new(),
        vendor: NAME.to_owned(),
        methods: capability::methods(ROWS),
        event_types: Vec::new(),
        queue_strategies: Vec::new(),
        field_formats: Vec::new(),
    }
}
