//! Reads agents: Udesk 06, 25, 26, which return one record in three spellings (C18, C33, C56).

use prost_types::Struct;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{Api, VendorId, about, ccapi::Ccapi, extensions::Line, incomplete_reason, operations::READ, or_empty};
use crate::{
    config::AgentStates,
    context::Context,
    endpoint,
    error::{Error, Result},
    name::{AgentName, CenterName, ExtensionName, PhoneNumberName, QueueName, ResourceName as _},
    proto::v1,
    vendor::{
        de::{Flag, Integer, List, Object, Text, without_values},
        nameless,
    },
    vendor_data::VendorData,
};

/// `GET /agents/{id}` (Udesk 25).
#[derive(Serialize)]
struct GetAgent<'a> {
    id: &'a str,
}

// An empty response is no agent (C14).
endpoint!(Ccapi: GetAgent<'_>, GET "/agents/{id}", read, READ => List<Object<Agent>>, path |e| format!("/agents/{}", e.id));

/// `GET /agents` (Udesk 06). An empty filter is not sent.
#[derive(Serialize)]
struct ListAgents<'a> {
    role: &'static str,
    enable: &'static str,
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

/// Response of Udesk 06.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct AgentPage {
    curr_page: Integer,
    total: Integer,
    total_page: Integer,
    /// The agents.
    pub(super) agent_list: List<Agent>,
    /// How many agents no name identifies, once they are removed.
    #[serde(skip)]
    nameless: usize,
}

/// Response of Udesk 26: a bare list, or wrapped as Udesk 06 does (C55).
#[derive(Default)]
struct QueueAgents(AgentPage);

/// The agents that match a filter.
pub(super) struct Found {
    /// The agents.
    pub(super) agents: Vec<Agent>,
    /// How many there are, including those that Udesk did not return.
    pub(super) total_size: i32,
    /// Why agents are missing; empty when none is.
    pub(super) incomplete_reason: String,
}

/// An agent in Udesk 06, 25 and 26; every field may be missing. It contains passwords.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Agent {
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
    exten_infos: List<Line>,
}

/// The filters of a list, in Udesk's values. An empty value does not filter.
#[derive(Default)]
pub(super) struct Filter {
    /// `agent`, `leader`.
    pub(super) role: &'static str,
    /// Enabled or not.
    pub(super) enabled: Option<bool>,
    /// A state's codes.
    pub(super) states: Vec<String>,
    /// Text within name, ID, e-mail or mobile number.
    pub(super) query: String,
}

/// Every agent.
pub(super) async fn all(ccapi: &Api, cx: &Context) -> Result<AgentPage> {
    list(ccapi, cx, &Filter::default()).await
}

/// The agents that match a filter.
pub(super) async fn find(ccapi: &Api, cx: &Context, filter: &Filter) -> Result<Found> {
    let page = list(ccapi, cx, filter).await?.named();
    let (total_size, incomplete_reason) = (page.total_size(), page.incomplete_reason());
    let mut agents = page.agent_list.0;
    if filter.states.len() < 2 {
        return Ok(Found { agents, total_size, incomplete_reason });
    }
    // Udesk filters by one state, so the gateway filters by several.
    agents.retain(|agent| agent.is_in(&filter.states));
    Ok(Found { total_size: super::count(agents.len()), agents, incomplete_reason })
}

async fn list(ccapi: &Api, cx: &Context, filter: &Filter) -> Result<AgentPage> {
    let enable = match filter.enabled {
        None => "",
        Some(true) => "true",
        Some(false) => "false",
    };
    let state = if let [only] = filter.states.as_slice() { only } else { "" };
    let list = ListAgents { role: filter.role, enable, state, fuzzy_query: &filter.query };
    or_empty(ccapi.call(cx, &list).await).map(|Object(page)| page)
}

/// The agents of a queue that match a filter, which the gateway applies.
pub(super) async fn find_in_queue(ccapi: &Api, cx: &Context, queue: &QueueName, filter: Filter) -> Result<Found> {
    let filter = Filter { query: filter.query.to_lowercase(), ..filter };
    let page = of_queue(ccapi, cx, queue).await?.named();
    let incomplete_reason = page.incomplete_reason();
    let mut agents = page.agent_list.0;
    agents.retain(|agent| agent.matches(&filter));
    Ok(Found { total_size: super::count(agents.len()), agents, incomplete_reason })
}

/// The agents of a queue.
pub(super) async fn of_queue(ccapi: &Api, cx: &Context, queue: &QueueName) -> Result<AgentPage> {
    let response = or_empty(ccapi.call(cx, &ListQueueAgents { queue_id: queue.id() }).await);
    response.map(|QueueAgents(page)| page).map_err(|error| about(error, "Queue", queue))
}

/// One agent.
pub(super) async fn get(ccapi: &Api, cx: &Context, name: &AgentName) -> Result<Agent> {
    let response = ccapi.call(cx, &GetAgent { id: name.id() }).await.map_err(|error| about(error, "Agent", name))?;
    let Object(mut agent) = response.into_iter().next().ok_or_else(|| Error::not_found("Agent", name))?;
    // The requested ID counts, because the response may omit it.
    agent.agent_id = VendorId(name.id().to_owned());
    Ok(agent)
}

// === impl AgentPage ===

