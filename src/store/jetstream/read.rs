//! Reading a log: page by page, and nothing is kept ready for a reader who does not ask.
//!
//! A reader has a consumer at the servers for as long as that works, and asks it for one page after the other. The
//! consumer may go at any time, with its server or because the reader was long away; the reader knows what it has read
//! and makes another one.

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
    link::{Failure, Link, REQUEST_TIMEOUT},
};
use crate::{
    error::Result,
    store::event_log::{PAGE_BYTES, PAGE_RECORDS, Reader, Record},
};

/// How long the servers keep a question open while there is nothing; then it is asked anew.
const WAIT: Duration = Duration::from_secs(4);
/// How long more of a page is waited for. The server says when a page ends, but for a few.
const MORE: Duration = Duration::from_millis(250);
/// How often it is looked whether those who were asked are still those who answer.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long a reader puts up with failures, as when the servers start again, and its pauses in between.
const TOLERANCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);
/// How long the servers keep a consumer that is not asked.
const IDLE: Duration = Duration::from_secs(60);

/// Where a reader is. Dropping [`Reader::next`] loses nothing of it.
pub(super) struct LogReader {
    store: JetStream,
    center: String,
    /// Which log it reads.
    identity: u64,
    /// The sequence that was read last.
    position: u64,
    /// The time of the record that was read last: servers' clocks differ a little.
    received: SystemTime,
    consumer: Option<Consumer>,
    /// The question under way.
    looking: Option<BoxFuture<'static, Look>>,
}

/// What became of a question, and the consumer if it is still good.
type Look = (Option<Consumer>, Result<Vec<Record>, Failure>);

/// A reader's counterpart at the servers.
struct Consumer {
    /// Where it is asked.
    subject: String,
    /// Where it answers: below this subject, with a number for each question.
    inbox: String,
    asked: u64,
    answers: Subscriber,
    /// How many records it has handed out.
    handed: u64,
}

// === impl LogReader ===

impl LogReader {
    pub(super) fn new(store: JetStream, center: &str, identity: u64, after: u64) -> Self {
        let (center, received) = (center.to_owned(), SystemTime::UNIX_EPOCH);
        Self { store, center, identity, position: after, received, consumer: None, looking: None }
    }
}

