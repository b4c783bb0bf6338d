//! When the client retries a request, and after which backoff.

use std::time::{Duration, SystemTime};

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

    /// Backoff before the next attempt, at least the delay that the vendor requested; `None` when the attempts or the
    /// budget are exhausted.
    pub(crate) fn backoff(&self, attempts_made: u32, requested: Option<Duration>) -> Option<Duration> {
        if attempts_made >= self.attempts || !self.budget.withdraw() {
            return None;
        }
        let ceiling = BASE_BACKOFF.saturating_mul(1 << attempts_made.saturating_sub(1).min(8)).min(MAX_BACKOFF);
        let jitter = ceiling.mul_f64(fastrand::f64());
        Some(requested.unwrap_or_default().max(jitter))
    }
}

/// The delay in `Retry-After`: seconds, or a date. The date is relative to the response's own `Date`, because vendors'
/// clocks are wrong, and to `now` without one: then a date that has passed says nothing.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |name| date(text(name)?);
    let delay = match seconds(text(RETRY_AFTER)?) {
        Some(delay) => delay,
        None => match (date(RETRY_AFTER)?, date(DATE)) {
            (until, Some(response)) => until.duration_since(response).unwrap_or_default(),
            (until, None) => until.duration_since(now).ok()?,
        },
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

/// A date of HTTP. Some servers name its time zone as e-mail does.
fn date(text: &str) -> Option<SystemTime> {
    let utc = ["+0000", "-0000", "UTC"].iter().find_map(|zone| text.strip_suffix(zone));
    match utc {
        Some(time) => httpdate::parse_http_date(&format!("{time}GMT")).ok(),
        None => httpdate::parse_http_date(text).ok(),
    }
}

/// Seconds in digits. Some vendors send a fraction, which is rounded up.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let rounded = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    // More seconds than fit are too many.
    Some(Duration::from_secs(whole.parse().unwrap_or(u64::MAX).saturating_add(rounded)))
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
        assert_eq!(retries.backoff(1, Some(Duration::from_secs(2))), Some(Duration::from_secs(2)));
        assert!(retries.backoff(1, None).unwrap() <= BASE_BACKOFF);
        assert!(retries.backoff(1, Some(Duration::ZERO)).unwrap() <= BASE_BACKOFF);
    }

    /// The gateway's clock.
    const NOW: &str = "Wed, 21 Oct 2026 07:28:00 GMT";

    /// The delay of a response with these headers, if they are not empty.
    fn delay(retry_after: &str, date: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, text) in [(RETRY_AFTER, retry_after), (DATE, date)] {
            if !text.is_empty() {
                headers.insert(name, http::HeaderValue::from_str(text).unwrap());
            }
        }
        super::retry_after(&headers, httpdate::parse_http_date(NOW).unwrap())
    }

    #[test]
    fn a_date_is_relative_to_the_response() {
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        for (later, seconds) in [
            ("Wed, 21 Oct 2015 07:28:37 GMT", 37),
            ("Wed, 21 Oct 2015 07:28:38 +0000", 38),
            ("Wed, 21 Oct 2015 07:28:39 UTC", 39),
            ("Wednesday, 21-Oct-15 07:29:00 GMT", 60),
            ("Wed Oct 21 07:28:05 2015", 5),
            ("Thu, 22 Oct 2015 07:28:00 GMT", 3600),
            ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
        ] {
            assert_eq!(delay(later, date), Some(Duration::from_secs(seconds)), "{later}");
        }
        assert_eq!(delay("soon", date), None);
        assert_eq!(delay("", date), None);
        assert_eq!(delay(&"9".repeat(23), date), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn a_date_is_relative_to_the_gateway_s_clock_where_the_response_has_none() {
        for date in ["", "today", "2026-10-21T07:28:00Z"] {
            for (later, seconds) in [
                ("Wed, 21 Oct 2026 07:28:41 GMT", Some(41)),
                ("Wednesday, 21-Oct-26 07:30:00 GMT", Some(120)),
                ("Thu, 21 Oct 2027 07:28:00 GMT", Some(3600)),
                ("Wed, 21 Oct 2026 07:27:59 GMT", None),
                ("Thu, 32 Oct 2026 07:28:00 GMT", None),
            ] {
                assert_eq!(delay(later, date), seconds.map(Duration::from_secs), "{later} {date}");
            }
        }
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
        for (text, seconds) in [
            ("3600", 3600),
            ("3601", 3600),
            ("1000000000", 3600),
            ("99999999999999999999.9", 3600),
            (" 7 ", 7),
            ("0", 0),
            ("1.5", 2),
            ("0.001", 1),
            ("30.0", 30),
            ("3599.5", 3600),
        ] {
            assert_eq!(delay(text, NOW), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(delay(text, ""), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["-7", "-1.5", "+7", "1e9", "1.", ".5", "1.5.2", "1,5", "0x10", "7s", "7; 8", "NaN", "inf"] {
            assert_eq!(delay(text, ""), None, "{text}");
        }
    }
}
