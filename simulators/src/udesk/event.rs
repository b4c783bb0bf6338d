//! An event, before its payload is made.

use serde_json::{Map, Value};

/// An event, before its payload is made.
pub(super) struct Event {
    /// One of [`NAMES`].
    pub(super) name: &'static str,
    /// Values by placeholder.
    pub(super) fields: Map<String, Value>,
    /// Top-level members of the payload, added to the template's or in place of them.
    pub(super) overrides: Map<String, Value>,
}

/// The names of events: the column `all_type` in the table of 18.
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
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, fields: Map::new(), overrides: Map::new() }
    }

    /// The event with a value for this placeholder.
    pub(super) fn with(mut self, placeholder: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(placeholder.to_owned(), value.into());
        self
    }
}
