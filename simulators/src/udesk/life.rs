//! A living center: calls and agents' states that are only told, again and again, so that a subscriber has something to see.
//!
//! What operations show does not change: the calls are made up, and the agents and queues of the seed keep their state. One
//! cycle tells each of the 20 events.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{
    announce::Running,
    events::{Event, agent_id},
    state::State,
};

/// The pause between two steps that the sandbox takes.
pub const LIFE_PERIOD: Duration = Duration::from_secs(2);

/// One event.
struct Step {
    event: &'static str,
    /// Its place in [`CALLS`].
    call: Option<usize>,
    agent: &'static str,
    queue: &'static str,
    fields: &'static [(&'static str, Told)],
}

/// A field's value.
enum Told {
    Text(&'static str),
    Number(i64),
    Agent(&'static str),
}

use Told::{Agent, Number, Text};

/// Caller, called, direction. The relay number is one of the seed; the others are nobody's.
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

const IN_USE: &[(&str, Told)] = &[("ExtState", Number(1))];
const FREE: &[(&str, Told)] = &[("ExtState", Number(0))];
const BY_CUSTOMER: &[(&str, Told)] = &[("HangupCause", Text("NORMAL_CLEARING")), ("HangupBy", Text("customer"))];
const BY_AGENT: &[(&str, Told)] = &[("HangupCause", Text("NORMAL_CLEARING")), ("HangupBy", Text("agent"))];
const TO_AGENT: &[(&str, Told)] = &[("DequeueReason", Text("agent"))];

/// A call comes in and is talked about; one is overheard and taken over; one reaches nobody; one goes out and on.
#[rustfmt::skip]
static CYCLE: [Step; 51] = [
    of_call("play_succ", SALES).saying(&[("VoiceFile", Text("welcome.wav"))]),
    of_call("dtmf_gather_succ", SALES).saying(&[("Digits", Text("1"))]),
    of_call("enqueue_succ", SALES).within("9001"),
    of_call("dequeue_succ", SALES).within("9001").by("1001").saying(TO_AGENT),
    of_agent("extension_state_update", "1001").saying(IN_USE),
    of_agent("acd_agent_state", "1001").saying(&state(3, "talking", 0, "")),
    of_call("hold_agent_succ", SALES).by("1001"),
    of_call("consult_succ", SALES).by("1001").saying(&[("ConsultAgentId", Agent("1003"))]),
    of_call("end_consult_succ", SALES).by("1001").saying(&[("ConsultAgentId", Agent("1003"))]),
    of_call("consult_succ", SALES).by("1001").saying(&[("ConsultAgentId", Agent("1009"))]),
    of_call("three_way_succ", SALES).by("1001").saying(&[("ConsultAgentId", Agent("1009"))]),
    of_call("record_stop", SALES).by("1001"),
    of_call("hangup_cause", SALES).saying(BY_CUSTOMER),
    of_call("general_hangup", SALES).within("9001").by("1001"),
    of_agent("extension_state_update", "1001").saying(FREE),
    of_agent("acd_agent_state", "1001").saying(&state(5, "neaten", 0, "")),
    of_agent("acd_agent_state", "1001").saying(&state(0, "idle", 0, "")),

    of_call("play_succ", SUPPORT).saying(&[("VoiceFile", Text("how-can-we-help.wav"))]),
    of_call("asr_gather_succ", SUPPORT).saying(&[("Text", Text("where is my order"))]),
    of_call("enqueue_succ", SUPPORT).within("9003"),
    of_agent("acd_agent_state", "1003").saying(&state(2, "resting", 1, "lunch")),
    of_call("dequeue_succ", SUPPORT).within("9003").by("1007").saying(TO_AGENT),
    of_agent("extension_state_update", "1007").saying(IN_USE),
    of_agent("acd_agent_state", "1007").saying(&state(3, "talking", 0, "")),
    of_call("eavesdrop_succ", SUPPORT).by("1007").saying(&[("EavesdropAgentId", Agent("1009"))]),
    of_call("substitute_succ", SUPPORT).by("1007").saying(&[("SubstituteAgentId", Agent("1009"))]),
    of_agent("extension_state_update", "1007").saying(FREE),
    of_agent("acd_agent_state", "1007").saying(&state(0, "idle", 0, "")),
    of_call("record_stop", SUPPORT).by("1009"),
    of_call("hangup_cause", SUPPORT).saying(BY_AGENT),
    of_call("general_hangup", SUPPORT).within("9003").by("1009"),
    of_agent("acd_agent_state", "1003").saying(&state(0, "idle", 0, "")),

    of_call("play_succ", BILLING).saying(&[("VoiceFile", Text("welcome.wav"))]),
    of_call("dtmf_gather_succ", BILLING).saying(&[("Digits", Text("2#"))]),
    of_call("enqueue_succ", BILLING).within("9002"),
    of_agent("agent_call_mode_change", "1005").saying(&[("SignalType", Number(1))]),
    of_call("dequeue_succ", BILLING).within("9002").saying(&[("DequeueReason", Text("timeout"))]),
    of_call("voice_mail_succ", BILLING).within("9002"),
    of_call("hangup_cause", BILLING).saying(BY_CUSTOMER),
    of_call("general_hangup", BILLING).within("9002"),
    of_agent("agent_call_mode_change", "1005").saying(&[("SignalType", Number(0))]),

    of_call("start_dialout", OUTWARD),
    of_agent("extension_state_update", "1003").saying(IN_USE),
    of_agent("acd_agent_state", "1003").saying(&state(3, "talking", 0, "")),
    of_call("hold_agent_succ", OUTWARD).by("1003"),
    of_call("extern_succ", OUTWARD).by("1003").saying(&[("ExternNumber", Text("01055500199"))]),
    of_call("record_stop", OUTWARD).by("1003"),
    of_agent("extension_state_update", "1003").saying(FREE),
    of_agent("acd_agent_state", "1003").saying(&state(0, "idle", 0, "")),
    of_call("hangup_cause", OUTWARD).saying(BY_CUSTOMER),
    of_call("general_hangup", OUTWARD).by("1003"),
];

/// Goes on until the simulator ends. Every cycle has calls of its own.
pub(super) async fn go_on(running: Running, period: Duration) {
    // An interval of nothing is an error.
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let calls = CALLS.map(|_| Uuid::new_v4().to_string());
        for step in &CYCLE {
            ticks.tick().await;
            let happened = running.step(|state| {
                let event = step.event(state, &calls);
                state.happened.push(event);
            });
            if happened.is_none() {
                return;
            }
        }
    }
}

// === impl Step ===

const fn of_call(event: &'static str, call: usize) -> Step {
    Step { event, call: Some(call), agent: "", queue: "", fields: &[] }
}

const fn of_agent(event: &'static str, agent: &'static str) -> Step {
    Step { event, call: None, agent, queue: "", fields: &[] }
}

/// What `acd_agent_state` says. 2 and 5 are the simulator's own numbers, for words that the vendor's agent desktop has.
const fn state(number: i64, text: &'static str, reason: i64, reason_text: &'static str) -> [(&'static str, Told); 5] {
    let in_use = if number == 3 { 1 } else { 0 };
    [
        ("State", Number(number)),
        ("StateDes", Text(text)),
        ("ReasonCode", Number(reason)),
        ("ReasonCodeDes", Text(reason_text)),
        ("ExtState", Number(in_use)),
    ]
}

impl Step {
    const fn by(mut self, agent: &'static str) -> Self {
        self.agent = agent;
        self
    }

    const fn within(mut self, queue: &'static str) -> Self {
        self.queue = queue;
        self
    }

    const fn saying(mut self, fields: &'static [(&'static str, Told)]) -> Self {
        self.fields = fields;
        self
    }

