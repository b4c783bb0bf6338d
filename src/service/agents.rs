//! Agents: the people themselves, their sessions, extensions and queues.

use super::mask::{self, Path};
use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::{AgentName, CenterName, ExtensionName, QueueName},
    page::Page,
    proto::v1::{
        AddAgentQueuesRequest, AddAgentQueuesResponse, Agent, AgentRole, AgentState, BindAgentExtensionsRequest,
        BindAgentExtensionsResponse, CreateAgentRequest, DeleteAgentRequest, GetAgentRequest, ListAgentsRequest,
        ListAgentsResponse, LoginAgentRequest, LoginAgentResponse, LogoutAgentRequest, LogoutAgentResponse,
        RemoveAgentQueuesRequest, RemoveAgentQueuesResponse, SetAgentQueuesRequest, SetAgentQueuesResponse,
        UnbindAgentExtensionsRequest, UnbindAgentExtensionsResponse, UpdateAgentRequest, View,
    },
};

/// Fewest and most queues of one request.
const QUEUES: (usize, usize) = (1, 100);
/// Fewest and most extensions of one request.
const EXTENSIONS: (usize, usize) = (1, 8);

pub async fn list_agents(
    centers: &Centers,
    cx: &Context,
    mut request: ListAgentsRequest,
) -> Result<ListAgentsResponse> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    check.page_size(request.page_size);
    let queue: Option<QueueName> = check.optional_name("queue", &request.queue);
    check.known::<AgentRole>("role", request.role);
    check.known::<AgentState>("state", request.state);
    check.at_most("query", &request.query, 128);
    check.known::<View>("view", request.view);
    check.at_most("vendor_state", &request.vendor_state, 32);
    if request.state != 0 && !request.vendor_state.is_empty() {
        check.invalid("vendor_state", "not together with state");
    }
    check.done()?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_agents(cx, parent, queue, page, request).await
}

pub async fn get_agent(centers: &Centers, cx: &Context, request: GetAgentRequest) -> Result<Agent> {
    let mut check = Check::new();
    let name: AgentName = check.name("name", &request.name);
    check.known::<View>("view", request.view);
    check.done()?;
    centers.get(cx, &name)?.adapter.get_agent(cx, name, request).await
}

pub async fn create_agent(centers: &Centers, cx: &Context, mut request: CreateAgentRequest) -> Result<Agent> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    if !request.agent_id.is_empty() {
        check.id::<AgentName>("agent_id", &request.agent_id);
    }
    match &request.agent {
        Some(agent) => agent_fields(&mut check, agent),
        None => check.invalid("agent", "required"),
    }
    check.request_id(&request.request_id);
    check.done()?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    center
        .once(cx, &request_id, request, async |adapter, cx, request| adapter.create_agent(&cx, parent, request).await)
        .await
}

pub async fn update_agent(centers: &Centers, cx: &Context, request: UpdateAgentRequest) -> Result<Agent> {
    let UpdateAgentRequest { agent, update_mask } = request;
    let mut check = Check::new();
    let agent = check.message("agent", agent);
    let name: AgentName = check.name("agent.name", &agent.name);
    agent_fields(&mut check, &agent);
    let paths = [
        Path::clearing("display_name", !agent.display_name.is_empty()),
        Path::clearing("employee_number", !agent.employee_number.is_empty()),
        Path::clearing("mobile_number", !agent.mobile_number.is_empty()),
        Path::clearing("email", !agent.email.is_empty()),
        Path::needed("role", agent.role != 0),
        Path::needed("enabled", agent.enabled.is_some()),
        Path::needed("inbound_wrap_up_duration", agent.inbound_wrap_up_duration.is_some()),
        Path::needed("outbound_wrap_up_duration", agent.outbound_wrap_up_duration.is_some()),
        Path::needed("vendor_data", agent.vendor_data.is_some()),
    ];
    let mask = mask::paths(&mut check, "agent", update_mask.as_ref(), &paths);
    check.done()?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.update_agent(&cx, name, agent, mask).await).await
}

pub async fn delete_agent(centers: &Centers, cx: &Context, request: DeleteAgentRequest) -> Result<()> {
    let mut check = Check::new();
    let name: AgentName = check.name("name", &request.name);
    check.done()?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.delete_agent(&cx, name).await).await
}

