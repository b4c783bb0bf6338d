//! What became of each delivery. Addresses are not in it: their path may be a secret.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

/// How many deliveries are remembered.
const ROWS_KEPT: usize = 1_000;

/// The newest deliveries.
#[derive(Default)]
pub(super) struct Journal {
    /// The number of the oldest row kept.
    first: u64,
    rows: VecDeque<Row>,
}

struct Row {
    event: &'static str,
    subid: u64,
    msg_id: String,
    copy: u64,
    attempts: u64,
    /// Of the last attempt; `None` if no answer came.
    status: Option<u16>,
    outcome: Outcome,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// In the queue, or between two attempts.
    Waiting,
    /// HTTP 200.
    Acknowledged,
    /// No attempt is left.
    GivenUp,
    /// The queue was full, or the subscription ended.
    Dropped,
}

/// A row is changed in one step, so what a panic left behind is whole.
pub(super) fn of(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Journal ===

impl Journal {
    /// Adds a delivery that waits; answers its number.
    pub fn add(&mut self, event: &'static str, subid: u64, msg_id: &str, copy: u64) -> u64 {
        if self.rows.len() == ROWS_KEPT {
            self.rows.pop_front();
            self.first += 1;
        }
        let msg_id = msg_id.to_owned();
        self.rows.push_back(Row { event, subid, msg_id, copy, attempts: 0, status: None, outcome: Outcome::Waiting });
        self.first + self.rows.len() as u64 - 1
    }

    pub fn attempted(&mut self, number: u64, status: Option<u16>) {
        if let Some(row) = self.row(number) {
            row.attempts += 1;
            row.status = status;
        }
    }

    pub fn end(&mut self, number: u64, outcome: Outcome) {
        if let Some(row) = self.row(number) {
            row.outcome = outcome;
        }
    }

    /// Ends what waits for a subscription.
    pub fn drop_waiting(&mut self, subid: u64) {
        for row in self.rows.iter_mut().filter(|row| row.subid == subid && row.outcome == Outcome::Waiting) {
            row.outcome = Outcome::Dropped;
        }
    }

    /// Oldest first.
    pub fn shown(&self) -> Vec<Value> {
        self.rows.iter().map(Row::shown).collect()
    }

    /// A row, unless it is forgotten.
    fn row(&mut self, number: u64) -> Option<&mut Row> {
        self.rows.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

// === impl Row ===

impl Row {
    fn shown(&self) -> Value {
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
            Self::GivenUp => "given up",
            Self::Dropped => "dropped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_deliveries_make_room() {
        let mut journal = Journal::default();
        for number in 0..ROWS_KEPT as u64 + 2 {
            assert_eq!(journal.add("play_succ", number, "m", 1), number);
        }
        // Forgotten, and not mistaken for another.
        journal.attempted(1, Some(200));
        journal.attempted(2, Some(503));
        journal.end(3, Outcome::GivenUp);
        let rows = journal.shown();
        assert_eq!(rows.len(), ROWS_KEPT);
        assert_eq!((&rows[0]["subscription"], &rows[0]["status"]), (&json!(2), &json!(503)));
        assert_eq!((&rows[1]["outcome"], &rows[1]["status"]), (&json!("given up"), &Value::Null));
    }

    #[test]
    fn only_what_waits_is_dropped_with_its_subscription() {
        let mut journal = Journal::default();
        let [done, waiting, other] = [1, 1, 2].map(|subid| journal.add("play_succ", subid, "m", 1));
        journal.end(done, Outcome::Acknowledged);
        journal.drop_waiting(1);
        let outcomes = [done, waiting, other].map(|number| journal.row(number).map(|row| row.outcome));
        assert_eq!(outcomes, [Some(Outcome::Acknowledged), Some(Outcome::Dropped), Some(Outcome::Waiting)]);
    }
}
