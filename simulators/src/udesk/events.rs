//! Events: what the simulator tells subscriptions, under the 20 names of operation 18.
//!
//! The payloads are the simulator's own, because the vendor documents none: `events/README.md` says what is in them, and
//! how a captured one takes their place.

mod template;

use serde_json::{Map, Value, json};

pub use self::template::{EventTemplates, TemplateError};
use super::state::State;

/// Something that happened, before it is told.
pub(super) struct Event {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// What is known of it, by placeholder.
    pub fields: Map<String, Value>,
    /// What stands at the top of the payload beside or in place of what the template has there.
    pub added: Map<String, Value>,
}

/// What every payload carries beside the event's own fields.
pub(super) struct Stamp<'a> {
    pub app_id: &'a str,
    pub msg_id: &'a str,
    /// Milliseconds since 1970.
    pub timestamp: u64,
}

/// The column `all_type` of the table of 18.
pub(super) const NAMES: [&str; 20] = [
    "acd_agent_state",
    "extension_state_update",
    "agent_call_mode_change",
    "general_hangup",
    "enqueue_succ",
    "record_stop",
    "hangup_cause",
    "dequeue_succ",
    "start_dialout",
    "voice_mail_succ",
    "play_succ",
    "dtmf_gather_succ",
    "asr_gather_succ",
    "consult_succ",
    "end_consult_succ",
    "three_way_succ",
    "substitute_succ",
    "hold_agent_succ",
    "extern_succ",
    "eavesdrop_succ",
];

// === impl Event ===

impl Event {
    pub fn new(name: &'static str) -> Self {
        Self { name, fields: Map::new(), added: Map::new() }
    }

    /// An event of this name with made-up fields; `None` if there is no such name.
    pub fn example(name: &str, state: &State) -> Option<Self> {
        let name = NAMES.into_iter().find(|known| *known == name)?;
        let example = Self { name, fields: examples(&state.short_app_id), added: Map::new() };
        Some(example.telling("CallId", uuid::Uuid::new_v4().to_string()))
    }

    pub fn telling(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// An event of an agent. Its id is written as in 25 and 26 (C18).
    pub fn by(self, state: &State, agent: &str) -> Self {
        let found = state.agent(agent).ok();
        let extension = found.and_then(|agent| agent.extensions.first());
        self.telling("AgentId", agent_id(state, agent))
            .telling("WorkId", found.map_or("", |agent| agent.work_id.as_str()))
            .telling("Extension", extension.map_or("", String::as_str))
    }

    /// An event in a queue.
    pub fn within(self, state: &State, queue: &str) -> Self {
        let name = state.queue(queue).map_or("", |queue| queue.name.as_str());
        self.telling("QueueId", queue).telling("QueueName", name)
    }
}

/// An agent's id as in 25 and 26 (C18).
pub(super) fn agent_id(state: &State, agent: &str) -> String {
    format!("{agent}@{}", state.short_app_id)
}

/// A value for every placeholder but those of a [`Stamp`].
fn examples(short_app_id: &str) -> Map<String, Value> {
    let agent = |id: &str| json!(format!("{id}@{short_app_id}"));
    Map::from_iter(
        [
            ("AgentId", agent("1001")),
            ("WorkId", json!("E1001")),
            ("Extension", json!("1101")),
            ("State", json!(0)),
            ("StateDes", json!("idle")),
            ("ReasonCode", json!(0)),
            ("ReasonCodeDes", json!("")),
            ("ExtState", json!(0)),
            ("SignalType", json!(1)),
            ("CallId", json!("9f1c3d52-7c55-4a0e-8a7b-2f0c5f6a1d90")),
            ("Caller", json!("01055500123")),
            ("Called", json!("01055500100")),
            ("Direction", json!("in")),
            ("QueueId", json!("9001")),
            ("QueueName", json!("Sales")),
            ("DequeueReason", json!("agent")),
            ("HangupCause", json!("NORMAL_CLEARING")),
            ("HangupBy", json!("customer")),
            ("RecordUrl", json!("https://records.example.com/9f1c3d52-7c55-4a0e-8a7b-2f0c5f6a1d90.wav")),
            ("VoiceFile", json!("welcome.wav")),
            ("Digits", json!("1")),
            ("Text", json!("where is my order")),
            ("ConsultAgentId", agent("1009")),
            ("SubstituteAgentId", agent("1009")),
            ("EavesdropAgentId", agent("1009")),
            ("ExternNumber", json!("01055500199")),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_explained() {
        let explained = include_str!("events/README.md");
        for name in examples("").keys().map(String::as_str).chain(template::STAMPED) {
            assert!(explained.contains(&format!("`{{{{{name}}}}}`")), "{name}");
        }
        assert_eq!(explained.matches("{{").count(), examples("").len() + template::STAMPED.len());
    }
}
