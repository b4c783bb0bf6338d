//! Queues and their agents: operations 11 to 17.

use serde_json::{Value, json};

use super::{
    call::Call,
    codes::{Failure, INVALID_PARAMETER, NAME_EXISTS, NUMBER_EXISTS, PARAMETER_EMPTY},
    quirks::Quirk,
    state::{Queue, State},
};

/// Operation 11.
#[expect(clippy::unnecessary_wraps, reason = "every handler has one signature")]
pub(super) fn list(state: &mut State, _: &Call<'_>) -> Result<Value, Failure> {
    let row = |queue: &Queue| {
        json!({
            "QueueId": queue.id,
            "Name": queue.name,
            "Strategy": queue.strategy,
            "Timeout": queue.timeout,
            "WaitMusic": queue.wait_music,
        })
    };
    let rows: Vec<Value> = state.queues.iter().filter(|queue| !queue.built_in).map(row).collect();
    Ok(json!({ "Queues": rows }))
}

/// Operation 12. [`super::QueueIds`] says whether the ID in the request becomes the queue's (C21).
pub(super) fn create(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let asked = call.text_if_given("QueueId").filter(|id| !id.is_empty());
    let name = call.text("QueueName");
    if asked.is_some_and(|id| !(id.len() == 4 && id.starts_with('9') && id.bytes().all(|byte| byte.is_ascii_digit()))) {
        return Err(INVALID_PARAMETER.because("QueueId is four digits, the first of them 9"));
    }
    check_name(state, "", name)?;
    let id = match asked {
        _ if call.has(Quirk::AssignedQueueIds) || !state.printed.queue_ids.is_empty() => assign(state),
        Some(id) if state.queue(id).is_ok() => return Err(NUMBER_EXISTS.because("QueueId")),
        Some(id) => id.to_owned(),
        None => free_id(state).ok_or(INVALID_PARAMETER.because("no queue id is left"))?,
    };
    state.queues.push(Queue {
        id: id.clone(),
        name: name.to_owned(),
        strategy: 0,
        timeout: 0,
        wait_music: call.text("WaitMusic").to_owned(),
        built_in: false,
    });
    Ok(json!({ "QueueId": id }))
}

/// Operation 13. An absent field is unchanged (C15).
pub(super) fn modify(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let id = call.text("QueueId");
    state.queue(id)?;
    let name = call.text_if_given("QueueName");
    if name == Some("") {
        return Err(PARAMETER_EMPTY.because("QueueName"));
    }
    check_name(state, id, name.unwrap_or_default())?;
    if call.integer("Strategy").is_some_and(|strategy| !(0..=2).contains(&strategy)) {
        return Err(INVALID_PARAMETER.because("Strategy is 0, 1 or 2"));
    }
    if call.integer("Timeout").is_some_and(i64::is_negative) {
        return Err(INVALID_PARAMETER.because("Timeout"));
    }
    for queue in state.queues.iter_mut().filter(|queue| queue.id == id) {
        if let Some(name) = name {
            name.clone_into(&mut queue.name);
        }
        if let Some(music) = call.text_if_given("WaitMusic") {
            music.clone_into(&mut queue.wait_music);
        }
        queue.strategy = call.integer("Strategy").unwrap_or(queue.strategy);
        queue.timeout = call.integer("Timeout").unwrap_or(queue.timeout);
    }
    Ok(Value::Null)
}

/// Operation 14. "Queues with agents in them cannot be deleted"; the document does not name the code (C62).
pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let id = call.text("QueueId");
    state.queue(id)?;
    if state.agents.iter().any(|agent| agent.queues.iter().any(|queue| queue == id)) {
        return Err(INVALID_PARAMETER.because("the queue has agents"));
    }
    state.queues.retain(|queue| queue.id != id);
    Ok(Value::Null)
}

/// Operation 15. All or nothing (C60). An agent may be in the queue before.
pub(super) fn add_agents(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let queue = state.queue(call.text("QueueId"))?.id.clone();
    let agents = call.texts("AgentIds");
    if agents.is_empty() {
        return Err(PARAMETER_EMPTY.because("AgentIds"));
    }
    for id in &agents {
        state.agent(id)?;
    }
    for agent in state.agents.iter_mut().filter(|agent| agents.contains(&agent.id.as_str())) {
        if !agent.queues.contains(&queue) {
            agent.queues.push(queue.clone());
        }
    }
    Ok(Value::Null)
}

