//! Access tokens: fetched once for all who wait, used until shortly before they end, renewed ahead while in use.
//!
//! The cache is moka's: it bounds memory and lets one fetch serve every waiter of a key. Its own clock cannot be
//! injected, so the entry carries when it ends by ours. A fetch runs in a task of its own: a first caller who goes away
//! takes nobody's token along, and each waiter keeps its own deadline. Failures are remembered for a moment, so a wrong
//! secret is no stampede.

use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant as StdInstant},
};

use async_trait::async_trait;
use moka::{
    Expiry,
    future::Cache,
    ops::compute::{CompResult, Op},
};
use secrecy::SecretString;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    clock::Clock,
    error::{Error, ErrorReason, Result},
    telemetry::Metrics,
};

/// Longest a fetch may take.
pub const LONGEST_FETCH: Duration = Duration::from_secs(10);
/// A token is not used in its last minute, or last tenth when it lives shorter.
const LARGEST_MARGIN: Duration = Duration::from_mins(1);
/// How long a failure is remembered, doubling up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// More tokens than centers there will ever be.
const MOST_TOKENS: u64 = 10_000;

/// Whose token it is: the center and a fingerprint of its credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// ID of the center.
    pub center: String,
    /// Tells credentials apart without telling them.
    pub fingerprint: u64,
}

/// Where tokens come from.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// Asks the vendor for a new token.
    async fn fetch(&self) -> Result<Fetched>;
}

/// A token as the vendor gave it.
pub struct Fetched {
    /// The token.
    pub value: SecretString,
    /// How long it lives from now.
    pub lifetime: Duration,
}

/// A token in use.
pub struct Token {
    /// The token.
    pub value: SecretString,
    lifetime: Duration,
    refresh_at: Duration,
    usable_until: Duration,
    /// Held while the next token is fetched ahead: there is one such fetch, and who needs another token waits for it.
    renewal: Arc<tokio::sync::Mutex<()>>,
}

/// All tokens. Cheap to clone: clones share them.
#[derive(Clone)]
pub struct Tokens(Arc<Shared>);

struct Shared {
    cache: Cache<Key, Arc<Token>>,
    failures: Mutex<HashMap<Key, Failure>>,
    clock: Clock,
    metrics: Metrics,
}

#[derive(Clone)]
struct Failure {
    error: Error,
    until: Duration,
    pause: Duration,
}

struct EndOfLife;

// === impl Tokens ===

impl Tokens {
    /// No tokens yet.
    pub fn new(clock: Clock, metrics: Metrics) -> Self {
        let cache = Cache::builder().max_capacity(MOST_TOKENS).expire_after(EndOfLife).build();
        Self(Arc::new(Shared { cache, failures: Mutex::default(), clock, metrics }))
    }

    /// A usable token, until `deadline`.
    ///
    /// # Errors
    /// What the fetch failed with, also while that is remembered; `DEADLINE_BEFORE_SEND`.
    pub async fn get(&self, key: &Key, fetch: &Arc<dyn Fetch>, deadline: Instant) -> Result<Arc<Token>> {
        let now = self.0.clock.steady();
        match self.0.cache.get(key).await {
            Some(token) if now < token.usable_until => {
                if now >= token.refresh_at {
                    self.refresh_ahead(key, fetch, &token);
                }
                Ok(token)
            }
            Some(token) => self.replace(key, &token, fetch, deadline).await,
            None => self.fetched(key, fetch, deadline).await,
        }
    }

    /// Another token than this one, which ended or was refused. It is dropped, unless another has taken its place already.
    ///
    /// # Errors
    /// As for [`Tokens::get`].
    pub async fn replace(
        &self,
        key: &Key,
        token: &Arc<Token>,
        fetch: &Arc<dyn Fetch>,
        deadline: Instant,
    ) -> Result<Arc<Token>> {
        // Where only the newest token lives, a second fetch would end what a fetch ahead is about to bring.
        let turn = timeout_at(deadline, token.renewal.lock()).await.map_err(|_| too_late())?;
        self.0.forget(key, token).await;
        drop(turn);
        self.fetched(key, fetch, deadline).await
    }

    /// The token in the cache, or a new one: one fetch for all who wait.
    async fn fetched(&self, key: &Key, fetch: &Arc<dyn Fetch>, deadline: Instant) -> Result<Arc<Token>> {
        let task = tokio::spawn({
            let (shared, key, fetch) = (self.0.clone(), key.clone(), fetch.clone());
            async move { shared.cache.try_get_with_by_ref(&key, shared.fetch_unless_failed(&key, &*fetch)).await }
        });
        match timeout_at(deadline, task).await {
            Ok(Ok(Ok(token))) => Ok(token),
            Ok(Ok(Err(error))) => Err((*error).clone()),
            Ok(Err(_)) => Err(Error::internal("fetching an access token ended abnormally")),
            Err(_) => Err(too_late()),
        }
    }

