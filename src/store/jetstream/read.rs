//! Reads a log page by page; nothing is prefetched.
//!
//! A reader has a pull consumer at the servers and requests one page after the other. The consumer may disappear at any
//! time, with its server or after inactivity. The reader knows its position and then creates another one.

use std::time::{Duration, SystemTime};

use async_nats::{
    Message, Subscriber,
    jetstream::consumer::{AckPolicy, DeliverPolicy, pull},
};
use async_trait::async_trait;
use futures_util::{StreamExt as _, future::BoxFuture};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    JetStream,
    connection::{Connection, Failure, REQUEST_TIMEOUT},
};
use crate::{
    error::Result,
    store::event_log::{PAGE_BYTES, PAGE_RECORDS, Reader, Record},
};

/// How long a pull request stays open while there is no message; then the reader sends the next one.
const PULL_EXPIRY: Duration = Duration::from_secs(4);
/// How long to wait for the next message of a page. The server ends most pages explicitly, but not all.
const NEXT_MESSAGE_TIMEOUT: Duration = Duration::from_millis(250);
/// How often to check whether the client has reconnected.
const RECONNECT_CHECK: Duration = Duration::from_millis(250);
/// How long a reader retries failures, as while servers restart, and the pause between attempts.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);
/// How long the servers keep an inactive consumer.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(60);

/// A reader's state. [`Reader::next`] is cancel safe.
pub(super) struct LogReader {
    store: JetStream,
    center: String,
    /// The log's identity.
    identity: u64,
    /// The sequence that was read last.
    position: u64,
    /// The receive time of the last record: servers' clocks differ, and times must not decrease.
    received: SystemTime,
    consumer: Option<Consumer>,
    /// The fetch in progress.
    pending: Option<BoxFuture<'static, Fetched>>,
}

/// The result of a fetch, and the consumer if it is still usable.
type Fetched = (Option<Consumer>, Result<Vec<Record>, Failure>);

/// A pull consumer at the servers.
struct Consumer {
    /// The subject of pull requests.
    subject: String,
    /// The reply subject of a pull request is this subject and the request's number.
    inbox: String,
    requests: u64,
    messages: Subscriber,
    /// How many records it has delivered.
    delivered: u64,
}

// === impl LogReader ===

impl LogReader {
    pub(super) fn new(store: JetStream, center: &str, identity: u64, after: u64) -> Self {
        let (center, received) = (center.to_owned(), SystemTime::UNIX_EPOCH);
        Self { store, center, identity, position: after, received, consumer: None, pending: None }
    }
}