/// Operation 16. All or nothing (C60). A full replacement by no queue removes the agent from every regular queue (C61).
pub(super) fn enroll(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let replace = match call.integer("IsFull") {
        None | Some(0) => false,
        Some(1) => true,
        Some(_) => return Err(INVALID_PARAMETER.because("IsFull is 0 or 1")),
    };
    let queues = known_queues(state, call)?;
    if queues.is_empty() && !replace {
        return Err(PARAMETER_EMPTY.because("Queues"));
    }
    let mut joined = state.agent(call.text("AgentId"))?.queues.clone();
    if replace {
        joined.retain(|id| state.queue(id).is_ok_and(|queue| queue.built_in));
    }
    for id in queues {
        if !joined.iter().any(|queue| queue == id) {
            joined.push(id.to_owned());
        }
    }
    state.agent_mut(call.text("AgentId"))?.queues = joined;
    Ok(Value::Null)
}

/// Operation 17. All or nothing (C60). Leaving a queue without being in it succeeds.
pub(super) fn leave(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let queues = known_queues(state, call)?;
    if queues.is_empty() {
        return Err(PARAMETER_EMPTY.because("Queues"));
    }
    let agent = state.agent_mut(call.text("AgentId"))?;
    agent.queues.retain(|queue| !queues.contains(&queue.as_str()));
    Ok(Value::Null)
}

fn known_queues<'a>(state: &State, call: &'a Call<'_>) -> Result<Vec<&'a str>, Failure> {
    let queues = call.texts("Queues");
    for id in &queues {
        state.queue(id)?;
    }
    Ok(queues)
}

/// Checks that the name is unique. Queues without a name, which 12 allows (C39), are not compared.
fn check_name(state: &State, own_id: &str, name: &str) -> Result<(), Failure> {
    if !name.is_empty() && state.queues.iter().any(|queue| queue.name == name && queue.id != own_id) {
        return Err(NAME_EXISTS.because("QueueName"));
    }
    Ok(())
}

/// Assigns an ID with six digits, as in the document's example (C20).
fn assign(state: &mut State) -> String {
    if let Some(printed) = state.printed.queue_ids.pop_front() {
        return printed.to_owned();
    }
    let id = state.next_queue_id;
    state.next_queue_id += 1;
    id.to_string()
}

