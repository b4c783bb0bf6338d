//! Extensions: operations 07 to 10.

use serde_json::{Value, json};

use super::{
    call::Call,
    codes::{Failure, INVALID_PARAMETER, NOT_FOUND, NUMBER_EXISTS, PARAMETER_EMPTY},
    state::{SignalType, State},
};

/// Operation 07. All or nothing (C60). Only `AgentId` and `Extensions` are used, although the body is a whole agent
/// (C36).
pub(super) fn bind(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let agent = state.agent(call.text("AgentId"))?;
    let mut bound = agent.extensions.clone();
    for number in given(call)? {
        let extension = state.extension(number)?;
        match state.holder(number) {
            Some(holder) if holder.id == agent.id => continue,
            Some(_) => {
                return Err(INVALID_PARAMETER.because("the extension is bound to another agent"));
            }
            None => {}
        }
        // "An agent can only be bound to one extension of the same type (SIP or WebRTC)" (04, C63).
        let same_type =
            |other: &String| state.extension(other).is_ok_and(|other| other.signal_type == extension.signal_type);
        if bound.iter().any(same_type) {
            return Err(INVALID_PARAMETER.because("the agent has an extension of this type"));
        }
        bound.push(number.to_owned());
    }
    state.agent_mut(call.text("AgentId"))?.extensions = bound;
    Ok(Value::Null)
}

/// Operation 08. All or nothing (C60).
pub(super) fn unbind(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let numbers = given(call)?;
    let agent = state.agent_mut(call.text("AgentId"))?;
    if !numbers.iter().all(|number| agent.extensions.iter().any(|bound| bound == number)) {
        return Err(NOT_FOUND.because("the extension is not bound to the agent"));
    }
    agent.extensions.retain(|bound| !numbers.contains(&bound.as_str()));
    Ok(Value::Null)
}

/// Operation 09. "An extension bound to an agent cannot be deleted"; the document does not name the code (C62).
pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let number = call.text("Extension");
    state.extension(number)?;
    if state.holder(number).is_some() {
        return Err(INVALID_PARAMETER.because("the extension is bound to an agent"));
    }
    state.extensions.retain(|extension| extension.number != number);
    Ok(Value::Null)
}

/// Operation 10. A `Password` is accepted and ignored: the system generates one (C23).
pub(super) fn create(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let number = call.text("Extension");
    if !(number.len() == 4 && number.starts_with('1') && number.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(INVALID_PARAMETER.because("Extension is four digits, the first of them 1"));
    }
    let signal_type = SignalType::from_number(call.integer("SignalType").unwrap_or(0))
        .ok_or(INVALID_PARAMETER.because("SignalType is 0 or 1"))?;
    if state.extension(number).is_ok() {
        return Err(NUMBER_EXISTS.because("Extension"));
    }
    let made = state.add_extension(number, signal_type);
    Ok(json!({
        "Extension": made.number,
        "Password": made.password,
        "Number": made.account,
        "SignalType": made.signal_type.number(),
    }))
}

/// The extensions in the request, at least one.
fn given<'a>(call: &'a Call<'_>) -> Result<Vec<&'a str>, Failure> {
    let numbers = call.texts("Extensions");
    if numbers.is_empty() { Err(PARAMETER_EMPTY.because("Extensions")) } else { Ok(numbers) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::TestServer;

    async fn bound(server: &TestServer, agent: &str) -> Value {
        server.done(25, agent, Value::Null).await["Extensions"].clone()
    }

    #[tokio::test]
    async fn an_extension_is_unbound_then_bound_then_unbound() {
        let server = TestServer::start().await;
        let body = json!({ "Extension": "1500", "Password": "chosen", "SignalType": 1 });
        let made = server.done(10, "", body).await;
        assert_eq!((&made["Extension"], &made["SignalType"]), (&json!("1500"), &json!(1)));
        assert_eq!(made["Number"], "95550100421500");
        assert_ne!(made["Password"], "chosen");

        let pair = json!({ "AgentId": "1011", "Extensions": ["1500", "1300"] });
        server.done(7, "", pair.clone()).await;
        server.done(7, "", pair.clone()).await;
        assert_eq!(bound(&server, "1011").await, json!(["1500", "1300"]));
        assert_eq!(server.refused(9, "", json!({ "Extension": "1500" })).await, "000001");
        server.done(8, "", pair.clone()).await;
        assert_eq!(bound(&server, "1011").await, json!([]));
        assert_eq!(server.refused(8, "", pair).await, "100018");
        server.done(9, "", json!({ "Extension": "1500" })).await;
        assert_eq!(server.refused(9, "", json!({ "Extension": "1500" })).await, "100018");
    }

    #[tokio::test]
    async fn what_cannot_be_bound_leaves_all_unbound() {
        let server = TestServer::start().await;
        server.done(10, "", json!({ "Extension": "1500" })).await;
        let rows = [
            (json!(["1300", "1500"]), "000001"), // two of one type
            (json!(["1300", "1101"]), "000001"), // another agent's
            (json!(["1300", "1999"]), "100018"),
            (json!([]), "100001"),
        ];
        for (extensions, code) in rows {
            let body = json!({ "AgentId": "1011", "Extensions": extensions });
            assert_eq!(server.refused(7, "", body.clone()).await, code, "{body}");
            assert_eq!(bound(&server, "1011").await, json!([]));
        }
        let third = json!({ "AgentId": "1001", "Extensions": ["1300"] });
        assert_eq!(server.refused(7, "", third).await, "000001");
        let nobody = json!({ "AgentId": "7777", "Extensions": ["1300"] });
        assert_eq!(server.refused(7, "", nobody).await, "100018");
    }

    #[tokio::test]
    async fn unbinding_is_all_or_nothing() {
        let server = TestServer::start().await;
        let body = json!({ "AgentId": "1001", "Extensions": ["1101", "1102"] });
        assert_eq!(server.refused(8, "", body).await, "100018");
        assert_eq!(bound(&server, "1001").await, json!(["1101", "1201"]));
        let none = json!({ "AgentId": "1001", "Extensions": [] });
        assert_eq!(server.refused(8, "", none).await, "100001");
    }

    #[tokio::test]
    async fn what_an_extension_cannot_be_made_of() {
        let server = TestServer::start().await;
        let rows = [
            (json!({ "Extension": "8001" }), "000001"),
            (json!({ "Extension": "150" }), "000001"),
            (json!({ "Extension": "15000" }), "000001"),
            (json!({ "Extension": "150a" }), "000001"),
            (json!({ "Extension": "1500", "SignalType": 2 }), "000001"),
            (json!({ "Extension": "1101" }), "100015"),
        ];
        for (body, code) in rows {
            assert_eq!(server.refused(10, "", body.clone()).await, code, "{body}");
        }
    }

    #[tokio::test]
    async fn binding_accepts_a_whole_agent_and_uses_two_fields() {
        let server = TestServer::start().await;
        let body = json!({
            "AgentId": "1011", "Extensions": ["1300"], "WorkId": "", "Name": "x", "Mobile": "", "Email": "",
            "Role": "x", "Queues": ["1"], "QueuesNames": [], "State": 1, "ExtState": 0, "WrapUpTime": 1,
            "OutWrapUpTime": 1, "Enable": false, "AssistantAccessRight": 0,
        });
        server.done(7, "", body).await;
        let agent = server.done(25, "1011", Value::Null).await;
        assert_eq!(
            [&agent["Name"], &agent["State"], &agent["Enable"]],
            [&json!("Lucia Brennan"), &json!(4), &json!(true)]
        );
    }
}
