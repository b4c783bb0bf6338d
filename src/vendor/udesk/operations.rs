//! How each operation spells its parameters and wraps its response.

use super::{ccapi::Style, envelope};

const JSON: Option<&str> = Some("application/json;charset=utf-8");

/// Udesk 01, 06, 11, 21, 25, 26: reads.
pub(crate) const READ: Style =
    Style { app_id: "AppId", message_id: false, content_type: None, envelope: envelope::Kind::Result };
/// Udesk 02 to 05, 07 to 10, 12 to 19: writes with JSON; 03 has the content type without a body.
pub(super) const WRITE: Style = Style { content_type: JSON, ..READ };
/// Udesk 20: the content type of a form, without a body.
pub(super) const UNSUBSCRIBE: Style = Style { content_type: Some("application/x-www-form-urlencoded"), ..READ };
/// Udesk 22.
pub(crate) const SIGN_IN: Style = Style { message_id: true, envelope: envelope::Kind::Message, ..WRITE };
/// Udesk 23.
pub(super) const SIGN_OUT: Style = Style { app_id: "app_id", ..SIGN_IN };
/// Udesk 24.
pub(crate) const CALLBACK: Style =
    Style { app_id: "app_id", message_id: false, content_type: JSON, envelope: envelope::Kind::Results };
