//! Whether the gateway is draining, and whether it is ready.

use tokio::sync::watch;

use crate::store::Stores;

/// The drain state of one gateway. Cheap to clone: clones share it.
#[derive(Debug, Clone)]
pub struct Draining {
    begun: watch::Sender<bool>,
    receiving_ended: watch::Sender<bool>,
    stores: Option<Stores>,
}

// === impl Draining ===

impl Draining {
    /// The drain state of a gateway with these stores.
    pub fn with_stores(stores: Stores) -> Self {
        Self { stores: Some(stores), ..Self::default() }
    }

    /// Why the gateway is not ready for calls.
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.is_draining() {
            return Some("draining\n");
        }
        self.stores.as_ref().is_some_and(Stores::is_incomplete).then_some("storage incomplete\n")
    }

    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        *self.begun.borrow()
    }

    /// Begins the drain: the gateway rejects new calls and ends streams.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Waits until the drain has begun.
    pub async fn begun(&self) {
        wait_until_set(&self.begun).await;
    }

    /// Ends the time of request bodies: one that has not arrived by now would delay the drain until its own timeout.
    pub fn end_receiving(&self) {
        self.receiving_ended.send_replace(true);
    }

    /// Waits until the time of request bodies has ended.
    pub async fn receiving_ended(&self) {
        wait_until_set(&self.receiving_ended).await;
    }
}

async fn wait_until_set(state: &watch::Sender<bool>) {
    // It cannot fail: the caller holds the sender.
    let _ = state.subscribe().wait_for(|is_set| *is_set).await;
}

impl Default for Draining {
    fn default() -> Self {
        Self { begun: watch::channel(false).0, receiving_ended: watch::channel(false).0, stores: None }
    }
}
