//! The event logs: one stream per center.
//!
//! JetStream deduplicates identified bodies by `Nats-Msg-Id` within the stream's duplicate window. The window of the
//! other bodies is shorter, and a stream has only one: such a body has its own subject, made of its hash, and is a
//! duplicate if the newest message of that subject is within the window. JetStream stores it only if that message is
//! still the newest.

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
    connection::{Connection, Failure, Info, REQUEST_TIMEOUT},
    hex,
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

/// Most events of a center that wait for an acknowledgement, and most bytes of their bodies.
const MAX_IN_FLIGHT: usize = 1024;
const MAX_IN_FLIGHT_BYTES: usize = 16 << 20;
/// The retry delay of an event beyond these limits.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Backoff between attempts while an equal event is being replicated.
const MIN_BACKOFF: Duration = Duration::from_millis(5);
const MAX_BACKOFF: Duration = Duration::from_millis(100);

/// A center's stream.
#[derive(Debug)]
pub(super) struct Log {
    center: String,
    pub(super) stream: String,
    window: Duration,
    in_flight: Semaphore,
    in_flight_bytes: Semaphore,
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
        let _permits = log.acquire_permits(body.len())?;
        match timeout(REQUEST_TIMEOUT, log.append(&self.0.connection, body, fingerprint)).await {
            Ok(Ok(appended)) => Ok(appended),
            Ok(Err(Failure::TooLarge)) => {
                Err(Error::new(ErrorReason::RequestTooLarge, "the event exceeds what the gateway's storage accepts"))
            }
            Ok(Err(failure)) => Err(failure.into()),
            Err(_) => Err(Failure::Timeout.into()),
        }
    }

    async fn extent(&self, center: &str) -> Result<Extent> {
        let log = self.log(center)?;
        let info = self.0.connection.info(&log.stream).await?;
        // In an empty stream `first` is after the last message, or 0 if it never had one.
        let oldest = info.first.saturating_sub(1).min(info.last);
        Ok(Extent { log: log.identity(&info), oldest, newest: info.last })
    }

    async fn seek(&self, center: &str, time: SystemTime) -> Result<u64> {
        let stream = &self.log(center)?.stream;
        // Read first, so that events appended from now on come after it.
        let newest = self.0.connection.info(stream).await?.last;
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if i64::try_from(since.as_nanos()).is_err() {
            return Ok(newest);
        }
        let first = self.0.connection.since(stream, UNIX_EPOCH + since).await?;
        let first = first.filter(|message| SystemTime::from(message.time) >= time);
        Ok(first.map_or(newest, |message| message.sequence.saturating_sub(1)))
    }

    async fn read(&self, center: &str, after: u64) -> Result<Box<dyn Reader>> {
        let log = self.log(center)?;
        let identity = log.identity(&self.0.connection.info(&log.stream).await?);
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
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            in_flight_bytes: Semaphore::new(MAX_IN_FLIGHT_BYTES),
        }
    }

    /// Identifies the log; it changes when the stream is recreated.
    pub(super) fn identity(&self, info: &Info) -> u64 {
        let created = info.created.duration_since(UNIX_EPOCH).unwrap_or_default();
        let hash = Sha256::new().chain_update(&self.stream).chain_update(created.as_nanos().to_le_bytes()).finalize();
        hash.iter().take(8).fold(0, |identity, byte| identity << 8 | u64::from(*byte))
    }

    /// Acquires the permits of one event that waits for an acknowledgement.
    fn acquire_permits(&self, bytes: usize) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let event = self.in_flight.try_acquire();
        let bytes = self.in_flight_bytes.try_acquire_many(u32::try_from(bytes).unwrap_or(u32::MAX));
        event.and_then(|event| bytes.map(|bytes| (event, bytes))).map_err(|_| {
            Error::new(
                ErrorReason::CenterOverloaded,
                "too many events of this center wait for storage; this event was not stored",
            )
            .retry_after(RETRY_DELAY)
            .quota("events of the center that wait for storage")
        })
    }

    /// Retries without a limit: the caller sets the timeout.
    async fn append(
        &self,
        connection: &Connection,
        body: Bytes,
        fingerprint: Fingerprint,
    ) -> Result<Appended, Failure> {
        let window = fingerprint.window(self.window);
        if window.is_zero() {
            connection.publish(self.subject("plain"), HeaderMap::new(), body).await?;
            return Ok(Appended::Stored);
        }
        let key = hex(&fingerprint.key);
        if fingerprint.identified {
            self.append_identified(connection, body, &key).await
        } else {
            self.append_short(connection, body, &key, window).await
        }
    }

    async fn append_identified(&self, connection: &Connection, body: Bytes, key: &str) -> Result<Appended, Failure> {
        let mut backoff = MIN_BACKOFF;
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_MESSAGE_ID, key);
            match connection.publish(self.subject("identified"), headers, body.clone()).await {
                Ok(ack) if ack.duplicate => return Ok(Appended::Duplicate),
                Ok(_) => return Ok(Appended::Stored),
                // An equal event is being written.
                Err(Failure::Rejected(ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT)) => {}
                Err(failure) => return Err(failure),
            }
            sleep(backoff).await;
            backoff = MAX_BACKOFF.min(2 * backoff);
        }
    }

    /// The first attempt expects a new body, because most are.
    async fn append_short(
        &self,
        connection: &Connection,
        body: Bytes,
        key: &str,
        window: Duration,
    ) -> Result<Appended, Failure> {
        let subject = self.subject(&format!("short.{key}"));
        let (mut newest, mut backoff) = (0_u64, MIN_BACKOFF);
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(newest));
            match connection.publish(subject.clone(), headers, body.clone()).await {
                Ok(_) => return Ok(Appended::Stored),
                Err(failure) if is_conflict(failure) => {}
                Err(failure) => return Err(failure),
            }
            if let Some(equal) = connection.last(&self.stream, &subject).await? {
                let now = connection.info(&self.stream).await?.now;
                if distance(now, equal.time.into()) < window {
                    return Ok(Appended::Duplicate);
                }
                newest = equal.sequence;
            } else {
                // The equal event expired, or is being replicated.
                newest = 0;
            }
            sleep(backoff).await;
            backoff = MAX_BACKOFF.min(2 * backoff);
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

/// The distance of two times. A server's clock may be set back.
fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}
