//! The flow of a call that 24 made: it enters a queue, an idle agent answers it or it times out, and it ends.
//!
//! The document says that the call follows the routing of the relay number. Here every relay number leads to a queue:
//! the first number to the first queue, and so on. A call has a flow only while a subscription has a receiver, because
//! its events are all that a flow is for.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    center_handle::CenterHandle,
    event::Event,
    sessions::emit_agent_state,
    state::{Agent, Callback, State, Status},
};

/// One call.
pub(super) struct CallFlow {
    call_id: String,
    customer: String,
    entry: String,
    display: String,
}

// === impl CallFlow ===

impl CallFlow {
    pub(super) fn of(callback: &Callback) -> Self {
        let Callback { call_id, customer, entry, display, variables: _ } = callback.clone();
        Self { call_id, customer, entry, display }
    }

    /// Runs the call to its end, with a pause before every step. A reset ends it early.
    pub(super) async fn run(self, center: CenterHandle, pace: Duration) {
        let _ = self.steps(&center, pace).await;
    }

    async fn steps(&self, center: &CenterHandle, pace: Duration) -> Option<()> {
        sleep(pace).await;
        center.update(|state| state.pending_events.push(self.event("start_dialout")))?;
        sleep(pace).await;
        let queue = center.update(|state| self.enter_queue(state))?;
        sleep(pace).await;
        let agent = center.update(|state| self.leave_queue(state, queue.as_deref()))?;
        sleep(pace).await;
        if let Some(agent) = &agent {
            let record = |state: &mut State| {
                let event = self.event("record_stop").of_agent(state, agent);
                state.pending_events.push(event);
            };
            center.update(record)?;
            sleep(pace).await;
        }
        let (cause, by) = if agent.is_some() { ("NORMAL_CLEARING", "customer") } else { ("NO_ANSWER", "system") };
        center.update(|state| {
            state.pending_events.push(self.event("hangup_cause").with("HangupCause", cause).with("HangupBy", by));
        })?;
        sleep(pace).await;
        center.update(|state| {
            let mut event = self.event("general_hangup").with("QueueId", queue.unwrap_or_default());
            if let Some(agent) = &agent {
                event = event.of_agent(state, agent);
            }
            state.pending_events.push(event);
        })?;
        let agent = agent?;
        sleep(pace).await;
        center.update(|state| release(state, &agent))
    }

    fn event(&self, name: &'static str) -> Event {
        Event::new(name)
            .with("CallId", self.call_id.as_str())
            .with("Caller", self.display.as_str())
            .with("Called", self.customer.as_str())
            .with("Direction", "out")
    }

    /// Enters the queue of the relay number, if there is one; returns its ID.
    fn enter_queue(&self, state: &mut State) -> Option<String> {
        let index = state.numbers.iter().position(|number| *number == self.entry)?;
        let queue = state.queues.get(index % state.queues.len().max(1))?.id.clone();
        let event = self.event("enqueue_succ").in_queue(state, &queue);
        state.pending_events.push(event);
        Some(queue)
    }

    /// Leaves the queue: to its first idle agent, who is talking from now on and whose ID is returned, or by a timeout.
    fn leave_queue(&self, state: &mut State, queue: Option<&str>) -> Option<String> {
        let queue = queue?;
        let is_free =
            |agent: &&mut Agent| agent.status == Status::Idle && agent.queues.iter().any(|joined| joined == queue);
        let found = state.agents.iter_mut().find(is_free).map(|agent| {
            agent.status = Status::Talking;
            agent.id.clone()
        });
        let event = self.event("dequeue_succ").in_queue(state, queue);
        let Some(agent) = found else {
            state.pending_events.push(event.with("DequeueReason", "timeout"));
            return None;
        };
        let event = event.of_agent(state, &agent).with("DequeueReason", "agent");
        state.pending_events.push(event);
        emit_extension_state(state, &agent);
        emit_agent_state(state, &agent);
        Some(agent)
    }
}

/// Makes an agent idle again, unless the agent signed in or out during the call.
fn release(state: &mut State, agent: &str) {
    if let Ok(agent) = state.agent_mut(agent)
        && agent.status == Status::Talking
    {
        agent.status = Status::Idle;
    } else {
        return;
    }
    emit_extension_state(state, agent);
    emit_agent_state(state, agent);
}

