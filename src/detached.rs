//! Writes that run on after their caller left.
//!
//! A write runs in a task of its own. If its caller cancels, or the deadline passes, before anything was sent, the task
//! sends nothing. After something was sent, the task runs to completion: it learns the outcome of the write, records it
//! for a replay, and only then releases the lock of the resource.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::{
    context::Context,
    error::{Error, Result, Vendor},
};

/// How long a write may run, from its start, after its caller left.
const MAX_RUN: Duration = Duration::from_secs(60);

/// Cancels the call when its caller drops it.
struct CancelOnDrop<'a>(&'a Context);

/// Runs a method in a task of `tasks`, which a drain waits for, and returns by the caller's deadline.
///
/// # Errors
/// The method's error. At the deadline: `DEADLINE_BEFORE_SEND` when nothing was sent, and then nothing will be;
/// `VENDOR_OUTCOME_UNKNOWN` otherwise.
pub(crate) async fn run<A, F>(tasks: &TaskTracker, cx: &Context, method: impl FnOnce(Context) -> F) -> Result<A>
where
    A: Send + 'static,
    F: Future<Output = Result<A>> + Send + 'static,
{
    let task = tasks.spawn(method(cx.with_write_deadline(Instant::now() + MAX_RUN)));
    let guard = CancelOnDrop(cx);
    let result = match timeout_at(cx.deadline(), task).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) if cx.cancel() => Err(outcome_unknown(cx, "the gateway failed after the request was sent")),
        Ok(Err(_)) => Err(Error::internal("the call panicked; nothing was sent")),
        Err(_) if cx.cancel() => Err(outcome_unknown(cx, "no response before the deadline").past_deadline()),
        Err(_) => Err(deadline_before_send(cx)),
    };
    drop(guard);
    result
}

/// A request was sent and its outcome is unknown.
pub(crate) fn outcome_unknown(cx: &Context, cause: &'static str) -> Error {
    if cx.cancel() {
        cx.mark_sent();
    }
    Error::outcome_unknown(cause).from_vendor(Vendor { operation: cx.operation(), ..Vendor::default() })
}

/// The deadline passed, nothing was sent, and nothing will be.
pub(crate) fn deadline_before_send(cx: &Context) -> Error {
    Error::deadline_before_send().from_vendor(Vendor { operation: cx.operation(), ..Vendor::default() })
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::error::ErrorReason;

    fn call() -> Context {
        Context::new("UpdateAgent", String::new(), Instant::now() + Duration::from_secs(5))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_may_run_for_a_minute_and_its_caller_gets_its_response_in_time() {
        let (tasks, cx, begun) = (TaskTracker::new(), call(), Instant::now());
        let method = async move |cx: Context| {
            assert_eq!(cx.write_deadline() - begun, Duration::from_secs(60));
            assert!(cx.begin_write());
            pending::<Result<()>>().await
        };
        let error = run(&tasks, &cx, method).await.unwrap_err();
        assert_eq!((error.reason(), begun.elapsed()), (ErrorReason::VendorOutcomeUnknown, Duration::from_secs(5)));
        assert!(cx.may_have_been_sent());
        assert_eq!(tasks.len(), 1, "it runs on");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_sent_by_the_deadline_is_not_sent_after_it() {
        let (tasks, cx) = (TaskTracker::new(), call());
        let (sender, sends) = tokio::sync::oneshot::channel();
        let method = async |cx: Context| {
            tokio::time::sleep(Duration::from_secs(6)).await;
            sender.send(cx.begin_write()).unwrap();
            Ok(())
        };
        let error = run(&tasks, &cx, method).await.unwrap_err();
        assert_eq!((error.reason(), cx.may_have_been_sent()), (ErrorReason::DeadlineBeforeSend, false));
        assert!(!sends.await.unwrap());
    }

    #[tokio::test]
    async fn a_panic_says_whether_something_was_sent() {
        for (sends, reason) in [(true, ErrorReason::VendorOutcomeUnknown), (false, ErrorReason::GatewayInternal)] {
            let method = async move |cx: Context| {
                let _ = sends && cx.begin_write();
                assert_ne!(cx.method(), "UpdateAgent", "a panic");
                Ok(())
            };
            assert_eq!(run(&TaskTracker::new(), &call(), method).await.unwrap_err().reason(), reason);
        }
    }
}
