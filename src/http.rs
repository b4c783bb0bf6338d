//! The vendor HTTP client: the only code that sends.
//!
//! [`Client::call`] takes an endpoint through, in this order: a place within the center's [`limit`], the dialect's
//! credentials, the request itself under the call's deadline, a body of bounded size, the dialect's wrapping, and last
//! the typed answer. Every attempt goes the whole way after the place, because signatures age.
//!
//! What a failure means depends on two things only: whether the operation is repeatable, and whether anything left. A
//! **write** runs in a task of its own: when its caller hangs up before it left, it never leaves; when it has left, it
//! runs on.

mod dialect;
mod endpoint;
mod limit;
pub mod redact;
mod retry;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

pub use self::{
    dialect::{Authorized, Dialect, Opened, Refusal, Reply},
    endpoint::{Endpoint, Operation, Outgoing},
};
use self::{limit::Limit, retry::Retries};
use crate::{
    config,
    context::Context,
    error::{Error, ErrorReason, Result, Vendor},
    telemetry::Metrics,
};

/// Longest a write runs on after its caller's deadline.
const LONGEST_WRITE: Duration = Duration::from_mins(1);
/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest a read's connection stays idle; a stale one costs a read a repeat.
const IDLE_FOR_READS: Duration = Duration::from_mins(1);
/// Longest a write's connection stays idle: a vendor that closes a stale one must not make an outcome unknown.
const IDLE_FOR_WRITES: Duration = Duration::from_secs(2);
/// When to ask again after a vendor that could not be reached.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Connections to vendors. Made once, shared by all centers.
#[derive(Debug, Clone)]
pub struct Connections {
    reads: reqwest::Client,
    writes: reqwest::Client,
    /// Writes that run, also those whose callers went away.
    running: TaskTracker,
}

/// The client of one family of interfaces at one center.
#[derive(Debug)]
pub struct Client<D> {
    center: String,
    dialect: D,
    connections: Connections,
    limit: Limit,
    retries: Retries,
    max_response_size: usize,
    metrics: Metrics,
}

/// Whether anything of one request may have left, agreed on by who sends it and who waits for it.
#[derive(Debug, Clone, Default)]
struct Departure(Arc<AtomicU8>);

/// Bits of [`Departure`].
const LEFT: u8 = 1;
const CALLED_OFF: u8 = 2;

/// Calls a request off when its caller goes away before it left.
struct CallOff(Departure);

/// Why an attempt came to nothing.
enum Failure {
    /// Certainly nothing was sent.
    NotSent(&'static str),
    /// The connection broke, or the answer did, after something was sent.
    Broken(&'static str),
    /// The answer is larger than configured.
    TooLarge,
}

// === impl Connections ===

impl Connections {
    /// Connection pools without redirects, proxies and automatic repeats.
    ///
    /// # Errors
    /// When the machine's trusted certificates cannot be read.
    pub fn new() -> Result<Self> {
        let pool = |idle: Duration| {
            reqwest::Client::builder()
                .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(idle)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                // One HTTP/2 connection per host would queue calls past about 100 streams.
                .http1_only()
                .tcp_nodelay(true)
                .build()
                .map_err(|_| Error::internal("the HTTP client could not be set up; are there trusted certificates?"))
        };
        Ok(Self { reads: pool(IDLE_FOR_READS)?, writes: pool(IDLE_FOR_WRITES)?, running: TaskTracker::new() })
    }

    /// Writes that run, also those whose callers went away: an orderly end waits for them.
    pub fn running_writes(&self) -> TaskTracker {
        self.running.clone()
    }
}

// === impl Client ===

impl<D: Dialect> Client<D> {
    /// The client of a configured center.
    pub fn new(
        center: &str,
        config: &config::Center,
        dialect: D,
        connections: Connections,
        metrics: Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            center: center.to_owned(),
            dialect,
            connections,
            limit: Limit::new(&config.limits),
            retries: Retries::new(&config.retry),
            max_response_size: config.limits.max_response_size,
            metrics,
        })
    }

    /// How this client authenticates.
    pub fn dialect(&self) -> &D {
        &self.dialect
    }

