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

mod capabilities;
mod credentials;
mod fabric;
mod family;
mod settings;
mod softphones;
mod tokens;

use std::sync::Arc;

use async_trait::async_trait;

use self::fabric::Fabric;
use crate::{
    adapter::{Adapter, Agents, Calls, PhoneNumbers, Queues, Subscriptions},
    config,
    context::Context,
    error::Result,
    http::Client,
    proto::v1,
    vendor::Parts,
};

/// The vendor's name in the contract.
pub const NAME: &str = "huawei";

/// One Huawei tenant.
#[derive(Debug)]
pub struct Huawei {
    fabric: Arc<Client<Fabric>>,
}

// === impl Huawei ===

impl Huawei {
    /// The adapter of a configured center.
    pub fn new(id: &str, center: &config::Center, huawei: &config::Huawei, parts: &Parts) -> Self {
        let dialect = Fabric::new(id, center, huawei, parts);
        let fabric = Client::new(id, center, dialect, parts.connections.clone(), parts.metrics.clone());
        fabric.probe_with(|fabric, cx| Box::pin(async move { softphones::probe(&fabric, &cx).await }));
        Self { fabric }
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
        softphones::probe(&self.fabric, cx).await
    }
}

impl PhoneNumbers for Huawei {}
impl Agents for Huawei {}
impl Queues for Huawei {}
impl Calls for Huawei {}
impl Subscriptions for Huawei {}
