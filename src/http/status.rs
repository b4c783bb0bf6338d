//! What an HTTP status means in a response without the vendor's envelope.
//!
//! Four things differ: a refusal, an unknown outcome, an outage, and an address that is not the vendor's. Each vendor
//! has a table of the statuses that its document names; [`StatusMeaning::by_specification`] covers the others.

use http::StatusCode;

use super::Refusal;
use crate::error::ErrorReason;

/// What one HTTP status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusMeaning {
    /// The request was refused and had no effect.
    Refused(ErrorReason),
    /// The request was refused and had no effect; a read is retried.
    Busy,
    /// The request rate is limited, and the request had no effect; a read is retried.
    RateLimited,
    /// The vendor is unavailable, by its own word or a proxy's. A read is retried, and the outcome of a write is
    /// unknown. The circuit breaker counts this meaning alone.
    Outage,
    /// The outcome of a write is unknown. The reason is that of a read.
    Unknown(ErrorReason),
    /// Something else responds at the configured address or path, and the request had no effect. The text names the
    /// configuration's keys.
    WrongAddress(&'static str),
}

// === impl StatusMeaning ===

impl StatusMeaning {
    /// The meaning by RFC 9110, and by what proxies send; `None` for a 2xx status. `keys` are the configuration's keys
    /// of the address.
    pub fn by_specification(status: StatusCode, keys: &'static str) -> Option<Self> {
        Some(match status.as_u16() {
            200..=299 => return None,
            // Only the vendor's own envelope can say that a record is missing: a proxy and a wrong path respond so,
            // too.
            404 | 405 | 410 => Self::WrongAddress(keys),
            401 | 403 => Self::Refused(ErrorReason::VendorAuthFailed),
            // The account is unpaid, or a proxy requires credentials of its own.
            402 | 407 => Self::Refused(ErrorReason::CenterMisconfigured),
            408 | 421 | 425 => Self::Busy,
            429 => Self::RateLimited,
            400..=499 => Self::Refused(ErrorReason::VendorRejected),
            // Those beyond 511 are proxies' own: no response, or none in time, from the server behind them.
            502..=504 | 520..=530 | 598 | 599 => Self::Outage,
            500..=599 => Self::Unknown(ErrorReason::VendorInternal),
            _ => Self::Unknown(ErrorReason::VendorResponseInvalid),
        })
    }

    /// The refusal of a response with this status and text.
    pub fn refusal(self, message: String) -> Refusal {
        let (read, write) = match self {
            Self::Refused(reason) => (reason, reason),
            // A client library retries UNAVAILABLE by itself, and proxies use these statuses loosely: a customer must
            // not be rung twice.
            Self::Busy => (ErrorReason::VendorUnavailable, ErrorReason::VendorRejected),
            Self::RateLimited => (ErrorReason::VendorRateLimited, ErrorReason::VendorRateLimited),
            Self::Outage => (ErrorReason::VendorUnavailable, ErrorReason::VendorOutcomeUnknown),
            Self::Unknown(read) => (read, ErrorReason::VendorOutcomeUnknown),
            Self::WrongAddress(_) => (ErrorReason::CenterMisconfigured, ErrorReason::CenterMisconfigured),
        };
        Refusal { code: String::new(), message, read, write, status: Some(self) }
    }

    /// Whether a read may succeed when it is retried at once.
    pub(super) fn is_transient(self) -> bool {
        matches!(self, Self::Busy | Self::RateLimited | Self::Outage)
    }
}