    /// Calls one operation.
    ///
    /// # Errors
    /// Whatever section 4 of the design says, with the vendor's code and text.
    pub async fn call<E: Endpoint<Dialect = D>>(self: &Arc<Self>, cx: &Context, endpoint: &E) -> Result<E::Answer> {
        let operation = E::operation();
        let outgoing = Outgoing::of(endpoint)?;
        let payload = if operation.repeatable {
            self.read(cx, operation, outgoing).await
        } else {
            self.write(cx, operation, outgoing).await
        }?;
        serde_json::from_slice(&payload).map_err(|error| {
            // Its Display would quote what it read.
            let place = format!("line {}, column {} of the payload", error.line(), error.column());
            tracing::warn!(center = self.center, operation = operation.name, place, "unreadable answer");
            unreadable(operation, None).with("cause", format!("not of the documented shape at {place}"))
        })
    }

    async fn read(&self, cx: &Context, operation: &'static Operation<D::Style>, outgoing: Outgoing) -> Result<Bytes> {
        let departure = Departure::default();
        match timeout_at(cx.deadline(), self.exchange(cx, operation, &outgoing, &departure)).await {
            Ok(result) => result,
            Err(_) => {
                let left = departure.call_off();
                if left {
                    self.metrics.vendor_request(&self.center, operation.name, "timeout", None);
                }
                Err(past_deadline(cx, operation, left))
            }
        }
    }

