//! Errors of failed requests. The error depends on whether the operation is repeatable, and on whether the request may
//! have been sent.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;

use super::{Failure, HttpResponse, Operation, Refusal, StatusMeaning, status};
use crate::{
    context::Context,
    error::{Error, ErrorReason, Vendor},
    redact,
};

/// Retry delay when the vendor is unreachable or requests none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

const NO_RESPONSE: &str = "no response before the deadline";

/// The cause when the caller disconnected before the request was sent.
pub(super) const CALLER_DISCONNECTED: &str = "the caller disconnected";

/// The cause when the vendor closed an idle connection while a request was about to be sent over it.
pub(super) const CONNECTION_CLOSED: &str = "the connection closed before the request was sent";

// === impl Failure ===

impl Failure {
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent(_) | Self::Misconfigured(_) => "not_sent",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
            Self::Unreadable(_) => "unreadable",
        }
    }

    fn cause<S>(&self, operation: &Operation<S>) -> &'static str {
        match self {
            Self::NotSent(cause) | Self::Misconfigured(cause) | Self::Broken(cause) | Self::Unreadable(cause) => cause,
            Self::TooLarge if operation.is_list => "the response exceeds max_list_size",
            Self::TooLarge => "the response exceeds max_response_size",
        }
    }
}

/// The error of an attempt without a response.
pub(super) fn failed<S>(center: &str, operation: &Operation<S>, failure: &Failure) -> Error {
    let vendor = Vendor { operation: operation.name, ..Vendor::default() };
    let cause = failure.cause(operation);
    tracing::warn!(center = center, operation = operation.name, cause, "vendor request failed");
    match failure {
        Failure::NotSent(_) => Error::new(
            ErrorReason::VendorUnavailable,
            "the vendor is unreachable; nothing was sent: it is safe to retry",
        )
        .retry_after(DEFAULT_RETRY_AFTER),
        Failure::Misconfigured(cause) => Error::new(
            ErrorReason::CenterMisconfigured,
            format!("no connection to the vendor: {cause}; nothing was sent, and the operator must act before a retry"),
        ),
        Failure::Broken(_) if operation.repeatable => {
            Error::new(ErrorReason::VendorUnavailable, "the connection to the vendor broke; it is safe to retry")
                .retry_after(DEFAULT_RETRY_AFTER)
        }
        Failure::TooLarge if operation.repeatable => {
            let key = if operation.is_list { "max_list_size" } else { "max_response_size" };
            let message = format!("the vendor's response exceeds {key}; the operator can raise it");
            Error::new(ErrorReason::VendorResponseInvalid, message)
        }
        Failure::Unreadable(cause) if operation.repeatable => {
            Error::new(ErrorReason::VendorResponseInvalid, format!("the vendor's response is not readable: {cause}"))
        }
        Failure::Broken(_) | Failure::TooLarge | Failure::Unreadable(_) => Error::outcome_unknown(cause),
    }
    .with("cause", cause)
    .from_vendor(vendor)
}

/// The error of a request that the vendor refused, with the delay that it requested.
pub(super) fn refused<S>(
    operation: &Operation<S>,
    response: &HttpResponse,
    refusal: Refusal,
    requested: Option<Duration>,
    secrets: &[&str],
) -> Error {
    let reason = refusal.reason(operation.repeatable);
    let vendor = Vendor {
        operation: operation.name,
        message: redact::vendor_text(&refusal.message, secrets),
        code: redact::vendor_code(&refusal.code),
        http_status: Some(response.status.as_u16()),
    };
    let cause = cause(response.status, &refusal);
    let message: Cow<'static, str> = match reason {
        ErrorReason::VendorOutcomeUnknown => {
            return Error::outcome_unknown(cause.unwrap_or("the vendor reports a failure")).from_vendor(vendor);
        }
        ErrorReason::VendorAuthFailed => {
            "the vendor rejects the gateway's credentials; the operator must check this center's configuration".into()
        }
        ErrorReason::CenterMisconfigured => match refusal.status {
            Some(StatusMeaning::WrongAddress(keys)) => format!(
                "the configured address does not serve the vendor's API (HTTP {}); the operator must check {keys}",
                response.status.as_u16()
            )
            .into(),
            _ => "the vendor rejects this center's configuration; the operator must check it".into(),
        },
        ErrorReason::VendorRateLimited => "the vendor limits the request rate".into(),
        ErrorReason::VendorUnavailable => "the vendor is unavailable".into(),
        ErrorReason::VendorTimeout => "the vendor reports a timeout".into(),
        ErrorReason::VendorInternal => cause.unwrap_or("the vendor reports an internal error").into(),
        ErrorReason::VendorCodeUnmapped => "the vendor returned an undocumented code".into(),
        ErrorReason::VendorResponseInvalid => match cause {
            Some(cause) => format!("the vendor's response is not readable: {cause}").into(),
            None => "the vendor's response contradicts itself".into(),
        },
        _ if vendor.message.is_empty() => "the vendor refused the request".into(),
        _ => format!("the vendor refused the request: {}", vendor.message).into(),
    };
    let error = Error::new(reason, message).from_vendor(vendor);
    let error = match cause {
        Some(cause) if refusal.status.is_some() => error.with("cause", cause),
        _ => error,
    };
    match reason {
        ErrorReason::VendorRateLimited | ErrorReason::VendorUnavailable => {
            error.retry_after(requested.unwrap_or(DEFAULT_RETRY_AFTER))
        }
        _ => error,
    }
}

