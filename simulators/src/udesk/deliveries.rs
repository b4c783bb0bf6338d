//! Deliveries: events on their way to the callback addresses of subscriptions.
//!
//! The document of 18 says that "relevant messages will be sent to the specified callback address", and nothing else.
//! The rest is the simulator's own assumption: an event is a POST of JSON, and HTTP 200 acknowledges it, with any body.
//! Any other status, or no response within 5 s, is retried by the [`Rule`] that was in force when the event was
//! enqueued.
//!
//! Every subscription has a queue and a task of its own, so its events arrive in order: later ones wait during a retry.
//! A queue is bounded. An event is dropped if the queue is full, or if its subscription is deleted, disabled or gets
//! another address.
//!
//! # Layout
//!
//! `rule` says how often an event is posted, `client` posts it once, and `log` holds the outcome of each delivery.

mod client;
mod log;
mod rule;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

pub(super) use self::rule::Rule;
use self::{
    client::Client,
    log::{DeliveryLog, Outcome},
};
use super::state::Subscription;

/// Most deliveries that wait for one subscription.
const MAX_QUEUE: usize = 1_000;

/// Reserved domains (RFC 2606), which have no receiver. The seeded subscription and many tests use them.
const RESERVED_DOMAINS: [&str; 5] = ["example", "invalid", "example.com", "example.net", "example.org"];

/// The deliveries of all subscriptions. Dropping it stops them.
#[derive(Default)]
pub(super) struct Deliveries {
    client: Client,
    rule: Rule,
    log: Arc<Mutex<DeliveryLog>>,
    /// By the subscription's ID.
    queues: HashMap<u64, Queue>,
}

/// The deliveries of one subscription.
struct Queue {
    /// The subscription's `callback`; its path may be a secret.
    callback: String,
    sender: mpsc::Sender<Delivery>,
    _worker: AbortOnDropHandle<()>,
}

/// One copy of an event for one subscription.
struct Delivery {
    /// Its entry in the log.
    entry: u64,
    body: Bytes,
    rule: Rule,
}

/// The task of one queue.
struct Worker {
    client: Client,
    address: Url,
    log: Arc<Mutex<DeliveryLog>>,
}

// === impl Deliveries ===

impl Deliveries {
    /// No deliveries, with the default rule and the same connections.
    pub(super) fn fresh(&self) -> Self {
        Self { client: self.client.clone(), ..Self::default() }
    }

    /// The rule for events from now on.
    pub(super) fn rule(&self) -> Rule {
        self.rule
    }

    pub(super) fn set_rule(&mut self, rule: Rule) {
        self.rule = rule;
    }

    /// The newest deliveries as JSON, oldest first.
    pub(super) fn log(&self) -> Vec<Value> {
        log::lock(&self.log).to_json()
    }

    /// Enqueues an event for a subscription; returns whether the subscription has a receiver. Requires a runtime.
    pub(super) fn enqueue(
        &mut self,
        subscription: &Subscription,
        event: &'static str,
        msg_id: &str,
        body: &Bytes,
    ) -> bool {
        let Some(address) = destination(&subscription.callback) else {
            return false;
        };
        let Self { client, rule, log, queues } = self;
        let queue = queues.entry(subscription.subid).or_insert_with(|| {
            let (sender, deliveries) = mpsc::channel(MAX_QUEUE);
            let worker = Worker { client: client.clone(), address, log: Arc::clone(log) };
            Queue {
                callback: subscription.callback.clone(),
                sender,
                _worker: AbortOnDropHandle::new(tokio::spawn(worker.run(deliveries))),
            }
        });
        for copy in 1..=rule.copies {
            let entry = log::lock(log).add(event, subscription.subid, msg_id, copy);
            let delivery = Delivery { entry, body: body.clone(), rule: *rule };
            if queue.sender.try_send(delivery).is_err() {
                log::lock(log).finish(entry, Outcome::Dropped);
            }
        }
        true
    }

    /// Drops the deliveries of subscriptions that are not among these, are disabled or have another address.
    pub(super) fn retain(&mut self, subscriptions: &[Subscription]) {
        let Self { client: _, rule: _, log, queues } = self;
        queues.retain(|subid, queue| {
            let is_unchanged = subscriptions.iter().any(|subscription| {
                subscription.subid == *subid && subscription.enabled && subscription.callback == queue.callback
            });
            if !is_unchanged {
                log::lock(log).drop_waiting(*subid);
            }
            is_unchanged
        });
    }
}

// === impl Worker ===

impl Worker {
    async fn run(self, mut deliveries: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = deliveries.recv().await {
            self.deliver(delivery).await;
        }
    }

    async fn deliver(&self, Delivery { entry, body, rule }: Delivery) {
        for attempt in 1..=rule.attempts {
            let status = self.client.post(&self.address, body.clone()).await;
            log::lock(&self.log).attempted(entry, status);
            if status == Some(200) {
                return log::lock(&self.log).finish(entry, Outcome::Acknowledged);
            }
            if attempt < rule.attempts {
                sleep(rule.pause_after(attempt)).await;
            }
        }
        log::lock(&self.log).finish(entry, Outcome::Exhausted);
    }
}

