//! Reads agents: operations 06, 25 and 26.

use serde_json::{Value, json};

use super::{
    call::Call,
    codes::{Failure, INVALID_PARAMETER},
    quirks::Quirk,
    state::{Agent, Extension, SignalType, State},
};

/// Rows of the first page of 06 under [`Quirk::Pages`].
const SHORT_PAGE: usize = 5;

/// The query of 06. An empty parameter does not filter.
struct Filter<'a> {
    role: Option<&'a str>,
    enabled: Option<bool>,
    status: Option<i64>,
    fuzzy: Option<String>,
}

// === impl Filter ===

impl<'a> Filter<'a> {
    fn read(call: &'a Call<'_>) -> Result<Self, Failure> {
        let enabled = match call.query.get("Enable") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| INVALID_PARAMETER.because("Enable is true or false"))?),
        };
        let status = match call.query.get("State") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| INVALID_PARAMETER.because("State is a number"))?),
        };
        let fuzzy = call.query.get("FuzzyQuery").map(str::to_lowercase);
        Ok(Self { role: call.query.get("Role"), enabled, status, fuzzy })
    }

    /// "Fuzzy query text matching range: seat name, seat number, email, mobile phone number."
    fn matches(&self, agent: &Agent) -> bool {
        self.role.is_none_or(|role| role == agent.role)
            && self.enabled.is_none_or(|enabled| enabled == agent.enabled)
            && self.status.is_none_or(|status| status == agent.status.number())
            && self.fuzzy.as_ref().is_none_or(|text| {
                [&agent.name, &agent.id, &agent.email, &agent.mobile]
                    .into_iter()
                    .any(|field| field.to_lowercase().contains(text))
            })
    }
}

/// Operation 06. It has no page parameters: the response is one page of all agents (C35).
pub(super) fn list(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let filter = Filter::read(call)?;
    let found: Vec<&Agent> = state.agents.iter().filter(|agent| filter.matches(agent)).collect();
    let total = found.len();
    let page_size = if call.has(Quirk::Pages) { SHORT_PAGE } else { total };
    let rows: Vec<Value> =
        found.into_iter().take(state.printed.rows.unwrap_or(page_size)).map(|agent| list_row(state, agent)).collect();
    Ok(json!({
        "CurrPage": 1,
        "PageSize": page_size,
        "Total": total,
        "TotalPage": total.div_ceil(page_size.max(1)),
        "AgentList": rows,
    }))
}

/// Operation 25.
pub(super) fn get(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    state.agent(call.id).map(|agent| detail(state, agent))
}

/// Operation 26.
pub(super) fn of_queue(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let queue = state.queue(call.id)?;
    let members = state.agents.iter().filter(|agent| agent.queues.contains(&queue.id));
    Ok(members.map(|agent| detail(state, agent)).collect())
}

/// An agent in 06: a bare ID, queues with the whole application ID (C18, C19), no names of queues.
fn list_row(state: &State, agent: &Agent) -> Value {
    let infos = if state.printed.without_exten_infos {
        Value::Null
    } else {
        exten_infos(state, agent, |signal_type| signal_type.number().to_string())
    };
    json!({
        "AppId": state.app_id,
        "AgentId": agent.id,
        "WorkId": agent.work_id,
        "Name": agent.name,
        "Mobile": agent.mobile,
        "Email": agent.email,
        "Role": agent.role,
        "Queues": shown_queues(state, agent, &state.app_id),
        "QueuesNames": null,
        "Extensions": agent.extensions,
        "DefSpNumber": agent.default_number,
        "State": agent.status.number(),
        "ExtState": agent.status.extension(),
        "WrapUpTime": agent.wrap_up_time,
        "OutWrapUpTime": agent.out_wrap_up_time,
        "Enable": agent.enabled,
        "ExtenInfos": infos,
    })
}

/// An agent in 25 and 26: IDs with the short application ID, and other fields than in 06 (C56).
fn detail(state: &State, agent: &Agent) -> Value {
    let names: Vec<&str> = agent
        .queues
        .iter()
        .filter_map(|id| state.queue(id).ok())
        .filter(|queue| !queue.built_in)
        .map(|queue| queue.name.as_str())
        .collect();
    json!({
        "AppId": state.printed.app_id.unwrap_or(&state.app_id),
        "AgentId": format!("{}@{}", agent.id, state.short_app_id),
        "WorkId": agent.work_id,
        "Name": agent.name,
        "NickName": agent.name,
        "Mobile": agent.mobile,
        "Email": agent.email,
        "Role": agent.role,
        "Queues": shown_queues(state, agent, &state.short_app_id),
        "QueuesNames": names,
        "Extensions": agent.extensions,
        "DefSpNumber": agent.default_number,
        "State": agent.status.number(),
        "StateDes": agent.status.text(),
        "ReasonCode": 0,
        "ReasonCodeDes": "",
        "ExtState": agent.status.extension(),
        "Enable": agent.enabled,
        // The document shows no value but "voip" here (C25).
        "ExtenInfos": exten_infos(state, agent, |_| "voip".to_owned()),
    })
}

