//! Whether the gateway is draining.

use tokio::sync::watch;

/// The drain state of one gateway. Cheap to clone: clones share it.
#[derive(Debug, Clone)]
pub struct Draining(watch::Sender<bool>);

// === impl Draining ===

impl Draining {
    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow()
    }

    /// Begins the drain: the gateway rejects new calls and ends streams.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the drain has begun.
    pub async fn begun(&self) {
        // It cannot fail: `self` holds the sender.
        let _ = self.0.subscribe().wait_for(|draining| *draining).await;
    }
}

impl Default for Draining {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}
