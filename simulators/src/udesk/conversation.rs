//! The life of a call that 24 began: it waits in a queue, an agent takes it or nobody does, and it ends.
//!
//! The document says that the call follows the routing of the relay number; here every relay number leads to a queue, the
//! first to the first and so on. It goes on only while somebody listens: unheard, it would be nothing but an agent who is
//! busy for a moment.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    announce::Running,
    events::Event,
    sessions::tell_state,
    state::{Callback, State, Status},
};

/// One call.
pub(super) struct Conversation {
    call_id: String,
    customer: String,
    entry: String,
    display: String,
}

/// Lets a call go on to its end, with a pause before every step.
pub(super) async fn go_on(conversation: Conversation, running: Running, pace: Duration) {
    // `None` is the end of the simulator.
    let _ = conversation.steps(&running, pace).await;
}

// === impl Conversation ===

impl Conversation {
    pub fn of(callback: &Callback) -> Self {
        let Callback { call_id, customer, entry, display, variables: _ } = callback.clone();
        Self { call_id, customer, entry, display }
    }

    async fn steps(&self, running: &Running, pace: Duration) -> Option<()> {
        sleep(pace).await;
        running.step(|state| state.happened.push(self.event("start_dialout")))?;
        sleep(pace).await;
        let queue = running.step(|state| self.enter_queue(state))?;
        sleep(pace).await;
        let agent = running.step(|state| self.leave_queue(state, queue.as_deref()))?;
        sleep(pace).await;
        if let Some(agent) = &agent {
            let record = |state: &mut State| {
                let event = self.event("record_stop").by(state, agent);
                state.happened.push(event);
            };
            running.step(record)?;
            sleep(pace).await;
        }
        let (cause, by) = if agent.is_some() { ("NORMAL_CLEARING", "customer") } else { ("NO_ANSWER", "system") };
        running.step(|state| {
            state.happened.push(self.event("hangup_cause").telling("HangupCause", cause).telling("HangupBy", by));
        })?;
        sleep(pace).await;
        running.step(|state| {
            let mut event = self.event("general_hangup").telling("QueueId", queue.unwrap_or_default());
            if let Some(agent) = &agent {
                event = event.by(state, agent);
            }
            state.happened.push(event);
        })?;
        let agent = agent?;
        sleep(pace).await;
        running.step(|state| release(state, &agent))
    }

    fn event(&self, name: &'static str) -> Event {
        Event::new(name)
            .telling("CallId", self.call_id.as_str())
            .telling("Caller", self.display.as_str())
            .telling("Called", self.customer.as_str())
            .telling("Direction", "out")
    }

    /// The queue to which the relay number leads, if there is any.
    fn enter_queue(&self, state: &mut State) -> Option<String> {
        let place = state.numbers.iter().position(|number| *number == self.entry)?;
        let queue = state.queues.get(place % state.queues.len().max(1))?.id.clone();
        let event = self.event("enqueue_succ").within(state, &queue);
        state.happened.push(event);
        Some(queue)
    }

    /// To the first idle agent of the queue, whose state it is from now on; or to nobody.
    fn leave_queue(&self, state: &mut State, queue: Option<&str>) -> Option<String> {
        let queue = queue?;
        let is_free = |agent: &&mut super::state::Agent| {
            agent.status == Status::Idle && agent.queues.iter().any(|joined| joined == queue)
        };
        let found = state.agents.iter_mut().find(is_free).map(|agent| {
            agent.status = Status::Talking;
            agent.id.clone()
        });
        let event = self.event("dequeue_succ").within(state, queue);
        let Some(agent) = found else {
            state.happened.push(event.telling("DequeueReason", "timeout"));
            return None;
        };
        let event = event.by(state, &agent).telling("DequeueReason", "agent");
        state.happened.push(event);
        tell_extension(state, &agent);
        tell_state(state, &agent);
        Some(agent)
    }
}

/// The agent is idle again, unless signed out or in anew meanwhile.
fn release(state: &mut State, agent: &str) {
    if let Ok(agent) = state.agent_mut(agent)
        && agent.status == Status::Talking
    {
        agent.status = Status::Idle;
    } else {
        return;
    }
    tell_extension(state, agent);
    tell_state(state, agent);
}

