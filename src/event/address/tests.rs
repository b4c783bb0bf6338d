//! Addresses that are made, taken, given up, and told to nobody.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use proptest::prelude::*;

use super::{records::BELIEVED, *};
use crate::{clock::Source, store::sqlite::Database};

const GATEWAY: &str = "https://gateway.example.com/switchboard/";
const VENDOR: &str = "https://acme.example.com/";

/// A clock that is set by hand; it begins in 2027.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Source for Hand {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.steady()
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Acquire))
    }
}

impl Hand {
    fn forward(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::AcqRel);
    }
}

/// A store that counts what it is asked for and can be broken.
#[derive(Debug)]
struct Counting {
    store: Database,
    /// Of facts of addresses, one by one.
    reads: AtomicUsize,
    is_broken: Mutex<bool>,
}

impl Counting {
    fn ask(&self) -> Result<&Database> {
        let broken = || Error::new(ErrorReason::StorageUnavailable, "broken for the test");
        if *self.is_broken.lock().unwrap() { Err(broken()) } else { Ok(&self.store) }
    }
}

#[async_trait]
impl KeyValueStore for Counting {
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.ask()?.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        if key.starts_with("address.") {
            self.reads.fetch_add(1, Ordering::AcqRel);
        }
        self.ask()?.get(key).await
    }

    async fn create(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        self.ask()?.create(key, value).await
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<()> {
        self.ask()?.put(key, value).await
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.ask()?.remove(key).await
    }
}

/// A gateway's addresses, and what stands beneath them.
struct Setting {
    addresses: Addresses,
    store: Arc<Counting>,
    hand: Hand,
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

impl Setting {
    fn new() -> Self {
        Self::with(Database::in_memory().unwrap(), None)
    }

    fn with(store: Database, key: Option<&str>) -> Self {
        let store = Arc::new(Counting { store, reads: AtomicUsize::new(0), is_broken: Mutex::new(false) });
        let hand = Hand::default();
        let clock = Clock::from_source(hand.clone());
        Self { addresses: Addresses::new(&events(GATEWAY, key), store.clone(), clock), store, hand }
    }

    /// Another gateway with the same store, key and clock.
    fn another(&self, key: Option<&str>) -> Addresses {
        Addresses::new(&events(GATEWAY, key), self.store.clone(), Clock::from_source(self.hand.clone()))
    }

    async fn mint(&self, subscription: Option<&str>) -> (String, Nonce) {
        self.addresses.mint("acme", subscription, &vendor()).await.unwrap().into_parts()
    }

    /// An address that the vendor posts a subscription's events to.
    async fn adopted(&self, subscription: &str) -> (String, Nonce) {
        let (uri, nonce) = self.mint(None).await;
        self.addresses.adopt("acme", &nonce, subscription).await.unwrap();
        (uri, nonce)
    }

    async fn takes(&self, uri: &str) -> bool {
        self.addresses.verify("acme", segment(uri)).await.unwrap()
    }

    /// How many facts are kept of addresses.
    async fn kept(&self) -> usize {
        self.store.store.list("address.").await.unwrap().len()
    }

    fn break_store(&self) {
        *self.store.is_broken.lock().unwrap() = true;
    }
}

#[tokio::test]
async fn an_address_is_taken_from_the_moment_it_is_made() {
    let setting = Setting::new();
    let (uri, _) = setting.mint(None).await;
    let (base, segment) = uri.rsplit_once('/').unwrap();
    assert_eq!(base, "https://gateway.example.com/switchboard/callbacks/acme");
    assert_eq!(segment.len(), SEGMENT_TEXT);
    assert!(uri.parse::<Url>().unwrap().as_str() == uri, "nothing in it needs an escape: {uri}");
    assert!(setting.takes(&uri).await);
    assert_ne!(setting.mint(None).await.0, uri, "no two are alike");
}

#[tokio::test]
async fn an_address_outlives_the_gateway_and_every_gateway_that_shares_its_store_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config::Storage { path: folder.path().join("switchboard.db") };
    for key in [None, Some("configured")] {
        let before = Setting::with(Database::open(&config).unwrap(), key);
        let (uri, nonce) = before.mint(None).await;
        let other = before.another(key);
        assert!(other.verify("acme", segment(&uri)).await.unwrap());
        drop((before, other));
        let after = Setting::with(Database::open(&config).unwrap(), key);
        assert!(after.takes(&uri).await);
        assert!(after.addresses.recognize("acme", &uri).await.unwrap() == Some(nonce));
    }
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let setting = Setting::new();
    let (uri, nonce) = setting.mint(None).await;
    setting.addresses.discard("acme", &nonce).await.unwrap();
    // As a gateway sees it that shares a store whose copy is a moment behind.
    let other = setting.another(None);
    assert!(!other.verify("acme", segment(&uri)).await.unwrap());
    setting.addresses.adopt("acme", &nonce, "102").await.unwrap();
    assert!(other.verify("acme", segment(&uri)).await.unwrap());
}

