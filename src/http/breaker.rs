//! The circuit breaker.
//!
//! Consecutive failures open the breaker: calls then fail immediately and send nothing. After a penalty one read probes
//! the vendor; never a write, because its outcome could stay unknown. A successful probe closes the breaker, a failed
//! probe doubles the penalty.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    config,
    error::{Error, ErrorReason, Result},
};

/// The breaker of one API family at one center.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: u32,
    min_penalty: Duration,
    max_penalty: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Calls pass. `failures` counts the consecutive failures.
    Closed { failures: u32 },
    /// Calls fail immediately. From `probe_at` on one read may probe.
    Open { probe_at: Instant, penalty: Duration, probing: bool },
}

/// Permit for one request. Dropping it without an outcome leaves the failure count unchanged.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

/// The breaker is open and grants no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BreakerOpen {
    /// When to retry.
    pub retry_after: Duration,
    /// Whether a probe is due and none runs.
    pub needs_probe: bool,
}

/// The state transition that an outcome causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    /// The breaker stays open or closed.
    None,
    /// The breaker opened.
    Opened,
    /// The breaker closed.
    Closed,
}

// === impl Breaker ===

impl Breaker {
    /// A closed breaker with the configured thresholds.
    pub(super) fn new(config: &config::Breaker) -> Self {
        Self {
            threshold: config.consecutive_failures.max(1),
            min_penalty: config.min_penalty,
            max_penalty: config.max_penalty,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Acquires a permit. Only a read may probe.
    pub(super) fn acquire(&self, is_read: bool) -> Result<Permit<'_>, BreakerOpen> {
        let mut state = self.state();
        match &mut *state {
            State::Closed { .. } => Ok(Permit { breaker: self, probe: false }),
            State::Open { probe_at, probing, .. } => {
                let remaining = probe_at.saturating_duration_since(Instant::now());
                let needs_probe = remaining.is_zero() && !*probing;
                if needs_probe && is_read {
                    *probing = true;
                    return Ok(Permit { breaker: self, probe: true });
                }
                Err(BreakerOpen { retry_after: remaining.max(self.min_penalty / 4), needs_probe })
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits half of the penalty plus a random part of the other half, so that gateways do not probe at the same time.
    fn open(&self, penalty: Duration) -> State {
        let penalty = penalty.clamp(self.min_penalty, self.max_penalty);
        let wait = penalty / 2 + (penalty / 2).mul_f64(fastrand::f64());
        State::Open { probe_at: Instant::now() + wait, penalty, probing: false }
    }
}

// === impl Permit ===

impl Permit<'_> {
    /// Records that the vendor responded, also with a refusal.
    pub(super) fn succeeded(mut self) -> Transition {
        let mut state = self.breaker.state();
        match *state {
            State::Closed { .. } => {
                *state = State::Closed { failures: 0 };
                Transition::None
            }
            State::Open { .. } if self.probe => {
                self.probe = false;
                *state = State::Closed { failures: 0 };
                Transition::Closed
            }
            // A request from before the breaker opened does not show that the vendor works again.
            State::Open { .. } => Transition::None,
        }
    }

    /// Records that the vendor was unreachable, did not respond, or responded with a 5xx status and no return code.
    pub(super) fn failed(mut self) -> Transition {
        let mut state = self.breaker.state();
        match *state {
            State::Closed { failures } if failures + 1 < self.breaker.threshold => {
                *state = State::Closed { failures: failures + 1 };
                Transition::None
            }
            State::Closed { .. } => {
                *state = self.breaker.open(self.breaker.min_penalty);
                Transition::Opened
            }
            State::Open { penalty, .. } if self.probe => {
                self.probe = false;
                *state = self.breaker.open(penalty.saturating_mul(2));
                Transition::None
            }
            State::Open { .. } => Transition::None,
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe
            && let State::Open { probing, .. } = &mut *self.breaker.state()
        {
            *probing = false;
        }
    }
}

// === impl BreakerOpen ===

impl BreakerOpen {
    /// The error that callers receive.
    pub(super) fn error(self) -> Error {
        Error::new(
            ErrorReason::VendorUnavailable,
            "circuit breaker open after repeated vendor failures; nothing was sent",
        )
        .retry_after(self.retry_after)
        .with("cause", "breaker open")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(&config::Breaker {
            consecutive_failures: 3,
            min_penalty: Duration::from_secs(1),
            max_penalty: Duration::from_secs(4),
        })
    }

    fn open(breaker: &Breaker) {
        for _ in 0..2 {
            assert_eq!(breaker.acquire(false).unwrap().failed(), Transition::None);
        }
        assert_eq!(breaker.acquire(false).unwrap().failed(), Transition::Opened);
    }

    #[tokio::test(start_paused = true)]
    async fn consecutive_failures_open_the_breaker_and_a_success_resets_their_count() {
        let breaker = breaker();
        for _ in 0..10 {
            breaker.acquire(false).unwrap().failed();
            breaker.acquire(false).unwrap().failed();
            breaker.acquire(false).unwrap().succeeded();
        }
        open(&breaker);
        assert!(breaker.acquire(true).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_read_at_a_time_probes_and_a_write_never_does() {
        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.acquire(false).unwrap_err().needs_probe);
        let probe = breaker.acquire(true).unwrap();
        assert!(!breaker.acquire(true).unwrap_err().needs_probe, "one probe at a time");
        assert_eq!(probe.succeeded(), Transition::Closed);
        assert!(breaker.acquire(false).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_doubles_the_penalty_up_to_its_maximum() {
        let breaker = breaker();
        open(&breaker);
        for penalty in [1, 2, 4, 4] {
            tokio::time::advance(Duration::from_secs(penalty)).await;
            breaker.acquire(true).unwrap().failed();
            let retry_after = breaker.acquire(true).unwrap_err().retry_after;
            assert!(retry_after <= Duration::from_secs((penalty * 2).min(4)), "{retry_after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_probe_permits_another_probe() {
        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(breaker.acquire(true).unwrap());
        assert!(breaker.acquire(true).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_to_a_request_from_before_the_breaker_opened_does_not_close_it() {
        let breaker = breaker();
        let early = breaker.acquire(true).unwrap();
        open(&breaker);
        assert_eq!(early.succeeded(), Transition::None);
        assert!(breaker.acquire(true).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_penalty_is_random_between_its_half_and_all_of_it_and_never_reported_as_nothing() {
        let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
        let mut before = Duration::ZERO;
        let mut repeated = 0;
        for _ in 0..100 {
            let breaker = breaker();
            open(&breaker);
            let wait = breaker.acquire(true).unwrap_err().retry_after;
            (shortest, longest) = (shortest.min(wait), longest.max(wait));
            repeated += usize::from(wait == before);
            before = wait;
        }
        assert!(
            shortest >= Duration::from_millis(500) && longest <= Duration::from_secs(1),
            "{shortest:?} {longest:?}"
        );
        // One in 2^100 tests finds one of these.
        assert!(
            shortest < Duration::from_millis(750) && longest > Duration::from_millis(750),
            "{shortest:?} {longest:?}"
        );
        assert_eq!(repeated, 0, "gateways probe in step");

        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(breaker.acquire(false).unwrap_err().retry_after, Duration::from_millis(250));
    }

    #[tokio::test(start_paused = true)]
    async fn each_probe_that_fails_doubles_the_penalty() {
        let breaker = breaker();
        open(&breaker);
        for penalty in [2, 4, 4] {
            tokio::time::advance(Duration::from_secs(4)).await;
            assert_eq!(breaker.acquire(true).unwrap().failed(), Transition::None);
            let State::Open { penalty: now, probing, .. } = *breaker.state() else { panic!("it is open") };
            assert_eq!((now, probing), (Duration::from_secs(penalty), false));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_from_before_it_opened_does_not_prolong_it() {
        let breaker = breaker();
        let early = breaker.acquire(true).unwrap();
        open(&breaker);
        let until = breaker.acquire(true).unwrap_err().retry_after;
        assert_eq!(early.failed(), Transition::None);
        assert_eq!(breaker.acquire(true).unwrap_err().retry_after, until);
    }

    #[test]
    fn an_open_breaker_says_when_to_come_again() {
        let error = BreakerOpen { retry_after: Duration::from_secs(3), needs_probe: false }.error();
        assert_eq!(error.reason(), ErrorReason::VendorUnavailable);
        let cx = crate::context::Context::new("GetAgent", String::new(), Instant::now());
        let delay = tonic_types::StatusExt::get_details_retry_info(&error.into_status(&cx)).unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_secs(3)));
    }
}
