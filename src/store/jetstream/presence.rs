//! Whether the streams are there: what requests notice and the keeper checks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// Whether the streams are there. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Presence(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_missing: AtomicBool,
    suspected: Notify,
}

// === impl Presence ===

impl Presence {
    /// A request found no stream.
    pub(super) fn suspect(&self) {
        self.0.is_missing.store(true, Ordering::Release);
        self.0.suspected.notify_one();
    }

    /// Whether a stream is missing, as far as is known.
    pub(super) fn is_missing(&self) -> bool {
        self.0.is_missing.load(Ordering::Acquire)
    }

    /// Waits until a check is due.
    pub(super) async fn suspected(&self) {
        self.0.suspected.notified().await;
    }

    /// A check failed, and another one is due.
    pub(super) fn check_again(&self) {
        self.0.suspected.notify_one();
    }

    pub(super) fn set_missing(&self, is_missing: bool) {
        self.0.is_missing.store(is_missing, Ordering::Release);
    }
}
