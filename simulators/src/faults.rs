//! Fault injection: rules, changed while a simulator runs, make its vendor fail.
//!
//! A rule names an operation, how often it applies, and what happens: latency, a status, a reset connection, an
//! unreadable response, throttling, a wrong clock, revoked tokens, a batch applied in part. A request tries the rules
//! in the order in which they were added and triggers one of them at most. `docs/faults.md` is the reference of the
//! keys.
//!
//! # Layout
//!
//! `keys` reads a rule and `rule` decides whether a request triggers it. `fault` runs the operation with the fault
//! around it; `garbage` and `gzip_bomb` corrupt responses, `alteration` is what changes inside the operation.
//! `listener` accepts connections that a fault can reset. `rules` holds the rules of one simulator, and `admin` is
//! `/simulator/faults`.
//!
//! A simulator has one [`Faults`]. Once a request is read and its operation known, the simulator calls
//! [`Faults::trigger`] and runs the operation inside [`fault::Fault::inject`].

mod admin;
mod alteration;
mod fault;
mod garbage;
mod gzip_bomb;
mod keys;
mod listener;
mod rule;
mod rules;
#[cfg(test)]
mod testing;
mod vendor;

pub(crate) use self::{
    admin::routes,
    alteration::Alteration,
    listener::ResetHandle,
    vendor::{ReceivedRequest, Vendor},
};
pub use self::{
    listener::{Serving, serve},
    rules::Faults,
};
pub use crate::rule_error::RuleError;
