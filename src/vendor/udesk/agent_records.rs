//! Reads agents: Udesk 06, 25, 26, which return one record in three spellings (C18, C33, C56).

use bytes::Bytes;
use prost_types::Struct;
use serde::{Deserialize, Serialize};

use super::{
    Api, Udesk, VendorId, about, ccapi::Ccapi, extensions::Line, incomplete_reason, operations::READ, or_empty,
};
use crate::{
    config::AgentStates,
    context::Context,
    endpoint,
    error::{Error, Result},
    http::{Endpoint, Mismatch},
    lists::{Kept, ListPage, Weigh, WholeList},
    name::{AgentName, CenterName, ExtensionName, PhoneNumberName, QueueName, ResourceName as _},
    proto::v1,
    vendor::de::{Anything, Flag, Integer, List, Object, RawList, Text, item},
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
    Ccapi: ListAgents<'_>, GET "/agents", list, READ => Anything,
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
    Ccapi: ListQueueAgents<'_>, GET "/queues/agents_list/{queue_id}", list, READ => Anything,
    path |e| format!("/queues/agents_list/{}", e.queue_id)
);

/// Response of Udesk 06; and of 26, a bare list or wrapped as Udesk 06 does (C55). Its agents are read one by one.
#[derive(Default)]
pub(super) struct AgentPage {
    curr_page: Integer,
    total: Integer,
    total_page: Integer,
    /// JSON of each agent, within the response.
    agents: Vec<Bytes>,
    /// Size of the response, in bytes.
    size: usize,
}

/// An agent of a list, as Udesk returned it. It contains passwords.
pub(super) struct ListedAgent {
    id: String,
    json: Bytes,
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

/// Every agent, as `read` returns them.
pub(super) async fn all<T: Default + Send + 'static>(
    ccapi: &Api,
    cx: &Context,
    read: impl FnOnce(AgentPage) -> Result<T, Mismatch> + Send + 'static,
) -> Result<T> {
    pages(ccapi, cx, &ListAgents { role: "", enable: "", state: "", fuzzy_query: "" }, read).await
}

/// The agents of a queue, as `read` returns them.
pub(super) async fn of_queue<T: Default + Send + 'static>(
    ccapi: &Api,
    cx: &Context,
    queue: &QueueName,
    read: impl FnOnce(AgentPage) -> Result<T, Mismatch> + Send + 'static,
) -> Result<T> {
    let response = pages(ccapi, cx, &ListQueueAgents { queue_id: queue.id() }, read).await;
    response.map_err(|error| about(error, "Queue", queue))
}

/// The agents that match a filter, of a queue or of the center.
pub(super) async fn find(
    ccapi: &Api,
    cx: &Context,
    queue: Option<&QueueName>,
    filter: Filter,
) -> Result<WholeList<ListedAgent>> {
    if let Some(queue) = queue {
        // Udesk does not filter here, so the gateway does.
        let filter = Filter { query: filter.query.to_lowercase(), ..filter };
        return of_queue(ccapi, cx, queue, |page| page.matching(move |agent| agent.matches(&filter))).await;
    }
    let enable = match filter.enabled {
        None => "",
        Some(true) => "true",
        Some(false) => "false",
    };
    // Udesk filters by one state, so the gateway filters by several.
    let (state, states) = match filter.states.as_slice() {
        [] => ("", None),
        [only] => (only.as_str(), None),
        several => ("", Some(several.to_vec())),
    };
    let list = ListAgents { role: filter.role, enable, state, fuzzy_query: &filter.query };
    let read = |page: AgentPage| match states {
        Some(states) => page.matching(move |agent| agent.is_in(&states)),
        None => page.whole(),
    };
    pages(ccapi, cx, &list, read).await
}

/// Reads a list of agents.
async fn pages<E: Endpoint<Dialect = Ccapi>, T: Default + Send + 'static>(
    ccapi: &Api,
    cx: &Context,
    endpoint: &E,
    read: impl FnOnce(AgentPage) -> Result<T, Mismatch> + Send + 'static,
) -> Result<T> {
    or_empty(ccapi.call_with(cx, endpoint, |payload| read(AgentPage::of(&payload)?)).await)
}

