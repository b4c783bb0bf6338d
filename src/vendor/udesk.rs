//! Udesk `ccapi/v2`.
//!
//! Source: the Udesk document; numbers such as "Udesk 12" are its operations. Where the document contradicts itself the
//! number of the contradiction (C1 to C66) stands beside the code that resolves it:
//!
//! - a signature over account and time only, in the query string (C1 to C4): `ccapi`;
//! - three envelopes, and a return code that overrides the HTTP status (C6, C10, C11, C14): `envelope`;
//! - two generations of return codes (C13), and rules whose code is not named (C62): `codes`, `is_vague`;
//! - IDs with the suffix `@app` in some responses only (C18, C19): `VendorId`;
//! - numbers, booleans and lists in several spellings (C25, C30, C33, C46): [`crate::vendor::de`];
//! - agents in three spellings (C33, C55, C56), without pages (C35), so the gateway pages by ID: `agent_records`;
//! - extensions that are numbers or objects (C30), numbers that are not accounts (C24): `extensions`;
//! - queues that get another ID than requested, or none (C20, C21, C38), and are written whole (C15): `queue_changes`;
//! - subscriptions whose ID Udesk returns only once (C42, C45, C46): `subscription_responses`, `subscription_changes`,
//!   `subscription_list`;
//! - events whose names are documented and whose payload is not (Udesk 18): [`callbacks`].

mod agent_changes;
mod agent_records;
mod agent_states;
mod agents;
pub(crate) mod callbacks;
mod calls;
mod capabilities;
pub(crate) mod ccapi;
mod codes;
pub(crate) mod envelope;
mod events;
mod extensions;
mod formats;
mod known_numbers;
mod memberships;
pub(crate) mod operations;
mod phone_numbers;
mod queue_changes;
mod queues;
mod sessions;
mod softphone_credentials;
mod softphones;
mod statuses;
mod subscription_changes;
mod subscription_list;
mod subscription_responses;
mod subscription_spec;
mod subscriptions;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer};

use self::ccapi::Ccapi;
use crate::{
    adapter::{Adapter, Events},
    config,
    context::Context,
    error::{Error, ErrorReason, Result, Vendor},
    http::Client,
    keyed_mutex::KeyedMutex,
    lists::Lists,
    proto::v1,
    vendor::{
        Parts,
        de::{Integer, Text},
        nameless,
        slices::Incomplete,
    },
};

/// The vendor's name in the contract.
pub(crate) const NAME: &str = "udesk";

/// The operations that the gateway calls, as metrics name them.
pub(super) const OPERATIONS: &[&str] = &[
    "POST /agent/login",
    "POST /agent/logout",
    "GET /agents",
    "POST /agents",
    "DELETE /agents/extensions",
    "POST /agents/extensions",
    "DELETE /agents/queues",
    "POST /agents/queues",
    "GET /agents/{id}",
    "PUT /agents/{id}",
    "POST /callback2ivr",
    "DELETE /extensions",
    "POST /extensions",
    "DELETE /queues",
    "GET /queues",
    "POST /queues",
    "PUT /queues",
    "POST /queues/agents",
    "GET /queues/agents_list/{queue_id}",
    "GET /spnumbers",
    "DELETE /spnumbers/default",
    "PUT /spnumbers/default",
    "GET /subscriptions",
    "POST /subscriptions",
    "DELETE /subscriptions/{id}",
    "PUT /subscriptions/{id}",
];

/// The client of one tenant.
type Api = Arc<Client<Ccapi>>;

/// One Udesk tenant.
#[derive(Debug)]
pub(crate) struct Udesk {
    ccapi: Api,
    lists: Lists,
    subscriptions: subscription_changes::Register,
    /// Serializes changes of a queue, which is written whole (C15).
    queue_locks: KeyedMutex<String>,
    known_numbers: known_numbers::KnownNumbers,
    /// Of several calls with unknown numbers, one reads the list.
    known_numbers_lock: KeyedMutex<()>,
    agent_states: config::AgentStates,
    auth_token: config::VendorSecret,
}

/// An ID as requests spell it: text or number, without the suffix from the last `@` (C18, C19).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct VendorId(String);

// === impl Udesk ===

