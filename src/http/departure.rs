//! Whether anything of a request may have left.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether anything of one request may have left, also when it is given up in between.
#[derive(Debug, Default)]
pub(super) struct Departure(AtomicBool);

// === impl Departure ===

impl Departure {
    /// Notes that the request leaves now.
    pub(super) fn leave(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Notes that certainly nothing came of it: no connection was made, or the vendor refused our credentials.
    pub(super) fn came_back(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether something may have left.
    pub(super) fn has_left(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
