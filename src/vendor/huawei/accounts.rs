//! Agents' business accounts: agentAccount/query (B3.8), joined with the numbers of queryAgentInfo.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Huawei,
    api_fabric::ApiFabric,
    directory,
    directory::AgentAccountMap,
    operations::QUERY_ACCOUNTS,
    paging::NUMBERED,
    request_wrapper,
    request_wrapper::{Wrap, Wrapped},
};
use crate::{
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    lists::{Kept, Weigh},
    name::{AgentName, ExtensionName, QueueName, ResourceName as _},
    proto::v1,
    vendor::{
        de::{Integer, List, Text, weight_of_value},
        nameless,
        slices::{Batch, Item, Position, Slice},
    },
    vendor_data::VendorData,
};

/// `POST agentAccount/query` for one account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryAccount<'a> {
    user_account: &'a str,
}

/// `POST agentAccount/query` for one page of all accounts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryAccounts {
    page_num: usize,
    page_size: usize,
}

impl Wrap for QueryAccount<'_> {
    const MEMBER: &'static str = "requestParams";
}

impl Wrap for QueryAccounts {
    const MEMBER: &'static str = "requestParams";
}

endpoint!(ApiFabric: Wrapped<QueryAccount<'_>>, POST "agentAccount/query", ask, QUERY_ACCOUNTS => Accounts);
endpoint!(ApiFabric: Wrapped<QueryAccounts>, POST "agentAccount/query", ask, QUERY_ACCOUNTS => Accounts);

/// Response of agentAccount/query. The sample has no total.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Accounts {
    data: List<Account>,
    total: Integer,
}

/// An account. Samples lack the `workNo` that the table has.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Account {
    pub(super) user_account: Text,
    pub(super) user_name: Text,
    pub(super) phone: Text,
    pub(super) email: Text,
    pub(super) agent_type: Value,
    pub(super) cc_role_id: Value,
    pub(super) sip_account: Text,
    pub(super) skills: List<Membership>,
    pub(super) work_no: Text,
}

/// A queue of an account.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Membership {
    pub(super) skill_id: Text,
}

// === impl Account ===

impl Account {
    /// The agent as the contract shows it.
    pub(super) fn into_agent(self, center: &str, view: v1::View) -> v1::Agent {
        let vendor_data = match view {
            v1::View::Full => {
                VendorData::new().json("agentType", &self.agent_type).json("ccRoleId", &self.cc_role_id).build()
            }
            v1::View::Basic | v1::View::Unspecified => None,
        };
        let queue = |skill: &Membership| QueueName::text(center, &skill.skill_id);
        v1::Agent {
            name: AgentName::new(center, self.work_no.0).to_string(),
            display_name: self.user_name.into_string(),
            mobile_number: self.phone.into_string(),
            email: self.email.into_string(),
            login_account: self.user_account.into_string(),
            queues: self.skills.0.iter().filter_map(queue).collect(),
            extensions: extensions(center, &self.sip_account),
            vendor_data,
            ..v1::Agent::default()
        }
    }

    /// Whether the name, the number, the e-mail address or the phone number contains this lower-case text.
    pub(super) fn contains(&self, text: &str) -> bool {
        [&self.user_name, &self.work_no, &self.email, &self.phone]
            .into_iter()
            .any(|field| field.to_lowercase().contains(text))
    }

    /// Whether the agent is in this queue.
    pub(super) fn is_in(&self, skill_id: &str) -> bool {
        self.skills.0.iter().any(|skill| *skill.skill_id == *skill_id)
    }
}

impl Item for Account {
    fn key(&self) -> String {
        self.user_account.0.clone()
    }
}

impl Weigh for Account {
    fn weight(&self) -> usize {
        let Self { user_account, user_name, phone, email, agent_type, cc_role_id, sip_account, skills, work_no } = self;
        let texts = [user_account, user_name, phone, email, sip_account, work_no];
        let skills = skills.0.iter().map(|skill| size_of::<Membership>() + skill.skill_id.len());
        let values = [agent_type, cc_role_id].map(weight_of_value);
        size_of::<Self>() + texts.map(|text| text.len()).iter().chain(&values).sum::<usize>() + skills.sum::<usize>()
    }
}

