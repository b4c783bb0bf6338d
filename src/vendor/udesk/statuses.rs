//! The meaning of an HTTP status without an envelope: the document's list (section "HTTP Status Code"), and the HTTP
//! specification for the others.

use http::StatusCode;

use crate::{
    error::ErrorReason::{VendorAuthFailed, VendorInternal, VendorRejected},
    http::StatusMeaning::{self, Refused, Unknown},
};

/// The configuration's keys of the address.
const KEYS: &str = "base_url";

/// The meaning of a status; `None` for a 2xx status. "404: a non-existent record" is true of a response with an
/// envelope, which every failure of the document has: without one, a proxy or another server responded.
pub(super) fn meaning(status: StatusCode) -> Option<StatusMeaning> {
    Some(match status.as_u16() {
        // "The server did not perform any new creation or modification operations."
        400 | 406 | 422 => Refused(VendorRejected),
        401 | 403 => Refused(VendorAuthFailed),
        // "Will not be able to determine if the request was successful."
        500 => Unknown(VendorInternal),
        _ => return StatusMeaning::by_specification(status, KEYS),
    })
}
