//! Bodies of gRPC requests and responses: how many bytes of requests the process holds, how long a request may take to
//! arrive, and the end of streams that a drain does not wait for.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tonic::{Status, body::Body};

use crate::{
    context::Context,
    drain::Draining,
    error::{Error, ErrorReason},
};

/// Most bytes of requests that the process holds, or one request of the largest size.
const REQUEST_BYTES_IN_FLIGHT: usize = 32 << 20;
/// Longest time to receive a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The `RetryInfo` of an overloaded gateway.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The bytes of requests that the process may hold.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// The bytes of one request. Dropping the last clone returns them.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestBytes(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

/// The body of a request, within the budget and its time.
pub(super) struct RequestBody {
    body: Body,
    cx: Context,
    budget: Budget,
    bytes: RequestBytes,
    draining: Draining,
    expires: Instant,
    /// Made when the body is waited for.
    ended: Option<Ended>,
}

/// Ready with the error of a body that does not arrive in time.
type Ended = Pin<Box<dyn Future<Output = Error> + Send>>;

/// The body of a response that ends when the drain begins and the response has nothing to send.
///
/// Its status is OK: clients may discard messages that they have not read when a status with an error arrives, and
/// `NOT_SERVING` must reach them.
pub(super) struct UntilDrained {
    body: Body,
    begun: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_ended: bool,
}

// === impl Budget ===

impl Budget {
    /// A budget that one request of the largest size does not exceed.
    pub(super) fn new(max_request_size: usize) -> Self {
        Self(Arc::new(Semaphore::new(REQUEST_BYTES_IN_FLIGHT.max(max_request_size).min(Semaphore::MAX_PERMITS))))
    }
}

// === impl RequestBody ===

impl RequestBody {
    /// Limits a body. The call holds `bytes` until it responds.
    pub(super) fn new(body: Body, cx: Context, budget: Budget, bytes: RequestBytes, draining: Draining) -> Self {
        Self { body, cx, budget, bytes, draining, expires: Instant::now() + BODY_TIMEOUT, ended: None }
    }

    /// Acquires the permits of one frame.
    fn acquire(&self, length: usize) -> Result<(), Status> {
        let permit =
            u32::try_from(length).ok().and_then(|length| self.budget.0.clone().try_acquire_many_owned(length).ok());
        let Some(permit) = permit else {
            return Err(Error::new(
                ErrorReason::GatewayOverloaded,
                "too many bytes of requests are in flight at this gateway; nothing was sent: wait, or use another gateway",
            )
            .retry_after(RETRY_AFTER)
            .into_status(&self.cx));
        };
        match &mut *self.bytes.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                Poll::Ready(Some(this.acquire(length).map(|()| frame)))
            }
            Poll::Ready(end) => Poll::Ready(end),
            Poll::Pending => {
                let (expires, draining) = (this.expires, &this.draining);
                let ended = this.ended.get_or_insert_with(|| Box::pin(ended(expires, draining.clone())));
                let error = ready!(ended.as_mut().poll(cx));
                Poll::Ready(Some(Err(error.into_status(&this.cx))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

async fn ended(expires: Instant, draining: Draining) -> Error {
    let message = "the request did not arrive within 10 s; nothing was sent: it is safe to retry";
    tokio::select! {
        () = sleep_until(expires) => Error::new(ErrorReason::DeadlineBeforeSend, message),
        () = draining.receiving_ended() => Error::draining(),
    }
}

// === impl UntilDrained ===

impl UntilDrained {
    pub(super) fn new(body: Body, draining: Draining) -> Self {
        Self { body, begun: Box::pin(async move { draining.begun().await }), has_ended: false }
    }
}

impl http_body::Body for UntilDrained {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        // What the response has to send comes first: a health stream ends with NOT_SERVING.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.begun.as_mut().poll(cx));
        self.has_ended = true;
        let mut trailers = http::HeaderMap::new();
        Status::ok("").add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn};

    use futures_util::stream;
    use http_body::Body as _;
    use tonic_types::StatusExt as _;

    use super::*;

    /// A request whose frames arrive, and whose end does not.
    fn unfinished(frames: &[usize], budget: &Budget) -> RequestBody {
        let frames: Vec<_> = frames.iter().map(|&length| Ok::<_, Infallible>(Bytes::from(vec![0; length]))).collect();
        let frames = futures_util::StreamExt::chain(stream::iter(frames), stream::pending());
        let body = Body::new(axum::body::Body::from_stream(frames));
        let cx = Context::new("GetAgent", String::new(), Instant::now() + Duration::from_secs(60));
        RequestBody::new(body, cx, budget.clone(), RequestBytes::default(), Draining::default())
    }

    async fn next_frame(body: &mut RequestBody) -> Result<usize, Status> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.unwrap();
        frame.map(|frame| frame.data_ref().map_or(0, Bytes::len))
    }

    async fn next(body: &mut RequestBody) -> Result<usize, String> {
        next_frame(body).await.map_err(|status| status.get_details_error_info().unwrap().reason)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_arrives_within_its_time() {
        let start = Instant::now();
        let mut body = unfinished(&[3], &Budget::new(0));
        assert_eq!(next(&mut body).await, Ok(3));
        assert_eq!(next(&mut body).await, Err("DEADLINE_BEFORE_SEND".to_owned()));
        assert_eq!(start.elapsed(), BODY_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_without_frames_has_ended() {
        let cx = Context::new("GetAgent", String::new(), Instant::now() + Duration::from_secs(60));
        let (bytes, draining) = (RequestBytes::default(), Draining::default());
        let limited = |body| RequestBody::new(body, cx.clone(), Budget::new(0), bytes.clone(), draining.clone());
        // A response of headers only is one frame with END_STREAM.
        let until_drained = |body| UntilDrained::new(body, Draining::default());
        let unread = || Body::new(axum::body::Body::from("unread"));
        assert!(limited(Body::empty()).is_end_stream() && until_drained(Body::empty()).is_end_stream());
        assert!(!limited(unread()).is_end_stream() && !until_drained(unread()).is_end_stream());
    }

    #[tokio::test]
    async fn a_caller_may_retry_a_request_without_room_after_a_second() {
        let mut large = unfinished(&[REQUEST_BYTES_IN_FLIGHT + 1], &Budget::new(0));
        let status = next_frame(&mut large).await.unwrap_err();
        assert_eq!(status.get_details_error_info().unwrap().reason, "GATEWAY_OVERLOADED");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_refuses_what_exceeds_it_and_is_released_with_body_and_call() {
        let budget = Budget::new(0);
        let mut large = unfinished(&[REQUEST_BYTES_IN_FLIGHT - 10], &budget);
        assert!(next(&mut large).await.is_ok());
        let mut small = unfinished(&[5, 6], &budget);
        assert_eq!(next(&mut small).await, Ok(5));
        assert_eq!(next(&mut small).await, Err("GATEWAY_OVERLOADED".to_owned()));
        drop(small);
        let call = large.bytes.clone();
        drop(large);
        let mut again = unfinished(&[11], &budget);
        assert!(next(&mut again).await.is_err(), "the call holds its bytes");
        drop(call);
        let mut again = unfinished(&[REQUEST_BYTES_IN_FLIGHT], &budget);
        assert!(next(&mut again).await.is_ok());
        let mut largest = unfinished(&[REQUEST_BYTES_IN_FLIGHT + 1], &Budget::new(REQUEST_BYTES_IN_FLIGHT + 1));
        assert!(next(&mut largest).await.is_ok(), "one request of the largest size has room");
    }
}
