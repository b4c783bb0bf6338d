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
mod handover;
mod limit;
mod mismatch;
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
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
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
    handover::Waiting,
    mismatch::Mismatch,
    status::StatusMeaning,
    transport::{Failure, HttpRequest, Network, Transport},
};
use crate::{
    body,
    clock::Clock,
    config,
    context::Context,
    error::{Error, Result},
    offload::Offload,
    telemetry::Metrics,
};

/// Connections to vendors. All centers share one value.
#[derive(Debug, Clone)]
pub struct Connections {
    transport: Arc<dyn Transport>,
    /// Running writes, including those whose callers disconnected.
    running_writes: TaskTracker,
    offload: Offload,
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
    max_list_size: usize,
    /// How many writes have begun or ended.
    changes: AtomicU64,
    clock: Clock,
    metrics: Metrics,
}

/// A running write.
struct Change<'a>(&'a AtomicU64);

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
        Self { transport, running_writes: TaskTracker::new(), offload: Offload::new() }
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
            max_list_size: config.limits.max_list_size.max(config.limits.max_response_size),
            changes: AtomicU64::new(0),
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

    /// Counts the writes that have begun or ended: what was read before the count last changed may be outdated.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Calls one operation.
    ///
    /// # Errors
    /// The reason that `failure` maps the vendor's code, HTTP status or transport failure to, with the vendor's code
    /// and text.
    pub async fn call<E: Endpoint<Dialect = D>>(self: &Arc<Self>, cx: &Context, endpoint: &E) -> Result<E::Response> {
        self.call_with(cx, endpoint, |payload| Ok(body::from_json(&payload)?)).await
    }

    /// Calls one operation and reads its payload with `read`. That of a large payload runs outside the threads that
    /// serve calls.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_with<E: Endpoint<Dialect = D>, T: Send + 'static>(
        self: &Arc<Self>,
        cx: &Context,
        endpoint: &E,
        read: impl FnOnce(Bytes) -> Result<T, Mismatch> + Send + 'static,
    ) -> Result<T> {
        if cx.rejected().is_some() {
            return Err(Error::internal("a request that the contract rejects is not sent"));
        }
        let operation = E::operation();
        let outgoing = Outgoing::from_endpoint(endpoint)?;
        let payload = self.execute(cx, operation, &outgoing).await?;
        let result = self.offload(cx, operation, payload.len(), move || read(payload)).await?;
        result.map_err(|mismatch| self.mismatched(operation, mismatch))
    }

    /// The error of a payload that does not have the documented shape.
    pub fn mismatched(&self, operation: &Operation<D::Style>, mismatch: Mismatch) -> Error {
        let place = mismatch.place();
        tracing::warn!(center = self.center, operation = operation.name, place, "unreadable vendor response");
        unreadable(operation, None).with("cause", mismatch.cause())
    }

    /// Does work on a response of this size, outside the threads that serve calls if it is large.
    ///
    /// # Errors
    /// When the deadline of a read passes.
    pub async fn offload<T: Send + 'static>(
        &self,
        cx: &Context,
        operation: &Operation<D::Style>,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let work = self.connections.offload.run(size, work);
        if operation.repeatable {
            timeout_at(cx.deadline(), work).await.map_err(|_| past_deadline(cx, operation, true))
        } else {
            Ok(work.await)
        }
    }

    /// Sends a read until the call's deadline, and a write until the write deadline.
    async fn execute(
        self: &Arc<Self>,
        cx: &Context,
        operation: &'static Operation<D::Style>,
        outgoing: &Outgoing,
    ) -> Result<Bytes> {
        let send_state = SendState::default();
        let _change = (!operation.repeatable).then(|| Change::begin(&self.changes));
        let deadline = if operation.repeatable { cx.deadline() } else { cx.write_deadline() };
        match timeout_at(deadline, self.exchange(cx, operation, outgoing, &send_state)).await {
            Ok(result) => result,
            Err(_) => {
                let outcome = if send_state.may_have_been_sent() { "timeout" } else { "not_sent" };
                self.metrics.vendor_request(&self.center, operation.name, outcome, None);
                Err(past_deadline(cx, operation, send_state.may_have_been_sent()))
            }
        }
    }
}

// === impl Change ===

impl<'a> Change<'a> {
    fn begin(changes: &'a AtomicU64) -> Self {
        changes.fetch_add(1, Ordering::AcqRel);
        Self(changes)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
