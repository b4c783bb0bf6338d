//! The store that gateways share, against a real nats-server: `cargo test --test nats`.
//!
//! A plain `cargo test` does not run it, because it needs that server; `.ci/run nats` installs it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

#[path = "../suites/event_log.rs"]
mod event_log;
#[path = "../suites/idempotency.rs"]
mod idempotency;
#[path = "../suites/kv.rs"]
mod kv;

mod cluster;
mod lost;
mod outages;
mod server;
mod start;
mod stores;
mod tls;
mod two_gateways;
