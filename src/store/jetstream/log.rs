//! Events: a stream for each center.
//!
//! What names its message or its time is kept once within the stream's own window, by `Nats-Msg-Id`. For the rest the
//! window is shorter, and there is one per stream: such a body has a subject of its own, made of its hash, and is kept if
//! the newest message of this subject is old enough. JetStream takes it only if that message still is the newest.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::{HeaderMap, HeaderValue, header, jetstream::ErrorCode};
use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};

use super::{
    JetStream, SUBJECTS,
    bucket::is_conflict,
    hex,
    link::{Failure, Info, Link, REQUEST_TIMEOUT},
    read::LogReader,
};
use crate::{
    config,
    error::{Error, ErrorReason, Result},
    store::{
        event_log::{Appended, EventLog, Extent, Reader},
        fingerprint::Fingerprint,
    },
};

/// What waits for an acknowledgement at most, for each center: events, and bytes of their bodies.
const WAITING: usize = 1024;
const WAITING_BYTES: usize = 16 << 20;
/// When somebody whom that hit may try again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Pauses before an event is offered again while an equal one is on its way to the disks.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// What is known here of a center's stream.
#[derive(Debug)]
pub(super) struct Log {
    center: String,
    pub(super) stream: String,
    window: Duration,
    waiting: Semaphore,
    waiting_bytes: Semaphore,
}

// === impl JetStream ===

impl JetStream {
    fn log(&self, center: &str) -> Result<&Log> {
        self.0.logs.get(center).ok_or_else(|| Error::internal("the center has no event log"))
    }
}

#[async_trait]
impl EventLog for JetStream {
    async fn append(&self, center: &str, body: Bytes, fingerprint: Fingerprint) -> Result<Appended> {
        let log = self.log(center)?;
        let _place = log.place(body.len())?;
        match timeout(REQUEST_TIMEOUT, log.append(&self.0.link, body, fingerprint)).await {
            Ok(Ok(appended)) => Ok(appended),
            Ok(Err(Failure::TooLarge)) => {
                Err(Error::new(ErrorReason::RequestTooLarge, "the event exceeds what the gateway's storage accepts"))
            }
            Ok(Err(failure)) => Err(failure.into()),
            Err(_) => Err(Failure::Silent.into()),
        }
    }

    async fn extent(&self, center: &str) -> Result<Extent> {
        let log = self.log(center)?;
        let info = self.0.link.info(&log.stream).await?;
        // An empty stream begins after its last message; one that never had any has no beginning.
        let oldest = info.first.saturating_sub(1).min(info.last);
        Ok(Extent { log: log.identity(&info), oldest, newest: info.last })
    }

    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64> {
        let stream = &self.log(center)?.stream;
        // First, so that what is kept from now on comes after it.
        let newest = self.0.link.info(stream).await?.last;
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if i64::try_from(since.as_nanos()).is_err() {
            return Ok(newest);
        }
        let first = self.0.link.since(stream, UNIX_EPOCH + since).await?;
        let first = first.filter(|message| SystemTime::from(message.time) >= time);
        Ok(first.map_or(newest, |message| message.sequence.saturating_sub(1)))
    }

    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>> {
        let log = self.log(center)?;
        let identity = log.identity(&self.0.link.info(&log.stream).await?);
        Ok(Box::new(LogReader::new(self.clone(), center, identity, after)))
    }
}

// === impl Log ===

impl Log {
    pub(super) fn new(center: &str, events: &config::Events) -> Self {
        Self {
            center: center.to_owned(),
            stream: stream(center),
            window: events.duplicate_window.min(events.retention),
            waiting: Semaphore::new(WAITING),
            waiting_bytes: Semaphore::new(WAITING_BYTES),
        }
    }

    /// Which log it is: another one when the stream was made anew.
    pub(super) fn identity(&self, info: &Info) -> u64 {
        let created = info.created.duration_since(UNIX_EPOCH).unwrap_or_default();
        let hash = Sha256::new().chain_update(&self.stream).chain_update(created.as_nanos().to_le_bytes()).finalize();
        hash.iter().take(8).fold(0, |identity, byte| identity << 8 | u64::from(*byte))
    }

    /// A place among those that wait for an acknowledgement.
    fn place(&self, bytes: usize) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let place = self.waiting.try_acquire();
        let room = self.waiting_bytes.try_acquire_many(u32::try_from(bytes).unwrap_or(u32::MAX));
        place.and_then(|place| room.map(|room| (place, room))).map_err(|_| {
            Error::new(
                ErrorReason::CenterOverloaded,
                "too many events of this center wait for storage; this event was not stored",
            )
            .retry_after(ASK_AGAIN)
            .quota("events of the center that wait for storage")
        })
    }

    /// Takes its time: whoever calls says how much there is.
    async fn append(&self, link: &Link, body: Bytes, fingerprint: Fingerprint) -> Result<Appended, Failure> {
        let window = fingerprint.window(self.window);
        if window.is_zero() {
            link.publish(self.subject("plain"), HeaderMap::new(), body).await?;
            return Ok(Appended::Fresh);
        }
        let key = hex(&fingerprint.key);
        if fingerprint.identified {
            self.append_identified(link, body, &key).await
        } else {
            self.append_short(link, body, &key, window).await
        }
    }

    async fn append_identified(&self, link: &Link, body: Bytes, key: &str) -> Result<Appended, Failure> {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_MESSAGE_ID, key);
            match link.publish(self.subject("identified"), headers, body.clone()).await {
                Ok(ack) if ack.duplicate => return Ok(Appended::Duplicate),
                Ok(_) => return Ok(Appended::Fresh),
                // Somebody else is writing it right now.
                Err(Failure::Refused(ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT)) => {}
                Err(failure) => return Err(failure),
            }
            sleep(pause).await;
            pause = LAST_PAUSE.min(2 * pause);
        }
    }

    /// Most bodies are new: that is tried first.
    async fn append_short(&self, link: &Link, body: Bytes, key: &str, window: Duration) -> Result<Appended, Failure> {
        let subject = self.subject(&format!("short.{key}"));
        let (mut newest, mut pause) = (0_u64, FIRST_PAUSE);
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(newest));
            match link.publish(subject.clone(), headers, body.clone()).await {
                Ok(_) => return Ok(Appended::Fresh),
                Err(failure) if is_conflict(failure) => {}
                Err(failure) => return Err(failure),
            }
            if let Some(equal) = link.last(&self.stream, &subject).await? {
                let now = link.info(&self.stream).await?.now;
                if distance(now, equal.time.into()) < window {
                    return Ok(Appended::Duplicate);
                }
                newest = equal.sequence;
            } else {
                // It went with its age, or is on its way.
                newest = 0;
            }
            sleep(pause).await;
            pause = LAST_PAUSE.min(2 * pause);
        }
    }

    fn subject(&self, kind: &str) -> String {
        format!("{SUBJECTS}.{}.{kind}", self.center)
    }
}

/// The name of a center's stream.
pub(super) fn stream(center: &str) -> String {
    format!("SWITCHBOARD_EVENTS_{center}")
}

/// How far two times are apart. A server's clock may be set back.
fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}
