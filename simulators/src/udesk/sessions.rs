//! Signs agents in and out: operations 22 and 23. Repeating either succeeds (C64).

use serde_json::{Value, json};

use super::{
    call::Call,
    codes::{Failure, INVALID_PARAMETER, INVALID_STATE},
    event::Event,
    state::{State, Status},
};

/// Operation 22. `work_id` and `queue_ids` are for reports and change nothing.
pub(super) fn login(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let status = match call.integer("state") {
        None | Some(0) => Status::Idle,
        Some(1) => Status::Waiting,
        Some(_) => return Err(INVALID_PARAMETER.because("state is 0 or 1")),
    };
    let agent = state.agent_mut(call.text("agent_id"))?;
    if !agent.enabled {
        return Err(INVALID_STATE.because("the agent is disabled"));
    }
    // "Agents without an extension bound cannot sign in."
    if agent.extensions.is_empty() {
        return Err(INVALID_STATE.because("the agent has no extension"));
    }
    agent.status = status;
    emit_agent_state(state, call.text("agent_id"));
    Ok(json!(""))
}

/// Operation 23.
pub(super) fn logout(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    state.agent_mut(call.text("agent_id"))?.status = Status::Offline;
    emit_agent_state(state, call.text("agent_id"));
    Ok(json!(""))
}

/// Emits an agent's state, changed or not.
pub(super) fn emit_agent_state(state: &mut State, id: &str) {
    let Ok(agent) = state.agent(id) else {
        return;
    };
    let event = Event::new("acd_agent_state")
        .of_agent(state, id)
        .with("State", agent.status.number())
        .with("StateDes", agent.status.text())
        .with("ReasonCode", 0)
        .with("ReasonCodeDes", "")
        .with("ExtState", agent.status.extension());
    state.pending_events.push(event);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::{
        receiver::Receiver,
        testing::{APP_ID, TestServer, prepare},
    };

    async fn status(server: &TestServer, id: &str) -> (Value, Value) {
        let agent = server.done(25, id, Value::Null).await;
        (agent["State"].clone(), agent["StateDes"].clone())
    }

    #[tokio::test]
    async fn signing_in_and_out_can_be_repeated() {
        let server = TestServer::start().await;
        let agent = json!({ "agent_id": "1004" });
        assert_eq!(status(&server, "1004").await, (json!(4), json!("offline")));
        for _ in 0..2 {
            server.done(22, "", agent.clone()).await;
            assert_eq!(status(&server, "1004").await, (json!(0), json!("idle")));
        }
        server.done(22, "", json!({ "agent_id": "1004", "state": 1 })).await;
        assert_eq!(status(&server, "1004").await, (json!(1), json!("waiting")));
        for _ in 0..2 {
            server.done(23, "", agent.clone()).await;
            assert_eq!(status(&server, "1004").await, (json!(4), json!("offline")));
        }
    }

    #[tokio::test]
    async fn signing_in_and_out_emits_the_state_that_is_shown() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::start().await;
        receiver.subscribe(&server, "gateway", &["acd_agent_state"]).await;
        for (number, body) in [(22, json!({ "state": 1 })), (22, json!({})), (23, json!({}))] {
            let mut body = body.clone();
            body["agent_id"] = json!("1004");
            server.done(number, "", body).await;
            let shown = server.done(25, "1004", Value::Null).await;
            let event = receiver.event().await;
            assert_eq!(event["AgentId"], format!("1004@{}", &APP_ID[..13]));
            for field in ["AgentId", "AppId", "WorkId", "State", "StateDes", "ReasonCode", "ReasonCodeDes", "ExtState"]
            {
                assert_eq!(event[field], shown[field], "{field}");
            }
        }
        // A failure emits no event.
        server.refused(22, "", json!({ "agent_id": "1010" })).await;
        assert_eq!(server.deliveries().await.len(), 3);
    }

    #[tokio::test]
    async fn an_agent_without_extension_or_disabled_cannot_sign_in() {
        let server = TestServer::start().await;
        let rows = [
            (json!({ "agent_id": "1011" }), "100021"), // no extension
            (json!({ "agent_id": "1010" }), "100021"), // disabled
            (json!({ "agent_id": "7777" }), "100018"),
            (json!({ "agent_id": "1004", "state": 2 }), "000001"),
        ];
        for (body, code) in rows {
            assert_eq!(server.refused(22, "", body).await, code);
        }
        assert_eq!(server.refused(23, "", json!({ "agent_id": "7777" })).await, "100018");
    }

    #[tokio::test]
    async fn the_message_id_comes_back() {
        let server = TestServer::start().await;
        let agent = json!({ "agent_id": "1001" });
        let sent = server.send(prepare(22, "", agent.clone()).set("MsgId", "m-77")).await.json();
        assert_eq!(
            sent,
            json!({ "ErrCode": "000000", "ErrDesc": "OK", "msg_id": "m-77", "results": "", "data": null })
        );
        let absent = server.send(prepare(22, "", agent.clone()).without("MsgId")).await;
        assert_eq!(absent.code(), "100001");
        let optional = server.call(23, "", agent).await;
        assert_eq!((&optional["ErrCode"], &optional["msg_id"]), (&json!("000000"), &json!("")));
    }
}
