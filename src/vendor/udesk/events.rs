//! The 20 events of Udesk 18 (`all_type`), in the document's order (C44).

use crate::proto::v1::EventType;

/// The contract's event type, and Udesk's name for it.
pub(super) const EVENTS: [(EventType, &str); 20] = [
    (EventType::AgentStateChanged, "acd_agent_state"),
    (EventType::ExtensionStateChanged, "extension_state_update"),
    (EventType::AgentCallModeChanged, "agent_call_mode_change"),
    (EventType::CallHungUp, "general_hangup"),
    (EventType::CallQueued, "enqueue_succ"),
    (EventType::RecordingStopped, "record_stop"),
    (EventType::HangupCauseReported, "hangup_cause"),
    (EventType::CallDequeued, "dequeue_succ"),
    (EventType::DialStarted, "start_dialout"),
    (EventType::VoicemailLeft, "voice_mail_succ"),
    (EventType::PlaybackFinished, "play_succ"),
    (EventType::DtmfGathered, "dtmf_gather_succ"),
    (EventType::SpeechRecognized, "asr_gather_succ"),
    (EventType::ConsultStarted, "consult_succ"),
    (EventType::ConsultEnded, "end_consult_succ"),
    (EventType::ConferenceStarted, "three_way_succ"),
    (EventType::CallIntercepted, "substitute_succ"),
    (EventType::CallHeld, "hold_agent_succ"),
    (EventType::CallTransferred, "extern_succ"),
    (EventType::CallMonitored, "eavesdrop_succ"),
];

/// Udesk's name of an event type, if it has one.
pub(super) fn name(event: EventType) -> Option<&'static str> {
    EVENTS.iter().find(|(known, _)| *known == event).map(|(_, name)| *name)
}

/// The event type of Udesk's name, if the contract has one.
pub(super) fn event_type(name: &str) -> Option<EventType> {
    EVENTS.iter().find(|(_, known)| *known == name).map(|(event, _)| *event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_one_name_and_every_name_one_event() {
        for (event, udesk) in EVENTS {
            assert_eq!((name(event), event_type(udesk)), (Some(udesk), Some(event)));
        }
        assert_eq!((name(EventType::CallStateChanged), event_type("begin")), (None, None));
    }
}
