//! The one that writes the event logs: it commits whatever has come in meanwhile as one group.

use std::{collections::BTreeMap, thread, time::Duration};

use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{self, error::TryRecvError},
    oneshot,
};

use super::rows::{self, NewEvent, State};
use crate::{
    clock::Clock,
    config,
    error::Result,
    store::{event_log::Appended, sqlite::Database},
};

/// Most posts, and about how many bytes, of one commit.
const GROUP: usize = 1024;
const GROUP_BYTES: usize = 16 << 20;
/// Most events that one commit removes: twice as many as it takes in, so that what is to go does go.
const REMOVED: u32 = 2048;
/// Pause between two commits that only remove.
const ASIDE: Duration = Duration::from_millis(1);

/// What the writer is asked for.
pub enum Work {
    /// Append an event.
    Append(Append),
    /// Remove expired events: nothing else may do so while no event arrives.
    Sweep,
}

/// An event to append, and who waits for it.
pub struct Append {
    event: NewEvent,
    reply: oneshot::Sender<Result<Appended>>,
    /// The body's share of the queue's bytes.
    _bytes: OwnedSemaphorePermit,
}

/// The one that writes.
pub struct Writer {
    database: Database,
    clock: Clock,
    terms: config::Events,
    /// By number; every log that the database has, also of a center that is no more configured.
    logs: BTreeMap<i64, State>,
}

// === impl Append ===

impl Append {
    /// `bytes` is the body's share of the queue's bytes, held until the event is committed.
    pub fn new(event: NewEvent, reply: oneshot::Sender<Result<Appended>>, bytes: OwnedSemaphorePermit) -> Self {
        Self { event, reply, _bytes: bytes }
    }
}

// === impl Writer ===

impl Writer {
    /// A writer of these logs.
    pub fn new(database: Database, clock: Clock, terms: config::Events, logs: BTreeMap<i64, State>) -> Self {
        Self { database, clock, terms, logs }
    }

    /// Writes until nobody can ask for anything any more.
    pub fn run(mut self, mut work: mpsc::Receiver<Work>) {
        let mut group = Vec::new();
        let mut has_old = false;
        loop {
            let first = if has_old { work.try_recv() } else { work.blocking_recv().ok_or(TryRecvError::Disconnected) };
            let first = match first {
                Ok(first) => Some(first),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            };
            gather(first, &mut work, &mut group);
            if group.is_empty() && has_old {
                // Whoever else wants to write is let in: the lock goes to whoever is fast.
                #[expect(clippy::disallowed_methods, reason = "the writer has a thread of its own")]
                thread::sleep(ASIDE);
            }
            has_old = self.commit(&mut group);
        }
    }

    /// Keeps a group, and answers its posts. Says whether there are more old events than were removed with it.
    fn commit(&mut self, group: &mut Vec<Append>) -> bool {
        let now = rows::micros(self.clock.now());
        let terms = &self.terms;
        let mut logs = self.logs.clone();
        let done = self.database.locked(|connection| {
            let transaction = connection.transaction()?;
            let removed = rows::trim(&transaction, &mut logs, terms, now, REMOVED)?;
            rows::forget_seen(&transaction, terms, now, REMOVED)?;
            let kept: Vec<Appended> = group
                .iter()
                .map(|append| rows::append(&transaction, &mut logs, terms, now, &append.event))
                .collect::<Result<_, _>>()?;
            for (number, log) in &logs {
                if self.logs.get(number).is_none_or(|before| !before.is_same(log)) {
                    log.save(&transaction, *number)?;
                }
            }
            transaction.commit()?;
            Ok((kept, removed))
        });
        match done {
            Ok((kept, removed)) => {
                self.logs = logs;
                for log in self.logs.values() {
                    log.tell();
                }
                for (append, kept) in group.drain(..).zip(kept) {
                    // The caller may have left; the event is stored all the same.
                    let _ = append.reply.send(Ok(kept));
                }
                removed >= REMOVED
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

/// Adds what waits to the group of one commit, until that is full.
pub fn gather(first: Option<Work>, work: &mut mpsc::Receiver<Work>, group: &mut Vec<Append>) {
    let (mut next, mut bytes) = (first, 0);
    while let Some(work_item) = next {
        if let Work::Append(append) = work_item {
            bytes += append.event.body.len();
            group.push(append);
        }
        let is_full = group.len() >= GROUP || bytes >= GROUP_BYTES;
        next = if is_full { None } else { work.try_recv().ok() };
    }
}
