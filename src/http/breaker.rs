//! The circuit breaker.
//!
//! Consecutive failures open the breaker: calls then fail immediately and send nothing. After a penalty one read probes
//! the vendor; never a write, because its outcome could stay unknown. A successful probe closes the breaker, a failed
//! probe doubles the penalty.
//!
//! A request that its caller abandons shows how long the caller waits, not that the vendor hangs. It opens nothing:
//! after as many as would open the breaker, the gateway sends a probe of its own, and opens the breaker if that fails.

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
    /// Calls pass. Since the last response there were `failures`, and `abandoned` requests without a response.
    Closed { failures: u32, abandoned: u32 },
    /// Calls fail immediately. From `probe_at` on one read may probe.
    Open { probe_at: Instant, penalty: Duration, probing: bool },
}

/// What requests a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requester {
    /// A call's read, which may probe.
    Read,
    /// A call's write, which never does.
    Write,
    /// The gateway's own probe.
    Probe,
}

/// Permit for one request. Dropping it without an outcome leaves the failure count unchanged.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    role: Role,
}

/// What the outcome of a request decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It counts.
    Call,
    /// A probe of the closed breaker: whether the vendor hangs, as the abandoned requests suggest.
    Confirmation,
    /// A probe of the open breaker: whether the vendor works again.
    Probe,
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
    /// The breaker stays as it is and requires the gateway's own probe.
    Suspected,
}

// === impl State ===

impl State {
    const CLOSED: Self = Self::Closed { failures: 0, abandoned: 0 };
}

// === impl Breaker ===

impl Breaker {
    /// A closed breaker with the configured thresholds.
    pub(super) fn new(config: &config::Breaker) -> Self {
        Self {
            threshold: config.consecutive_failures.max(1),
            min_penalty: config.min_penalty,
            max_penalty: config.max_penalty,
            state: Mutex::new(State::CLOSED),
        }
    }

