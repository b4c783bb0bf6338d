//! Tests of minting, accepting, retiring and redacting addresses.

mod minting;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use proptest::prelude::*;

use super::{records::CACHE_TTL, *};
use crate::{clock::Source, store::sqlite::Database};

const GATEWAY: &str = "https://gateway.example.com/switchboard/";
const VENDOR: &str = "https://acme.example.com/";

/// A clock that tests advance; it starts in 2027.
#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

impl Source for ManualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.steady()
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Acquire))
    }
}

impl ManualClock {
    fn advance(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::AcqRel);
    }
}

/// A store that counts reads of address records and fails on demand.
#[derive(Debug)]
struct CountingStore {
    store: Database,
    /// Reads of single address records.
    reads: AtomicUsize,
    is_broken: Mutex<bool>,
}

impl CountingStore {
    fn available(&self) -> Result<&Database> {
        let broken = || Error::new(ErrorReason::StorageUnavailable, "broken for the test");
        if *self.is_broken.lock().unwrap() { Err(broken()) } else { Ok(&self.store) }
    }
}

#[async_trait]
impl KeyValueStore for CountingStore {
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.available()?.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        if key.starts_with("address.") {
            self.reads.fetch_add(1, Ordering::AcqRel);
            // Reading takes a while, in which other calls begin.
            tokio::task::yield_now().await;
        }
        self.available()?.get(key).await
    }

    async fn create(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        self.available()?.create(key, value).await
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<()> {
        self.available()?.put(key, value).await
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.available()?.remove(key).await
    }
}

/// A gateway's addresses with their store and clock.
struct Fixture {
    addresses: Addresses,
    store: Arc<CountingStore>,
    clock: ManualClock,
}

fn events(base: &str, key: Option<&str>) -> config::Events {
    config::Events {
        callback_base_url: base.parse().unwrap(),
        callback_key: key.map(SecretString::from),
        retention: Duration::from_secs(1),
        retention_size: 1 << 20,
        duplicate_window: Duration::ZERO,
    }
}

fn vendor() -> Url {
    VENDOR.parse().unwrap()
}

fn segment(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap()
}

impl Fixture {
    fn new() -> Self {
        Self::with(Database::in_memory().unwrap(), None)
    }

    fn with(store: Database, key: Option<&str>) -> Self {
        let store = Arc::new(CountingStore { store, reads: AtomicUsize::new(0), is_broken: Mutex::new(false) });
        let clock = ManualClock::default();
        let source = Clock::from_source(clock.clone());
        Self { addresses: Addresses::new(&events(GATEWAY, key), store.clone(), source), store, clock }
    }

    /// Another gateway with the same store, key and clock.
    fn another(&self, key: Option<&str>) -> Addresses {
        Addresses::new(&events(GATEWAY, key), self.store.clone(), Clock::from_source(self.clock.clone()))
    }

    async fn mint(&self, subscription: Option<&str>) -> (String, Nonce) {
        self.addresses.mint("acme", subscription, &vendor()).await.unwrap().into_parts()
    }

    /// Mints an address and adopts it for a subscription.
    async fn mint_adopted(&self, subscription: &str) -> (String, Nonce) {
        let (uri, nonce) = self.mint(None).await;
        self.addresses.adopt("acme", &nonce, subscription).await.unwrap();
        (uri, nonce)
    }

    async fn accepts(&self, uri: &str) -> bool {
        self.addresses.verify("acme", segment(uri)).await.unwrap()
    }

    /// Count of the stored address records.
    async fn stored_records(&self) -> usize {
        self.store.store.list("address.").await.unwrap().len()
    }

    fn break_store(&self) {
        *self.store.is_broken.lock().unwrap() = true;
    }
}

#[tokio::test]
async fn a_minted_address_is_accepted_immediately() {
    let fixture = Fixture::new();
    let (uri, _) = fixture.mint(None).await;
    let (base, segment) = uri.rsplit_once('/').unwrap();
    assert_eq!(base, "https://gateway.example.com/switchboard/callbacks/acme");
    assert_eq!(segment.len(), SEGMENT_LENGTH);
    assert!(uri.parse::<Url>().unwrap().as_str() == uri, "no character of it needs an escape: {uri}");
    assert!(fixture.accepts(&uri).await);
    assert_ne!(fixture.mint(None).await.0, uri, "every address is unique");
}

