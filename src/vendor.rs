//! The vendors' adapters. Only this module matches on a vendor's name.

pub(crate) mod de;
pub(crate) mod huawei;
pub(crate) mod udesk;
mod vendor_data_reader;

use std::sync::Arc;

use crate::{
    adapter::Adapter, check::Check, clock::Clock, config, error::Result, event::address::Addresses, http::Connections,
    store::kv::KeyValueStore, telemetry::Metrics, token::Tokens,
};

/// What every adapter requires.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Connections to vendors.
    pub connections: Connections,
    /// Metrics.
    pub metrics: Metrics,
    /// Time.
    pub clock: Clock,
    /// Access tokens.
    pub tokens: Tokens,
    /// Small records that outlive the gateway.
    pub kv: Arc<dyn KeyValueStore>,
    /// Where vendors post events.
    pub addresses: Addresses,
}

/// Builds the adapter of a configured center.
///
/// # Errors
/// When an address in the configuration is not usable.
pub fn build(id: &str, center: &config::Center, parts: &Parts) -> Result<Arc<dyn Adapter>> {
    Ok(match &center.vendor {
        config::Vendor::Udesk(udesk) => Arc::new(udesk::Udesk::new(id, center, udesk, parts)),
        config::Vendor::Huawei(huawei) => Arc::new(huawei::Huawei::new(id, center, huawei, parts)),
    })
}

/// Rejects the paths of an update mask that an adapter does not know, so that a new path is not ignored.
fn refuse_other_paths(check: &mut Check, resource: &str, mask: &[String], known: &[&str]) {
    for path in mask.iter().filter(|path| !known.contains(&path.as_str())) {
        check.unsupported(format!("{resource}.{path}"), "this vendor cannot change it");
    }
}
