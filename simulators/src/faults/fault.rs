//! What happens to one call, around its operation.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use serde::de::IgnoredAny;

use super::{Alteration, Wire, garbage::Garbage};

/// The largest answer of a simulator, in bytes: they are made in memory.
pub(super) const LARGEST_ANSWER: usize = 64 << 20;

/// What befalls one call; by default nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fault {
    /// How long the call is held up.
    pub(super) latency: Duration,
    /// Whether the operation is carried out before anything else of this happens.
    pub(super) processed: bool,
    pub(super) ending: Ending,
    /// The pause between two bytes of the body.
    pub(super) drip: Option<Duration>,
    /// Whether every token ends before the call is looked at.
    pub(super) revoke_token: bool,
    pub(super) alteration: Alteration,
}

/// How the call ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Ending {
    /// With the operation's own answer.
    #[default]
    Regular,
    /// With this status in the operation's place.
    Status { status: StatusCode, body: String, retry_after: Option<u64> },
    /// With HTTP 429.
    Throttle { retry_after: u64 },
    /// With the end of the connection.
    Reset(Reset),
    /// With the operation's answer, spoiled.
    Garbage(Garbage),
}

/// When the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// Nothing is done and nothing answered.
    Before,
    /// The operation is done; the head and half of the body arrive.
    During,
    /// The operation is done and nothing answered.
    After,
}

// === impl Reset ===

