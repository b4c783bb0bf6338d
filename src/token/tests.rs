//! Tokens by a clock that moves when told.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::SystemTime,
};

use secrecy::ExposeSecret as _;
use tokio::sync::Semaphore;

use super::*;
use crate::clock::Source;

/// Time that moves when told.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Source for Hand {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.steady()
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Acquire))
    }
}

impl Hand {
    fn advance(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::AcqRel);
    }
}

/// A vendor that answers when let.
struct Vendor {
    fetches: AtomicUsize,
    answers: Semaphore,
    refuses: AtomicBool,
    lifetime: Duration,
}

#[async_trait]
impl Fetch for Vendor {
    async fn fetch(&self) -> Result<Fetched> {
        let number = self.fetches.fetch_add(1, Ordering::AcqRel) + 1;
        self.answers.acquire().await.unwrap().forget();
        if self.refuses.load(Ordering::Acquire) {
            return Err(Error::new(ErrorReason::VendorAuthFailed, "no"));
        }
        Ok(Fetched { value: format!("token-{number}").into(), lifetime: self.lifetime })
    }
}

struct Setting {
    hand: Hand,
    vendor: Arc<Vendor>,
    fetch: Arc<dyn Fetch>,
    metrics: Metrics,
    tokens: Tokens,
    key: Key,
}

fn setting(lifetime: u64, answers: usize) -> Setting {
    let hand = Hand::default();
    let vendor = Arc::new(Vendor {
        fetches: AtomicUsize::new(0),
        answers: Semaphore::new(answers),
        refuses: AtomicBool::new(false),
        lifetime: Duration::from_secs(lifetime),
    });
    let metrics = Metrics::new().unwrap();
    Setting {
        tokens: Tokens::new(Clock::from_source(hand.clone()), metrics.clone()),
        metrics,
        fetch: vendor.clone(),
        key: Key { center: "beta".into(), fingerprint: 1 },
        hand,
        vendor,
    }
}

impl Setting {
    async fn get(&self) -> Result<Arc<Token>> {
        self.tokens.get(&self.key, &self.fetch, Instant::now() + Duration::from_secs(60)).await
    }

    async fn value(&self) -> String {
        self.get().await.unwrap().value.expose_secret().to_owned()
    }

    /// What the metrics say of when the token ends.
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
    let setting = Arc::new(setting(600, 0));
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let setting = setting.clone();
            tokio::spawn(async move { setting.value().await })
        })
        .collect();
    setting.vendor.answers.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "token-1");
    }
    assert_eq!(setting.fetches(), 1);
}

#[tokio::test]
async fn a_first_caller_who_goes_away_cancels_nobody() {
    let setting = setting(600, 0);
    {
        let mut first = std::pin::pin!(setting.get());
        assert!(futures_poll(first.as_mut()).await.is_none());
        while setting.fetches() == 0 {
            tokio::task::yield_now().await;
        }
    }
    let second = setting.value();
    setting.vendor.answers.add_permits(1);
    assert_eq!(second.await, "token-1");
    assert_eq!(setting.fetches(), 1);
}

async fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
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
    let setting = setting(600, 0);
    let soon = Instant::now() + Duration::from_millis(10);
    let error = setting.tokens.get(&setting.key, &setting.fetch, soon).await.err().unwrap();
    assert_eq!(error.reason(), ErrorReason::DeadlineBeforeSend);
    setting.vendor.answers.add_permits(1);
    assert_eq!(setting.value().await, "token-1");
}

#[tokio::test]
async fn a_token_serves_until_its_margin_and_is_renewed_ahead() {
    let setting = setting(100, 10);
    assert_eq!(setting.value().await, "token-1");
    // Usable for 90 s, renewed ahead from 72 s on.
    setting.hand.advance(Duration::from_secs(71));
    assert_eq!((setting.value().await.as_str(), setting.fetches()), ("token-1", 1));
    setting.hand.advance(Duration::from_secs(2));
    assert_eq!(setting.value().await, "token-1");
    while setting.value().await == "token-1" {
        tokio::task::yield_now().await;
    }
    assert_eq!((setting.value().await.as_str(), setting.fetches()), ("token-2", 2));
    setting.hand.advance(Duration::from_secs(91));
    assert_eq!(setting.value().await, "token-3");
}

