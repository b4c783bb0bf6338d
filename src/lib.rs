//! Switchboard: one gRPC contract for every contact center.

pub mod config;
pub mod sandbox;