    fn event(&self, state: &State, calls: &[String; CALLS.len()]) -> Event {
        let Self { event, call, agent, queue, fields } = self;
        let mut told = Event::new(event);
        if let Some(call) = *call {
            let (from, to, direction) = CALLS[call];
            told = told
                .telling("CallId", calls[call].as_str())
                .telling("Caller", from)
                .telling("Called", to)
                .telling("Direction", direction);
        }
        if !agent.is_empty() {
            told = told.by(state, agent);
        }
        if !queue.is_empty() {
            told = told.within(state, queue);
        }
        for (name, value) in *fields {
            let value = match value {
                Text(text) => Value::from(*text),
                Number(number) => Value::from(*number),
                Agent(id) => agent_id(state, id).into(),
            };
            told = told.telling(name, value);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::udesk::{events::NAMES, receiver::Receiver, testing::Desk};

    async fn living() -> Desk {
        Desk::with(|options| options.life = Some(Duration::ZERO)).await
    }

    fn is_living(desk: &Desk) -> bool {
        desk.simulator.center().life.as_ref().is_some_and(|life| !life.is_finished())
    }

    #[test]
    fn a_cycle_has_every_event_and_takes_less_than_two_minutes() {
        let told: BTreeSet<&str> = CYCLE.iter().map(|step| step.event).collect();
        assert_eq!(told, BTreeSet::from(NAMES));
        assert!(LIFE_PERIOD * u32::try_from(CYCLE.len()).unwrap() < Duration::from_secs(120));
    }

    #[tokio::test]
    async fn life_is_told_and_changes_nothing_that_is_shown() {
        let desk = living().await;
        let before = (desk.done(6, "", Value::Null).await, desk.done(26, "9001", Value::Null).await);
        let mut receiver = Receiver::open().await;
        receiver.subscribe(&desk, "gateway", &NAMES).await;
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
        assert_eq!((desk.done(6, "", Value::Null).await, desk.done(26, "9001", Value::Null).await), before);
    }

    #[tokio::test]
    async fn life_needs_somebody_who_listens() {
        let desk = living().await;
        desk.done(22, "", json!({ "agent_id": "1004" })).await;
        assert!(!is_living(&desk));
        // An address that is nobody's.
        let item = json!({ "callback": "http://gateway.example.com/cb", "events": ["play_succ"], "name": "nobody" });
        desk.done(18, "", json!({ "subscriptions": [item] })).await;
        assert!(!is_living(&desk));
        let id = Receiver::open().await.subscribe(&desk, "gateway", &["play_succ"]).await;
        assert!(is_living(&desk));
        desk.done(20, &id.to_string(), Value::Null).await;
        assert!(!is_living(&desk));
        Receiver::open().await.subscribe(&desk, "gateway", &["play_succ"]).await;
        assert!(is_living(&desk));
        desk.admin("POST", "/simulator/reset", &Value::Null).await;
        assert!(!is_living(&desk));
    }

    #[tokio::test]
    async fn a_center_lives_only_when_it_is_told_to() {
        let desk = Desk::open().await;
        Receiver::open().await.subscribe(&desk, "gateway", &["play_succ"]).await;
        assert!(!is_living(&desk));
    }
}
