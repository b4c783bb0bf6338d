//! The gateway end to end: the real server over real sockets, against simulated and scripted vendors.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![expect(clippy::disallowed_methods, reason = "a test asks the gateway's own addresses")]

mod admission;
mod agent_states;
mod bad_input;
mod bytes;
mod config;
mod conformance;
mod contract;
mod detached;
mod errors;
mod events;
mod failures;
mod faults;
mod fields;
mod hostile;
mod house;
mod ingress;
mod limits;
mod limits_events;
mod limits_infrastructure;
mod limits_lists;
mod limits_locks;
mod limits_server;
mod lists;
mod operators;
mod panics;
mod process;
mod request_id;
mod responses;
mod retention;
mod secrecy;
mod server;
mod simulation;
mod statuses;
mod stores;
mod support;
mod tls;
mod violations;

#[path = "../suites/event_log.rs"]
mod event_log;
#[path = "../suites/idempotency.rs"]
mod idempotency;
#[path = "../suites/kv.rs"]
mod kv;
