//! The endpoint of vendors' callbacks: `POST {callback_base_url}/callbacks/{center}/{secret}`.
//!
//! Vendors do not sign callbacks, so the path is the secret: a wrong path receives 404 and no reason. The ingress
//! removes content codings and the charset of a body and reads nothing more. It responds 200 with the vendor's
//! acknowledgement after the event log stored the body, and 503 with `Retry-After` when the body cannot be stored now,
//! or does not arrive before a drain ends. It never logs paths.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Method, Request, Response, StatusCode, header},
};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use ring::hmac;
use secrecy::ExposeSecret as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::address::Addresses;
use crate::{
    adapter::Adapter,
    body::{self, Labels, Unreadable},
    drain::Draining,
    error::{ErrorReason, Result},
    store::{
        event_log::{Appended, EventLog},
        fingerprint::Fingerprint,
    },
    telemetry::Metrics,
};

/// Largest body, in bytes.
const MAX_BODY_SIZE: usize = 1024 * 1024;
/// Bytes of bodies that wait for the event log, of all centers. Each center has an equal part, and at least room for
/// two bodies, so that the sum is larger with more than 32 centers: slow posts to one center do not refuse those to
/// another.
const MAX_BUFFERED_BYTES: usize = 64 * MAX_BODY_SIZE;
const MIN_BUFFERED_BYTES: usize = 2 * MAX_BODY_SIZE;
/// Longest time to read a body, and to store it.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);
const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// When a vendor may retry, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Accepts vendors' callbacks.
pub struct Ingress {
    centers: BTreeMap<String, Center>,
    log: Arc<dyn EventLog>,
    addresses: Addresses,
    metrics: Metrics,
    draining: Draining,
}

struct Center {
    adapter: Arc<dyn Adapter>,
    /// MAC of the configured callback secret, so that comparing is constant-time.
    secret: Option<(hmac::Key, hmac::Tag)>,
    buffer: Semaphore,
}

/// Why a body was not read.
enum BodyError {
    TooLarge,
    TooSlow,
    CutOff,
    Drained,
    BufferFull,
}

// === impl Ingress ===

impl Ingress {
    /// An ingress for these centers.
    pub fn new(
        centers: impl Iterator<Item = (String, Arc<dyn Adapter>)>,
        log: Arc<dyn EventLog>,
        addresses: Addresses,
        metrics: Metrics,
        draining: Draining,
    ) -> Self {
        let centers: Vec<_> = centers.collect();
        let room = (MAX_BUFFERED_BYTES / centers.len().max(1)).max(MIN_BUFFERED_BYTES);
        let center = |(id, adapter): (String, Arc<dyn Adapter>)| {
            let secret = adapter.callback_secret().map(|secret| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, id.as_bytes());
                let tag = hmac::sign(&key, secret.expose_secret().as_bytes());
                (key, tag)
            });
            (id, Center { adapter, secret, buffer: Semaphore::new(room) })
        };
        Self { centers: centers.into_iter().map(center).collect(), log, addresses, metrics, draining }
    }

    /// Handles one request.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let Some((id, center)) = self.center(request.uri().path()).await else {
            return last(StatusCode::NOT_FOUND);
        };
        let (outcome, response) = match center {
            Err(()) => ("failed", service_unavailable()),
            Ok(_) if request.method() != Method::POST => {
                let mut response = last(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
                ("refused", response)
            }
            Ok(center) => {
                let labels = Labels::of(request.headers());
                self.accept(id, center, &labels, request.into_body()).await
            }
        };
        self.metrics.event_posted(id, outcome);
        response
    }

    /// The center of a path, if its secret is valid. The error means that the store cannot verify the secret now.
    async fn center(&self, path: &str) -> Option<(&str, Result<&Center, ()>)> {
        // A proxy may forward the path with or without the path of `callback_base_url`.
        let (_, route) = path.rsplit_once("/callbacks/")?;
        let (id, secret) = route.split_once('/')?;
        let (id, center) = self.centers.get_key_value(id)?;
        let is_configured =
            center.secret.as_ref().is_some_and(|(key, tag)| hmac::verify(key, secret.as_bytes(), tag.as_ref()).is_ok());
        if is_configured {
            return Some((id, Ok(center)));
        }
        match timeout(STORE_TIMEOUT, self.addresses.verify(id, secret)).await {
            Ok(Ok(true)) => Some((id, Ok(center))),
            Ok(Ok(false)) => None,
            Ok(Err(_)) | Err(_) => Some((id, Err(()))),
        }
    }

    async fn accept(&self, id: &str, center: &Center, labels: &Labels, body: Body) -> (&'static str, Response<Body>) {
        let read = tokio::select! {
            biased;
            read = read(center, body) => read,
            () = self.draining.receiving_ended() => Err(BodyError::Drained),
        };
        let read = match read {
            Ok((posted, buffer)) => decode(center, labels, posted).map(|(body, decoded)| (body, buffer, decoded)),
            Err(error) => Err(error),
        };
        let (body, _buffer, _decoded) = match read {
            Ok(read) => read,
            Err(BodyError::TooLarge) => return ("refused", last(StatusCode::PAYLOAD_TOO_LARGE)),
            Err(BodyError::TooSlow) => return ("refused", last(StatusCode::REQUEST_TIMEOUT)),
            Err(BodyError::CutOff) => return ("refused", last(StatusCode::BAD_REQUEST)),
            Err(BodyError::Drained) => return ("refused", last_of(service_unavailable())),
            Err(BodyError::BufferFull) => return ("overloaded", service_unavailable()),
        };
        let fingerprint = Fingerprint::of(&body);
        match timeout(STORE_TIMEOUT, self.log.append(id, body, fingerprint)).await {
            Ok(Ok(Appended::Stored)) => ("kept", acknowledged(center)),
            Ok(Ok(Appended::Duplicate)) => ("duplicate", acknowledged(center)),
            Ok(Err(error)) => match error.reason() {
                ErrorReason::CenterOverloaded => ("overloaded", service_unavailable()),
                // The event log may have a smaller limit.
                ErrorReason::RequestTooLarge => ("refused", empty(StatusCode::PAYLOAD_TOO_LARGE)),
                _ => ("failed", service_unavailable()),
            },
            // The log may still store the body; a retry is then a duplicate.
            Err(_) => ("overloaded", service_unavailable()),
        }
    }
}

