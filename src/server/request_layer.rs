//! The tower layer of all gRPC methods.
//!
//! It builds the [`Context`], enforces the deadline, records metrics, and converts a panic to a status. It adds the
//! `ErrorInfo` that every status of this gateway has to the statuses of tonic (unknown method, message too large).

#[cfg(test)]
mod tests;

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
use http::{HeaderMap, Request, Response, StatusCode, header::CONTENT_TYPE};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::{
    SERVICE,
    body::{Budget, RequestBody, RequestBytes, UntilDrained},
};
use crate::{
    config,
    context::{self, Context, MalformedTimeout},
    drain::Draining,
    error::{Error, ErrorReason, Violation, code_name},
    proto::METHODS,
    telemetry::{MethodMetrics, Metrics},
};

/// How long after its deadline a call may still respond.
const DEADLINE_GRACE: Duration = Duration::from_millis(1);
/// Largest metadata of a call, counted as HTTP/2 does: a caller sends a deadline, a trace ID and credentials, and no
/// data.
const MAX_METADATA_SIZE: usize = 16 * 1024;
/// What HTTP/2 adds to a field's name and value (RFC 9113, 6.5.2).
const FIELD_OVERHEAD: usize = 32;
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
    budget: Budget,
    /// The calls in flight, which a drain waits for.
    calls: TaskTracker,
}

/// Records a call when it is dropped, so that cancelled calls are counted, too.
struct CallMetrics {
    metrics: MethodMetrics,
    start: Instant,
    code: &'static str,
    _in_flight: TaskTrackerToken,
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
    /// A layer for the contract's methods. `calls` counts the calls in flight.
    pub(super) fn new(metrics: &Metrics, config: &config::Config, draining: Draining, calls: TaskTracker) -> Self {
        let method = |name: &'static str| {
            let streams = name == "WatchEvents";
            let kind = if streams { "server_stream" } else { "unary" };
            Method { name, streams, metrics: metrics.method(kind, SERVICE, name) }
        };
        let methods = METHODS.iter().map(|&name| (format!("/{SERVICE}/{name}"), method(name))).collect();
        let budget = Budget::new(config.listen.max_request_size);
        let (unknown, deadline) = (method(UNKNOWN_METHOD), config.deadline.clone());
        Self(Arc::new(Shared { methods, unknown, deadline, draining, budget, calls }))
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
        if !is_grpc(request.headers()) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Box::pin(async move { Ok(response) });
        }
        let path = request.uri().path();
        if is_infrastructure(path) {
            if let Err(malformed) = context::timeout(request.headers()) {
                let response = Status::invalid_argument(malformed.to_string()).into_http();
                return Box::pin(async move { Ok(response) });
            }
            let draining = self.shared.draining.clone();
            let response = self.inner.call(request);
            return Box::pin(
                async move { Ok(response.await?.map(|body| Body::new(UntilDrained::new(body, draining)))) },
            );
        }
        let method = self.shared.methods.get(path).unwrap_or(&self.shared.unknown).clone();
        let call_metrics = CallMetrics {
            metrics: method.metrics.clone(),
            start: Instant::now(),
            code: "CANCELLED",
            _in_flight: self.shared.calls.token(),
        };
        let cx = Context::from_headers(method.name, request.headers(), &self.shared.deadline);
        method.metrics.started();
        let timeout = context::timeout(request.headers());

        let request_bytes = RequestBytes::default();
        let call = if self.shared.draining.is_draining() {
            Err(Error::draining())
        } else if timeout.is_err() {
            Err(Error::invalid(vec![MalformedTimeout::violation()]))
        } else if cx.is_expired() {
            // A call without time for a request and a response ends before it has an effect. The response must be ready
            // at once: tonic cancels the call at the caller's deadline.
            Err(Error::deadline_before_send())
        } else if metadata_size(request.headers()) > MAX_METADATA_SIZE {
            Err(Error::new(ErrorReason::RequestTooLarge, "the metadata exceeds 16 KiB; nothing was sent"))
        } else {
            request.extensions_mut().insert(cx.clone());
            let (budget, draining) = (self.shared.budget.clone(), self.shared.draining.clone());
            let limit = |body| RequestBody::new(body, cx.clone(), budget, request_bytes.clone(), draining);
            Ok(self.inner.call(request.map(|body| Body::new(limit(body)))))
        };
        Box::pin(async move {
            let mut call_metrics = call_metrics;
            let response = match call {
                Err(error) => Ok(error.into_status(&cx).into_http()),
                Ok(call) => within_deadline(&cx, call).await,
            };
            // The request was decoded, and its content is no longer needed.
            drop(request_bytes);
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

/// Whether a request is one of gRPC with protobuf messages.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].iter().any(|known| media_type.eq_ignore_ascii_case(known))
}

fn metadata_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD).sum()
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
