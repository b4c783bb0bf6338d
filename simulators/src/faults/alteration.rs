//! What a fault changes inside an operation.

use std::time::{Duration, SystemTime};

/// What changes inside an operation; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alteration {
    /// Seconds by which the vendor's clock is ahead.
    pub(crate) clock_skew: i64,
    /// How many entries of a batch are applied before the call is refused.
    pub(crate) partial: Option<usize>,
}

// === impl Alteration ===

impl Alteration {
    /// The time by the vendor's clock when the time is `now`.
    pub(crate) fn clock(self, now: SystemTime) -> SystemTime {
        let skew = Duration::from_secs(self.clock_skew.unsigned_abs());
        let shifted = if self.clock_skew < 0 { now.checked_sub(skew) } else { now.checked_add(skew) };
        shifted.unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_shifted_both_ways() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let shifted = |clock_skew| Alteration { clock_skew, partial: None }.clock(now);
        assert_eq!(shifted(-60), now - Duration::from_mins(1));
        assert_eq!(shifted(60), now + Duration::from_mins(1));
    }
}
