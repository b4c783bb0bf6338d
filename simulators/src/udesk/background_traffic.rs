//! Background traffic: events of invented calls and of agents' states, in a cycle, for subscriptions that have a
//! receiver.
//!
//! It changes nothing that operations show: the agents and queues of the seed keep their state. One cycle has each of
//! the 20 events.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{center_handle::CenterHandle, event::Event, events::agent_id, state::State};

/// The usual pause between two events.
pub const BACKGROUND_TRAFFIC_PERIOD: Duration = Duration::from_secs(2);

/// One event.
struct Step {
    event: &'static str,
    /// Index in [`CALLS`].
    call: Option<usize>,
    agent: &'static str,
    queue: &'static str,
    fields: &'static [(&'static str, FieldValue)],
}

/// A field's value.
enum FieldValue {
    Text(&'static str),
    Number(i64),
    Agent(&'static str),
}

use FieldValue::{Agent, Number, Text};

/// Caller, called, direction. Relay numbers are the seed's, customers' numbers are invented.
const CALLS: [(&str, &str, &str); 4] = [
    ("01055500123", "01055500100", "in"),
    ("01055500124", "01055500101", "in"),
    ("01055500125", "02155500102", "in"),
    ("01055500100", "01055500126", "out"),
];

const SALES: usize = 0;
const BILLING: usize = 1;
const SUPPORT: usize = 2;
const OUTWARD: usize = 3;

const IN_USE: &[(&str, FieldValue)] = &[("ExtState", Number(1))];
const FREE: &[(&str, FieldValue)] = &[("ExtState", Number(0))];
const BY_CUSTOMER: &[(&str, FieldValue)] = &[("HangupCause", Text("NORMAL_CLEARING")), ("HangupBy", Text("customer"))];
const BY_AGENT: &[(&str, FieldValue)] = &[("HangupCause", Text("NORMAL_CLEARING")), ("HangupBy", Text("agent"))];
const TO_AGENT: &[(&str, FieldValue)] = &[("DequeueReason", Text("agent"))];

/// A call is answered and consulted about, one is eavesdropped on and substituted, one times out, one is made and
/// forwarded.
#[rustfmt::skip]
static CYCLE: [Step; 51] = [
    call_event("play_succ", SALES).with(&[("VoiceFile", Text("welcome.wav"))]),
    call_event("dtmf_gather_succ", SALES).with(&[("Digits", Text("1"))]),
    call_event("enqueue_succ", SALES).in_queue("9001"),
    call_event("dequeue_succ", SALES).in_queue("9001").of_agent("1001").with(TO_AGENT),
    agent_event("extension_state_update", "1001").with(IN_USE),
    agent_event("acd_agent_state", "1001").with(&state(3, "talking", 0, "")),
    call_event("hold_agent_succ", SALES).of_agent("1001"),
    call_event("consult_succ", SALES).of_agent("1001").with(&[("ConsultAgentId", Agent("1003"))]),
    call_event("end_consult_succ", SALES).of_agent("1001").with(&[("ConsultAgentId", Agent("1003"))]),
    call_event("consult_succ", SALES).of_agent("1001").with(&[("ConsultAgentId", Agent("1009"))]),
    call_event("three_way_succ", SALES).of_agent("1001").with(&[("ConsultAgentId", Agent("1009"))]),
    call_event("record_stop", SALES).of_agent("1001"),
    call_event("hangup_cause", SALES).with(BY_CUSTOMER),
    call_event("general_hangup", SALES).in_queue("9001").of_agent("1001"),
    agent_event("extension_state_update", "1001").with(FREE),
    agent_event("acd_agent_state", "1001").with(&state(5, "neaten", 0, "")),
    agent_event("acd_agent_state", "1001").with(&state(0, "idle", 0, "")),

    call_event("play_succ", SUPPORT).with(&[("VoiceFile", Text("how-can-we-help.wav"))]),
    call_event("asr_gather_succ", SUPPORT).with(&[("Text", Text("where is my order"))]),
    call_event("enqueue_succ", SUPPORT).in_queue("9003"),
    agent_event("acd_agent_state", "1003").with(&state(2, "resting", 1, "lunch")),
    call_event("dequeue_succ", SUPPORT).in_queue("9003").of_agent("1007").with(TO_AGENT),
    agent_event("extension_state_update", "1007").with(IN_USE),
    agent_event("acd_agent_state", "1007").with(&state(3, "talking", 0, "")),
    call_event("eavesdrop_succ", SUPPORT).of_agent("1007").with(&[("EavesdropAgentId", Agent("1009"))]),
    call_event("substitute_succ", SUPPORT).of_agent("1007").with(&[("SubstituteAgentId", Agent("1009"))]),
    agent_event("extension_state_update", "1007").with(FREE),
    agent_event("acd_agent_state", "1007").with(&state(0, "idle", 0, "")),
    call_event("record_stop", SUPPORT).of_agent("1009"),
    call_event("hangup_cause", SUPPORT).with(BY_AGENT),
    call_event("general_hangup", SUPPORT).in_queue("9003").of_agent("1009"),
    agent_event("acd_agent_state", "1003").with(&state(0, "idle", 0, "")),

    call_event("play_succ", BILLING).with(&[("VoiceFile", Text("welcome.wav"))]),
    call_event("dtmf_gather_succ", BILLING).with(&[("Digits", Text("2#"))]),
    call_event("enqueue_succ", BILLING).in_queue("9002"),
    agent_event("agent_call_mode_change", "1005").with(&[("SignalType", Number(1))]),
    call_event("dequeue_succ", BILLING).in_queue("9002").with(&[("DequeueReason", Text("timeout"))]),
    call_event("voice_mail_succ", BILLING).in_queue("9002"),
    call_event("hangup_cause", BILLING).with(BY_CUSTOMER),
    call_event("general_hangup", BILLING).in_queue("9002"),
    agent_event("agent_call_mode_change", "1005").with(&[("SignalType", Number(0))]),

    call_event("start_dialout", OUTWARD),
    agent_event("extension_state_update", "1003").with(IN_USE),
    agent_event("acd_agent_state", "1003").with(&state(3, "talking", 0, "")),
    call_event("hold_agent_succ", OUTWARD).of_agent("1003"),
    call_event("extern_succ", OUTWARD).of_agent("1003").with(&[("ExternNumber", Text("01055500199"))]),
    call_event("record_stop", OUTWARD).of_agent("1003"),
    agent_event("extension_state_update", "1003").with(FREE),
    agent_event("acd_agent_state", "1003").with(&state(0, "idle", 0, "")),
    call_event("hangup_cause", OUTWARD).with(BY_CUSTOMER),
    call_event("general_hangup", OUTWARD).of_agent("1003"),
];

// === impl Step ===

impl Step {
    const fn of_agent(mut self, agent: &'static str) -> Self {
        self.agent = agent;
        self
    }

    const fn in_queue(mut self, queue: &'static str) -> Self {
        self.queue = queue;
        self
    }

    const fn with(mut self, fields: &'static [(&'static str, FieldValue)]) -> Self {
        self.fields = fields;
        self
    }