impl fmt::Debug for Ingress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress").field("centers", &self.centers.len()).finish_non_exhaustive()
    }
}

/// The text of a posted body, with the buffer permit of a decoded one. Equal texts are one event however they are
/// encoded, so the fingerprint is that of the text. A body that cannot be decoded is an event, too: the log
/// stores it as posted, with its labels.
fn decode<'c>(
    center: &'c Center,
    labels: &Labels,
    posted: Bytes,
) -> Result<(Bytes, Option<SemaphorePermit<'c>>), BodyError> {
    let decoded = match body::decode(labels, &posted, MAX_BODY_SIZE) {
        Ok(Cow::Borrowed(text)) => return Ok((posted.slice_ref(text), None)),
        Ok(Cow::Owned(text)) => text.into(),
        Err(Unreadable::TooLarge) => return Err(BodyError::TooLarge),
        Err(_) => body::labelled(labels, &posted),
    };
    let size = u32::try_from(decoded.len()).map_err(|_| BodyError::TooLarge)?;
    let permit = center.buffer.try_acquire_many(size).map_err(|_| BodyError::BufferFull)?;
    Ok((decoded, Some(permit)))
}

/// Reads the body, with the buffer permit of its size.
async fn read(center: &Center, body: Body) -> Result<(Bytes, Option<SemaphorePermit<'_>>), BodyError> {
    let mut chunks = body.into_data_stream();
    let mut buffer: Option<SemaphorePermit<'_>> = None;
    let mut buffered = BytesMut::new();
    let read = async {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| BodyError::CutOff)?;
            if buffered.len() + chunk.len() > MAX_BODY_SIZE {
                return Err(BodyError::TooLarge);
            }
            let more = u32::try_from(chunk.len()).map_err(|_| BodyError::TooLarge)?;
            let more = center.buffer.try_acquire_many(more).map_err(|_| BodyError::BufferFull)?;
            match &mut buffer {
                Some(buffer) => buffer.merge(more),
                None => buffer = Some(more),
            }
            buffered.extend_from_slice(&chunk);
        }
        Ok(())
    };
    timeout(BODY_READ_TIMEOUT, read).await.map_err(|_| BodyError::TooSlow)??;
    Ok((buffered.freeze(), buffer))
}

fn acknowledged(center: &Center) -> Response<Body> {
    let mut response = Response::new(Body::from(center.adapter.acknowledgement()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn service_unavailable() -> Response<Body> {
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// A response that ends its connection: a peer at a wrong address does not keep a permit, and the rest of a body is not
/// read.
fn last(status: StatusCode) -> Response<Body> {
    last_of(empty(status))
}

fn last_of(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
