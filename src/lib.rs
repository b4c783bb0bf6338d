//! Switchboard: one gRPC contract for every contact center.

pub mod adapter;
pub mod capability;
pub mod center;
pub mod check;
pub mod clock;
pub mod config;
pub mod context;
pub mod error;
pub mod gateway;
pub mod http;
pub mod idempotency;
pub mod name;
pub mod outlive;
pub mod page;
pub mod proto;
pub mod sandbox;
pub mod serial;
pub mod server;
pub mod service;
pub mod storage;
pub mod telemetry;
pub mod token;
pub mod vendor;
pub mod vendor_data;