pub async fn login_agent(centers: &Centers, cx: &Context, request: LoginAgentRequest) -> Result<LoginAgentResponse> {
    let mut check = Check::new();
    let name: AgentName = check.name("name", &request.name);
    check.known::<AgentState>("initial_state", request.initial_state);
    let initial = request.initial_state();
    if !matches!(initial, AgentState::Unspecified | AgentState::Ready | AgentState::NotReady) {
        check.invalid("initial_state", "READY or NOT_READY");
    }
    let queues: Vec<QueueName> = check.names("queues", &request.queues, (0, QUEUES.1));
    check.done()?;
    centers
        .get(cx, &name)?
        .write(cx, async move |adapter, cx| adapter.login_agent(&cx, name, queues, request).await)
        .await
}

pub async fn logout_agent(centers: &Centers, cx: &Context, request: LogoutAgentRequest) -> Result<LogoutAgentResponse> {
    let mut check = Check::new();
    let name: AgentName = check.name("name", &request.name);
    check.done()?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.logout_agent(&cx, name).await).await
}

pub async fn bind_agent_extensions(
    centers: &Centers,
    cx: &Context,
    request: BindAgentExtensionsRequest,
) -> Result<BindAgentExtensionsResponse> {
    let mut check = Check::new();
    let agent: AgentName = check.name("agent", &request.agent);
    let extensions: Vec<ExtensionName> = check.names("extensions", &request.extensions, EXTENSIONS);
    check.done()?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.bind_agent_extensions(&cx, agent, extensions).await)
        .await?;
    Ok(BindAgentExtensionsResponse {})
}

pub async fn unbind_agent_extensions(
    centers: &Centers,
    cx: &Context,
    request: UnbindAgentExtensionsRequest,
) -> Result<UnbindAgentExtensionsResponse> {
    let mut check = Check::new();
    let agent: AgentName = check.name("agent", &request.agent);
    let extensions: Vec<ExtensionName> = check.names("extensions", &request.extensions, EXTENSIONS);
    check.done()?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.unbind_agent_extensions(&cx, agent, extensions).await)
        .await?;
    Ok(UnbindAgentExtensionsResponse {})
}

pub async fn add_agent_queues(
    centers: &Centers,
    cx: &Context,
    request: AddAgentQueuesRequest,
) -> Result<AddAgentQueuesResponse> {
    let (agent, queues) = membership(&request.agent, &request.queues)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.add_agent_queues(&cx, agent, queues).await)
        .await?;
    Ok(AddAgentQueuesResponse {})
}

pub async fn set_agent_queues(
    centers: &Centers,
    cx: &Context,
    request: SetAgentQueuesRequest,
) -> Result<SetAgentQueuesResponse> {
    let (agent, queues) = membership(&request.agent, &request.queues)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.set_agent_queues(&cx, agent, queues).await)
        .await?;
    Ok(SetAgentQueuesResponse {})
}

pub async fn remove_agent_queues(
    centers: &Centers,
    cx: &Context,
    request: RemoveAgentQueuesRequest,
) -> Result<RemoveAgentQueuesResponse> {
    let (agent, queues) = membership(&request.agent, &request.queues)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.remove_agent_queues(&cx, agent, queues).await)
        .await?;
    Ok(RemoveAgentQueuesResponse {})
}

fn membership(agent: &str, queues: &[String]) -> Result<(AgentName, Vec<QueueName>)> {
    let mut check = Check::new();
    let agent = check.name("agent", agent);
    let queues = check.names("queues", queues, QUEUES);
    check.done()?;
    Ok((agent, queues))
}

fn agent_fields(check: &mut Check, agent: &Agent) {
    check.at_most("agent.display_name", &agent.display_name, 128);
    let number = &agent.employee_number;
    if number.len() > 32 || !number.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        check.invalid("agent.employee_number", "up to 32 letters, digits and underscores");
    }
    check.email("agent.email", &agent.email);
    check.known::<AgentRole>("agent.role", agent.role);
    check.whole_seconds("agent.inbound_wrap_up_duration", agent.inbound_wrap_up_duration.as_ref());
    check.whole_seconds("agent.outbound_wrap_up_duration", agent.outbound_wrap_up_duration.as_ref());
    check.at_most("agent.login_account", &agent.login_account, 64);
    check.at_most("agent.login_password", &agent.login_password, 64);
}
