//! A new hire's first day: one program for every center of every vendor.
//!
//! It lists the queues, creates an agent, puts them into two queues, signs them in, lists the agents of a queue, signs
//! them out, takes them out of the queues, and removes them. Where vendors differ it asks `GetCapabilities` and not who
//! the vendor is.
//!
//! ```text
//! cargo run --example first_day acme 127.0.0.1:50051
//! ```
//!
//! `examples/first_day.py` is the same program in Python.

use std::{collections::BTreeMap, env, error::Error, process::ExitCode};

use switchboard::proto::v1::{
    AddAgentQueuesRequest, Agent, AgentState, CreateAgentRequest, DeleteAgentRequest, GetAgentRequest,
    GetCapabilitiesRequest, GetQueueRequest, ListAgentsRequest, ListQueuesRequest, LoginAgentRequest,
    LogoutAgentRequest, MethodCapability, RemoveAgentQueuesRequest, Support, UpdateAgentRequest,
    contact_center_client::ContactCenterClient,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// What every center must be able to do for this. Agents need not be deletable: then they are disabled.
const NEEDED: [&str; 7] =
    ["ListQueues", "CreateAgent", "AddAgentQueues", "LoginAgent", "ListAgents", "LogoutAgent", "RemoveAgentQueues"];
/// The fields of a new agent that this program can fill.
const FILLED: [&str; 8] = [
    "agent_id",
    "agent.display_name",
    "agent.email",
    "agent.mobile_number",
    "agent.employee_number",
    "agent.login_account",
    "agent.login_password",
    "agent.provision_extensions",
];

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// A center, and what it can do.
struct Center {
    client: ContactCenterClient<Channel>,
    name: String,
    vendor: String,
    methods: BTreeMap<String, MethodCapability>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [center, address] = arguments.as_slice() else {
        eprintln!("usage: first_day CENTER ADDRESS, e.g. first_day acme 127.0.0.1:50051");
        return ExitCode::FAILURE;
    };
    match first_day(format!("centers/{center}"), address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let described = error.downcast_ref::<Status>().map_or_else(|| error.to_string(), described);
            eprintln!("first_day: {described}");
            ExitCode::FAILURE
        }
    }
}

async fn first_day(center: String, address: &str) -> Result<()> {
    let channel = Channel::from_shared(format!("http://{address}"))?.connect_lazy();
    let mut center = Center::new(ContactCenterClient::new(channel), center).await?;
    println!("{} is a center of {}", center.name, center.vendor);
    let missing: Vec<&str> = NEEDED.into_iter().filter(|method| !center.can(method)).collect();
    if !missing.is_empty() {
        return Err(format!("{} has no {}", center.name, missing.join(", ")).into());
    }

    let request = ListQueuesRequest { parent: center.name.clone(), ..ListQueuesRequest::default() };
    let queues = center.client.list_queues(request).await?.into_inner().queues;
    println!("queues: {}", joined(queues.iter().map(|queue| queue.display_name.as_str())));
    let [first, second, ..] = queues.as_slice() else { return Err("two queues are needed".into()) };
    let two = vec![first.name.clone(), second.name.clone()];

    let request = center.new_agent()?;
    let agent = center.client.create_agent(request).await?.into_inner().name;
    println!("created {agent}");

    center.client.add_agent_queues(AddAgentQueuesRequest { agent: agent.clone(), queues: two.clone() }).await?;
    println!("in the queues: {}", center.queues_of(&agent).await?);

    // READY where a center lets us choose; on their own phone where there is no extension to answer on.
    let ready = center.accepts("LoginAgent", "initial_state").then_some(AgentState::Ready);
    let sign_in = LoginAgentRequest {
        name: agent.clone(),
        initial_state: ready.unwrap_or_default().into(),
        phone_number: center.if_taken("LoginAgent", "phone_number", "13800000000"),
        ..LoginAgentRequest::default()
    };
    center.client.login_agent(sign_in).await?;
    println!("signed in");

    let agents = center.agents_of(&first.name).await?;
    println!("agents of {}: {}", first.display_name, joined(agents.iter().map(|agent| agent.display_name.as_str())));

    center.client.logout_agent(LogoutAgentRequest { name: agent.clone() }).await?;
    println!("signed out");

    center.client.remove_agent_queues(RemoveAgentQueuesRequest { agent: agent.clone(), queues: two }).await?;
    println!("in the queues: {}", center.queues_of(&agent).await?);

    if center.can("DeleteAgent") {
        center.client.delete_agent(DeleteAgentRequest { name: agent }).await?;
        println!("deleted");
    } else {
        let agent = Agent { name: agent, enabled: Some(false), ..Agent::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["enabled".to_owned()] });
        center.client.update_agent(UpdateAgentRequest { agent: Some(agent), update_mask }).await?;
        println!("disabled, because this center deletes no agents");
    }
    Ok(())
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// An error in one line: its code, its reason, what it says.
fn described(status: &Status) -> String {
    let code = code_name(status.code());
    match status.get_details_error_info() {
        Some(info) => {
            let method = info.metadata.get("method").map_or("", String::as_str);
            format!("{method}: {code} {}: {}", info.reason, status.message())
        }
        None => format!("{code}: {}", status.message()),
    }
}

