//! The outcome of each delivery. It holds no addresses, because their path may be a secret.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

/// Most deliveries kept.
const MAX_ENTRIES: usize = 1_000;

/// The newest deliveries, in the order in which they were enqueued.
#[derive(Default)]
pub(super) struct DeliveryLog {
    /// The number of the oldest entry kept.
    first: u64,
    entries: VecDeque<Entry>,
}

struct Entry {
    event: &'static str,
    subid: u64,
    msg_id: String,
    copy: u64,
    attempts: u64,
    /// HTTP status of the last attempt; `None` if there was no response.
    status: Option<u16>,
    outcome: Outcome,
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// In the queue, or between two attempts.
    Waiting,
    /// HTTP 200.
    Acknowledged,
    /// No attempt remains.
    Exhausted,
    /// The queue was full, or the subscription ended or moved.
    Dropped,
}

// === impl DeliveryLog ===

impl DeliveryLog {
    /// Adds a waiting delivery; returns its number.
    pub(super) fn add(&mut self, event: &'static str, subid: u64, msg_id: &str, copy: u64) -> u64 {
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
            self.first += 1;
        }
        let msg_id = msg_id.to_owned();
        self.entries.push_back(Entry {
            event,
            subid,
            msg_id,
            copy,
            attempts: 0,
            status: None,
            outcome: Outcome::Waiting,
        });
        self.first + self.entries.len() as u64 - 1
    }

    pub(super) fn attempted(&mut self, number: u64, status: Option<u16>) {
        if let Some(entry) = self.entry(number) {
            entry.attempts += 1;
            entry.status = status;
        }
    }

    pub(super) fn finish(&mut self, number: u64, outcome: Outcome) {
        if let Some(entry) = self.entry(number) {
            entry.outcome = outcome;
        }
    }

    /// Drops the waiting deliveries of a subscription.
    pub(super) fn drop_waiting(&mut self, subid: u64) {
        for entry in self.entries.iter_mut().filter(|entry| entry.subid == subid && entry.outcome == Outcome::Waiting) {
            entry.outcome = Outcome::Dropped;
        }
    }

    /// The deliveries as JSON, oldest first.
    pub(super) fn to_json(&self) -> Vec<Value> {
        self.entries.iter().map(Entry::to_json).collect()
    }

    /// An entry, unless it was discarded.
    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

// === impl Entry ===

impl Entry {
    fn to_json(&self) -> Value {
        let Self { event, subid, msg_id, copy, attempts, status, outcome } = self;
        json!({
            "event": event,
            "subscription": subid,
            "msg_id": msg_id,
            "copy": copy,
            "attempts": attempts,
            "status": status,
            "outcome": outcome.text(),
        })
    }
}

// === impl Outcome ===

impl Outcome {
    const fn text(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Acknowledged => "acknowledged",
            Self::Exhausted => "given up",
            Self::Dropped => "dropped",
        }
    }
}

/// Locks a log. An entry changes in one step, so a panic leaves none half changed.
pub(super) fn lock(log: &Mutex<DeliveryLog>) -> MutexGuard<'_, DeliveryLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_deliveries_make_room() {
        let mut log = DeliveryLog::default();
        for number in 0..MAX_ENTRIES as u64 + 2 {
            assert_eq!(log.add("play_succ", number, "m", 1), number);
        }
        // Discarded, and not mistaken for another entry.
        log.attempted(1, Some(200));
        log.attempted(2, Some(503));
        log.finish(3, Outcome::Exhausted);
        let entries = log.to_json();
        assert_eq!(entries.len(), MAX_ENTRIES);
        assert_eq!((&entries[0]["subscription"], &entries[0]["status"]), (&json!(2), &json!(503)));
        assert_eq!((&entries[1]["outcome"], &entries[1]["status"]), (&json!("given up"), &Value::Null));
    }

    #[test]
    fn only_what_waits_is_dropped_with_its_subscription() {
        let mut log = DeliveryLog::default();
        let [done, waiting, other] = [1, 1, 2].map(|subid| log.add("play_succ", subid, "m", 1));
        log.finish(done, Outcome::Acknowledged);
        log.drop_waiting(1);
        let outcomes = [done, waiting, other].map(|number| log.entry(number).map(|entry| entry.outcome));
        assert_eq!(outcomes, [Some(Outcome::Acknowledged), Some(Outcome::Dropped), Some(Outcome::Waiting)]);
    }
}
