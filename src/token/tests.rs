//! Tokens by a clock that the test advances.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::SystemTime,
};

use secrecy::ExposeSecret as _;
use tokio::sync::Semaphore;

use super::*;
use crate::clock::Source;

/// A clock that the test advances.
#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

impl Source for ManualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.steady()
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

/// A vendor whose responses the test releases.
struct Vendor {
    fetches: AtomicUsize,
    responses: Semaphore,
    rejects: AtomicBool,
    lifetime: Duration,
}

#[async_trait]
impl Fetch for Vendor {
    async fn fetch(&self) -> Result<Fetched> {
        let number = self.fetches.fetch_add(1, Ordering::AcqRel) + 1;
        self.responses.acquire().await.unwrap().forget();
        if self.rejects.load(Ordering::Acquire) {
            return Err(Error::new(ErrorReason::VendorAuthFailed, "no"));
        }
        Ok(Fetched { value: format!("token-{number}").into(), lifetime: self.lifetime })
    }
}

struct Fixture {
    clock: ManualClock,
    vendor: Arc<Vendor>,
    fetch: Arc<dyn Fetch>,
    metrics: Metrics,
    tokens: Tokens,
    key: Key,
}

fn fixture(lifetime: u64, responses: usize) -> Fixture {
    let clock = ManualClock::default();
    let vendor = Arc::new(Vendor {
        fetches: AtomicUsize::new(0),
        responses: Semaphore::new(responses),
        rejects: AtomicBool::new(false),
        lifetime: Duration::from_secs(lifetime),
    });
    let metrics = Metrics::new().unwrap();
    Fixture {
        tokens: Tokens::new(Clock::from_source(clock.clone()), metrics.clone()),
        metrics,
        fetch: vendor.clone(),
        key: Key { center: "beta".into(), fingerprint: 1 },
        clock,
        vendor,
    }
}

impl Fixture {
    async fn get(&self) -> Result<Arc<Token>> {
        self.tokens.get(&self.key, &self.fetch, Instant::now() + Duration::from_secs(60)).await
    }

    async fn value(&self) -> String {
        self.get().await.unwrap().value.expose_secret().to_owned()
    }

    /// The token's expiry in the metrics.
    fn expiry(&self) -> String {
        let text = self.metrics.text().unwrap();
        let line = text.lines().find(|line| line.starts_with("switchboard_token_expiry_timestamp_seconds{"));
        line.unwrap_or_default().rsplit(' ').next().unwrap_or_default().to_owned()
    }

    async fn replace(&self, token: &Arc<Token>) -> String {
        let soon = Instant::now() + Duration::from_secs(60);
        let token = self.tokens.replace(&self.key, token, &self.fetch, soon).await.unwrap();
        token.value.expose_secret().to_owned()
    }

    fn fetches(&self) -> usize {
        self.vendor.fetches.load(Ordering::Acquire)
    }
}

#[tokio::test]
async fn a_thousand_first_callers_cause_one_fetch() {
    let fixture = Arc::new(fixture(600, 0));
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move { fixture.value().await })
        })
        .collect();
    fixture.vendor.responses.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "token-1");
    }
    assert_eq!(fixture.fetches(), 1);
}

#[tokio::test]
async fn a_first_caller_that_cancels_does_not_cancel_the_fetch() {
    let fixture = fixture(600, 0);
    {
        let mut first = std::pin::pin!(fixture.get());
        assert!(poll_once(first.as_mut()).await.is_none());
        while fixture.fetches() == 0 {
            tokio::task::yield_now().await;
        }
    }
    let second = fixture.value();
    fixture.vendor.responses.add_permits(1);
    assert_eq!(second.await, "token-1");
    assert_eq!(fixture.fetches(), 1);
}

async fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut future = Some(future);
    std::future::poll_fn(|cx| {
        let future = future.take().expect("polled once");
        std::task::Poll::Ready(match future.poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn each_waiter_keeps_its_own_deadline() {
    let fixture = fixture(600, 0);
    let soon = Instant::now() + Duration::from_millis(10);
    let error = fixture.tokens.get(&fixture.key, &fixture.fetch, soon).await.err().unwrap();
    assert_eq!(error.reason(), ErrorReason::DeadlineBeforeSend);
    fixture.vendor.responses.add_permits(1);
    assert_eq!(fixture.value().await, "token-1");
}

#[tokio::test]
async fn a_token_is_used_until_its_margin_and_refreshed_ahead() {
    let fixture = fixture(100, 10);
    assert_eq!(fixture.value().await, "token-1");
    // Usable for 90 s, refreshed ahead from 72 s on.
    fixture.clock.advance(Duration::from_secs(71));
    assert_eq!((fixture.value().await.as_str(), fixture.fetches()), ("token-1", 1));
    fixture.clock.advance(Duration::from_secs(2));
    assert_eq!(fixture.value().await, "token-1");
    while fixture.value().await == "token-1" {
        tokio::task::yield_now().await;
    }
    assert_eq!((fixture.value().await.as_str(), fixture.fetches()), ("token-2", 2));
    fixture.clock.advance(Duration::from_secs(91));
    assert_eq!(fixture.value().await, "token-3");
}

#[tokio::test]
async fn ten_minutes_of_short_lived_tokens_cause_no_burst_of_fetches() {
    let fixture = fixture(20, 1_000);
    for _ in 0..6_000 {
        fixture.value().await;
        fixture.clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    // Usable for 18 s, refreshed ahead from 14.4 s on.
    assert!((33..=45).contains(&fixture.fetches()), "{}", fixture.fetches());
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_old_token_in_use() {
    let fixture = fixture(100, 100);
    assert_eq!(fixture.value().await, "token-1");
    fixture.vendor.rejects.store(true, Ordering::Release);
    fixture.clock.advance(Duration::from_secs(80));
    for _ in 0..100 {
        assert_eq!(fixture.value().await, "token-1");
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.fetches(), 2);
    // The failure is cached for a second; then the fetch is retried.
    fixture.vendor.rejects.store(false, Ordering::Release);
    fixture.clock.advance(Duration::from_secs(1));
    while fixture.value().await == "token-1" {
        tokio::task::yield_now().await;
    }
    assert_eq!((fixture.value().await.as_str(), fixture.fetches()), ("token-3", 3));
}

#[tokio::test]
async fn only_the_rejected_token_is_evicted() {
    let fixture = fixture(600, 10);
    let first = fixture.get().await.unwrap();
    assert_eq!(fixture.replace(&first).await, "token-2");
    assert_eq!(fixture.replace(&first).await, "token-2");
    assert_eq!((fixture.value().await.as_str(), fixture.fetches()), ("token-2", 2));
}

#[tokio::test]
async fn a_replacement_waits_for_the_token_fetched_ahead() {
    let fixture = fixture(100, 1);
    let first = fixture.get().await.unwrap();
    fixture.clock.advance(Duration::from_secs(80));
    fixture.value().await;
    while fixture.fetches() < 2 {
        tokio::task::yield_now().await;
    }
    let replaced = fixture.replace(&first);
    fixture.vendor.responses.add_permits(10);
    assert_eq!(replaced.await, "token-2");
    assert_eq!(fixture.fetches(), 2);
}

#[tokio::test]
async fn a_caller_that_waits_for_the_token_fetched_ahead_keeps_its_own_deadline() {
    let fixture = fixture(100, 1);
    fixture.get().await.unwrap();
    fixture.clock.advance(Duration::from_secs(80));
    fixture.value().await;
    while fixture.fetches() < 2 {
        tokio::task::yield_now().await;
    }
    // The old token has expired and the new one does not arrive.
    fixture.clock.advance(Duration::from_secs(20));
    let error = fixture.tokens.get(&fixture.key, &fixture.fetch, Instant::now()).await.err().unwrap();
    assert_eq!((error.reason(), fixture.fetches()), (ErrorReason::DeadlineBeforeSend, 2));
}

#[tokio::test]
async fn metrics_show_when_the_token_expires() {
    let fixture = fixture(600, 10);
    fixture.clock.advance(Duration::from_secs(1000));
    let token = fixture.get().await.unwrap();
    assert_eq!(fixture.expiry(), "1600");
    fixture.vendor.rejects.store(true, Ordering::Release);
    let soon = Instant::now() + Duration::from_secs(60);
    assert!(fixture.tokens.replace(&fixture.key, &token, &fixture.fetch, soon).await.is_err());
    assert_eq!(fixture.expiry(), "0");
    assert!(!fixture.metrics.text().unwrap().contains("token-1"));
}

#[tokio::test]
async fn one_failed_fetch_serves_all_waiting_callers() {
    let fixture = Arc::new(fixture(600, 0));
    fixture.vendor.rejects.store(true, Ordering::Release);
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move { fixture.get().await.err().unwrap().reason() })
        })
        .collect();
    fixture.vendor.responses.add_permits(1000);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), ErrorReason::VendorAuthFailed);
    }
    assert_eq!(fixture.fetches(), 1);
}

