//! Concurrency and rate limits of one center's requests.

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

/// Retry delay when the queue is full.
const QUEUE_FULL_RETRY_AFTER: Duration = Duration::from_millis(200);

/// The limits of one center.
#[derive(Debug)]
pub(super) struct Limit {
    permits: Arc<Semaphore>,
    queued: AtomicUsize,
    max_queued: usize,
    rate: Option<DefaultDirectRateLimiter>,
}

/// One queued call. Dropping it leaves the queue, so a call whose caller disconnects leaves it, too.
struct QueueSlot<'a>(&'a AtomicUsize);

// === impl Limit ===

impl Limit {
    /// Limits as configured.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            queued: AtomicUsize::new(0),
            max_queued: limits.queue,
            rate: NonZeroU32::new(limits.rate).map(|rate| RateLimiter::direct(Quota::per_second(rate))),
        }
    }

    /// Waits for a permit, until `deadline`.
    ///
    /// # Errors
    /// `CENTER_OVERLOADED` immediately when the queue is full; `DEADLINE_BEFORE_SEND` when no permit is released before
    /// `deadline`.
    pub(super) async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _slot = self.enqueue()?;
                match timeout_at(deadline, self.permits.clone().acquire_owned()).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) => return Err(Error::internal("the center's limit is closed")),
                    Err(_) => return Err(deadline_before_send("other calls hold all of the center's request permits")),
                }
            }
        };
        if let Some(rate) = &self.rate {
            self.wait_for_rate(rate, deadline).await?;
        }
        Ok(permit)
    }

    async fn wait_for_rate(&self, rate: &DefaultDirectRateLimiter, deadline: Instant) -> Result<()> {
        let mut slot = None;
        while let Err(not_until) = rate.check() {
            if slot.is_none() {
                slot = Some(self.enqueue()?);
            }
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            if Instant::now() + wait > deadline {
                return Err(deadline_before_send("the center's rate limit grants no request before the deadline"));
            }
            sleep(wait).await;
        }
        Ok(())
    }

    fn enqueue(&self) -> Result<QueueSlot<'_>> {
        let enqueued = self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, |queued| {
            (queued < self.max_queued).then_some(queued + 1)
        });
        match enqueued {
            Ok(_) => Ok(QueueSlot(&self.queued)),
            Err(_) => Err(Error::new(
                ErrorReason::CenterOverloaded,
                "too many calls of this center are queued; nothing was sent",
            )
            .retry_after(QUEUE_FULL_RETRY_AFTER)
            .quota("calls queued for the center's vendor")),
        }
    }
}

fn deadline_before_send(cause: &'static str) -> Error {
    Error::new(ErrorReason::DeadlineBeforeSend, format!("the deadline passed before anything was sent: {cause}"))
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(concurrency: usize, queue: usize, rate: u32) -> Limit {
        Limit::new(&Limits { concurrency, queue, rate, max_response_size: 1024, max_list_size: 1024 })
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_rejects_immediately_and_a_queued_call_fails_at_its_deadline() {
        let limit = limit(1, 1, 0);
        let soon = Instant::now() + Duration::from_secs(1);
        let held = limit.permit(soon).await.unwrap();
        let (queued, rejected) = tokio::join!(limit.permit(soon), limit.permit(soon));
        assert_eq!(queued.unwrap_err().reason(), ErrorReason::DeadlineBeforeSend);
        assert_eq!(rejected.unwrap_err().reason(), ErrorReason::CenterOverloaded);
        drop(held);
        drop(limit.permit(soon).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_call_leaves_the_queue() {
        let limit = limit(1, 1, 0);
        let soon = Instant::now() + Duration::from_secs(1);
        let _held = limit.permit(soon).await.unwrap();
        drop(tokio::time::timeout(Duration::from_millis(1), limit.permit(soon)).await);
        assert_eq!(limit.queued.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn the_rate_limit_rejects_a_call_that_it_cannot_grant_before_the_deadline() {
        let limit = limit(8, 8, 1);
        let mut results = Vec::new();
        // On a slow machine the first second may grant further permits.
        while results.len() < 5 && results.last().is_none_or(Result::is_ok) {
            results.push(limit.permit(Instant::now()).await);
        }
        let rejected = results.pop().unwrap().unwrap_err();
        assert_eq!(rejected.reason(), ErrorReason::DeadlineBeforeSend);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_fails_at_its_deadline_and_not_later() {
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
        let rejected = results.pop().unwrap().unwrap_err();
        assert_eq!(rejected.reason(), ErrorReason::CenterOverloaded);
        assert_eq!(limit.queued.load(Ordering::Acquire), 0);
    }
}
