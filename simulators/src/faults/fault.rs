//! A fault: what happens to one request, around its operation.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use serde::de::IgnoredAny;

use super::{
    alteration::Alteration,
    garbage::{Garbage, MAX_RESPONSE},
    listener::ResetHandle,
};

/// What happens to one request; by default nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fault {
    /// How long the request waits.
    pub(super) latency: Duration,
    /// Whether the operation runs before the rest of the fault happens.
    pub(super) processed: bool,
    pub(super) ending: Ending,
    /// The pause between two bytes of the body.
    pub(super) drip: Option<Duration>,
    /// Whether every token is revoked before the request is checked.
    pub(super) revoke_token: bool,
    pub(super) alteration: Alteration,
}

/// How the request ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Ending {
    /// With the operation's own response.
    #[default]
    Regular,
    /// With this status, in place of the operation's response.
    Status { status: StatusCode, body: String, retry_after: Option<u64> },
    /// With HTTP 429.
    Throttle { retry_after: u64 },
    /// With a reset connection.
    Reset(Reset),
    /// With the operation's response, corrupted.
    Garbage(Garbage),
}

/// When the connection is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// The operation does not run, and no response is sent.
    Before,
    /// The operation runs; the head and half of the body are sent.
    During,
    /// The operation runs, and no response is sent.
    After,
}

// === impl Fault ===

impl Fault {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every token is revoked before the request is checked.
    pub(crate) fn revokes_tokens(&self) -> bool {
        self.revoke_token
    }

    /// What changes inside the operation. The extensions of the response hold it too.
    pub(crate) fn alteration(&self) -> Alteration {
        self.alteration
    }

    /// Runs an operation with the fault around it. `operation` runs when it is polled.
    ///
    /// The request runs in a task of its own, as at a vendor: a caller that closes the connection does not cancel it.
    pub(crate) async fn inject(
        self,
        reset_handle: Option<ResetHandle>,
        operation: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        if self.is_none() {
            return operation.await;
        }
        let alteration = self.alteration;
        let ran = tokio::spawn(self.run(reset_handle, operation)).await;
        let mut response = ran.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
        response.extensions_mut().insert(alteration);
        response
    }

