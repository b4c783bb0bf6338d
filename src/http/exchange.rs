//! The attempts of one request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{runtime::Handle, time::Instant};

use super::{
    Authorized, Client, Dialect, Failure, HttpRequest, HttpResponse, Operation, Outgoing, ParsedResponse,
    StatusMeaning, Waiting,
    breaker::{Permit, Requester, Transition},
    failure::{CALLER_DISCONNECTED, CONNECTION_CLOSED, failed, past_deadline, refused, unreadable},
    handover,
    retry::retry_after,
    send_state::SendState,
};
use crate::{
    body::{self, Bound},
    context::Context,
    error::{ErrorReason, Result, Vendor},
    redact,
    telemetry::millis,
};

/// Deadline of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A probe without a response after this long has failed. The rest of its time is for its credentials.
const PROBE_SILENCE: Duration = Duration::from_secs(4);
/// A request that its caller abandons after this long without a response lets the gateway suspect that the vendor
/// hangs.
const SUSPICIOUS_SILENCE: Duration = Duration::from_secs(1);
/// The method of the gateway's own probes.
const PROBE: &str = "Probe";

/// Reports the outcome of a request in flight to the breaker. A guard that is dropped without an outcome reports that
/// its caller abandoned it.
struct BreakerGuard<'a, D: Dialect> {
    client: &'a Arc<Client<D>>,
    permit: Option<Permit<'a>>,
    start: Instant,
    requester: Requester,
}

