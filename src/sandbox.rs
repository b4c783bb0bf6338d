//! The simulators.
pub mod huawei;
pub mod udesk;
