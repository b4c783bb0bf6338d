//! The edge of a gRPC call: everything that is the same for every method, once.
//!
//! It builds the [`Context`], holds the call to its deadline, counts it, turns a fault into a status instead of a broken
//! connection, and gives the statuses that tonic makes itself (unknown method, message too large) the one `ErrorInfo`
//! that every status of this gateway carries.

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
    error::{Error, ErrorReason, Violation},
    proto::METHODS,
    telemetry::{MethodMetrics, Metrics},
};

/// How long after its own deadline a call may still hand over its answer.
const GRACE: Duration = Duration::from_millis(1);
/// The method of a path that is none of ours.
const UNKNOWN: &str = "unknown";

/// Puts the edge around a service.
#[derive(Clone)]
pub struct RequestLayer(Arc<Shared>);

/// A service within the edge.
#[derive(Clone)]
pub struct Edge<S> {
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

/// Counts a call when it ends, however it ends: a caller who goes away drops it.
struct Counted {
    metrics: MethodMetrics,
    start: Instant,
    code: &'static str,
}

/// A stream, which is counted when it ends: with its status, or when the caller goes away.
struct Streamed {
    items: Body,
    counted: Counted,
}

#[derive(Clone)]
struct Method {
    name: &'static str,
    /// A stream has only the caller's own deadline, and tonic holds nothing to it.
    streams: bool,
    metrics: MethodMetrics,
}

// === impl RequestLayer ===

impl RequestLayer {
    /// An edge for the contract's methods.
    pub fn new(metrics: &Metrics, deadline: config::Deadline, draining: Draining) -> Self {
        let method = |name: &'static str| {
            let streams = name == "WatchEvents";
            let kind = if streams { "server_stream" } else { "unary" };
            Method { name, streams, metrics: metrics.method(kind, SERVICE, name) }
        };
        let methods = METHODS.iter().map(|&name| (format!("/{SERVICE}/{name}"), method(name))).collect();
        Self(Arc::new(Shared { methods, unknown: method(UNKNOWN), deadline, draining }))
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, shared: self.0.clone() }
    }
}

// === impl Edge ===

impl<S> Service<Request<Body>> for Edge<S>
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
        let counted = Counted { metrics: method.metrics.clone(), start: Instant::now(), code: "CANCELLED" };
        let cx = Context::from_headers(method.name, request.headers(), &self.shared.deadline);
        method.metrics.started();

        let call = if self.shared.draining.is_draining() {
            None
        } else {
            request.extensions_mut().insert(cx.clone());
            Some(self.inner.call(request))
        };
        Box::pin(async move {
            let mut counted = counted;
            let response = match call {
                None => Ok(draining(&cx).into_http()),
                Some(call) => within_deadline(&cx, call).await,
            };
            let response = response.map(|response| completed(&cx, response))?;
            let status = response.extensions().get::<Status>();
            if status.is_none() && method.streams {
                return Ok(response.map(|items| Body::new(Streamed { items, counted })));
            }
            counted.code = status.map_or("OK", |status| code_name(status.code()));
            Ok(response)
        })
    }
}

// === impl Counted ===

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.handled(self.code, self.start.elapsed());
    }
}

// === impl Streamed ===

impl http_body::Body for Streamed {
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
            self.counted.code = code_name(status.code());
        }
        Poll::Ready(frame)
    }
}

/// Health and reflection carry no details: their contracts are not ours.
fn is_infrastructure(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.") || path.starts_with("/grpc.reflection.")
}

/// A stream's answer is its beginning; how long it goes on is its own matter.
async fn within_deadline<E>(
    cx: &Context,
    call: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let call = AssertUnwindSafe(call).catch_unwind();
    match timeout_at(cx.deadline() + GRACE, call).await {
        Ok(Ok(response)) => response,
        Ok(Err(fault)) => Ok(faulty(cx, &fault).into_http()),
        // Whatever waits for a vendor answers in time by itself; this is for a request that never came whole.
        Err(_) if !cx.sent() => Ok(Error::too_late().into_status(cx).into_http()),
        Err(_) => Ok(Error::new(
            ErrorReason::VendorOutcomeUnknown,
            "the deadline passed after a request was sent; its outcome is unknown: check before you retry",
        )
        .past_deadline()
        .into_status(cx)
        .into_http()),
    }
}

fn draining(cx: &Context) -> Status {
    Error::new(
        ErrorReason::GatewayDraining,
        "this gateway is shutting down; nothing was sent: retry at another gateway",
    )
    .retry_after(Duration::ZERO)
    .into_status(cx)
}

fn faulty(cx: &Context, _fault: &Box<dyn Any + Send>) -> Status {
    tracing::error!(method = cx.method(), trace_id = cx.trace_id(), "call panicked");
    let error = if cx.sent() {
        Error::new(
            ErrorReason::VendorOutcomeUnknown,
            "the gateway failed after a request was sent; its outcome is unknown: check before you retry",
        )
    } else {
        Error::internal("the call panicked; nothing was sent")
    };
    error.into_status(cx)
}

/// Gives a status that is not ours the details that ours have.
fn completed(cx: &Context, response: Response<Body>) -> Response<Body> {
    match status(&response) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
            explained(cx, &status).into_status(cx).into_http()
        }
        _ => response,
    }
}

/// The status of an answer that has no message. An unknown method's stands in the headers only.
fn status(response: &Response<Body>) -> Option<Cow<'_, Status>> {
    match response.extensions().get::<Status>() {
        Some(status) => Some(Cow::Borrowed(status)),
        None => Status::from_header_map(response.headers()).map(Cow::Owned),
    }
}

/// What a status of tonic's own means. Its text may quote the request, so it goes no further.
fn explained(cx: &Context, status: &Status) -> Error {
    match status.code() {
        Code::Unimplemented if cx.method() == UNKNOWN => Error::new(
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

/// The code as gRPC writes it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic_types::StatusExt as _;

    use super::*;

    /// A service with a fault, whose stream never begins.
    #[derive(Clone)]
    struct Faulty;

    impl Service<Request<Body>> for Faulty {
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

    async fn told(method: &str) -> (Code, String, String) {
        let limits = config::Deadline { default: Duration::from_secs(10), max: Duration::from_secs(60) };
        let mut edge = RequestLayer::new(&Metrics::new().unwrap(), limits, Draining::default()).layer(Faulty);
        let request = Request::post(format!("/{SERVICE}/{method}")).body(Body::empty()).unwrap();
        let response = edge.call(request).await.unwrap();
        let status = response.extensions().get::<Status>().unwrap();
        (status.code(), status.get_details_error_info().unwrap().reason, status.message().to_owned())
    }

    #[tokio::test]
    async fn a_fault_ends_its_own_call_only_and_says_what_may_have_happened() {
        let (code, reason, message) = told("GetAgent").await;
        assert_eq!((code, reason.as_str()), (Code::Internal, "GATEWAY_INTERNAL"));
        assert!(!message.contains("phone number"));
        let (code, reason, _) = told("StartCallback").await;
        assert_eq!((code, reason.as_str()), (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_begins_in_time_or_not_at_all() {
        let begun = Instant::now();
        let (code, reason, _) = told("WatchEvents").await;
        assert_eq!((code, reason.as_str()), (Code::DeadlineExceeded, "DEADLINE_BEFORE_SEND"));
        let taken = begun.elapsed();
        assert!((9..=10).contains(&taken.as_secs()), "{taken:?}");
    }
}
