//! Return codes of `ccapi/v2`, one row per documented code, in the document's order (section "Return Code
//! Description").

use crate::{
    error::ErrorReason::{
        self, AgentStateConflict, CenterMisconfigured, ResourceExists, ResourceInUse, ResourceNotFound, RouteInvalid,
        VendorAuthFailed, VendorCodeUnmapped, VendorInternal, VendorOutcomeUnknown, VendorRejected, VendorTimeout,
        VendorUnavailable,
    },
    http::Refusal,
};

/// Success, in all three envelopes.
pub(super) const SUCCESS: &str = "000000";

/// A code, and its meaning after a read and after a write.
type Row = (&'static str, ErrorReason, ErrorReason);

/// Every documented code except success.
pub(super) const CODES: &[Row] = &[
    ("000001", VendorRejected, VendorRejected),           // Invalid parameter
    ("000035", VendorTimeout, VendorOutcomeUnknown),      // Request timeout
    ("000036", VendorRejected, VendorRejected),           // Incorrect request
    ("000060", VendorInternal, VendorOutcomeUnknown),     // Internal error
    ("100001", VendorRejected, VendorRejected),           // Parameter is empty
    ("100002", CenterMisconfigured, CenterMisconfigured), // App is invalid or forbidden
    ("100003", CenterMisconfigured, CenterMisconfigured), // Account not found
    ("100004", VendorRejected, VendorRejected),           // Incorrect message
    ("100005", ResourceNotFound, ResourceNotFound),       // Relay number not found
    ("100006", ResourceExists, ResourceExists),           // Name already exists
    ("100007", VendorRejected, VendorRejected),           // Voice not found: no resource of the contract
    ("100008", VendorRejected, VendorRejected),           // Invalid wav file
    ("100009", VendorRejected, VendorRejected),           // Wav file conversion failed
    ("100010", VendorInternal, VendorOutcomeUnknown),     // Failed to create default voice file
    ("100011", VendorInternal, VendorOutcomeUnknown),     // Failed to create new bucket
    ("100012", VendorInternal, VendorOutcomeUnknown),     // Failed to download file
    ("100013", VendorInternal, VendorOutcomeUnknown),     // Database initialization failed
    ("100014", VendorInternal, VendorOutcomeUnknown),     // Md5 check failed
    ("100015", ResourceExists, ResourceExists),           // Number exists
    ("100016", ResourceInUse, ResourceInUse),             // Voice binding agent
    ("100017", CenterMisconfigured, CenterMisconfigured), // App ID is empty
    ("100018", ResourceNotFound, ResourceNotFound),       // No records found
    ("100019", VendorRejected, VendorRejected),           // Parsing failed
    ("100020", RouteInvalid, RouteInvalid),               // Ivr not found
    ("100021", AgentStateConflict, AgentStateConflict),   // Invalid agent status
    ("100022", ResourceNotFound, ResourceNotFound),       // Ownership error: do not reveal whose it is
    ("200001", CenterMisconfigured, CenterMisconfigured), // This app does not exist
    ("200002", VendorRejected, VendorRejected),           // Parameter error
    ("200003", VendorUnavailable, VendorOutcomeUnknown),  // Service resolution error
    ("200004", ResourceNotFound, ResourceNotFound),       // No related records found
    ("200005", RouteInvalid, RouteInvalid),               // Start node error
    ("200006", RouteInvalid, RouteInvalid),               // Condition node error
    ("200007", RouteInvalid, RouteInvalid),               // Play node error
    ("200008", RouteInvalid, RouteInvalid),               // Voice collection node error
    ("200009", RouteInvalid, RouteInvalid),               // Queue node error
    ("200010", RouteInvalid, RouteInvalid),               // Webhook node error
    ("200011", RouteInvalid, RouteInvalid),               // Number collection node error
    ("200018", RouteInvalid, RouteInvalid),               // Hangup node error
    ("200019", ResourceExists, ResourceExists),           // This name already exists
    ("200020", VendorAuthFailed, VendorAuthFailed),       // Authentication error
    ("200021", VendorInternal, VendorOutcomeUnknown),     // Internal service error
    ("200022", RouteInvalid, RouteInvalid),               // Routing format error
    ("200023", VendorInternal, VendorOutcomeUnknown),     // Database error
    ("200024", RouteInvalid, RouteInvalid),               // Missing start or end node
];

/// The meaning of a code other than success.
pub(super) fn refusal(code: String, message: String) -> Refusal {
    let known = CODES.binary_search_by_key(&code.as_str(), |(known, ..)| known);
    let (read, write) = known.map_or((VendorCodeUnmapped, VendorCodeUnmapped), |row| (CODES[row].1, CODES[row].2));
    Refusal { code, message, read, write, status: None }
}

/// Whether a code is about a resource of this type in the contract. Others are about a voice file, or do not say what
/// they are about.
pub(super) fn is_about(code: &str, kind: &str) -> bool {
    match code {
        "100018" | "200004" => kind != "PhoneNumber",
        "100005" => kind == "PhoneNumber",
        "100006" | "100015" | "200019" => true,
        "100021" => kind == "Agent",
        _ => false,
    }
}

/// Whether a code is about the voice file of a queue's music.
pub(super) fn is_about_voice(code: &str) -> bool {
    matches!(code, "100007" | "100008" | "100009")
}

/// Whether a code means that there are no records (both generations, C13).
pub(super) fn is_no_records(code: &str) -> bool {
    matches!(code, "100018" | "200004")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_whole() {
        assert!(CODES.is_sorted_by_key(|(code, ..)| code));
        // 45 documented codes, one of which is success.
        assert_eq!(CODES.len(), 44);
    }

    #[test]
    fn an_undocumented_code_is_returned_unchanged() {
        let refusal = refusal("300000".into(), "new".into());
        assert_eq!((refusal.read, refusal.code.as_str()), (VendorCodeUnmapped, "300000"));
    }
}