impl AgentPage {
    /// Why agents are missing; empty when none is.
    pub(super) fn incomplete_reason(&self) -> String {
        let pages = [self.curr_page, self.total_page, self.total];
        incomplete_reason(pages, self.agent_list.0.len(), self.nameless, "agents")
    }

    /// Without the agents that no name identifies.
    fn named(mut self) -> Self {
        self.nameless = nameless::remove::<AgentName, _>(&mut self.agent_list.0, Agent::id);
        self
    }

    /// The total, including agents beyond this page.
    pub(super) fn total_size(&self) -> i32 {
        let total = self.total.0.map_or(0, |total| i32::try_from(total).unwrap_or(i32::MAX));
        total.max(super::count(self.agent_list.0.len() + self.nameless))
    }
}

// === impl QueueAgents ===

impl<'de> Deserialize<'de> for QueueAgents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let page = if json.starts_with('{') {
            serde_json::from_str(json)
        } else {
            serde_json::from_str(json).map(|agent_list| AgentPage { agent_list, ..AgentPage::default() })
        };
        // The error's text quotes the input.
        page.map(Self).map_err(|error| without_values(&error, "not a list of agents"))
    }
}

// === impl Agent ===

impl Agent {
    /// Its ID.
    pub(super) fn id(&self) -> &str {
        &self.agent_id.0
    }

    /// Whether it is in a state other than the signed-out one.
    pub(super) fn is_signed_in(&self, states: &AgentStates) -> bool {
        !self.state.is_empty() && states.state(&self.state) != v1::AgentState::Offline
    }

    /// Its extensions with their details: those of `Extensions`, then those that only `ExtenInfos` has.
    pub(super) fn into_lines(self) -> Vec<Line> {
        let mut infos = self.exten_infos.0;
        infos.retain(|line| !line.is_empty());
        let mut lines: Vec<Line> = Vec::with_capacity(self.extensions.0.len());
        for VendorId(id) in self.extensions {
            match infos.iter().position(|line| line.id() == id) {
                Some(place) => lines.push(infos.swap_remove(place)),
                None if id.is_empty() => {}
                None => lines.push(Line::bare(id)),
            }
        }
        lines.extend(infos);
        lines
    }

    /// IDs of its extensions.
    pub(super) fn extension_ids(&self) -> impl Iterator<Item = &str> {
        let bound = self.extensions.0.iter().map(|id| id.0.as_str());
        let known = self.exten_infos.0.iter().map(Line::id);
        bound
            .chain(known.filter(|id| !self.extensions.0.iter().any(|bound| bound.0 == **id)))
            .filter(|id| !id.is_empty())
    }

    /// The agent as the contract shows it.
    pub(super) fn into_agent(self, center: &CenterName, view: v1::View, states: &AgentStates) -> v1::Agent {
        let center = center.center();
        let vendor_data = match view {
            v1::View::Full => self.vendor_data(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        let extensions = self.extension_ids().filter_map(|id| ExtensionName::text(center, id)).collect();
        v1::Agent {
            name: AgentName::new(center, self.agent_id.0).to_string(),
            display_name: self.name.into_string(),
            employee_number: self.work_id.into_string(),
            mobile_number: self.mobile.into_string(),
            email: self.email.into_string(),
            role: role(&self.role).into(),
            enabled: self.enable.0,
            inbound_wrap_up_duration: self.wrap_up_time.seconds(),
            outbound_wrap_up_duration: self.out_wrap_up_time.seconds(),
            state: states.state(&self.state).into(),
            vendor_state: vendor_value(self.state, self.state_des),
            state_reason: vendor_value(self.reason_code, self.reason_code_des),
            vendor_extension_state: vendor_value(self.ext_state, Text::default()),
            queues: self.queues.0.iter().filter_map(|id| QueueName::text(center, &id.0)).collect(),
            extensions,
            default_phone_number: PhoneNumberName::text(center, &self.def_sp_number).unwrap_or_default(),
            vendor_data,
            // All other fields are input only, or returned once.
            ..v1::Agent::default()
        }
    }

    fn vendor_data(&self) -> Option<Struct> {
        VendorData::new()
            .text("Role", self.role.0.as_str())
            .text("NickName", self.nick_name.0.as_str())
            .texts("QueuesNames", self.queues_names.0.iter().map(|name| name.0.clone()))
            .build()
    }

    /// Whether it is in one of these states; any if there are none.
    fn is_in(&self, states: &[String]) -> bool {
        states.is_empty() || states.iter().any(|state| *self.state == **state)
    }

    /// Whether it matches a filter whose query is in lower case.
    fn matches(&self, filter: &Filter) -> bool {
        let contains = |text: &Text| text.to_lowercase().contains(&filter.query);
        (filter.role.is_empty() || *self.role == *filter.role)
            && (filter.enabled.is_none() || self.enable.0 == filter.enabled)
            && self.is_in(&filter.states)
            && (filter.query.is_empty()
                || self.agent_id.0.to_lowercase().contains(&filter.query)
                || [&self.name, &self.email, &self.mobile].into_iter().any(contains))
    }
}

/// Udesk's code of a role; empty for none.
pub(super) fn role_code(role: v1::AgentRole) -> &'static str {
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

fn vendor_value(code: Text, description: Text) -> Option<v1::VendorValue> {
    (!code.is_empty() || !description.is_empty())
        .then(|| v1::VendorValue { code: code.into_string(), description: description.into_string() })
}
