//! The numbers that Udesk listed (Udesk 01). A number of the center's own is valid in any form.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// At most this many numbers are remembered.
const MOST: usize = 10_000;

/// The numbers of one tenant, as the last list has them.
#[derive(Default)]
pub(super) struct KnownNumbers(Mutex<HashSet<String>>);

// === impl KnownNumbers ===

impl KnownNumbers {
    /// Replaces the numbers by those of a new list.
    pub(super) fn remember(&self, numbers: &[String]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = numbers.iter().take(MOST).cloned().collect();
    }

    /// Whether the last list had this number.
    pub(super) fn contains(&self, number: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(number)
    }
}

impl std::fmt::Debug for KnownNumbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownNumbers")
    }
}
