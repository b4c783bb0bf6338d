//! What a request that came to nothing means: it depends on whether the operation is repeatable, and on whether anything
//! left.

use std::{borrow::Cow, time::Duration};

use super::{Failure, HttpResponse, Operation, Refusal, retry};
use crate::{
    context::Context,
    error::{Error, ErrorReason, Vendor},
    redact,
};

/// When to ask again after a vendor that could not be reached.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The cause of a request that was called off.
pub(super) const CALLER_GONE: &str = "the caller disconnected";

// === impl Failure ===

impl Failure {
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
        }
    }

    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::NotSent(cause) | Self::Broken(cause) => cause,
            Self::TooLarge => "the response exceeds max_response_size",
        }
    }
}

/// What a caller is told of an attempt that brought no answer.
pub(super) fn failed<S>(center: &str, operation: &Operation<S>, failure: &Failure) -> Error {
    let vendor = Vendor { operation: operation.name, ..Vendor::default() };
    tracing::warn!(center = center, operation = operation.name, cause = failure.cause(), "vendor request failed");
    match failure {
        Failure::NotSent(_) => Error::new(
            ErrorReason::VendorUnavailable,
            "the vendor is unreachable; nothing was sent: it is safe to retry",
        )
        .retry_after(ASK_AGAIN),
        Failure::Broken(_) if operation.repeatable => {
            Error::new(ErrorReason::VendorUnavailable, "the connection to the vendor broke; it is safe to retry")
                .retry_after(ASK_AGAIN)
        }
        Failure::TooLarge if operation.repeatable => {
            Error::new(ErrorReason::VendorResponseInvalid, "the vendor's response exceeds max_response_size")
        }
        Failure::Broken(_) | Failure::TooLarge => Error::outcome_unknown(failure.cause()),
    }
    .with("cause", failure.cause())
    .from_vendor(vendor)
}

pub(super) fn refused<S>(operation: &Operation<S>, reply: &HttpResponse, refusal: Refusal, secrets: &[&str]) -> Error {
    let reason = if operation.repeatable { refusal.read } else { refusal.write };
    let vendor = Vendor {
        operation: operation.name,
        message: redact::vendor_text(&refusal.message, secrets),
        code: redact::vendor_code(&refusal.code),
        http_status: Some(reply.status.as_u16()),
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
    match (reason, retry::retry_after(&reply.headers)) {
        (ErrorReason::VendorRateLimited | ErrorReason::VendorUnavailable, asked) => {
            error.retry_after(asked.unwrap_or(ASK_AGAIN))
        }
        _ => error,
    }
}

pub(super) fn past_deadline<S>(cx: &Context, operation: &Operation<S>, left: bool) -> Error {
    if left {
        cx.mark_sent();
    }
    match (left, operation.repeatable) {
        (false, _) => Error::deadline_before_send(),
        (true, true) => Error::new(
            ErrorReason::VendorTimeout,
            "the vendor did not respond before the deadline; it is safe to retry",
        ),
        (true, false) => Error::outcome_unknown("no response before the deadline").past_deadline(),
    }
    .from_vendor(Vendor { operation: operation.name, ..Vendor::default() })
}

/// An answer that cannot be read: after a read that is all there is to say, after a write the outcome is unknown.
pub(super) fn unreadable<S>(operation: &Operation<S>, reply: Option<&HttpResponse>) -> Error {
    let vendor = Vendor {
        operation: operation.name,
        http_status: reply.map(|reply| reply.status.as_u16()),
        ..Vendor::default()
    };
    if operation.repeatable {
        Error::new(ErrorReason::VendorResponseInvalid, "the vendor's response is not readable")
    } else {
        Error::outcome_unknown("the response is not readable")
    }
    .from_vendor(vendor)
}
