//! Changes agents: operations 04 and 05.

use serde_json::{Value, json};

use super::{
    call::Call,
    codes::{Failure, INVALID_PARAMETER, INVALID_STATE, NUMBER_EXISTS, PARAMETER_ERROR},
    roster,
    state::{Agent, SignalType, State, Status},
    strict::switch,
};

/// Operation 04. A new agent is in no queue, because the operation has no field for it (C57).
pub(super) fn create(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let id = call.text("AgentId");
    if id.len() > 32 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(INVALID_PARAMETER.because("AgentId is 1 to 32 digits"));
    }
    let mut agent = Agent {
        id: id.to_owned(),
        work_id: String::new(),
        name: String::new(),
        mobile: String::new(),
        email: String::new(),
        role: "agent".to_owned(),
        enabled: true,
        wrap_up_time: 0,
        out_wrap_up_time: 0,
        extensions: Vec::new(),
        queues: Vec::new(),
        default_number: String::new(),
        status: Status::Offline,
    };
    fill(&mut agent, call)?;
    if state.agent(id).is_ok() {
        return Err(NUMBER_EXISTS.because("AgentId"));
    }
    if call.body.get("IsCreateExtension").and_then(switch) == Some(true) {
        agent.extensions = free_extensions(state);
        let [sip, webrtc] = agent.extensions.as_slice() else {
            return Err(INVALID_PARAMETER.because("no two extension numbers are left"));
        };
        state.add_extension(sip, SignalType::Sip);
        state.add_extension(webrtc, SignalType::WebRtc);
    }
    let first = agent.extensions.first().and_then(|number| state.extension(number).ok());
    let response = json!({
        "AgentId": agent.id,
        "Extension": first.map_or("", |extension| extension.number.as_str()),
        "Password": first.map_or("", |extension| extension.password.as_str()),
        "Number": first.map_or("", |extension| extension.account.as_str()),
        "ExtenInfos": roster::exten_infos(state, &agent, |signal_type| signal_type.number().to_string()),
    });
    state.agents.push(agent);
    Ok(response)
}

/// Operation 05. An absent field is unchanged (C15).
pub(super) fn modify(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let agent = state.agent_mut(call.id)?;
    if call.text_if_given("AgentId").is_some_and(|id| id != call.id) {
        return Err(PARAMETER_ERROR.because("AgentId cannot be modified"));
    }
    if call.boolean("Enable") == Some(false) && agent.status != Status::Offline {
        return Err(INVALID_STATE.because("an agent is disabled only while offline"));
    }
    fill(agent, call)?;
    Ok(Value::Null)
}

/// Sets the fields that 04 and 05 share, all or none. `AssistantAccessRight` is accepted and discarded, because no
/// operation shows it.
fn fill(agent: &mut Agent, call: &Call<'_>) -> Result<(), Failure> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if let Some(id) = call.text_if_given("WorkId")
        && !((1..=32).contains(&id.len()) && id.bytes().all(word))
    {
        return Err(INVALID_PARAMETER.because("WorkId is 1 to 32 letters, digits or underscores"));
    }
    if call.text_if_given("Role").is_some_and(|role| !matches!(role, "agent" | "leader")) {
        return Err(INVALID_PARAMETER.because("Role is agent or leader"));
    }
    for name in ["WrapUpTime", "OutWrapUpTime"] {
        if call.integer(name).is_some_and(i64::is_negative) {
            return Err(INVALID_PARAMETER.because(name));
        }
    }
    for (name, field) in [
        ("WorkId", &mut agent.work_id),
        ("Name", &mut agent.name),
        ("Mobile", &mut agent.mobile),
        ("Email", &mut agent.email),
        ("Role", &mut agent.role),
    ] {
        if let Some(text) = call.text_if_given(name) {
            text.clone_into(field);
        }
    }
    agent.enabled = call.boolean("Enable").unwrap_or(agent.enabled);
    agent.wrap_up_time = call.integer("WrapUpTime").unwrap_or(agent.wrap_up_time);
    agent.out_wrap_up_time = call.integer("OutWrapUpTime").unwrap_or(agent.out_wrap_up_time);
    Ok(())
}

