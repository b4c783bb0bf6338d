//! The simulator: what it holds, behind one lock.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{
    document, faults,
    operation::Operation,
    options::{Options, Tenant},
    seed,
    state::Center,
    token::LiveTokens,
};
use crate::{
    faults::Faults,
    journal::{Journal, Request},
};

/// One simulated API Fabric with one call center behind it.
pub struct Simulator {
    pub(super) options: Options,
    pub(super) faults: Arc<Faults>,
    /// Never held across an await: every operation is one short, synchronous step.
    state: Mutex<State>,
}

/// Everything that changes while a simulator runs.
pub(super) struct State {
    pub(super) center: Center,
    pub(super) tokens: LiveTokens,
    pub(super) journal: Journal,
    /// How often each operation was called, refused calls included.
    pub(super) calls: BTreeMap<&'static str, u64>,
}

// === impl Simulator ===

impl Simulator {
    /// A simulator with its tenant's data, no tokens and an empty journal.
    #[must_use]
    pub fn new(options: Options) -> Arc<Simulator> {
        let state = Mutex::new(State::new(options.tenant));
        Arc::new(Simulator { options, faults: Faults::new(faults::VENDOR), state })
    }

    /// The requests received for the vendor's operations, oldest first: the last 1,000, or fewer if their bodies are
    /// large. They hold secrets.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().journal.requests().cloned().collect()
    }

    /// Discards the requests received so far, and keeps the counts by operation.
    pub fn forget_requests(&self) {
        self.lock().journal.clear();
    }

    /// The rules of fault injection, which can change while the simulator serves.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Revokes every token issued so far. A request with one of them gets HTTP 401.
    pub fn revoke_tokens(&self) {
        self.lock().tokens.revoke_all();
    }

    /// Records a request, and counts it if it is for an operation.
    pub(super) fn record(&self, request: Request, operation: Option<&Operation>) {
        let mut state = self.lock();
        if let Some(operation) = operation {
            *state.calls.entry(operation.name).or_default() += 1;
        }
        state.journal.record(request);
    }

    /// Restores the start: the tenant's data, no tokens, an empty journal, no faults.
    pub(super) fn reset(&self) {
        *self.lock() = State::new(self.options.tenant);
        self.faults.clear();
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.options.clock)()
    }

    /// An operation changes the state only after all its checks, so a panic leaves nothing half changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("options", &self.options).finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    fn new(tenant: Tenant) -> State {
        let center = match tenant {
            Tenant::Seeded => seed::center(),
            Tenant::Document => document::center(),
            Tenant::Empty => Center::empty(),
        };
        State { center, tokens: LiveTokens::default(), journal: Journal::default(), calls: BTreeMap::new() }
    }
}
