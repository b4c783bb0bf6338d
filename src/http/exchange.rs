//! All attempts of one request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Authorized, Client, Dialect, Failure, Opened, Operation, Outgoing, Parcel, Reply,
    breaker::{Change, Leave},
    departure::Departure,
    failure::{CALLER_GONE, failed, refused, unreadable},
    redact, retry,
};
use crate::{
    context::Context,
    error::{ErrorReason, Result, Vendor},
};

/// Longest a probe waits for the vendor.
const LONGEST_PROBE: Duration = Duration::from_secs(5);
/// A vendor that stays silent for this long counts as failed; a caller may be less patient.
const SILENCE: Duration = Duration::from_secs(1);

/// A request under way, for the breaker: given up after a while of silence it is a failure.
struct Watched<'a, D: Dialect> {
    client: &'a Client<D>,
    leave: Option<Leave<'a>>,
    start: Instant,
}

impl<D: Dialect> Client<D> {
    /// All attempts of one request.
    pub(super) async fn exchange(
        self: &Arc<Self>,
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
            cx.note_operation(operation.name);
            let Authorized { url, headers, pass } =
                self.dialect.authorize(cx, operation, outgoing, renewed.as_ref()).await?;
            let mut watched = Watched { client: &**self, leave: Some(self.enter(operation)?), start: Instant::now() };
            let sent = self.send(cx, operation, outgoing, url, headers, departure).await;
            let took = watched.start.elapsed();
            let reply = match sent {
                Ok(reply) => reply,
                Err(Failure::NotSent(CALLER_GONE)) => {
                    // Nothing was learned about the vendor, and nobody waits for another attempt.
                    watched.leave = None;
                    return Err(failed(&self.center, operation, &Failure::NotSent(CALLER_GONE)));
                }
                Err(failure) => {
                    watched.ended(matches!(failure, Failure::TooLarge));
                    let not_sent = matches!(failure, Failure::NotSent(_));
                    self.metrics.vendor_request(&self.center, operation.name, failure.outcome(), Some(took));
                    let may_repeat = (operation.repeatable && !matches!(failure, Failure::TooLarge)) || not_sent;
                    if may_repeat && self.pause(cx, attempts, None).await {
                        continue;
                    }
                    return Err(failed(&self.center, operation, &failure));
                }
            };
            let opened = self.dialect.open(operation, &reply);
            watched.ended(!(reply.status.is_server_error() && opened.says_nothing()));
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

    /// Asks the breaker. When only a probe could close it and this is a write, a probe is made beside it.
    fn enter(self: &Arc<Self>, operation: &Operation<D::Style>) -> Result<Leave<'_>> {
        self.breaker.enter(operation.repeatable).map_err(|refused| {
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
        departure: &Departure,
    ) -> Result<Reply, Failure> {
        if !operation.repeatable && !cx.leave() {
            return Err(Failure::NotSent(CALLER_GONE));
        }
        departure.leave();
        let parcel = Parcel {
            method: operation.method.clone(),
            url,
            headers,
            body: outgoing.body.clone(),
            repeatable: operation.repeatable,
        };
        let result = self.connections.transport.carry(parcel, self.max_response_size).await;
        match result {
            Err(Failure::NotSent(_)) => departure.came_back(),
            _ => cx.mark_sent(),
        }
        result
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
}

// === impl Watched ===

impl<D: Dialect> Watched<'_, D> {
    /// Tells the breaker what came of the request.
    fn ended(&mut self, answered: bool) {
        let Some(leave) = self.leave.take() else { return };
        match if answered { leave.succeeded() } else { leave.failed() } {
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

// === impl Opened ===

impl Opened {
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
