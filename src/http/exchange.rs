//! All attempts of one request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Authorized, Client, Dialect, Failure, HttpRequest, HttpResponse, Operation, Outgoing, ParsedResponse,
    breaker::{Change, Permit},
    failure::{CALLER_GONE, failed, refused, unreadable},
    retry,
    send_state::SendState,
};
use crate::{
    context::Context,
    error::{ErrorReason, Result, Vendor},
    redact,
};

/// Longest a probe waits for the vendor.
const LONGEST_PROBE: Duration = Duration::from_secs(5);
/// A vendor that stays silent for this long counts as failed; a caller may be less patient.
const SILENCE: Duration = Duration::from_secs(1);

/// A request under way, for the breaker: given up after a while of silence it is a failure.
struct Watched<'a, D: Dialect> {
    client: &'a Client<D>,
    permit: Option<Permit<'a>>,
    start: Instant,
}

impl<D: Dialect> Client<D> {
    /// All attempts of one request.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        cx: &Context,
        operation: &'static Operation<D::Style>,
        outgoing: &Outgoing,
        send_state: &SendState,
    ) -> Result<Bytes> {
        let _permit = self.limit.permit(cx.deadline()).await?;
        self.retries.earn();
        let mut attempts = 0;
        let mut refreshed = None;
        loop {
            attempts += 1;
            cx.set_operation(operation.name);
            let Authorized { url, headers, credentials } =
                self.dialect.authorize(cx, operation, outgoing, refreshed.as_ref()).await?;
            let mut watched =
                Watched { client: &**self, permit: Some(self.acquire(operation)?), start: Instant::now() };
            let sent = self.send(cx, operation, outgoing, url, headers, send_state).await;
            let took = watched.start.elapsed();
            let reply = match sent {
                Ok(reply) => reply,
                Err(Failure::NotSent(CALLER_GONE)) => {
                    // Nothing was learned about the vendor, and nobody waits for another attempt.
                    watched.permit = None;
                    return Err(failed(&self.center, operation, &Failure::NotSent(CALLER_GONE)));
                }
                Err(failure) => {
                    watched.ended(matches!(failure, Failure::TooLarge));
                    let not_sent = matches!(failure, Failure::NotSent(_));
                    self.metrics.vendor_request(&self.center, operation.name, failure.outcome(), Some(took));
                    let may_retry = (operation.repeatable && !matches!(failure, Failure::TooLarge)) || not_sent;
                    if may_retry && self.pause(cx, attempts, None).await {
                        continue;
                    }
                    return Err(failed(&self.center, operation, &failure));
                }
            };
            let parsed = self.dialect.parse(operation, &reply);
            watched.ended(!(reply.status.is_server_error() && parsed.says_nothing()));
            self.metrics.vendor_request(&self.center, operation.name, parsed.outcome(), Some(took));
            tracing::debug!(
                center = self.center,
                operation = operation.name,
                status = reply.status.as_u16(),
                outcome = parsed.outcome(),
                took_ms = took.as_millis(),
                trace_id = cx.trace_id(),
                "vendor answered"
            );
            match parsed {
                ParsedResponse::Payload(payload) => {
                    if refreshed.is_some() {
                        self.dialect.confirm(&credentials);
                    }
                    return Ok(payload);
                }
                ParsedResponse::Unreadable(why) => {
                    return Err(unreadable(operation, Some(&reply)).with("cause", why));
                }
                ParsedResponse::Refused(refusal) => {
                    let refused_us = refusal.read == ErrorReason::VendorAuthFailed;
                    if refused_us && refreshed.is_none() {
                        // An explicit refusal did nothing, so even a write is sent again, once.
                        send_state.mark_not_sent();
                        refreshed = self.dialect.refresh(cx, &credentials, &reply).await?;
                        if refreshed.is_some() {
                            continue;
                        }
                    }
                    let passing = retry::is_passing(reply.status) && refusal.code.is_empty();
                    if operation.repeatable && passing && self.pause(cx, attempts, Some(&reply)).await {
                        continue;
                    }
                    let sent = outgoing.body.as_deref().map(redact::secrets_in).unwrap_or_default();
                    let mut secrets = self.dialect.secrets();
                    secrets.extend(self.dialect.credential_secrets(&credentials));
                    secrets.extend(sent.iter().map(String::as_str));
                    return Err(refused(operation, &reply, refusal, &secrets));
                }
            }
        }
    }

    /// Asks the breaker. When only a probe could close it and this is a write, a probe is made beside it.
    fn acquire(self: &Arc<Self>, operation: &Operation<D::Style>) -> Result<Permit<'_>> {
        self.breaker.acquire(operation.repeatable).map_err(|refused| {
            if refused.needs_probe
                && let Some(probe) = self.probe.get()
            {
                let cx = Context::new("Probe", String::new(), Instant::now() + LONGEST_PROBE);
                tokio::spawn(probe(self.clone(), cx));
            }
            self.metrics.vendor_request(&self.center, operation.name, "breaker_open", None);
            refused.error().from_vendor(Vendor { operation: operation.name, ..Vendor::default() })
        })
    }

    /// One attempt.
    async fn send(
        &self,
        cx: &Context,
        operation: &Operation<D::Style>,
        outgoing: &Outgoing,
        url: url::Url,
        headers: http::HeaderMap,
        send_state: &SendState,
    ) -> Result<HttpResponse, Failure> {
        if !operation.repeatable && !cx.begin_write() {
            return Err(Failure::NotSent(CALLER_GONE));
        }
        send_state.mark_sent();
        let request = HttpRequest {
            method: operation.method.clone(),
            url,
            headers,
            body: outgoing.body.clone(),
            repeatable: operation.repeatable,
        };
        let result = self.connections.transport.send(request, self.max_response_size).await;
        match result {
            Err(Failure::NotSent(_)) => send_state.mark_not_sent(),
            _ => cx.mark_sent(),
        }
        result
    }

    /// Waits before another attempt. `false` when there must be none.
    async fn pause(&self, cx: &Context, attempts: u32, reply: Option<&HttpResponse>) -> bool {
        match self.retries.pause(attempts, reply.map(|reply| &reply.headers)) {
            Some(pause) if Instant::now() + pause < cx.deadline() => {
                tokio::time::sleep(pause).await;
                true
            }
            _ => false,
        }
    }
}

// === impl Watched ===

impl<D: Dialect> Watched<'_, D> {
    /// Tells the breaker what came of the request.
    fn ended(&mut self, answered: bool) {
        let Some(permit) = self.permit.take() else { return };
        match if answered { permit.succeeded() } else { permit.failed() } {
            Change::None => {}
            change => {
                let open = change == Change::Opened;
                self.client.metrics.breaker(&self.client.center, D::FAMILY, open);
                tracing::warn!(center = self.client.center, family = D::FAMILY, open, "breaker");
            }
        }
    }
}

impl<D: Dialect> Drop for Watched<'_, D> {
    fn drop(&mut self) {
        if self.start.elapsed() >= SILENCE {
            self.ended(false);
        }
    }
}

// === impl ParsedResponse ===

impl ParsedResponse {
    /// Whether the answer holds no word of the vendor's own.
    fn says_nothing(&self) -> bool {
        match self {
            Self::Payload(_) => false,
            Self::Refused(refusal) => refusal.code.is_empty(),
            Self::Unreadable(_) => true,
        }
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Payload(_) => "ok",
            Self::Refused(_) => "refused",
            Self::Unreadable(_) => "unreadable",
        }
    }
}
