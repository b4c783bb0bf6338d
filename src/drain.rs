//! Whether the gateway is about to end.

use tokio::sync::watch;

/// Whether new calls are taken. Cheap to clone: clones are of the same gateway.
#[derive(Debug, Clone)]
pub struct Draining(watch::Sender<bool>);

// === impl Draining ===

impl Draining {
    /// Whether the gateway is about to end.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow()
    }

    /// Refuses new calls and ends streams from now on.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gateway is about to end.
    pub async fn begun(&self) {
        // It does not fail: the sender is here.
        let _ = self.0.subscribe().wait_for(|draining| *draining).await;
    }
}

impl Default for Draining {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}
