//! How one family of a vendor's interfaces authenticates and wraps its answers.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use crate::{
    context::Context,
    error::{ErrorReason, Result},
    http::{Operation, Outgoing},
};

/// A family of interfaces.
#[async_trait]
pub trait Dialect: Send + Sync + 'static {
    /// The family's name, as metrics show it.
    const FAMILY: &'static str;
    /// What differs between operations of the family.
    type Style: Sync + 'static;
    /// The credentials that went into a request, so that those very ones can be dropped when they are refused.
    type Credentials: Send + Sync;

    /// Adds address, credentials and headers. Called anew for every attempt: signatures age. `refreshed` is what
    /// [`Dialect::refresh`] gave for this call.
    async fn authorize(
        &self,
        cx: &Context,
        operation: &Operation<Self::Style>,
        outgoing: &Outgoing,
        refreshed: Option<&Self::Credentials>,
    ) -> Result<Authorized<Self::Credentials>>;

    /// Reads the wrapping of an answer.
    fn parse(&self, operation: &Operation<Self::Style>, reply: &HttpResponse) -> ParsedResponse;

    /// After the vendor refused our credentials: others, if there may be better ones; `None` ends the call.
    async fn refresh(
        &self,
        cx: &Context,
        refused: &Self::Credentials,
        reply: &HttpResponse,
    ) -> Result<Option<Self::Credentials>>;

    /// After a call with refreshed credentials succeeded: what was assumed for it turned out right.
    fn confirm(&self, _credentials: &Self::Credentials) {}

    /// Texts that must not be in anything shown, whatever the vendor echoes.
    fn secrets(&self) -> Vec<&str>;

    /// The same of the credentials of one request.
    fn credential_secrets<'a>(&self, _credentials: &'a Self::Credentials) -> Vec<&'a str> {
        Vec::new()
    }
}

/// A request with address and credentials.
pub struct Authorized<P> {
    /// The whole address.
    pub url: Url,
    /// Headers, those of the body included.
    pub headers: HeaderMap,
    /// The credentials in it.
    pub credentials: P,
}

/// A vendor's whole answer.
pub struct HttpResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, within the configured size.
    pub body: Bytes,
}

/// An answer out of its wrapping.
pub enum ParsedResponse {
    /// Success: the JSON text of what was asked for, `null` for nothing.
    Payload(Bytes),
    /// The vendor said no.
    Refused(Refusal),
    /// The answer is not one of this dialect. Says what was missing, never what was there.
    Unreadable(&'static str),
}

/// The vendor's no.
pub struct Refusal {
    /// Its return code; empty when only the HTTP status says it.
    pub code: String,
    /// Its text, as it came.
    pub message: String,
    /// What it means after a read.
    pub read: ErrorReason,
    /// What it means after a write.
    pub write: ErrorReason,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal that means the same for reads and writes.
    pub fn new(code: impl Into<String>, message: impl Into<String>, reason: ErrorReason) -> Self {
        Self { code: code.into(), message: message.into(), read: reason, write: reason }
    }

    /// What an HTTP status without a readable code means (MAPPING.md, below the vendors' codes).
    ///
    /// `None` for a status of success.
    pub fn of_status(status: StatusCode) -> Option<Self> {
        let (read, write) = match status.as_u16() {
            200..=299 => return None,
            401 | 403 => (ErrorReason::VendorAuthFailed, ErrorReason::VendorAuthFailed),
            404 | 410 => (ErrorReason::ResourceNotFound, ErrorReason::ResourceNotFound),
            429 => (ErrorReason::VendorRateLimited, ErrorReason::VendorRateLimited),
            400 | 406 | 422 => (ErrorReason::VendorRejected, ErrorReason::VendorRejected),
            502..=504 => (ErrorReason::VendorUnavailable, ErrorReason::VendorOutcomeUnknown),
            500..=599 => (ErrorReason::VendorInternal, ErrorReason::VendorOutcomeUnknown),
            _ => (ErrorReason::VendorResponseInvalid, ErrorReason::VendorOutcomeUnknown),
        };
        Some(Self { code: String::new(), message: String::new(), read, write })
    }
}
