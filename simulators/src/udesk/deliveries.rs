//! Deliveries: events on their way to the callback addresses of the subscriptions.
//!
//! The document of 18 says that "relevant messages will be sent to the specified callback address", and nothing else. So
//! these are the simulator's own assumptions: an event is a POST of JSON; HTTP 200 acknowledges it, whatever the body
//! says; anything else, or no answer within 5 s, is repeated as the [`Rule`] in force when the event happened says.
//!
//! Every subscription has a queue and a task of its own, so its events come in order: later ones wait while one is
//! repeated. A queue is bounded, and what finds it full is dropped, as is what waits for a subscription that is deleted,
//! disabled or led elsewhere.
//!
//! # Layout
//!
//! `rule` reads a rule, `client` posts, `journal` remembers what became of each delivery, `admin` is
//! `/simulator/deliveries` and `/simulator/events`.

mod admin;
mod client;
mod journal;
mod rule;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

pub(super) use self::admin::routes;
use self::{
    client::Client,
    journal::{Journal, Outcome},
    rule::Rule,
};
use super::state::Subscription;

/// How many posts wait for one subscription.
const LONGEST_QUEUE: usize = 1_000;

/// Names that nobody has (RFC 2606): the seeded subscription and many tests have such an address.
const NOBODYS: [&str; 5] = ["example", "invalid", "example.com", "example.net", "example.org"];

/// What is on its way. Dropping it ends everything that is.
#[derive(Default)]
pub(super) struct Deliveries {
    client: Client,
    rule: Rule,
    journal: Arc<Mutex<Journal>>,
    /// By subscription.
    queues: HashMap<u64, Queue>,
}

/// The way to one subscription's receiver.
struct Queue {
    /// The subscription's `callback`; its path may be a secret.
    callback: String,
    sender: mpsc::Sender<Parcel>,
    _worker: AbortOnDropHandle<()>,
}

/// One post, until it is acknowledged.
struct Parcel {
    /// Its row in the journal.
    row: u64,
    body: Bytes,
    rule: Rule,
}

/// The task of one queue.
struct Worker {
    client: Client,
    address: Url,
    journal: Arc<Mutex<Journal>>,
}

// === impl Deliveries ===

impl Deliveries {
    /// Nothing on its way, by the default rule, over the same connections.
    pub fn anew(&self) -> Self {
        Self { client: self.client.clone(), ..Self::default() }
    }

    /// Begins to deliver an event to a subscription; answers whether it has an address that is somebody's. Must be called
    /// within a runtime.
    pub fn post(&mut self, subscription: &Subscription, event: &'static str, msg_id: &str, body: &Bytes) -> bool {
        let Some(address) = destination(&subscription.callback) else {
            return false;
        };
        let Self { client, rule, journal, queues } = self;
        let queue = queues.entry(subscription.subid).or_insert_with(|| {
            let (sender, parcels) = mpsc::channel(LONGEST_QUEUE);
            let worker = Worker { client: client.clone(), address, journal: Arc::clone(journal) };
            Queue {
                callback: subscription.callback.clone(),
                sender,
                _worker: AbortOnDropHandle::new(tokio::spawn(worker.run(parcels))),
            }
        });
        for copy in 1..=rule.copies {
            let row = journal::of(journal).add(event, subscription.subid, msg_id, copy);
            let parcel = Parcel { row, body: body.clone(), rule: *rule };
            if queue.sender.try_send(parcel).is_err() {
                journal::of(journal).end(row, Outcome::Dropped);
            }
        }
        true
    }

    /// Drops what waits for subscriptions that are not among these any more, or not with this address.
    pub fn keep_only(&mut self, subscriptions: &[Subscription]) {
        let Self { client: _, rule: _, journal, queues } = self;
        queues.retain(|subid, queue| {
            let is_kept = subscriptions.iter().any(|subscription| {
                subscription.subid == *subid && subscription.enabled && subscription.callback == queue.callback
            });
            if !is_kept {
                journal::of(journal).drop_waiting(*subid);
            }
            is_kept
        });
    }
}

// === impl Worker ===

impl Worker {
    async fn run(self, mut parcels: mpsc::Receiver<Parcel>) {
        while let Some(parcel) = parcels.recv().await {
            self.deliver(parcel).await;
        }
    }

    async fn deliver(&self, Parcel { row, body, rule }: Parcel) {
        for attempt in 1..=rule.attempts {
            let status = self.client.post(&self.address, body.clone()).await;
            journal::of(&self.journal).attempted(row, status);
            if status == Some(200) {
                return journal::of(&self.journal).end(row, Outcome::Acknowledged);
            }
            if attempt < rule.attempts {
                sleep(rule.pause_after(attempt)).await;
            }
        }
        journal::of(&self.journal).end(row, Outcome::GivenUp);
    }
}

