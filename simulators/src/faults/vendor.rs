//! What faults know of a vendor and of a request.

use axum::http::Uri;

/// What faults know about a vendor.
pub(crate) struct Vendor {
    /// The indexes, in the vendor's table, of the operations with a name; empty for an unknown name.
    pub(crate) find: fn(&str) -> Vec<usize>,
    /// How operations are named, for the error about an unknown name.
    pub(crate) naming: &'static str,
    /// Whether there are access tokens to revoke.
    pub(crate) has_tokens: bool,
    /// Whether a batch can be applied in part.
    pub(crate) has_batches: bool,
}

/// A request that was read to its end.
pub(crate) struct ReceivedRequest<'a> {
    /// The operation's index in the vendor's table; `None` where no operation has this method and path.
    pub(crate) operation: Option<usize>,
    pub(crate) uri: &'a Uri,
    pub(crate) body: &'a [u8],
}
