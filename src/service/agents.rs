//! Agents: the people themselves, their sessions, extensions and queues.

use super::mask::{self, Path};
use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::{AgentName, CenterName, ExtensionName, QueueName},
    page::Page,
    proto::{
        enum_value,
        v1::{
            AddAgentQueuesRequest, AddAgentQueuesResponse, Agent, AgentRole, AgentState, BindAgentExtensionsRequest,
            BindAgentExtensionsResponse, CreateAgentRequest, DeleteAgentRequest, GetAgentRequest, ListAgentsRequest,
            ListAgentsResponse, LoginAgentRequest, LoginAgentResponse, LogoutAgentRequest, LogoutAgentResponse,
            RemoveAgentQueuesRequest, RemoveAgentQueuesResponse, SetAgentQueuesRequest, SetAgentQueuesResponse,
            UnbindAgentExtensionsRequest, UnbindAgentExtensionsResponse, UpdateAgentRequest, View,
        },
    },
};

/// The minimum and maximum number of queues per request.
const QUEUES: (usize, usize) = (1, 100);
/// The minimum and maximum number of extensions per request.
const EXTENSIONS: (usize, usize) = (1, 8);

/// Why an update rejects a field of a new agent.
const CREATE_ONLY: &str = "only CreateAgent accepts it";

pub(super) async fn list_agents(
    centers: &Centers,
    cx: &Context,
    mut request: ListAgentsRequest,
) -> Result<ListAgentsResponse> {
    let ListAgentsRequest {
        parent,
        page_size,
        page_token: _, // Page::take reads it
        queue,
        role,
        enabled: _, // either value is valid
        state,
        query,
        view,
        vendor_state,
    } = &request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.page_size(*page_size);
    let queue: Option<QueueName> = check.optional_name("queue", queue);
    check.known::<AgentRole>("role", *role);
    check.known::<AgentState>("state", *state);
    check.at_most("query", query, 128);
    check.known::<View>("view", *view);
    check.at_most("vendor_state", vendor_state, 32);
    if *state != 0 && !vendor_state.is_empty() {
        check.invalid("vendor_state", "not together with state");
    }
    check.hand_over(cx)?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_agents(cx, parent, queue, page, request).await
}

pub(super) async fn get_agent(centers: &Centers, cx: &Context, request: GetAgentRequest) -> Result<Agent> {
    let GetAgentRequest { name, view } = &request;
    let mut check = Check::new();
    let name: AgentName = check.name("name", name);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.adapter.get_agent(cx, name, request).await
}

pub(super) async fn create_agent(centers: &Centers, cx: &Context, mut request: CreateAgentRequest) -> Result<Agent> {
    let CreateAgentRequest { parent, agent_id, agent, request_id } = &request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    if !agent_id.is_empty() {
        check.id::<AgentName>("agent_id", agent_id);
    }
    match agent {
        Some(agent) => {
            agent_fields(&mut check, agent);
        }
        None => check.invalid("agent", "required"),
    }
    check.request_id(request_id);
    check.hand_over(cx)?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    center
        .write_idempotent(cx, &request_id, request, async |adapter, cx, request| {
            adapter.create_agent(&cx, parent, request).await
        })
        .await
}

pub(super) async fn update_agent(centers: &Centers, cx: &Context, request: UpdateAgentRequest) -> Result<Agent> {
    let UpdateAgentRequest { agent, update_mask } = request;
    let mut check = Check::new();
    let agent = check.message("agent", agent);
    let name: AgentName = check.name("agent.name", &agent.name);
    let paths = agent_fields(&mut check, &agent);
    let mask = mask::paths(&mut check, "agent", update_mask.as_ref(), &paths);
    check.unsupported_if(!agent.login_password.is_empty(), "agent.login_password", CREATE_ONLY);
    check.unsupported_if(agent.provision_extensions, "agent.provision_extensions", CREATE_ONLY);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.update_agent(&cx, name, agent, mask).await).await
}

pub(super) async fn delete_agent(centers: &Centers, cx: &Context, request: DeleteAgentRequest) -> Result<()> {
    let DeleteAgentRequest { name } = request;
    let mut check = Check::new();
    let name: AgentName = check.name("name", &name);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.delete_agent(&cx, name).await).await
}

pub(super) async fn login_agent(
    centers: &Centers,
    cx: &Context,
    request: LoginAgentRequest,
) -> Result<LoginAgentResponse> {
    let LoginAgentRequest {
        name,
        initial_state,
        employee_number: _, // the vendor validates formats and keys
        queues,
        phone_number: _,
        vendor_data: _,
    } = &request;
    let mut check = Check::new();
    let name: AgentName = check.name("name", name);
    check.known::<AgentState>("initial_state", *initial_state);
    if !matches!(enum_value(*initial_state), AgentState::Unspecified | AgentState::Ready | AgentState::NotReady) {
        check.invalid("initial_state", "READY or NOT_READY");
    }
    let queues: Vec<QueueName> = check.names("queues", queues, (0, QUEUES.1));
    check.hand_over(cx)?;
    centers
        .get(cx, &name)?
        .write(cx, async move |adapter, cx| adapter.login_agent(&cx, name, queues, request).await)
        .await
}

pub(super) async fn logout_agent(
    centers: &Centers,
    cx: &Context,
    request: LogoutAgentRequest,
) -> Result<LogoutAgentResponse> {
    let LogoutAgentRequest { name } = request;
    let mut check = Check::new();
    let name: AgentName = check.name("name", &name);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.logout_agent(&cx, name).await).await
}