#[tokio::test]
async fn whatever_is_wrong_with_an_address_is_refused_without_a_word() {
    let setting = Setting::with(Database::in_memory().unwrap(), Some("one"));
    let (uri, nonce) = setting.mint(None).await;
    let right = segment(&uri);
    let (nonce_text, mac) = right.split_once('.').unwrap();
    let (other_uri, _) = setting.mint(None).await;
    let (other_nonce, other_mac) = segment(&other_uri).split_once('.').unwrap();
    // The last character of a mac holds two bits that no byte has: no other spelling of the same bytes is taken.
    let last = mac.chars().last().unwrap();
    let sibling = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).collect::<Vec<_>>();
    let at = sibling.iter().position(|&char| char == last).unwrap();
    let respelt = format!("{nonce_text}.{}{}", &mac[..mac.len() - 1], sibling[at ^ 1]);

    let reads = setting.store.reads.load(Ordering::Acquire);
    for wrong in [
        String::new(),
        ".".to_owned(),
        nonce_text.to_owned(),
        format!("{nonce_text}.{other_mac}"),
        format!("{other_nonce}.{mac}"),
        format!("{mac}.{nonce_text}"),
        respelt,
        right.to_lowercase(),
        format!("{right}="),
        format!("{right}/"),
        right[..right.len() - 1].to_owned(),
        "x".repeat(1 << 20),
        "\u{e9}".repeat(33),
    ] {
        assert!(!setting.addresses.verify("acme", &wrong).await.unwrap(), "{}", wrong.len());
    }
    for center in ["", "acm", "beta", "acme.x", "../acme"] {
        assert!(!setting.addresses.verify(center, right).await.unwrap(), "{center}");
    }
    assert!(!setting.another(Some("two")).verify("acme", right).await.unwrap(), "another key");
    assert_eq!(setting.store.reads.load(Ordering::Acquire), reads, "a wrong mac asks the store for nothing");
    setting.addresses.discard("acme", &nonce).await.unwrap();
    assert!(!setting.takes(&uri).await, "a right mac of a nonce that nobody knows");
}

#[tokio::test]
async fn an_address_that_is_given_up_is_taken_for_its_grace() {
    let setting = Setting::new();
    let other = setting.another(None);
    let (old, _) = setting.adopted("102").await;
    assert!(other.verify("acme", segment(&old)).await.unwrap());
    let former = setting.addresses.of("acme", "102").await.unwrap();
    let (new, nonce) = setting.mint(Some("102")).await;
    setting.addresses.adopt("acme", &nonce, "102").await.unwrap();
    setting.addresses.retire("acme", &former).await.unwrap();
    assert!(setting.addresses.of("acme", "102").await.unwrap() == [nonce]);

    setting.hand.forward(GRACE);
    assert!(setting.takes(&old).await && other.verify("acme", segment(&old)).await.unwrap());
    // Given up again, it gets no longer grace.
    setting.addresses.retire("acme", &former).await.unwrap();
    setting.hand.forward(Duration::from_millis(1));
    assert!(!setting.takes(&old).await && !other.verify("acme", segment(&old)).await.unwrap());
    assert!(setting.takes(&new).await);
    assert_eq!(setting.kept().await, 2);
    let (_, pending) = setting.mint(None).await;
    assert_eq!(setting.kept().await, 2, "what is over is forgotten when the next is made");
    setting.addresses.discard("acme", &pending).await.unwrap();
    assert!(!setting.takes(&old).await && setting.takes(&new).await);
}

