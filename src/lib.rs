//! Switchboard: one gRPC contract for every contact center.
//!
//! Callers speak `contactcenter.v1.ContactCenter`; the gateway translates each call to the REST backend of the center
//! it names: Udesk `ccapi/v2` or Huawei Cloud AICC. A *center* is one tenant of one vendor, configured in the gateway,
//! which alone holds the vendor's credentials.
//!
//! # Layout
//!
//! A file is named for the thing it holds, and a folder holds what belongs to the file of its name.
//!
//! | module | what it holds |
//! |---|---|
//! | [`proto`] | the contract's generated code and descriptors |
//! | [`config`] | the configuration file: one struct per table |
//! | [`gateway`] | a configuration becomes centers, a service and bound addresses |
//! | [`server`] | listeners, the edge (context, deadline, counters), health, reflection, drain |
//! | [`service`] | the one implementation of the contract; beneath it one file per family of resources |
//! | [`check`], [`name`], [`page`] | checked fields, typed resource names, page tokens |
//! | [`center`] | the registry: center to adapter |
//! | [`adapter`], [`capability`] | what is asked of a vendor, and how it says what it can do; no vendor's word in it |
//! | [`vendor`] | the adapters: [`vendor::udesk`] and [`vendor::huawei`], one file per family each |
//! | `body` | the bytes of a response or a callback become text: content codings, charsets, repair |
//! | [`http`] | the vendor client, the only code that sends: endpoint, dialect, limits, breaker, retries, redaction |
//! | [`token`] | access tokens, fetched once for all who wait |
//! | [`idempotency`], [`outlive`] | a repeated call is made once; a change outlives its caller |
//! | [`event`] | ingress, log, feed and watch: from a vendor's post to the streams of those who watch |
//! | [`stores`], [`state`] | what must outlive the gateway, wherever it is kept: events, outcomes, small facts |
//! | [`storage`], [`jetstream`] | the embedded database that keeps it, or what several gateways share |
//! | [`subscription`] | IDs of subscriptions, where a vendor tells them once |
//! | [`serial`], [`vendor_data`] | changes of one resource one after the other; fields without a neutral home |
//! | [`error`] | the one error type, and the only place that names a gRPC code |
//! | [`drain`] | whether the gateway is about to end |
//! | [`context`], [`clock`], [`telemetry`] | what is known of a call, time, metrics and logs |
//!
//! Dependencies point one way: `service -> center -> adapter <- vendor -> http`. [`adapter`] and [`error`] know no
//! vendor, and [`vendor`] knows no tonic.
//!
//! The vendors' simulators are a package of their own in the workspace, `simulators/`. Neither package's library depends
//! on the other; the program joins them behind its feature `sandbox`, and the tests call the adapters against them.
//!
//! The contract's messages are the domain model. Adapters take typed names and the request, and return the contract's
//! resource: there is no third model between contract and vendor.
//!
//! # Life of a call
//!
//! 1. [`server`] accepts a connection, within its limits, and HTTP/2 within its own.
//! 2. The edge builds the [`context::Context`] from the call's metadata: the deadline (`grpc-timeout`, or the
//!    configured default, never above the configured cap) and the trace ID. It counts the call, and answers for the
//!    deadline.
//! 3. [`service`] checks the request against the contract with [`check::Check`]: resource names become typed values of
//!    one center, and everything that is wrong is told at once.
//! 4. [`center::Centers`] finds the center, or answers `CENTER_NOT_FOUND`. A call with a `request_id` goes through
//!    [`idempotency`]: it is noted on disk before anything is sent, and a repeat gets the first answer.
//! 5. The center's [`adapter::Adapter`] takes the request apart, field by field and without `..`, so that a new field
//!    is not dropped silently. It checks what only its vendor demands and makes an [`http::Endpoint`]: a value that is
//!    one REST operation's query or body.
//! 6. [`http::Client`] waits for a place within the center's limits unless its breaker is open, lets the
//!    [`http::Dialect`] sign the request or add a token, sends it within the remaining time, reads the answer up to
//!    the configured size and lets the dialect open it. A read may be repeated. A write that was sent is not, unless
//!    the vendor refused the gateway's credentials.
//! 7. The adapter turns the typed answer into the contract's resource. A value that the contract does not know becomes
//!    `_UNSPECIFIED` beside the vendor's own code; it never fails a call.
//! 8. An [`error::Error`] becomes a status once, at the end of [`service`]. The edge gives the statuses that tonic
//!    makes by itself the same details.
//!
//! # Life of an event
//!
//! 1. [`event::address`] made the address that a vendor posts to, and knows it again.
//! 2. [`event::ingress`] reads the body within its bounds, and takes its [`event::fingerprint`].
//! 3. [`store::event_log::EventLog`] keeps it, unless it came before; its writer lets what comes at the same time share an fsync.
//!    Only now is the vendor answered 200.
//! 4. [`event::feed`] follows the log of a center that is watched: the adapter reads each body once, and it is encoded
//!    once for all who watch.
//! 5. [`event::watch`] is one stream: it takes from the feed what lies after its position, or reads the log for itself
//!    where the feed does not reach back.
//!
//! # Errors
//!
//! Every failed call is an [`error::Error`]: a reason of the contract ([`error::ErrorReason`]), a text for people, and
//! what the vendor said, made safe to show. The caller gets a `google.rpc.Status` with exactly one `ErrorInfo`.
//! Whether a write may have reached the vendor is part of it: an outcome that is not known is never `UNAVAILABLE`,
//! which clients repeat by themselves. What is wrong with a configuration is a [`config::ConfigErrors`], all of it at
//! once.

pub mod adapter;
mod body;
pub mod capability;
pub mod center;
pub mod check;
pub mod clock;
pub mod config;
pub mod context;
pub mod detached;
pub mod drain;
pub mod error;
pub mod event;
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
pub mod http;
pub mod idempotency;
pub mod keyed_mutex;
pub mod name;
pub mod page;
pub mod proto;
pub mod redact;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod vendor;
pub mod vendor_data;
