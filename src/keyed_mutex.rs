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
pub struct KeyedMutex<K>(std::sync::Mutex<HashMap<K, Weak<Mutex<()>>>>);

/// The turn of one call, until it is dropped.
pub type KeyedMutexGuard = OwnedMutexGuard<()>;

// === impl KeyedMutex ===

impl<K: Eq + Hash> KeyedMutex<K> {
    /// Nobody waits.
    pub fn new() -> Self {
        Self(std::sync::Mutex::default())
    }

    /// Waits for this key's turn, until `deadline`.
    ///
    /// # Errors
    /// `DEADLINE_BEFORE_SEND` when it did not come in time.
    pub async fn lock(&self, key: K, deadline: Instant) -> Result<KeyedMutexGuard> {
        let queue = self.queue(key);
        timeout_at(deadline, queue.lock_owned()).await.map_err(|_| {
            Error::new(
                ErrorReason::DeadlineBeforeSend,
                "the deadline passed before anything was sent: other changes of the same resource held its lock",
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

impl<K: Eq + Hash> Default for KeyedMutex<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for KeyedMutex<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedMutex")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_key_waits_and_another_does_not() {
        let mutex = KeyedMutex::new();
        let begun = Instant::now();
        let soon = begun + Duration::from_secs(1);
        let held = mutex.lock("a", soon).await.unwrap();
        mutex.lock("b", soon).await.unwrap();
        assert_eq!(mutex.lock("a", soon).await.unwrap_err().reason(), ErrorReason::DeadlineBeforeSend);
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "told at its deadline");
        drop(held);
        mutex.lock("a", soon + Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test]
    async fn keys_nobody_waits_for_are_forgotten() {
        let mutex = KeyedMutex::new();
        let later = Instant::now() + Duration::from_secs(60);
        for key in 0..100 {
            mutex.lock(key, later).await.unwrap();
        }
        assert_eq!(mutex.0.lock().unwrap().len(), 1);
    }
}
