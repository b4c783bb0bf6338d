//! When a request may be sent again, and after how long.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use tower::retry::budget::{Budget as _, TpsBudget};

use crate::config;

/// First and longest pause between attempts; the pause itself is random below that (full jitter).
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// Time over which calls earn repeats, and repeats a second that need not be earned.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);
const UNEARNED_PER_SECOND: u32 = 1;

/// The repeats of one center.
#[derive(Debug)]
pub struct Retries {
    attempts: u32,
    budget: TpsBudget,
}

// === impl Retries ===

impl Retries {
    /// As configured.
    pub fn new(retry: &config::Retry) -> Self {
        // The budget counts whole deposits only, so a share is told in f32.
        #[expect(clippy::cast_possible_truncation, reason = "the configuration bounds it to 0..=1")]
        let share = retry.budget as f32;
        Self { attempts: retry.attempts, budget: TpsBudget::new(BUDGET_WINDOW, UNEARNED_PER_SECOND, share) }
    }

    /// Notes a call, which earns a share of a repeat.
    pub fn earn(&self) {
        self.budget.deposit();
    }

    /// Pause before the attempt that follows this many; `None` when there must be none.
    pub fn pause(&self, attempts_made: u32, headers: Option<&HeaderMap>) -> Option<Duration> {
        if attempts_made >= self.attempts || !self.budget.withdraw() {
            return None;
        }
        let ceiling = FIRST_PAUSE.saturating_mul(1 << attempts_made.saturating_sub(1).min(8)).min(LONGEST_PAUSE);
        let jitter = ceiling.mul_f64(fastrand::f64());
        Some(headers.and_then(retry_after).map_or(jitter, |asked| asked.max(jitter)))
    }
}

/// `Retry-After` in seconds. Its other form, a date, is ignored: vendors' clocks are wrong.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}

/// Whether a status says that the vendor could not serve a read just now.
pub fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(attempts: u32, budget: f64) -> Retries {
        Retries::new(&config::Retry { attempts, budget })
    }

    #[test]
    fn no_more_attempts_than_configured() {
        let retries = retries(3, 1.0);
        (0..10).for_each(|_| retries.earn());
        assert!(retries.pause(1, None).is_some());
        assert!(retries.pause(2, None).is_some());
        assert!(retries.pause(3, None).is_none());
    }

    #[test]
    fn repeats_are_a_share_of_the_calls() {
        let retries = retries(3, 0.1);
        (0..1000).for_each(|_| retries.earn());
        let repeats = (0..1000).filter(|_| retries.pause(1, None).is_some()).count();
        assert!((100..=120).contains(&repeats), "{repeats}");
    }

    #[test]
    fn the_vendor_may_ask_for_a_longer_pause() {
        let retries = retries(3, 1.0);
        (0..10).for_each(|_| retries.earn());
        let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static("2"))]);
        assert_eq!(retries.pause(1, Some(&headers)), Some(Duration::from_secs(2)));
        assert!(retries.pause(1, None).unwrap() <= FIRST_PAUSE);
        let date =
            HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"))]);
        assert!(retries.pause(1, Some(&date)).unwrap() <= FIRST_PAUSE);
    }

    #[test]
    fn a_tenth_of_ten_seconds_is_free() {
        let retries = retries(3, 0.0);
        (0..1000).for_each(|_| retries.earn());
        let free = (0..1000).filter(|_| retries.pause(1, None).is_some()).count();
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
            assert_eq!(is_passing(status), [429, 502, 503, 504].contains(&status.as_u16()), "{status}");
        }
    }
}
