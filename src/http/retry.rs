//! When the client retries a request, and after which backoff.

use std::time::Duration;

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};
use tower::retry::budget::{Budget as _, TpsBudget};

use crate::config;

/// First and largest ceiling of the backoff. The backoff is random below its ceiling (full jitter).
const BASE_BACKOFF: Duration = Duration::from_millis(25);
const MAX_BACKOFF: Duration = Duration::from_millis(250);
/// Longest delay that a vendor can request.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// How long a deposit counts, and the retries per second that need no deposit.
const BUDGET_TTL: Duration = Duration::from_secs(10);
const MIN_RETRIES_PER_SECOND: u32 = 1;

/// The retry policy and budget of one center.
#[derive(Debug)]
pub(crate) struct Retries {
    attempts: u32,
    budget: TpsBudget,
}

// === impl Retries ===

impl Retries {
    /// The configured policy.
    pub(crate) fn new(retry: &config::Retry) -> Self {
        // `TpsBudget` accepts the share of retries as f32.
        #[expect(clippy::cast_possible_truncation, reason = "the configuration bounds it to 0..=1")]
        let share = retry.budget as f32;
        Self { attempts: retry.attempts, budget: TpsBudget::new(BUDGET_TTL, MIN_RETRIES_PER_SECOND, share) }
    }

    /// Deposits a call, which earns a share of a retry.
    pub(crate) fn deposit(&self) {
        self.budget.deposit();
    }

    /// Backoff before the next attempt; `None` when the attempts or the budget are exhausted.
    pub(crate) fn backoff(&self, attempts_made: u32, headers: Option<&HeaderMap>) -> Option<Duration> {
        if attempts_made >= self.attempts || !self.budget.withdraw() {
            return None;
        }
        let ceiling = BASE_BACKOFF.saturating_mul(1 << attempts_made.saturating_sub(1).min(8)).min(MAX_BACKOFF);
        let jitter = ceiling.mul_f64(fastrand::f64());
        Some(headers.and_then(retry_after).map_or(jitter, |requested| requested.max(jitter)))
    }
}

/// The delay in `Retry-After`: seconds, or a date relative to the response's own `Date`, because vendors' clocks are
/// wrong.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |name| httpdate::parse_http_date(text(name)?).ok();
    let value = text(RETRY_AFTER)?;
    let delay = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More seconds than fit.
        Err(_) if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() => MAX_RETRY_AFTER,
        Err(_) => date(RETRY_AFTER)?.duration_since(date(DATE)?).unwrap_or_default(),
    };
    Some(delay.min(MAX_RETRY_AFTER))
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
    fn a_date_is_relative_to_the_response() {
        let headers = |retry_after: &str, date: &str| {
            let value = |text: &str| http::HeaderValue::from_str(text).unwrap();
            HeaderMap::from_iter([(RETRY_AFTER, value(retry_after)), (DATE, value(date))])
        };
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        for (later, seconds) in [
            ("Wed, 21 Oct 2015 07:28:37 GMT", 37),
            ("Wednesday, 21-Oct-15 07:29:00 GMT", 60),
            ("Thu, 22 Oct 2015 07:28:00 GMT", 3600),
            ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
        ] {
            assert_eq!(retry_after(&headers(later, date)), Some(Duration::from_secs(seconds)), "{later}");
        }
        assert_eq!(retry_after(&headers("soon", date)), None);
        assert_eq!(retry_after(&headers("", date)), None);
        assert_eq!(retry_after(&headers(&"9".repeat(23), date)), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after(&headers("Wed, 21 Oct 2015 07:28:37 GMT", "today")), None);
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
}
