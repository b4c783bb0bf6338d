//! The placeholders of payloads.

use serde_json::{Map, Value, json};

/// The placeholders that the event's name and its [`Stamp`](super::Stamp) fill.
pub(super) const STAMPED: [&str; 4] = ["Event", "MsgId", "Timestamp", "AppId"];

/// An example value for every other placeholder.
pub(super) fn examples(short_app_id: &str) -> Map<String, Value> {
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
