//! A write outlives its caller.
//!
//! A method that changes something runs in a task of its own. While its caller waits, nothing is different. When the
//! caller goes away or its deadline passes before anything was sent, nothing is sent any more; after something was sent,
//! the method runs to its end: it learns what became of the write, keeps it for a repeat, and lets the next change of the
//! same resource begin only then.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::{
    context::Context,
    error::{Error, Result, Vendor},
};

/// Longest a method runs on after its caller went away.
const LONGEST_RUN: Duration = Duration::from_secs(60);

/// Tells a call that its caller went away.
struct Abandon<'a>(&'a Context);

/// Runs a method to its end, and answers by the caller's deadline. `tasks` is where it runs: an orderly end waits there.
///
/// # Errors
/// What the method fails with. At the deadline: `DEADLINE_BEFORE_SEND` when nothing was sent, and then nothing will be;
/// `VENDOR_OUTCOME_UNKNOWN` otherwise.
pub async fn run<A, F>(tasks: &TaskTracker, cx: &Context, method: impl FnOnce(Context) -> F) -> Result<A>
where
    A: Send + 'static,
    F: Future<Output = Result<A>> + Send + 'static,
{
    let task = tasks.spawn(method(cx.with_write_deadline(Instant::now() + LONGEST_RUN)));
    let abandon = Abandon(cx);
    let result = match timeout_at(cx.deadline(), task).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) if cx.abandon() => Err(outcome_unknown(cx, "the gateway failed after the request was sent")),
        Ok(Err(_)) => Err(Error::internal("the call panicked; nothing was sent")),
        Err(_) if cx.abandon() => Err(outcome_unknown(cx, "no response before the deadline").past_deadline()),
        Err(_) => Err(too_late(cx)),
    };
    drop(abandon);
    result
}

/// Something was sent, and what became of it is not known.
pub fn outcome_unknown(cx: &Context, cause: &'static str) -> Error {
    if cx.abandon() {
        cx.mark_sent();
    }
    Error::outcome_unknown(cause).from_vendor(Vendor { operation: cx.operation(), ..Vendor::default() })
}

/// Nothing was sent, and nothing will be.
pub fn too_late(cx: &Context) -> Error {
    Error::too_late().from_vendor(Vendor { operation: cx.operation(), ..Vendor::default() })
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
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
    async fn what_was_sent_may_run_for_a_minute_and_its_caller_is_answered_in_time() {
        let (tasks, cx, begun) = (TaskTracker::new(), call(), Instant::now());
        let method = async move |cx: Context| {
            assert_eq!(cx.write_deadline() - begun, Duration::from_secs(60));
            assert!(cx.begin_write());
            pending::<Result<()>>().await
        };
        let error = run(&tasks, &cx, method).await.unwrap_err();
        assert_eq!((error.reason(), begun.elapsed()), (ErrorReason::VendorOutcomeUnknown, Duration::from_secs(5)));
        assert!(cx.sent());
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
        assert_eq!((error.reason(), cx.sent()), (ErrorReason::DeadlineBeforeSend, false));
        assert!(!sends.await.unwrap());
    }

    #[tokio::test]
    async fn a_panic_says_whether_something_was_sent() {
        for (sends, reason) in [(true, ErrorReason::VendorOutcomeUnknown), (false, ErrorReason::GatewayInternal)] {
            let method = async move |cx: Context| {
                let _ = sends && cx.begin_write();
                if cx.method() == "UpdateAgent" {
                    panic!("a fault");
                }
                Ok(())
            };
            assert_eq!(run(&TaskTracker::new(), &call(), method).await.unwrap_err().reason(), reason);
        }
    }
}
