//! Switchboard: one gRPC contract for every contact center.
//!
//! Callers speak `contactcenter.v1.ContactCenter`; the gateway translates each call to the REST backend of the center
//! it names: Udesk `ccapi/v2` or Huawei Cloud AICC. A *center* is one tenant of one vendor, configured in the gateway,
//! which alone holds the vendor's credentials.
//!
//! # Layout
//!
//! A file is named for the type or function that it defines; a folder holds the submodules of the file of its name.
//!
//! | module | contents |
//! |---|---|
//! | [`proto`] | the contract's generated code and descriptors |
//! | [`config`] | the configuration file: one struct per table |
//! | [`gateway`] | builds centers and service from a configuration and binds the addresses |
//! | [`server`] | listeners, the request layer (context, deadline, counters), health, reflection, drain |
//! | [`service`] | the implementation of the contract; one submodule per family of resources |
//! | [`check`], [`name`], [`page`] | request validation, typed resource names, page tokens |
//! | [`center`] | the registry: center to adapter |
//! | [`adapter`], [`capability`] | the vendor-neutral traits of an adapter, and the table of what it supports |
//! | [`vendor`] | the adapters: [`vendor::udesk`] and [`vendor::huawei`], one file per family each |
//! | `body` | decodes and repairs the bytes of responses and callbacks |
//! | [`http`] | the vendor client, the only code that sends: endpoint, dialect, limits, breaker, retries |
//! | [`redact`] | masks secrets and personal data in text and JSON |
//! | [`token`] | access tokens: one fetch at a time, refreshed before they expire |
//! | [`idempotency`], [`detached`] | at most one run per `request_id`; writes that run on after their caller left |
//! | [`event`] | ingress, feed and watch: from a vendor's callback to the watchers' streams |
//! | [`store`] | durable state: event logs, idempotency, key-value entries; in SQLite or in NATS JetStream |
//! | [`lists`], [`offload`] | lists that are read once per walk; work on large responses |
//! | [`keyed_mutex`] | one lock per resource: serializes read-modify-write |
//! | [`vendor_data`] | fields without a neutral equivalent |
//! | [`error`] | the one error type, and the only place that names a gRPC code |
//! | [`drain`] | whether the gateway is draining |
//! | [`context`], [`clock`], [`telemetry`] | one call's context, injected time, metrics and logs |
//!
//! Dependencies point one way: `service -> center -> adapter <- vendor -> http`. [`adapter`] and [`error`] know no
//! vendor, and [`vendor`] knows no tonic.
//!
//! The vendors' simulators are a package of their own in the workspace, `simulators/`. Neither package's library
//! depends on the other; the program joins them behind its feature `sandbox`, and the tests call the adapters against
//! them.
//!
//! The contract's messages are the domain model. An adapter accepts typed names and the request, and returns the
//! contract's resource. There is no third model between contract and vendor.
//!
//! # Life of a call
//!
//! 1. [`server`] accepts a connection within its connection limit, and streams within HTTP/2's.
//! 2. The request layer builds the [`context::Context`] from the call's metadata: the trace ID and the deadline
//!    (`grpc-timeout` or the configured default, never above the configured maximum). It counts the call and enforces
//!    the deadline.
//! 3. [`service`] validates the request against the contract with [`check::Check`]: resource names become typed values
//!    of one center, and the error lists every violation.
//! 4. [`center::Centers`] looks up the center or fails with `CENTER_NOT_FOUND`. A call with a `request_id` goes through
//!    [`idempotency`]: it is recorded on disk before anything is sent, and a second call with the same ID gets a replay
//!    of the first response.
//! 5. The center's [`adapter::Adapter`] destructures the request without `..`, so that the compiler reports a new
//!    field. It validates what only its vendor requires and builds an [`http::Endpoint`]: the query or body of one REST
//!    operation.
//! 6. [`http::Client`] acquires a permit of the center's limits unless the circuit breaker is open. The
//!    [`http::Dialect`] signs the request or adds a token. The client sends it within the remaining time and reads the
//!    response up to the configured size; the dialect parses it. A read may be retried. A write that was sent is not
//!    retried, unless the vendor rejected the gateway's credentials.
//! 7. The adapter converts the response into the contract's resource. A value that the contract does not know becomes
//!    `_UNSPECIFIED` beside the vendor's own code; it never fails a call.
//! 8. [`service`] converts an [`error::Error`] into a gRPC status once, at its end. The request layer adds the same
//!    details to statuses that tonic itself generates.
//!
//! # Life of an event
//!
//! 1. [`event::address`] issues the callback address that a vendor posts to, and authenticates posts to it.
//! 2. [`event::ingress`] reads the body up to its limit and computes its [`store::fingerprint`].
//! 3. [`store::event_log::EventLog`] appends the body unless it is a duplicate. Events that arrive together share one
//!    commit. Only after the commit does the vendor get its 200.
//! 4. [`event::feed`] follows the log of each watched center: the adapter parses each body once, and each event is
//!    encoded once for all watchers.
//! 5. [`event::watch`] is one stream: it reads events after its position from the feed, or from the log where the feed
//!    does not reach back far enough.
//!
//! # Errors
//!
//! Every failed call is an [`error::Error`]: the contract's reason ([`error::ErrorReason`]), a message, and the
//! vendor's own code and message, redacted. The caller gets a `google.rpc.Status` with exactly one `ErrorInfo`. It says
//! whether a request may have reached the vendor. An unknown outcome is never `UNAVAILABLE`, because clients retry that
//! automatically. Configuration errors are a [`config::ConfigErrors`], which lists all of them.

mod adapter;
mod body;
mod capability;
pub mod center;
mod check;
pub mod clock;
pub mod config;
pub mod context;
mod detached;
pub mod drain;
pub mod error;
pub mod event;
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
pub mod http;
pub mod idempotency;
mod keyed_mutex;
pub mod lists;
mod name;
mod offload;
mod page;
pub mod proto;
mod redact;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod vendor;
mod vendor_data;