#[tokio::test]
async fn another_gateway_that_still_takes_it_looks_again_within_the_grace() {
    let setting = Setting::new();
    let other = setting.another(None);
    let (uri, _) = setting.adopted("102").await;
    // Looked at right before it is given up elsewhere, and then all the time.
    assert!(other.verify("acme", segment(&uri)).await.unwrap());
    setting.addresses.retire_all("acme", "102").await.unwrap();
    for _ in 0..GRACE.as_secs() {
        setting.hand.forward(Duration::from_secs(1));
        assert!(other.verify("acme", segment(&uri)).await.unwrap());
    }
    setting.hand.forward(Duration::from_secs(1));
    assert!(!other.verify("acme", segment(&uri)).await.unwrap());
}

#[tokio::test]
async fn a_known_address_is_looked_up_once_in_a_while() {
    let setting = Setting::new();
    let (uri, _) = setting.adopted("102").await;
    let other = setting.another(None);
    let reads = || setting.store.reads.load(Ordering::Acquire);
    let before = reads();
    let posts = (0..100).map(|_| other.verify("acme", segment(&uri)));
    assert!(futures_util::future::join_all(posts).await.into_iter().all(|taken| taken.unwrap()));
    assert_eq!(reads(), before + 1, "all who come at once share one look");
    setting.hand.forward(BELIEVED);
    assert!(other.verify("acme", segment(&uri)).await.unwrap());
    assert_eq!(reads(), before + 2);
}

#[tokio::test]
async fn a_subscription_that_is_gone_gives_up_its_own_addresses_only() {
    let setting = Setting::new();
    let (gone, _) = setting.adopted("102").await;
    let (pending, _) = setting.mint(Some("102")).await;
    let (stays, _) = setting.adopted("10").await;
    let (unnamed, _) = setting.mint(None).await;
    setting.addresses.retire_all("acme", "102").await.unwrap();
    setting.hand.forward(GRACE + Duration::from_millis(1));
    assert!(!setting.takes(&gone).await && !setting.takes(&pending).await);
    assert!(setting.takes(&stays).await && setting.takes(&unnamed).await);
}

/// Two gateways change one subscription at once; the vendor may take either change last.
#[tokio::test]
async fn neither_of_two_changes_at_once_gives_up_the_others_address() {
    let setting = Setting::new();
    let other = setting.another(None);
    let (first, _) = setting.adopted("102").await;
    let (ours, theirs) = (setting.addresses.of("acme", "102").await, other.of("acme", "102").await);
    let (our_uri, our_nonce) = setting.mint(Some("102")).await;
    let (their_uri, their_nonce) = other.mint("acme", Some("102"), &vendor()).await.unwrap().into_parts();
    assert!(setting.addresses.of("acme", "102").await.unwrap().len() == 1, "a change under way is left alone");
    for (gateway, nonce, former) in [(&setting.addresses, our_nonce, ours), (&other, their_nonce, theirs)] {
        gateway.adopt("acme", &nonce, "102").await.unwrap();
        gateway.retire("acme", &former.unwrap()).await.unwrap();
    }
    setting.hand.forward(GRACE + Duration::from_millis(1));
    assert!(setting.takes(&our_uri).await && setting.takes(&their_uri).await && !setting.takes(&first).await);
    assert_eq!(setting.addresses.of("acme", "102").await.unwrap().len(), 2, "the next change gives up both");
}

#[tokio::test]
async fn what_became_of_an_unknown_outcome_is_given_up_by_a_later_change() {
    let setting = Setting::new();
    let (uri, nonce) = setting.mint(Some("102")).await;
    assert!(setting.addresses.of("acme", "102").await.unwrap().is_empty());
    setting.hand.forward(GRACE + Duration::from_millis(1));
    assert!(setting.takes(&uri).await, "the vendor may have it");
    assert!(setting.addresses.of("acme", "102").await.unwrap() == [nonce]);
}

#[tokio::test]
async fn what_a_vendor_lists_is_recognized_by_its_end() {
    let setting = Setting::new();
    let (uri, nonce) = setting.mint(None).await;
    let recognized = async |center: &str, uri: &str| setting.addresses.recognize(center, uri).await.unwrap();
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
    // Without the store: the address is ours whether or not it is still taken.
    setting.addresses.discard("acme", &nonce).await.unwrap();
    setting.break_store();
    assert!(recognized("acme", &uri).await == Some(nonce));
}