#[tokio::test]
async fn an_address_survives_a_restart_and_all_gateways_with_the_same_store_accept_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config::Storage { path: folder.path().join("switchboard.db") };
    for key in [None, Some("configured")] {
        let before = Fixture::with(Database::open(&config).unwrap(), key);
        let (uri, nonce) = before.mint(None).await;
        let other = before.another(key);
        assert!(other.verify("acme", segment(&uri)).await.unwrap());
        drop((before, other));
        let after = Fixture::with(Database::open(&config).unwrap(), key);
        assert!(after.accepts(&uri).await);
        assert!(after.addresses.recognize("acme", &uri).await.unwrap() == Some(nonce));
    }
}

#[tokio::test]
async fn an_absent_record_is_not_cached() {
    let fixture = Fixture::new();
    let (uri, nonce) = fixture.mint(None).await;
    fixture.addresses.discard("acme", &nonce).await.unwrap();
    // Another gateway may read a replica of the store that lags behind.
    let other = fixture.another(None);
    assert!(!other.verify("acme", segment(&uri)).await.unwrap());
    fixture.addresses.adopt("acme", &nonce, "102").await.unwrap();
    assert!(other.verify("acme", segment(&uri)).await.unwrap());
}

#[tokio::test]
async fn an_invalid_address_is_rejected_without_reading_its_record() {
    let fixture = Fixture::with(Database::in_memory().unwrap(), Some("one"));
    let (uri, nonce) = fixture.mint(None).await;
    let valid = segment(&uri);
    let (nonce_text, mac) = valid.split_once('.').unwrap();
    let (other_uri, _) = fixture.mint(None).await;
    let (other_nonce, other_mac) = segment(&other_uri).split_once('.').unwrap();
    // The last base64 character of a MAC has two padding bits: only the encoding with zero bits is accepted.
    let last = mac.chars().last().unwrap();
    let alphabet = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).collect::<Vec<_>>();
    let at = alphabet.iter().position(|&char| char == last).unwrap();
    let non_canonical = format!("{nonce_text}.{}{}", &mac[..mac.len() - 1], alphabet[at ^ 1]);

    let reads = fixture.store.reads.load(Ordering::Acquire);
    for invalid in [
        String::new(),
        ".".to_owned(),
        nonce_text.to_owned(),
        format!("{nonce_text}.{other_mac}"),
        format!("{other_nonce}.{mac}"),
        format!("{mac}.{nonce_text}"),
        non_canonical,
        valid.to_lowercase(),
        format!("{valid}="),
        format!("{valid}/"),
        valid[..valid.len() - 1].to_owned(),
        "x".repeat(1 << 20),
        "\u{e9}".repeat(33),
    ] {
        assert!(!fixture.addresses.verify("acme", &invalid).await.unwrap(), "{}", invalid.len());
    }
    for center in ["", "acm", "beta", "acme.x", "../acme"] {
        assert!(!fixture.addresses.verify(center, valid).await.unwrap(), "{center}");
    }
    assert!(!fixture.another(Some("two")).verify("acme", valid).await.unwrap(), "another key");
    assert_eq!(fixture.store.reads.load(Ordering::Acquire), reads, "an invalid MAC reads no record");
    fixture.addresses.discard("acme", &nonce).await.unwrap();
    assert!(!fixture.accepts(&uri).await, "a valid MAC of a removed nonce");
}

