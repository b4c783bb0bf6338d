//! Where vendors post: `POST {callback_base_url}/callbacks/{center}/{secret}`.
//!
//! The vendor signs nothing, so the path is the secret: whoever has it wrong learns nothing but 404. A post is answered 200,
//! in the form its vendor expects, once it is on disk, and only looked into after that. What cannot be kept just now is
//! answered 503 with `Retry-After`. Paths are never logged.

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
const LARGEST: usize = 1024 * 1024;
/// Bytes of bodies that are held at once, on their way to the disk.
const HELD: usize = 64 * LARGEST;
/// Longest that a body may take to come in, and the disk to take it.
const SLOWEST_BODY: Duration = Duration::from_secs(10);
const SLOWEST_DISK: Duration = Duration::from_secs(5);
/// When a vendor may try again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Takes what vendors post.
pub struct Ingress {
    centers: BTreeMap<String, Center>,
    log: Arc<dyn EventLog>,
    addresses: Addresses,
    metrics: Metrics,
    room: Semaphore,
}

struct Center {
    adapter: Arc<dyn Adapter>,
    /// The secret of the vendor's console, hashed, so that comparing takes the same time for all.
    secret: Option<(hmac::Key, hmac::Tag)>,
}

/// Why a body was not taken.
enum Refused {
    TooLarge,
    TooSlow,
    CutOff,
    NoRoom,
}

// === impl Ingress ===

impl Ingress {
    /// Takes posts for these centers.
    pub fn new(
        centers: impl Iterator<Item = (String, Arc<dyn Adapter>)>,
        log: Arc<dyn EventLog>,
        addresses: Addresses,
        metrics: Metrics,
    ) -> Self {
        let center = |(id, adapter): (String, Arc<dyn Adapter>)| {
            let secret = adapter.callback_secret().map(|secret| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, id.as_bytes());
                let tag = hmac::sign(&key, secret.expose_secret().as_bytes());
                (key, tag)
            });
            (id, Center { adapter, secret })
        };
        Self { centers: centers.map(center).collect(), log, addresses, metrics, room: Semaphore::new(HELD) }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let Some((id, center)) = self.center(request.uri().path()).await else {
            return plain(StatusCode::NOT_FOUND);
        };
        let (outcome, response) = match center {
            Err(()) => ("failed", busy()),
            Ok(_) if request.method() != Method::POST => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
                ("refused", response)
            }
            Ok(center) => self.take(id, center, request.into_body()).await,
        };
        self.metrics.event_posted(id, outcome);
        response
    }

    /// The center of a path, if its secret is right. An error when that cannot be told just now.
    async fn center(&self, path: &str) -> Option<(&str, Result<&Center, ()>)> {
        // A proxy in front of it may or may not leave the path of the base address in front.
        let (_, place) = path.rsplit_once("/callbacks/")?;
        let (id, secret) = place.split_once('/')?;
        let (id, center) = self.centers.get_key_value(id)?;
        let is_own =
            center.secret.as_ref().is_some_and(|(key, tag)| hmac::verify(key, secret.as_bytes(), tag.as_ref()).is_ok());
        if is_own {
            return Some((id, Ok(center)));
        }
        match timeout(SLOWEST_DISK, self.addresses.verify(id, secret)).await {
            Ok(Ok(true)) => Some((id, Ok(center))),
            Ok(Ok(false)) => None,
            Ok(Err(_)) | Err(_) => Some((id, Err(()))),
        }
    }

    async fn take(&self, id: &str, center: &Center, body: Body) -> (&'static str, Response<Body>) {
        let (body, _room) = match self.read(body).await {
            Ok(read) => read,
            Err(Refused::TooLarge) => return ("refused", plain(StatusCode::PAYLOAD_TOO_LARGE)),
            Err(Refused::TooSlow) => return ("refused", plain(StatusCode::REQUEST_TIMEOUT)),
            Err(Refused::CutOff) => return ("refused", plain(StatusCode::BAD_REQUEST)),
            Err(Refused::NoRoom) => return ("overloaded", busy()),
        };
        let fingerprint = Fingerprint::of(&body);
        match timeout(SLOWEST_DISK, self.log.append(id, body, fingerprint)).await {
            Ok(Ok(Appended::Fresh)) => ("kept", acknowledged(center)),
            Ok(Ok(Appended::Duplicate)) => ("duplicate", acknowledged(center)),
            Ok(Err(error)) => match error.reason() {
                ErrorReason::CenterOverloaded => ("overloaded", busy()),
                // A store of its own may take less.
                ErrorReason::RequestTooLarge => ("refused", plain(StatusCode::PAYLOAD_TOO_LARGE)),
                _ => ("failed", busy()),
            },
            // It may be kept yet; a repeat of it is then taken for what it is.
            Err(_) => ("overloaded", busy()),
        }
    }

    /// The whole body, and the room it takes.
    async fn read(&self, body: Body) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refused> {
        let mut chunks = body.into_data_stream();
        let mut room: Option<SemaphorePermit<'_>> = None;
        let mut whole = BytesMut::new();
        let read = async {
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|_| Refused::CutOff)?;
                if whole.len() + chunk.len() > LARGEST {
                    return Err(Refused::TooLarge);
                }
                let more = u32::try_from(chunk.len()).map_err(|_| Refused::TooLarge)?;
                let more = self.room.try_acquire_many(more).map_err(|_| Refused::NoRoom)?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(())
        };
        timeout(SLOWEST_BODY, read).await.map_err(|_| Refused::TooSlow)??;
        Ok((whole.freeze(), room))
    }
}

