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
    /// A request found no stream, or a check failed: another one is due. A stream without a leader looks the same to a
    /// request.
    pub(super) fn suspect(&self) {
        self.0.suspected.notify_one();
    }

    /// Whether a stream is missing.
    pub(super) fn is_missing(&self) -> bool {
        self.0.is_missing.load(Ordering::Acquire)
    }

    /// Waits until a check is due.
    pub(super) async fn suspected(&self) {
        self.0.suspected.notified().await;
    }

    pub(super) fn set_missing(&self, is_missing: bool) {
        self.0.is_missing.store(is_missing, Ordering::Release);
    }
}
