//! A vendor that does not answer is left alone for a while.
//!
//! Consecutive failures open the breaker: calls then fail at once, with nothing sent. After a penalty one harmless read
//! probes; never a write, whose outcome somebody would have to care for. A probe that succeeds closes the breaker, one
//! that fails doubles the penalty.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    config,
    error::{Error, ErrorReason, Result},
};

/// The breaker of one family of interfaces at one center.
#[derive(Debug)]
pub struct Breaker {
    threshold: u32,
    min_penalty: Duration,
    max_penalty: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Calls pass; so many failures came in a row.
    Closed { failures: u32 },
    /// Calls fail at once; from `until` on one may probe.
    Open { until: Instant, penalty: Duration, probing: bool },
}

/// Permit for one request. When it is dropped without an outcome, nothing is learned from it.
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When to ask again.
    pub retry_after: Duration,
    /// Whether the time for a probe has come, and nobody does it yet.
    pub needs_probe: bool,
}

/// What an outcome did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that anybody need know.
    None,
    /// It opened.
    Opened,
    /// It closed.
    Closed,
}

// === impl Breaker ===

impl Breaker {
    /// As configured.
    pub fn new(config: &config::Breaker) -> Self {
        Self {
            threshold: config.consecutive_failures.max(1),
            min_penalty: config.min_penalty,
            max_penalty: config.max_penalty,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Asks to pass. Only a read may be the probe.
    pub fn acquire(&self, is_read: bool) -> Result<Permit<'_>, Refused> {
        let mut state = self.state();
        match &mut *state {
            State::Closed { .. } => Ok(Permit { breaker: self, probe: false }),
            State::Open { until, probing, .. } => {
                let left = until.saturating_duration_since(Instant::now());
                let due = left.is_zero() && !*probing;
                if due && is_read {
                    *probing = true;
                    return Ok(Permit { breaker: self, probe: true });
                }
                Err(Refused { retry_after: left.max(self.min_penalty / 4), needs_probe: due })
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Half of the penalty is certain, the other half random, so that gateways do not probe in step.
    fn open(&self, penalty: Duration) -> State {
        let penalty = penalty.clamp(self.min_penalty, self.max_penalty);
        let wait = penalty / 2 + (penalty / 2).mul_f64(fastrand::f64());
        State::Open { until: Instant::now() + wait, penalty, probing: false }
    }
}

// === impl Permit ===

impl Permit<'_> {
    /// The vendor answered, whatever it said.
    pub fn succeeded(mut self) -> Change {
        let mut state = self.breaker.state();
        match *state {
            State::Closed { .. } => {
                *state = State::Closed { failures: 0 };
                Change::None
            }
            State::Open { .. } if self.probe => {
                self.probe = false;
                *state = State::Closed { failures: 0 };
                Change::Closed
            }
            // A request from before it opened says nothing of now.
            State::Open { .. } => Change::None,
        }
    }

    /// The vendor could not be reached, did not answer, or failed without a word of its own.
    pub fn failed(mut self) -> Change {
        let mut state = self.breaker.state();
        match *state {
            State::Closed { failures } if failures + 1 < self.breaker.threshold => {
                *state = State::Closed { failures: failures + 1 };
                Change::None
            }
            State::Closed { .. } => {
                *state = self.breaker.open(self.breaker.min_penalty);
                Change::Opened
            }
            State::Open { penalty, .. } if self.probe => {
                self.probe = false;
                *state = self.breaker.open(penalty.saturating_mul(2));
                Change::None
            }
            State::Open { .. } => Change::None,
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

// === impl Refused ===

impl Refused {
    /// What a caller is told.
    pub fn error(self) -> Error {
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
            assert_eq!(breaker.acquire(false).unwrap().failed(), Change::None);
        }
        assert_eq!(breaker.acquire(false).unwrap().failed(), Change::Opened);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
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
    async fn one_read_probes_and_no_write_does() {
        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.acquire(false).unwrap_err().needs_probe);
        let probe = breaker.acquire(true).unwrap();
        assert!(!breaker.acquire(true).unwrap_err().needs_probe, "one probe at a time");
        assert_eq!(probe.succeeded(), Change::Closed);
        assert!(breaker.acquire(false).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_doubles_the_penalty_up_to_its_bound() {
        let breaker = breaker();
        open(&breaker);
        for bound in [1, 2, 4, 4] {
            tokio::time::advance(Duration::from_secs(bound)).await;
            breaker.acquire(true).unwrap().failed();
            let next = breaker.acquire(true).unwrap_err().retry_after;
            assert!(next <= Duration::from_secs((bound * 2).min(4)), "{next:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_leaves_room_for_another() {
        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(breaker.acquire(true).unwrap());
        assert!(breaker.acquire(true).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_it_opened_does_not_close_it() {
        let breaker = breaker();
        let early = breaker.acquire(true).unwrap();
        open(&breaker);
        assert_eq!(early.succeeded(), Change::None);
        assert!(breaker.acquire(true).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_penalty_is_random_between_its_half_and_all_of_it_and_never_told_as_nothing() {
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
            assert_eq!(breaker.acquire(true).unwrap().failed(), Change::None);
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
        assert_eq!(early.failed(), Change::None);
        assert_eq!(breaker.acquire(true).unwrap_err().retry_after, until);
    }

    #[test]
    fn an_open_breaker_says_when_to_come_again() {
        let error = Refused { retry_after: Duration::from_secs(3), needs_probe: false }.error();
        assert_eq!(error.reason(), ErrorReason::VendorUnavailable);
        let cx = crate::context::Context::new("GetAgent", String::new(), Instant::now());
        let delay = tonic_types::StatusExt::get_details_retry_info(&error.into_status(&cx)).unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_secs(3)));
    }
}