    async fn write(
        self: &Arc<Self>,
        cx: &Context,
        operation: &'static Operation<D::Style>,
        outgoing: Outgoing,
    ) -> Result<Bytes> {
        let departure = Departure::default();
        let call_off = CallOff(departure.clone());
        let task = self.connections.running.spawn({
            let (client, cx, departure) = (self.clone(), cx.clone(), departure.clone());
            async move {
                let last = cx.deadline().max(Instant::now() + LONGEST_WRITE);
                match timeout_at(last, client.exchange(&cx, operation, &outgoing, &departure)).await {
                    Ok(result) => result,
                    Err(_) => {
                        client.metrics.vendor_request(&client.center, operation.name, "timeout", None);
                        Err(past_deadline(&cx, operation, true))
                    }
                }
            }
        });
        let result = match timeout_at(cx.deadline(), task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::internal("a request to the vendor ended abnormally")),
            Err(_) => Err(past_deadline(cx, operation, departure.call_off())),
        };
        drop(call_off);
        result
    }

    /// All attempts of one request.
    async fn exchange(
        &self,
        cx: &Context,
        operation: &'static Operation<D::Style>,
        outgoing: &Outgoing,
        departure: &Departure,
    ) -> Result<Bytes> {
        let _place = self.limit.place(cx.deadline()).await?;
        self.retries.earn();
        let mut attempts = 0;
        let mut renewed = None;
        loop {
            attempts += 1;
            let Authorized { url, headers, pass } =
                self.dialect.authorize(cx, operation, outgoing, renewed.as_ref()).await?;
            let start = Instant::now();
            let sent = self.send(cx, operation, outgoing, url, headers, departure).await;
            let took = start.elapsed();
            let reply = match sent {
                Ok(reply) => reply,
                Err(failure) => {
                    let not_sent = matches!(failure, Failure::NotSent(_));
                    self.metrics.vendor_request(&self.center, operation.name, failure.outcome(), Some(took));
                    let may_repeat = (operation.repeatable && !matches!(failure, Failure::TooLarge)) || not_sent;
                    if may_repeat && self.pause(cx, attempts, None).await {
                        continue;
                    }
                    return Err(self.failed(operation, &failure));
                }
            };
            let opened = self.dialect.open(operation, &reply);
            self.metrics.vendor_request(&self.center, operation.name, opened.outcome(), Some(took));
            tracing::debug!(
                center = self.center,
                operation = operation.name,
                status = reply.status.as_u16(),
                outcome = opened.outcome(),
                took_ms = took.as_millis(),
                trace_id = cx.trace_id(),
                "vendor answered"
            );
            match opened {
                Opened::Payload(payload) => {
                    if renewed.is_some() {
                        self.dialect.confirm(&pass);
                    }
                    return Ok(payload);
                }
                Opened::Unreadable(why) => {
                    return Err(unreadable(operation, Some(&reply)).with("cause", why));
                }
                Opened::Refused(refusal) => {
                    let refused_us = refusal.read == ErrorReason::VendorAuthFailed;
                    if refused_us && renewed.is_none() {
                        // An explicit refusal did nothing, so even a write is sent again, once.
                        departure.came_back();
                        renewed = self.dialect.renew(cx, &pass, &reply).await?;
                        if renewed.is_some() {
                            continue;
                        }
                    }
                    let passing = retry::is_passing(reply.status) && refusal.code.is_empty();
                    if operation.repeatable && passing && self.pause(cx, attempts, Some(&reply)).await {
                        continue;
                    }
                    let sent = outgoing.body.as_deref().map(redact::secrets_in).unwrap_or_default();
                    let mut secrets = self.dialect.secrets();
                    secrets.extend(self.dialect.pass_secrets(&pass));
                    secrets.extend(sent.iter().map(String::as_str));
                    return Err(refused(operation, &reply, refusal, &secrets));
                }
            }
        }
    }

    /// One attempt.
    async fn send(
        &self,
        cx: &Context,
        operation: &Operation<D::Style>,
        outgoing: &Outgoing,
        url: url::Url,
        headers: http::HeaderMap,
        departure: &Departure,
    ) -> Result<Reply, Failure> {
        let pool = if operation.repeatable { &self.connections.reads } else { &self.connections.writes };
        let mut request = reqwest::Request::new(operation.method.clone(), url);
        *request.headers_mut() = headers;
        if let Some(body) = &outgoing.body {
            *request.body_mut() = Some(body.clone().into());
        }
        if !departure.leave() {
            return Err(Failure::NotSent("the caller went away"));
        }
        let mut response = match pool.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                departure.came_back();
                return Err(Failure::NotSent(if error.is_timeout() {
                    "no connection within 2 s"
                } else {
                    "no connection could be made"
                }));
            }
            Err(_) => {
                cx.mark_sent();
                return Err(Failure::Broken("the connection broke before an answer came"));
            }
        };
        cx.mark_sent();
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        if response.content_length().is_some_and(|length| length > self.max_response_size as u64) {
            return Err(Failure::TooLarge);
        }
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.max_response_size => return Err(Failure::TooLarge),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => return Err(Failure::Broken("the connection broke within the answer")),
            }
        }
        Ok(Reply { status, headers, body: body.freeze() })
    }

    /// Waits before another attempt. `false` when there must be none.
    async fn pause(&self, cx: &Context, attempts: u32, reply: Option<&Reply>) -> bool {
        match self.retries.pause(attempts, reply.map(|reply| &reply.headers)) {
            Some(pause) if Instant::now() + pause < cx.deadline() => {
                tokio::time::sleep(pause).await;
                true
            }
            _ => false,
        }
    }

    fn failed(&self, operation: &Operation<D::Style>, failure: &Failure) -> Error {
        let vendor = Vendor { operation: operation.name, ..Vendor::default() };
        tracing::warn!(
            center = self.center,
            operation = operation.name,
            cause = failure.cause(),
            "vendor request failed"
        );
        match failure {
            Failure::NotSent(_) => Error::new(
                ErrorReason::VendorUnavailable,
                "the vendor could not be reached; nothing was sent, so it is safe to try again",
            )
            .retry_after(ASK_AGAIN),
            Failure::Broken(_) if operation.repeatable => Error::new(
                ErrorReason::VendorUnavailable,
                "the connection to the vendor broke; it is safe to try again",
            )
            .retry_after(ASK_AGAIN),
            Failure::TooLarge if operation.repeatable => {
                Error::new(ErrorReason::VendorResponseInvalid, "the vendor's answer is larger than max_response_size")
            }
            Failure::Broken(_) | Failure::TooLarge => outcome_unknown(),
        }
        .with("cause", failure.cause())
        .from_vendor(vendor)
    }
}

