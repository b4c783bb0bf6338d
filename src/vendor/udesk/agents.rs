//! Agents as they are read: Udesk 06, 25, 26. They answer with one record in three spellings (C18, C33, C56).

use std::borrow::Cow;

use async_trait::async_trait;
use prost_types::{Duration, Struct};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::RawValue;

use super::{
    Udesk, VendorId, about,
    formats::Formats as _,
    or_empty, sessions,
    sign::{Ccapi, READ},
};
use crate::{
    adapter::Agents,
    check::Check,
    context::Context,
    endpoint,
    error::Result,
    name::{AgentName, CenterName, ExtensionName, PhoneNumberName, QueueName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::lenient::{Flag, Integer, List, Object, Text},
    vendor_data::VendorData,
};

/// The only `State` whose meaning the document gives (example of Udesk 25).
const OFFLINE: &str = "4";

/// `GET /agents/{id}` (Udesk 25).
#[derive(Serialize)]
struct GetAgent<'a> {
    id: &'a str,
}

endpoint!(Ccapi: GetAgent<'_>, GET "/agents/{id}", read, READ => Object<Agent>, path |e| format!("/agents/{}", e.id));

/// `GET /agents` (Udesk 06). An empty filter is not sent.
#[derive(Serialize)]
struct ListAgents<'a> {
    role: &'a str,
    enable: &'a str,
    state: &'a str,
    fuzzy_query: &'a str,
}

endpoint!(
    Ccapi: ListAgents<'_>, GET "/agents", read, READ => Object<AgentPage>,
    query |e| {
        let filters = [("Role", e.role), ("Enable", e.enable), ("State", e.state), ("FuzzyQuery", e.fuzzy_query)];
        filters.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, value.to_owned())).collect()
    },
);

/// `GET /queues/agents_list/{queue_id}` (Udesk 26).
#[derive(Serialize)]
struct ListQueueAgents<'a> {
    queue_id: &'a str,
}

endpoint!(
    Ccapi: ListQueueAgents<'_>, GET "/queues/agents_list/{queue_id}", read, READ => QueueAgents,
    path |e| format!("/queues/agents_list/{}", e.queue_id)
);

/// Answer of Udesk 06.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AgentPage {
    curr_page: Integer,
    total: Integer,
    total_page: Integer,
    agent_list: List<Agent>,
}

/// Answer of Udesk 26: a bare list, or wrapped as Udesk 06 does (C55).
#[derive(Default)]
struct QueueAgents(Vec<Agent>);

/// An agent, as Udesk 06, 25 and 26 give it; every field may be missing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Agent {
    agent_id: VendorId,
    work_id: Text,
    name: Text,
    nick_name: Text,
    mobile: Text,
    email: Text,
    role: Text,
    queues: List<VendorId>,
    queues_names: List<Text>,
    extensions: List<VendorId>,
    def_sp_number: Text,
    state: Text,
    state_des: Text,
    reason_code: Text,
    reason_code_des: Text,
    ext_state: Text,
    wrap_up_time: Integer,
    out_wrap_up_time: Integer,
    enable: Flag,
}

// === impl QueueAgents ===

impl<'de> Deserialize<'de> for QueueAgents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let agents = if json.starts_with('{') {
            serde_json::from_str(json).map(|page: AgentPage| page.agent_list)
        } else {
            serde_json::from_str(json)
        };
        // The error's text would quote what it read.
        agents.map(|agents: List<Agent>| Self(agents.0)).map_err(|_| D::Error::custom("not a list of agents"))
    }
}

// === impl Agent ===

impl Agent {
    fn into_agent(self, center: &CenterName, view: v1::View) -> v1::Agent {
        let center = center.center();
        let vendor_data = match view {
            v1::View::Full => self.vendor_data(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        v1::Agent {
            name: AgentName::new(center, self.agent_id.0).to_string(),
            display_name: self.name.into_string(),
            employee_number: self.work_id.into_string(),
            mobile_number: self.mobile.into_string(),
            email: self.email.into_string(),
            role: role(&self.role).into(),
            enabled: self.enable.0,
            inbound_wrap_up_duration: seconds(self.wrap_up_time),
            outbound_wrap_up_duration: seconds(self.out_wrap_up_time),
            state: state(&self.state).into(),
            vendor_state: vendor_value(self.state, self.state_des),
            state_reason: vendor_value(self.reason_code, self.reason_code_des),
            vendor_extension_state: vendor_value(self.ext_state, Text::default()),
            queues: self.queues.into_iter().map(|id| QueueName::new(center, id.0).to_string()).collect(),
            extensions: self.extensions.into_iter().map(|id| ExtensionName::new(center, id.0).to_string()).collect(),
            default_phone_number: match self.def_sp_number.into_string() {
                none if none.is_empty() => none,
                number => PhoneNumberName::new(center, number).to_string(),
            },
            vendor_data,
            provision_extensions: false,
            login_account: String::new(),
            login_password: String::new(),
            provisioned_extensions: Vec::new(),
        }
    }

    fn vendor_data(&self) -> Option<Struct> {
        VendorData::new()
            .text("Role", self.role.0.as_str())
            .text("NickName", self.nick_name.0.as_str())
            .texts("QueuesNames", self.queues_names.0.iter().map(|name| name.0.clone()))
            .build()
    }

    /// The filters of a list, for answers that Udesk does not filter itself (Udesk 26).
    fn matches(&self, filter: &Filter<'_>) -> bool {
        let contains = |text: &Text| text.to_lowercase().contains(&filter.query);
        (filter.role.is_empty() || *self.role == *filter.role)
            && (filter.enabled.is_none() || self.enable.0 == filter.enabled)
            && (filter.state.is_empty() || *self.state == *filter.state)
            && (filter.query.is_empty()
                || self.agent_id.0.to_lowercase().contains(&filter.query)
                || [&self.name, &self.email, &self.mobile].into_iter().any(contains))
    }
}

/// What a list is narrowed to, in Udesk's own words.
struct Filter<'a> {
    role: &'static str,
    enabled: Option<bool>,
    state: Cow<'a, str>,
    /// Lower case.
    query: String,
}

/// The role in Udesk's words; empty for none.
pub fn role_code(role: v1::AgentRole) -> &'static str {
    match role {
        v1::AgentRole::Unspecified => "",
        v1::AgentRole::Agent => "agent",
        v1::AgentRole::Leader => "leader",
    }
}