/// The address of a callback; `None` if it is not a URL or its domain is reserved.
pub(super) fn destination(callback: &str) -> Option<Url> {
    let url = Url::parse(callback).ok()?;
    let has_receiver = match url.host()? {
        Host::Domain(domain) => {
            let domain = domain.trim_end_matches('.');
            !RESERVED_DOMAINS
                .iter()
                .any(|name| domain.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
        }
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    has_receiver.then_some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::udesk::{
        receiver::{Receiver, SECRET},
        testing::TestServer,
    };

    /// A pause in milliseconds that is longer than any test, also on a slow machine.
    const LATE: u64 = 60_000;

    fn outcome(row: &Value) -> (u64, &Value, &str) {
        (row["attempts"].as_u64().unwrap(), &row["status"], row["outcome"].as_str().unwrap())
    }

    #[tokio::test]
    async fn only_subscribers_of_an_event_get_it() {
        let server = TestServer::start().await;
        let (mut first, mut second) = (Receiver::start().await, Receiver::start().await);
        let first_id = first.subscribe(&server, "first", &["play_succ", "asr_gather_succ"]).await;
        let second_id = second.subscribe(&server, "second", &["asr_gather_succ"]).await;
        assert_eq!(server.dispatch("play_succ", json!({})).await, json!([first_id]));
        assert_eq!(server.dispatch("asr_gather_succ", json!({})).await, json!([first_id, second_id]));
        // The seeded subscription has a reserved domain and gets nothing.
        assert_eq!(server.dispatch("general_hangup", json!({})).await, json!([]));
        assert_eq!(server.dispatch("asr_gather_succ", json!({})).await, json!([first_id, second_id]));
        assert_eq!(first.names(3).await, ["play_succ", "asr_gather_succ", "asr_gather_succ"]);
        assert_eq!(second.names(2).await, ["asr_gather_succ", "asr_gather_succ"]);
        assert_eq!(server.deliveries().await.len(), 5);
        assert!(first.is_empty() && second.is_empty());
    }

    #[tokio::test]
    async fn copies_are_equal_byte_for_byte() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::start().await;
        let id = receiver.subscribe(&server, "gateway", &["play_succ"]).await;
        server.set_delivery_rule(json!({ "copies": 3 })).await;
        server.dispatch("play_succ", json!({})).await;
        let copies = [receiver.posted().await, receiver.posted().await, receiver.posted().await];
        assert_eq!(copies[0].content_type, "application/json;charset=utf-8");
        assert!(copies.iter().all(|copy| copy.body == copies[0].body));
        let rows = server.deliveries().await;
        assert_eq!(rows.iter().map(|row| row["copy"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        let sent: Value = serde_json::from_slice(&copies[0].body).unwrap();
        for row in &rows {
            assert_eq!((&row["event"], &row["subscription"]), (&json!("play_succ"), &json!(id)));
            assert_eq!(row["msg_id"], sent["MsgId"]);
            assert_eq!(outcome(row), (1, &json!(200), "acknowledged"));
        }
        server.set_delivery_rule(json!({})).await;
        server.dispatch("play_succ", json!({})).await;
        assert_ne!(receiver.event().await["MsgId"], sent["MsgId"]);
        assert_eq!(server.deliveries().await.len(), 4);
    }

    #[tokio::test]
    async fn an_event_is_retried_until_it_is_acknowledged() {
        let server = TestServer::start().await;
        // Only HTTP 200 is the acknowledgement, and redirects are not followed.
        let mut receiver = Receiver::answering(&[503, 204, 307, 200, 500, 500, 200]).await;
        receiver.subscribe(&server, "gateway", &["play_succ", "asr_gather_succ"]).await;
        server.set_delivery_rule(json!({ "attempts": 4, "retry_ms": 0 })).await;
        server.dispatch("play_succ", json!({})).await;
        server.set_delivery_rule(json!({ "attempts": 2, "retry_ms": 0 })).await;
        server.dispatch("asr_gather_succ", json!({})).await;
        server.dispatch("play_succ", json!({})).await;
        let attempts = [receiver.posted().await, receiver.posted().await, receiver.posted().await];
        assert!(receiver.posted().await.body == attempts[0].body && attempts[1].body == attempts[2].body);
        assert_eq!(receiver.names(3).await, ["asr_gather_succ", "asr_gather_succ", "play_succ"]);
        let rows = server.deliveries().await;
        assert_eq!(outcome(&rows[0]), (4, &json!(200), "acknowledged"));
        assert_eq!(outcome(&rows[1]), (2, &json!(500), "given up"));
        assert_eq!(outcome(&rows[2]), (1, &json!(200), "acknowledged"));
    }

    #[tokio::test]
    async fn without_a_response_the_attempts_are_exhausted() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::start().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        receiver.callback = format!("http://{}/{SECRET}", listener.local_addr().unwrap());
        // Closes every connection at once.
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        receiver.subscribe(&server, "gateway", &["play_succ"]).await;
        server.set_delivery_rule(json!({ "attempts": 2, "retry_ms": 0 })).await;
        server.dispatch("play_succ", json!({})).await;
        assert_eq!(outcome(&server.deliveries().await[0]), (2, &Value::Null, "given up"));
    }

    #[tokio::test]
    async fn a_slow_receiver_delays_no_other() {
        let server = TestServer::start().await;
        let (mut slow, mut quick) = (Receiver::silent().await, Receiver::start().await);
        slow.subscribe(&server, "slow", &["play_succ"]).await;
        quick.subscribe(&server, "quick", &["play_succ"]).await;
        server.set_delivery_rule(json!({ "retry_ms": LATE })).await;
        for _ in 0..3 {
            server.dispatch("play_succ", json!({})).await;
        }
        assert_eq!(quick.names(3).await.len(), 3);
        // One delivery is under way, and the others wait for it.
        assert_eq!(slow.names(1).await.len(), 1);
        assert!(slow.is_empty());
        slow.resume();
        assert_eq!(slow.names(2).await.len(), 2);
    }

    #[tokio::test]
    async fn what_finds_the_queue_full_is_dropped() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::silent().await;
        receiver.subscribe(&server, "gateway", &["play_succ"]).await;
        server.set_delivery_rule(json!({ "retry_ms": LATE })).await;
        server.dispatch("play_succ", json!({})).await;
        receiver.posted().await;
        server.set_delivery_rule(json!({ "copies": 100 })).await;
        for _ in 0..11 {
            server.dispatch("play_succ", json!({})).await;
        }
        let response = server.admin("GET", "/simulator/deliveries", &Value::Null).await.json();
        let rows = response["deliveries"].as_array().unwrap();
        assert_eq!(rows.len(), 1_000);
        // The log discarded the oldest 101 deliveries; of the 1,000 in the queue it still has 900.
        assert!(rows[..900].iter().all(|row| row["outcome"] == "waiting"));
        assert!(rows[900..].iter().all(|row| row["outcome"] == "dropped"));
    }

    #[tokio::test]
    async fn a_disabled_deleted_or_moved_subscription_gets_no_more() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::silent().await;
        server.set_delivery_rule(json!({ "retry_ms": LATE })).await;
        for (number, change) in [(19, json!({ "enable": false })), (20, Value::Null), (19, json!({ "callback": "" }))] {
            let elsewhere = Receiver::start().await;
            let id = receiver.subscribe(&server, &format!("{number} {change}"), &["play_succ"]).await;
            for _ in 0..2 {
                server.dispatch("play_succ", json!({})).await;
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
            server.done(number, &id.to_string(), body).await;
            let rows = server.deliveries().await;
            let own: Vec<&Value> = rows.iter().filter(|row| row["subscription"] == id).collect();
            assert_eq!(own.len(), 2);
            assert!(own.iter().all(|row| row["outcome"] == "dropped"), "{change}");
        }
        receiver.resume();
        // Only the subscription with another address remains enabled.
        assert_eq!(server.dispatch("play_succ", json!({})).await, json!([104]));
        assert_eq!(server.deliveries().await.last().unwrap()["outcome"], "acknowledged");
        assert!(receiver.is_empty());
    }

    #[tokio::test]
    async fn a_reset_stops_deliveries() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::silent().await;
        receiver.subscribe(&server, "gateway", &["play_succ"]).await;
        server.set_delivery_rule(json!({ "copies": 2, "retry_ms": LATE })).await;
        server.dispatch("play_succ", json!({})).await;
        receiver.posted().await;
        assert_eq!(server.admin("POST", "/simulator/reset", &Value::Null).await.status, 204);
        let shown = server.admin("GET", "/simulator/deliveries", &Value::Null).await.json();
        let rule = json!({ "copies": 1, "attempts": 3, "retry_ms": 500 });
        assert_eq!(shown, json!({ "rule": rule, "deliveries": [] }));
        receiver.subscribe(&server, "gateway", &["asr_gather_succ"]).await;
        receiver.resume();
        server.dispatch("asr_gather_succ", json!({})).await;
        assert_eq!(receiver.names(1).await, ["asr_gather_succ"]);
    }

    #[tokio::test]
    async fn addresses_are_not_shown() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::answering(&[500]).await;
        receiver.subscribe(&server, "gateway", &["play_succ"]).await;
        server.set_delivery_rule(json!({ "retry_ms": 0 })).await;
        server.dispatch("play_succ", json!({})).await;
        receiver.posted().await;
        // `deliveries` looks for the secret in the response itself.
        assert_eq!(server.deliveries().await.len(), 1);
        assert!(!format!("{:?}", server.simulator).contains(SECRET));
    }

    #[test]
    fn reserved_domains_have_no_receiver() {
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
