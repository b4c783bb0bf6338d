//! Whether a request may have been sent.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether one request may have been sent. It stays readable after the future that sends was cancelled.
#[derive(Debug, Default)]
pub(super) struct SendState(AtomicBool);

// === impl SendState ===

impl SendState {
    /// Records that sending begins.
    pub(super) fn mark_sent(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Records that the request had no effect: no connection was established, or the vendor refused the credentials.
    pub(super) fn mark_not_sent(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether the request may have been sent.
    pub(super) fn may_have_been_sent(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