    async fn run(
        self,
        reset_handle: Option<ResetHandle>,
        operation: impl Future<Output = Response> + Send,
    ) -> Response {
        let Self { latency, processed, ending, drip, revoke_token: _, alteration: _ } = self;
        if !processed {
            tokio::time::sleep(latency).await;
        }
        let response = if processed || ending.needs_the_operation() { Some(operation.await) } else { None };
        if processed {
            tokio::time::sleep(latency).await;
        }
        let response = response.unwrap_or_default();
        let response = match ending {
            Ending::Regular => response,
            Ending::Status { status, body, retry_after } => replacement(status, body, retry_after),
            Ending::Throttle { retry_after } => {
                replacement(StatusCode::TOO_MANY_REQUESTS, String::new(), Some(retry_after))
            }
            Ending::Reset(Reset::Before | Reset::After) => reset(reset_handle, Bytes::new()),
            Ending::Reset(Reset::During) => reset_within(reset_handle, response).await,
            Ending::Garbage(garbage) => garbage.corrupt(response).await,
        };
        match drip {
            Some(pause) => dripping(response, pause),
            None => response,
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

// === impl Reset ===

impl Reset {
    pub(super) const NAMES: [(&'static str, Self); 3] =
        [("before", Self::Before), ("during", Self::During), ("after", Self::After)];
}

/// A response of a proxy or balancer in front of the vendor.
fn replacement(status: StatusCode, body: String, retry_after: Option<u64>) -> Response {
    let is_json = serde_json::from_str::<IgnoredAny>(&body).is_ok();
    let content_type = if is_json { "application/json;charset=UTF-8" } else { "text/html" };
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Sends the head and half of the body, then resets the connection. Without a body, the connection is reset before the
/// head.
async fn reset_within(reset_handle: Option<ResetHandle>, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_RESPONSE).await.unwrap_or_default();
    if body.is_empty() {
        return reset(reset_handle, body);
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, reset(reset_handle, body.slice(..body.len() / 2)).into_body())
}

/// Sends `bytes`, then resets the connection. Without bytes no head is sent either, if the connection has a handle.
fn reset(reset_handle: Option<ResetHandle>, bytes: Bytes) -> Response {
    if let Some(handle) = reset_handle.as_ref().filter(|_| bytes.is_empty()) {
        handle.reset();
    }
    let first = stream::iter((!bytes.is_empty()).then_some(Ok(bytes)));
    let end = stream::once(async move {
        // Lets the server write what it has so far.
        tokio::task::yield_now().await;
        if let Some(handle) = reset_handle {
            handle.reset();
        }
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Response::new(Body::from_stream(first.chain(end)))
}

/// The same response, byte by byte.
fn dripping(response: Response, pause: Duration) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let bytes = body.into_data_stream().flat_map(move |chunk| {
        let chunk = chunk.unwrap_or_default();
        stream::iter(0..chunk.len()).then(move |index| {
            let byte = chunk.slice(index..=index);
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
        super::testing::{RESPONSE, TestServer},
        *,
    };

    /// What a caller receives on a connection of its own, to the last byte, and how the connection ends.
    async fn exchange(server: &TestServer) -> (String, io::Result<()>) {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: vendor\r\n\r\n").await.unwrap();
        let mut response = Vec::new();
        let end = loop {
            match stream.read_u8().await {
                Ok(byte) => response.push(byte),
                Err(error) => break Err(error),
            }
            if response.ends_with(RESPONSE.as_bytes()) {
                break Ok(());
            }
        };
        (String::from_utf8(response).unwrap(), end)
    }

    #[tokio::test]
    async fn without_a_rule_nothing_happens() {
        let server = TestServer::start().await;
        let (status, _, body) = server.get().await;
        assert_eq!((status, body.as_slice(), server.done()), (200, RESPONSE.as_bytes(), 1));
    }

    #[tokio::test]
    async fn a_reset_is_one_on_the_wire_before_within_or_after() {
        for (reset, done, arrived) in [("before", 0, 0), ("during", 1, RESPONSE.len() / 2), ("after", 1, 0)] {
            let server = TestServer::with(json!({ "operation": "*", "times": 1, "reset": reset })).await;
            let (response, end) = exchange(&server).await;
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{reset}");
            let body = response.split_once("\r\n\r\n").map_or("", |(head, body)| {
                assert!(head.contains(&format!("content-length: {}", RESPONSE.len())), "{head}");
                body
            });
            assert_eq!((server.done(), body), (done, &RESPONSE[..arrived]), "{reset}");
            let (response, end) = exchange(&server).await;
            assert!(end.is_ok() && response.ends_with(RESPONSE), "the next request gets its response");
        }
    }

    #[tokio::test]
    async fn without_the_special_listener_a_body_ends_too_early() {
        for (reset, done) in [("before", 0), ("during", 1), ("after", 1)] {
            let server = TestServer::on_a_plain_listener().await;
            server.faults.add(&json!({ "operation": "*", "reset": reset })).unwrap();
            if let Some(response) = server.head().await {
                assert!(response.bytes().await.is_err(), "{reset}");
            }
            assert_eq!(server.done(), done, "{reset}");
        }
    }

    #[tokio::test]
    async fn a_status_stands_in_the_operations_place_or_after_it() {
        let rule = json!({ "operation": "*", "status": 503, "body": "{\"a\":1}", "retry_after": 7 });
        let server = TestServer::with(rule).await;
        let (status, headers, body) = server.get().await;
        assert_eq!((status, &headers["retry-after"], body.as_slice()), (503, &"7".parse().unwrap(), &b"{\"a\":1}"[..]));
        assert_eq!((headers["content-type"].to_str().unwrap(), server.done()), ("application/json;charset=UTF-8", 0));
        server.faults.clear();
        server
            .faults
            .add(&json!({ "operation": "*", "status": 502, "body": "<p>bad</p>", "processed": true }))
            .unwrap();
        let (status, headers, _) = server.get().await;
        assert_eq!((status, headers["content-type"].to_str().unwrap(), server.done()), (502, "text/html", 1));
        assert!(!headers.contains_key("retry-after"));
    }

    #[tokio::test]
    async fn throttling_and_a_rate_are_429() {
        let server = TestServer::with(json!({ "operation": "*", "throttle": true })).await;
        let (status, headers, _) = server.get().await;
        assert_eq!((status, headers["retry-after"].to_str().unwrap(), server.done()), (429, "1", 0));
        let server = TestServer::with(json!({ "operation": "*", "rate": 1, "retry_after": 3 })).await;
        // The limit refills each second, and a slow machine may need that long.
        let (status, headers) = loop {
            match server.get().await {
                (200, ..) => {}
                (status, headers, _) => break (status, headers),
            }
        };
        assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "3"));
        assert!(server.done() >= 1);
    }

    #[tokio::test]
    async fn latency_comes_before_or_after_the_operation_and_jitter_within_its_bounds() {
        let server = TestServer::with(json!({ "operation": "*", "latency_ms": 300_000, "jitter_ms": 300_000 })).await;
        // Connect in real time, then pause time: it advances whenever every task waits.
        let mut stream = server.connect().await;
        for processed in [false, true] {
            if processed {
                server.faults.clear();
                server.faults.add(&json!({ "operation": "*", "latency_ms": 300_000, "processed": true })).unwrap();
            }
            tokio::time::pause();
            let (start, before) = (Instant::now(), server.done());
            stream.write_all(b"GET / HTTP/1.1\r\nhost: vendor\r\n\r\n").await.unwrap();
            let first = stream.read_u8();
            tokio::pin!(first);
            let early = tokio::time::timeout(Duration::from_mins(4), &mut first).await;
            assert!(early.is_err(), "a response before its time");
            assert_eq!(server.done() - before, usize::from(processed));
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
        let server = TestServer::with(json!({ "operation": "*", "drip_ms": 1 })).await;
        let response = server.head().await.unwrap();
        assert_eq!(response.content_length(), u64::try_from(RESPONSE.len()).ok());
        let chunks: Vec<_> = response.bytes_stream().map(Result::unwrap).collect().await;
        assert_eq!(chunks.concat(), RESPONSE.as_bytes());
        // Bytes that arrive while the caller is busy may come together, but not all of them.
        assert!(chunks.len() > RESPONSE.len() / 4, "{} pieces", chunks.len());
    }

    #[tokio::test]
    async fn the_response_has_the_alteration_in_its_extensions() {
        let fault = Fault { alteration: Alteration { clock_skew: 5, partial: Some(1) }, ..Fault::default() };
        let response = fault.clone().inject(None, async { Response::default() }).await;
        assert_eq!(response.extensions().get(), Some(&fault.alteration()));
    }
}
