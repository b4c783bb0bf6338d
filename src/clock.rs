//! Time, handed in: what depends on a clock is told which.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The time of day and a steady time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

/// Where time comes from.
pub trait Source: Send + Sync {
    /// The time of day, as signatures carry it. May jump.
    fn now(&self) -> SystemTime;
    /// Time since some fixed point. Never jumps, never goes back.
    fn steady(&self) -> Duration;
}

struct System {
    start: Instant,
}

// === impl Clock ===

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_source(System { start: Instant::now() })
    }

    /// A clock of the caller's own.
    pub fn from_source(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The time of day.
    pub fn now(&self) -> SystemTime {
        self.0.now()
    }

    /// Time since some fixed point.
    pub fn steady(&self) -> Duration {
        self.0.steady()
    }

    /// The time of day in whole milliseconds since 1970; 0 before.
    pub fn unix_millis(&self) -> u64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

// === impl System ===

impl Source for System {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn steady(&self) -> Duration {
        self.start.elapsed()
    }
}
