//! Huawei Cloud AICC, the interfaces behind its API Fabric (family C1: bearer token).
//!
//! Sources: the Huawei documents on `querySysInfo`, `queryPhone` (V2) and `agentsettings/query`, and Huawei's public
//! documentation by section (A, B1 to B3). Where they contradict themselves:
//!
//! - several spellings of paths (B1), so each operation has its path as data and a center can override it:
//!   [`operations`];
//! - a return code per family (B2): [`envelope`];
//! - bodies that the tables wrap and the examples do not (B3.5 to B3.11): [`request_wrapper`];
//! - agents have numbers and accounts have names, and the samples of either omit the other (B3.2, B3.8): [`directory`];
//! - `userAccount` and `accountCode` for the same value (B3.11), and an empty list that means all agents (B3.10):
//!   [`memberships`];
//! - a new queue whose number the response may omit (B3.13), and `skillParam` with three parts or five:
//!   [`queue_changes`];
//! - access codes in a list with another name, or without one (B3.17), at most 200: [`phone_numbers`];
//! - ports and limits that are text in the tables and numbers in the examples: [`crate::vendor::de`];
//! - the example of `queryPhone`, which has the structure of its first version: [`extensions`];
//! - success without an ID, which means that a user has no call settings yet (B3.22): [`call_settings`];
//! - plaintext passwords in ordinary responses; only `AccessSoftphoneCredentials` returns them:
//!   [`softphone_credentials`];
//! - callbacks without a name, as JSON or as a Java map's text (B3.21): [`callbacks`].
//!
//! Huawei distinguishes "not found", "already exists" and "in use" from other refusals by text only, so one read after
//! a refusal decides. A change that needs several calls makes them in the order of the request: [`partial`].

mod accounts;
mod agent_changes;
mod agents;
pub(crate) mod api_fabric;
mod call_settings;
pub(crate) mod callbacks;
mod capabilities;
mod codes;
mod directory;
pub(crate) mod envelope;
mod extensions;
mod formats;
mod memberships;
mod operations;
mod paging;
mod partial;
mod phone_numbers;
mod queue_changes;
mod queues;
mod request_wrapper;
mod sessions;
mod softphone_credentials;
mod softphones;
mod statuses;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use self::{api_fabric::ApiFabric, directory::Directory, request_wrapper::RequestWrapper};
use crate::{
    adapter::{Adapter, Calls, Events, Subscriptions},
    config,
    context::Context,
    error::{Error, ErrorReason, Result},
    http::Client,
    keyed_mutex::KeyedMutex,
    lists::Lists,
    proto::v1,
    vendor::Parts,
};

/// The vendor's name in the contract.
pub(crate) const NAME: &str = "huawei";

/// The operations that the gateway calls, as metrics name them.
pub(super) const OPERATIONS: &[&str] = &[
    "POST accessCodeInfo/queryAccessCodeList",
    "POST agentAccount/addSkillsToAgent",
    "POST agentAccount/create",
    "POST agentAccount/delete",
    "POST agentAccount/query",
    "POST agentAccount/queryAgentInfoBySkillId",
    "POST agentAccount/releaseAgentBySkillId",
    "POST agentAccount/update",
    "POST agentsettings/create",
    "POST agentsettings/query",
    "POST agentsettings/update",
    "POST offline/agent/login",
    "POST offline/agent/logout",
    "GET queryAgentInfo",
    "POST queryPhone",
    "GET querySysInfo",
    "POST skill/createSkill",
    "POST skill/deleteSkill",
    "POST skill/modifySkill",
    "POST skill/querySkills",
    "POST tokenByAkSk",
];

/// The client of one tenant.
type Api = Arc<Client<ApiFabric>>;

/// One Huawei tenant.
#[derive(Debug)]
pub(crate) struct Huawei {
    api_fabric: Api,
    lists: Lists,
    directory: Directory,
    request_wrapper: RequestWrapper,
    /// Serializes read-modify-write changes, by resource name.
    locks: KeyedMutex<String>,
    app_secret: config::VendorSecret,
    callback_secret: Option<SecretString>,
}

// === impl Huawei ===

impl Huawei {
    /// The adapter of a configured center.
    ///
    /// # Errors
    /// When its address is no URI.
    pub(crate) fn new(id: &str, center: &config::Center, huawei: &config::Huawei, parts: &Parts) -> Result<Self> {
        let dialect = ApiFabric::new(id, center, huawei, parts)?;
        let api_fabric =
            Client::new(id, center, dialect, parts.connections.clone(), parts.clock.clone(), parts.metrics.clone());
        api_fabric
            .probe_with(|api_fabric, cx| Box::pin(async move { softphones::small_probe(&api_fabric, &cx).await }));
        Ok(Self {
            api_fabric,
            lists: parts.lists.clone(),
            directory: Directory::new(parts.clock.clone()),
            request_wrapper: RequestWrapper::default(),
            locks: KeyedMutex::new(),
            app_secret: huawei.app_secret.clone(),
            callback_secret: huawei.callback_secret.clone(),
        })
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
        softphones::probe(&self.api_fabric, cx).await
    }
}

impl Calls for Huawei {}
impl Subscriptions for Huawei {}

/// The callback address is entered in the vendor's console (B3.21), so its secret is configured.
impl Events for Huawei {
    fn can_post(&self) -> Result<()> {
        if self.callback_secret.is_some() {
            return Ok(());
        }
        Err(Error::new(
            ErrorReason::CenterMisconfigured,
            "this center receives no events: callback_secret is not configured; the operator can set it and enter the callback \
             address in Huawei's console",
        ))
    }

    fn callback_secret(&self) -> Option<&SecretString> {
        self.callback_secret.as_ref()
    }

    fn acknowledgement(&self) -> &'static str {
        r#"{"retCode":"0","retMsg":"success"}"#
    }

    fn read_event(&self, center: &str, body: &[u8]) -> v1::Event {
        let secrets = self.callback_secret.iter().map(ExposeSecret::expose_secret).chain(self.app_secret.iter());
        callbacks::read_event(center, body, &secrets.collect::<Vec<_>>())
    }
}

/// Whether Huawei itself refused a request, for a reason that only its text names. A firewall's refusal has no code.
fn is_refused(error: &Error) -> bool {
    error.reason() == ErrorReason::VendorRejected && !error.vendor_code().is_empty()
}
