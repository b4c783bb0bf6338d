//! The simulator: what it holds, behind one lock.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::{
    deliveries::Deliveries,
    faults,
    options::{Options, QueueIds},
    quirks::{Quirk, Quirks},
    state::{Callback, State},
};
use crate::{
    faults::Faults,
    journal::{Journal, Request},
};

/// A simulated center.
pub struct Simulator {
    pub(super) options: Options,
    pub(super) quirks: Quirks,
    pub(super) faults: Arc<Faults>,
    /// For the handles of background tasks.
    pub(super) this: Weak<Self>,
    /// Never held across an await. The locks of the faults and of the delivery log may be taken inside it, not around
    /// it.
    center: Mutex<Center>,
}

/// What changes while a simulator runs.
pub(super) struct Center {
    /// One state for all operations, or one for each ([`super::Tenant::Document`]).
    pub(super) states: Vec<State>,
    pub(super) journal: Journal,
    pub(super) deliveries: Deliveries,
    /// How many resets there were.
    pub(super) generation: u64,
    pub(super) call_flows: JoinSet<()>,
    pub(super) background_traffic: Option<AbortOnDropHandle<()>>,
}

// === impl Simulator ===

impl Simulator {
    /// A simulator with its tenant's data. It serves once its [`router`](Self::router) is served.
    #[must_use]
    pub fn new(options: Options) -> Arc<Self> {
        let mut quirks = options.quirks;
        if options.queue_ids == QueueIds::Assign {
            quirks.insert(Quirk::AssignedQueueIds);
        }
        let center = Mutex::new(Center::new(options.states(), Deliveries::default(), 0));
        let faults = Faults::new(faults::VENDOR);
        Arc::new_cyclic(|this| Self { options, quirks, faults, this: Weak::clone(this), center })
    }

    /// The requests to `/ccapi`, oldest first: the last 1,000, or fewer if their bodies are large.
    pub fn requests(&self) -> Vec<Request> {
        self.center().journal.requests().cloned().collect()
    }

    /// The rules of fault injection, which can change while the simulator serves.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Discards the requests received so far.
    pub fn forget_requests(&self) {
        self.center().journal.clear();
    }

    /// The customers that 24 called, oldest first: the last 10,000 of an application.
    pub fn callbacks(&self) -> Vec<Callback> {
        self.center().states.iter().flat_map(|state| state.callbacks.iter().cloned()).collect()
    }

    pub(super) fn center(&self) -> MutexGuard<'_, Center> {
        // A panic may leave the center half changed; a reset restores it.
        self.center.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, request: Request) {
        self.center().journal.record(request);
    }

    /// Restores the start: the tenant's data, an empty journal, no deliveries, no background tasks, no faults.
    pub(super) fn reset(&self) {
        let states = self.options.states();
        let mut center = self.center();
        let (deliveries, generation) = (center.deliveries.fresh(), center.generation + 1);
        *center = Center::new(states, deliveries, generation);
        drop(center);
        self.faults.clear();
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("options", &self.options).finish_non_exhaustive()
    }
}

// === impl Center ===

impl Center {
    fn new(states: Vec<State>, deliveries: Deliveries, generation: u64) -> Self {
        Self {
            states,
            journal: Journal::default(),
            deliveries,
            generation,
            call_flows: JoinSet::new(),
            background_traffic: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn debug_of_a_simulator_holds_no_token() {
        let mut options = Options::new("app", "sid", SecretString::from("hidden-token"));
        options.quirks.insert(Quirk::Pages);
        let printed = format!("{:?}", Simulator::new(options));
        assert!(printed.contains("app") && printed.contains("pages"), "{printed}");
        assert!(!printed.contains("hidden"), "{printed}");
    }
}