    fn event(&self, state: &State, calls: &[String; CALLS.len()]) -> Event {
        let Self { event, call, agent, queue, fields } = self;
        let mut built = Event::new(event);
        if let Some(call) = *call {
            let (from, to, direction) = CALLS[call];
            built = built
                .with("CallId", calls[call].as_str())
                .with("Caller", from)
                .with("Called", to)
                .with("Direction", direction);
        }
        if !agent.is_empty() {
            built = built.of_agent(state, agent);
        }
        if !queue.is_empty() {
            built = built.in_queue(state, queue);
        }
        for (name, value) in *fields {
            let value = match value {
                Text(text) => Value::from(*text),
                Number(number) => Value::from(*number),
                Agent(id) => agent_id(state, id).into(),
            };
            built = built.with(name, value);
        }
        built
    }
}

/// Emits the cycle again and again, until a reset or the simulator's end. Every cycle has calls of its own.
pub(super) async fn run(center: CenterHandle, period: Duration) {
    // An interval of zero panics.
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let calls = CALLS.map(|_| Uuid::new_v4().to_string());
        for step in &CYCLE {
            ticks.tick().await;
            let updated = center.update(|state| {
                let event = step.event(state, &calls);
                state.pending_events.push(event);
            });
            if updated.is_none() {
                return;
            }
        }
    }
}