    /// Fetches the next token while this one still serves.
    fn refresh_ahead(&self, key: &Key, fetch: &Arc<dyn Fetch>, token: &Arc<Token>) {
        let Ok(turn) = token.renewal.clone().try_lock_owned() else { return };
        if self.0.remembered(key).is_some() {
            return;
        }
        let (shared, key, fetch, old) = (self.0.clone(), key.clone(), fetch.clone(), token.clone());
        tokio::spawn(async move {
            if let Ok(token) = shared.fetch(&key, &*fetch).await {
                shared.succeed(&key, &old, token).await;
            }
            drop(turn);
        });
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("entries", &self.0.cache.entry_count()).finish()
    }
}

// === impl Shared ===

impl Shared {
    /// Whoever comes while a failure is remembered gets that failure.
    async fn fetch_unless_failed(&self, key: &Key, fetch: &dyn Fetch) -> Result<Arc<Token>> {
        match self.remembered(key) {
            Some(error) => Err(error),
            None => self.fetch(key, fetch).await,
        }
    }

    async fn fetch(&self, key: &Key, fetch: &dyn Fetch) -> Result<Arc<Token>> {
        let result = timeout(LONGEST_FETCH, fetch.fetch()).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorReason::VendorUnavailable, "the vendor gave no access token in time; nothing was sent")
                .retry_after(FIRST_PAUSE))
        });
        let now = self.clock.steady();
        self.metrics.token_fetch(&key.center, if result.is_ok() { "ok" } else { "failed" });
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(fetched) => {
                failures.remove(key);
                let end = self.clock.unix_millis() / 1000 + fetched.lifetime.as_secs();
                self.metrics.token_expiry(&key.center, i64::try_from(end).unwrap_or(i64::MAX));
                Ok(Arc::new(Token::new(fetched, now)))
            }
            Err(error) => {
                let pause = failures.get(key).map_or(FIRST_PAUSE, |last| (last.pause * 2).min(LONGEST_PAUSE));
                failures.insert(key.clone(), Failure { error: error.clone(), until: now + pause, pause });
                Err(error)
            }
        }
    }

    fn remembered(&self, key: &Key) -> Option<Error> {
        let now = self.clock.steady();
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(key).filter(|failure| now < failure.until).map(|failure| failure.error.clone())
    }

    /// Puts a token in the place of another, unless a third is there already.
    async fn succeed(&self, key: &Key, old: &Arc<Token>, new: Arc<Token>) {
        let entry = self.cache.entry_by_ref(key);
        entry
            .and_compute_with(|entry| {
                let third = entry.is_some_and(|entry| !Arc::ptr_eq(entry.value(), old));
                ready(if third { Op::Nop } else { Op::Put(new) })
            })
            .await;
    }

    async fn forget(&self, key: &Key, token: &Arc<Token>) {
        let entry = self.cache.entry_by_ref(key);
        let outcome = entry
            .and_compute_with(|entry| {
                let same = entry.is_some_and(|entry| Arc::ptr_eq(entry.value(), token));
                ready(if same { Op::Remove } else { Op::Nop })
            })
            .await;
        if matches!(outcome, CompResult::Removed(_)) {
            self.metrics.token_expiry(&key.center, 0);
        }
    }
}

// === impl Token ===

impl Token {
    fn new(fetched: Fetched, now: Duration) -> Self {
        let usable = fetched.lifetime.saturating_sub(LARGEST_MARGIN.min(fetched.lifetime / 10));
        Self {
            value: fetched.value,
            lifetime: fetched.lifetime,
            refresh_at: now + usable.mul_f64(0.8),
            usable_until: now + usable,
            renewal: Arc::default(),
        }
    }
}

fn too_late() -> Error {
    Error::new(
        ErrorReason::DeadlineBeforeSend,
        "the deadline passed before anything was sent: no access token came in time",
    )
}

// === impl EndOfLife ===

impl Expiry<Key, Arc<Token>> for EndOfLife {
    fn expire_after_create(&self, _key: &Key, token: &Arc<Token>, _at: StdInstant) -> Option<Duration> {
        Some(token.lifetime)
    }

    fn expire_after_update(
        &self,
        _key: &Key,
        token: &Arc<Token>,
        _at: StdInstant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(token.lifetime)
    }
}

#[cfg(test)]
mod tests {
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
            self.tokens.get(&self.key, &self.fetch, Instant::now() + Duration::from_secs(5)).await
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
            let soon = Instant::now() + Duration::from_secs(5);
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
        let soon = Instant::now() + Duration::from_secs(5);
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
}
