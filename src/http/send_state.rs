//! Whether anything of a request may have left.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether anything of one request may have left, also when it is given up in between.
#[derive(Debug, Default)]
pub(super) struct SendState(AtomicBool);

// === impl SendState ===

impl SendState {
    /// Notes that the request leaves now.
    pub(super) fn mark_sent(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Notes that certainly nothing came of it: no connection was made, or the vendor refused our credentials.
    pub(super) fn mark_not_sent(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether something may have left.
    pub(super) fn may_have_been_sent(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