    /// Acquires a permit.
    pub(super) fn acquire(&self, requester: Requester) -> Result<Permit<'_>, BreakerOpen> {
        let mut state = self.state();
        match &mut *state {
            State::Closed { .. } => {
                let role = if requester == Requester::Probe { Role::Confirmation } else { Role::Call };
                Ok(Permit { breaker: self, role })
            }
            State::Open { probe_at, probing, .. } => {
                let remaining = probe_at.saturating_duration_since(Instant::now());
                let needs_probe = remaining.is_zero() && !*probing;
                let may_probe = match requester {
                    Requester::Read => needs_probe,
                    Requester::Write => false,
                    // It waits long enough, which a read that probes may not.
                    Requester::Probe => remaining.is_zero(),
                };
                if may_probe {
                    *probing = true;
                    return Ok(Permit { breaker: self, role: Role::Probe });
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
    /// Whether it probes the open breaker. When its caller abandons it, however soon, the gateway probes itself.
    pub(super) fn is_probe(&self) -> bool {
        self.role == Role::Probe && matches!(*self.breaker.state(), State::Open { .. })
    }

    /// Records that the vendor responded, also with a refusal.
    pub(super) fn succeeded(mut self) -> Transition {
        let mut state = self.breaker.state();
        match *state {
            State::Closed { .. } => {
                *state = State::CLOSED;
                Transition::None
            }
            State::Open { .. } if self.role == Role::Probe => {
                self.role = Role::Call;
                *state = State::CLOSED;
                Transition::Closed
            }
            // A request from before the breaker opened does not show that the vendor works again.
            State::Open { .. } => Transition::None,
        }
    }

    /// Records that the vendor was unreachable, did not respond, or responded with a 5xx status and no return code. A
    /// failed probe confirms what the abandoned requests suggest.
    pub(super) fn failed(mut self) -> Transition {
        let mut state = self.breaker.state();
        match *state {
            State::Closed { failures, abandoned } => {
                let confirmed = if self.role == Role::Confirmation { abandoned } else { 0 };
                let failures = failures.saturating_add(1);
                if failures.saturating_add(confirmed) < self.breaker.threshold {
                    *state = State::Closed { failures, abandoned };
                    return Transition::None;
                }
                *state = self.breaker.open(self.breaker.min_penalty);
                Transition::Opened
            }
            State::Open { penalty, .. } if self.role == Role::Probe => {
                self.role = Role::Call;
                *state = self.breaker.open(penalty.saturating_mul(2));
                Transition::None
            }
            State::Open { .. } => Transition::None,
        }
    }

    /// Records that the caller abandoned the request after a wait without a response.
    pub(super) fn abandoned(self) -> Transition {
        let mut state = self.breaker.state();
        match &mut *state {
            State::Closed { failures, abandoned } => {
                *abandoned = abandoned.saturating_add(1);
                let is_suspected = failures.saturating_add(*abandoned) >= self.breaker.threshold;
                if is_suspected { Transition::Suspected } else { Transition::None }
            }
            State::Open { .. } if self.role == Role::Probe => Transition::Suspected,
            State::Open { .. } => Transition::None,
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.role == Role::Probe
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
            assert_eq!(breaker.acquire(Requester::Write).unwrap().failed(), Transition::None);
        }
        assert_eq!(breaker.acquire(Requester::Write).unwrap().failed(), Transition::Opened);
    }

    #[tokio::test(start_paused = true)]
    async fn consecutive_failures_open_the_breaker_and_a_success_resets_their_count() {
        let breaker = breaker();
        for _ in 0..10 {
            breaker.acquire(Requester::Write).unwrap().failed();
            breaker.acquire(Requester::Write).unwrap().failed();
            breaker.acquire(Requester::Write).unwrap().succeeded();
        }
        open(&breaker);
        assert!(breaker.acquire(Requester::Read).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_read_at_a_time_probes_and_a_write_never_does() {
        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.acquire(Requester::Write).unwrap_err().needs_probe);
        let probe = breaker.acquire(Requester::Read).unwrap();
        assert!(!breaker.acquire(Requester::Read).unwrap_err().needs_probe, "one probe at a time");
        assert_eq!(probe.succeeded(), Transition::Closed);
        assert!(breaker.acquire(Requester::Write).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_doubles_the_penalty_up_to_its_maximum() {
        let breaker = breaker();
        open(&breaker);
        for penalty in [1, 2, 4, 4] {
            tokio::time::advance(Duration::from_secs(penalty)).await;
            breaker.acquire(Requester::Read).unwrap().failed();
            let retry_after = breaker.acquire(Requester::Read).unwrap_err().retry_after;
            assert!(retry_after <= Duration::from_secs((penalty * 2).min(4)), "{retry_after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_probe_permits_another_probe() {
        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(breaker.acquire(Requester::Read).unwrap());
        assert!(breaker.acquire(Requester::Read).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn abandoned_requests_open_nothing_and_a_failed_probe_confirms_them() {
        for failures in 0..=2 {
            let breaker = breaker();
            let abandon = || breaker.acquire(Requester::Read).unwrap().abandoned();
            for _ in 0..failures {
                breaker.acquire(Requester::Read).unwrap().failed();
            }
            // One less than opens it, together with the failures.
            (failures + 1..3).for_each(|_| assert_eq!(abandon(), Transition::None));
            (0..10).for_each(|_| assert_eq!(abandon(), Transition::Suspected));
            // A response clears the suspicion.
            breaker.acquire(Requester::Probe).unwrap().succeeded();
            assert_eq!(abandon(), Transition::None);
            breaker.acquire(Requester::Probe).unwrap().failed();
            assert!(breaker.acquire(Requester::Read).is_ok(), "one abandoned request is too few to be confirmed");
            assert_eq!(abandon(), Transition::Suspected);
            assert_eq!(breaker.acquire(Requester::Probe).unwrap().failed(), Transition::Opened);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_gateway_probes_after_an_abandoned_probe_and_beside_one() {
        let breaker = breaker();
        open(&breaker);
        assert!(breaker.acquire(Requester::Probe).is_err(), "not before it is due");
        tokio::time::advance(Duration::from_secs(1)).await;
        let abandoned = breaker.acquire(Requester::Read).unwrap();
        let impatient = breaker.acquire(Requester::Read);
        assert!(impatient.is_err());
        assert_eq!(abandoned.abandoned(), Transition::Suspected);
        let _impatient = breaker.acquire(Requester::Read).unwrap();
        assert_eq!(breaker.acquire(Requester::Probe).unwrap().succeeded(), Transition::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_to_a_request_from_before_the_breaker_opened_does_not_close_it() {
        let breaker = breaker();
        let early = breaker.acquire(Requester::Read).unwrap();
        open(&breaker);
        assert_eq!(early.succeeded(), Transition::None);
        assert!(breaker.acquire(Requester::Read).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_penalty_is_random_between_its_half_and_all_of_it_and_never_reported_as_nothing() {
        let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
        let mut before = Duration::ZERO;
        let mut repeated = 0;
        for _ in 0..100 {
            let breaker = breaker();
            open(&breaker);
            let wait = breaker.acquire(Requester::Read).unwrap_err().retry_after;
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
        assert_eq!(breaker.acquire(Requester::Write).unwrap_err().retry_after, Duration::from_millis(250));
    }

    #[tokio::test(start_paused = true)]
    async fn each_probe_that_fails_doubles_the_penalty() {
        let breaker = breaker();
        open(&breaker);
        for penalty in [2, 4, 4] {
            tokio::time::advance(Duration::from_secs(4)).await;
            assert_eq!(breaker.acquire(Requester::Read).unwrap().failed(), Transition::None);
            let State::Open { penalty: now, probing, .. } = *breaker.state() else { panic!("it is open") };
            assert_eq!((now, probing), (Duration::from_secs(penalty), false));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_from_before_it_opened_does_not_prolong_it() {
        let breaker = breaker();
        let early = breaker.acquire(Requester::Read).unwrap();
        open(&breaker);
        let until = breaker.acquire(Requester::Read).unwrap_err().retry_after;
        assert_eq!(early.failed(), Transition::None);
        assert_eq!(breaker.acquire(Requester::Read).unwrap_err().retry_after, until);
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