impl<D: Dialect> Client<D> {
    /// Sends a request, and retries it where a retry is safe.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        cx: &Context,
        operation: &'static Operation<D::Style>,
        outgoing: &Outgoing,
        send_state: &SendState,
    ) -> Result<Bytes> {
        let requester = requester(cx, operation);
        // While the vendor hangs, calls hold every permit.
        let _permit = match requester {
            Requester::Probe => None,
            Requester::Read | Requester::Write => Some(self.limit.permit(cx.deadline()).await?),
        };
        self.retries.deposit();
        let mut attempts = 0;
        let mut refreshed = None;
        let mut was_idle_closed = false;
        loop {
            attempts += 1;
            cx.set_operation(operation.name);
            if operation.repeatable && cx.is_expired() {
                return Err(past_deadline(cx, operation, send_state.may_have_been_sent()));
            }
            let Authorized { uri, headers, credentials } =
                self.dialect.authorize(cx, operation, outgoing, refreshed.as_ref()).await?;
            let mut breaker_guard = BreakerGuard {
                client: self,
                permit: Some(self.acquire(operation, requester)?),
                start: Instant::now(),
                requester,
            };
            let sent = self.send(cx, operation, outgoing, uri, headers, send_state).await;
            let elapsed = breaker_guard.start.elapsed();
            let response = match sent {
                Ok(response) => response,
                Err(Failure::NotSent(CALLER_DISCONNECTED)) => {
                    // No caller waits for a retry. The guard counts a long wait for a connection.
                    if cx.is_expired() {
                        return Err(past_deadline(cx, operation, false));
                    }
                    return Err(failed(&self.center, operation, &Failure::NotSent(CALLER_DISCONNECTED)));
                }
                Err(failure) => {
                    let is_idle_closed = !was_idle_closed && failure == Failure::NotSent(CONNECTION_CLOSED);
                    breaker_guard.record_failure(failure, is_idle_closed);
                    let not_sent = matches!(failure, Failure::NotSent(_));
                    self.metrics.vendor_request(&self.center, operation.name, failure.outcome(), Some(elapsed));
                    if is_idle_closed {
                        // Another connection follows at once; it costs no retry.
                        was_idle_closed = true;
                        attempts -= 1;
                        continue;
                    }
                    let may_retry = not_sent || (operation.repeatable && matches!(failure, Failure::Broken(_)));
                    if may_retry && self.back_off(cx, attempts, None).await {
                        continue;
                    }
                    return Err(failed(&self.center, operation, &failure));
                }
            };
            let (response, parsed) = self.parse(operation, response).await;
            breaker_guard.record(!parsed.is_outage());
            self.metrics.vendor_request(&self.center, operation.name, parsed.outcome(), Some(elapsed));
            tracing::debug!(
                center = self.center,
                operation = operation.name,
                status = response.status.as_u16(),
                outcome = parsed.outcome(),
                took_ms = millis(elapsed),
                trace_id = cx.trace_id(),
                "vendor responded"
            );
            if parsed.is_from_vendor() {
                self.dialect.accept(&credentials);
            }
            match parsed {
                ParsedResponse::Payload(payload) => {
                    if refreshed.is_some() {
                        self.dialect.confirm(&credentials);
                    }
                    return Ok(payload);
                }
                ParsedResponse::Unreadable(cause) => {
                    return Err(unreadable(operation, Some(&response)).with("cause", cause));
                }
                ParsedResponse::Refused(refusal) => {
                    let credentials_refused = refusal.reason(operation.repeatable) == ErrorReason::VendorAuthFailed;
                    if credentials_refused && refreshed.is_none() {
                        // The vendor did not process a request whose credentials it refused, so even a write is retried
                        // once.
                        send_state.mark_not_sent();
                        refreshed = self.dialect.refresh(cx, &credentials, &response).await?;
                        if refreshed.is_some() {
                            continue;
                        }
                    }
                    let delay = retry_after(&response.headers, self.clock.now());
                    let transient = refusal.status.is_some_and(StatusMeaning::is_transient);
                    if operation.repeatable && transient && self.back_off(cx, attempts, delay).await {
                        continue;
                    }
                    let body_secrets = outgoing.body.as_deref().map(redact::secrets_in).unwrap_or_default();
                    let mut secrets = self.dialect.secrets();
                    secrets.extend(self.dialect.credential_secrets(&credentials));
                    secrets.extend(body_secrets.iter().map(String::as_str));
                    return Err(refused(operation, &response, refusal, delay, &secrets));
                }
            }
        }
    }

    /// Acquires a permit from the breaker. When the breaker needs a probe and this request is a write, it spawns a
    /// probe.
    fn acquire(self: &Arc<Self>, operation: &Operation<D::Style>, requester: Requester) -> Result<Permit<'_>> {
        self.breaker.acquire(requester).map_err(|open| {
            if open.needs_probe {
                self.spawn_probe();
            }
            self.metrics.vendor_request(&self.center, operation.name, "breaker_open", None);
            open.error().from_vendor(Vendor { operation: operation.name, ..Vendor::default() })
        })
    }

    /// Spawns the gateway's own probe, unless one runs.
    fn spawn_probe(self: &Arc<Self>) {
        let (Some(probe), Ok(runtime)) = (self.probe.get(), Handle::try_current()) else { return };
        let Ok(only) = self.probe_permit.clone().try_acquire_owned() else { return };
        let cx = Context::new(PROBE, String::new(), Instant::now() + PROBE_TIMEOUT);
        let probe = probe(self.clone(), cx);
        runtime.spawn(async move {
            let _only = only;
            let _ = probe.await;
        });
    }

    /// Sends one attempt.
    async fn send(
        &self,
        cx: &Context,
        operation: &Operation<D::Style>,
        outgoing: &Outgoing,
        uri: http::Uri,
        headers: http::HeaderMap,
        send_state: &SendState,
    ) -> Result<HttpResponse, Failure> {
        let waiting = Waiting::default();
        let request = HttpRequest {
            method: operation.method.clone(),
            uri,
            headers: accepting_encodings(headers),
            body: outgoing.body.clone(),
            repeatable: operation.repeatable,
            waiting: waiting.clone(),
        };
        let bound =
            if operation.is_list { Bound::List(self.max_list_size) } else { Bound::Response(self.max_response_size) };
        let sending = self.connections.transport.send(request, bound.size());
        let result = handover::send(cx, !operation.repeatable, send_state, &waiting, sending).await;
        if send_state.may_have_been_sent() {
            cx.mark_sent();
        }
        let response = result?;
        // A compressed body has any size when it is decoded.
        let is_compressed =
            response.headers.contains_key(http::header::CONTENT_ENCODING) || response.body.starts_with(b"\x1f\x8b");
        let size = if is_compressed { usize::MAX } else { response.body.len() };
        self.connections.offload.run(size, move || response.decoded(bound)).await
    }

    /// Unwraps the envelope of a response.
    async fn parse(
        self: &Arc<Self>,
        operation: &'static Operation<D::Style>,
        response: HttpResponse,
    ) -> (HttpResponse, ParsedResponse) {
        let (client, size) = (self.clone(), response.body.len());
        let parse = move || {
            let parsed = client.dialect.parse(operation, &response);
            (response, parsed)
        };
        self.connections.offload.run(size, parse).await
    }

    /// Waits before a retry. `false` when the retry budget, the attempts or the deadline allow none.
    async fn back_off(&self, cx: &Context, attempts: u32, delay: Option<Duration>) -> bool {
        match self.retries.backoff(attempts, delay) {
            Some(backoff) if Instant::now() + backoff < cx.deadline() => {
                tokio::time::sleep(backoff).await;
                true
            }
            _ => false,
        }
    }
}