/// Tells whether an agent's extension is in use.
fn tell_extension(state: &mut State, agent: &str) {
    let in_use = state.agent(agent).map_or(0, |agent| agent.status.extension());
    let event = Event::new("extension_state_update").by(state, agent).telling("ExtState", in_use);
    state.happened.push(event);
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::*;
    use crate::udesk::{
        Options, Simulator,
        events::NAMES,
        receiver::Receiver,
        testing::{APP_ID, Desk, NOW},
    };

    async fn quick() -> Desk {
        Desk::with(|options| options.pace = Duration::ZERO).await
    }

    async fn ring(desk: &Desk, entry: &str) -> Value {
        let call = json!({ "caller": "13676546374", "called": entry, "called_display": "02155500102" });
        desk.done(24, "", call).await
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
    async fn an_answered_call_is_told_from_its_beginning_to_its_end() {
        let desk = quick().await;
        let at_rest = desk.done(25, "1001", Value::Null).await;
        let mut receiver = Receiver::open().await;
        receiver.subscribe(&desk, "gateway", &NAMES).await;
        let call_id = ring(&desk, "01055500100").await;
        let mut told = Vec::new();
        for name in ANSWERED {
            let event = receiver.event().await;
            assert_eq!(event["Event"], name);
            assert_eq!((&event["AppId"], &event["Timestamp"]), (&json!(APP_ID), &json!(NOW)));
            if event.get("CallId").is_some() {
                assert_eq!(event["CallId"], call_id);
                assert_eq!((&event["Caller"], &event["Called"]), (&json!("02155500102"), &json!("13676546374")));
                assert_eq!(event["Direction"], "out");
            }
            told.push(event);
        }
        assert_eq!((&told[1]["QueueId"], &told[1]["QueueName"]), (&json!("9001"), &json!("Sales")));
        let agent = json!(format!("1001@{}", &APP_ID[..13]));
        for event in &told[2..6] {
            assert_eq!((&event["AgentId"], &event["Extension"]), (&agent, &json!("1101")));
        }
        let states = [3, 4, 8, 9].map(|place| [&told[place]["ExtState"], &told[place]["StateDes"]]);
        let (talking, idle, none) = (json!("talking"), json!("idle"), Value::Null);
        let (free, in_use) = (json!(0), json!(1));
        assert_eq!(states, [[&in_use, &none], [&in_use, &talking], [&free, &none], [&free, &idle]]);
        assert_eq!(told[5]["RecordUrl"], format!("https://records.example.com/{}.wav", call_id.as_str().unwrap()));
        assert_eq!(desk.done(25, "1001", Value::Null).await, at_rest);
    }

    #[tokio::test]
    async fn a_call_that_nobody_takes_leaves_the_queue_and_ends() {
        let desk = quick().await;
        // The other agent of the queue is offline.
        desk.done(23, "", json!({ "agent_id": "1009" })).await;
        let mut receiver = Receiver::open().await;
        receiver.subscribe(&desk, "gateway", &NAMES).await;
        ring(&desk, "075555500103").await;
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

    /// A call whose steps the test takes itself, and what it takes them in.
    fn in_hand(desk: &Desk) -> (Conversation, Running) {
        let text = String::new;
        let conversation = Conversation { call_id: text(), customer: text(), entry: text(), display: text() };
        let running = desk.simulator.running(&desk.simulator.center());
        (conversation, running)
    }

    #[tokio::test]
    async fn an_agent_who_talks_is_shown_to_and_gets_no_second_call() {
        let desk = Desk::open().await;
        let (conversation, running) = in_hand(&desk);
        let take = || running.step(|state| conversation.leave_queue(state, Some("9002"))).flatten();
        assert_eq!([take(), take()].map(|agent| agent.unwrap()), ["1003", "1009"]);
        assert_eq!(take(), None);
        let shown = desk.done(25, "1003", Value::Null).await;
        assert_eq!(
            (&shown["State"], &shown["StateDes"], &shown["ExtState"]),
            (&json!(3), &json!("talking"), &json!(1))
        );
        running.step(|state| release(state, "1003")).unwrap();
        assert_eq!(desk.done(25, "1003", Value::Null).await["StateDes"], "idle");
        assert_eq!(take().unwrap(), "1003");
    }

    #[tokio::test]
    async fn who_signs_out_while_talking_stays_so() {
        let desk = Desk::open().await;
        let mut receiver = Receiver::open().await;
        receiver.subscribe(&desk, "gateway", &["acd_agent_state"]).await;
        let (conversation, running) = in_hand(&desk);
        running.step(|state| conversation.leave_queue(state, Some("9001"))).unwrap();
        desk.done(23, "", json!({ "agent_id": "1001" })).await;
        running.step(|state| release(state, "1001")).unwrap();
        assert_eq!(desk.done(25, "1001", Value::Null).await["StateDes"], "offline");
        assert_eq!([receiver.event().await["State"].clone(), receiver.event().await["State"].clone()], [3, 4]);
        assert_eq!(desk.deliveries().await.len(), 2);
    }

    #[tokio::test]
    async fn a_call_goes_on_while_somebody_listens_and_only_so_many_do() {
        let desk = Desk::with(|options| options.pace = Duration::from_secs(3600)).await;
        let going_on = || desk.simulator.center().conversations.len();
        ring(&desk, "01055500100").await;
        assert_eq!(going_on(), 0);
        Receiver::open().await.subscribe(&desk, "gateway", &["play_succ"]).await;
        for _ in 0..102 {
            ring(&desk, "01055500100").await;
        }
        assert_eq!((going_on(), desk.simulator.callbacks().len()), (100, 103));
        let (_, running) = in_hand(&desk);
        assert!(running.step(|_| ()).is_some());
        desk.admin("POST", "/simulator/reset", &Value::Null).await;
        assert_eq!(going_on(), 0);
        // A step that a reset overtook changes nothing.
        assert!(running.step(|_| ()).is_none());
    }

    #[tokio::test]
    async fn what_goes_on_keeps_no_simulator_alive() {
        let simulator = Simulator::new(Options::new(APP_ID, "sid", SecretString::from("token")));
        let running = simulator.running(&simulator.center());
        assert!(running.step(|_| ()).is_some());
        drop(simulator);
        assert!(running.step(|_| ()).is_none());
    }
}