/// `NOT_FOUND` for `NotFound`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for char in format!("{code:?}").chars() {
        if char.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(char.to_ascii_uppercase());
    }
    name
}

// === impl Center ===

impl Center {
    async fn new(mut client: ContactCenterClient<Channel>, name: String) -> Result<Self, Status> {
        let request = GetCapabilitiesRequest { name: format!("{name}/capabilities") };
        let capabilities = client.get_capabilities(request).await?.into_inner();
        let methods = capabilities.methods.into_iter().map(|method| (method.method.clone(), method)).collect();
        Ok(Self { client, name, vendor: capabilities.vendor, methods })
    }

    fn can(&self, method: &str) -> bool {
        self.methods.get(method).is_some_and(|it| matches!(it.support(), Support::Native | Support::Derived))
    }

    /// Whether this center accepts a request's field.
    fn accepts(&self, method: &str, field: &str) -> bool {
        self.methods.get(method).is_none_or(|it| it.unsupported_fields.iter().all(|refused| refused != field))
    }

    /// The value of a request's field, or nothing where this center refuses the field.
    fn if_taken(&self, method: &str, field: &str, value: &str) -> String {
        if self.accepts(method, field) { value.to_owned() } else { String::new() }
    }

    /// Everything that one center or another wants to know, without what this one refuses.
    fn new_agent(&self) -> Result<CreateAgentRequest> {
        let required = self.methods.get("CreateAgent").map_or(&[][..], |method| &method.required_fields);
        if let Some(unknown) = required.iter().find(|field| !FILLED.contains(&field.as_str())) {
            return Err(format!("{} requires {unknown}", self.name).into());
        }
        let number = fastrand::u32(100_000_000..1_000_000_000);
        let if_taken = |field: &str, value: &str| self.if_taken("CreateAgent", field, value);
        Ok(CreateAgentRequest {
            parent: self.name.clone(),
            agent_id: if_taken("agent_id", &number.to_string()),
            agent: Some(Agent {
                display_name: if_taken("agent.display_name", "Vera Lund"),
                email: if_taken("agent.email", "vera.lund@example.com"),
                mobile_number: if_taken("agent.mobile_number", "13800000000"),
                employee_number: if_taken("agent.employee_number", &format!("E{number}")),
                login_account: if_taken("agent.login_account", &format!("vera.lund.{number}")),
                login_password: if_taken("agent.login_password", "First#1d"),
                provision_extensions: self.accepts("CreateAgent", "agent.provision_extensions"),
                ..Agent::default()
            }),
            // With it, a repeat of this call gets the first response and creates nobody.
            request_id: Uuid::new_v4().to_string(),
        })
    }

    /// The names of an agent's queues, for people.
    async fn queues_of(&mut self, agent: &str) -> Result<String, Status> {
        let request = GetAgentRequest { name: agent.to_owned(), ..GetAgentRequest::default() };
        let mut names = Vec::new();
        for name in self.client.get_agent(request).await?.into_inner().queues {
            let request = GetQueueRequest { name, ..GetQueueRequest::default() };
            names.push(self.client.get_queue(request).await?.into_inner().display_name);
        }
        Ok(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
    }

    /// All agents of a queue, page by page.
    async fn agents_of(&mut self, queue: &str) -> Result<Vec<Agent>, Status> {
        let mut request =
            ListAgentsRequest { parent: self.name.clone(), queue: queue.to_owned(), ..ListAgentsRequest::default() };
        let mut agents = Vec::new();
        loop {
            let page = self.client.list_agents(request.clone()).await?.into_inner();
            agents.extend(page.agents);
            if page.next_page_token.is_empty() {
                return Ok(agents);
            }
            request.page_token = page.next_page_token;
        }
    }
}
