//! Errors of failed requests. The error depends on whether the operation is repeatable, and on whether the request may
//! have been sent.

use std::{borrow::Cow, time::Duration};

use super::{Failure, HttpResponse, Operation, Refusal, retry};
use crate::{
    context::Context,
    error::{Error, ErrorReason, Vendor},
    redact,
};

/// Retry delay when the vendor is unreachable or requests none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The cause when the caller disconnected before the request was sent.
pub(super) const CALLER_DISCONNECTED: &str = "the caller disconnected";

// === impl Failure ===

impl Failure {
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Whether the vendor responded.
    pub(super) fn is_response(&self) -> bool {
        matches!(self, Self::TooLarge | Self::Unreadable(_))
    }

    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::NotSent(cause) | Self::Broken(cause) | Self::Unreadable(cause) => cause,
            Self::TooLarge => "the response exceeds max_response_size",
        }
    }
}

/// The error of an attempt without a response.
pub(super) fn failed<S>(center: &str, operation: &Operation<S>, failure: &Failure) -> Error {
    let vendor = Vendor { operation: operation.name, ..Vendor::default() };
    tracing::warn!(center = center, operation = operation.name, cause = failure.cause(), "vendor request failed");
    match failure {
        Failure::NotSent(_) => Error::new(
            ErrorReason::VendorUnavailable,
            "the vendor is unreachable; nothing was sent: it is safe to retry",
        )
        .retry_after(DEFAULT_RETRY_AFTER),
        Failure::Broken(_) if operation.repeatable => {
            Error::new(ErrorReason::VendorUnavailable, "the connection to the vendor broke; it is safe to retry")
                .retry_after(DEFAULT_RETRY_AFTER)
        }
        Failure::TooLarge if operation.repeatable => {
            Error::new(ErrorReason::VendorResponseInvalid, "the vendor's response exceeds max_response_size")
        }
        Failure::Unreadable(cause) if operation.repeatable => {
            Error::new(ErrorReason::VendorResponseInvalid, format!("the vendor's response is not readable: {cause}"))
        }
        Failure::Broken(_) | Failure::TooLarge | Failure::Unreadable(_) => Error::outcome_unknown(failure.cause()),
    }
    .with("cause", failure.cause())
    .from_vendor(vendor)
}

/// The error of a request that the vendor refused.
pub(super) fn refused<S>(
    operation: &Operation<S>,
    response: &HttpResponse,
    refusal: Refusal,
    secrets: &[&str],
) -> Error {
    let reason = if operation.repeatable { refusal.read } else { refusal.write };
    let vendor = Vendor {
        operation: operation.name,
        message: redact::vendor_text(&refusal.message, secrets),
        code: redact::vendor_code(&refusal.code),
        http_status: Some(response.status.as_u16()),
    };
    let message: Cow<'static, str> = match reason {
        ErrorReason::VendorOutcomeUnknown => {
            return Error::outcome_unknown("the vendor reports an internal error").from_vendor(vendor);
        }
        ErrorReason::VendorAuthFailed => {
            "the vendor rejects the gateway's credentials; the operator must check this center's configuration".into()
        }
        ErrorReason::CenterMisconfigured => {
            "the vendor rejects this center's configuration; the operator must check it".into()
        }
        ErrorReason::VendorRateLimited => "the vendor limits the request rate".into(),
        ErrorReason::VendorUnavailable => "the vendor is unavailable".into(),
        ErrorReason::VendorTimeout => "the vendor reports a timeout".into(),
        ErrorReason::VendorInternal => "the vendor reports an internal error".into(),
        ErrorReason::VendorCodeUnmapped => "the vendor returned an undocumented code".into(),
        ErrorReason::VendorResponseInvalid => "the vendor's response contradicts itself".into(),
        _ if vendor.message.is_empty() => "the vendor refused the request".into(),
        _ => format!("the vendor refused the request: {}", vendor.message).into(),
    };
    let error = Error::new(reason, message).from_vendor(vendor);
    match (reason, retry::retry_after(&response.headers)) {
        (ErrorReason::VendorRateLimited | ErrorReason::VendorUnavailable, requested) => {
            error.retry_after(requested.unwrap_or(DEFAULT_RETRY_AFTER))
        }
        _ => error,
    }
}

/// The error of a request whose deadline passed. It depends on whether the request may have been sent.
pub(super) fn past_deadline<S>(cx: &Context, operation: &Operation<S>, may_have_been_sent: bool) -> Error {
    if may_have_been_sent {
        cx.mark_sent();
    }
    match (may_have_been_sent, operation.repeatable) {
        (false, _) => Error::deadline_before_send(),
        (true, true) => Error::new(
            ErrorReason::VendorTimeout,
            "the vendor did not respond before the deadline; it is safe to retry",
        ),
        (true, false) => Error::outcome_unknown("no response before the deadline").past_deadline(),
    }
    .from_vendor(Vendor { operation: operation.name, ..Vendor::default() })
}

/// The error of a response that cannot be read. The outcome of a write is then unknown.
pub(super) fn unreadable<S>(operation: &Operation<S>, response: Option<&HttpResponse>) -> Error {
    let vendor = Vendor {
        operation: operation.name,
        http_status: response.map(|response| response.status.as_u16()),
        ..Vendor::default()
    };
    if operation.repeatable {
        Error::new(ErrorReason::VendorResponseInvalid, "the vendor's response is not readable")
    } else {
        Error::outcome_unknown("the response is not readable")
    }
    .from_vendor(vendor)
}
