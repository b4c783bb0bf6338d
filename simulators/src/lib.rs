//! Simulators of the vendors' REST backends: Udesk `ccapi/v2` and Huawei Cloud AICC.
//!
//! They are built from the vendors' documents and share no code with the gateway's adapters, so that a mistake does not
//! cancel itself out.
//!
//! # Layout
//!
//! | module | what it holds |
//! |---|---|
//! | [`udesk`], [`huawei`] | one simulator each: operations as a table, one file per family, the state they work on |
//! | [`faults`] | fault injection for both: rules that make a vendor fail |
//! | `journal` | the requests that a simulator received |
//! | `rule_error` | why a simulator refuses a rule |
//! | `clock` | time, injected |
//!
//! Imports have no cycles.

#![warn(unreachable_pub)]

mod clock;
pub mod faults;
pub mod huawei;
mod journal;
mod rule_error;
pub mod udesk;

pub use self::clock::Clock;