#[tokio::test]
async fn a_retired_address_is_accepted_until_its_grace_expires() {
    let fixture = Fixture::new();
    let other = fixture.another(None);
    let (old, _) = fixture.mint_adopted("102").await;
    assert!(other.verify("acme", segment(&old)).await.unwrap());
    let superseded = fixture.addresses.replaceable("acme", "102").await.unwrap();
    let (new, nonce) = fixture.mint(Some("102")).await;
    fixture.addresses.adopt("acme", &nonce, "102").await.unwrap();
    fixture.addresses.retire("acme", &superseded).await.unwrap();
    assert!(fixture.addresses.replaceable("acme", "102").await.unwrap() == [nonce]);

    fixture.clock.advance(Duration::from_secs(600));
    assert!(fixture.accepts(&old).await && other.verify("acme", segment(&old)).await.unwrap());
    // A mint at the end of the grace removes nothing that is still accepted.
    let (_, pending) = fixture.mint(None).await;
    assert_eq!(fixture.stored_records().await, 3);
    fixture.addresses.discard("acme", &pending).await.unwrap();
    // Retiring it again does not prolong the grace.
    fixture.addresses.retire("acme", &superseded).await.unwrap();
    fixture.clock.advance(Duration::from_millis(1));
    assert!(!fixture.accepts(&old).await && !other.verify("acme", segment(&old)).await.unwrap());
    assert!(fixture.accepts(&new).await);
    assert_eq!(fixture.stored_records().await, 2);
    let (_, pending) = fixture.mint(None).await;
    assert_eq!(fixture.stored_records().await, 2, "the next mint removes expired records");
    fixture.addresses.discard("acme", &pending).await.unwrap();
    assert!(!fixture.accepts(&old).await && fixture.accepts(&new).await);
}

#[tokio::test]
async fn another_gateway_rejects_a_retired_address_when_the_grace_expires() {
    let fixture = Fixture::new();
    let other = fixture.another(None);
    let (uri, _) = fixture.mint_adopted("102").await;
    // The other gateway caches the record right before it is retired, and verifies every second from then on.
    assert!(other.verify("acme", segment(&uri)).await.unwrap());
    fixture.addresses.retire_all("acme", "102").await.unwrap();
    for _ in 0..GRACE.as_secs() {
        fixture.clock.advance(Duration::from_secs(1));
        assert!(other.verify("acme", segment(&uri)).await.unwrap());
    }
    fixture.clock.advance(Duration::from_secs(1));
    assert!(!other.verify("acme", segment(&uri)).await.unwrap());
}

#[tokio::test]
async fn concurrent_calls_share_one_read_and_the_cache_expires() {
    let fixture = Fixture::new();
    let (uri, _) = fixture.mint_adopted("102").await;
    let other = fixture.another(None);
    let reads = || fixture.store.reads.load(Ordering::Acquire);
    let before = reads();
    let callbacks = (0..100).map(|_| other.verify("acme", segment(&uri)));
    assert!(futures_util::future::join_all(callbacks).await.into_iter().all(|accepted| accepted.unwrap()));
    assert_eq!(reads(), before + 1, "concurrent calls share one read");
    fixture.clock.advance(CACHE_TTL);
    assert!(other.verify("acme", segment(&uri)).await.unwrap());
    assert_eq!(reads(), before + 2);
}

#[tokio::test]
async fn a_deleted_subscription_retires_its_own_addresses_only() {
    let fixture = Fixture::new();
    let (deleted, _) = fixture.mint_adopted("102").await;
    let (pending, _) = fixture.mint(Some("102")).await;
    let (of_another, _) = fixture.mint_adopted("10").await;
    let (unassigned, _) = fixture.mint(None).await;
    fixture.addresses.retire_all("acme", "102").await.unwrap();
    fixture.clock.advance(GRACE + Duration::from_millis(1));
    assert!(!fixture.accepts(&deleted).await && !fixture.accepts(&pending).await);
    assert!(fixture.accepts(&of_another).await && fixture.accepts(&unassigned).await);
}