impl Udesk {
    /// The adapter of a configured center.
    ///
    /// # Errors
    /// When its address is no URI.
    pub(crate) fn new(id: &str, center: &config::Center, udesk: &config::Udesk, parts: &Parts) -> Result<Self> {
        let dialect = Ccapi::new(id, &center.base_url, udesk, parts.clock.clone(), parts.metrics.clone())?;
        let ccapi =
            Client::new(id, center, dialect, parts.connections.clone(), parts.clock.clone(), parts.metrics.clone());
        ccapi.probe_with(|ccapi, cx| Box::pin(async move { phone_numbers::probe(&ccapi, &cx).await }));
        let subscriptions = subscription_changes::Register::new(ccapi.clone(), &center.base_url, parts);
        Ok(Self {
            ccapi,
            lists: parts.lists.clone(),
            subscriptions,
            queue_locks: KeyedMutex::new(),
            known_numbers: known_numbers::KnownNumbers::new(parts.clock.clone()),
            known_numbers_lock: KeyedMutex::new(),
            agent_states: udesk.agent_states.clone(),
            auth_token: udesk.auth_token.clone(),
        })
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

/// The document does not say how to acknowledge a callback; this is its form of success (C6).
impl Events for Udesk {
    fn acknowledgement(&self) -> &'static str {
        r#"{"ErrCode":"000000","ErrDesc":"OK"}"#
    }

    fn read_event(&self, center: &str, body: &[u8]) -> v1::Event {
        callbacks::read_event(center, body, &self.auth_token.iter().collect::<Vec<_>>(), &self.agent_states)
    }
}

/// For a list, "no records" is an empty list.
fn or_empty<T: Default>(result: Result<T>) -> Result<T> {
    match result {
        Err(error) if codes::is_no_records(error.vendor_code()) => Ok(T::default()),
        other => other,
    }
}

/// Adds the one resource that Udesk's code can be about. A response without a code names none.
fn about(error: Error, kind: &'static str, name: &impl ToString) -> Error {
    use ErrorReason::{AgentStateConflict, ResourceExists, ResourceNotFound};
    let is_refusal = matches!(error.reason(), ResourceNotFound | ResourceExists | AgentStateConflict);
    if is_refusal && codes::is_about(error.vendor_code(), kind) { error.about(kind, name.to_string()) } else { error }
}

/// The same for a resource that is being created: it cannot be what is missing.
fn about_new(error: Error, kind: &'static str, name: &impl ToString) -> Error {
    if error.reason() == ErrorReason::ResourceExists { about(error, kind, name) } else { error }
}

/// Whether Udesk itself reported that the record does not exist. A proxy's 404 does not count, nor does any other code.
fn is_missing(error: &Error) -> bool {
    error.reason() == ErrorReason::ResourceNotFound && codes::is_no_records(error.vendor_code())
}

/// Whether a refusal does not say which rule was broken: the document names no code for several rules (C62).
fn is_vague(error: &Error) -> bool {
    matches!(error.reason(), ErrorReason::VendorRejected | ErrorReason::VendorCodeUnmapped)
}

/// The error of a write that Udesk accepted without the ID that the contract returns.
fn done_without_id(operation: &'static str, message: &'static str) -> Error {
    let vendor = Vendor { operation, code: codes::SUCCESS.to_owned(), ..Vendor::default() };
    nameless::written(message).from_vendor(vendor)
}

/// Why a list is not whole, from its `CurrPage`, `TotalPage` and `Total`; empty when it is whole (C35).
///
/// `given` items are returned, and `nameless` ones left out.
fn incomplete_reason([current, last, total]: [Integer; 3], given: usize, nameless: usize, items: &str) -> String {
    let given = given + nameless;
    let (current, last) = (current.0.unwrap_or(1), last.0.unwrap_or(1));
    let total = total.0.and_then(|total| usize::try_from(total).ok()).filter(|total| *total > given);
    let incomplete = match total {
        _ if current < last => Some(Incomplete::OtherPages { current, last }),
        Some(total) => Some(Incomplete::Counted { total, given }),
        None => None,
    };
    let reason = incomplete.map(|incomplete| incomplete.reason("Udesk", items)).unwrap_or_default();
    nameless::joined([reason, nameless::reason("Udesk", nameless, items)])
}

/// A count, as the contract's type.
fn count(items: usize) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

// === impl VendorId ===

impl VendorId {
    /// Removes the suffix from the last `@`.
    fn cut(mut id: String) -> Self {
        if let Some(at) = id.rfind('@') {
            id.truncate(at);
        }
        Self(id)
    }
}

impl<'de> Deserialize<'de> for VendorId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|id| Self::cut(id.into_string()))
    }
}
