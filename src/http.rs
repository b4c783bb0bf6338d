//! The vendor HTTP client: the only code that sends.
//!
//! [`Client::call`] runs these steps in order: it acquires a permit from the center's [`limit`], adds the dialect's
//! credentials, sends the request under the call's deadline, reads a body of bounded size, unwraps the dialect's
//! envelope, and deserializes the typed response. Every attempt repeats all steps after the permit, because signatures
//! expire.
//!
//! Two facts alone decide what a failure means: whether the operation is repeatable, and whether the request may have
//! been sent. [`crate::detached`] lets a write run on after its caller disconnected; this module does not.

mod breaker;
mod connect_error;
mod dialect;
mod endpoint;
mod exchange;
mod failure;
mod limit;
mod origin;

pub(crate) mod retry;
mod send_state;
mod status;
mod tls;
mod transport;

#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use tokio::{sync::Semaphore, time::timeout_at};
use tokio_util::task::TaskTracker;

use self::{
    breaker::Breaker,
    failure::{past_deadline, unreadable},
    limit::Limit,
    retry::Retries,
    send_state::SendState,
};
pub(crate) use self::{dialect::REQUEST_HEADERS, origin::Origin};
pub use self::{
    dialect::{Authorized, Dialect, HttpResponse, ParsedResponse, Refusal},
    endpoint::{Endpoint, Operation, Outgoing},
    status::StatusMeaning,
    transport::{Failure, HttpRequest, Network, Transport},
};
use crate::{
    body,
    clock::Clock,
    config,
    context::Context,
    error::{Error, Result},
    telemetry::Metrics,
};

/// Connections to vendors. All centers share one value.
#[derive(Debug, Clone)]
pub struct Connections {
    transport: Arc<dyn Transport>,
    /// Running writes, including those whose callers disconnected.
    running_writes: TaskTracker,
}

/// The client of one API family at one center.
#[derive(Debug)]
pub struct Client<D> {
    center: String,
    dialect: D,
    connections: Connections,
    limit: Limit,
    retries: Retries,
    breaker: Breaker,
    probe: OnceLock<Probe<D>>,
    /// Held by the gateway's own probe: there is one at a time.
    probe_permit: Arc<Semaphore>,
    max_response_size: usize,
    clock: Clock,
    metrics: Metrics,
}

/// Sends one read without side effects to a vendor.
pub type Probe<D> = fn(Arc<Client<D>>, Context) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

// === impl Connections ===

impl Connections {
    /// Connections over the real network.
    ///
    /// # Errors
    /// When the system's trusted certificates cannot be read.
    pub fn new() -> Result<Self> {
        Ok(Self::over(Arc::new(Network::new()?)))
    }

    /// Connections over the given transport.
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self { transport, running_writes: TaskTracker::new() }
    }

    /// Running writes, including those whose callers disconnected. A graceful shutdown waits for them.
    pub fn running_writes(&self) -> TaskTracker {
        self.running_writes.clone()
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
        clock: Clock,
        metrics: Metrics,
    ) -> Arc<Self> {
        metrics.breaker(center, D::FAMILY, false);
        Arc::new(Self {
            center: center.to_owned(),
            dialect,
            connections,
            limit: Limit::new(&config.limits),
            retries: Retries::new(&config.retry),
            breaker: Breaker::new(&config.breaker),
            probe: OnceLock::new(),
            probe_permit: Arc::new(Semaphore::new(1)),
            max_response_size: config.limits.max_response_size,
            clock,
            metrics,
        })
    }

    /// Sets the probe of the breaker. Without it a center that receives only writes never closes its breaker, because a
    /// write must not probe; and requests that callers abandon never open it.
    pub fn probe_with(&self, probe: Probe<D>) {
        let _ = self.probe.set(probe);
    }

    /// The dialect that authenticates this client.
    pub fn dialect(&self) -> &D {
        &self.dialect
    }

    /// Calls one operation.
    ///
    /// # Errors
    /// The reason that `failure` maps the vendor's code, HTTP status or transport failure to, with the vendor's code
    /// and text.
    pub async fn call<E: Endpoint<Dialect = D>>(self: &Arc<Self>, cx: &Context, endpoint: &E) -> Result<E::Response> {
        if cx.rejected().is_some() {
            return Err(Error::internal("a request that the contract rejects is not sent"));
        }
        let operation = E::operation();
        let outgoing = Outgoing::from_endpoint(endpoint)?;
        let payload = self.execute(cx, operation, &outgoing).await?;
        body::from_json(&payload).map_err(|error| {
            // The error's Display quotes the payload.
            let place = format!("line {}, column {} of the payload", error.line(), error.column());
            tracing::warn!(center = self.center, operation = operation.name, place, "unreadable vendor response");
            let cause = match body::shown_cause(&error) {
                Some(cause) => cause.to_owned(),
                None => format!("does not match the documented shape at {place}"),
            };
            unreadable(operation, None).with("cause", cause)
        })
    }

    /// Sends a read until the call's deadline, and a write until the write deadline.
    async fn execute(
        self: &Arc<Self>,
        cx: &Context,
        operation: &'static Operation<D::Style>,
        outgoing: &Outgoing,
    ) -> Result<Bytes> {
        let send_state = SendState::default();
        let deadline = if operation.repeatable { cx.deadline() } else { cx.write_deadline() };
        match timeout_at(deadline, self.exchange(cx, operation, outgoing, &send_state)).await {
            Ok(result) => result,
            Err(_) => {
                if send_state.may_have_been_sent() {
                    self.metrics.vendor_request(&self.center, operation.name, "timeout", None);
                }
                Err(past_deadline(cx, operation, send_state.may_have_been_sent()))
            }
        }
    }
}