/// Two gateways change one subscription concurrently; the vendor may apply either change last.
#[tokio::test]
async fn concurrent_changes_do_not_retire_each_others_address() {
    let fixture = Fixture::new();
    let other = fixture.another(None);
    let (first, _) = fixture.mint_adopted("102").await;
    let (ours, theirs) = (fixture.addresses.replaceable("acme", "102").await, other.replaceable("acme", "102").await);
    let (our_uri, our_nonce) = fixture.mint(Some("102")).await;
    let (their_uri, their_nonce) = other.mint("acme", Some("102"), &vendor()).await.unwrap().into_parts();
    assert!(
        fixture.addresses.replaceable("acme", "102").await.unwrap().len() == 1,
        "a running change's address is not replaceable"
    );
    for (gateway, nonce, superseded) in [(&fixture.addresses, our_nonce, ours), (&other, their_nonce, theirs)] {
        gateway.adopt("acme", &nonce, "102").await.unwrap();
        gateway.retire("acme", &superseded.unwrap()).await.unwrap();
    }
    fixture.clock.advance(GRACE + Duration::from_millis(1));
    assert!(fixture.accepts(&our_uri).await && fixture.accepts(&their_uri).await && !fixture.accepts(&first).await);
    assert_eq!(fixture.addresses.replaceable("acme", "102").await.unwrap().len(), 2, "the next change replaces both");
}

#[tokio::test]
async fn an_address_with_an_unknown_outcome_becomes_replaceable_after_the_grace() {
    let fixture = Fixture::new();
    let (uri, nonce) = fixture.mint(Some("102")).await;
    assert!(fixture.addresses.replaceable("acme", "102").await.unwrap().is_empty());
    fixture.clock.advance(GRACE);
    assert!(fixture.addresses.replaceable("acme", "102").await.unwrap().is_empty());
    fixture.clock.advance(Duration::from_millis(1));
    assert!(fixture.accepts(&uri).await, "the vendor may have it");
    assert!(fixture.addresses.replaceable("acme", "102").await.unwrap() == [nonce]);
}

#[tokio::test]
async fn a_listed_callback_uri_is_recognized_by_its_last_segment() {
    let fixture = Fixture::new();
    let (uri, nonce) = fixture.mint(None).await;
    let recognized = async |center: &str, uri: &str| fixture.addresses.recognize(center, uri).await.unwrap();
    let end = segment(&uri);
    for ours in [
        uri.clone(),
        format!("http://old-name.example.com:8443/callbacks/acme/{end}"),
        format!("{uri}?x=/y"),
        end.to_owned(),
    ] {
        assert!(recognized("acme", &ours).await.as_ref() == Some(&nonce));
    }
    for foreign in
        ["", "/", "https://crm.example.com/hooks/s3cret", &format!("{uri}x"), &format!("https://a/?b=/{end}")]
    {
        assert!(recognized("acme", foreign).await.is_none(), "{foreign}");
    }
    assert!(recognized("beta", &uri).await.is_none());
    // Recognizing reads no record: a removed address is recognized, too.
    fixture.addresses.discard("acme", &nonce).await.unwrap();
    fixture.break_store();
    assert!(recognized("acme", &uri).await == Some(nonce));
}

#[tokio::test]
async fn a_failed_store_is_storage_unavailable() {
    let broken = |error: Error| assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
    let fixture = Fixture::new();
    fixture.break_store();
    broken(fixture.addresses.mint("acme", None, &vendor()).await.unwrap_err());
    let fixture = Fixture::new();
    let (uri, _) = fixture.mint_adopted("102").await;
    fixture.break_store();
    assert!(fixture.accepts(&uri).await, "the cache holds the record");
    fixture.clock.advance(CACHE_TTL);
    broken(fixture.addresses.verify("acme", segment(&uri)).await.unwrap_err());
    broken(fixture.another(None).recognize("acme", &uri).await.unwrap_err());
    broken(fixture.addresses.replaceable("acme", "102").await.unwrap_err());
}

#[tokio::test]
async fn an_unreadable_record_is_storage_unavailable() {
    let fixture = Fixture::new();
    let (uri, nonce) = fixture.mint(None).await;
    fixture.store.put(&format!("address.acme.{}", nonce.0), b"{\"state\":\"elsewhere\"}".to_vec()).await.unwrap();
    let error = fixture.another(None).verify("acme", segment(&uri)).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
    fixture.mint(None).await; // An unreadable record does not block minting.
    fixture.store.put(KEY_NAME, b"short".to_vec()).await.unwrap();
    let error = fixture.another(None).verify("acme", segment(&uri)).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
}