/// The lowest unused ID `9\d{3}`.
fn free_id(state: &State) -> Option<String> {
    (9000..10_000).map(|id| id.to_string()).find(|id| state.queue(id).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::{QueueIds, Tenant, testing::TestServer};

    async fn queue(server: &TestServer, id: &str) -> Value {
        let queues = server.done(11, "", Value::Null).await["Queues"].clone();
        let queues = queues.as_array().expect("11 returns a list");
        queues.iter().find(|queue| queue["QueueId"] == id).cloned().unwrap_or_default()
    }

    async fn queues_of(server: &TestServer, agent: &str) -> Value {
        server.done(25, agent, Value::Null).await["QueuesNames"].clone()
    }

    #[tokio::test]
    async fn the_id_asked_for_is_honoured_or_replaced() {
        let body = json!({ "QueueId": "9100", "QueueName": "Night", "WaitMusic": "night.wav" });
        let server = TestServer::start().await;
        assert_eq!(server.done(12, "", body.clone()).await, json!({ "QueueId": "9100" }));
        let expected =
            json!({ "QueueId": "9100", "Name": "Night", "Strategy": 0, "Timeout": 0, "WaitMusic": "night.wav" });
        assert_eq!(queue(&server, "9100").await, expected);
        assert_eq!(server.done(12, "", json!({ "QueueName": "Day" })).await["QueueId"], "9000");

        let server = TestServer::with(|options| options.queue_ids = QueueIds::Assign).await;
        assert_eq!(server.done(12, "", body).await, json!({ "QueueId": "181155" }));
        assert_eq!(server.done(12, "", json!({ "QueueName": "Day" })).await["QueueId"], "181156");
        assert_eq!(queue(&server, "181155").await["Name"], "Night");
    }

    #[tokio::test]
    async fn the_documents_application_goes_on_counting_from_the_printed_id() {
        let server = TestServer::with(|options| {
            options.tenant = Tenant::Document;
            options.queue_ids = QueueIds::Assign;
        })
        .await;
        for (name, id) in [("a", "181154"), ("b", "181155")] {
            assert_eq!(server.done(12, "", json!({ "QueueName": name })).await["QueueId"], id);
        }
    }

    #[tokio::test]
    async fn what_a_queue_cannot_be_made_of() {
        let server = TestServer::start().await;
        let rows = [
            (json!({ "QueueName": "Sales" }), "100006"),
            (json!({ "QueueId": "9001", "QueueName": "Night" }), "100015"),
            (json!({ "QueueId": "8001", "QueueName": "Night" }), "000001"),
            (json!({ "QueueId": "90011", "QueueName": "Night" }), "000001"),
        ];
        for (body, code) in rows {
            assert_eq!(server.refused(12, "", body.clone()).await, code, "{body}");
        }
    }

    #[tokio::test]
    async fn what_is_not_sent_stays_as_it_is() {
        let server = TestServer::start().await;
        let mut expected = queue(&server, "9001").await;
        server.done(13, "", json!({ "QueueId": "9001" })).await;
        assert_eq!(queue(&server, "9001").await, expected);
        server.done(13, "", json!({ "QueueId": "9001", "QueueName": "Sales", "Strategy": 2, "WaitMusic": "" })).await;
        expected["Strategy"] = json!(2);
        expected["WaitMusic"] = json!("");
        assert_eq!(queue(&server, "9001").await, expected);
        let rows = [
            (json!({ "QueueId": "9001", "QueueName": "Billing" }), "100006"),
            (json!({ "QueueId": "9001", "QueueName": "" }), "100001"),
            (json!({ "QueueId": "9001", "Timeout": 5, "Strategy": 3 }), "000001"),
            (json!({ "QueueId": "9001", "Timeout": -1 }), "000001"),
            (json!({ "QueueId": "9999" }), "100018"),
        ];
        for (body, code) in rows {
            assert_eq!(server.refused(13, "", body.clone()).await, code, "{body}");
        }
        assert_eq!(queue(&server, "9001").await, expected);
    }

    #[tokio::test]
    async fn a_queue_with_agents_stays() {
        let server = TestServer::start().await;
        let complaints = json!({ "QueueId": "9004" });
        let refused = server.call(14, "", complaints.clone()).await;
        assert_eq!(refused["ErrCode"], "000001");
        assert_eq!(refused["ErrDesc"], "Invalid parameter: the queue has agents");
        for agent in ["1008", "1009"] {
            server.done(17, "", json!({ "AgentId": agent, "Queues": ["9004"] })).await;
        }
        server.done(14, "", complaints.clone()).await;
        assert_eq!(server.refused(14, "", complaints).await, "100018");
    }

    #[tokio::test]
    async fn agents_join_a_queue_together_or_not_at_all() {
        let server = TestServer::start().await;
        let add = |agents: Value| json!({ "QueueId": "9004", "AgentIds": agents });
        assert_eq!(server.refused(15, "", add(json!(["1001", "7777"]))).await, "100018");
        assert_eq!(server.refused(15, "", add(json!([]))).await, "100001");
        assert_eq!(queues_of(&server, "1001").await, json!(["Sales"]));
        server.done(15, "", add(json!(["1001", "1001", "1008"]))).await;
        assert_eq!(queues_of(&server, "1001").await, json!(["Sales", "Complaints"]));
        assert_eq!(queues_of(&server, "1008").await, json!(["Support", "Complaints"]));
        let unknown = json!({ "QueueId": "9999", "AgentIds": ["1001"] });
        assert_eq!(server.refused(15, "", unknown).await, "100018");
    }

    #[tokio::test]
    async fn an_agent_joins_more_queues_or_exactly_these() {
        let server = TestServer::start().await;
        let join = |queues: Value, full: i64| json!({ "AgentId": "1001", "Queues": queues, "IsFull": full });
        server.done(16, "", json!({ "AgentId": "1001", "Queues": ["9002"] })).await;
        assert_eq!(queues_of(&server, "1001").await, json!(["Sales", "Billing"]));
        server.done(16, "", join(json!(["9003"]), 1)).await;
        assert_eq!(queues_of(&server, "1001").await, json!(["Support"]));
        let rows = [
            (join(json!(["9001", "9999"]), 0), "100018"),
            (join(json!(["9001"]), 2), "000001"),
            (join(json!([]), 0), "100001"),
            (json!({ "AgentId": "7777", "Queues": ["9001"] }), "100018"),
        ];
        for (body, code) in rows {
            assert_eq!(server.refused(16, "", body.clone()).await, code, "{body}");
        }
        assert_eq!(queues_of(&server, "1001").await, json!(["Support"]));
        server.done(16, "", join(json!([]), 1)).await;
        assert_eq!(queues_of(&server, "1001").await, json!([]));
    }

    #[tokio::test]
    async fn an_agent_leaves_queues_together_or_not_at_all() {
        let server = TestServer::start().await;
        let leave = |queues: Value| json!({ "AgentId": "1003", "Queues": queues });
        assert_eq!(server.refused(17, "", leave(json!(["9001", "9999"]))).await, "100018");
        assert_eq!(server.refused(17, "", leave(json!([]))).await, "100001");
        assert_eq!(queues_of(&server, "1003").await, json!(["Sales", "Billing"]));
        server.done(17, "", leave(json!(["9001", "9004"]))).await;
        assert_eq!(queues_of(&server, "1003").await, json!(["Billing"]));
    }
}