/// Emits whether an agent's extension is in use.
fn emit_extension_state(state: &mut State, agent: &str) {
    let in_use = state.agent(agent).map_or(0, |agent| agent.status.extension());
    let event = Event::new("extension_state_update").of_agent(state, agent).with("ExtState", in_use);
    state.pending_events.push(event);
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::*;
    use crate::udesk::{
        Options, Simulator,
        event::NAMES,
        receiver::Receiver,
        testing::{APP_ID, NOW, TestServer},
    };

    async fn quick() -> TestServer {
        TestServer::with(|options| options.pace = Duration::ZERO).await
    }

    async fn ring(server: &TestServer, entry: &str) -> Value {
        let call = json!({ "caller": "13676546374", "called": entry, "called_display": "02155500102" });
        server.done(24, "", call).await
    }

    const ANSWERED: [&str; 10] = [
        "start_dialout",
        "enqueue_succ",
        "dequeue_succ",
        "extension_state_update",
        "acd_agent_state",
        "record_stop",
        "hangup_cause",
        "general_hangup",
        "extension_state_update",
        "acd_agent_state",
    ];

    #[tokio::test]
    async fn an_answered_call_has_events_from_its_beginning_to_its_end() {
        let server = quick().await;
        let at_rest = server.done(25, "1001", Value::Null).await;
        let mut receiver = Receiver::start().await;
        receiver.subscribe(&server, "gateway", &NAMES).await;
        let call_id = ring(&server, "01055500100").await;
        let mut events = Vec::new();
        for name in ANSWERED {
            let event = receiver.event().await;
            assert_eq!(event["Event"], name);
            assert_eq!((&event["AppId"], &event["Timestamp"]), (&json!(APP_ID), &json!(NOW)));
            if event.get("CallId").is_some() {
                assert_eq!(event["CallId"], call_id);
                assert_eq!((&event["Caller"], &event["Called"]), (&json!("02155500102"), &json!("13676546374")));
                assert_eq!(event["Direction"], "out");
            }
            events.push(event);
        }
        assert_eq!((&events[1]["QueueId"], &events[1]["QueueName"]), (&json!("9001"), &json!("Sales")));
        let agent = json!(format!("1001@{}", &APP_ID[..13]));
        for event in &events[2..6] {
            assert_eq!((&event["AgentId"], &event["Extension"]), (&agent, &json!("1101")));
        }
        let states = [3, 4, 8, 9].map(|index| [&events[index]["ExtState"], &events[index]["StateDes"]]);
        let (talking, idle, none) = (json!("talking"), json!("idle"), Value::Null);
        let (free, in_use) = (json!(0), json!(1));
        assert_eq!(states, [[&in_use, &none], [&in_use, &talking], [&free, &none], [&free, &idle]]);
        assert_eq!(events[5]["RecordUrl"], format!("https://records.example.com/{}.wav", call_id.as_str().unwrap()));
        assert_eq!(server.done(25, "1001", Value::Null).await, at_rest);
    }

    #[tokio::test]
    async fn a_call_without_a_free_agent_leaves_the_queue_and_ends() {
        let server = quick().await;
        // The other agent of the queue is offline.
        server.done(23, "", json!({ "agent_id": "1009" })).await;
        let mut receiver = Receiver::start().await;
        receiver.subscribe(&server, "gateway", &NAMES).await;
        ring(&server, "075555500103").await;
        for (name, field, value) in [
            ("start_dialout", "Direction", "out"),
            ("enqueue_succ", "QueueName", "Complaints"),
            ("dequeue_succ", "DequeueReason", "timeout"),
            ("hangup_cause", "HangupBy", "system"),
            ("general_hangup", "QueueId", "9004"),
        ] {
            let event = receiver.event().await;
            assert_eq!((&event["Event"], &event[field]), (&json!(name), &json!(value)));
            assert_eq!(event.get("AgentId").unwrap_or(&Value::Null), &Value::Null);
        }
    }

    fn handle(simulator: &Simulator) -> CenterHandle {
        CenterHandle::new(simulator, &simulator.center())
    }

    /// A call for tests that run its steps themselves.
    fn call() -> CallFlow {
        let text = String::new;
        CallFlow { call_id: text(), customer: text(), entry: text(), display: text() }
    }

    #[tokio::test]
    async fn a_talking_agent_is_shown_as_such_and_gets_no_second_call() {
        let server = TestServer::start().await;
        let (call, center) = (call(), handle(&server.simulator));
        let take = || center.update(|state| call.leave_queue(state, Some("9002"))).flatten();
        assert_eq!([take(), take()].map(|agent| agent.unwrap()), ["1003", "1009"]);
        assert_eq!(take(), None);
        let shown = server.done(25, "1003", Value::Null).await;
        assert_eq!(
            (&shown["State"], &shown["StateDes"], &shown["ExtState"]),
            (&json!(3), &json!("talking"), &json!(1))
        );
        center.update(|state| release(state, "1003")).unwrap();
        assert_eq!(server.done(25, "1003", Value::Null).await["StateDes"], "idle");
        assert_eq!(take().unwrap(), "1003");
    }

    #[tokio::test]
    async fn an_agent_who_signs_out_while_talking_stays_offline() {
        let server = TestServer::start().await;
        let mut receiver = Receiver::start().await;
        receiver.subscribe(&server, "gateway", &["acd_agent_state"]).await;
        let (call, center) = (call(), handle(&server.simulator));
        center.update(|state| call.leave_queue(state, Some("9001"))).unwrap();
        server.done(23, "", json!({ "agent_id": "1001" })).await;
        center.update(|state| release(state, "1001")).unwrap();
        assert_eq!(server.done(25, "1001", Value::Null).await["StateDes"], "offline");
        assert_eq!([receiver.event().await["State"].clone(), receiver.event().await["State"].clone()], [3, 4]);
        assert_eq!(server.deliveries().await.len(), 2);
    }

    #[tokio::test]
    async fn a_call_has_a_flow_while_there_is_a_receiver_and_at_most_100_do() {
        let server = TestServer::with(|options| options.pace = Duration::from_secs(3600)).await;
        let flows = || server.simulator.center().call_flows.len();
        ring(&server, "01055500100").await;
        assert_eq!(flows(), 0);
        Receiver::start().await.subscribe(&server, "gateway", &["play_succ"]).await;
        for _ in 0..102 {
            ring(&server, "01055500100").await;
        }
        assert_eq!((flows(), server.simulator.callbacks().len()), (100, 103));
        let center = handle(&server.simulator);
        assert!(center.update(|_| ()).is_some());
        server.admin("POST", "/simulator/reset", &Value::Null).await;
        assert_eq!(flows(), 0);
        // After a reset an update changes nothing.
        assert!(center.update(|_| ()).is_none());
    }

    #[tokio::test]
    async fn a_handle_keeps_no_simulator_alive() {
        let simulator = Simulator::new(Options::new(APP_ID, "sid", SecretString::from("token")));
        let center = handle(&simulator);
        assert!(center.update(|_| ()).is_some());
        drop(simulator);
        assert!(center.update(|_| ()).is_none());
    }
}
