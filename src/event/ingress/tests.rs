//! Tests of the limits of callbacks, with stores that are slow or hang.

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

const SECRET: &str = "console-secret-4c2d";

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
        lists: crate::lists::Lists::new(clock.clone()),
        clock,
        kv: state,
        addresses: addresses.clone(),
    };
    let adapters = centers.iter().map(|&id| {
        let adapter = vendor::build(id, &config.centers[id], &parts).unwrap();
        assert_eq!(adapter.callback_secret().map(SecretString::expose_secret), Some(SECRET));
        (id.to_owned(), adapter)
    });
    Ingress::new(adapters, Arc::new(SlowLog(log_delay)), addresses, metrics, Draining::default())
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
        (post("beta", Body::from(vec![b'y'; 4096])).await, post("gamma", Body::from(vec![b'y'; MAX_BODY_SIZE])).await)
    };
    let (slow, other) = tokio::join!(slow, other);
    assert!(slow.contains(&StatusCode::REQUEST_TIMEOUT) && slow.contains(&StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(other, (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK));
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
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; CHUNK]))
        });
        let response = ingress.handle(callback(Body::from_stream(chunks))).await;
        assert_eq!((response.status(), asked.load(std::sync::atomic::Ordering::Acquire)), (status, read));
        assert_eq!(ingress.centers["beta"].buffer.available_permits(), MAX_BUFFERED_BYTES);
    }
    // The limit is exact.
    let ingress = ingress(Duration::ZERO);
    for (bytes, status) in [(MAX_BODY_SIZE, StatusCode::OK), (MAX_BODY_SIZE + 1, StatusCode::PAYLOAD_TOO_LARGE)] {
        assert_eq!(ingress.handle(callback(Body::from(vec![b'x'; bytes]))).await.status(), status);
    }
}

#[tokio::test]
async fn callbacks_are_counted_by_outcome() {
    let ingress = ingress(Duration::ZERO);
    ingress.handle(callback(Body::from("{}"))).await;
    ingress.handle(callback(Body::from(vec![b'x'; MAX_BODY_SIZE + 1]))).await;
    let read = Request::get(format!("/callbacks/beta/{SECRET}")).body(Body::empty()).unwrap();
    let response = ingress.handle(read).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "POST");
    let metrics = ingress.metrics.text().unwrap();
    for (outcome, count) in [("kept", 1), ("refused", 2)] {
        let line = format!("switchboard_events_posted_total{{center=\"beta\",outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

/// A store that refuses what is posted, for this reason.
#[derive(Debug)]
struct Refusing(ErrorReason);

#[async_trait]
impl EventLog for Refusing {
    async fn append(&self, _center: &str, _body: Bytes, _fingerprint: Fingerprint) -> Result<Appended> {
        Err(Error::new(self.0, "refused for the test"))
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

#[tokio::test]
async fn a_store_that_refuses_says_whether_to_come_again() {
    for (reason, status, outcome) in [
        (ErrorReason::CenterOverloaded, StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        (ErrorReason::RequestTooLarge, StatusCode::PAYLOAD_TOO_LARGE, "refused"),
        (ErrorReason::StorageUnavailable, StatusCode::SERVICE_UNAVAILABLE, "failed"),
    ] {
        let ingress = Ingress { log: Arc::new(Refusing(reason)), ..ingress(Duration::ZERO) };
        let response = ingress.handle(callback(Body::from("{}"))).await;
        let may_come_again = status == StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!((response.status(), response.headers().contains_key(header::RETRY_AFTER)), (status, may_come_again));
        assert!(ingress.metrics.text().unwrap().contains(&format!("outcome=\"{outcome}\"}} 1\n")), "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_many_centers_has_room_for_two_bodies() {
    let others: Vec<String> = (0..64).map(|number| format!("center-{number}")).collect();
    let centers: Vec<&str> = others.iter().map(String::as_str).chain(["beta"]).collect();
    let ingress = ingress_of(&centers, Duration::from_secs(1));
    let post = |_| async { ingress.handle(callback(Body::from(vec![b'x'; MAX_BODY_SIZE]))).await.status() };
    let statuses = futures_util::future::join_all((0..3).map(post)).await;
    assert_eq!(statuses, [StatusCode::OK, StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
}
