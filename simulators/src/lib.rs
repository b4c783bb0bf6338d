//! Simulators of the vendors' REST backends: Udesk `ccapi/v2` and Huawei Cloud AICC.
//!
//! They are built from the vendors' documents and share no code with the gateway's adapters, so that a mistake does not
//! cancel itself out.

mod clock;
pub mod faults;
pub mod huawei;
pub mod udesk;

pub use self::clock::Clock;
