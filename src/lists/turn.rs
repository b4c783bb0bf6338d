//! Reads of one list, in turns: calls that ask for the same list share a read that begins after all of them.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::error::{Error, ErrorReason, Result};

/// What is read: the center, and a list of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) center: String,
    pub(super) list: &'static str,
    /// Hash of the arguments.
    pub(super) arguments: [u8; 32],
}

/// A value of any type that a read returned.
pub(super) type Value = Arc<dyn Any + Send + Sync>;

/// The subjects that are being read. The entry of one that nobody reads is removed when the next one is added.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Subject, Weak<Turn>>>);

/// The reads of one subject.
pub(super) struct Turn {
    /// Held while a call reads.
    permit: Semaphore,
    /// How many calls have asked.
    arrivals: AtomicU64,
    /// The last read: the number of calls that had asked when it began, and its outcome.
    last: Mutex<Option<(u64, Result<Value>)>>,
}

// === impl Turns ===

impl Turns {
    pub(super) fn of(&self, subject: Subject) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&subject).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn { permit: Semaphore::new(1), arrivals: AtomicU64::new(0), last: Mutex::default() });
        turns.insert(subject, Arc::downgrade(&turn));
        turn
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turns")
    }
}

// === impl Turn ===

impl Turn {
    /// Waits for the read in progress, if there is one. Then it reads for all calls that have asked by now, unless
    /// another of them has done so. It reads under its own deadline: when that passes, the next call reads.
    ///
    /// # Errors
    /// Those of the read; `DEADLINE_BEFORE_SEND` when the deadline passes while another call reads.
    pub(super) async fn read(&self, deadline: Instant, read: impl Future<Output = Result<Value>>) -> Result<Value> {
        let arrival = self.arrivals.fetch_add(1, Ordering::AcqRel);
        let Ok(permit) = timeout_at(deadline, self.permit.acquire()).await else {
            return Err(Error::new(
                ErrorReason::DeadlineBeforeSend,
                "the deadline passed while another call was reading the same list; it is safe to retry",
            ));
        };
        let _permit = permit.map_err(|_| Error::internal("the turn of a list is closed"))?;
        if let Some(outcome) = self.shared(arrival) {
            return outcome;
        }
        let covered = self.arrivals.load(Ordering::Acquire);
        let outcome = read.await;
        let is_shared = match &outcome {
            Ok(_) => true,
            // The deadline of this call says nothing about the others.
            Err(error) => !matches!(error.reason(), ErrorReason::DeadlineBeforeSend | ErrorReason::VendorTimeout),
        };
        if is_shared {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((covered, outcome.clone()));
        }
        outcome
    }

    /// The outcome of the last read, if it began after this arrival.
    fn shared(&self, arrival: u64) -> Option<Result<Value>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(covered, _)| arrival < *covered).map(|(_, outcome)| outcome.clone())
    }
}