fn shown_queues(state: &State, agent: &Agent, app_id: &str) -> Vec<String> {
    let regular = |id: &&String| state.queue(id).is_ok_and(|queue| !queue.built_in);
    agent.queues.iter().filter(regular).map(|id| format!("{id}@{app_id}")).collect()
}

/// The agent's extensions that the application has in full; null if there is none, as in the example of 04.
pub(super) fn exten_infos(state: &State, agent: &Agent, signal_type: impl Fn(SignalType) -> String) -> Value {
    let info = |extension: &Extension| {
        json!({
            "Number": extension.account,
            "Extension": extension.number,
            "Password": extension.password,
            "SignalType": signal_type(extension.signal_type),
        })
    };
    let infos: Vec<Value> =
        agent.extensions.iter().filter_map(|number| state.extension(number).ok()).map(info).collect();
    if infos.is_empty() { Value::Null } else { Value::Array(infos) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::{APP_ID, TestServer, prepare};

    async fn ids(server: &TestServer, filters: &[(&str, &str)]) -> Vec<String> {
        let mut prepared = prepare(6, "", Value::Null);
        for (name, value) in filters {
            prepared = prepared.set(name, value);
        }
        let response = server.send(prepared).await.json();
        let rows = response["Result"]["AgentList"].as_array().expect("06 returns a list").clone();
        rows.iter().map(|row| row["AgentId"].as_str().expect("an id is text").to_owned()).collect()
    }

    #[tokio::test]
    async fn the_list_is_filtered_by_what_is_asked() {
        let server = TestServer::start().await;
        assert_eq!(ids(&server, &[]).await.len(), 12);
        assert_eq!(ids(&server, &[("Role", ""), ("State", "")]).await.len(), 12);
        assert_eq!(ids(&server, &[("Role", "leader")]).await, ["1009"]);
        assert_eq!(ids(&server, &[("Enable", "false")]).await, ["1010"]);
        assert_eq!(ids(&server, &[("State", "1")]).await, ["1002", "1005"]);
        assert_eq!(ids(&server, &[("FuzzyQuery", "MARA")]).await, ["1001"]);
        assert_eq!(ids(&server, &[("FuzzyQuery", "theo.okafor@")]).await, ["1002"]);
        assert_eq!(ids(&server, &[("FuzzyQuery", "19900001003")]).await, ["1003"]);
        assert_eq!(ids(&server, &[("FuzzyQuery", "1004")]).await, ["1004"]);
        assert_eq!(ids(&server, &[("State", "4"), ("FuzzyQuery", "101")]).await, ["1010", "1011", "1012"]);
        for (name, value) in [("Enable", "yes"), ("State", "offline")] {
            let refused = server.send(prepare(6, "", Value::Null).set(name, value)).await;
            assert_eq!(refused.code(), "000001");
        }
    }

    #[tokio::test]
    async fn ids_are_bare_in_the_list_and_suffixed_elsewhere() {
        let server = TestServer::start().await;
        let listed = server.done(6, "", Value::Null).await["AgentList"][0].clone();
        assert_eq!((&listed["AgentId"], &listed["AppId"]), (&json!("1001"), &json!(APP_ID)));
        assert_eq!(listed["Queues"], json!([format!("9001@{APP_ID}")]));
        assert_eq!(listed["ExtenInfos"][1]["SignalType"], "1");
        let one = server.done(25, "1001", Value::Null).await;
        assert_eq!((&one["AgentId"], &one["AppId"]), (&json!("1001@4b8dc715-05e0"), &json!(APP_ID)));
        assert_eq!((&one["Queues"], &one["QueuesNames"]), (&json!(["9001@4b8dc715-05e0"]), &json!(["Sales"])));
        assert_eq!(one["ExtenInfos"][1]["SignalType"], "voip");
    }

    #[tokio::test]
    async fn a_queue_lists_its_agents() {
        let server = TestServer::start().await;
        let members = server.done(26, "9004", Value::Null).await;
        assert_eq!(members[0], server.done(25, "1008", Value::Null).await);
        assert_eq!(members.as_array().map(Vec::len), Some(2));
        assert_eq!(server.refused(26, "9999", Value::Null).await, "100018");
        assert_eq!(server.refused(25, "7777", Value::Null).await, "100018");
    }
}
