//! The suites of all stores against the embedded database.

use std::{future, sync::Arc, time::Duration};

use switchboard::{
    clock::Clock,
    config::Events,
    store::{
        event_log::EventLog,
        sqlite::{Database, SqliteEventLog},
    },
};

use crate::{event_log, support::Day};

/// A new database; it needs nothing else.
fn store() -> impl Future<Output = (Arc<Database>, ())> {
    future::ready((Arc::new(Database::in_memory().unwrap()), ()))
}

impl event_log::World for Day {
    async fn log(&self, events: &Events) -> Arc<dyn EventLog> {
        let centers = ["acme".to_owned(), "beta".to_owned()];
        let clock = Clock::from_source(self.clone());
        Arc::new(SqliteEventLog::open(&Database::in_memory().unwrap(), events, centers.iter(), clock).unwrap())
    }

    async fn pass(&self, time: Duration) {
        Self::pass(self, time);
    }
}

mod log {
    crate::event_log::event_log_tests!(crate::support::Day::default());
}

mod kv {
    crate::kv::kv_tests!(super::store());
}

mod idempotency {
    crate::idempotency::idempotency_tests!(super::store());
}