impl fmt::Debug for Ingress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress").field("centers", &self.centers.len()).finish_non_exhaustive()
    }
}

fn acknowledged(center: &Center) -> Response<Body> {
    let mut response = Response::new(Body::from(center.adapter.acknowledgement()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn busy() -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

fn plain(status: StatusCode) -> Response<Body> {
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

    /// A disk that takes this long.
    #[derive(Debug)]
    struct Disk(Duration);

    #[async_trait]
    impl EventLog for Disk {
        async fn append(&self, _center: &str, _body: Bytes, _fingerprint: Fingerprint) -> Result<Appended> {
            sleep(self.0).await;
            Ok(Appended::Fresh)
        }

        async fn extent(&self, _center: &str) -> Result<Extent> {
            Err(Error::internal("nobody watches"))
        }

        async fn seek(&self, _center: &str, _time: SystemTime) -> Result<u64> {
            Err(Error::internal("nobody watches"))
        }

        async fn read(&self, _center: &str, _after: u64) -> Result<Box<dyn Reader>> {
            Err(Error::internal("nobody watches"))
        }
    }

    /// A store of facts that never answers.
    #[derive(Debug)]
    struct Hung;

    #[async_trait]
    impl KeyValueStore for Hung {
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

    /// The ingress of one center that posts to a configured secret. Nothing can be learned of other addresses.
    fn ingress(disk: Duration) -> Ingress {
        let text = format!(
            "[centers.beta]\nvendor = 'huawei'\nbase_url = 'https://beta.example.com'\napp_key = 'key'\n\
             app_secret = 'secret'\ncallback_secret = '{SECRET}'"
        );
        let config = Config::parse(&text, "test", &|_| None).unwrap();
        let (clock, metrics) = (Clock::system(), Metrics::new().unwrap());
        let state: Arc<dyn KeyValueStore> = Arc::new(Hung);
        let addresses = Addresses::new(&config.events, state.clone(), clock.clone());
        let parts = Parts {
            connections: crate::http::Connections::over(Arc::new(Nowhere)),
            tokens: crate::token::Tokens::new(clock.clone(), metrics.clone()),
            metrics: metrics.clone(),
            clock,
            kv: state,
            addresses: addresses.clone(),
        };
        let adapter = vendor::build("beta", &config.centers["beta"], &parts).unwrap();
        assert_eq!(adapter.callback_secret().map(SecretString::expose_secret), Some(SECRET));
        Ingress::new(std::iter::once(("beta".to_owned(), adapter)), Arc::new(Disk(disk)), addresses, metrics)
    }

    /// Nothing is sent here.
    #[derive(Debug)]
    struct Nowhere;

    #[async_trait]
    impl crate::http::Transport for Nowhere {
        async fn send(
            &self,
            _request: crate::http::HttpRequest,
            _largest: usize,
        ) -> Result<crate::http::HttpResponse, crate::http::Failure> {
            unreachable!("nothing is sent")
        }
    }

    fn posted(body: Body) -> Request<Body> {
        Request::post(format!("/callbacks/beta/{SECRET}")).body(body).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_is_given_up() {
        let ingress = ingress(Duration::ZERO);
        let drips = stream::unfold((), async |()| {
            sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
        });
        let begun = Instant::now();
        let answer = ingress.answer(posted(Body::from_stream(drips))).await;
        assert_eq!((answer.status(), begun.elapsed()), (StatusCode::REQUEST_TIMEOUT, SLOWEST_BODY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_keep_up_is_an_answer_in_time_and_not_200() {
        let ingress = ingress(Duration::from_secs(600));
        let begun = Instant::now();
        let answer = ingress.answer(posted(Body::from("{}"))).await;
        assert_eq!((answer.status(), begun.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, SLOWEST_DISK));
        assert_eq!(answer.headers()[header::RETRY_AFTER], RETRY_AFTER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_is_an_answer_in_time_also_for_addresses() {
        let ingress = ingress(Duration::ZERO);
        let begun = Instant::now();
        let secret = format!("{}.{}", "A".repeat(22), "A".repeat(43));
        let request = Request::post(format!("/callbacks/beta/{secret}")).body(Body::from("{}")).unwrap();
        let answer = ingress.answer(request).await;
        assert_eq!((answer.status(), begun.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, SLOWEST_DISK));
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_on_their_way_to_the_disk_are_bounded_in_bytes() {
        let ingress = Arc::new(ingress(Duration::from_secs(1)));
        let post = |_| {
            let ingress = ingress.clone();
            async move { ingress.answer(posted(Body::from(vec![b'x'; LARGEST]))).await.status() }
        };
        let statuses = futures_util::future::join_all((0..HELD / LARGEST + 6).map(post)).await;
        let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert_eq!((count(StatusCode::OK), count(StatusCode::SERVICE_UNAVAILABLE)), (HELD / LARGEST, 6));
        assert_eq!(post(0).await, StatusCode::OK, "their room is free again");
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_limit_and_not_a_chunk_further() {
        const CHUNK: usize = 64 * 1024;
        for (count, status, read) in
            [(16, StatusCode::OK, 16), (17, StatusCode::PAYLOAD_TOO_LARGE, 17), (99, StatusCode::PAYLOAD_TOO_LARGE, 17)]
        {
            let ingress = ingress(Duration::ZERO);
            let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let counted = asked.clone();
            let chunks = stream::iter(0..count).map(move |_| {
                counted.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; CHUNK]))
            });
            let answer = ingress.answer(posted(Body::from_stream(chunks))).await;
            assert_eq!((answer.status(), asked.load(std::sync::atomic::Ordering::Acquire)), (status, read));
            assert_eq!(ingress.room.available_permits(), HELD);
        }
        // A byte decides.
        let ingress = ingress(Duration::ZERO);
        for (bytes, status) in [(LARGEST, StatusCode::OK), (LARGEST + 1, StatusCode::PAYLOAD_TOO_LARGE)] {
            assert_eq!(ingress.answer(posted(Body::from(vec![b'x'; bytes]))).await.status(), status);
        }
    }

    #[tokio::test]
    async fn what_was_posted_is_counted_by_what_became_of_it() {
        let ingress = ingress(Duration::ZERO);
        ingress.answer(posted(Body::from("{}"))).await;
        ingress.answer(posted(Body::from(vec![b'x'; LARGEST + 1]))).await;
        let read = Request::get(format!("/callbacks/beta/{SECRET}")).body(Body::empty()).unwrap();
        let answer = ingress.answer(read).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[header::ALLOW], "POST");
        let metrics = ingress.metrics.text().unwrap();
        for (outcome, count) in [("kept", 1), ("refused", 2)] {
            let line = format!("switchboard_events_posted_total{{center=\"beta\",outcome=\"{outcome}\"}} {count}\n");
            assert!(metrics.contains(&line), "{metrics}");
        }
    }
}