impl Kept for Account {
    fn id(&self) -> &str {
        &self.work_no
    }
}

/// The softphone that Huawei assigned to an agent, if any.
pub(super) fn extensions(center: &str, sip_account: &str) -> Vec<String> {
    ExtensionName::text(center, sip_account).into_iter().collect()
}

/// One account; `None` when no account has this name.
pub(super) async fn find(huawei: &Huawei, cx: &Context, user_account: &str) -> Result<Option<Account>> {
    let accounts = request_wrapper::ask(huawei, cx, QueryAccount { user_account }).await?.data;
    Ok(accounts.into_iter().find(|account| *account.user_account == *user_account))
}

/// Up to `size` accounts from a position on.
pub(super) async fn list(huawei: &Huawei, cx: &Context, position: Position, size: usize) -> Result<Slice<Account>> {
    Slice::read(NUMBERED, position, size, async |page_num, page_size| {
        let response = request_wrapper::ask(huawei, cx, QueryAccounts { page_num, page_size }).await?;
        Ok(Batch { items: response.data, total: response.total })
    })
    .await
}

/// The account of an agent, with its number; `None` when the agent has no account. A change reads the directory again.
pub(super) async fn of_agent(huawei: &Huawei, cx: &Context, name: &AgentName, anew: bool) -> Result<Option<Account>> {
    let mut remembered = huawei.directory.remembered().filter(|_| !anew);
    let mut is_contradicted = false;
    loop {
        let (map, are_new) = match remembered.take() {
            Some(map) => (map, false),
            None if anew || is_contradicted => (directory::read(huawei, cx).await?, true),
            None => (directory::recent(huawei, cx).await?, true),
        };
        match map.account(name.id()) {
            Some("") => return Ok(None),
            Some(user_account) => {
                let account = find(huawei, cx, user_account).await?;
                // The account may belong to another agent by now.
                if let Some(account) = account.filter(|it| it.work_no.is_empty() || *it.work_no == *name.id()) {
                    return Ok(Some(Account { work_no: Text(name.id().to_owned()), ..account }));
                }
                is_contradicted = true;
            }
            None => {}
        }
        if are_new {
            return Err(Error::not_found(AgentName::KIND, name));
        }
    }
}

/// The account of an agent, for a change.
pub(super) async fn to_change(huawei: &Huawei, cx: &Context, name: &AgentName) -> Result<Account> {
    of_agent(huawei, cx, name, true).await?.ok_or_else(|| without_account(name))
}

/// Fills in the numbers that the response omits. Accounts without any number are discarded and counted.
pub(super) async fn with_numbers(
    huawei: &Huawei,
    cx: &Context,
    accounts: &mut Vec<Account>,
) -> Result<(Arc<AgentAccountMap>, usize)> {
    let is_known = |map: &Arc<AgentAccountMap>| {
        let known = |it: &Account| !it.work_no.is_empty() || map.work_no(&it.user_account).is_some();
        accounts.iter().all(known)
    };
    let map = match huawei.directory.remembered().filter(is_known) {
        Some(map) => map,
        None => directory::recent(huawei, cx).await?,
    };
    for account in accounts.iter_mut().filter(|account| account.work_no.is_empty()) {
        account.work_no = Text(map.work_no(&account.user_account).unwrap_or_default().to_owned());
    }
    let nameless = nameless::remove::<AgentName, _>(accounts, |account| &account.work_no);
    Ok((map, nameless))
}

/// The agent exists, but the operation requires its account.
pub(super) fn without_account(name: &AgentName) -> Error {
    Error::new(
        ErrorReason::AgentStateConflict,
        format!("{name} has no business account, and Huawei changes agents only by their account; create one in Huawei's console"),
    )
    .about(AgentName::KIND, name)
}
