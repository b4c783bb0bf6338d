//! The endpoint of vendors' callbacks: `POST {callback_base_url}/callbacks/{center}/{secret}`.
//!
//! Vendors do not sign callbacks, so the path is the secret: a wrong path receives 404 and no reason. The ingress
//! responds 200 with the vendor's acknowledgement after the event log stored the body, and decodes nothing. It responds
//! 503 with `Retry-After` when the body cannot be stored now. It never logs paths.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

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
    error::{ErrorReason, Result},
    store::{
        event_log::{Appended, EventLog},
        fingerprint::Fingerprint,
    },
    telemetry::Metrics,
};

/// Largest body, in bytes.
const MAX_BODY_SIZE: usize = 1024 * 1024;
/// Largest sum of all bodies that wait for the event log, in bytes. Each center has an equal part of it, and room for
/// two bodies at least: slow posts to one center do not refuse those to another.
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
        Self { centers: centers.into_iter().map(center).collect(), log, addresses, metrics }
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
            Ok(center) => self.accept(id, center, request.into_body()).await,
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

    async fn accept(&self, id: &str, center: &Center, body: Body) -> (&'static str, Response<Body>) {
        let (body, _buffer) = match read(center, body).await {
            Ok(read) => read,
            Err(BodyError::TooLarge) => return ("refused", last(StatusCode::PAYLOAD_TOO_LARGE)),
            Err(BodyError::TooSlow) => return ("refused", last(StatusCode::REQUEST_TIMEOUT)),
            Err(BodyError::CutOff) => return ("refused", last(StatusCode::BAD_REQUEST)),
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

/// The last response of its connection: whoever posts to a wrong address holds none, and the rest of a body is not read.
fn last(status: StatusCode) -> Response<Body> {
    let mut response = empty(status);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending, time::SystemTime};

    use async_trait::async_trait;
    use futures_util::stream;
    use secrecy::SecretString;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{
        clock::Clock,
        config::Config,
        error::Error,
        store::{
            event_log::{Extent, Reader},
            kv::KeyValueStore,
        },
        vendor::{self, Parts},
    };

    const SECRET: &str = "console-secret";

    /// An event log that stores a body after this delay.
    #[derive(Debug)]
    struct SlowLog(Duration);

    #[async_trait]
    impl EventLog for SlowLog {
        async fn append(&self, _center: &str, _body: Bytes, _fingerprint: Fingerprint) -> Result<Appended> {
            sleep(self.0).await;
            Ok(Appended::Stored)
        }

        async fn extent(&self, _center: &str) -> Result<Extent> {
            Err(Error::internal("no test reads the log"))
        }

        async fn seek(&self, _center: &str, _time: SystemTime) -> Result<u64> {
            Err(Error::internal("no test reads the log"))
        }

        async fn read(&self, _center: &str, _after: u64) -> Result<Box<dyn Reader>> {
            Err(Error::internal("no test reads the log"))
        }
    }

    /// A key-value store that never responds.
    #[derive(Debug)]
    struct HungStore;

    #[async_trait]
    impl KeyValueStore for HungStore {
        async fn list(&self, _prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
            pending().await
        }

        async fn get(&self, _key: &str) -> Result<Option<Vec<u8>>> {
            pending().await
        }

        async fn create(&self, _key: &str, _value: Vec<u8>) -> Result<Vec<u8>> {
            pending().await
        }

        async fn put(&self, _key: &str, _value: Vec<u8>) -> Result<()> {
            pending().await
        }

        async fn remove(&self, _key: &str) -> Result<()> {
            pending().await
        }
    }

    /// An ingress of one center with a configured callback secret. Its address store never responds.
    fn ingress(log_delay: Duration) -> Ingress {
        ingress_of(&["beta"], log_delay)
    }

    fn ingress_of(centers: &[&str], log_delay: Duration) -> Ingress {
        let center = |id: &&str| {
            format!(
                "[centers.{id}]\nvendor = 'huawei'\nbase_url = 'https://beta.example.com'\napp_key = 'key'\n\
                 app_secret = 'secret'\ncallback_secret = '{SECRET}'\n"
            )
        };
        let text: String = centers.iter().map(center).collect();
        let config = Config::parse(&text, "test", &|_| None).unwrap();
        let (clock, metrics) = (Clock::system(), Metrics::new().unwrap());
        let state: Arc<dyn KeyValueStore> = Arc::new(HungStore);
        let addresses = Addresses::new(&config.events, state.clone(), clock.clone());
        let parts = Parts {
            connections: crate::http::Connections::over(Arc::new(NoTransport)),
            tokens: crate::token::Tokens::new(clock.clone(), metrics.clone()),
            metrics: metrics.clone(),
            clock,
            kv: state,
            addresses: addresses.clone(),
        };
        let adapters = centers.iter().map(|&id| {
            let adapter = vendor::build(id, &config.centers[id], &parts).unwrap();
            assert_eq!(adapter.callback_secret().map(SecretString::expose_secret), Some(SECRET));
            (id.to_owned(), adapter)
        });
        Ingress::new(adapters, Arc::new(SlowLog(log_delay)), addresses, metrics)
    }

    /// A transport that no test uses.
    #[derive(Debug)]
    struct NoTransport;

    #[async_trait]
    impl crate::http::Transport for NoTransport {
        async fn send(
            &self,
            _request: crate::http::HttpRequest,
            _largest: usize,
        ) -> Result<crate::http::HttpResponse, crate::http::Failure> {
            unreachable!("nothing is sent")
        }
    }

    fn callback(body: Body) -> Request<Body> {
        Request::post(format!("/callbacks/beta/{SECRET}")).body(body).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_times_out() {
        let ingress = ingress(Duration::ZERO);
        let slow_body = stream::unfold((), async |()| {
            sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
        });
        let start = Instant::now();
        let response = ingress.handle(callback(Body::from_stream(slow_body))).await;
        assert_eq!((response.status(), start.elapsed()), (StatusCode::REQUEST_TIMEOUT, BODY_READ_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_event_log_is_503_after_the_store_timeout() {
        let ingress = ingress(Duration::from_secs(600));
        let start = Instant::now();
        let response = ingress.handle(callback(Body::from("{}"))).await;
        assert_eq!((response.status(), start.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, STORE_TIMEOUT));
        assert_eq!(response.headers()[header::RETRY_AFTER], RETRY_AFTER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_address_store_is_503_after_the_store_timeout() {
        let ingress = ingress(Duration::ZERO);
        let start = Instant::now();
        let secret = format!("{}.{}", "A".repeat(22), "A".repeat(43));
        let request = Request::post(format!("/callbacks/beta/{secret}")).body(Body::from("{}")).unwrap();
        let response = ingress.handle(request).await;
        assert_eq!((response.status(), start.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, STORE_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn buffered_bodies_are_bounded_in_bytes() {
        let ingress = Arc::new(ingress(Duration::from_secs(1)));
        let post = |_| {
            let ingress = ingress.clone();
            async move { ingress.handle(callback(Body::from(vec![b'x'; MAX_BODY_SIZE]))).await.status() }
        };
        let statuses = futures_util::future::join_all((0..MAX_BUFFERED_BYTES / MAX_BODY_SIZE + 6).map(post)).await;
        let count = |expected| statuses.iter().filter(|status| **status == expected).count();
        assert_eq!(
            (count(StatusCode::OK), count(StatusCode::SERVICE_UNAVAILABLE)),
            (MAX_BUFFERED_BYTES / MAX_BODY_SIZE, 6)
        );
        assert_eq!(post(0).await, StatusCode::OK, "the buffer is released");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_posts_to_one_center_leave_room_for_another() {
        let ingress = Arc::new(ingress_of(&["beta", "gamma"], Duration::ZERO));
        let post = |center: &str, body| {
            let (ingress, uri) = (ingress.clone(), format!("/callbacks/{center}/{SECRET}"));
            async move { ingress.handle(Request::post(uri).body(body).unwrap()).await.status() }
        };
        let unfinished = || {
            let first = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; MAX_BODY_SIZE - 1]))]);
            Body::from_stream(first.chain(stream::pending()))
        };
        let slow =
            futures_util::future::join_all((0..MAX_BUFFERED_BYTES / MAX_BODY_SIZE).map(|_| post("beta", unfinished())));
        let other = async {
            sleep(BODY_READ_TIMEOUT / 2).await;
            (
                post("beta", Body::from(vec![b'y'; 4096])).await,
                post("gamma", Body::from(vec![b'y'; MAX_BODY_SIZE])).await,
            )
        };
        let (slow, other) = tokio::join!(slow, other);
        assert!(slow.contains(&StatusCode::REQUEST_TIMEOUT) && slow.contains(&StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(other, (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK));
    }
}