// === impl BreakerGuard ===

impl<D: Dialect> BreakerGuard<'_, D> {
    /// Reports the outcome to the breaker.
    fn record(&mut self, responded: bool) {
        let Some(permit) = self.permit.take() else { return };
        self.report(if responded { permit.succeeded() } else { permit.failed() });
    }

    /// Reports the outcome of a request without a response. Vendors close idle connections, so the first one that
    /// closes before the request is sent says nothing about the vendor. A vendor that closes the next one, too, fails.
    fn record_failure(&mut self, failure: Failure, is_idle_closed: bool) {
        match failure {
            _ if is_idle_closed => self.permit = None,
            // An address that is not the vendor's says nothing about the vendor.
            Failure::Misconfigured(_) => self.permit = None,
            Failure::TooLarge | Failure::Unreadable(_) => self.record(true),
            Failure::NotSent(_) | Failure::Broken(_) => self.record(false),
        }
    }

    fn report(&self, transition: Transition) {
        match transition {
            Transition::None => {}
            Transition::Suspected => self.client.spawn_probe(),
            Transition::Opened | Transition::Closed => {
                let open = transition == Transition::Opened;
                self.client.metrics.breaker(&self.client.center, D::FAMILY, open);
                tracing::warn!(center = self.client.center, family = D::FAMILY, open, "circuit breaker changed state");
            }
        }
    }
}

impl<D: Dialect> Drop for BreakerGuard<'_, D> {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let silence = self.start.elapsed();
        // Without a probe, nothing but its own timeout ends a request: the vendor is silent.
        let is_patient = self.requester == Requester::Probe || self.client.probe.get().is_none();
        if is_patient && silence >= PROBE_SILENCE {
            self.report(permit.failed());
        } else if silence >= SUSPICIOUS_SILENCE || permit.is_probe() {
            self.report(permit.abandoned());
        }
    }
}

// === impl HttpResponse ===

impl HttpResponse {
    /// The response with its body decoded and repaired. The status of a failure says enough without its body.
    fn decoded(self, bound: Bound) -> Result<Self, Failure> {
        match body::of_response(&self.headers, self.body, bound) {
            Ok(body) => Ok(Self { body, ..self }),
            Err(_) if !self.status.is_success() => Ok(Self { body: Bytes::new(), ..self }),
            Err(unreadable) => Err(Failure::Unreadable(unreadable.cause(bound))),
        }
    }
}

// === impl ParsedResponse ===

impl ParsedResponse {
    /// Whether the vendor itself, not a proxy in front of it, processed the request: the response has a payload, or a
    /// return code that does not reject the credentials.
    fn is_from_vendor(&self) -> bool {
        match self {
            Self::Payload(_) => true,
            Self::Refused(refusal) => refusal.status.is_none() && refusal.read != ErrorReason::VendorAuthFailed,
            Self::Unreadable(_) => false,
        }
    }

    /// Whether the response says that the vendor is unavailable. Any other response shows that it is not.
    fn is_outage(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == Some(StatusMeaning::Outage))
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Payload(_) => "ok",
            Self::Refused(_) => "refused",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

fn requester<S>(cx: &Context, operation: &Operation<S>) -> Requester {
    match operation.repeatable {
        _ if cx.method() == PROBE => Requester::Probe,
        true => Requester::Read,
        false => Requester::Write,
    }
}

fn accepting_encodings(mut headers: http::HeaderMap) -> http::HeaderMap {
    headers.insert(http::header::ACCEPT_ENCODING, body::ACCEPT_ENCODING);
    headers
}