/// What happened: by the HTTP status, or by the vendor's code.
fn cause(status: StatusCode, refusal: &Refusal) -> Option<&'static str> {
    if refusal.status.is_some() {
        return status::cause(status);
    }
    Some(match refusal.read {
        ErrorReason::VendorInternal => "the vendor reports an internal error",
        ErrorReason::VendorTimeout => "the vendor reports a timeout",
        ErrorReason::VendorUnavailable => "the vendor reports that a service of its own is unavailable",
        _ if status.is_server_error() => {
            "the vendor returned an error code under HTTP 5xx, which leaves the outcome of a write unknown"
        }
        _ => return None,
    })
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
        )
        .with("cause", NO_RESPONSE),
        (true, false) => Error::outcome_unknown(NO_RESPONSE).past_deadline(),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::{HeaderMap, Method, StatusCode};
    use tokio::time::Instant;
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    fn operation(repeatable: bool) -> Operation<()> {
        Operation { name: "POST /queues", method: Method::POST, repeatable, is_list: false, style: () }
    }

    fn call() -> Context {
        Context::new("CreateQueue", String::new(), Instant::now())
    }

    /// Reason, cause and pause of the error, and what it says of the vendor.
    fn reported(error: Error) -> (ErrorReason, String, Option<Duration>, [String; 2]) {
        let reason = error.reason();
        let status = error.into_status(&call());
        let mut info = status.get_details_error_info().unwrap().metadata;
        let mut take = |key: &str| info.remove(key).unwrap_or_default();
        let (cause, vendor) = (take("cause"), [take("vendorOperation"), take("vendorHttpStatus")]);
        (reason, cause, status.get_details_retry_info().and_then(|retry| retry.retry_delay), vendor)
    }

    #[test]
    fn what_a_failed_attempt_means_depends_on_what_may_have_been_done() {
        use ErrorReason::{VendorOutcomeUnknown, VendorResponseInvalid, VendorUnavailable};
        let large = "the response exceeds max_response_size";
        let list = Operation { is_list: true, ..operation(true) };
        assert_eq!(Failure::TooLarge.cause(&list), "the response exceeds max_list_size");
        for (failure, read, write, cause, outcome) in [
            (Failure::NotSent("no way"), VendorUnavailable, VendorUnavailable, "no way", "not_sent"),
            (Failure::Broken("broke"), VendorUnavailable, VendorOutcomeUnknown, "broke", "broken"),
            (Failure::TooLarge, VendorResponseInvalid, VendorOutcomeUnknown, large, "too_large"),
        ] {
            assert_eq!((failure.outcome(), failure.cause(&operation(true))), (outcome, cause));
            for (repeatable, reason) in [(true, read), (false, write)] {
                let pause = (reason == VendorUnavailable).then_some(DEFAULT_RETRY_AFTER);
                let vendor = ["POST /queues".to_owned(), String::new()];
                assert_eq!(
                    reported(failed("acme", &operation(repeatable), &failure)),
                    (reason, cause.into(), pause, vendor)
                );
            }
        }
    }

    #[test]
    fn each_meaning_of_a_refusal_has_words_of_its_own() {
        let response =
            HttpResponse { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body: bytes::Bytes::new() };
        let refused = |reason, message: &str, requested| {
            refused(
                &operation(true),
                &response,
                Refusal { code: "4711".into(), message: message.into(), read: reason, write: reason, status: None },
                requested,
                &[],
            )
        };
        let mut messages = BTreeSet::new();
        for reason in [
            ErrorReason::VendorOutcomeUnknown,
            ErrorReason::VendorAuthFailed,
            ErrorReason::CenterMisconfigured,
            ErrorReason::VendorRateLimited,
            ErrorReason::VendorUnavailable,
            ErrorReason::VendorTimeout,
            ErrorReason::VendorInternal,
            ErrorReason::VendorCodeUnmapped,
            ErrorReason::VendorResponseInvalid,
        ] {
            let error = refused(reason, "its own words", None);
            assert!(!error.message().contains("its own words"), "{}", error.message());
            assert!(messages.insert(error.message().to_owned()), "{}", error.message());
            let (reported, _, pause, vendor) = reported(error);
            assert_eq!((reported, vendor), (reason, ["POST /queues".to_owned(), "400".to_owned()]));
            let may_come_again = matches!(reason, ErrorReason::VendorRateLimited | ErrorReason::VendorUnavailable);
            assert_eq!(pause, may_come_again.then_some(DEFAULT_RETRY_AFTER));
        }
        // For any other, the vendor's text says most, if there is one.
        let own = refused(ErrorReason::VendorRejected, "its own words", None);
        assert!(own.message().ends_with(": its own words"), "{}", own.message());
        let none = refused(ErrorReason::VendorRejected, "", None);
        assert!(!none.message().contains(':') && messages.insert(none.message().to_owned()), "{}", none.message());

        let pause = |reason| reported(refused(reason, "", Some(Duration::from_secs(30)))).2;
        assert_eq!(pause(ErrorReason::VendorRateLimited), Some(Duration::from_secs(30)));
        assert_eq!(pause(ErrorReason::VendorRejected), None);
    }

    #[test]
    fn a_refusal_means_one_thing_after_a_read_and_one_after_a_write() {
        let response =
            HttpResponse { status: StatusCode::BAD_GATEWAY, headers: HeaderMap::new(), body: bytes::Bytes::new() };
        let reason = |repeatable| {
            let refusal = StatusMeaning::by_specification(response.status, "").unwrap().refusal(String::new());
            refused(&operation(repeatable), &response, refusal, None, &[]).reason()
        };
        assert_eq!((reason(true), reason(false)), (ErrorReason::VendorUnavailable, ErrorReason::VendorOutcomeUnknown));
    }

    /// The cause is what happened, whatever the reason; the reason stays that of the status.
    #[test]
    fn each_status_says_what_happened_after_a_read_and_after_a_write() {
        for status in (100..1000).filter(|status| !(200..300).contains(status)) {
            let status = StatusCode::from_u16(status).unwrap();
            let response = HttpResponse { status, headers: HeaderMap::new(), body: bytes::Bytes::new() };
            let meaning = StatusMeaning::by_specification(status, "base_url").unwrap();
            for repeatable in [true, false] {
                let refusal = meaning.refusal(String::new());
                let expected = refusal.reason(repeatable);
                let error = refused(&operation(repeatable), &response, refusal, None, &[]);
                let message = error.message().to_owned();
                let (reason, cause, _, vendor) = reported(error);
                assert_eq!((reason, vendor[1].as_str()), (expected, status.as_str()));
                assert_eq!(cause, super::status::cause(status).unwrap_or_default(), "{status}");
                assert!(!message.contains("internal error") || status == 500, "{status}: {message}");
                assert!(!message.contains("contradicts"), "{status}: {message}");
            }
        }
    }

    #[test]
    fn a_code_says_what_happened_where_the_outcome_is_unknown() {
        let response = |status| HttpResponse { status, headers: HeaderMap::new(), body: bytes::Bytes::new() };
        for (read, status, cause) in [
            (ErrorReason::VendorInternal, 200, "the vendor reports an internal error"),
            (ErrorReason::VendorTimeout, 200, "the vendor reports a timeout"),
            (ErrorReason::VendorUnavailable, 200, "the vendor reports that a service of its own is unavailable"),
            (
                ErrorReason::VendorRejected,
                500,
                "the vendor returned an error code under HTTP 5xx, which leaves the outcome of a write unknown",
            ),
        ] {
            let write = ErrorReason::VendorOutcomeUnknown;
            let refusal = Refusal { code: "4711".into(), message: String::new(), read, write, status: None };
            let error =
                refused(&operation(false), &response(StatusCode::from_u16(status).unwrap()), refusal, None, &[]);
            assert_eq!(reported(error).1, cause);
        }
    }

    #[test]
    fn a_deadline_that_passes_says_what_may_have_been_done() {
        for (left, repeatable, reason, code) in [
            (false, true, ErrorReason::DeadlineBeforeSend, Code::DeadlineExceeded),
            (false, false, ErrorReason::DeadlineBeforeSend, Code::DeadlineExceeded),
            (true, true, ErrorReason::VendorTimeout, Code::DeadlineExceeded),
            (true, false, ErrorReason::VendorOutcomeUnknown, Code::DeadlineExceeded),
        ] {
            let cx = call();
            let error = past_deadline(&cx, &operation(repeatable), left);
            assert_eq!(error.cause(), left.then_some("no response before the deadline"));
            assert_eq!((error.reason(), cx.may_have_been_sent()), (reason, left));
            assert_eq!(error.clone().into_status(&cx).code(), code);
            assert_eq!(reported(error).3[0], "POST /queues");
        }
    }

    #[test]
    fn what_cannot_be_read_says_where_it_came_from() {
        let response = HttpResponse { status: StatusCode::OK, headers: HeaderMap::new(), body: bytes::Bytes::new() };
        for (repeatable, reason) in
            [(true, ErrorReason::VendorResponseInvalid), (false, ErrorReason::VendorOutcomeUnknown)]
        {
            let (reported_reason, _, _, vendor) = reported(unreadable(&operation(repeatable), Some(&response)));
            assert_eq!((reported_reason, vendor), (reason, ["POST /queues".to_owned(), "200".to_owned()]));
            assert_eq!(reported(unreadable(&operation(repeatable), None)).3[1], "");
        }
    }
}
