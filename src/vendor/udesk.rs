//! Udesk `ccapi/v2`.
//!
//! Source: the Udesk document; numbers such as "Udesk 12" are its operations. Where the document contradicts itself the
//! number of the contradiction (C1 to C66) stands beside the code that settles it:
//!
//! - one signature over account and time only, in the query string (C1 to C3): [`sign`];
//! - three envelopes, and a return code that decides whatever the HTTP status says (C6, C10, C11, C14): [`envelope`];
//! - two generations of return codes for one meaning (C13): [`codes`];
//! - IDs with `@app` behind them in some answers and without in others (C18, C19): [`VendorId`];
//! - numbers, booleans and lists in several spellings (C25, C30, C33, C46): [`crate::vendor::lenient`];
//! - nothing is paged (C35), so the gateway pages by ID.

mod agents;
mod calls;
mod capabilities;
mod codes;
mod envelope;
mod formats;
mod phone_numbers;
mod queues;
mod sessions;
mod sign;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer};

use self::sign::Ccapi;
use crate::{
    adapter::{Adapter, Extensions, Softphones, Subscriptions},
    config,
    context::Context,
    error::{Error, Result},
    http::Client,
    proto::v1,
    vendor::{Parts, lenient::Text},
};

/// The vendor's name in the contract.
pub const NAME: &str = "udesk";

/// One Udesk tenant.
#[derive(Debug)]
pub struct Udesk {
    ccapi: Arc<Client<Ccapi>>,
}

/// An ID as requests spell it: text or number, cut at the last `@` (C18, C19).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct VendorId(String);

// === impl Udesk ===

impl Udesk {
    /// The adapter of a configured center.
    pub fn new(id: &str, center: &config::Center, udesk: &config::Udesk, parts: &Parts) -> Self {
        let dialect = Ccapi::new(id, &center.base_url, udesk, parts.clock.clone(), parts.metrics.clone());
        let ccapi = Client::new(id, center, dialect, parts.connections.clone(), parts.metrics.clone());
        ccapi.probe_with(|ccapi, cx| Box::pin(async move { phone_numbers::probe(&ccapi, &cx).await }));
        Self { ccapi }
    }
}

#[async_trait]
impl Adapter for Udesk {
    fn vendor(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> v1::Capabilities {
        capabilities::capabilities()
    }

    async fn probe(&self, cx: &Context) -> Result<()> {
        phone_numbers::probe(&self.ccapi, cx).await
    }
}

impl Extensions for Udesk {}
impl Softphones for Udesk {}
impl Subscriptions for Udesk {}

/// In a list, "no records" is an empty list.
fn or_empty<T: Default>(result: Result<T>) -> Result<T> {
    match result {
        Err(error) if codes::is_no_records(error.vendor_code()) => Ok(T::default()),
        other => other,
    }
}

/// Names the resource in a vendor's "no records", which does not say what is missing.
fn about(error: Error, kind: &'static str, name: &impl ToString) -> Error {
    use crate::error::ErrorReason::{AgentStateConflict, ResourceExists, ResourceInUse, ResourceNotFound};
    match error.reason() {
        ResourceNotFound | ResourceExists | ResourceInUse | AgentStateConflict => error.about(kind, name.to_string()),
        _ => error,
    }
}

// === impl VendorId ===

impl<'de> Deserialize<'de> for VendorId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut id = Text::deserialize(deserializer)?.into_string();
        if let Some(at) = id.rfind('@') {
            id.truncate(at);
        }
        Ok(Self(id))
    }
}
