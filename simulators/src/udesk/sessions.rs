//! Signing in and out: operations 22 and 23. Repeating either succeeds (C64).

use serde_json::{Value, json};

use super::{
    call::Call,
    envelope::{Failure, INVALID_PARAMETER, INVALID_STATE},
    events::Event,
    state::{State, Status},
};

/// Operation 22. `work_id` and `queue_ids` are for reports only and change nothing.
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
    tell_state(state, call.text("agent_id"));
    Ok(json!(""))
}

/// Operation 23.
pub(super) fn logout(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    state.agent_mut(call.text("agent_id"))?.status = Status::Offline;
    tell_state(state, call.text("agent_id"));
    Ok(json!(""))
}

/// Tells the state an agent is in, also where it was in it before.
pub(super) fn tell_state(state: &mut State, id: &str) {
    let Ok(agent) = state.agent(id) else {
        return;
    };
    let event = Event::new("acd_agent_state")
        .by(state, id)
        .telling("State", agent.status.number())
        .telling("StateDes", agent.status.text())
        .telling("ReasonCode", 0)
        .telling("ReasonCodeDes", "")
        .telling("ExtState", agent.status.extension());
    state.happened.push(event);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::{
        receiver::Receiver,
        testing::{APP_ID, Desk, prepare},
    };

    async fn status(desk: &Desk, id: &str) -> (Value, Value) {
        let agent = desk.done(25, id, Value::Null).await;
        (agent["State"].clone(), agent["StateDes"].clone())
    }

    #[tokio::test]
    async fn signing_in_and_out_can_be_repeated() {
        let desk = Desk::open().await;
        let agent = json!({ "agent_id": "1004" });
        assert_eq!(status(&desk, "1004").await, (json!(4), json!("offline")));
        for _ in 0..2 {
            desk.done(22, "", agent.clone()).await;
            assert_eq!(status(&desk, "1004").await, (json!(0), json!("idle")));
        }
        desk.done(22, "", json!({ "agent_id": "1004", "state": 1 })).await;
        assert_eq!(status(&desk, "1004").await, (json!(1), json!("waiting")));
        for _ in 0..2 {
            desk.done(23, "", agent.clone()).await;
            assert_eq!(status(&desk, "1004").await, (json!(4), json!("offline")));
        }
    }

    #[tokio::test]
    async fn signing_in_and_out_is_told_with_the_state_that_is_shown() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::open().await;
        receiver.subscribe(&desk, "gateway", &["acd_agent_state"]).await;
        for (number, body) in [(22, json!({ "state": 1 })), (22, json!({})), (23, json!({}))] {
            let mut body = body.clone();
            body["agent_id"] = json!("1004");
            desk.done(number, "", body).await;
            let shown = desk.done(25, "1004", Value::Null).await;
            let told = receiver.event().await;
            assert_eq!(told["AgentId"], format!("1004@{}", &APP_ID[..13]));
            for field in ["AgentId", "AppId", "WorkId", "State", "StateDes", "ReasonCode", "ReasonCodeDes", "ExtState"]
            {
                assert_eq!(told[field], shown[field], "{field}");
            }
        }
        // A refusal is no event.
        desk.refused(22, "", json!({ "agent_id": "1010" })).await;
        assert_eq!(desk.deliveries().await.len(), 3);
    }

    #[tokio::test]
    async fn who_cannot_sign_in() {
        let desk = Desk::open().await;
        let rows = [
            (json!({ "agent_id": "1011" }), "100021"), // no extension
            (json!({ "agent_id": "1010" }), "100021"), // disabled
            (json!({ "agent_id": "7777" }), "100018"),
            (json!({ "agent_id": "1004", "state": 2 }), "000001"),
        ];
        for (body, code) in rows {
            assert_eq!(desk.refused(22, "", body).await, code);
        }
        assert_eq!(desk.refused(23, "", json!({ "agent_id": "7777" })).await, "100018");
    }

    #[tokio::test]
    async fn the_message_id_comes_back() {
        let desk = Desk::open().await;
        let agent = json!({ "agent_id": "1001" });
        let sent = desk.send(prepare(22, "", agent.clone()).set("MsgId", "m-77")).await.json();
        assert_eq!(
            sent,
            json!({ "ErrCode": "000000", "ErrDesc": "OK", "msg_id": "m-77", "results": "", "data": null })
        );
        let absent = desk.send(prepare(22, "", agent.clone()).without("MsgId")).await;
        assert_eq!(absent.code(), "100001");
        let optional = desk.call(23, "", agent).await;
        assert_eq!((&optional["ErrCode"], &optional["msg_id"]), (&json!("000000"), &json!("")));
    }
}