impl Reset {
    pub(super) const NAMES: [(&'static str, Self); 3] =
        [("before", Self::Before), ("during", Self::During), ("after", Self::After)];
}

// === impl Fault ===

impl Fault {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every token ends before the call is looked at.
    pub(crate) fn revokes_tokens(&self) -> bool {
        self.revoke_token
    }

    /// What changes inside the operation. It also stands in the extensions of the answer.
    pub(crate) fn alteration(&self) -> Alteration {
        self.alteration
    }

    /// Lets the fault happen around an operation, which is carried out when `operation` is polled.
    ///
    /// Like a vendor's, a call that has arrived goes its way in a task of its own: a caller that gives up does not stop
    /// it.
    pub(crate) async fn around(
        self,
        wire: Option<Wire>,
        operation: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        if self.is_nothing() {
            return operation.await;
        }
        let alteration = self.alteration;
        let played = tokio::spawn(self.play(wire, operation)).await;
        let mut response = played.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
        response.extensions_mut().insert(alteration);
        response
    }

    async fn play(self, wire: Option<Wire>, operation: impl Future<Output = Response> + Send) -> Response {
        let Self { latency, processed, ending, drip, revoke_token: _, alteration: _ } = self;
        if !processed {
            tokio::time::sleep(latency).await;
        }
        let done = if processed || ending.needs_the_operation() { Some(operation.await) } else { None };
        if processed {
            tokio::time::sleep(latency).await;
        }
        let done = done.unwrap_or_default();
        let answer = match ending {
            Ending::Regular => done,
            Ending::Status { status, body, retry_after } => instead(status, body, retry_after),
            Ending::Throttle { retry_after } => {
                instead(StatusCode::TOO_MANY_REQUESTS, String::new(), Some(retry_after))
            }
            Ending::Reset(Reset::Before | Reset::After) => cut(wire, Bytes::new()),
            Ending::Reset(Reset::During) => cut_within(wire, done).await,
            Ending::Garbage(garbage) => garbage.spoil(done).await,
        };
        match drip {
            Some(pause) => dripping(answer, pause),
            None => answer,
        }
    }
}

// === impl Ending ===

impl Ending {
    fn needs_the_operation(&self) -> bool {
        match self {
            Self::Regular | Self::Reset(Reset::During | Reset::After) | Self::Garbage(_) => true,
            Self::Status { .. } | Self::Throttle { .. } | Self::Reset(Reset::Before) => false,
        }
    }
}

/// An answer of something that stands before the vendor: a proxy, a balancer.
fn instead(status: StatusCode, body: String, retry_after: Option<u64>) -> Response {
    let is_json = serde_json::from_str::<IgnoredAny>(&body).is_ok();
    let content_type = if is_json { "application/json;charset=UTF-8" } else { "text/html" };
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The head and half of the body, and then the end. An answer without a body ends before its head.
async fn cut_within(wire: Option<Wire>, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, LARGEST_ANSWER).await.unwrap_or_default();
    if body.is_empty() {
        return cut(wire, body);
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, cut(wire, body.slice(..body.len() / 2)).into_body())
}

/// `bytes`, and then the end of the connection. Without bytes no head is sent either, where the connection can be cut.
fn cut(wire: Option<Wire>, bytes: Bytes) -> Response {
    if let Some(wire) = wire.as_ref().filter(|_| bytes.is_empty()) {
        wire.cut();
    }
    let first = stream::iter((!bytes.is_empty()).then_some(Ok(bytes)));
    let end = stream::once(async move {
        // What was given so far goes out while this waits its turn.
        tokio::task::yield_now().await;
        if let Some(wire) = wire {
            wire.cut();
        }
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Response::new(Body::from_stream(first.chain(end)))
}

/// The same answer, byte by byte.
fn dripping(response: Response, pause: Duration) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let bytes = body.into_data_stream().flat_map(move |chunk| {
        let chunk = chunk.unwrap_or_default();
        stream::iter(0..chunk.len()).then(move |place| {
            let byte = chunk.slice(place..=place);
            async move {
                tokio::time::sleep(pause).await;
                Ok::<_, Infallible>(byte)
            }
        })
    });
    Response::from_parts(parts, Body::from_stream(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::Instant,
    };

    use super::{
        super::testing::{ANSWER, Stall},
        *,
    };

    /// What a caller gets on a connection of its own, to the last byte, and how the connection ends.
    async fn exchange(stall: &Stall) -> (String, io::Result<()>) {
        let mut stream = stall.dial().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: vendor\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let end = loop {
            match stream.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(error) => break Err(error),
            }
            if answer.ends_with(ANSWER.as_bytes()) {
                break Ok(());
            }
        };
        (String::from_utf8(answer).unwrap(), end)
    }

    #[tokio::test]
    async fn without_a_rule_nothing_happens() {
        let stall = Stall::open().await;
        let (status, _, body) = stall.get().await;
        assert_eq!((status, body.as_slice(), stall.done()), (200, ANSWER.as_bytes(), 1));
    }

    #[tokio::test]
    async fn a_reset_is_one_on_the_wire_before_within_or_after() {
        for (reset, done, arrived) in [("before", 0, 0), ("during", 1, ANSWER.len() / 2), ("after", 1, 0)] {
            let stall = Stall::with(json!({ "operation": "*", "times": 1, "reset": reset })).await;
            let (answer, end) = exchange(&stall).await;
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{reset}");
            let body = answer.split_once("\r\n\r\n").map_or("", |(head, body)| {
                assert!(head.contains(&format!("content-length: {}", ANSWER.len())), "{head}");
                body
            });
            assert_eq!((stall.done(), body), (done, &ANSWER[..arrived]), "{reset}");
            let (answer, end) = exchange(&stall).await;
            assert!(end.is_ok() && answer.ends_with(ANSWER), "the next call is as ever");
        }
    }

    #[tokio::test]
    async fn without_the_special_listener_a_body_ends_too_early() {
        for (reset, done) in [("before", 0), ("during", 1), ("after", 1)] {
            let stall = Stall::on_a_plain_listener().await;
            stall.faults.add(&json!({ "operation": "*", "reset": reset })).unwrap();
            if let Some(response) = stall.head().await {
                assert!(response.bytes().await.is_err(), "{reset}");
            }
            assert_eq!(stall.done(), done, "{reset}");
        }
    }

    #[tokio::test]
    async fn a_status_stands_in_the_operations_place_or_after_it() {
        let rule = json!({ "operation": "*", "status": 503, "body": "{\"a\":1}", "retry_after": 7 });
        let stall = Stall::with(rule).await;
        let (status, headers, body) = stall.get().await;
        assert_eq!((status, &headers["retry-after"], body.as_slice()), (503, &"7".parse().unwrap(), &b"{\"a\":1}"[..]));
        assert_eq!((headers["content-type"].to_str().unwrap(), stall.done()), ("application/json;charset=UTF-8", 0));
        stall.faults.clear();
        stall.faults.add(&json!({ "operation": "*", "status": 502, "body": "<p>bad</p>", "processed": true })).unwrap();
        let (status, headers, _) = stall.get().await;
        assert_eq!((status, headers["content-type"].to_str().unwrap(), stall.done()), (502, "text/html", 1));
        assert!(!headers.contains_key("retry-after"));
    }

    #[tokio::test]
    async fn throttling_and_a_rate_answer_429() {
        let stall = Stall::with(json!({ "operation": "*", "throttle": true })).await;
        let (status, headers, _) = stall.get().await;
        assert_eq!((status, headers["retry-after"].to_str().unwrap(), stall.done()), (429, "1", 0));
        let stall = Stall::with(json!({ "operation": "*", "rate": 1, "retry_after": 3 })).await;
        // One each second, should the machine take that long.
        let (status, headers) = loop {
            match stall.get().await {
                (200, ..) => {}
                (status, headers, _) => break (status, headers),
            }
        };
        assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "3"));
        assert!(stall.done() >= 1);
    }

    #[tokio::test]
    async fn latency_comes_before_or_after_the_operation_and_jitter_within_its_bounds() {
        let stall = Stall::with(json!({ "operation": "*", "latency_ms": 300_000, "jitter_ms": 300_000 })).await;
        // Connected while time runs; then it runs as fast as everything waits.
        let mut stream = stall.dial().await;
        for processed in [false, true] {
            if processed {
                stall.faults.clear();
                stall.faults.add(&json!({ "operation": "*", "latency_ms": 300_000, "processed": true })).unwrap();
            }
            tokio::time::pause();
            let (start, before) = (Instant::now(), stall.done());
            stream.write_all(b"GET / HTTP/1.1\r\nhost: vendor\r\n\r\n").await.unwrap();
            let first = stream.read_u8();
            tokio::pin!(first);
            let early = tokio::time::timeout(Duration::from_mins(4), &mut first).await;
            assert!(early.is_err(), "an answer before its time");
            assert_eq!(stall.done() - before, usize::from(processed));
            first.await.unwrap();
            let elapsed = start.elapsed();
            tokio::time::resume();
            assert!((Duration::from_mins(5)..=Duration::from_secs(601)).contains(&elapsed), "{elapsed:?}");
            let mut rest = vec![0; 4096];
            while !rest.ends_with(b"]}}") {
                let length = stream.read(&mut rest).await.unwrap();
                rest.truncate(length);
                if !rest.ends_with(b"]}}") {
                    rest.resize(4096, 0);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_drip_is_a_byte_at_a_time() {
        let stall = Stall::with(json!({ "operation": "*", "drip_ms": 1 })).await;
        let response = stall.head().await.unwrap();
        assert_eq!(response.content_length(), u64::try_from(ANSWER.len()).ok());
        let chunks: Vec<_> = response.bytes_stream().map(Result::unwrap).collect().await;
        assert_eq!(chunks.concat(), ANSWER.as_bytes());
        // Bytes that came while the caller was busy may come together, but not all of them.
        assert!(chunks.len() > ANSWER.len() / 4, "{} pieces", chunks.len());
    }

    #[tokio::test]
    async fn the_answer_tells_its_maker_what_was_altered() {
        let fault = Fault { alteration: Alteration { clock_skew: 5, partial: Some(1) }, ..Fault::default() };
        let response = fault.clone().around(None, async { Response::default() }).await;
        assert_eq!(response.extensions().get(), Some(&fault.alteration()));
    }
}
