//! How much of a vendor's capacity one center may use at once.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use crate::{
    config::Limits,
    error::{Error, ErrorReason, Result},
};

/// When a caller who found the queue full may ask again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The limits of one center.
#[derive(Debug)]
pub struct Limit {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    longest_queue: usize,
    rate: Option<DefaultDirectRateLimiter>,
}

/// Counts one waiting call, also when its caller goes away.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Limit ===

impl Limit {
    /// Limits as configured.
    pub fn new(limits: &Limits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            longest_queue: limits.queue,
            rate: NonZeroU32::new(limits.rate).map(|rate| RateLimiter::direct(Quota::per_second(rate))),
        }
    }

    /// Waits for a permit, until `deadline`.
    ///
    /// # Errors
    /// `CENTER_OVERLOADED` at once when the queue is full; `DEADLINE_BEFORE_SEND` when no permit came free in time.
    pub async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = self.queue()?;
                match timeout_at(deadline, self.permits.clone().acquire_owned()).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) => return Err(Error::internal("the center's limit is closed")),
                    Err(_) => return Err(too_late("other calls hold all of the center's request permits")),
                }
            }
        };
        if let Some(rate) = &self.rate {
            self.wait_for_rate(rate, deadline).await?;
        }
        Ok(permit)
    }

    async fn wait_for_rate(&self, rate: &DefaultDirectRateLimiter, deadline: Instant) -> Result<()> {
        let mut waiting = None;
        while let Err(not_until) = rate.check() {
            if waiting.is_none() {
                waiting = Some(self.queue()?);
            }
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            if Instant::now() + wait > deadline {
                return Err(too_late("the center's rate limit grants no request before the deadline"));
            }
            sleep(wait).await;
        }
        Ok(())
    }

    fn queue(&self) -> Result<Waiting<'_>> {
        let entered = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| {
            (waiting < self.longest_queue).then_some(waiting + 1)
        });
        match entered {
            Ok(_) => Ok(Waiting(&self.waiting)),
            Err(_) => Err(Error::new(
                ErrorReason::CenterOverloaded,
                "too many calls of this center are queued; nothing was sent",
            )
            .retry_after(ASK_AGAIN)
            .quota("calls queued for the center's vendor")),
        }
    }
}

fn too_late(why: &'static str) -> Error {
    Error::new(ErrorReason::DeadlineBeforeSend, format!("the deadline passed before anything was sent: {why}"))
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(concurrency: usize, queue: usize, rate: u32) -> Limit {
        Limit::new(&Limits { concurrency, queue, rate, max_response_size: 1024 })
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_fails_at_once_and_a_waiter_fails_at_its_deadline() {
        let limit = limit(1, 1, 0);
        let soon = Instant::now() + Duration::from_secs(1);
        let held = limit.permit(soon).await.unwrap();
        let (waiter, refused) = tokio::join!(limit.permit(soon), limit.permit(soon));
        assert_eq!(waiter.unwrap_err().reason(), ErrorReason::DeadlineBeforeSend);
        assert_eq!(refused.unwrap_err().reason(), ErrorReason::CenterOverloaded);
        drop(held);
        drop(limit.permit(soon).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_goes_away_leaves_the_queue() {
        let limit = limit(1, 1, 0);
        let soon = Instant::now() + Duration::from_secs(1);
        let _held = limit.permit(soon).await.unwrap();
        drop(tokio::time::timeout(Duration::from_millis(1), limit.permit(soon)).await);
        assert_eq!(limit.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn a_rate_that_leaves_no_turn_before_the_deadline_is_told() {
        let limit = limit(8, 8, 1);
        let now = Instant::now();
        let mut results = Vec::new();
        // A second gives another turn, should the machine take that long.
        while results.len() < 5 && results.last().is_none_or(Result::is_ok) {
            results.push(limit.permit(now).await);
        }
        let refused = results.pop().unwrap().unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::DeadlineBeforeSend);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_is_told_at_its_deadline_and_not_later() {
        let limit = limit(1, 1, 0);
        let begun = Instant::now();
        let soon = begun + Duration::from_secs(1);
        let _held = limit.permit(soon).await.unwrap();
        limit.permit(soon).await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn calls_that_wait_for_the_rate_wait_in_the_queue() {
        let limit = limit(8, 0, 1);
        let later = Instant::now() + Duration::from_secs(60);
        let mut results = Vec::new();
        while results.len() < 5 && results.last().is_none_or(Result::is_ok) {
            results.push(limit.permit(later).await);
        }
        let refused = results.pop().unwrap().unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::CenterOverloaded);
        assert_eq!(limit.waiting.load(Ordering::Acquire), 0);
    }
}