#[async_trait]
impl Reader for LogReader {
    async fn next(&mut self) -> Result<Vec<Record>> {
        let mut failing: Option<Instant> = None;
        loop {
            let looking = self.looking.get_or_insert_with(|| {
                let (store, center) = (self.store.clone(), self.center.clone());
                Box::pin(look(store, center, self.identity, self.position, self.consumer.take()))
            });
            let (consumer, page) = looking.as_mut().await;
            self.looking = None;
            self.consumer = consumer;
            match page {
                Ok(mut page) => {
                    failing = None;
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
                    let since = *failing.get_or_insert_with(Instant::now);
                    if failure == Failure::Gone || since.elapsed() >= TOLERANCE {
                        return Err(failure.into());
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Asks for what comes right after a position. Nothing comes when there is nothing for a while.
async fn look(store: JetStream, center: String, identity: u64, after: u64, consumer: Option<Consumer>) -> Look {
    let link = &store.0.link;
    let mut consumer = match consumer {
        Some(consumer) => consumer,
        None => match open(&store, &center, identity, after).await {
            Ok(consumer) => consumer,
            Err(failure) => return (None, Err(failure)),
        },
    };
    match consumer.page(link, after).await {
        Ok(page) => (Some(consumer), Ok(page)),
        Err(failure) => (None, Err(failure)),
    }
}

async fn open(store: &JetStream, center: &str, identity: u64, after: u64) -> Result<Consumer, Failure> {
    let (link, log) = (&store.0.link, store.0.logs.get(center).ok_or(Failure::Gone)?);
    let info = link.info(&log.stream).await?;
    if log.identity(&info) != identity {
        return Err(Failure::Gone);
    }
    let config = pull::Config {
        description: Some("switchboard: a reader of events".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.saturating_add(1) },
        ack_policy: AckPolicy::None,
        inactive_threshold: IDLE,
        num_replicas: 1,
        memory_storage: true,
        ..pull::Config::default()
    };
    let name = link.consumer(&log.stream, config).await?;
    let inbox = link.client().new_inbox();
    let answers = link.client().subscribe(format!("{inbox}.*"));
    let answers = timeout(REQUEST_TIMEOUT, answers).await.map_err(|_| Failure::Away)?.map_err(|_| Failure::Away)?;
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{name}", log.stream);
    Ok(Consumer { subject, inbox, asked: 0, answers, handed: 0 })
}

// === impl Consumer ===

impl Consumer {
    async fn page(&mut self, link: &Link, after: u64) -> Result<Vec<Record>, Failure> {
        let page = json!({ "batch": PAGE_RECORDS, "max_bytes": PAGE_BYTES, "no_wait": true, "expires": nanos(WAIT) });
        match self.ask(link, page, PAGE_RECORDS, after).await? {
            Some(records) => Ok(records),
            // The next one is larger than a page.
            None => {
                let one = json!({ "batch": 1, "no_wait": true, "expires": nanos(WAIT) });
                Ok(self.ask(link, one, 1, after).await?.unwrap_or_default())
            }
        }
    }

    /// The records that come, with sequences above `after`: a copy that is behind begins before it. `None` when the
    /// first is too large.
    async fn ask(
        &mut self,
        link: &Link,
        question: Value,
        most: usize,
        after: u64,
    ) -> Result<Option<Vec<Record>>, Failure> {
        link.connected().await?;
        let connects = link.connects();
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        let asked = link.client().publish_with_reply(self.subject.clone(), reply.clone(), question.to_string().into());
        timeout(REQUEST_TIMEOUT, asked).await.map_err(|_| Failure::Away)?.map_err(|_| Failure::Away)?;

        let mut records = Vec::new();
        let mut handed = 0;
        while handed < most {
            let wait = if handed == 0 { WAIT + REQUEST_TIMEOUT } else { MORE };
            let message = match self.answer(link, connects, wait).await? {
                Some(message) => message,
                None if handed == 0 => return Err(Failure::Silent),
                None => break,
            };
            let Some(status) = message.status.filter(|status| status.as_u16() != 200) else {
                handed += 1;
                records.extend(Some(self.record(link, message)?).filter(|record| record.sequence > after));
                continue;
            };
            // What ends an earlier question.
            if message.subject.as_str() != reply {
                continue;
            }
            match (status.as_u16(), message.description.as_deref()) {
                (409, Some("Message Size Exceeds MaxBytes")) if handed == 0 => return Ok(None),
                (409, Some("Message Size Exceeds MaxBytes" | "Batch Completed")) | (404 | 408, _) => break,
                (503, _) => return Err(Failure::Nobody),
                _ => return Err(Failure::Ended),
            }
        }
        Ok(Some(records))
    }

    /// What comes next, if it comes in time. Servers that came back have forgotten who waits for something.
    async fn answer(&mut self, link: &Link, connects: u64, wait: Duration) -> Result<Option<Message>, Failure> {
        let deadline = Instant::now() + wait;
        loop {
            match timeout_at(deadline.min(Instant::now() + LOOK_AGAIN), self.answers.next()).await {
                Ok(answer) => return answer.map(Some).ok_or(Failure::Away),
                Err(_) if Instant::now() >= deadline => return Ok(None),
                Err(_) if link.connects() != connects => return Err(Failure::Ended),
                Err(_) => {}
            }
        }
    }

    /// The next record, if none was lost on the way.
    fn record(&mut self, link: &Link, message: Message) -> Result<Record, Failure> {
        let message = async_nats::jetstream::Message { message, context: link.context().clone() };
        let info = message.info().map_err(|_| Failure::Unreadable)?;
        self.handed += 1;
        if info.consumer_sequence != self.handed {
            return Err(Failure::Ended);
        }
        let (sequence, received) = (info.stream_sequence, info.published.into());
        Ok(Record { sequence, received, body: message.message.payload })
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
