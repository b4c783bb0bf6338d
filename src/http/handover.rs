//! When a request leaves the gateway: until a connection takes it, nothing was sent, and the call may still be ended.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use super::{Failure, HttpResponse, failure::CALLER_DISCONNECTED, send_state::SendState};
use crate::context::Context;

/// Whether a request waits for a connection: then nothing of it was sent. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<AtomicBool>);

// === impl Waiting ===

impl Waiting {
    /// Sets whether it waits. A transport sets it within the poll that gives the request to a connection.
    pub fn set(&self, is_waiting: bool) {
        self.0.store(is_waiting, Ordering::Release);
    }

    fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Sends a request. Each poll that may give it to a connection counts as sending it while it runs, and no such poll
/// begins for the first write of a call that was cancelled or whose deadline passed.
pub(super) async fn send(
    cx: &Context,
    is_write: bool,
    send_state: &SendState,
    waiting: &Waiting,
    sending: impl Future<Output = Result<HttpResponse, Failure>>,
) -> Result<HttpResponse, Failure> {
    let is_first_write = is_write && !cx.has_begun_write();
    // An earlier attempt of the same request.
    let was_sent = send_state.may_have_been_sent();
    let mut is_waiting = true;
    let mut sending = pin!(sending);
    poll_fn(|task| {
        if is_waiting {
            if is_write && !cx.begin_write() {
                return Poll::Ready(Err(Failure::NotSent(CALLER_DISCONNECTED)));
            }
            send_state.mark_sent();
        }
        let poll = sending.as_mut().poll(task);
        is_waiting = match &poll {
            Poll::Pending => is_waiting && waiting.is_waiting(),
            Poll::Ready(result) => matches!(result, Err(Failure::NotSent(_) | Failure::Misconfigured(_))),
        };
        if is_waiting {
            if !was_sent {
                send_state.mark_not_sent();
            }
            if is_first_write {
                cx.take_back_write();
            }
        }
        poll
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::Notify, time::Instant};

    use super::*;

    /// A request that waits for a connection until it is told that there is one, and then has no response.
    struct Connecting {
        connected: Notify,
        waiting: Waiting,
        was_sent: AtomicBool,
    }

    impl Connecting {
        fn new() -> Self {
            Self { connected: Notify::new(), waiting: Waiting::default(), was_sent: AtomicBool::new(false) }
        }

        async fn send(&self) -> Result<HttpResponse, Failure> {
            self.waiting.set(true);
            self.connected.notified().await;
            self.waiting.set(false);
            self.was_sent.store(true, Ordering::Release);
            std::future::pending().await
        }
    }

    fn call() -> Context {
        Context::new("StartCallback", String::new(), Instant::now() + Duration::from_secs(1))
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_connection_was_not_sent_and_is_not_sent_after_the_deadline() {
        for is_write in [true, false] {
            let (cx, connecting, send_state) = (call(), Connecting::new(), SendState::default());
            let mut sending = pin!(send(&cx, is_write, &send_state, &connecting.waiting, connecting.send()));
            assert!(futures_util::poll!(&mut sending).is_pending());
            assert!(!send_state.may_have_been_sent() && !cx.cancel(), "nothing was sent");
            connecting.connected.notify_one();
            let poll = futures_util::poll!(&mut sending);
            assert_eq!(poll.is_ready(), is_write, "a write is refused; a read is dropped by its caller");
            assert_eq!(connecting.was_sent.load(Ordering::Acquire), !is_write);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_connection_took_may_have_been_sent() {
        for is_write in [true, false] {
            let (cx, connecting, send_state) = (call(), Connecting::new(), SendState::default());
            let mut sending = pin!(send(&cx, is_write, &send_state, &connecting.waiting, connecting.send()));
            assert!(futures_util::poll!(&mut sending).is_pending());
            connecting.connected.notify_one();
            assert!(futures_util::poll!(&mut sending).is_pending());
            assert!(send_state.may_have_been_sent());
            assert_eq!(cx.cancel(), is_write);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_write_of_a_call_is_sent_also_after_the_deadline() {
        let (cx, connecting, send_state) = (call(), Connecting::new(), SendState::default());
        assert!(cx.begin_write());
        tokio::time::advance(Duration::from_secs(2)).await;
        let mut sending = pin!(send(&cx, true, &send_state, &connecting.waiting, connecting.send()));
        assert!(futures_util::poll!(&mut sending).is_pending());
        assert!(cx.cancel(), "the first one may have been sent");
        connecting.connected.notify_one();
        assert!(futures_util::poll!(&mut sending).is_pending());
        assert!(connecting.was_sent.load(Ordering::Acquire));
    }
}
