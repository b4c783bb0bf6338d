//! Agents: Udesk 04 to 08, 16, 17, 22, 23, 25, 26.

use async_trait::async_trait;

use super::{
    Udesk, agent_changes,
    agent_records::{self, Filter, role_code},
    extensions,
    formats::Formats as _,
    memberships, sessions,
};
use crate::{
    adapter::Agents,
    check::Check,
    config::AgentStates,
    context::Context,
    error::Result,
    name::{AgentName, CenterName, ExtensionName, QueueName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
};

/// Validates a list request and returns the filters, in Udesk's values, and the view.
fn checked(
    cx: &Context,
    queue: Option<&QueueName>,
    request: v1::ListAgentsRequest,
    states: &AgentStates,
) -> Result<(Filter, v1::View)> {
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
    let state = enum_value(state);
    let mut check = Check::of(cx);
    if let Some(queue) = queue {
        check.digits("queue", queue.id());
    }
    let codes = states.codes(state);
    let has_no_code = state != v1::AgentState::Unspecified && codes.is_empty();
    check.unsupported_if(
        has_no_code,
        "state",
        "the agent_states of this center have no code for this state; set vendor_state instead",
    );
    check.done()?;
    let states = if vendor_state.is_empty() { codes.to_vec() } else { vec![vendor_state] };
    Ok((Filter { role: role_code(enum_value(role)), enabled, states, query }, enum_value(view)))
}

#[async_trait]
impl Agents for Udesk {
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
        agent_changes::create(&self.ccapi, cx, &center, request).await
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
        sessions::sign_out(&self.ccapi, cx, &name).await
    }

    async fn bind_agent_extensions(
        &self,
        cx: &Context,
        agent: AgentName,
        extensions: Vec<ExtensionName>,
    ) -> Result<()> {
        extensions::bind(&self.ccapi, cx, &agent, &extensions).await
    }

    async fn unbind_agent_extensions(
        &self,
        cx: &Context,
        agent: AgentName,
        extensions: Vec<ExtensionName>,
    ) -> Result<()> {
        extensions::unbind(&self.ccapi, cx, &agent, &extensions).await
    }

    async fn add_agent_queues(&self, cx: &Context, agent: AgentName, queues: Vec<QueueName>) -> Result<()> {
        memberships::add_queues(&self.ccapi, cx, &agent, &queues).await
    }

    async fn set_agent_queues(&self, cx: &Context, agent: AgentName, queues: Vec<QueueName>) -> Result<()> {
        memberships::set_queues(&self.ccapi, cx, &agent, &queues).await
    }

    async fn remove_agent_queues(&self, cx: &Context, agent: AgentName, queues: Vec<QueueName>) -> Result<()> {
        memberships::remove_queues(&self.ccapi, cx, &agent, &queues).await
    }
}

/// Lists agents.
async fn list(
    udesk: &Udesk,
    cx: &Context,
    center: CenterName,
    queue: Option<QueueName>,
    page: Page,
    request: v1::ListAgentsRequest,
) -> Result<v1::ListAgentsResponse> {
    let (filter, view) = checked(cx, queue.as_ref(), request, &udesk.agent_states)?;
    let read = agent_records::find(&udesk.ccapi, cx, queue.as_ref(), filter);
    let page = udesk.lists.page(cx, &page, read).await?;
    Ok(v1::ListAgentsResponse {
        agents: agent_records::resources(udesk, cx, &page, center, view).await?,
        total_size: page.total_size(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

/// Gets an agent.
async fn get(udesk: &Udesk, cx: &Context, name: AgentName, request: v1::GetAgentRequest) -> Result<v1::Agent> {
    let v1::GetAgentRequest { name: _, view } = request;
    let view = enum_value(view);
    let mut check = Check::of(cx);
    check.digits("name", name.id());
    check.done()?;
    let agent = agent_records::get(&udesk.ccapi, cx, &name).await?;
    Ok(agent.into_agent(&CenterName::new(name.center()), view, &udesk.agent_states))
}