fn refused<S>(operation: &Operation<S>, reply: &Reply, refusal: Refusal, secrets: &[&str]) -> Error {
    let reason = if operation.repeatable { refusal.read } else { refusal.write };
    let vendor = Vendor {
        operation: operation.name,
        message: redact::vendor_text(&refusal.message, secrets),
        code: redact::vendor_code(&refusal.code),
        http_status: Some(reply.status.as_u16()),
    };
    let message: std::borrow::Cow<'static, str> = match reason {
        ErrorReason::VendorOutcomeUnknown => {
            return outcome_unknown().with("cause", "the vendor failed inside").from_vendor(vendor);
        }
        ErrorReason::VendorAuthFailed => {
            "the vendor refuses the gateway's credentials; whoever runs the gateway must look at this center".into()
        }
        ErrorReason::CenterMisconfigured => {
            "the vendor does not accept how this center is configured; whoever runs the gateway must look at it".into()
        }
        ErrorReason::VendorRateLimited => "the vendor takes no more requests just now".into(),
        ErrorReason::VendorUnavailable => "the vendor cannot serve requests just now".into(),
        ErrorReason::VendorTimeout => "the vendor says that it took too long".into(),
        ErrorReason::VendorInternal => "the vendor says that it failed inside".into(),
        ErrorReason::VendorCodeUnmapped => "the vendor answered with a code that is not documented".into(),
        ErrorReason::VendorResponseInvalid => "the vendor's answer contradicts itself".into(),
        _ if vendor.message.is_empty() => "the vendor refused the request".into(),
        _ => format!("the vendor refused the request: {}", vendor.message).into(),
    };
    let error = Error::new(reason, message).from_vendor(vendor);
    match (reason, retry::retry_after(&reply.headers)) {
        (ErrorReason::VendorRateLimited | ErrorReason::VendorUnavailable, asked) => {
            error.retry_after(asked.unwrap_or(ASK_AGAIN))
        }
        _ => error,
    }
}

fn past_deadline<S>(cx: &Context, operation: &Operation<S>, left: bool) -> Error {
    if left {
        cx.mark_sent();
    }
    match (left, operation.repeatable) {
        (false, _) => Error::new(
            ErrorReason::DeadlineBeforeSend,
            "the deadline passed before anything was sent; it is safe to try again",
        ),
        (true, true) => Error::new(
            ErrorReason::VendorTimeout,
            "the vendor did not answer before the deadline; it is safe to try again",
        ),
        (true, false) => outcome_unknown().with("cause", "no answer before the deadline").past_deadline(),
    }
    .from_vendor(Vendor { operation: operation.name, ..Vendor::default() })
}

fn outcome_unknown() -> Error {
    Error::new(
        ErrorReason::VendorOutcomeUnknown,
        "the request was sent but its outcome is not known; look whether it was done before repeating it",
    )
}

/// An answer that cannot be read: after a read that is all there is to say, after a write the outcome is unknown.
fn unreadable<S>(operation: &Operation<S>, reply: Option<&Reply>) -> Error {
    let vendor = Vendor {
        operation: operation.name,
        http_status: reply.map(|reply| reply.status.as_u16()),
        ..Vendor::default()
    };
    if operation.repeatable {
        Error::new(ErrorReason::VendorResponseInvalid, "the vendor's answer could not be read")
    } else {
        outcome_unknown()
    }
    .from_vendor(vendor)
}

// === impl Departure ===

impl Departure {
    /// Notes that the request leaves now. `false` when it was called off.
    fn leave(&self) -> bool {
        let leave = |state| (state & CALLED_OFF == 0).then_some(state | LEFT);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, leave).is_ok()
    }

    /// Notes that certainly nothing came of it: no connection was made, or the vendor refused our credentials.
    fn came_back(&self) {
        self.0.fetch_and(!LEFT, Ordering::AcqRel);
    }

    /// From now on nothing leaves. Says whether something may have left already.
    fn call_off(&self) -> bool {
        self.0.fetch_or(CALLED_OFF, Ordering::AcqRel) & LEFT != 0
    }
}

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.call_off();
    }
}

// === impl Failure ===

impl Failure {
    fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
        }
    }

    fn cause(&self) -> &'static str {
        match self {
            Self::NotSent(cause) | Self::Broken(cause) => cause,
            Self::TooLarge => "the answer is larger than max_response_size",
        }
    }
}

// === impl Opened ===

impl Opened {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Payload(_) => "ok",
            Self::Refused(_) => "refused",
            Self::Unreadable(_) => "unreadable",
        }
    }
}
