//! Time, handed in.

use std::{sync::Arc, time::SystemTime};

/// The time of day by a simulated vendor's clock.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The machine's clock.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
pub(crate) fn system() -> Clock {
    Arc::new(SystemTime::now)
}
