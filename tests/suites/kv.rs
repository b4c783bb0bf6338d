//! The tests of every [`KeyValueStore`] implementation.
//!
//! A test target runs `kv_tests!(a future of an empty store)`.

use std::sync::Arc;

use switchboard::store::kv::KeyValueStore;
use tokio::task::JoinSet;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    list.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

pub async fn an_entry_is_stored_until_it_is_replaced_or_removed(store: Arc<dyn KeyValueStore>) {
    assert_eq!(store.get("a.b").await.unwrap(), None);
    store.put("a.b", b"one".to_vec()).await.unwrap();
    assert_eq!(store.get("a.b").await.unwrap().unwrap(), b"one");
    store.put("a.b", b"two".to_vec()).await.unwrap();
    assert_eq!(store.get("a.b").await.unwrap().unwrap(), b"two");
    store.remove("a.b").await.unwrap();
    assert_eq!(store.get("a.b").await.unwrap(), None);
    store.remove("a.b").await.unwrap();
    store.put("a.b", b"three".to_vec()).await.unwrap();
    assert_eq!(store.get("a.b").await.unwrap().unwrap(), b"three");
}

pub async fn any_bytes_are_a_value(store: Arc<dyn KeyValueStore>) {
    for value in [&b""[..], b"\0\xff\r\n", &vec![7; 100_000]] {
        store.put("key", value.to_vec()).await.unwrap();
        assert_eq!(store.get("key").await.unwrap().unwrap(), value);
        assert_eq!(store.list("").await.unwrap(), [("key".to_owned(), value.to_vec())]);
    }
}

pub async fn keys_are_listed_by_prefix_in_order(store: Arc<dyn KeyValueStore>) {
    assert_eq!(store.list("a.").await.unwrap(), []);
    for key in ["b.1", "a.2", "a.10", "a-b.1", "a.2.x_=", "A.1", "a.1"] {
        store.put(key, key.as_bytes().to_vec()).await.unwrap();
    }
    store.put("a.gone", Vec::new()).await.unwrap();
    store.remove("a.gone").await.unwrap();
    let below = [("a.1", "a.1"), ("a.10", "a.10"), ("a.2", "a.2"), ("a.2.x_=", "a.2.x_=")];
    assert_eq!(store.list("a.").await.unwrap(), pairs(&below));
    assert_eq!(store.list("a.1").await.unwrap(), pairs(&below[..2]));
    assert_eq!(store.list("a.2.").await.unwrap(), pairs(&below[3..]));
    assert_eq!(store.list("a.3").await.unwrap(), []);
    assert_eq!(store.list("a").await.unwrap().len(), 5, "a-b.1, too");
    assert_eq!(store.list("").await.unwrap().len(), 7);
}

pub async fn many_entries_are_listed(store: Arc<dyn KeyValueStore>) {
    let mut writes = JoinSet::new();
    for number in 0..300 {
        let store = store.clone();
        writes.spawn(async move { store.put(&format!("many.{number:03}"), vec![1; number]).await.unwrap() });
    }
    writes.join_all().await;
    let listed = store.list("many.").await.unwrap();
    assert!(listed.is_sorted());
    assert!(listed.iter().map(|(_, value)| value.len()).eq(0..300));
}

pub async fn one_of_several_concurrent_creates_wins_and_all_get_its_value(store: Arc<dyn KeyValueStore>) {
    let mut creators = JoinSet::new();
    for number in 0..20_u8 {
        let store = store.clone();
        creators.spawn(async move { store.create("key", vec![number]).await.unwrap() });
    }
    let returned = creators.join_all().await;
    let stored = store.get("key").await.unwrap().unwrap();
    assert!(returned.iter().all(|value| *value == stored), "{returned:?}");
    assert_eq!(store.create("key", b"late".to_vec()).await.unwrap(), stored);

    store.remove("key").await.unwrap();
    assert_eq!(store.create("key", b"anew".to_vec()).await.unwrap(), b"anew");
    assert_eq!(store.get("key").await.unwrap().unwrap(), b"anew");
}

/// One test for each of these functions, each with its own store. `$store` is a pair of the store and what it needs.
macro_rules! kv_tests {
    ($store:expr) => {
        $crate::kv::kv_tests!($store;
            an_entry_is_stored_until_it_is_replaced_or_removed
            any_bytes_are_a_value
            keys_are_listed_by_prefix_in_order
            many_entries_are_listed
            one_of_several_concurrent_creates_wins_and_all_get_its_value
        );
    };
    ($store:expr; $($test:ident)*) => {
        $(#[tokio::test]
        async fn $test() {
            let (store, _held) = $store.await;
            $crate::kv::$test(store).await;
        })*
    };
}
pub(crate) use kv_tests;
