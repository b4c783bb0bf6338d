//! Every store does in the embedded database what it must do everywhere.

use std::{future, sync::Arc, time::Duration};

use switchboard::{
    clock::Clock,
    config::Events,
    event::log::EventLog,
    storage::{EmbeddedLog, Storage},
};

use crate::{event_log, support::Day};

/// A database of its own, and what it holds besides: nothing.
fn store() -> impl Future<Output = (Arc<Storage>, ())> {
    future::ready((Arc::new(Storage::in_memory().unwrap()), ()))
}

impl event_log::World for Day {
    async fn log(&self, events: &Events) -> Arc<dyn EventLog> {
        let centers = ["acme".to_owned(), "beta".to_owned()];
        let clock = Clock::from_source(self.clone());
        Arc::new(EmbeddedLog::open(&Storage::in_memory().unwrap(), events, centers.iter(), clock).unwrap())
    }

    async fn pass(&self, time: Duration) {
        Self::pass(self, time);
    }
}

mod log {
    crate::event_log::event_log_tests!(crate::support::Day::default());
}

mod state {
    crate::state::state_tests!(super::store());
}

mod idempotency {
    crate::idempotency::idempotency_tests!(super::store());
}
