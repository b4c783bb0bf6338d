//! The numbers that Udesk listed (Udesk 01). A number of the center's own is valid in any form.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::clock::Clock;

/// At most this many numbers are remembered.
const MOST: usize = 10_000;
/// A number that is not in the list is looked for in a new one when the list is older than this.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The numbers of one tenant, as the last list has them.
pub(super) struct KnownNumbers {
    clock: Clock,
    last: Mutex<Listed>,
}

#[derive(Default)]
struct Listed {
    numbers: HashSet<String>,
    /// Whether the list had all numbers, as far as it says.
    is_whole: bool,
    /// When it was read, by the steady clock.
    at: Option<Duration>,
}

// === impl KnownNumbers ===

impl KnownNumbers {
    /// No list yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: Mutex::default() }
    }

    /// Replaces the numbers by those of a new list.
    pub(super) fn remember(&self, numbers: &[String], is_whole: bool) {
        let is_whole = is_whole && numbers.len() <= MOST;
        let numbers = numbers.iter().take(MOST).cloned().collect();
        *self.last() = Listed { numbers, is_whole, at: Some(self.clock.steady()) };
    }

    /// Whether the last list had this number.
    pub(super) fn contains(&self, number: &str) -> bool {
        self.last().numbers.contains(number)
    }

    /// Whether the center may have this number: the last list had it, or may lack some.
    pub(super) fn may_contain(&self, number: &str) -> bool {
        let last = self.last();
        !last.is_whole || last.numbers.contains(number)
    }

    /// Whether a number that the last list did not have may be in a new one.
    pub(super) fn is_stale(&self) -> bool {
        self.last().at.is_none_or(|at| self.clock.steady().saturating_sub(at) >= MAX_AGE)
    }

    fn last(&self) -> MutexGuard<'_, Listed> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for KnownNumbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownNumbers")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::SystemTime,
    };

    use super::*;
    use crate::clock::Source;

    struct Manual(Arc<AtomicU64>);

    impl Source for Manual {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }

        fn steady(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Acquire))
        }
    }

    #[test]
    fn a_list_is_read_for_unknown_numbers_at_most_once_a_minute() {
        let time = Arc::new(AtomicU64::new(7));
        let known = KnownNumbers::new(Clock::from_source(Manual(time.clone())));
        assert!(known.is_stale() && known.may_contain("T 7"), "nothing is known");
        known.remember(&["T 7".into()], true);
        time.store(60_006, Ordering::Release);
        assert!(!known.is_stale());
        time.store(60_007, Ordering::Release);
        assert!(known.is_stale());
    }

    #[test]
    fn a_list_with_more_numbers_than_are_remembered_is_not_whole() {
        let known = KnownNumbers::new(Clock::system());
        for (count, may_be_more) in [(10_000, false), (10_001, true)] {
            let numbers: Vec<String> = (0..count).map(|number| format!("T {number}")).collect();
            known.remember(&numbers, true);
            assert!(known.contains("T 9999") && !known.contains("T 10000"));
            assert_eq!(known.may_contain("T 10000"), may_be_more);
        }
    }
}
