//! When the client retries a request, and after which backoff.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use tower::retry::budget::{Budget as _, TpsBudget};

use crate::config;

/// First and largest ceiling of the backoff. The backoff is random below its ceiling (full jitter).
const BASE_BACKOFF: Duration = Duration::from_millis(25);
const MAX_BACKOFF: Duration = Duration::from_millis(250);
/// How long a deposit counts, and the retries per second that need no deposit.
const BUDGET_TTL: Duration = Duration::from_secs(10);
const MIN_RETRIES_PER_SECOND: u32 = 1;

/// The retry policy and budget of one center.
#[derive(Debug)]
pub struct Retries {
    attempts: u32,
    budget: TpsBudget,
}

// === impl Retries ===

impl Retries {
    /// The configured policy.
    pub fn new(retry: &config::Retry) -> Self {
        // `TpsBudget` accepts the share of retries as f32.
        #[expect(clippy::cast_possible_truncation, reason = "the configuration bounds it to 0..=1")]
        let share = retry.budget as f32;
        Self { attempts: retry.attempts, budget: TpsBudget::new(BUDGET_TTL, MIN_RETRIES_PER_SECOND, share) }
    }

    /// Deposits a call, which earns a share of a retry.
    pub fn deposit(&self) {
        self.budget.deposit();
    }

    /// Backoff before the next attempt; `None` when the attempts or the budget are exhausted.
    pub fn backoff(&self, attempts_made: u32, headers: Option<&HeaderMap>) -> Option<Duration> {
        if attempts_made >= self.attempts || !self.budget.withdraw() {
            return None;
        }
        let ceiling = BASE_BACKOFF.saturating_mul(1 << attempts_made.saturating_sub(1).min(8)).min(MAX_BACKOFF);
        let jitter = ceiling.mul_f64(fastrand::f64());
        Some(headers.and_then(retry_after).map_or(jitter, |requested| requested.max(jitter)))
    }
}

/// `Retry-After` in seconds. The date form is ignored, because vendors' clocks are wrong.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}

/// Whether a status reports a transient condition, after which a read may succeed.
pub fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(attempts: u32, budget: f64) -> Retries {
        Retries::new(&config::Retry { attempts, budget })
    }

    #[test]
    fn attempts_are_limited_to_the_configured_number() {
        let retries = retries(3, 1.0);
        (0..10).for_each(|_| retries.deposit());
        assert!(retries.backoff(1, None).is_some());
        assert!(retries.backoff(2, None).is_some());
        assert!(retries.backoff(3, None).is_none());
    }

    #[test]
    fn retries_are_limited_to_a_share_of_the_calls() {
        let retries = retries(3, 0.1);
        (0..1000).for_each(|_| retries.deposit());
        let granted = (0..1000).filter(|_| retries.backoff(1, None).is_some()).count();
        assert!((100..=120).contains(&granted), "{granted}");
    }

    #[test]
    fn retry_after_prolongs_the_backoff() {
        let retries = retries(3, 1.0);
        (0..10).for_each(|_| retries.deposit());
        let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static("2"))]);
        assert_eq!(retries.backoff(1, Some(&headers)), Some(Duration::from_secs(2)));
        assert!(retries.backoff(1, None).unwrap() <= BASE_BACKOFF);
        let date =
            HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"))]);
        assert!(retries.backoff(1, Some(&date)).unwrap() <= BASE_BACKOFF);
    }

    #[test]
    fn a_tenth_of_ten_seconds_is_free() {
        let retries = retries(3, 0.0);
        (0..1000).for_each(|_| retries.deposit());
        let free = (0..1000).filter(|_| retries.backoff(1, None).is_some()).count();
        assert_eq!(free, 10, "one a second, over ten seconds");
    }

    #[test]
    fn the_vendor_is_waited_for_an_hour_at_most() {
        let asked = |text: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked("3600"), Some(Duration::from_secs(3600)));
        assert_eq!(asked("3601"), Some(Duration::from_secs(3600)));
        assert_eq!((asked(" 7 "), asked("-7"), asked("1.5")), (Some(Duration::from_secs(7)), None, None));
    }

    #[test]
    fn only_what_passes_by_itself_is_retried() {
        for status in 100..600 {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_transient(status), [429, 502, 503, 504].contains(&status.as_u16()), "{status}");
        }
    }
}
