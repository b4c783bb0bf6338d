//! Signing in and out: operations 22 and 23. Repeating either succeeds (C64).

use serde_json::{Value, json};

use super::call::Call;
use super::envelope::{Failure, INVALID_PARAMETER, INVALID_STATE};
use super::state::{State, Status};

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
    Ok(json!(""))
}

/// Operation 23.
pub(super) fn logout(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    state.agent_mut(call.text("agent_id"))?.status = Status::Offline;
    Ok(json!(""))
}

#[cfg(test)]
mod tests {
    use crate::sandbox::udesk::testing::{Desk, prepare};

    use super::*;

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
