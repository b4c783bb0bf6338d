//! What Huawei posts to a tenant's callback addresses, as an event (B3.21).
//!
//! Two callbacks are documented, and neither names itself: they are told apart by their fields. `Event.vendor_type` is
//! the title of the vendor's page, so that it stays when pages are renumbered: `call_status_event` of "Call Status Event
//! Callback" (pages 0067 and, before, 1318 of the API reference) and `release_event` of "Release Event Callback" (0068
//! and 1319; 0080 and 2805 for voice notifications). The pages on calls show a Java map's text, those on voice
//! notifications JSON.

use crate::{
    event::payload::{CallbackBody, Fields, FreeText, parse_timestamp},
    name::{AgentName, ResourceName as _},
    proto::v1::{CallDirection, CallHungUp, CallReference, CallStateChanged, Event, EventType, event::Payload},
};

/// `vendor_type` of the callback for calls that moved on.
pub(super) const CALL_STATUS_EVENT: &str = "call_status_event";
/// `vendor_type` of the callback for calls that ended.
pub(super) const RELEASE_EVENT: &str = "release_event";

/// What whoever starts a call gives along with it, up to 1024 characters of any kind. It is the last member of "Call Status
/// Event Callback"; in the example of "Release Event Callback" others stand behind it.
const CALL_DATA: FreeText = FreeText {
    name: "callData",
    members: &[
        "agentAlertingTime",
        "agentReleaseTime",
        "agentTalkDuration",
        "agentTalkingTime",
        "alertingTime",
        "callData",
        "callSerialNo",
        "called",
        "caller",
        "callerPresent",
        "createCallTime",
        "locationId",
        "recordfile",
        "releaseReason",
        "releaseTime",
        "serviceNo",
        "talkDuration",
        "talkingTime",
    ],
    last_behind: &["callSerialNo", "serviceNo", "called"],
};

/// What only a call that ended has. Which of them come depends on how far the call got.
const OF_A_RELEASE: &[&str] = &[
    "releasereason",
    "releasetime",
    "agentreleasetime",
    "talkduration",
    "agenttalkduration",
    "createcalltime",
    "recordfile",
];

/// The state of a call as `queryCallState` has it; the callback's table has none.
const CALL_STATE: &[&str] = &["state", "callstate"];
/// What the state means.
const CALL_STATE_TEXT: &[&str] = &["statedesc", "callstatedesc"];

/// What another callback may be named by: the gateway's pushes have `eventType`.
const OTHER: &[&str] = &["eventtype", "event", "type"];

/// Longest name of an event, in bytes.
const VENDOR_TYPE: usize = 128;

/// The event of a callback's body; `secrets` are taken out of all of it. `event_id`, `center` and `receive_time` are
/// the caller's to fill.
pub(crate) fn read_event(center: &str, body: &[u8], secrets: &[&str]) -> Event {
    let posted = CallbackBody::read_with_free_text(&CALL_DATA, body, secrets);
    let fields = posted.fields(&[]);
    let event = if !fields.has("callserialno") {
        other(&fields)
    } else if OF_A_RELEASE.iter().any(|name| fields.has(name)) {
        let cause = fields.value(&["releasereason"], &[]);
        Event {
            // The document's times have no zone; calls are queried with Unix time, which is read here too.
            event_time: fields.texts(&["releasetime", "agentreleasetime"]).find_map(|text| parse_timestamp(&text)),
            ..of_call(EventType::CallHungUp, RELEASE_EVENT, Payload::CallHungUp(CallHungUp { cause }), center, &fields)
        }
    } else {
        let vendor_state = fields.value(CALL_STATE, CALL_STATE_TEXT);
        let arm = Payload::CallStateChanged(CallStateChanged { vendor_state });
        of_call(EventType::CallStateChanged, CALL_STATUS_EVENT, arm, center, &fields)
    };
    drop(fields);
    Event { vendor_payload: Some(posted.into_payload()), ..event }
}

fn of_call(event_type: EventType, name: &str, arm: Payload, center: &str, fields: &Fields<'_>) -> Event {
    let text = |name: &str| fields.short(&[name]).unwrap_or_default();
    let agent = text("serviceno");
    Event {
        r#type: event_type.into(),
        vendor_type: name.to_owned(),
        agent: if AgentName::is_id(&agent) { AgentName::new(center, agent).to_string() } else { String::new() },
        call: Some(CallReference {
            call_id: text("callserialno"),
            from_number: text("caller"),
            to_number: text("called"),
            // Both are of calls that the center makes: `caller` is the agent's phone, `called` the customer's.
            direction: CallDirection::Outbound.into(),
        }),
        payload: Some(arm),
        ..Event::default()
    }
}

fn other(fields: &Fields<'_>) -> Event {
    let vendor_type = fields.cut(OTHER, VENDOR_TYPE).unwrap_or_default();
    Event { r#type: EventType::Vendor.into(), vendor_type, ..Event::default() }
}
