//! A mutex per key: serializes the read-modify-write of one resource.

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

/// A mutex per key. The entry of a key that is neither held nor awaited is removed when the next key is added.
pub(crate) struct KeyedMutex<K>(std::sync::Mutex<HashMap<K, Weak<Mutex<()>>>>);

/// Holds the lock of one key until it is dropped.
pub(crate) type KeyedMutexGuard = OwnedMutexGuard<()>;

// === impl KeyedMutex ===

impl<K: Eq + Hash> KeyedMutex<K> {
    /// No key is locked.
    pub(crate) fn new() -> Self {
        Self(std::sync::Mutex::default())
    }

    /// Waits for the lock of this key, until `deadline`.
    ///
    /// # Errors
    /// `DEADLINE_BEFORE_SEND` when the deadline passes first.
    pub(crate) async fn lock(&self, key: K, deadline: Instant) -> Result<KeyedMutexGuard> {
        let mutex = self.mutex(key);
        timeout_at(deadline, mutex.lock_owned()).await.map_err(|_| {
            Error::new(
                ErrorReason::DeadlineBeforeSend,
                "the deadline passed before anything was sent: other changes of the same resource held its lock",
            )
        })
    }

    fn mutex(&self, key: K) -> Arc<Mutex<()>> {
        let mut mutexes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mutex) = mutexes.get(&key).and_then(Weak::upgrade) {
            return mutex;
        }
        mutexes.retain(|_, mutex| mutex.strong_count() > 0);
        let mutex = Arc::default();
        mutexes.insert(key, Arc::downgrade(&mutex));
        mutex
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
    async fn a_locked_key_blocks_itself_and_no_other_key() {
        let mutex = KeyedMutex::new();
        let begun = Instant::now();
        let soon = begun + Duration::from_secs(1);
        let held = mutex.lock("a", soon).await.unwrap();
        mutex.lock("b", soon).await.unwrap();
        assert_eq!(mutex.lock("a", soon).await.unwrap_err().reason(), ErrorReason::DeadlineBeforeSend);
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "reported at its deadline");
        drop(held);
        mutex.lock("a", soon + Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test]
    async fn entries_of_unlocked_keys_are_removed() {
        let mutex = KeyedMutex::new();
        let later = Instant::now() + Duration::from_secs(60);
        for key in 0..100 {
            mutex.lock(key, later).await.unwrap();
        }
        assert_eq!(mutex.0.lock().unwrap().len(), 1);
    }
}
