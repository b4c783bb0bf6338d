//! The tower layer of all gRPC methods.
//!
//! It builds the [`Context`], enforces the deadline, records metrics, and converts a panic to a status. It adds the
//! `ErrorInfo` that every status of this gateway has to the statuses of tonic (unknown method, message too large).

use std::{
    any::Any,
    borrow::Cow,
    collections::HashMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::SERVICE;
use crate::{
    config,
    context::Context,
    drain::Draining,
    error::{Error, ErrorReason, Violation, code_name},
    proto::METHODS,
    telemetry::{MethodMetrics, Metrics},
};

/// How long after its deadline a call may still respond.
const DEADLINE_GRACE: Duration = Duration::from_millis(1);
/// Method name of a path outside the contract.
const UNKNOWN_METHOD: &str = "unknown";

/// The layer that makes a [`RequestService`].
#[derive(Clone)]
pub(super) struct RequestLayer(Arc<Shared>);

/// A service behind the layer.
#[derive(Clone)]
pub(super) struct RequestService<S> {
    inner: S,
    shared: Arc<Shared>,
}

struct Shared {
    /// By path.
    methods: HashMap<String, Method>,
    unknown: Method,
    deadline: config::Deadline,
    draining: Draining,
}

/// Records a call when it is dropped, so that cancelled calls are counted, too.
struct CallMetrics {
    metrics: MethodMetrics,
    start: Instant,
    code: &'static str,
}

/// The body of a stream, which is recorded when the stream ends or the caller cancels it.
struct MeteredBody {
    items: Body,
    call_metrics: CallMetrics,
}

#[derive(Clone)]
struct Method {
    name: &'static str,
    /// Whether the method is server-streaming. Only the caller's own deadline ends a stream, and the stream enforces it
    /// itself.
    streams: bool,
    metrics: MethodMetrics,
}

// === impl RequestLayer ===

impl RequestLayer {
    /// A layer for the contract's methods.
    pub(super) fn new(metrics: &Metrics, deadline: config::Deadline, draining: Draining) -> Self {
        let method = |name: &'static str| {
            let streams = name == "WatchEvents";
            let kind = if streams { "server_stream" } else { "unary" };
            Method { name, streams, metrics: metrics.method(kind, SERVICE, name) }
        };
        let methods = METHODS.iter().map(|&name| (format!("/{SERVICE}/{name}"), method(name))).collect();
        Self(Arc::new(Shared { methods, unknown: method(UNKNOWN_METHOD), deadline, draining }))
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { inner, shared: self.0.clone() }
    }
}

// === impl RequestService ===

impl<S> Service<Request<Body>> for RequestService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if is_infrastructure(path) {
            return Box::pin(self.inner.call(request));
        }
        let method = self.shared.methods.get(path).unwrap_or(&self.shared.unknown).clone();
        let call_metrics = CallMetrics { metrics: method.metrics.clone(), start: Instant::now(), code: "CANCELLED" };
        let cx = Context::from_headers(method.name, request.headers(), &self.shared.deadline);
        method.metrics.started();

        let call = if self.shared.draining.is_draining() {
            Err(draining())
        } else if cx.is_expired() {
            // A call without time for a request and a response ends before it has an effect. The response must be ready
            // at once: tonic cancels the call at the caller's deadline.
            Err(Error::deadline_before_send())
        } else {
            request.extensions_mut().insert(cx.clone());
            Ok(self.inner.call(request))
        };
        Box::pin(async move {
            let mut call_metrics = call_metrics;
            let response = match call {
                Err(error) => Ok(error.into_status(&cx).into_http()),
                Ok(call) => within_deadline(&cx, call).await,
            };
            let response = response.map(|response| with_error_details(&cx, response))?;
            let status = response.extensions().get::<Status>();
            if status.is_none() && method.streams {
                return Ok(response.map(|items| Body::new(MeteredBody { items, call_metrics })));
            }
            call_metrics.code = status.map_or("OK", |status| code_name(status.code()));
            Ok(response)
        })
    }
}

// === impl CallMetrics ===

impl Drop for CallMetrics {
    fn drop(&mut self) {
        self.metrics.handled(self.code, self.start.elapsed());
    }
}

// === impl MeteredBody ===

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.items).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(status) = frame.trailers_ref().and_then(Status::from_header_map)
        {
            self.call_metrics.code = code_name(status.code());
        }
        Poll::Ready(frame)
    }
}

/// Whether a path is one of health or reflection. Their statuses have no error details of this gateway.
fn is_infrastructure(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.")
}

/// Enforces the deadline of the response's start. A stream may run on after it.
async fn within_deadline<E>(
    cx: &Context,
    call: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let call = AssertUnwindSafe(call).catch_unwind();
    match timeout_at(cx.deadline() + DEADLINE_GRACE, call).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic_payload)) => Ok(panicked(cx, &panic_payload).into_http()),
        // Calls to a vendor enforce the deadline themselves; here the request's body did not arrive in time.
        Err(_) if !cx.may_have_been_sent() => Ok(Error::deadline_before_send().into_status(cx).into_http()),
        Err(_) => Ok(Error::new(
            ErrorReason::VendorOutcomeUnknown,
            "the deadline passed after a request was sent; its outcome is unknown: check before you retry",
        )
        .past_deadline()
        .into_status(cx)
        .into_http()),
    }
}