/// What happened, by a status other than 2xx without the vendor's code; `None` where the reason says it.
pub(super) fn cause(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        100..=199 => "the response is informational (HTTP 1xx) and not final",
        300..=303 | 307 | 308 => "the response redirects to another address, which the gateway does not follow",
        304..=399 => "the response has an HTTP status that only a cache or a proxy can use (HTTP 3xx)",
        402 => "the server requires a payment",
        407 => "a proxy in front of the vendor requires credentials",
        408 => "the server did not receive the whole request in time",
        418 => "the server refused the request with HTTP 418, as firewalls do",
        421 => "the request reached a server that does not serve this address",
        425 => "the server does not process a request that may be replayed",
        500 => "the vendor reports an internal error",
        501 => "the vendor reports that it does not implement the request",
        502 => "a gateway in front of the vendor had no valid response from it",
        503 => "the vendor, or a gateway in front of it, is overloaded or in maintenance",
        504 => "a gateway in front of the vendor had no response from it in time",
        520..=530 | 598 | 599 => "a proxy in front of the vendor had no usable response from it",
        505..=599 => "the vendor reports a server error (HTTP 5xx)",
        600..=999 => "the response has an HTTP status outside of HTTP's range",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status whose outcome is unknown, or that is retried, says why; only 500 says that the vendor failed
    /// internally.
    #[test]
    fn each_status_has_a_cause_that_is_true() {
        for status in 100..1000 {
            let code = StatusCode::from_u16(status).unwrap();
            let meaning = StatusMeaning::by_specification(code, "");
            let cause = cause(code);
            let needs_cause =
                matches!(meaning, Some(StatusMeaning::Busy | StatusMeaning::Outage | StatusMeaning::Unknown(_)));
            assert!(!needs_cause || cause.is_some(), "{status}");
            assert!(meaning.is_some() || cause.is_none(), "{status}");
            let says = |words: &str| cause.is_some_and(|cause| cause.contains(words));
            assert_eq!(says("internal error"), status == 500, "{status}");
            assert_eq!(says("redirects to another"), matches!(status, 300..=303 | 307 | 308), "{status}");
            assert_eq!(says("informational"), (100..200).contains(&status), "{status}");
            assert_eq!(says("outside of HTTP's range"), status >= 600, "{status}");
            assert_eq!(says("HTTP 3xx"), matches!(status, 304..=306 | 309..=399), "{status}");
            assert_eq!(says("a gateway in front of the vendor had"), matches!(status, 502 | 504), "{status}");
            let is_outage = meaning == Some(StatusMeaning::Outage);
            let by_another = ["a gateway in front", "a proxy in front"].into_iter().any(says);
            assert_eq!(by_another, is_outage || status == 407, "{status}");
        }
    }

    #[test]
    fn what_a_status_without_a_code_means() {
        use ErrorReason::{
            CenterMisconfigured, VendorAuthFailed, VendorInternal, VendorOutcomeUnknown, VendorRateLimited,
            VendorRejected, VendorResponseInvalid, VendorUnavailable,
        };
        for status in 100..1000 {
            let expected = match status {
                200..300 => None,
                401 | 403 => Some((VendorAuthFailed, VendorAuthFailed)),
                429 => Some((VendorRateLimited, VendorRateLimited)),
                402 | 404 | 405 | 407 | 410 => Some((CenterMisconfigured, CenterMisconfigured)),
                408 | 421 | 425 => Some((VendorUnavailable, VendorRejected)),
                400..500 => Some((VendorRejected, VendorRejected)),
                502..505 | 520..531 | 598 | 599 => Some((VendorUnavailable, VendorOutcomeUnknown)),
                500..600 => Some((VendorInternal, VendorOutcomeUnknown)),
                _ => Some((VendorResponseInvalid, VendorOutcomeUnknown)),
            };
            let refusal = StatusMeaning::by_specification(StatusCode::from_u16(status).unwrap(), "keys")
                .map(|meaning| meaning.refusal(String::new()));
            assert_eq!(refusal.map(|refusal| (refusal.read, refusal.write)), expected, "{status}");
        }
    }

    #[test]
    fn no_status_of_a_client_error_leaves_the_outcome_of_a_write_unknown() {
        for status in 400..500 {
            let meaning = StatusMeaning::by_specification(StatusCode::from_u16(status).unwrap(), "").unwrap();
            let refusal = meaning.refusal(String::new());
            assert_ne!(refusal.write, ErrorReason::VendorOutcomeUnknown, "{status}");
            assert_ne!(refusal.write, ErrorReason::VendorUnavailable, "{status}");
        }
    }

    #[test]
    fn every_status_of_a_server_error_leaves_the_outcome_of_a_write_unknown() {
        for status in 500..600 {
            let meaning = StatusMeaning::by_specification(StatusCode::from_u16(status).unwrap(), "").unwrap();
            assert_eq!(meaning.refusal(String::new()).write, ErrorReason::VendorOutcomeUnknown, "{status}");
            let is_outage = matches!(status, 502..=504 | 520..=530 | 598 | 599);
            assert_eq!(meaning == StatusMeaning::Outage, is_outage, "{status}");
        }
    }

    #[test]
    fn every_status_has_one_meaning_after_a_read_and_one_after_a_write() {
        use ErrorReason::{
            CenterMisconfigured, VendorAuthFailed, VendorInternal, VendorOutcomeUnknown, VendorRateLimited,
            VendorRejected, VendorResponseInvalid, VendorUnavailable,
        };
        for status in 100..1000 {
            let expected = match status {
                200..=299 => None,
                402 | 404 | 405 | 407 | 410 => Some((CenterMisconfigured, CenterMisconfigured)),
                401 | 403 => Some((VendorAuthFailed, VendorAuthFailed)),
                408 | 421 | 425 => Some((VendorUnavailable, VendorRejected)),
                429 => Some((VendorRateLimited, VendorRateLimited)),
                400..500 => Some((VendorRejected, VendorRejected)),
                502..505 | 520..531 | 598 | 599 => Some((VendorUnavailable, VendorOutcomeUnknown)),
                500..600 => Some((VendorInternal, VendorOutcomeUnknown)),
                _ => Some((VendorResponseInvalid, VendorOutcomeUnknown)),
            };
            let meaning = StatusMeaning::by_specification(StatusCode::from_u16(status).unwrap(), "");
            let refusal = meaning.map(|meaning| meaning.refusal(String::new()));
            assert_eq!(refusal.map(|refusal| (refusal.read, refusal.write)), expected, "{status}");
        }
    }

    #[test]
    fn only_what_passes_by_itself_is_retried() {
        for status in 100..600 {
            let meaning = StatusMeaning::by_specification(StatusCode::from_u16(status).unwrap(), "");
            let passes = matches!(status, 408 | 421 | 425 | 429 | 502..=504 | 520..=530 | 598 | 599);
            assert_eq!(meaning.is_some_and(StatusMeaning::is_transient), passes, "{status}");
        }
    }
}