pub(super) async fn bind_agent_extensions(
    centers: &Centers,
    cx: &Context,
    request: BindAgentExtensionsRequest,
) -> Result<BindAgentExtensionsResponse> {
    let BindAgentExtensionsRequest { agent, extensions } = request;
    let mut check = Check::new();
    let agent: AgentName = check.name("agent", &agent);
    let extensions: Vec<ExtensionName> = check.names("extensions", &extensions, EXTENSIONS);
    check.hand_over(cx)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.bind_agent_extensions(&cx, agent, extensions).await)
        .await?;
    Ok(BindAgentExtensionsResponse {})
}

pub(super) async fn unbind_agent_extensions(
    centers: &Centers,
    cx: &Context,
    request: UnbindAgentExtensionsRequest,
) -> Result<UnbindAgentExtensionsResponse> {
    let UnbindAgentExtensionsRequest { agent, extensions } = request;
    let mut check = Check::new();
    let agent: AgentName = check.name("agent", &agent);
    let extensions: Vec<ExtensionName> = check.names("extensions", &extensions, EXTENSIONS);
    check.hand_over(cx)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.unbind_agent_extensions(&cx, agent, extensions).await)
        .await?;
    Ok(UnbindAgentExtensionsResponse {})
}

pub(super) async fn add_agent_queues(
    centers: &Centers,
    cx: &Context,
    request: AddAgentQueuesRequest,
) -> Result<AddAgentQueuesResponse> {
    let AddAgentQueuesRequest { agent, queues } = request;
    let (agent, queues) = membership(cx, &agent, &queues)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.add_agent_queues(&cx, agent, queues).await)
        .await?;
    Ok(AddAgentQueuesResponse {})
}

pub(super) async fn set_agent_queues(
    centers: &Centers,
    cx: &Context,
    request: SetAgentQueuesRequest,
) -> Result<SetAgentQueuesResponse> {
    let SetAgentQueuesRequest { agent, queues } = request;
    let (agent, queues) = membership(cx, &agent, &queues)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.set_agent_queues(&cx, agent, queues).await)
        .await?;
    Ok(SetAgentQueuesResponse {})
}

pub(super) async fn remove_agent_queues(
    centers: &Centers,
    cx: &Context,
    request: RemoveAgentQueuesRequest,
) -> Result<RemoveAgentQueuesResponse> {
    let RemoveAgentQueuesRequest { agent, queues } = request;
    let (agent, queues) = membership(cx, &agent, &queues)?;
    centers
        .get(cx, &agent)?
        .write(cx, async move |adapter, cx| adapter.remove_agent_queues(&cx, agent, queues).await)
        .await?;
    Ok(RemoveAgentQueuesResponse {})
}

fn membership(cx: &Context, agent: &str, queues: &[String]) -> Result<(AgentName, Vec<QueueName>)> {
    let mut check = Check::new();
    let agent = check.name("agent", agent);
    let queues = check.names("queues", queues, QUEUES);
    check.hand_over(cx)?;
    Ok((agent, queues))
}

/// Validates the fields of a new or changed agent and returns the paths that `UpdateAgent` can change. The contract
/// ignores output-only fields.
fn agent_fields(check: &mut Check, agent: &Agent) -> [Path; 9] {
    let Agent {
        name: _, // UpdateAgent reads it, CreateAgent ignores it
        display_name,
        employee_number,
        mobile_number, // the vendor validates its format
        email,
        role,
        enabled,
        inbound_wrap_up_duration,
        outbound_wrap_up_duration,
        provision_extensions: _, // either value is valid
        login_account,
        login_password,
        state: _,
        vendor_state: _,
        state_reason: _,
        vendor_extension_state: _,
        queues: _,
        extensions: _,
        default_phone_number: _,
        vendor_data, // the vendor validates its keys
        provisioned_extensions: _,
    } = agent;
    check.at_most("agent.display_name", display_name, 128);
    let is_word = employee_number.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if employee_number.len() > 32 || !is_word {
        check.invalid("agent.employee_number", "up to 32 letters, digits and underscores");
    }
    check.email("agent.email", email);
    check.known::<AgentRole>("agent.role", *role);
    check.whole_seconds("agent.inbound_wrap_up_duration", inbound_wrap_up_duration.as_ref());
    check.whole_seconds("agent.outbound_wrap_up_duration", outbound_wrap_up_duration.as_ref());
    check.at_most("agent.login_account", login_account, 64);
    check.at_most("agent.login_password", login_password, 64);
    [
        Path::clearing("display_name", !display_name.is_empty()),
        Path::clearing("employee_number", !employee_number.is_empty()),
        Path::clearing("mobile_number", !mobile_number.is_empty()),
        Path::clearing("email", !email.is_empty()),
        Path::needed("role", *role != 0),
        Path::needed("enabled", enabled.is_some()),
        Path::needed("inbound_wrap_up_duration", inbound_wrap_up_duration.is_some()),
        Path::needed("outbound_wrap_up_duration", outbound_wrap_up_duration.is_some()),
        Path::needed("vendor_data", vendor_data.is_some()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_employee_number_is_up_to_32_letters_digits_and_underscores() {
        let is_accepted = |number: &str| {
            let mut check = Check::new();
            agent_fields(&mut check, &Agent { employee_number: number.to_owned(), ..Default::default() });
            check.done().is_ok()
        };
        for good in ["", "7", "e_7", &"9".repeat(32)] {
            assert!(is_accepted(good), "{good}");
        }
        for bad in [&"9".repeat(33), "e-7", "e 7", "\u{e9}7"] {
            assert!(!is_accepted(bad), "{bad}");
        }
    }
}