#[tokio::test]
async fn a_failure_is_cached_with_exponential_backoff() {
    let fixture = fixture(600, 100);
    fixture.vendor.rejects.store(true, Ordering::Release);
    for backoff in [1, 2, 4, 8, 16, 30, 30] {
        let before = fixture.fetches();
        for _ in 0..5 {
            assert_eq!(fixture.get().await.err().unwrap().reason(), ErrorReason::VendorAuthFailed);
        }
        assert_eq!(fixture.fetches(), before + 1);
        // It ends with the backoff, and not before.
        fixture.clock.advance(Duration::from_millis(backoff * 1000 - 1));
        assert_eq!(fixture.get().await.err().unwrap().reason(), ErrorReason::VendorAuthFailed);
        assert_eq!(fixture.fetches(), before + 1, "before {backoff} s");
        fixture.clock.advance(Duration::from_millis(1));
    }
    fixture.vendor.rejects.store(false, Ordering::Release);
    assert!(fixture.get().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_does_not_end_is_given_up_after_ten_seconds() {
    let fixture = fixture(600, 0);
    let begun = Instant::now();
    let error = fixture.get().await.err().unwrap();
    assert_eq!((error.reason(), begun.elapsed()), (ErrorReason::VendorUnavailable, Duration::from_secs(10)));
    // It is a failure like any other: remembered, and counted.
    assert_eq!((fixture.get().await.err().unwrap().reason(), fixture.fetches()), (ErrorReason::VendorUnavailable, 1));
    let metrics = fixture.metrics.text().unwrap();
    assert!(metrics.contains("switchboard_token_fetches_total{center=\"beta\",outcome=\"failed\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_token_is_not_used_in_its_last_minute() {
    for (lifetime, last) in [(3600, 3539), (600, 539), (100, 89)] {
        let fixture = fixture(lifetime, 1);
        fixture.get().await.unwrap();
        fixture.clock.advance(Duration::from_secs(last));
        assert_eq!(fixture.value().await, "token-1", "{lifetime} s");
        fixture.clock.advance(Duration::from_secs(1));
        fixture.vendor.responses.add_permits(1);
        assert_eq!(fixture.value().await, "token-2", "{lifetime} s");
    }
}

#[tokio::test]
async fn a_token_is_renewed_ahead_from_four_fifths_of_its_time_on() {
    let fixture = fixture(100, 1);
    fixture.get().await.unwrap();
    for (second, fetches) in [(71, 1), (72, 2)] {
        fixture.clock.0.store(second * 1000, Ordering::Release);
        assert_eq!(fixture.value().await, "token-1");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(fixture.fetches(), fetches, "after {second} s");
    }
}

#[tokio::test]
async fn tokens_in_memory_are_bounded() {
    let fixture = fixture(600, usize::MAX >> 4);
    for fingerprint in 0..MAX_TOKENS + 200 {
        let key = Key { center: "beta".into(), fingerprint };
        let soon = Instant::now() + Duration::from_secs(60);
        fixture.tokens.get(&key, &fixture.fetch, soon).await.unwrap();
    }
    let cache = &fixture.tokens.0.cache;
    cache.run_pending_tasks().await;
    assert!(cache.entry_count() <= MAX_TOKENS, "{}", cache.entry_count());
}

#[tokio::test]
async fn a_token_leaves_memory_when_its_lifetime_ends() {
    let fixture = fixture(0, 1);
    let cache = &fixture.tokens.0.cache;
    let expired = fixture.get().await.unwrap();
    assert!(cache.get(&fixture.key).await.is_none());

    // The same for one that replaces another.
    let (lifetime, now) = (Duration::from_secs(600), fixture.clock.steady());
    let lasting = Arc::new(Token::new(Fetched { value: "token".into(), lifetime }, now, MIN_TRIAL));
    cache.insert(fixture.key.clone(), lasting.clone()).await;
    assert!(cache.get(&fixture.key).await.is_some());
    fixture.tokens.0.replace_if_current(&fixture.key, &lasting, expired).await;
    assert!(cache.get(&fixture.key).await.is_none());
}
