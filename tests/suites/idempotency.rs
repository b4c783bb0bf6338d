//! What every store of calls that can be repeated must do, whatever keeps them.
//!
//! A test target runs `idempotency_tests!(a future that gives an empty store)`.

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

/// Begins the call, some hours after the first time of all, with entries gone that are older than a day.
async fn begin(store: &dyn IdempotencyStore, content: Hash, hours: u64) -> CallState {
    store.begin(CALL, content, day(hours), day(hours) - Duration::from_secs(24 * 3600)).await.unwrap()
}

pub async fn a_call_begins_once_and_its_answer_is_kept(store: Arc<dyn IdempotencyStore>) {
    assert_eq!(begin(&*store, CONTENT, 0).await, CallState::New);
    assert_eq!(begin(&*store, CONTENT, 0).await, CallState::Interrupted, "this gateway noted no end");
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

pub async fn what_did_nothing_is_forgotten(store: Arc<dyn IdempotencyStore>) {
    for content in [CONTENT, [3; 32]] {
        assert_eq!(begin(&*store, content, 0).await, CallState::New);
        store.discard(CALL).await.unwrap();
    }
    store.discard(CALL).await.unwrap();
}

pub async fn what_is_too_old_is_gone(store: Arc<dyn IdempotencyStore>) {
    assert_eq!(begin(&*store, CONTENT, 0).await, CallState::New);
    assert_eq!(begin(&*store, CONTENT, 24).await, CallState::Interrupted);
    assert_eq!(begin(&*store, [3; 32], 25).await, CallState::New);
    store.complete(CALL, b"sealed".to_vec()).await.unwrap();
    assert_eq!(begin(&*store, [3; 32], 26).await, CallState::Completed(b"sealed".to_vec()));
    assert_eq!(begin(&*store, CONTENT, 50).await, CallState::New);
}

pub async fn one_of_several_begins(store: Arc<dyn IdempotencyStore>) {
    // Twice: where nothing was, and where all is too old.
    for hours in [0, 48] {
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let store = store.clone();
            callers.spawn(async move { begin(&*store, CONTENT, hours).await });
        }
        let begun = callers.join_all().await;
        assert_eq!(begun.iter().filter(|begun| **begun == CallState::New).count(), 1, "{begun:?}");
    }
}

pub async fn the_key_is_made_once(store: Arc<dyn IdempotencyStore>) {
    let mut readers = JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        readers.spawn(async move { store.key().await.unwrap() });
    }
    let keys = readers.join_all().await;
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_ne!(keys[0], Hash::default());
}

/// A test for each of these, with a store of its own. `$store` may hold more than the store, in a pair.
macro_rules! idempotency_tests {
    ($store:expr) => {
        $crate::idempotency::idempotency_tests!($store;
            a_call_begins_once_and_its_answer_is_kept
            an_id_belongs_to_one_content
            what_did_nothing_is_forgotten
            what_is_too_old_is_gone
            one_of_several_begins
            the_key_is_made_once
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
