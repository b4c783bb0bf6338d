//! Reads agents: agentAccount/query, queryAgentInfoBySkillId, and querySysInfo for agents without an account.

use async_trait::async_trait;

use super::{
    Huawei, accounts,
    accounts::{Account, extensions},
    agent_changes,
    formats::Formats as _,
    memberships,
    paging::reason,
    sessions, softphones,
};
use crate::{
    adapter::Agents,
    check::Check,
    context::Context,
    error::{Error, Result},
    lists::WholeList,
    name::{AgentName, CenterName, QueueName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
    vendor::slices::{Incomplete, Position},
    vendor_data::VendorData,
};

#[async_trait]
impl Agents for Huawei {
    async fn list_agents(
        &self,
        cx: &Context,
        center: CenterName,
        queue: Option<QueueName>,
        page: Page,
        request: v1::ListAgentsRequest,
    ) -> Result<v1::ListAgentsResponse> {
        list(self, cx, center, queue, page, request).await
    }

    async fn get_agent(&self, cx: &Context, name: AgentName, request: v1::GetAgentRequest) -> Result<v1::Agent> {
        get(self, cx, name, request).await
    }

    async fn create_agent(
        &self,
        cx: &Context,
        center: CenterName,
        request: v1::CreateAgentRequest,
    ) -> Result<v1::Agent> {
        agent_changes::create(self, cx, &center, request).await
    }

    async fn update_agent(
        &self,
        cx: &Context,
        name: AgentName,
        agent: v1::Agent,
        mask: Vec<String>,
    ) -> Result<v1::Agent> {
        agent_changes::update(self, cx, &name, agent, &mask).await
    }

    async fn delete_agent(&self, cx: &Context, name: AgentName) -> Result<()> {
        agent_changes::delete(self, cx, &name).await
    }

    async fn login_agent(
        &self,
        cx: &Context,
        name: AgentName,
        queues: Vec<QueueName>,
        request: v1::LoginAgentRequest,
    ) -> Result<v1::LoginAgentResponse> {
        sessions::sign_in(self, cx, &name, &queues, request).await
    }

    async fn logout_agent(&self, cx: &Context, name: AgentName) -> Result<v1::LogoutAgentResponse> {
        sessions::sign_out(self, cx, &name).await
    }

    async fn add_agent_queues(&self, cx: &Context, agent: AgentName, queues: Vec<QueueName>) -> Result<()> {
        memberships::add_queues(self, cx, &agent, &queues).await
    }

    async fn set_agent_queues(&self, cx: &Context, agent: AgentName, queues: Vec<QueueName>) -> Result<()> {
        memberships::set_queues(self, cx, &agent, &queues).await
    }

    async fn remove_agent_queues(&self, cx: &Context, agent: AgentName, queues: Vec<QueueName>) -> Result<()> {
        memberships::remove_queues(self, cx, &agent, &queues).await
    }
}

/// Lists agents.
async fn list(
    huawei: &Huawei,
    cx: &Context,
    center: CenterName,
    queue: Option<QueueName>,
    page: Page,
    request: v1::ListAgentsRequest,
) -> Result<v1::ListAgentsResponse> {
    let (query, view) = checked(cx, queue.as_ref(), request)?;
    let center = center.center();
    if queue.is_none() && query.is_empty() {
        return page_of_all(huawei, cx, center, view, &page).await;
    }
    let matching = Box::pin(matching(huawei, cx, queue.as_ref(), &query));
    let page = huawei.lists.page(cx, &page, matching).await?;
    Ok(v1::ListAgentsResponse {
        agents: page.items().iter().cloned().map(|account| account.into_agent(center, view)).collect(),
        total_size: page.total_size(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

/// Gets an agent.
async fn get(huawei: &Huawei, cx: &Context, name: AgentName, request: v1::GetAgentRequest) -> Result<v1::Agent> {
    let v1::GetAgentRequest { name: _, view } = request;
    let view = enum_value(view);
    let mut check = Check::of(cx);
    check.agent_id("name", name.id());
    check.done()?;
    match accounts::of_agent(huawei, cx, &name, false).await? {
        Some(account) => Ok(account.into_agent(name.center(), view)),
        None => without_account(huawei, cx, &name, view).await,
    }
}

/// One page of all agents, in the vendor's order.
async fn page_of_all(
    huawei: &Huawei,
    cx: &Context,
    center: &str,
    view: v1::View,
    page: &Page,
) -> Result<v1::ListAgentsResponse> {
    let mut slice = accounts::list(huawei, cx, page.position()?, page.size).await?;
    let (map, unnamed) = accounts::with_numbers(huawei, cx, &mut slice.items).await?;
    Ok(v1::ListAgentsResponse {
        total_size: slice.total_size(),
        next_page_token: slice.next.map(|next| page.token(&next.to_string())).unwrap_or_default(),
        agents: slice.items.into_iter().map(|account| account.into_agent(center, view)).collect(),
        incomplete_reason: incomplete_reason(map.without_account(), unnamed, [slice.incomplete]),
    })
}

/// The matching agents. The vendor filters only by queue and then returns fewer fields, so all agents are read.
async fn matching(huawei: &Huawei, cx: &Context, queue: Option<&QueueName>, query: &str) -> Result<WholeList<Account>> {
    let members = match queue {
        Some(queue) => Some(memberships::members(huawei, cx, queue).await?),
        None => None,
    };
    let all = accounts::list(huawei, cx, Position::default(), usize::MAX).await?;
    let incomplete = [members.as_ref().and_then(|members| members.incomplete), all.incomplete];
    let mut accounts = all.items;
    accounts.retain(|account| members.as_ref().is_none_or(|members| members.accounts.contains(&*account.user_account)));
    let (map, unnamed) = accounts::with_numbers(huawei, cx, &mut accounts).await?;
    accounts.retain(|account| query.is_empty() || account.contains(query));
    Ok(WholeList::counted(accounts, incomplete_reason(map.without_account(), unnamed, incomplete)))
}

/// An agent without an account, which has a number and possibly a softphone.
async fn without_account(huawei: &Huawei, cx: &Context, name: &AgentName, view: v1::View) -> Result<v1::Agent> {
    let agents = softphones::recent_agents(huawei, cx).await?;
    let agent = agents.find(name.id()).ok_or_else(|| Error::not_found(AgentName::KIND, name))?;
    let vendor_data = match view {
        v1::View::Full => {
            VendorData::new().json("agentType", &agent.agent_type).json("ccRoleId", &agent.cc_role_id).build()
        }
        v1::View::Basic | v1::View::Unspecified => None,
    };
    Ok(v1::Agent {
        name: name.to_string(),
        extensions: extensions(name.center(), &agent.sip_account),
        vendor_data,
        ..v1::Agent::default()
    })
}

/// Validates a list request and returns the lower-case text to search for and the view.
fn checked(cx: &Context, queue: Option<&QueueName>, request: v1::ListAgentsRequest) -> Result<(String, v1::View)> {
    let v1::ListAgentsRequest {
        parent: _,
        page_size: _,
        page_token: _,
        queue: _,
        role,
        enabled,
        state,
        query,
        view,
        vendor_state,
    } = request;
    let mut check = Check::of(cx);
    if let Some(queue) = queue {
        check.queue_id("queue", queue.id());
    }
    check.unsupported_if(role != 0, "role", "Huawei has other roles than the contract; see vendor_data.ccRoleId");
    check.unsupported_if(
        enabled.is_some(),
        "enabled",
        "Huawei cannot disable an agent, so there is nothing to filter by",
    );
    check.unsupported_if(state != 0, "state", "Huawei's lists do not contain states");
    check.unsupported_if(!vendor_state.is_empty(), "vendor_state", "Huawei's lists do not contain states");
    check.done()?;
    Ok((query.to_lowercase(), enum_value(view)))
}

/// Why a list of agents is not whole; empty when it is.
fn incomplete_reason(
    without_account: usize,
    unnamed: usize,
    incomplete: impl IntoIterator<Item = Option<Incomplete>>,
) -> String {
    let mut reasons = Vec::new();
    if without_account > 0 {
        reasons.push(format!(
            "Huawei lists no agent without a business account, {without_account} in this center; GetAgent returns them"
        ));
    }
    if unnamed > 0 {
        reasons.push(format!("business accounts without an agent are not listed, {unnamed} of those that were read"));
    }
    reasons.extend(incomplete.into_iter().flatten().map(|incomplete| reason("agents", [incomplete])));
    reasons.join("; ")
}
