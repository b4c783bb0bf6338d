//! Udesk's callbacks as events.
//!
//! The document names the events (Udesk 18) and shows no payload, so no body is invalid. Names and fields are searched
//! in every spelling that Udesk's documents use (`names`), at the top level and in `data` or `message`, which may be
//! JSON text. Every body is an event and contains the whole body.

mod arms;
mod names;

use self::names::{
    AGENT, CALL_ID, DIALED, DIALING, DIRECTION, EVENT, EVENT_TIME, EXTENSION, INNER, MESSAGE_ID, OUR_NUMBER, QUEUE,
    THEIR_NUMBER,
};
use super::{VendorId, events};
use crate::{
    config::AgentStates,
    error::truncate,
    event::payload::{CallbackBody, Fields, parse_timestamp},
    name::{AgentName, ExtensionName, QueueName, ResourceName},
    proto::v1::{CallDirection, CallReference, Event, EventType},
};

/// Longest name of an event, in bytes.
const VENDOR_TYPE: usize = 128;

/// The event of a callback's body, with `secrets` removed everywhere and agents' states by the tenant's codes. The
/// caller fills in `event_id`, `center` and `receive_time`.
pub(crate) fn read_event(center: &str, body: &[u8], secrets: &[&str], states: &AgentStates) -> Event {
    let posted = CallbackBody::read(body, secrets);
    let fields = posted.fields(INNER);
    let (event_type, vendor_type) = named(&fields);
    let mut event = Event {
        r#type: event_type.into(),
        vendor_type,
        event_time: fields.texts(EVENT_TIME).find_map(|text| parse_timestamp(&text)),
        agent: agent(center, &fields, AGENT),
        extension: resource(&fields, EXTENSION, |id| ExtensionName::new(center, id)),
        queue: resource(&fields, QUEUE, |id| QueueName::new(center, id)),
        call: call(&fields, event_type),
        payload: arms::payload(event_type, center, &fields, states),
        ..Event::default()
    };
    drop(fields);
    event.vendor_payload = Some(posted.into_payload());
    event
}

/// The event's type: the first documented name, or else the first text in a member for names.
fn named(fields: &Fields<'_>) -> (EventType, String) {
    let known = fields.each_text(EVENT).find_map(|name| Some((events::event_type(&name)?, name.into_owned())));
    known.unwrap_or_else(|| {
        let mut name = fields.each_text(EVENT).next().unwrap_or_default().into_owned();
        truncate(&mut name, VENDOR_TYPE);
        (EventType::Vendor, name)
    })
}

/// The name of an agent; empty when there is none.
fn agent(center: &str, fields: &Fields<'_>, names: &[&str]) -> String {
    resource(fields, names, |id| AgentName::new(center, id))
}

/// A resource's name. A text that is not a valid ID, such as a display name, stays in the payload only.
fn resource<N: ResourceName + ToString>(fields: &Fields<'_>, names: &[&str], name: impl Fn(String) -> N) -> String {
    fields
        .texts(names)
        .map(|id| VendorId::cut(id.into_owned()).0)
        .find(|id| N::is_id(id))
        .map_or_else(String::new, |id| name(id).to_string())
}

fn call(fields: &Fields<'_>, event_type: EventType) -> Option<CallReference> {
    let direction =
        fields.texts(DIRECTION).map(|word| direction(&word)).find(|known| *known != CallDirection::Unspecified);
    let direction = direction.unwrap_or_default();
    // A message has an ID of the same name, so only an event about a call uses it as the call's ID.
    let is_calls = !matches!(
        event_type,
        EventType::AgentStateChanged
            | EventType::ExtensionStateChanged
            | EventType::AgentCallModeChanged
            | EventType::Vendor
    );
    let message_id = || if is_calls && !fields.has("events") { fields.innermost(MESSAGE_ID) } else { None };
    let call_id = fields.short(CALL_ID).or_else(message_id).unwrap_or_default();
    // Udesk's other products name the two numbers by their owner.
    let (from, to) = match direction {
        CallDirection::Inbound => (THEIR_NUMBER, OUR_NUMBER),
        CallDirection::Outbound => (OUR_NUMBER, THEIR_NUMBER),
        CallDirection::Unspecified | CallDirection::Internal => (&[][..], &[][..]),
    };
    let from_number = fields.short(DIALING).or_else(|| fields.short(from)).unwrap_or_default();
    let to_number = fields.short(DIALED).or_else(|| fields.short(to)).unwrap_or_default();
    let call = CallReference { call_id, from_number, to_number, direction: direction.into() };
    (call != CallReference::default()).then_some(call)
}

/// The direction of a word such as `in`, `out_callback` or `CallIn`. Numbers have no documented meaning.
fn direction(word: &str) -> CallDirection {
    let word = word.to_ascii_lowercase();
    let word = word.strip_prefix("call").unwrap_or(&word).trim_start_matches(['_', '-', ' ']);
    let first = word.split(['_', '-', ' ']).next().unwrap_or_default();
    match first {
        "in" | "inbound" | "incoming" => CallDirection::Inbound,
        "out" | "outbound" | "outgoing" => CallDirection::Outbound,
        "inner" | "internal" | "inside" => CallDirection::Internal,
        _ => CallDirection::Unspecified,
    }
}
