//! The one that writes the event logs: it commits whatever has come in meanwhile as one group.

use std::{collections::BTreeMap, thread, time::Duration};

use bytes::Bytes;
use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{
        error::TryRecvError,
        {self},
    },
    oneshot,
};

use super::rows::{
    State, {self},
};
use crate::{
    clock::Clock,
    config,
    error::Result,
    store::{event_log::Appended, fingerprint::Fingerprint, sqlite::Database},
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
    /// To keep something.
    Append(Post),
    /// To look for events that are too old, because nothing else may make it do so.
    Sweep,
}

/// Something to keep.
pub struct Post {
    /// The log's number.
    pub number: i64,
    /// As it was posted.
    pub body: Bytes,
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// Where the answer goes.
    kept: oneshot::Sender<Result<Appended>>,
    /// What its body takes of the queue's room.
    _room: OwnedSemaphorePermit,
}

/// The one that writes.
pub struct Writer {
    database: Database,
    clock: Clock,
    terms: config::Events,
    /// By number; every log that the database has, also of a center that is no more configured.
    logs: BTreeMap<i64, State>,
}

// === impl Post ===

impl Post {
    /// Something to keep in the log of this number, and the room that it takes in the queue.
    pub fn new(
        number: i64,
        body: Bytes,
        fingerprint: Fingerprint,
        kept: oneshot::Sender<Result<Appended>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { number, body, fingerprint, kept, _room: room }
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
            let mut next = match first {
                Ok(first) => Some(first),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return,
            };
            let mut bytes = 0;
            while let Some(work_item) = next {
                if let Work::Append(post) = work_item {
                    bytes += post.body.len();
                    group.push(post);
                }
                let is_full = group.len() >= GROUP || bytes >= GROUP_BYTES;
                next = if is_full { None } else { work.try_recv().ok() };
            }
            if group.is_empty() && has_old {
                // Whoever else wants to write is let in: the lock goes to whoever is fast.
                #[expect(clippy::disallowed_methods, reason = "the writer has a thread of its own")]
                thread::sleep(ASIDE);
            }
            has_old = self.commit(&mut group);
        }
    }

    /// Keeps a group, and answers its posts. Says whether there are more old events than were removed with it.
    fn commit(&mut self, group: &mut Vec<Post>) -> bool {
        let now = rows::micros(self.clock.now());
        let terms = &self.terms;
        let mut logs = self.logs.clone();
        let done = self.database.locked(|connection| {
            let transaction = connection.transaction()?;
            let removed = rows::trim(&transaction, &mut logs, terms, now, REMOVED)?;
            rows::forget_seen(&transaction, terms, now, REMOVED)?;
            let kept: Vec<Appended> = group
                .iter()
                .map(|post| rows::append(&transaction, &mut logs, terms, now, post))
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
                for (post, kept) in group.drain(..).zip(kept) {
                    // Whoever posted it may be gone; it is kept all the same.
                    let _ = post.kept.send(Ok(kept));
                }
                removed >= REMOVED
            }
            Err(error) => {
                for post in group.drain(..) {
                    let _ = post.kept.send(Err(error.clone()));
                }
                false
            }
        }
    }
}
