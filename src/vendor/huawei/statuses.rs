//! The meaning of an HTTP status without a return code: behind the API Fabric by the documents' lists of statuses, and
//! for a token request, whose failures are not documented (section A).

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
pub(super) fn meaning(status: StatusCode, style: &Style, text: &str) -> Option<StatusMeaning> {
    Some(match status.as_u16() {
        // "Incorrect request. Check the request path and parameters."
        400 if style.takes_caller_values => Refused(VendorRejected),
        401 | 403 => Refused(VendorAuthFailed),
        // "The requested content is not found. Check the request path." is the document's sentence for 404, too.
        400 => WrongAddress(FABRIC_KEYS),
        500 if is_business_failure(text) => Unknown(VendorRejected),
        500 => Unknown(VendorInternal),
        _ => return StatusMeaning::by_specification(status, FABRIC_KEYS),
    })
}

/// The meaning of a status of tokenByAkSk; `None` for a 2xx status. The request contains no caller's value, so a
/// refusal is about the configuration or temporary.
pub(super) fn of_token_request(status: StatusCode) -> Option<StatusMeaning> {
    Some(match status.as_u16() {
        401 | 403 => Refused(VendorAuthFailed),
        // The firewall in front of the vendor refuses with 418.
        418 | 500 | 501 | 505..=519 | 531..=597 => Refused(VendorUnavailable),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorReason::{self, VendorResponseInvalid};

    /// A caller can repeat a call whose token request failed at the vendor: nothing of the call was sent.
    #[test]
    fn every_5xx_to_a_token_request_is_a_vendor_that_is_unavailable() {
        for status in 500..600 {
            let meaning = of_token_request(StatusCode::from_u16(status).unwrap()).unwrap();
            assert_eq!(meaning.refusal(String::new()).read, VendorUnavailable, "{status}");
        }
        let read =
            |status| of_token_request(StatusCode::from_u16(status).unwrap()).unwrap().refusal(String::new()).read;
        let expected: [(u16, ErrorReason); 3] =
            [(304, VendorResponseInvalid), (418, VendorUnavailable), (403, VendorAuthFailed)];
        for (status, reason) in expected {
            assert_eq!(read(status), reason, "{status}");
        }
    }
}