/// The two lowest unused numbers `1\d{3}` (C22), or fewer if fewer remain.
fn free_extensions(state: &State) -> Vec<String> {
    let numbers = (1000..2000).map(|number| number.to_string());
    numbers.filter(|number| state.extension(number).is_err()).take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::TestServer;

    #[tokio::test]
    async fn an_agent_may_be_made_with_one_extension_of_each_type() {
        let server = TestServer::start().await;
        for (id, switch) in [("2001", json!(1)), ("2002", json!(true)), ("2003", json!("true"))] {
            let body = json!({ "AgentId": id, "WorkId": "E_1", "IsCreateExtension": switch });
            let made = server.done(4, "", body).await;
            let types: Vec<&Value> = made["ExtenInfos"]
                .as_array()
                .expect("there are extensions")
                .iter()
                .map(|info| &info["SignalType"])
                .collect();
            assert_eq!(types, ["0", "1"]);
            let first = &made["ExtenInfos"][0];
            assert_eq!(
                [&made["Extension"], &made["Password"], &made["Number"]],
                [&first["Extension"], &first["Password"], &first["Number"]]
            );
            assert_eq!(made["Password"].as_str().map(str::len), Some(16));
            assert_eq!(made["Number"].as_str().map(str::len), Some(14));
            server.done(22, "", json!({ "agent_id": id })).await;
        }
        let body = json!({ "AgentId": "2004", "WorkId": "E_1", "IsCreateExtension": 0 });
        assert_eq!(server.done(4, "", body).await["ExtenInfos"], Value::Null);
    }

    #[tokio::test]
    async fn what_an_agent_cannot_be_made_of() {
        let server = TestServer::start().await;
        let digits = "1".repeat(33);
        let rows = [
            (json!({ "AgentId": "a1", "WorkId": "E1" }), "000001"),
            (json!({ "AgentId": digits, "WorkId": "E1" }), "000001"),
            (json!({ "AgentId": "2001", "WorkId": "E-1" }), "000001"),
            (json!({ "AgentId": "2001", "WorkId": digits }), "000001"),
            (json!({ "AgentId": "2001", "WorkId": "E1", "Role": "monitor" }), "000001"),
            (json!({ "AgentId": "2001", "WorkId": "E1", "WrapUpTime": -1 }), "000001"),
            (json!({ "AgentId": "2001", "WorkId": "E1", "IsCreateExtension": 2 }), "000001"),
            (json!({ "AgentId": "1001", "WorkId": "E1" }), "100015"),
        ];
        for (body, code) in rows {
            assert_eq!(server.refused(4, "", body.clone()).await, code, "{body}");
        }
        assert_eq!(server.done(6, "", Value::Null).await["Total"], 12);
    }

    #[tokio::test]
    async fn what_is_not_sent_stays_as_it_is() {
        let server = TestServer::start().await;
        let before = server.done(25, "1001", Value::Null).await;
        server.done(5, "1001", json!({ "AgentId": "1001", "Name": "Mara L. " })).await;
        let mut expected = before.clone();
        expected["Name"] = json!("Mara L. ");
        expected["NickName"] = json!("Mara L. ");
        assert_eq!(server.done(25, "1001", Value::Null).await, expected);

        assert_eq!(server.refused(5, "1001", json!({ "AgentId": "1002" })).await, "200002");
        assert_eq!(server.refused(5, "7777", json!({ "Name": "x" })).await, "100018");
        // A refused field keeps the others from being set.
        assert_eq!(server.refused(5, "1001", json!({ "Name": "x", "Role": "x" })).await, "000001");
        assert_eq!(server.done(25, "1001", Value::Null).await, expected);
    }

    #[tokio::test]
    async fn an_agent_is_disabled_only_while_offline() {
        let server = TestServer::start().await;
        let disable = json!({ "Enable": false });
        assert_eq!(server.refused(5, "1001", disable.clone()).await, "100021");
        server.done(23, "", json!({ "agent_id": "1001" })).await;
        server.done(5, "1001", disable).await;
        assert_eq!(server.refused(22, "", json!({ "agent_id": "1001" })).await, "100021");
        server.done(5, "1001", json!({ "Enable": true })).await;
        server.done(22, "", json!({ "agent_id": "1001" })).await;
    }
}
