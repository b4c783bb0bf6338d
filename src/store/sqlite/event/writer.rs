//! The writer of the event logs: it commits the waiting appends as one group.

use std::{collections::BTreeMap, thread, time::Duration};

use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{self, error::TryRecvError},
    oneshot,
};

use super::rows::{self, LogState, NewEvent};
use crate::{
    clock::Clock,
    config,
    error::Result,
    store::{event_log::Appended, sqlite::Database},
};

/// Most appends of one commit, and the bytes after which a group is full.
const MAX_GROUP: usize = 1024;
const MAX_GROUP_BYTES: usize = 16 << 20;
/// Most events that one commit removes: twice as many as it appends, so that retention keeps up.
const MAX_REMOVED: u32 = 2048;
/// Pause between two commits that only remove.
const YIELD_TIME: Duration = Duration::from_millis(1);

/// A request to the writer.
pub enum Work {
    /// Append an event.
    Append(Append),
    /// Remove expired events, also while no event arrives.
    Sweep,
}

/// An event to append, and the channel of its outcome.
pub struct Append {
    event: NewEvent,
    reply: oneshot::Sender<Result<Appended>>,
    /// The body's share of the queue's bytes.
    _permit: OwnedSemaphorePermit,
}

/// The writer of all event logs.
pub struct Writer {
    database: Database,
    clock: Clock,
    config: config::Events,
    /// By number: every log in the database, also of a center that is no longer configured.
    logs: BTreeMap<i64, LogState>,
}

// === impl Append ===

impl Append {
    /// `permit` is the body's share of the queue's bytes, held until the event is committed.
    pub fn new(event: NewEvent, reply: oneshot::Sender<Result<Appended>>, permit: OwnedSemaphorePermit) -> Self {
        Self { event, reply, _permit: permit }
    }
}

// === impl Writer ===

impl Writer {
    /// A writer of these logs.
    pub fn new(database: Database, clock: Clock, config: config::Events, logs: BTreeMap<i64, LogState>) -> Self {
        Self { database, clock, config, logs }
    }

    /// Writes until the queue is closed.
    pub fn run(mut self, mut work: mpsc::Receiver<Work>) {
        let mut group = Vec::new();
        let mut has_expired = false;
        loop {
            let first =
                if has_expired { work.try_recv() } else { work.blocking_recv().ok_or(TryRecvError::Disconnected) };
            let first = match first {
                Ok(first) => Some(first),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            };
            gather(first, &mut work, &mut group);
            if group.is_empty() && has_expired {
                // Lets other writers acquire the lock, which is not fair.
                #[expect(clippy::disallowed_methods, reason = "the writer has a thread of its own")]
                thread::sleep(YIELD_TIME);
            }
            has_expired = self.commit(&mut group);
        }
    }

    /// Commits a group and replies to its appends. Returns whether more expired events are left.
    fn commit(&mut self, group: &mut Vec<Append>) -> bool {
        let now = rows::micros(self.clock.now());
        let config = &self.config;
        let mut logs = self.logs.clone();
        let committed = self.database.run_here(|connection| {
            let transaction = connection.transaction()?;
            let removed = rows::trim(&transaction, &mut logs, config, now, MAX_REMOVED)?;
            rows::trim_seen(&transaction, config, now, MAX_REMOVED)?;
            let outcomes: Vec<Appended> = group
                .iter()
                .map(|append| rows::append(&transaction, &mut logs, config, now, &append.event))
                .collect::<Result<_, _>>()?;
            for (number, log) in &logs {
                if self.logs.get(number).is_none_or(|before| !before.is_same(log)) {
                    log.save(&transaction, *number)?;
                }
            }
            transaction.commit()?;
            Ok((outcomes, removed))
        });
        match committed {
            Ok((outcomes, removed)) => {
                self.logs = logs;
                for log in self.logs.values() {
                    log.publish();
                }
                for (append, outcome) in group.drain(..).zip(outcomes) {
                    // The caller may have left; the event is stored all the same.
                    let _ = append.reply.send(Ok(outcome));
                }
                removed >= MAX_REMOVED
            }
            Err(error) => {
                for append in group.drain(..) {
                    let _ = append.reply.send(Err(error.clone()));
                }
                false
            }
        }
    }
}

/// Adds queued events to the group of one commit, until the group is full.
pub fn gather(first: Option<Work>, work: &mut mpsc::Receiver<Work>, group: &mut Vec<Append>) {
    let (mut next, mut bytes) = (first, 0);
    while let Some(work_item) = next {
        if let Work::Append(append) = work_item {
            bytes += append.event.body.len();
            group.push(append);
        }
        let is_full = group.len() >= MAX_GROUP || bytes >= MAX_GROUP_BYTES;
        next = if is_full { None } else { work.try_recv().ok() };
    }
}
