//! How one API family of a vendor authenticates requests and wraps responses.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};

use crate::{
    context::Context,
    error::{ErrorReason, Result},
    http::{Operation, Outgoing, StatusMeaning},
};

/// Capacity of the map of a request's headers, including those that the client adds.
pub(crate) const REQUEST_HEADERS: usize = 8;

/// An API family of a vendor.
#[async_trait]
pub trait Dialect: Send + Sync + 'static {
    /// The family's name in metrics.
    const FAMILY: &'static str;
    /// What differs between operations of the family.
    type Style: Sync + 'static;
    /// The credentials of a request. [`Dialect::refresh`] discards exactly these after the vendor refused them.
    type Credentials: Send + Sync;

    /// Adds the URI, credentials and headers. The client calls it for every attempt, because signatures expire.
    /// `refreshed` holds the credentials that [`Dialect::refresh`] returned for this call.
    async fn authorize(
        &self,
        cx: &Context,
        operation: &Operation<Self::Style>,
        outgoing: &Outgoing,
        refreshed: Option<&Self::Credentials>,
    ) -> Result<Authorized<Self::Credentials>>;

    /// Unwraps the envelope of a response.
    fn parse(&self, operation: &Operation<Self::Style>, response: &HttpResponse) -> ParsedResponse;

    /// Returns other credentials after the vendor refused `refused`; `None` when there are none, which ends the call.
    async fn refresh(
        &self,
        cx: &Context,
        refused: &Self::Credentials,
        response: &HttpResponse,
    ) -> Result<Option<Self::Credentials>>;

    /// Confirms refreshed credentials after a call with them succeeded.
    fn confirm(&self, _credentials: &Self::Credentials) {}

    /// Records that the vendor accepted the credentials of a request.
    fn accept(&self, _credentials: &Self::Credentials) {}

    /// Secrets of the center. The client masks them in every text of the vendor that it shows.
    fn secrets(&self) -> Vec<&str>;

    /// Secrets of one request's credentials. The client masks them like [`Dialect::secrets`].
    fn credential_secrets<'a>(&self, _credentials: &'a Self::Credentials) -> Vec<&'a str> {
        Vec::new()
    }
}

/// The URI, headers and credentials of an authorized request.
pub struct Authorized<C> {
    /// Absolute URI with its query.
    pub uri: Uri,
    /// Headers, including those of the body.
    pub headers: HeaderMap,
    /// The credentials in the URI or the headers.
    pub credentials: C,
}

/// A response whose body was read completely.
pub struct HttpResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body of at most `max_response_size` bytes.
    pub body: Bytes,
}

/// A response without its envelope.
pub enum ParsedResponse {
    /// Success: the payload as JSON text, `null` when there is none.
    Payload(Bytes),
    /// The vendor refused the request.
    Refused(Refusal),
    /// The response is not of this dialect. The text names what is missing and quotes nothing.
    Unreadable(&'static str),
}

/// A vendor's refusal.
pub struct Refusal {
    /// The vendor's return code; empty when the response has an HTTP status only.
    pub code: String,
    /// The vendor's text, not redacted.
    pub message: String,
    /// Reason when the request was a read.
    pub read: ErrorReason,
    /// Reason when the request was a write.
    pub write: ErrorReason,
    /// What the HTTP status means when the response has no return code.
    pub status: Option<StatusMeaning>,
}

// === impl Refusal ===

impl Refusal {
    /// The reason for a read or for a write.
    pub(super) fn reason(&self, is_read: bool) -> ErrorReason {
        if is_read { self.read } else { self.write }
    }
}
