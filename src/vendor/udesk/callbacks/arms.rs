//! The payload of an event, by its type.

use super::{
    agent,
    names::{
        AGENT_STATE, AGENT_STATE_TEXT, CALL_MODE, CALL_MODE_TEXT, CONSULT_TARGET, DEQUEUE_REASON, DEQUEUE_REASON_TEXT,
        DIGITS, EXTENSION_STATE, EXTENSION_STATE_TEXT, HANGUP_CAUSE, HANGUP_CAUSE_TEXT, INTERCEPTOR, MONITOR,
        RECORDING, SIGNAL_TYPE, STATE_REASON, STATE_REASON_TEXT, TRANSCRIPT, TRANSFER_TARGET, VOICEMAIL,
    },
};
use crate::{
    config::AgentStates,
    event::payload::Fields,
    proto::v1::{
        AgentCallModeChanged, AgentState, AgentStateChanged, CallDequeued, CallHeld, CallHungUp, CallIntercepted,
        CallMonitored, CallQueued, CallTransferred, ConferenceStarted, ConsultEnded, ConsultStarted, DialStarted,
        DtmfGathered, EventType, ExtensionStateChanged, HangupCauseReported, PlaybackFinished, RecordingStopped,
        SpeechRecognized, VendorValue, VoicemailLeft, event::Payload,
    },
    vendor::udesk::extensions,
};

/// Longest address of a recording, in bytes; a longer one stays in the payload only.
const URI: usize = 4096;
/// Longest transcript, in bytes; all of a longer one is in the payload.
const TRANSCRIPT_TEXT: usize = 16 << 10;

/// The one documented text of a state (`StateDes` of Udesk 25).
const OFFLINE: &str = "offline";

/// The payload of an event type; `None` for a type that Udesk does not have.
pub(super) fn payload(
    event_type: EventType,
    center: &str,
    fields: &Fields<'_>,
    states: &AgentStates,
) -> Option<Payload> {
    Some(match event_type {
        EventType::AgentStateChanged => Payload::AgentStateChanged(agent_state(fields, states)),
        EventType::ExtensionStateChanged => Payload::ExtensionStateChanged(ExtensionStateChanged {
            vendor_state: fields.value(EXTENSION_STATE, EXTENSION_STATE_TEXT),
        }),
        EventType::AgentCallModeChanged => Payload::AgentCallModeChanged(AgentCallModeChanged {
            protocol: extensions::protocol(&fields.short(SIGNAL_TYPE).unwrap_or_default()).into(),
            vendor_mode: fields.value(CALL_MODE, CALL_MODE_TEXT),
        }),
        EventType::CallHungUp => {
            Payload::CallHungUp(CallHungUp { cause: fields.value(HANGUP_CAUSE, HANGUP_CAUSE_TEXT) })
        }
        EventType::CallQueued => Payload::CallQueued(CallQueued {}),
        EventType::RecordingStopped => {
            Payload::RecordingStopped(RecordingStopped { recording_uri: uri(fields, RECORDING) })
        }
        EventType::HangupCauseReported => {
            Payload::HangupCauseReported(HangupCauseReported { cause: fields.value(HANGUP_CAUSE, HANGUP_CAUSE_TEXT) })
        }
        EventType::CallDequeued => {
            Payload::CallDequeued(CallDequeued { reason: fields.value(DEQUEUE_REASON, DEQUEUE_REASON_TEXT) })
        }
        EventType::DialStarted => Payload::DialStarted(DialStarted {}),
        EventType::VoicemailLeft => Payload::VoicemailLeft(VoicemailLeft { recording_uri: uri(fields, VOICEMAIL) }),
        EventType::PlaybackFinished => Payload::PlaybackFinished(PlaybackFinished {}),
        EventType::DtmfGathered => {
            Payload::DtmfGathered(DtmfGathered { digits: fields.short(DIGITS).unwrap_or_default() })
        }
        EventType::SpeechRecognized => Payload::SpeechRecognized(SpeechRecognized {
            transcript: fields.cut(TRANSCRIPT, TRANSCRIPT_TEXT).unwrap_or_default(),
        }),
        EventType::ConsultStarted => {
            Payload::ConsultStarted(ConsultStarted { target: fields.short(CONSULT_TARGET).unwrap_or_default() })
        }
        EventType::ConsultEnded => Payload::ConsultEnded(ConsultEnded {}),
        EventType::ConferenceStarted => Payload::ConferenceStarted(ConferenceStarted {}),
        EventType::CallIntercepted => {
            Payload::CallIntercepted(CallIntercepted { interceptor: agent(center, fields, INTERCEPTOR) })
        }
        EventType::CallHeld => Payload::CallHeld(CallHeld {}),
        EventType::CallTransferred => {
            Payload::CallTransferred(CallTransferred { to_number: fields.short(TRANSFER_TARGET).unwrap_or_default() })
        }
        EventType::CallMonitored => Payload::CallMonitored(CallMonitored { monitor: agent(center, fields, MONITOR) }),
        EventType::Unspecified | EventType::CallStateChanged | EventType::Vendor => return None,
    })
}

fn agent_state(fields: &Fields<'_>, states: &AgentStates) -> AgentStateChanged {
    let vendor_state = fields.value(AGENT_STATE, AGENT_STATE_TEXT);
    // The code decides; a text may replace it or be alone.
    let told = match &vendor_state {
        Some(VendorValue { code, description }) if code.is_empty() => description,
        Some(VendorValue { code, .. }) => code,
        None => "",
    };
    let state = if told.eq_ignore_ascii_case(OFFLINE) { AgentState::Offline } else { states.state(told) };
    AgentStateChanged { state: state.into(), vendor_state, reason: fields.value(STATE_REASON, STATE_REASON_TEXT) }
}

fn uri(fields: &Fields<'_>, names: &[&str]) -> String {
    fields.long(names, URI).unwrap_or_default()
}