const fn call_event(event: &'static str, call: usize) -> Step {
    Step { event, call: Some(call), agent: "", queue: "", fields: &[] }
}

const fn agent_event(event: &'static str, agent: &'static str) -> Step {
    Step { event, call: None, agent, queue: "", fields: &[] }
}

/// The fields of `acd_agent_state`. 2 and 5 are the simulator's own numbers, for states of the vendor's agent desktop.
const fn state(
    number: i64,
    text: &'static str,
    reason: i64,
    reason_text: &'static str,
) -> [(&'static str, FieldValue); 5] {
    let in_use = if number == 3 { 1 } else { 0 };
    [
        ("State", Number(number)),
        ("StateDes", Text(text)),
        ("ReasonCode", Number(reason)),
        ("ReasonCodeDes", Text(reason_text)),
        ("ExtState", Number(in_use)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::udesk::{event::NAMES, receiver::Receiver, testing::TestServer};

    async fn with_traffic() -> TestServer {
        TestServer::with(|options| options.background_traffic = Some(Duration::ZERO)).await
    }

    fn has_traffic(server: &TestServer) -> bool {
        server.simulator.center().background_traffic.as_ref().is_some_and(|traffic| !traffic.is_finished())
    }

    #[test]
    fn a_cycle_has_every_event_and_lasts_less_than_two_minutes() {
        let names: BTreeSet<&str> = CYCLE.iter().map(|step| step.event).collect();
        assert_eq!(names, BTreeSet::from(NAMES));
        assert!(BACKGROUND_TRAFFIC_PERIOD * u32::try_from(CYCLE.len()).unwrap() < Duration::from_secs(120));
    }

    #[tokio::test]
    async fn background_traffic_is_posted_and_changes_nothing_that_is_shown() {
        let server = with_traffic().await;
        let before = (server.done(6, "", Value::Null).await, server.done(26, "9001", Value::Null).await);
        let mut receiver = Receiver::start().await;
        receiver.subscribe(&server, "gateway", &NAMES).await;
        let mut calls = BTreeSet::new();
        for _ in 0..2 {
            for step in &CYCLE {
                let event = receiver.event().await;
                assert_eq!(event["Event"], step.event);
                if let Some(call) = event.get("CallId") {
                    calls.insert(call.as_str().unwrap().to_owned());
                }
                if !step.agent.is_empty() {
                    let numbers = [&event["WorkId"], &event["Extension"]];
                    assert_eq!(
                        numbers,
                        [&json!(format!("E{}", step.agent)), &json!(format!("11{}", &step.agent[2..]))]
                    );
                }
            }
        }
        assert_eq!(calls.len(), 2 * CALLS.len());
        assert_eq!((server.done(6, "", Value::Null).await, server.done(26, "9001", Value::Null).await), before);
    }

    #[tokio::test]
    async fn background_traffic_needs_a_receiver() {
        let server = with_traffic().await;
        server.done(22, "", json!({ "agent_id": "1004" })).await;
        assert!(!has_traffic(&server));
        // An address with a reserved domain.
        let item = json!({ "callback": "http://gateway.example.com/cb", "events": ["play_succ"], "name": "nobody" });
        server.done(18, "", json!({ "subscriptions": [item] })).await;
        assert!(!has_traffic(&server));
        let id = Receiver::start().await.subscribe(&server, "gateway", &["play_succ"]).await;
        assert!(has_traffic(&server));
        server.done(20, &id.to_string(), Value::Null).await;
        assert!(!has_traffic(&server));
        Receiver::start().await.subscribe(&server, "gateway", &["play_succ"]).await;
        assert!(has_traffic(&server));
        server.admin("POST", "/simulator/reset", &Value::Null).await;
        assert!(!has_traffic(&server));
    }

    #[tokio::test]
    async fn there_is_no_background_traffic_by_default() {
        let server = TestServer::start().await;
        Receiver::start().await.subscribe(&server, "gateway", &["play_succ"]).await;
        assert!(!has_traffic(&server));
    }
}
