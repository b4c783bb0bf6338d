//! The gRPC codes of errors.

use tonic::Code;

use super::ErrorReason;

/// The gRPC code of each reason, in the order of the contract's enum.
///
/// An unknown outcome is never UNAVAILABLE, because clients retry that automatically: a customer would be called twice.
pub(super) fn code(reason: ErrorReason, deadline_passed: bool) -> Code {
    match reason {
        ErrorReason::Unspecified
        | ErrorReason::GatewayInternal
        | ErrorReason::VendorInternal
        | ErrorReason::VendorResponseInvalid => Code::Internal,
        ErrorReason::CenterNotFound | ErrorReason::ResourceNotFound => Code::NotFound,
        ErrorReason::CenterMisconfigured
        | ErrorReason::ResourceInUse
        | ErrorReason::AgentStateConflict
        | ErrorReason::RouteInvalid
        // Never UNAUTHENTICATED, which is about the caller's credentials.
        | ErrorReason::VendorAuthFailed => Code::FailedPrecondition,
        ErrorReason::AccessDenied => Code::PermissionDenied,
        ErrorReason::MethodUnsupported => Code::Unimplemented,
        ErrorReason::FieldUnsupported
        | ErrorReason::FieldInvalid
        | ErrorReason::TokenInvalid
        | ErrorReason::RequestIdReused
        | ErrorReason::VendorRejected => Code::InvalidArgument,
        ErrorReason::CursorExpired => Code::OutOfRange,
        ErrorReason::CenterOverloaded
        | ErrorReason::GatewayOverloaded
        | ErrorReason::RequestTooLarge
        | ErrorReason::VendorRateLimited => Code::ResourceExhausted,
        ErrorReason::CallerUnauthenticated => Code::Unauthenticated,
        ErrorReason::DeadlineBeforeSend | ErrorReason::VendorTimeout => Code::DeadlineExceeded,
        ErrorReason::GatewayDraining | ErrorReason::StorageUnavailable | ErrorReason::VendorUnavailable => {
            Code::Unavailable
        }
        ErrorReason::PartiallyApplied => Code::Aborted,
        ErrorReason::ResourceExists => Code::AlreadyExists,
        ErrorReason::VendorOutcomeUnknown if deadline_passed => Code::DeadlineExceeded,
        ErrorReason::VendorOutcomeUnknown | ErrorReason::VendorCodeUnmapped => Code::Unknown,
    }
}

/// The code's name in the gRPC specification.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