#[tokio::test]
async fn ten_minutes_of_short_tokens_are_no_burst() {
    let setting = setting(20, 1_000);
    for _ in 0..6_000 {
        setting.value().await;
        setting.hand.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    // 18 s usable, renewed from 14.4 s on.
    assert!((33..=45).contains(&setting.fetches()), "{}", setting.fetches());
}

#[tokio::test]
async fn a_refresh_ahead_that_fails_leaves_the_old_token_in_use() {
    let setting = setting(100, 100);
    assert_eq!(setting.value().await, "token-1");
    setting.vendor.refuses.store(true, Ordering::Release);
    setting.hand.advance(Duration::from_secs(80));
    for _ in 0..100 {
        assert_eq!(setting.value().await, "token-1");
        tokio::task::yield_now().await;
    }
    assert_eq!(setting.fetches(), 2);
    // The failure is remembered for a second; then it is tried again.
    setting.vendor.refuses.store(false, Ordering::Release);
    setting.hand.advance(Duration::from_secs(1));
    while setting.value().await == "token-1" {
        tokio::task::yield_now().await;
    }
    assert_eq!((setting.value().await.as_str(), setting.fetches()), ("token-3", 3));
}

#[tokio::test]
async fn only_the_token_that_was_refused_is_dropped() {
    let setting = setting(600, 10);
    let first = setting.get().await.unwrap();
    assert_eq!(setting.replace(&first).await, "token-2");
    assert_eq!(setting.replace(&first).await, "token-2");
    assert_eq!((setting.value().await.as_str(), setting.fetches()), ("token-2", 2));
}

#[tokio::test]
async fn who_needs_another_token_waits_for_the_one_that_is_fetched_ahead() {
    let setting = setting(100, 1);
    let first = setting.get().await.unwrap();
    setting.hand.advance(Duration::from_secs(80));
    setting.value().await;
    while setting.fetches() < 2 {
        tokio::task::yield_now().await;
    }
    let replaced = setting.replace(&first);
    setting.vendor.answers.add_permits(10);
    assert_eq!(replaced.await, "token-2");
    assert_eq!(setting.fetches(), 2);
}

#[tokio::test]
async fn who_waits_for_the_token_fetched_ahead_keeps_its_own_deadline() {
    let setting = setting(100, 1);
    setting.get().await.unwrap();
    setting.hand.advance(Duration::from_secs(80));
    setting.value().await;
    while setting.fetches() < 2 {
        tokio::task::yield_now().await;
    }
    // The old token has ended and the new one does not come.
    setting.hand.advance(Duration::from_secs(20));
    let error = setting.tokens.get(&setting.key, &setting.fetch, Instant::now()).await.err().unwrap();
    assert_eq!((error.reason(), setting.fetches()), (ErrorReason::DeadlineBeforeSend, 2));
}

#[tokio::test]
async fn metrics_tell_when_the_token_ends() {
    let setting = setting(600, 10);
    setting.hand.advance(Duration::from_secs(1000));
    let token = setting.get().await.unwrap();
    assert_eq!(setting.expiry(), "1600");
    setting.vendor.refuses.store(true, Ordering::Release);
    let soon = Instant::now() + Duration::from_secs(60);
    assert!(setting.tokens.replace(&setting.key, &token, &setting.fetch, soon).await.is_err());
    assert_eq!(setting.expiry(), "0");
    assert!(!setting.metrics.text().unwrap().contains("token-1"));
}

#[tokio::test]
async fn a_refusal_is_one_fetch_for_all_who_wait() {
    let setting = Arc::new(setting(600, 0));
    setting.vendor.refuses.store(true, Ordering::Release);
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let setting = setting.clone();
            tokio::spawn(async move { setting.get().await.err().unwrap().reason() })
        })
        .collect();
    setting.vendor.answers.add_permits(1000);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), ErrorReason::VendorAuthFailed);
    }
    assert_eq!(setting.fetches(), 1);
}

#[tokio::test]
async fn a_failure_is_remembered_ever_longer() {
    let setting = setting(600, 100);
    setting.vendor.refuses.store(true, Ordering::Release);
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let before = setting.fetches();
        for _ in 0..5 {
            assert_eq!(setting.get().await.err().unwrap().reason(), ErrorReason::VendorAuthFailed);
        }
        assert_eq!(setting.fetches(), before + 1);
        setting.hand.advance(Duration::from_secs(pause));
    }
    setting.vendor.refuses.store(false, Ordering::Release);
    assert!(setting.get().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_does_not_end_is_given_up_after_ten_seconds() {
    let setting = setting(600, 0);
    let begun = Instant::now();
    let error = setting.get().await.err().unwrap();
    assert_eq!((error.reason(), begun.elapsed()), (ErrorReason::VendorUnavailable, Duration::from_secs(10)));
    // It is a failure like any other: remembered, and counted.
    assert_eq!((setting.get().await.err().unwrap().reason(), setting.fetches()), (ErrorReason::VendorUnavailable, 1));
    let metrics = setting.metrics.text().unwrap();
    assert!(metrics.contains("switchboard_token_fetches_total{center=\"beta\",outcome=\"failed\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_token_is_not_used_in_its_last_minute() {
    for (lifetime, last) in [(3600, 3539), (600, 539), (100, 89)] {
        let setting = setting(lifetime, 1);
        setting.get().await.unwrap();
        setting.hand.advance(Duration::from_secs(last));
        assert_eq!(setting.value().await, "token-1", "{lifetime} s");
        setting.hand.advance(Duration::from_secs(1));
        setting.vendor.answers.add_permits(1);
        assert_eq!(setting.value().await, "token-2", "{lifetime} s");
    }
}

#[tokio::test]
async fn a_token_is_renewed_ahead_from_four_fifths_of_its_time_on() {
    let setting = setting(100, 1);
    setting.get().await.unwrap();
    for (second, fetches) in [(71, 1), (72, 2)] {
        setting.hand.0.store(second * 1000, Ordering::Release);
        assert_eq!(setting.value().await, "token-1");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(setting.fetches(), fetches, "after {second} s");
    }
}

#[tokio::test]
async fn tokens_in_memory_are_bounded() {
    let setting = setting(600, usize::MAX >> 4);
    for fingerprint in 0..MOST_TOKENS + 200 {
        let key = Key { center: "beta".into(), fingerprint };
        let soon = Instant::now() + Duration::from_secs(60);
        setting.tokens.get(&key, &setting.fetch, soon).await.unwrap();
    }
    let cache = &setting.tokens.0.cache;
    cache.run_pending_tasks().await;
    assert!(cache.entry_count() <= MOST_TOKENS, "{}", cache.entry_count());
}
