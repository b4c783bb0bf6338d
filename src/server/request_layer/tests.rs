use std::convert::Infallible;

use tonic_types::StatusExt as _;

use super::*;
use crate::config::tests::{ACME, parse};

/// A service that panics, and whose stream never starts.
#[derive(Clone)]
struct PanickingService;

impl Service<Request<Body>> for PanickingService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sent = request.uri().path().ends_with("StartCallback");
        if request.uri().path().ends_with("WatchEvents") {
            return Box::pin(std::future::pending());
        }
        let cx = request.extensions().get::<Context>().cloned();
        Box::pin(async move {
            if sent && let Some(cx) = cx {
                cx.mark_sent();
            }
            panic!("somebody's phone number")
        })
    }
}

fn layer(metrics: &Metrics) -> RequestLayer {
    let config = parse(ACME).unwrap();
    RequestLayer::new(metrics, &config, Draining::default(), TaskTracker::new())
}

fn request(method: &str) -> Request<Body> {
    let uri = format!("/{SERVICE}/{method}");
    Request::post(uri).header(CONTENT_TYPE, "application/grpc").body(Body::empty()).unwrap()
}

async fn call(method: &str) -> (Code, String, String) {
    let mut service = layer(&Metrics::new().unwrap()).layer(PanickingService);
    let response = service.call(request(method)).await.unwrap();
    let status = response.extensions().get::<Status>().unwrap();
    (status.code(), status.get_details_error_info().unwrap().reason, status.message().to_owned())
}

#[tokio::test]
async fn a_panic_is_a_status_that_says_whether_a_request_may_have_been_sent() {
    let (code, reason, message) = call("GetAgent").await;
    assert_eq!((code, reason.as_str()), (Code::Internal, "GATEWAY_INTERNAL"));
    assert!(!message.contains("phone number"));
    let (code, reason, _) = call("StartCallback").await;
    assert_eq!((code, reason.as_str()), (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_must_start_before_the_deadline() {
    let start = Instant::now();
    let (code, reason, _) = call("WatchEvents").await;
    assert_eq!((code, reason.as_str()), (Code::DeadlineExceeded, "DEADLINE_BEFORE_SEND"));
    let elapsed = start.elapsed();
    assert!((9..=10).contains(&elapsed.as_secs()), "{elapsed:?}");
}

/// A service that does what its test says, once it is ready.
#[derive(Clone)]
struct ScriptedService<F> {
    is_ready: bool,
    respond: F,
}

impl<F, A> Service<Request<Body>> for ScriptedService<F>
where
    F: FnMut(Context) -> A,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        if self.is_ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = (self.respond)(request.extensions().get::<Context>().unwrap().clone());
        Box::pin(async move { Ok(response.await) })
    }
}

/// The response to a call of a service that does this.
async fn response_of<A>(metrics: &Metrics, method: &str, respond: impl FnMut(Context) -> A) -> Response<Body>
where
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let mut service = layer(metrics).layer(ScriptedService { is_ready: true, respond });
    service.call(request(method)).await.unwrap()
}

#[tokio::test]
async fn a_service_that_is_not_ready_is_waited_for() {
    for is_ready in [true, false] {
        let respond = |_: Context| std::future::ready(Response::new(Body::empty()));
        let mut service = layer(&Metrics::new().unwrap()).layer(ScriptedService { is_ready, respond });
        let ready = std::future::poll_fn(|cx| Poll::Ready(service.poll_ready(cx).is_ready())).await;
        assert_eq!(ready, is_ready);
    }
}

#[tokio::test]
async fn metadata_has_16_kib_and_not_a_byte_more() {
    for (beyond, reason) in [(0, None), (1, Some("REQUEST_TOO_LARGE"))] {
        let respond = |_: Context| std::future::ready(Response::new(Body::empty()));
        let mut service = layer(&Metrics::new().unwrap()).layer(ScriptedService { is_ready: true, respond });
        let mut request = request("GetAgent");
        // A field occupies its name, its value and 32 bytes.
        let room = 16 * 1024 - metadata_size(request.headers()) - "x-room".len() - 32;
        request.headers_mut().insert("x-room", "r".repeat(room + beyond).parse().unwrap());
        let response = service.call(request).await.unwrap();
        let status = response.extensions().get::<Status>();
        assert_eq!(status.map(|status| status.get_details_error_info().unwrap().reason).as_deref(), reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_at_the_deadline_is_returned() {
    let respond = |cx: Context| async move {
        tokio::time::sleep_until(cx.deadline()).await;
        Response::new(Body::empty())
    };
    let response = response_of(&Metrics::new().unwrap(), "GetAgent", respond).await;
    assert!(response.extensions().get::<Status>().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_says_at_its_deadline_what_may_have_been_done() {
    for (sends, reason) in [(true, "VENDOR_OUTCOME_UNKNOWN"), (false, "DEADLINE_BEFORE_SEND")] {
        let respond = |cx: Context| async move {
            if sends {
                cx.mark_sent();
            }
            std::future::pending().await
        };
        let response = response_of(&Metrics::new().unwrap(), "StartCallback", respond).await;
        let status = response.extensions().get::<Status>().unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(status.get_details_error_info().unwrap().reason, reason);
    }
}

#[tokio::test]
async fn a_stream_that_does_not_start_is_counted_with_its_status() {
    let metrics = Metrics::new().unwrap();
    let respond = |cx: Context| async move { Error::deadline_before_send().into_status(&cx).into_http() };
    // A receiver of the head may never poll the body.
    drop(response_of(&metrics, "WatchEvents", respond).await);
    let text = metrics.text().unwrap();
    let line = format!(
        "grpc_server_handled_total{{grpc_code=\"DEADLINE_EXCEEDED\",grpc_method=\"WatchEvents\",\
         grpc_service=\"{SERVICE}\",grpc_type=\"server_stream\"}} 1"
    );
    assert!(text.contains(&line), "{text}");
}

#[test]
fn each_status_of_tonic_means_something_of_ours() {
    let meaning = |method: &'static str, code: Code| {
        let cx = Context::new(method, String::new(), Instant::now());
        let error = error_of_tonic_status(&cx, &Status::new(code, "somebody's phone number"));
        assert!(!error.message().contains("phone number"));
        (error.reason(), error.message().to_owned())
    };
    for (code, reason) in [
        (Code::OutOfRange, ErrorReason::RequestTooLarge),
        (Code::ResourceExhausted, ErrorReason::RequestTooLarge),
        (Code::Internal, ErrorReason::FieldInvalid),
        (Code::InvalidArgument, ErrorReason::FieldInvalid),
        (Code::Unimplemented, ErrorReason::MethodUnsupported),
        (Code::Unknown, ErrorReason::GatewayInternal),
    ] {
        assert_eq!(meaning("GetAgent", code).0, reason, "{code:?}");
    }
    let (unknown, compressed) =
        (meaning(UNKNOWN_METHOD, Code::Unimplemented), meaning("GetAgent", Code::Unimplemented));
    assert_eq!(unknown.0, ErrorReason::MethodUnsupported);
    assert!(unknown.1.contains("reflection") && compressed.1.contains("compressed"), "{unknown:?} {compressed:?}");
}
