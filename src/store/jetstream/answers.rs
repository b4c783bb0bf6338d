//! Answers, each to who asked.
//!
//! The client has such a thing, too, but keeps a place for every answer that never comes.

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

/// Where answers come in.
#[derive(Debug)]
pub(super) struct Answers {
    /// A question is answered below this subject, at its number.
    inbox: String,
    asked: AtomicU64,
    places: Arc<Places>,
    _taking: AbortOnDropHandle<()>,
}

/// Who waits for an answer, by the question's number.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<u64, oneshot::Sender<Message>>>);

/// Where one answer is waited for. Who drops it does not wait any more.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    reply: String,
    answer: oneshot::Receiver<Message>,
    places: Arc<Places>,
}

// === impl Answers ===

impl Answers {
    /// Answers that come to `answers`, a subscription to all below `inbox`.
    pub(super) fn new(inbox: String, mut answers: Subscriber) -> Self {
        let places = Arc::new(Places::default());
        let taking = tokio::spawn({
            let places = places.clone();
            async move {
                while let Some(answer) = answers.next().await {
                    places.give(answer);
                }
            }
        });
        Self { inbox, asked: AtomicU64::new(0), places, _taking: AbortOnDropHandle::new(taking) }
    }

    /// A place for the answer to one question.
    pub(super) fn place(&self) -> Place {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        Place::new(&self.places, number, format!("{}.{number}", self.inbox))
    }
}

// === impl Places ===

impl Places {
    fn give(&self, answer: Message) {
        let number = answer.subject.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
        if let Some(place) = number.and_then(|number: u64| self.lock().remove(&number)) {
            // Who waited may have gone in this moment.
            let _ = place.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    fn new(places: &Arc<Places>, number: u64, reply: String) -> Self {
        let (sender, answer) = oneshot::channel();
        places.lock().insert(number, sender);
        Self { number, reply, answer, places: places.clone() }
    }

    /// The subject that the answer must come to.
    pub(super) fn reply(&self) -> String {
        self.reply.clone()
    }

    /// The answer. `None` when none can come any more.
    pub(super) async fn answer(&mut self) -> Option<Message> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(place: &Place) -> Message {
        Message {
            subject: place.reply().into(),
            reply: None,
            payload: bytes::Bytes::new(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        }
    }

    #[tokio::test]
    async fn an_answer_comes_to_who_asked_and_nothing_is_kept_for_who_went_away() {
        let places = Arc::new(Places::default());
        let [mut one, mut other, gone] = [1, 2, 3].map(|number| Place::new(&places, number, format!("inbox.{number}")));
        let late = answer(&gone);
        drop(gone);
        places.give(late);
        for place in [&other, &one] {
            places.give(answer(place));
        }
        assert_eq!(one.answer().await.unwrap().subject.as_str(), "inbox.1");
        assert_eq!(other.answer().await.unwrap().subject.as_str(), "inbox.2");
        assert!(places.lock().is_empty());
    }
}
