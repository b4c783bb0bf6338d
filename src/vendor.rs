//! The vendors' adapters. Only this module matches on a vendor's name.

pub(crate) mod de;
pub(crate) mod huawei;
mod nameless;
pub(crate) mod slices;
pub(crate) mod udesk;
mod vendor_data_reader;
mod written_back;

use std::sync::Arc;

use crate::{
    adapter::Adapter, check::Check, clock::Clock, config, error::Result, event::address::Addresses, http::Connections,
    lists::Lists, store::kv::KeyValueStore, telemetry::Metrics, token::Tokens,
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
    /// Lists that callers walk through.
    pub lists: Lists,
    /// Durable key-value entries.
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
        config::Vendor::Udesk(udesk) => Arc::new(udesk::Udesk::new(id, center, udesk, parts)?),
        config::Vendor::Huawei(huawei) => Arc::new(huawei::Huawei::new(id, center, huawei, parts)?),
    })
}

/// The operations that the gateway calls at a center of this vendor, as metrics name them.
pub fn operations(vendor: &config::Vendor) -> &'static [&'static str] {
    match vendor {
        config::Vendor::Udesk(_) => udesk::OPERATIONS,
        config::Vendor::Huawei(_) => huawei::OPERATIONS,
    }
}

/// Rejects the paths of an update mask that an adapter does not know, so that a new path is not ignored.
fn refuse_other_paths(check: &mut Check, resource: &str, mask: &[String], known: &[&str]) {
    for path in mask.iter().filter(|path| !known.contains(&path.as_str())) {
        check.unsupported(format!("{resource}.{path}"), "this vendor cannot change it");
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use regex::Regex;

    use super::*;

    /// An endpoint that is missing from its vendor's list would have no metrics until it is first called.
    #[test]
    fn every_endpoint_is_an_operation_of_its_vendor() {
        let endpoint = Regex::new(r#"endpoint!\(\s*\w+: [^"]*?, (GET|POST|PUT|DELETE) "([^"]+)""#).unwrap();
        // One row per vendor.
        for (vendor, operations) in [("udesk", udesk::OPERATIONS), ("huawei", huawei::OPERATIONS)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vendor").join(vendor);
            let mut declared = BTreeSet::new();
            for file in fs::read_dir(folder).unwrap() {
                let code = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
                declared.extend(endpoint.captures_iter(&code).map(|found| format!("{} {}", &found[1], &found[2])));
            }
            assert!(!declared.is_empty(), "{vendor}: the pattern finds no endpoint");
            assert_eq!(declared, operations.iter().map(|&name| name.to_owned()).collect(), "{vendor}");
        }
    }
}
