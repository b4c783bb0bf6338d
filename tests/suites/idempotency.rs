//! The tests of every [`IdempotencyStore`] implementation.
//!
//! A test target runs `idempotency_tests!(a future of an empty store)`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use switchboard::store::idempotency::{CallState, Hash, IdempotencyStore};
use tokio::task::JoinSet;

const CALL: Hash = [1; 32];
const CONTENT: Hash = [2; 32];

fn day(hours: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + hours * 3600)
}

/// Begins the call some hours after time 0; entries expire after a day.
async fn begin(store: &dyn IdempotencyStore, content: Hash, hours: u64) -> CallState {
    store.begin(CALL, content, day(hours), day(hours) - Duration::from_secs(24 * 3600)).await.unwrap()
}

pub async fn a_call_begins_once_and_its_response_is_stored(store: Arc<dyn IdempotencyStore>) {
    assert_eq!(begin(&*store, CONTENT, 0).await, CallState::New);
    assert_eq!(begin(&*store, CONTENT, 0).await, CallState::Interrupted, "this gateway recorded no completion");
    store.complete(CALL, b"sealed".to_vec()).await.unwrap();
    assert_eq!(begin(&*store, CONTENT, 1).await, CallState::Completed(b"sealed".to_vec()));
    assert_eq!(begin(&*store, CONTENT, 23).await, CallState::Completed(b"sealed".to_vec()));
}

pub async fn an_id_belongs_to_one_content(store: Arc<dyn IdempotencyStore>) {
    assert_eq!(begin(&*store, CONTENT, 0).await, CallState::New);
    assert_eq!(begin(&*store, [3; 32], 0).await, CallState::ContentMismatch);
    store.complete(CALL, b"sealed".to_vec()).await.unwrap();
    assert_eq!(begin(&*store, [3; 32], 0).await, CallState::ContentMismatch);
    let other = store.begin([4; 32], [3; 32], day(0), day(0)).await.unwrap();
    assert_eq!(other, CallState::New, "another call");
}

pub async fn a_discarded_call_may_begin_again(store: Arc<dyn IdempotencyStore>) {
    for content in [CONTENT, [3; 32]] {
        assert_eq!(begin(&*store, content, 0).await, CallState::New);
        store.discard(CALL).await.unwrap();
    }
    store.discard(CALL).await.unwrap();
}

pub async fn expired_calls_do_not_count(store: Arc<dyn IdempotencyStore>) {
    assert_eq!(begin(&*store, CONTENT, 0).await, CallState::New);
    assert_eq!(begin(&*store, CONTENT, 24).await, CallState::Interrupted);
    assert_eq!(begin(&*store, [3; 32], 25).await, CallState::New);
    store.complete(CALL, b"sealed".to_vec()).await.unwrap();
    assert_eq!(begin(&*store, [3; 32], 26).await, CallState::Completed(b"sealed".to_vec()));
    assert_eq!(begin(&*store, CONTENT, 50).await, CallState::New);
}

pub async fn one_of_several_concurrent_calls_begins(store: Arc<dyn IdempotencyStore>) {
    // Twice: in an empty store, and when every entry has expired.
    for hours in [0, 48] {
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let store = store.clone();
            callers.spawn(async move { begin(&*store, CONTENT, hours).await });
        }
        let states = callers.join_all().await;
        assert_eq!(states.iter().filter(|state| **state == CallState::New).count(), 1, "{states:?}");
    }
}

pub async fn the_key_is_generated_once(store: Arc<dyn IdempotencyStore>) {
    let mut readers = JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        readers.spawn(async move { store.key().await.unwrap() });
    }
    let keys = readers.join_all().await;
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_ne!(keys[0], Hash::default());
}

/// One test for each of these functions, each with its own store. `$store` is a pair of the store and what it needs.
macro_rules! idempotency_tests {
    ($store:expr) => {
        $crate::idempotency::idempotency_tests!($store;
            a_call_begins_once_and_its_response_is_stored
            an_id_belongs_to_one_content
            a_discarded_call_may_begin_again
            expired_calls_do_not_count
            one_of_several_concurrent_calls_begins
            the_key_is_generated_once
        );
    };
    ($store:expr; $($test:ident)*) => {
        $(#[tokio::test]
        async fn $test() {
            let (store, _held) = $store.await;
            $crate::idempotency::$test(store).await;
        })*
    };
}
pub(crate) use idempotency_tests;
