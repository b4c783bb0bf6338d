//! The vendor HTTP client: the only code that sends.
//!
//! [`Client::call`] takes an endpoint through, in this order: a place within the center's [`limit`], the dialect's
//! credentials, the request itself under the call's deadline, a body of bounded size, the dialect's wrapping, and last
//! the typed answer. Every attempt goes the whole way after the place, because signatures age.
//!
//! What a failure means depends on two things only: whether the operation is repeatable, and whether anything left. That a
//! write outlives its caller is not decided here but for the whole method, by [`crate::detached`].

mod breaker;
mod dialect;
mod endpoint;
mod exchange;
mod failure;
mod limit;

pub(crate) mod retry;
mod send_state;
mod transport;

#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;

use self::{
    breaker::Breaker,
    failure::{past_deadline, unreadable},
    limit::Limit,
    retry::Retries,
    send_state::SendState,
};
pub use self::{
    dialect::{Authorized, Dialect, HttpResponse, ParsedResponse, Refusal},
    endpoint::{Endpoint, Operation, Outgoing},
    transport::{Failure, HttpRequest, Network, Transport},
};
use crate::{config, context::Context, error::Result, telemetry::Metrics};

/// Connections to vendors. Made once, shared by all centers.
#[derive(Debug, Clone)]
pub struct Connections {
    transport: Arc<dyn Transport>,
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
    breaker: Breaker,
    probe: OnceLock<Probe<D>>,
    max_response_size: usize,
    metrics: Metrics,
}

/// Asks a vendor one harmless question.
pub type Probe<D> = fn(Arc<Client<D>>, Context) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

// === impl Connections ===

impl Connections {
    /// Connections over the real network.
    ///
    /// # Errors
    /// When the machine's trusted certificates cannot be read.
    pub fn new() -> Result<Self> {
        Ok(Self::over(Arc::new(Network::new()?)))
    }

    /// Connections over another network.
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self { transport, running: TaskTracker::new() }
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
        metrics.breaker(center, D::FAMILY, false);
        Arc::new(Self {
            center: center.to_owned(),
            dialect,
            connections,
            limit: Limit::new(&config.limits),
            retries: Retries::new(&config.retry),
            breaker: Breaker::new(&config.breaker),
            probe: OnceLock::new(),
            max_response_size: config.limits.max_response_size,
            metrics,
        })
    }

    /// Tells how to find out whether the vendor answers again, where only writes come that must not be the probe.
    pub fn probe_with(&self, probe: Probe<D>) {
        let _ = self.probe.set(probe);
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
        let payload = self.ask(cx, operation, &outgoing).await?;
        serde_json::from_slice(&payload).map_err(|error| {
            // Its Display would quote what it read.
            let place = format!("line {}, column {} of the payload", error.line(), error.column());
            tracing::warn!(center = self.center, operation = operation.name, place, "unreadable answer");
            unreadable(operation, None).with("cause", format!("does not match the documented shape at {place}"))
        })
    }

    /// Asks until the deadline; after a write was sent, as long as its answer is worth waiting for.
    async fn ask(
        self: &Arc<Self>,
        cx: &Context,
        operation: &'static Operation<D::Style>,
        outgoing: &Outgoing,
    ) -> Result<Bytes> {
        let send_state = SendState::default();
        let until = if operation.repeatable { cx.deadline() } else { cx.write_deadline() };
        match timeout_at(until, self.exchange(cx, operation, outgoing, &send_state)).await {
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