/// The agents of one page of a list, as the contract shows them.
pub(super) async fn resources(
    udesk: &Udesk,
    cx: &Context,
    page: &ListPage<ListedAgent>,
    center: CenterName,
    view: v1::View,
) -> Result<Vec<v1::Agent>> {
    let (states, agents) = (udesk.agent_states.clone(), page.items());
    let agents: Vec<Bytes> = agents.iter().map(|agent| agent.json.clone()).collect();
    let read = move || {
        let agents = agents.iter().map(|json| serde_json::from_slice::<Agent>(json));
        agents.map(|agent| Ok(agent?.into_agent(&center, view, &states))).collect::<Result<_, Mismatch>>()
    };
    let size = page.items().iter().map(|agent| agent.json.len()).sum();
    let resources = udesk.ccapi.offload(cx, ListAgents::operation(), size, read).await?;
    resources.map_err(|mismatch| udesk.ccapi.mismatched(ListAgents::operation(), mismatch))
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
    fn of(payload: &Bytes) -> Result<Self, Mismatch> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Raw<'a> {
            curr_page: Integer,
            total: Integer,
            total_page: Integer,
            #[serde(borrow)]
            agent_list: RawList<'a>,
        }
        let raw = if payload.trim_ascii_start().starts_with(b"[") {
            Raw { agent_list: serde_json::from_slice(payload)?, ..Raw::default() }
        } else {
            serde_json::from_slice::<Object<Raw<'_>>>(payload)?.0
        };
        let Raw { curr_page, total, total_page, agent_list: RawList(agents) } = raw;
        let agents = agents.into_iter().map(|agent| payload.slice_ref(agent.get().as_bytes())).collect();
        Ok(Self { curr_page, total, total_page, agents, size: payload.len() })
    }

    /// The agents.
    pub(super) fn agents(&self) -> impl Iterator<Item = Result<Agent, Mismatch>> {
        self.agents.iter().map(|json| item(json))
    }

    /// IDs of the agents.
    pub(super) fn ids(&self) -> impl Iterator<Item = Result<String, Mismatch>> {
        /// An agent of which only the ID is read.
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Identified {
            agent_id: VendorId,
        }
        self.agents.iter().map(|json| Ok(item::<Identified>(json)?.agent_id.0))
    }

    /// All agents, of which only the IDs are read.
    fn whole(self) -> Result<WholeList<ListedAgent>, Mismatch> {
        let (mut agents, mut nameless) = (Vec::with_capacity(self.agents.len()), 0);
        for (id, json) in self.ids().zip(&self.agents) {
            let id = id?;
            if AgentName::identifies(&id) {
                agents.push(ListedAgent { id, json: json.clone() });
            } else {
                nameless += 1;
            }
        }
        Ok(WholeList::new(agents, self.total_size(), self.incomplete_reason(nameless)).within(self.size))
    }

    /// The agents that match. They are copied, so that they do not retain the others.
    fn matching(self, matches: impl Fn(&Agent) -> bool) -> Result<WholeList<ListedAgent>, Mismatch> {
        let (mut matching, mut nameless) = (Vec::new(), 0);
        for (agent, json) in self.agents().zip(&self.agents) {
            let agent = agent?;
            if !AgentName::identifies(agent.id()) {
                nameless += 1;
            } else if matches(&agent) {
                matching.push(ListedAgent { id: agent.agent_id.0, json: Bytes::copy_from_slice(json) });
            }
        }
        Ok(WholeList::counted(matching, self.incomplete_reason(nameless)))
    }

    /// Why agents are missing, of which no name identifies so many; empty when none is.
    pub(super) fn incomplete_reason(&self, nameless: usize) -> String {
        let pages = [self.curr_page, self.total_page, self.total];
        incomplete_reason(pages, self.agents.len() - nameless, nameless, "agents")
    }

    /// Whether there is no agent.
    pub(super) fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// The total, including agents beyond this page.
    fn total_size(&self) -> i32 {
        let total = self.total.0.map_or(0, |total| i32::try_from(total).unwrap_or(i32::MAX));
        total.max(super::count(self.agents.len()))
    }
}

// === impl ListedAgent ===

impl Weigh for ListedAgent {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.id.len() + self.json.len()
    }
}

impl Kept for ListedAgent {
    fn id(&self) -> &str {
        &self.id
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