/// Where a callback address leads; `None` if it is nobody's.
pub(super) fn destination(callback: &str) -> Option<Url> {
    let url = Url::parse(callback).ok()?;
    let is_somebodys = match url.host()? {
        Host::Domain(domain) => {
            let domain = domain.trim_end_matches('.');
            !NOBODYS
                .iter()
                .any(|name| domain.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
        }
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    is_somebodys.then_some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::udesk::{
        receiver::{Receiver, SECRET},
        testing::Desk,
    };

    /// However slow the machine, an attempt that nobody answers is not repeated within a test.
    const LATE: u64 = 60_000;

    fn outcome(row: &Value) -> (u64, &Value, &str) {
        (row["attempts"].as_u64().unwrap(), &row["status"], row["outcome"].as_str().unwrap())
    }

    #[tokio::test]
    async fn only_subscribers_of_an_event_are_told() {
        let desk = Desk::open().await;
        let (mut first, mut second) = (Receiver::open().await, Receiver::open().await);
        let first_id = first.subscribe(&desk, "first", &["play_succ", "asr_gather_succ"]).await;
        let second_id = second.subscribe(&desk, "second", &["asr_gather_succ"]).await;
        assert_eq!(desk.tell("play_succ", json!({})).await, json!([first_id]));
        assert_eq!(desk.tell("asr_gather_succ", json!({})).await, json!([first_id, second_id]));
        // The seeded subscription is told nothing, as its address is nobody's.
        assert_eq!(desk.tell("general_hangup", json!({})).await, json!([]));
        assert_eq!(desk.tell("asr_gather_succ", json!({})).await, json!([first_id, second_id]));
        assert_eq!(first.names(3).await, ["play_succ", "asr_gather_succ", "asr_gather_succ"]);
        assert_eq!(second.names(2).await, ["asr_gather_succ", "asr_gather_succ"]);
        assert_eq!(desk.deliveries().await.len(), 5);
        assert!(first.is_empty() && second.is_empty());
    }

    #[tokio::test]
    async fn copies_are_equal_byte_for_byte() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::open().await;
        let id = receiver.subscribe(&desk, "gateway", &["play_succ"]).await;
        desk.deliver_by(json!({ "copies": 3 })).await;
        desk.tell("play_succ", json!({})).await;
        let copies = [receiver.posted().await, receiver.posted().await, receiver.posted().await];
        assert_eq!(copies[0].content_type, "application/json;charset=utf-8");
        assert!(copies.iter().all(|copy| copy.body == copies[0].body));
        let rows = desk.deliveries().await;
        assert_eq!(rows.iter().map(|row| row["copy"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        let sent: Value = serde_json::from_slice(&copies[0].body).unwrap();
        for row in &rows {
            assert_eq!((&row["event"], &row["subscription"]), (&json!("play_succ"), &json!(id)));
            assert_eq!(row["msg_id"], sent["MsgId"]);
            assert_eq!(outcome(row), (1, &json!(200), "acknowledged"));
        }
        desk.deliver_by(json!({})).await;
        desk.tell("play_succ", json!({})).await;
        assert_ne!(receiver.event().await["MsgId"], sent["MsgId"]);
        assert_eq!(desk.deliveries().await.len(), 4);
    }

    #[tokio::test]
    async fn an_event_is_repeated_until_it_is_acknowledged() {
        let desk = Desk::open().await;
        // Success in general is not the acknowledgement, and redirects are not followed.
        let mut receiver = Receiver::answering(&[503, 204, 307, 200, 500, 500, 200]).await;
        receiver.subscribe(&desk, "gateway", &["play_succ", "asr_gather_succ"]).await;
        desk.deliver_by(json!({ "attempts": 4, "retry_ms": 0 })).await;
        desk.tell("play_succ", json!({})).await;
        desk.deliver_by(json!({ "attempts": 2, "retry_ms": 0 })).await;
        desk.tell("asr_gather_succ", json!({})).await;
        desk.tell("play_succ", json!({})).await;
        let attempts = [receiver.posted().await, receiver.posted().await, receiver.posted().await];
        assert!(receiver.posted().await.body == attempts[0].body && attempts[1].body == attempts[2].body);
        assert_eq!(receiver.names(3).await, ["asr_gather_succ", "asr_gather_succ", "play_succ"]);
        let rows = desk.deliveries().await;
        assert_eq!(outcome(&rows[0]), (4, &json!(200), "acknowledged"));
        assert_eq!(outcome(&rows[1]), (2, &json!(500), "given up"));
        assert_eq!(outcome(&rows[2]), (1, &json!(200), "acknowledged"));
    }

    #[tokio::test]
    async fn where_nobody_answers_an_event_is_given_up() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::open().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        receiver.callback = format!("http://{}/{SECRET}", listener.local_addr().unwrap());
        // Every connection ends as soon as it is there.
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        receiver.subscribe(&desk, "gateway", &["play_succ"]).await;
        desk.deliver_by(json!({ "attempts": 2, "retry_ms": 0 })).await;
        desk.tell("play_succ", json!({})).await;
        assert_eq!(outcome(&desk.deliveries().await[0]), (2, &Value::Null, "given up"));
    }

    #[tokio::test]
    async fn a_slow_receiver_holds_up_nobody_else() {
        let desk = Desk::open().await;
        let (mut slow, mut quick) = (Receiver::silent().await, Receiver::open().await);
        slow.subscribe(&desk, "slow", &["play_succ"]).await;
        quick.subscribe(&desk, "quick", &["play_succ"]).await;
        desk.deliver_by(json!({ "retry_ms": LATE })).await;
        for _ in 0..3 {
            desk.tell("play_succ", json!({})).await;
        }
        assert_eq!(quick.names(3).await.len(), 3);
        // One is on its way, and the others wait for it.
        assert_eq!(slow.names(1).await.len(), 1);
        assert!(slow.is_empty());
        slow.speak();
        assert_eq!(slow.names(2).await.len(), 2);
    }

    #[tokio::test]
    async fn what_finds_the_queue_full_is_dropped() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::silent().await;
        receiver.subscribe(&desk, "gateway", &["play_succ"]).await;
        desk.deliver_by(json!({ "retry_ms": LATE })).await;
        desk.tell("play_succ", json!({})).await;
        receiver.posted().await;
        desk.deliver_by(json!({ "copies": 100 })).await;
        for _ in 0..11 {
            desk.tell("play_succ", json!({})).await;
        }
        let answer = desk.admin("GET", "/simulator/deliveries", &Value::Null).await.json();
        let rows = answer["deliveries"].as_array().unwrap();
        assert_eq!(rows.len(), 1_000);
        // The oldest 101 rows are forgotten; 900 of the 1,000 in the queue are not.
        assert!(rows[..900].iter().all(|row| row["outcome"] == "waiting"));
        assert!(rows[900..].iter().all(|row| row["outcome"] == "dropped"));
    }

    #[tokio::test]
    async fn a_disabled_deleted_or_moved_subscription_gets_no_more() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::silent().await;
        desk.deliver_by(json!({ "retry_ms": LATE })).await;
        for (number, change) in [(19, json!({ "enable": false })), (20, Value::Null), (19, json!({ "callback": "" }))] {
            let elsewhere = Receiver::open().await;
            let id = receiver.subscribe(&desk, &format!("{number} {change}"), &["play_succ"]).await;
            for _ in 0..2 {
                desk.tell("play_succ", json!({})).await;
            }
            receiver.posted().await;
            let mut body = Value::Null;
            if number == 19 {
                body = json!({ "callback": receiver.callback, "events": ["play_succ"], "name": "n", "enable": true });
                body["name"] = json!(format!("changed {id}"));
                match change.get("enable") {
                    Some(enable) => body["enable"] = enable.clone(),
                    None => body["callback"] = json!(elsewhere.callback),
                }
            }
            desk.done(number, &id.to_string(), body).await;
            let rows = desk.deliveries().await;
            let own: Vec<&Value> = rows.iter().filter(|row| row["subscription"] == id).collect();
            assert_eq!(own.len(), 2);
            assert!(own.iter().all(|row| row["outcome"] == "dropped"), "{change}");
        }
        receiver.speak();
        // Only the one that was moved is left.
        assert_eq!(desk.tell("play_succ", json!({})).await, json!([104]));
        assert_eq!(desk.deliveries().await.last().unwrap()["outcome"], "acknowledged");
        assert!(receiver.is_empty());
    }

    #[tokio::test]
    async fn a_reset_ends_what_is_on_its_way() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::silent().await;
        receiver.subscribe(&desk, "gateway", &["play_succ"]).await;
        desk.deliver_by(json!({ "copies": 2, "retry_ms": LATE })).await;
        desk.tell("play_succ", json!({})).await;
        receiver.posted().await;
        assert_eq!(desk.admin("POST", "/simulator/reset", &Value::Null).await.status, 204);
        let shown = desk.admin("GET", "/simulator/deliveries", &Value::Null).await.json();
        let rule = json!({ "copies": 1, "attempts": 3, "retry_ms": 500 });
        assert_eq!(shown, json!({ "rule": rule, "deliveries": [] }));
        receiver.subscribe(&desk, "gateway", &["asr_gather_succ"]).await;
        receiver.speak();
        desk.tell("asr_gather_succ", json!({})).await;
        assert_eq!(receiver.names(1).await, ["asr_gather_succ"]);
    }

    #[tokio::test]
    async fn addresses_are_not_shown() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::answering(&[500]).await;
        receiver.subscribe(&desk, "gateway", &["play_succ"]).await;
        desk.deliver_by(json!({ "retry_ms": 0 })).await;
        desk.tell("play_succ", json!({})).await;
        receiver.posted().await;
        // `deliveries` looks for the secret in the answer itself.
        assert_eq!(desk.deliveries().await.len(), 1);
        assert!(!format!("{:?}", desk.simulator).contains(SECRET));
    }

    #[test]
    fn some_addresses_are_nobodys() {
        for address in [
            "http://wallboard.example.com/udesk",
            "http://example.com",
            "https://a.b.EXAMPLE.org./x",
            "http://gateway.invalid",
            "http://ip:port",
            "http://",
        ] {
            assert!(destination(address).is_none(), "{address}");
        }
        for address in ["http://127.0.0.1:1/a", "http://[::1]:1/", "http://gateway:8080/a", "https://notexample.com"] {
            assert!(destination(address).is_some(), "{address}");
        }
    }
}
