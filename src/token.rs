//! Access tokens: one fetch for all waiting callers, used until shortly before expiry, refreshed ahead while in use.
//!
//! moka's cache bounds memory and shares one fetch among all callers of a key. Its clock cannot be injected, so each
//! entry contains its expiry by the gateway's clock. A fetch runs in a task of its own: a caller that cancels does not
//! cancel it for the others, and each caller keeps its own deadline. A failure is cached with a backoff, so that a
//! wrong secret causes no stampede.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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

/// Timeout of a fetch.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// A token is not used in the last minute, or last tenth if that is shorter, of its lifetime.
const MAX_EXPIRY_MARGIN: Duration = Duration::from_mins(1);
/// How long a failure is cached: doubles with each failure in a row.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// How long a new token is kept that the vendor refuses: doubles with each one in a row that was never accepted.
const MIN_TRIAL: Duration = Duration::from_secs(5);
const MAX_TRIAL: Duration = Duration::from_mins(5);
/// Most cached tokens: more than any configuration has centers.
const MAX_TOKENS: u64 = 10_000;

/// The key of a token: the center and a fingerprint of its credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// ID of the center.
    pub center: String,
    /// Distinguishes credentials without revealing them.
    pub fingerprint: u64,
}

/// Fetches tokens from a vendor.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// Requests a new token from the vendor.
    async fn fetch(&self) -> Result<Fetched>;
}

/// A token as the vendor issued it.
pub struct Fetched {
    /// The token.
    pub value: SecretString,
    /// Time from now until it expires.
    pub lifetime: Duration,
}

/// A token in use.
pub struct Token {
    /// The token.
    pub value: SecretString,
    lifetime: Duration,
    refresh_at: Duration,
    usable_until: Duration,
    /// Whether the vendor accepted it at least once. Until then it is kept until the end of its trial.
    is_accepted: AtomicBool,
    trial: Duration,
    trial_end: Duration,
    /// Held while the next token is fetched ahead: there is one such fetch, and a replacement waits for it.
    refresh_lock: Arc<tokio::sync::Mutex<()>>,
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
    backoff: Duration,
}

struct TokenExpiry;

// === impl Tokens ===

impl Tokens {
    /// No tokens yet.
    pub fn new(clock: Clock, metrics: Metrics) -> Self {
        let cache = Cache::builder().max_capacity(MAX_TOKENS).expire_after(TokenExpiry).build();
        Self(Arc::new(Shared { cache, failures: Mutex::default(), clock, metrics }))
    }

