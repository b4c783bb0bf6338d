//! What an HTTP status means without a return code: behind the API Fabric by the documents' lists of statuses, and for a token
//! request, of which no failure is documented (section A).

use http::StatusCode;

use super::api_fabric::Style;
use crate::{
    error::ErrorReason::{VendorAuthFailed, VendorInternal, VendorRejected, VendorUnavailable},
    http::StatusMeaning::{self, Refused, Unknown, WrongAddress},
};

/// The configuration's keys of the API Fabric's addresses, and of the token request's.
const FABRIC_KEYS: &str = "base_url and paths";
const TOKEN_KEYS: &str = "token_base_url and paths.tokenByAkSk";

/// The meaning of a status behind the API Fabric, with the vendor's text; `None` for a 2xx status.
pub fn meaning(status: StatusCode, style: &Style, text: &str) -> Option<StatusMeaning> {
    Some(match status.as_u16() {
        // "Incorrect request. Check the request path and parameters."
        400 if style.takes_caller_values => Refused(VendorRejected),
        400 => WrongAddress(FABRIC_KEYS),
        401 | 403 => Refused(VendorAuthFailed),
        404 if style.missing_is_404 => Refused(VendorRejected),
        // "The requested content is not found. Check the request path."
        404 | 410 => WrongAddress(FABRIC_KEYS),
        500 if is_business_failure(text) => Unknown(VendorRejected),
        500 => Unknown(VendorInternal),
        _ => return StatusMeaning::by_specification(status, FABRIC_KEYS),
    })
}

/// The meaning of a status of tokenByAkSk; `None` for a 2xx status. The request holds nothing of the caller's, so a refusal is
/// about the configuration, or passes.
pub fn of_token_request(status: StatusCode) -> Option<StatusMeaning> {
    Some(match status.as_u16() {
        401 | 403 => Refused(VendorAuthFailed),
        // The firewall in front of the vendor refuses with 418.
        418 | 500 | 501 | 505..=519 => Refused(VendorUnavailable),
        408 | 421 | 425 | 429 => return StatusMeaning::by_specification(status, TOKEN_KEYS),
        400..=499 => WrongAddress(TOKEN_KEYS),
        _ => return StatusMeaning::by_specification(status, TOKEN_KEYS),
    })
}

/// "Business failure. Check the values of parameters in the request."
fn is_business_failure(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("business failure") || text.contains("values of parameters")
}
