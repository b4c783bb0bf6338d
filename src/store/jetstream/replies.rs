//! Routes replies to their requests.
//!
//! The client does this, too, but leaks an entry for every reply that never arrives.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

/// The inbox of all replies.
#[derive(Debug)]
pub(super) struct Replies {
    /// The reply subject of a request is this subject and the request's number.
    inbox: String,
    requests: AtomicU64,
    pending: Arc<PendingReplies>,
    _routing: AbortOnDropHandle<()>,
}

/// The pending replies, by the request's number.
#[derive(Debug, Default)]
struct PendingReplies(Mutex<HashMap<u64, oneshot::Sender<Message>>>);

/// One pending reply. Dropping it cancels the wait.
#[derive(Debug)]
pub(super) struct PendingReply {
    number: u64,
    subject: String,
    receiver: oneshot::Receiver<Message>,
    pending: Arc<PendingReplies>,
}

// === impl Replies ===

impl Replies {
    /// Routes the replies of a subscription to all subjects below `inbox`.
    pub(super) fn new(inbox: String, mut subscriber: Subscriber) -> Self {
        let pending = Arc::new(PendingReplies::default());
        let routing = tokio::spawn({
            let pending = pending.clone();
            async move {
                while let Some(reply) = subscriber.next().await {
                    pending.deliver(reply);
                }
            }
        });
        Self { inbox, requests: AtomicU64::new(0), pending, _routing: AbortOnDropHandle::new(routing) }
    }

    /// Registers the reply to one request.
    pub(super) fn register(&self) -> PendingReply {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        PendingReply::new(&self.pending, number, format!("{}.{number}", self.inbox))
    }
}

// === impl PendingReplies ===

impl PendingReplies {
    fn deliver(&self, reply: Message) {
        let number = reply.subject.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
        if let Some(sender) = number.and_then(|number: u64| self.lock().remove(&number)) {
            // The receiver may have been dropped in the meantime.
            let _ = sender.send(reply);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl PendingReply ===

impl PendingReply {
    fn new(pending: &Arc<PendingReplies>, number: u64, subject: String) -> Self {
        let (sender, receiver) = oneshot::channel();
        pending.lock().insert(number, sender);
        Self { number, subject, receiver, pending: pending.clone() }
    }

    /// The reply subject.
    pub(super) fn subject(&self) -> String {
        self.subject.clone()
    }

    /// Waits for the reply. `None` when the subscription has ended.
    pub(super) async fn reply(&mut self) -> Option<Message> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(reply: &PendingReply) -> Message {
        Message {
            subject: reply.subject().into(),
            reply: None,
            payload: bytes::Bytes::new(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        }
    }

    #[tokio::test]
    async fn a_reply_is_routed_to_its_request_and_a_dropped_one_leaves_no_entry() {
        let pending = Arc::new(PendingReplies::default());
        let [mut one, mut other, dropped] =
            [1, 2, 3].map(|number| PendingReply::new(&pending, number, format!("inbox.{number}")));
        let late = message(&dropped);
        drop(dropped);
        pending.deliver(late);
        for reply in [&other, &one] {
            pending.deliver(message(reply));
        }
        assert_eq!(one.reply().await.unwrap().subject.as_str(), "inbox.1");
        assert_eq!(other.reply().await.unwrap().subject.as_str(), "inbox.2");
        assert!(pending.lock().is_empty());
    }
}
