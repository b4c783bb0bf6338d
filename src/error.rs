//! What went wrong, whose turn it is, and whether it is safe to retry.
//!
//! One error type for the whole gateway. Its kind is the contract's own [`ErrorReason`], so there is no second list to
//! keep in sync. [`Error::into_status`] builds the caller's status; only [`codes`] beneath it names gRPC codes. An
//! error is safe to show: it contains no secrets and no personal data, and a vendor's text only after
//! [`crate::redact`].

mod codes;
#[cfg(test)]
mod tests;
mod texts;

use std::{borrow::Cow, collections::HashMap, time::Duration};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _, pb};

pub use self::codes::code_name;
pub(crate) use self::texts::truncate;
use self::{
    codes::code,
    texts::{cut, header_bytes, shown},
};
use crate::context::Context;
pub use crate::proto::v1::ErrorReason;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "contactcenter.gateway";

/// Most violations in a status.
pub(crate) const MAX_VIOLATIONS: usize = 8;
/// Longest texts of a status: its message, the path of a field, and any other text.
const MAX_MESSAGE_BYTES: usize = 512;
const MAX_FIELD_BYTES: usize = 128;
const MAX_TEXT_BYTES: usize = 256;
/// Largest status in the headers of a response, where clients accept 8 KiB. A larger one reaches its caller without
/// details.
const MAX_STATUS_BYTES: usize = 4000;
/// A text that is cut for a smaller status keeps this many bytes.
const MIN_TEXT_BYTES: usize = 16;

/// The result of work for a caller.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed call, before its conversion into a gRPC status.
#[derive(Debug, Clone)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    reason: ErrorReason,
    message: Cow<'static, str>,
    violations: Vec<Violation>,
    resource: Option<Resource>,
    retry_after: Option<Duration>,
    quota: Option<&'static str>,
    deadline_passed: bool,
    vendor: Option<Vendor>,
    metadata: Vec<(&'static str, String)>,
    /// The encoded status of a first call, which this error replays.
    replayed: Option<Vec<u8>>,
}

/// One field that is invalid or unsupported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Dotted path of the field in the contract's spelling.
    pub field: String,
    /// What is expected. Never what was sent.
    pub description: Cow<'static, str>,
}

#[derive(Debug, Clone)]
struct Resource {
    kind: &'static str,
    name: String,
}

/// The vendor's error response, redacted by [`crate::redact`].
#[derive(Debug, Clone, Default)]
pub struct Vendor {
    /// The vendor's name for the operation, e.g. `POST /queues`.
    pub operation: &'static str,
    /// The vendor's return code; empty when the response has none.
    pub code: String,
    /// The vendor's message.
    pub message: String,
    /// HTTP status of the response, if there was one.
    pub http_status: Option<u16>,
}

// === impl Error ===