fn draining() -> Error {
    Error::new(
        ErrorReason::GatewayDraining,
        "this gateway is shutting down; nothing was sent: retry at another gateway",
    )
    .retry_after(Duration::ZERO)
}

fn panicked(cx: &Context, _panic_payload: &Box<dyn Any + Send>) -> Status {
    tracing::error!(method = cx.method(), trace_id = cx.trace_id(), "call panicked");
    let error = if cx.may_have_been_sent() {
        Error::new(
            ErrorReason::VendorOutcomeUnknown,
            "the gateway failed after a request was sent; its outcome is unknown: check before you retry",
        )
    } else {
        Error::internal("the call panicked; nothing was sent")
    };
    error.into_status(cx)
}

/// Adds error details to a status of tonic.
fn with_error_details(cx: &Context, response: Response<Body>) -> Response<Body> {
    match status(&response) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
            error_of_tonic_status(cx, &status).into_status(cx).into_http()
        }
        _ => response,
    }
}

/// The status of a response without a message. The status of an unknown method is in the headers only.
fn status(response: &Response<Body>) -> Option<Cow<'_, Status>> {
    match response.extensions().get::<Status>() {
        Some(status) => Some(Cow::Borrowed(status)),
        None => Status::from_header_map(response.headers()).map(Cow::Owned),
    }
}

/// The error that replaces a status of tonic. The status's text may quote the request, so the error does not contain
/// it.
fn error_of_tonic_status(cx: &Context, status: &Status) -> Error {
    match status.code() {
        Code::Unimplemented if cx.method() == UNKNOWN_METHOD => Error::new(
            ErrorReason::MethodUnsupported,
            format!("no such method; reflection lists the methods of {SERVICE}"),
        ),
        Code::Unimplemented => Error::new(ErrorReason::MethodUnsupported, "compressed requests are not supported"),
        Code::OutOfRange | Code::ResourceExhausted => {
            Error::new(ErrorReason::RequestTooLarge, "the request exceeds listen.max_request_size; nothing was sent")
        }
        Code::Internal | Code::InvalidArgument => Error::invalid(vec![Violation::new(
            "request",
            "is not a message of this method's type; check that the client uses the same contract",
        )]),
        _ => Error::internal("the call ended before it reached the service"),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic_types::StatusExt as _;

    use super::*;

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

    async fn call(method: &str) -> (Code, String, String) {
        let limits = config::Deadline { default: Duration::from_secs(10), max: Duration::from_secs(60) };
        let mut service =
            RequestLayer::new(&Metrics::new().unwrap(), limits, Draining::default()).layer(PanickingService);
        let request = Request::post(format!("/{SERVICE}/{method}")).body(Body::empty()).unwrap();
        let response = service.call(request).await.unwrap();
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
        answer: F,
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
            let answer = (self.answer)(request.extensions().get::<Context>().unwrap().clone());
            Box::pin(async move { Ok(answer.await) })
        }
    }

    fn layer(metrics: &Metrics) -> RequestLayer {
        let limits = config::Deadline { default: Duration::from_secs(10), max: Duration::from_secs(60) };
        RequestLayer::new(metrics, limits, Draining::default())
    }

    /// The response to a call that this answers.
    async fn answered<A>(metrics: &Metrics, method: &str, answer: impl FnMut(Context) -> A) -> Response<Body>
    where
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let mut service = layer(metrics).layer(ScriptedService { is_ready: true, answer });
        service.call(Request::post(format!("/{SERVICE}/{method}")).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_service_that_is_not_ready_is_waited_for() {
        for is_ready in [true, false] {
            let answer = |_: Context| std::future::ready(Response::new(Body::empty()));
            let mut service = layer(&Metrics::new().unwrap()).layer(ScriptedService { is_ready, answer });
            let ready = std::future::poll_fn(|cx| Poll::Ready(service.poll_ready(cx).is_ready())).await;
            assert_eq!(ready, is_ready);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_the_last_moment_is_an_answer() {
        let answer = |cx: Context| async move {
            tokio::time::sleep_until(cx.deadline()).await;
            Response::new(Body::empty())
        };
        let response = answered(&Metrics::new().unwrap(), "GetAgent", answer).await;
        assert!(response.extensions().get::<Status>().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_end_says_at_its_deadline_what_may_have_been_done() {
        for (sends, reason) in [(true, "VENDOR_OUTCOME_UNKNOWN"), (false, "DEADLINE_BEFORE_SEND")] {
            let answer = |cx: Context| async move {
                if sends {
                    cx.mark_sent();
                }
                std::future::pending().await
            };
            let response = answered(&Metrics::new().unwrap(), "StartCallback", answer).await;
            let status = response.extensions().get::<Status>().unwrap();
            assert_eq!(status.code(), Code::DeadlineExceeded);
            assert_eq!(status.get_details_error_info().unwrap().reason, reason);
        }
    }

    #[tokio::test]
    async fn a_stream_that_does_not_start_is_counted_with_its_status() {
        let metrics = Metrics::new().unwrap();
        let answer = |cx: Context| async move { Error::deadline_before_send().into_status(&cx).into_http() };
        // A receiver of the head may never poll the body.
        drop(answered(&metrics, "WatchEvents", answer).await);
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
}
