//! Huawei Cloud AICC, the interfaces behind its API Fabric (family C1: bearer token).
//!
//! Sources: the Huawei documents on `querySysInfo`, `queryPhone` (V2) and `agentsettings/query`, and Huawei's public
//! documentation by section (A, B1 to B3). Where they contradict themselves:
//!
//! - paths are spelled in several ways (B1), so each operation has its path as data, and a center can override it:
//!   [`fabric`];
//! - every family has its own return code (B2): [`family`];
//! - ports and limits are text in the tables and numbers in the examples: [`crate::vendor::lenient`];
//! - the example of `queryPhone` has the shape of its first version: [`softphones`];
//! - passwords come in clear in ordinary answers; they leave the adapter by `AccessSoftphoneCredentials` alone.

mod accounts;
mod agent_changes;
mod agents;
mod capabilities;
mod credentials;
mod directory;
mod extensions;
mod extras;
mod fabric;
mod family;
mod formats;
mod memberships;
mod operations;
mod partial;
mod phone_numbers;
mod queue_changes;
mod queues;
mod sessions;
mod settings;
mod slices;
mod softphones;
#[cfg(test)]
mod tests;
mod tokens;
mod wrapping;

use std::sync::Arc;

use async_trait::async_trait;

use self::{directory::Directory, fabric::Fabric, wrapping::Wrapping};
use crate::{
    adapter::{Adapter, Calls, Subscriptions},
    config,
    context::Context,
    error::Result,
    http::Client,
    proto::v1,
    serial::Serial,
    vendor::Parts,
};

/// The vendor's name in the contract.
pub const NAME: &str = "huawei";

/// One Huawei tenant.
#[derive(Debug)]
pub struct Huawei {
    fabric: Arc<Client<Fabric>>,
    directory: Directory,
    wrapping: Wrapping,
    /// One change at a time of what is read, merged and written back, by resource name.
    turns: Serial<String>,
}

// === impl Huawei ===

impl Huawei {
    /// The adapter of a configured center.
    pub fn new(id: &str, center: &config::Center, huawei: &config::Huawei, parts: &Parts) -> Self {
        let dialect = Fabric::new(id, center, huawei, parts);
        Self {
            fabric: Client::new(id, center, dialect, parts.connections.clone(), parts.metrics.clone()),
            directory: Directory::new(parts.clock.clone()),
            wrapping: Wrapping::default(),
            turns: Serial::new(),
        }
    }
}

#[async_trait]
impl Adapter for Huawei {
    fn vendor(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> v1::Capabilities {
        capabilities::capabilities()
    }

    async fn probe(&self, cx: &Context) -> Result<()> {
        self.fabric.call(cx, &softphones::QuerySysInfo {}).await.map(|_| ())
    }
}

impl Calls for Huawei {}
impl Subscriptions for Huawei {}
