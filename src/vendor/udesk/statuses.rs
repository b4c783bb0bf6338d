//! What an HTTP status means without an envelope: the document's list (section "HTTP Status Code"), and the HTTP
//! specification for the others.

use http::StatusCode;

use crate::{
    error::ErrorReason::{ResourceNotFound, VendorAuthFailed, VendorInternal, VendorRejected},
    http::StatusMeaning::{self, Refused, Unknown, WrongAddress},
};

/// The configuration's keys of the address.
const KEYS: &str = "base_url";

/// The meaning of a status; `None` for a 2xx status. `names_record` is whether the request names a record of the caller's: only
/// then can a 404 be about a record.
pub fn meaning(status: StatusCode, names_record: bool) -> Option<StatusMeaning> {
    Some(match status.as_u16() {
        // "The server did not perform any new creation or modification operations."
        400 | 406 | 422 => Refused(VendorRejected),
        401 | 403 => Refused(VendorAuthFailed),
        // "The request is for a non-existent record, and the server did not perform any operations."
        404 | 410 if names_record => Refused(ResourceNotFound),
        404 | 410 => WrongAddress(KEYS),
        // "Will not be able to determine if the request was successful."
        500 => Unknown(VendorInternal),
        _ => return StatusMeaning::by_specification(status, KEYS),
    })
}
