//! One at a time: a resource that is read, merged and written back must not be changed by two calls at once.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, PoisonError, Weak},
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout_at},
};

use crate::error::{Error, ErrorReason, Result};

/// A queue per key. A key without a call takes no memory after the next one comes.
pub struct Serial<K>(std::sync::Mutex<HashMap<K, Weak<Mutex<()>>>>);

/// The turn of one call, until it is dropped.
pub type Turn = OwnedMutexGuard<()>;

// === impl Serial ===

impl<K: Eq + Hash> Serial<K> {
    /// Nobody waits.
    pub fn new() -> Self {
        Self(std::sync::Mutex::default())
    }

    /// Waits for this key's turn, until `deadline`.
    ///
    /// # Errors
    /// `DEADLINE_BEFORE_SEND` when it did not come in time.
    pub async fn turn(&self, key: K, deadline: Instant) -> Result<Turn> {
        let queue = self.queue(key);
        timeout_at(deadline, queue.lock_owned()).await.map_err(|_| {
            Error::new(
                ErrorReason::DeadlineBeforeSend,
                "the deadline passed before anything was sent: other changes of the same resource took too long",
            )
        })
    }

    fn queue(&self, key: K) -> Arc<Mutex<()>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&key).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        queues.insert(key, Arc::downgrade(&queue));
        queue
    }
}

impl<K: Eq + Hash> Default for Serial<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Serial<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serial")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_key_waits_and_another_does_not() {
        let serial = Serial::new();
        let soon = Instant::now() + Duration::from_secs(1);
        let held = serial.turn("a", soon).await.unwrap();
        serial.turn("b", soon).await.unwrap();
        assert_eq!(serial.turn("a", soon).await.unwrap_err().reason(), ErrorReason::DeadlineBeforeSend);
        drop(held);
        serial.turn("a", soon + Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test]
    async fn keys_nobody_waits_for_are_forgotten() {
        let serial = Serial::new();
        let later = Instant::now() + Duration::from_secs(60);
        for key in 0..100 {
            serial.turn(key, later).await.unwrap();
        }
        assert_eq!(serial.0.lock().unwrap().len(), 1);
    }
}