impl Error {
    /// An error of this kind. `message` is for people and contains nothing that was received.
    pub fn new(reason: ErrorReason, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            reason,
            message: message.into(),
            violations: Vec::new(),
            resource: None,
            retry_after: None,
            quota: None,
            deadline_passed: false,
            vendor: None,
            metadata: Vec::new(),
            replayed: None,
        }))
    }

    /// The request violates the contract or the vendor's format in these fields.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let total = violations.len();
        Self::of_fields(ErrorReason::FieldInvalid, violations, total)
    }

    /// The center's vendor does not support these fields.
    pub fn unsupported_fields(violations: Vec<Violation>) -> Self {
        let total = violations.len();
        Self::of_fields(ErrorReason::FieldUnsupported, violations, total)
    }

    /// `total` fields are invalid or unsupported; `violations` are the first of them.
    pub(crate) fn of_fields(reason: ErrorReason, violations: Vec<Violation>, total: usize) -> Self {
        let what = if reason == ErrorReason::FieldUnsupported { "not supported" } else { "invalid" };
        let message = match violations.as_slice() {
            [only] if total == 1 => format!("{} is {what}: {}", shown(&only.field), only.description),
            several => {
                let fields: Vec<Cow<'_, str>> =
                    several.iter().map(|violation| shown(&violation.field)).take(MAX_VIOLATIONS).collect();
                format!("{total} fields are {what}: {}", fields.join(", "))
            }
        };
        let mut error = Self::new(reason, message);
        error.0.violations = violations;
        error
    }

    /// The center's vendor has no such operation.
    pub fn unsupported_method(method: &str) -> Self {
        Self::new(
            ErrorReason::MethodUnsupported,
            format!("this center does not support {method}; GetCapabilities lists what it supports"),
        )
    }

    /// The resource does not exist. `kind` is its type in the contract, e.g. `Agent`.
    pub fn not_found(kind: &'static str, name: impl ToString) -> Self {
        let name = name.to_string();
        Self::new(ErrorReason::ResourceNotFound, format!("there is no {name}")).about(kind, name)
    }

    /// A write was sent and its outcome is unknown. `cause` says why.
    pub fn outcome_unknown(cause: &'static str) -> Self {
        Self::new(
            ErrorReason::VendorOutcomeUnknown,
            "the request was sent but its outcome is unknown; check before you retry",
        )
        .with("cause", cause)
    }

    /// The deadline passed, nothing was sent, and nothing will be.
    pub fn deadline_before_send() -> Self {
        Self::new(ErrorReason::DeadlineBeforeSend, "the deadline passed before anything was sent; it is safe to retry")
    }

    /// The gateway is shutting down, and the call has sent nothing.
    pub fn draining() -> Self {
        Self::new(
            ErrorReason::GatewayDraining,
            "this gateway is shutting down; nothing was sent: retry at another gateway",
        )
        .retry_after(Duration::ZERO)
    }

    /// A bug in the gateway. `what` says where, for the reader of the report.
    pub fn internal(what: &'static str) -> Self {
        Self::new(ErrorReason::GatewayInternal, format!("the gateway failed: {what}"))
    }

    /// Names the resource that the error is about (`ResourceInfo`).
    #[must_use]
    pub fn about(mut self, kind: &'static str, name: impl ToString) -> Self {
        self.0.resource = Some(Resource { kind, name: name.to_string() });
        self
    }

    /// Sets the delay before a retry (`RetryInfo`).
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Names the exhausted limit (`QuotaFailure`).
    #[must_use]
    pub fn quota(mut self, limit: &'static str) -> Self {
        self.0.quota = Some(limit);
        self
    }

    /// Replaces the reason and the message after a closer look. The vendor's response stays.
    #[must_use]
    pub fn explained(mut self, reason: ErrorReason, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = reason;
        self.0.message = message.into();
        self
    }

    /// Names the field that the failure is about (`BadRequest`).
    #[must_use]
    pub fn violating(mut self, field: impl Into<String>, description: &'static str) -> Self {
        self.0.violations.push(Violation::new(field, description));
        self
    }

    /// Adds the vendor's response.
    #[must_use]
    pub fn from_vendor(mut self, vendor: Vendor) -> Self {
        self.0.vendor = Some(vendor);
        self
    }

    /// Adds one entry to the metadata of `ErrorInfo`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    /// Marks that the caller's deadline passed: gRPC then requires `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn past_deadline(mut self) -> Self {
        self.0.deadline_passed = true;
        self
    }

    /// The same error for the replay to a later call, which has its own deadline.
    #[must_use]
    pub fn for_replay(mut self) -> Self {
        self.0.deadline_passed = false;
        self
    }

    /// The replay of an error from its encoded `google.rpc.Status`. It becomes the same status again.
    pub fn from_replay(status: Vec<u8>) -> Option<Self> {
        let decoded = pb::Status::decode(status.as_slice()).ok()?;
        let info = decoded.details.iter().find_map(|detail| {
            detail.type_url.ends_with("/google.rpc.ErrorInfo").then(|| pb::ErrorInfo::decode(detail.value.as_slice()))
        })?;
        let reason = ErrorReason::from_str_name(&info.ok()?.reason)?;
        let mut error = Self::new(reason, decoded.message);
        error.0.replayed = Some(status);
        Some(error)
    }

    /// The contract's reason.
    pub fn reason(&self) -> ErrorReason {
        self.0.reason
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The vendor's return code; empty when there is none.
    pub fn vendor_code(&self) -> &str {
        self.0.vendor.as_ref().map_or("", |vendor| vendor.code.as_str())
    }

    /// The gRPC code of the caller's status.
    pub fn code(&self) -> Code {
        match &self.0.replayed {
            Some(status) => {
                pb::Status::decode(status.as_slice()).map_or(Code::Unknown, |decoded| Code::from(decoded.code))
            }
            None => code(self.0.reason, self.0.deadline_passed),
        }
    }

    /// The `cause` in the metadata, if there is one.
    pub fn cause(&self) -> Option<&str> {
        self.0.metadata.iter().find(|(key, _)| *key == "cause").map(|(_, cause)| cause.as_str())
    }

    /// Whether only the operator can act on it.
    pub fn concerns_operator(&self) -> bool {
        matches!(
            self.0.reason,
            ErrorReason::CenterMisconfigured
                | ErrorReason::StorageUnavailable
                | ErrorReason::GatewayInternal
                | ErrorReason::VendorAuthFailed
                | ErrorReason::VendorResponseInvalid
        )
    }

    /// HTTP status of the vendor's response, if there was one.
    pub fn vendor_http_status(&self) -> Option<u16> {
        self.0.vendor.as_ref().and_then(|vendor| vendor.http_status)
    }

    /// The invalid or unsupported fields.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The caller's `google.rpc.Status`, with exactly one `ErrorInfo`. It has less than 4 KiB, however long the texts
    /// are that it repeats.
    pub fn into_status(self, cx: &Context) -> Status {
        let mut parts = *self.0;
        if let Some(status) = parts.replayed {
            let code = pb::Status::decode(status.as_slice()).map_or(Code::Unknown, |decoded| Code::from(decoded.code));
            return Status::with_details(code, parts.message, status.into());
        }
        parts.bound();
        loop {
            let status = parts.status(cx);
            if header_bytes(&status) <= MAX_STATUS_BYTES || !parts.shrink() {
                return status;
            }
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.reason.as_str_name(), self.0.message)?;
        if let Some(vendor) = &self.0.vendor {
            write!(f, " ({}", vendor.operation)?;
            if let Some(status) = vendor.http_status {
                write!(f, ", HTTP {status}")?;
            }
            if !vendor.code.is_empty() {
                write!(f, ", code {}", vendor.code)?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

// === impl Parts ===

impl Parts {
    fn status(&self, cx: &Context) -> Status {
        let mut metadata: HashMap<String, String> = HashMap::with_capacity(10);
        metadata.insert("method".into(), cx.method().into());
        metadata.insert("traceId".into(), cx.trace_id().into());
        if let Some(center) = cx.center() {
            metadata.insert("center".into(), center.id.clone());
            metadata.insert("vendor".into(), center.vendor.into());
        }
        if let Some(vendor) = &self.vendor {
            if !vendor.operation.is_empty() {
                metadata.insert("vendorOperation".into(), vendor.operation.into());
            }
            if !vendor.code.is_empty() {
                metadata.insert("vendorCode".into(), vendor.code.clone());
            }
            if !vendor.message.is_empty() {
                metadata.insert("vendorMessage".into(), vendor.message.clone());
            }
            if let Some(status) = vendor.http_status {
                metadata.insert("vendorHttpStatus".into(), status.to_string());
            }
            metadata.insert("sent".into(), cx.may_have_been_sent().to_string());
        }
        metadata.extend(self.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));

        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason.as_str_name(), DOMAIN, metadata);
        for violation in &self.violations {
            details.add_bad_request_violation(violation.field.as_str(), violation.description.as_ref());
        }
        if let Some(resource) = &self.resource {
            details.set_resource_info(resource.kind, resource.name.as_str(), "", self.message.as_ref());
        }
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        if let Some(limit) = self.quota {
            let subject = cx.center().map_or_else(String::new, |center| format!("centers/{}", center.id));
            details.add_quota_failure_violation(subject, limit);
        }
        Status::with_error_details(code(self.reason, self.deadline_passed), self.message.as_ref(), details)
    }

    /// Bounds every part on its own.
    fn bound(&mut self) {
        self.violations.truncate(MAX_VIOLATIONS);
        for violation in &mut self.violations {
            cut(&mut violation.field, MAX_FIELD_BYTES);
        }
        if self.message.len() > MAX_MESSAGE_BYTES {
            cut(self.message.to_mut(), MAX_MESSAGE_BYTES);
        }
        for text in self.texts() {
            cut(text, MAX_TEXT_BYTES);
        }
    }

    /// Makes the status smaller: without its last violation, or with its longest text cut in half. `false` when
    /// nothing is left to cut.
    fn shrink(&mut self) -> bool {
        if self.violations.len() > 1 {
            self.violations.pop();
            return true;
        }
        let message_bytes = self.message.len();
        let text = match self.texts().into_iter().max_by_key(|text| text.len()) {
            Some(text) if text.len() > message_bytes => text,
            _ => self.message.to_mut(),
        };
        let bytes = text.len() / 2;
        if bytes < MIN_TEXT_BYTES {
            return false;
        }
        cut(text, bytes);
        true
    }

    /// The texts besides the message.
    fn texts(&mut self) -> Vec<&mut String> {
        let violations =
            self.violations.iter_mut().flat_map(|violation| [&mut violation.field, violation.description.to_mut()]);
        let resource = self.resource.iter_mut().map(|resource| &mut resource.name);
        let vendor = self.vendor.iter_mut().flat_map(|vendor| [&mut vendor.code, &mut vendor.message]);
        let metadata = self.metadata.iter_mut().map(|(_, value)| value);
        violations.chain(resource).chain(vendor).chain(metadata).collect()
    }
}

// === impl Violation ===

impl Violation {
    /// A violation of the field at this dotted path.
    pub fn new(field: impl Into<String>, description: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}