#[async_trait]
impl Reader for LogReader {
    async fn next(&mut self) -> Result<Vec<Record>> {
        let mut failing_since: Option<Instant> = None;
        loop {
            let pending = self.pending.get_or_insert_with(|| {
                let (store, center) = (self.store.clone(), self.center.clone());
                Box::pin(fetch(store, center, self.identity, self.position, self.consumer.take()))
            });
            let (consumer, page) = pending.as_mut().await;
            self.pending = None;
            self.consumer = consumer;
            match page {
                Ok(mut page) => {
                    failing_since = None;
                    for record in &mut page {
                        self.received = self.received.max(record.received);
                        record.received = self.received;
                        self.position = record.sequence;
                    }
                    if !page.is_empty() {
                        return Ok(page);
                    }
                }
                Err(failure) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if failure == Failure::Gone || since.elapsed() >= RETRY_TIMEOUT {
                        return Err(failure.into());
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Fetches the page after a position. The page is empty when no message arrives before the pull request expires.
async fn fetch(store: JetStream, center: String, identity: u64, after: u64, consumer: Option<Consumer>) -> Fetched {
    let connection = &store.0.connection;
    let mut consumer = match consumer {
        Some(consumer) => consumer,
        None => match create_consumer(&store, &center, identity, after).await {
            Ok(consumer) => consumer,
            Err(failure) => return (None, Err(failure)),
        },
    };
    match consumer.page(connection, after).await {
        Ok(page) => (Some(consumer), Ok(page)),
        Err(failure) => (None, Err(failure)),
    }
}

async fn create_consumer(store: &JetStream, center: &str, identity: u64, after: u64) -> Result<Consumer, Failure> {
    let (connection, log) = (&store.0.connection, store.0.logs.get(center).ok_or(Failure::Gone)?);
    let info = connection.info(&log.stream).await?;
    if log.identity(&info) != identity {
        return Err(Failure::Gone);
    }
    let config = pull::Config {
        description: Some("switchboard: a reader of events".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.saturating_add(1) },
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE_THRESHOLD,
        num_replicas: 1,
        memory_storage: true,
        ..pull::Config::default()
    };
    let name = connection.consumer(&log.stream, config).await?;
    let inbox = connection.client().new_inbox();
    let messages = connection.client().subscribe(format!("{inbox}.*"));
    let messages = timeout(REQUEST_TIMEOUT, messages)
        .await
        .map_err(|_| Failure::NotConnected)?
        .map_err(|_| Failure::NotConnected)?;
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{name}", log.stream);
    Ok(Consumer { subject, inbox, requests: 0, messages, delivered: 0 })
}

// === impl Consumer ===

impl Consumer {
    async fn page(&mut self, connection: &Connection, after: u64) -> Result<Vec<Record>, Failure> {
        let page =
            json!({ "batch": PAGE_RECORDS, "max_bytes": PAGE_BYTES, "no_wait": true, "expires": nanos(PULL_EXPIRY) });
        match self.pull(connection, page, PAGE_RECORDS, after).await? {
            Some(records) => Ok(records),
            // The next record is larger than a page.
            None => {
                let one = json!({ "batch": 1, "no_wait": true, "expires": nanos(PULL_EXPIRY) });
                Ok(self.pull(connection, one, 1, after).await?.unwrap_or_default())
            }
        }
    }

    /// Sends a pull request and collects its records with sequences above `after`: a replica that lags may begin before
    /// it. `None` when the first record exceeds `max_bytes`.
    async fn pull(
        &mut self,
        connection: &Connection,
        request: Value,
        batch: usize,
        after: u64,
    ) -> Result<Option<Vec<Record>>, Failure> {
        connection.connected().await?;
        let connects = connection.connects();
        self.requests += 1;
        let reply = format!("{}.{}", self.inbox, self.requests);
        let sent =
            connection.client().publish_with_reply(self.subject.clone(), reply.clone(), request.to_string().into());
        timeout(REQUEST_TIMEOUT, sent).await.map_err(|_| Failure::NotConnected)?.map_err(|_| Failure::NotConnected)?;

        let mut records = Vec::new();
        let mut delivered = 0;
        while delivered < batch {
            let wait = if delivered == 0 { PULL_EXPIRY + REQUEST_TIMEOUT } else { NEXT_MESSAGE_TIMEOUT };
            let message = match self.message(connection, connects, wait).await? {
                Some(message) => message,
                None if delivered == 0 => return Err(Failure::Timeout),
                None => break,
            };
            let Some(status) = message.status.filter(|status| status.as_u16() != 200) else {
                delivered += 1;
                records.extend(Some(self.record(connection, message)?).filter(|record| record.sequence > after));
                continue;
            };
            // A status of an earlier pull request.
            if message.subject.as_str() != reply {
                continue;
            }
            match (status.as_u16(), message.description.as_deref()) {
                (409, Some("Message Size Exceeds MaxBytes")) if delivered == 0 => return Ok(None),
                (409, Some("Message Size Exceeds MaxBytes" | "Batch Completed")) | (404 | 408, _) => break,
                (503, _) => return Err(Failure::NoResponders),
                _ => return Err(Failure::Closed),
            }
        }
        Ok(Some(records))
    }

    /// The next message; `None` on timeout. Restarted servers have forgotten the pull request.
    async fn message(
        &mut self,
        connection: &Connection,
        connects: u64,
        wait: Duration,
    ) -> Result<Option<Message>, Failure> {
        let deadline = Instant::now() + wait;
        loop {
            match timeout_at(deadline.min(Instant::now() + RECONNECT_CHECK), self.messages.next()).await {
                Ok(message) => return message.map(Some).ok_or(Failure::NotConnected),
                Err(_) if Instant::now() >= deadline => return Ok(None),
                Err(_) if connection.connects() != connects => return Err(Failure::Closed),
                Err(_) => {}
            }
        }
    }

    /// The record of a message. Fails when an earlier message was lost.
    fn record(&mut self, connection: &Connection, message: Message) -> Result<Record, Failure> {
        let message = async_nats::jetstream::Message { message, context: connection.context().clone() };
        let info = message.info().map_err(|_| Failure::Malformed)?;
        self.delivered += 1;
        if info.consumer_sequence != self.delivered {
            return Err(Failure::Closed);
        }
        let (sequence, received) = (info.stream_sequence, info.published.into());
        Ok(Record { sequence, received, body: message.message.payload })
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
