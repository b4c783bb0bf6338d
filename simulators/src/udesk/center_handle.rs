//! How a background task reaches the center.

use std::sync::{Arc, Weak};

use super::{
    simulator::{Center, Simulator},
    state::State,
};

/// A background task's handle of the center, valid until the next reset. It does not keep the simulator alive.
#[derive(Clone)]
pub(super) struct CenterHandle {
    simulator: Weak<Simulator>,
    generation: u64,
}

// === impl CenterHandle ===

impl CenterHandle {
    /// A handle of the center as it is until the next reset.
    pub(super) fn new(simulator: &Simulator, center: &Center) -> Self {
        Self { simulator: Weak::clone(&simulator.this), generation: center.generation }
    }

    /// Changes the state and dispatches the events; `None` after a reset or the simulator's end, where nothing changes.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        let simulator: Arc<Simulator> = self.simulator.upgrade()?;
        let mut center = simulator.center();
        if center.generation != self.generation {
            return None;
        }
        let result = change(center.states.first_mut()?);
        simulator.dispatch_pending(&mut center);
        Some(result)
    }
}
