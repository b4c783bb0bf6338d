//! Every store does in the embedded database what it must do everywhere.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use switchboard::{
    clock::{Clock, Source},
    config::Events,
    event::log::EventLog,
    storage::{EmbeddedLog, Storage},
};

use crate::event_log;

/// A database of its own, and what it holds besides: nothing.
fn store() -> impl Future<Output = (Arc<Storage>, ())> {
    future::ready((Arc::new(Storage::in_memory().unwrap()), ()))
}

/// The time of day, as told: microseconds since a day in 2027.
#[derive(Clone, Default)]
struct Day(Arc<AtomicU64>);

impl Source for Day {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_micros(self.0.load(Ordering::Acquire))
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

impl event_log::World for Day {
    async fn log(&self, events: &Events) -> Arc<dyn EventLog> {
        let centers = ["acme".to_owned(), "beta".to_owned()];
        let clock = Clock::from_source(self.clone());
        Arc::new(EmbeddedLog::open(&Storage::in_memory().unwrap(), events, centers.iter(), clock).unwrap())
    }

    async fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::AcqRel);
    }
}

mod log {
    crate::event_log::event_log_tests!(super::Day::default());
}

mod state {
    crate::state::state_tests!(super::store());
}

mod idempotency {
    crate::idempotency::idempotency_tests!(super::store());
}
