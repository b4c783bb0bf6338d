//! Injected time: code that depends on time gets a [`Clock`].

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Wall-clock time and monotonic time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

/// A source of time.
pub trait Source: Send + Sync {
    /// Wall-clock time, as signatures contain it. It may jump.
    fn now(&self) -> SystemTime;
    /// Monotonic time since an arbitrary fixed point.
    fn steady(&self) -> Duration;
}

struct SystemClock {
    start: Instant,
}

// === impl Clock ===

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::from_source(SystemClock { start: Instant::now() })
    }

    /// A clock with this source.
    pub fn from_source(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Wall-clock time.
    pub fn now(&self) -> SystemTime {
        self.0.now()
    }

    /// Monotonic time since an arbitrary fixed point.
    pub fn steady(&self) -> Duration {
        self.0.steady()
    }

    /// Wall-clock time in milliseconds since 1970; 0 before.
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

// === impl SystemClock ===

impl Source for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn steady(&self) -> Duration {
        self.start.elapsed()
    }
}