fn role(code: &str) -> v1::AgentRole {
    match code {
        "agent" => v1::AgentRole::Agent,
        "leader" => v1::AgentRole::Leader,
        _ => v1::AgentRole::Unspecified,
    }
}

fn state(code: &str) -> v1::AgentState {
    match code {
        OFFLINE => v1::AgentState::Offline,
        _ => v1::AgentState::Unspecified,
    }
}

fn vendor_value(code: Text, description: Text) -> Option<v1::VendorValue> {
    (!code.is_empty() || !description.is_empty())
        .then(|| v1::VendorValue { code: code.into_string(), description: description.into_string() })
}

fn seconds(integer: Integer) -> Option<Duration> {
    integer.0.map(|seconds| Duration { seconds, nanos: 0 })
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
        let (role, state, view) = (request.role(), request.state(), request.view());
        let v1::ListAgentsRequest {
            parent: _,
            page_size: _,
            page_token: _,
            queue: _,
            role: _,
            enabled,
            state: _,
            query,
            view: _,
            vendor_state,
        } = request;
        let mut check = Check::new();
        if let Some(queue) = &queue {
            check.digits("queue", queue.id());
        }
        let known_state = matches!(state, v1::AgentState::Unspecified | v1::AgentState::Offline);
        check.unsupported_if(
            !known_state,
            "state",
            "Udesk does not document its code for this state; use vendor_state, or state OFFLINE",
        );
        check.done()?;
        let state = if state == v1::AgentState::Offline { Cow::Borrowed(OFFLINE) } else { Cow::Owned(vendor_state) };

        let (agents, total, incomplete_reason) = if let Some(queue) = &queue {
            let filter = Filter { role: role_code(role), enabled, state, query: query.to_lowercase() };
            let answer = or_empty(self.ccapi.call(cx, &ListQueueAgents { queue_id: queue.id() }).await);
            let QueueAgents(mut agents) = answer.map_err(|error| about(error, "Queue", queue))?;
            agents.retain(|agent| agent.matches(&filter));
            (agents, None, String::new())
        } else {
            let enable = enabled.map_or("", |enabled| if enabled { "true" } else { "false" });
            let list = ListAgents { role: role_code(role), enable, state: &state, fuzzy_query: &query };
            let Object(answer) = or_empty(self.ccapi.call(cx, &list).await)?;
            let incomplete = incomplete_reason(&answer);
            (answer.agent_list.0, answer.total.0, incomplete)
        };
        let total_size = total.and_then(|total| usize::try_from(total).ok()).unwrap_or(agents.len());
        let total_size = i32::try_from(total_size).unwrap_or(i32::MAX);
        let (agents, next_page_token) = page.cut(agents, |agent| &agent.agent_id.0);
        let agents = agents.into_iter().map(|agent| agent.into_agent(&center, view)).collect();
        Ok(v1::ListAgentsResponse { agents, next_page_token, total_size, incomplete_reason })
    }

    async fn get_agent(&self, cx: &Context, name: AgentName, request: v1::GetAgentRequest) -> Result<v1::Agent> {
        let view = request.view();
        let v1::GetAgentRequest { name: _, view: _ } = request;
        let mut check = Check::new();
        check.digits("name", name.id());
        check.done()?;
        let Object(mut agent) =
            self.ccapi.call(cx, &GetAgent { id: name.id() }).await.map_err(|error| about(error, "Agent", &name))?;
        // What was asked for names the agent, also where the answer does not.
        agent.agent_id = VendorId(name.id().to_owned());
        Ok(agent.into_agent(&CenterName::new(name.center()), view))
    }

    async fn login_agent(
        &self,
        cx: &Context,
        name: AgentName,
        queues: Vec<QueueName>,
        request: v1::LoginAgentRequest,
    ) -> Result<v1::LoginAgentResponse> {
        sessions::sign_in(&self.ccapi, cx, &name, &queues, request).await
    }

    async fn logout_agent(&self, cx: &Context, name: AgentName) -> Result<v1::LogoutAgentResponse> {
        sessions::sign_out(&self.ccapi, cx, &name).await
    }
}

/// Udesk tells of pages but documents no way to ask for another (C35).
fn incomplete_reason(answer: &AgentPage) -> String {
    let given = answer.agent_list.0.len();
    match (answer.curr_page.0.unwrap_or(1), answer.total_page.0.unwrap_or(1)) {
        (current, last) if current < last => {
            format!("Udesk gave page {current} of {last} and documents no way to ask for the others")
        }
        _ => match answer.total.0.and_then(|total| usize::try_from(total).ok()) {
            Some(total) if total > given => format!("Udesk counts {total} agents and gave {given}"),
            _ => String::new(),
        },
    }
}