    /// A usable token, until `deadline`.
    ///
    /// # Errors
    /// The fetch's error, also while it is cached; `DEADLINE_BEFORE_SEND`.
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
            None => self.get_or_fetch(key, fetch, MIN_TRIAL, deadline).await,
        }
    }

    /// Another token than this one, which expired or was rejected. This one is evicted, unless it was replaced already.
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
        // Some vendors invalidate a token when they issue the next: a second fetch would invalidate the one fetched
        // ahead.
        let guard = timeout_at(deadline, token.refresh_lock.lock()).await.map_err(|_| deadline_before_send())?;
        self.0.evict(key, token).await;
        drop(guard);
        self.get_or_fetch(key, fetch, token.next_trial(), deadline).await
    }

    /// Another token than this one, which the vendor rejected. `None` while this one is new and was never accepted: the
    /// vendor may need a moment before it knows a token, and would reject the next one as well.
    ///
    /// # Errors
    /// As for [`Tokens::get`].
    pub async fn replace_rejected(
        &self,
        key: &Key,
        token: &Arc<Token>,
        fetch: &Arc<dyn Fetch>,
        deadline: Instant,
    ) -> Result<Option<Arc<Token>>> {
        if token.is_accepted() || self.0.clock.steady() >= token.trial_end {
            return self.replace(key, token, fetch, deadline).await.map(Some);
        }
        Ok(self.0.cache.get(key).await.filter(|current| !Arc::ptr_eq(current, token)))
    }

    /// The cached token or a new one, with this trial; one fetch serves all waiting callers.
    async fn get_or_fetch(
        &self,
        key: &Key,
        fetch: &Arc<dyn Fetch>,
        trial: Duration,
        deadline: Instant,
    ) -> Result<Arc<Token>> {
        let task = tokio::spawn({
            let (shared, key, fetch) = (self.0.clone(), key.clone(), fetch.clone());
            async move { shared.cache.try_get_with_by_ref(&key, shared.fetch_unless_failed(&key, &*fetch, trial)).await }
        });
        match timeout_at(deadline, task).await {
            Ok(Ok(Ok(token))) => Ok(token),
            Ok(Ok(Err(error))) => Err((*error).clone()),
            Ok(Err(_)) => Err(Error::internal("fetching an access token panicked")),
            Err(_) => Err(deadline_before_send()),
        }
    }

    /// Fetches the next token while this one is still used.
    fn refresh_ahead(&self, key: &Key, fetch: &Arc<dyn Fetch>, token: &Arc<Token>) {
        let Ok(guard) = token.refresh_lock.clone().try_lock_owned() else { return };
        if self.0.cached_failure(key).is_some() {
            return;
        }
        let (shared, key, fetch, old) = (self.0.clone(), key.clone(), fetch.clone(), token.clone());
        tokio::spawn(async move {
            if let Ok(token) = shared.fetch(&key, &*fetch, old.next_trial()).await {
                shared.replace_if_current(&key, &old, token).await;
            }
            drop(guard);
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
    /// Fetches a token, or returns the cached failure.
    async fn fetch_unless_failed(&self, key: &Key, fetch: &dyn Fetch, trial: Duration) -> Result<Arc<Token>> {
        match self.cached_failure(key) {
            Some(error) => Err(error),
            None => self.fetch(key, fetch, trial).await,
        }
    }

    async fn fetch(&self, key: &Key, fetch: &dyn Fetch, trial: Duration) -> Result<Arc<Token>> {
        let result = timeout(FETCH_TIMEOUT, fetch.fetch()).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorReason::VendorUnavailable,
                "the vendor returned no access token in time; nothing was sent",
            )
            .retry_after(MIN_BACKOFF))
        });
        let now = self.clock.steady();
        self.metrics.token_fetch(&key.center, if result.is_ok() { "ok" } else { "failed" });
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(fetched) => {
                failures.remove(key);
                let expiry = self.clock.unix_millis() / 1000 + fetched.lifetime.as_secs();
                self.metrics.token_expiry(&key.center, i64::try_from(expiry).unwrap_or(i64::MAX));
                Ok(Arc::new(Token::new(fetched, now, trial)))
            }
            Err(error) => {
                let backoff = failures.get(key).map_or(MIN_BACKOFF, |last| (last.backoff * 2).min(MAX_BACKOFF));
                failures.insert(key.clone(), Failure { error: error.clone(), until: now + backoff, backoff });
                Err(error)
            }
        }
    }

    fn cached_failure(&self, key: &Key) -> Option<Error> {
        let now = self.clock.steady();
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(key).filter(|failure| now < failure.until).map(|failure| failure.error.clone())
    }

    /// Replaces the old token by the new one, unless the cache contains a third one.
    async fn replace_if_current(&self, key: &Key, old: &Arc<Token>, new: Arc<Token>) {
        let entry = self.cache.entry_by_ref(key);
        entry
            .and_compute_with(|entry| {
                let is_other = entry.is_some_and(|entry| !Arc::ptr_eq(entry.value(), old));
                ready(if is_other { Op::Nop } else { Op::Put(new) })
            })
            .await;
    }

    /// Removes this token from the cache, unless it was replaced already.
    async fn evict(&self, key: &Key, token: &Arc<Token>) {
        let entry = self.cache.entry_by_ref(key);
        let outcome = entry
            .and_compute_with(|entry| {
                let is_same = entry.is_some_and(|entry| Arc::ptr_eq(entry.value(), token));
                ready(if is_same { Op::Remove } else { Op::Nop })
            })
            .await;
        if matches!(outcome, CompResult::Removed(_)) {
            self.metrics.token_expiry(&key.center, 0);
        }
    }
}

// === impl Token ===

impl Token {
    fn new(fetched: Fetched, now: Duration, trial: Duration) -> Self {
        let usable = fetched.lifetime.saturating_sub(MAX_EXPIRY_MARGIN.min(fetched.lifetime / 10));
        Self {
            value: fetched.value,
            lifetime: fetched.lifetime,
            refresh_at: now + usable.mul_f64(0.8),
            usable_until: now + usable,
            is_accepted: AtomicBool::new(false),
            trial,
            trial_end: now + trial,
            refresh_lock: Arc::default(),
        }
    }

    /// Records that the vendor accepted it.
    pub fn accept(&self) {
        // A load first: most calls find it accepted, and share the cache line.
        if !self.is_accepted() {
            self.is_accepted.store(true, Ordering::Relaxed);
        }
    }

    fn is_accepted(&self) -> bool {
        self.is_accepted.load(Ordering::Relaxed)
    }

    /// The trial of the token that replaces it.
    fn next_trial(&self) -> Duration {
        if self.is_accepted() { MIN_TRIAL } else { (self.trial * 2).min(MAX_TRIAL) }
    }
}

fn deadline_before_send() -> Error {
    Error::new(
        ErrorReason::DeadlineBeforeSend,
        "the deadline passed before anything was sent: no access token came in time",
    )
}

// === impl TokenExpiry ===

impl Expiry<Key, Arc<Token>> for TokenExpiry {
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