#[tokio::test]
async fn a_store_that_fails_is_told() {
    let broken = |error: Error| assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
    let setting = Setting::new();
    setting.break_store();
    broken(setting.addresses.mint("acme", None, &vendor()).await.unwrap_err());
    let setting = Setting::new();
    let (uri, _) = setting.adopted("102").await;
    setting.break_store();
    assert!(setting.takes(&uri).await, "it was looked at a moment ago");
    setting.hand.forward(BELIEVED);
    broken(setting.addresses.verify("acme", segment(&uri)).await.unwrap_err());
    broken(setting.another(None).recognize("acme", &uri).await.unwrap_err());
    broken(setting.addresses.of("acme", "102").await.unwrap_err());
}

#[tokio::test]
async fn what_a_later_version_wrote_is_not_guessed_at() {
    let setting = Setting::new();
    let (uri, nonce) = setting.mint(None).await;
    setting.store.put(&format!("address.acme.{}", nonce.0), b"{\"state\":\"elsewhere\"}".to_vec()).await.unwrap();
    let error = setting.another(None).verify("acme", segment(&uri)).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
    setting.mint(None).await; // which another address does not hinder
    setting.store.put(KEY, b"short".to_vec()).await.unwrap();
    let error = setting.another(None).verify("acme", segment(&uri)).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::StorageUnavailable);
}

#[tokio::test]
async fn an_address_that_the_vendor_cannot_reach_is_not_made() {
    let local = [
        "http://127.0.0.1:8080/",
        "http://127.9.9.9/",
        "http://localhost:1/",
        "https://[::1]/x/",
        "http://a.localhost/",
    ];
    let state = Arc::new(Database::in_memory().unwrap());
    let of = |base: &str| Addresses::new(&events(base, None), state.clone(), Clock::from_source(Hand::default()));
    for base in local.into_iter().chain(["http://[::ffff:127.0.0.1]/"]) {
        let refused = of(base).mint("acme", None, &vendor()).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::CenterMisconfigured, "{base}");
        assert!(refused.message().contains("events.callback_base_url"), "{}", refused.message());
    }
    assert!(state.list("").await.unwrap().is_empty(), "before anything is kept");
    for vendor in local {
        of(local[0]).mint("acme", None, &vendor.parse().unwrap()).await.unwrap();
    }
    for base in [GATEWAY, "http://192.0.2.1/", "http://localhost.example.com/", "https://[2001:db8::1]/"] {
        of(base).mint("acme", None, &vendor()).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_shows_an_address() {
    let setting = Setting::with(Database::in_memory().unwrap(), Some("configured-key"));
    let address = setting.addresses.mint("acme", Some("102"), &vendor()).await.unwrap();
    let shown = format!("{:?} {:#?} {address:?} {:?}", setting.addresses, setting.addresses, address.nonce);
    assert_eq!(shown, "Addresses Addresses Address Nonce");
}

proptest! {
    #[test]
    fn only_the_form_of_an_address_has_parts(segment in "[A-Za-z0-9_.=/-]{0,80}|\\PC{0,70}|[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}") {
        if let Some((nonce, mac)) = parts(&segment) {
            prop_assert_eq!(format!("{nonce}.{}", BASE64.encode(mac)), segment);
        }
    }

    #[test]
    fn any_nonce_and_mac_are_parts(nonce: [u8; 16], mac: [u8; 32]) {
        let text = BASE64.encode(nonce);
        let segment = format!("{text}.{}", BASE64.encode(mac));
        prop_assert_eq!(parts(&segment), Some((text.as_str(), mac)));
    }

    #[test]
    fn what_is_signed_tells_centers_and_nonces_apart(texts in proptest::collection::vec("[a-z.]{0,4}", 4)) {
        let (one, other) = (signed_text(&texts[0], &texts[1]), signed_text(&texts[2], &texts[3]));
        prop_assert_eq!(one == other, texts[0] == texts[2] && texts[1] == texts[3]);
    }
}
