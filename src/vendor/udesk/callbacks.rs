//! What Udesk posts to a subscription's callback, as an event.
//!
//! The document names 20 events (Udesk 18) and shows no payload. So nothing here is demanded of a body: names and
//! fields are looked for in every spelling that Udesk's documents use (`names`), at the top or in `data` or `message`,
//! which may be JSON text; and whatever is found or not, there is an event, and it holds the whole body.

mod arms;
mod names;

use self::names::{
    AGENT, CALL_ID, DIALED, DIALING, DIRECTION, EVENT, EVENT_TIME, EXTENSION, INNER, MESSAGE_ID, OUR_NUMBER, QUEUE,
    THEIR_NUMBER,
};
use super::{VendorId, events};
use crate::{
    error::truncate,
    event::payload::{CallbackBody, Fields, parse_timestamp},
    name::{AgentName, ExtensionName, QueueName, ResourceName},
    proto::v1::{CallDirection, CallReference, Event, EventType},
};

/// Longest name of an event, in bytes.
const VENDOR_TYPE: usize = 128;

/// The event of a callback's body; `secrets` are taken out of all of it. `event_id`, `center` and `receive_time` are
/// the caller's to fill.
pub(crate) fn read_event(center: &str, body: &[u8], secrets: &[&str]) -> Event {
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
        payload: arms::payload(event_type, center, &fields),
        ..Event::default()
    };
    drop(fields);
    event.vendor_payload = Some(posted.into_payload());
    event
}

/// What happened: the first name that the document has, or else the first text where a name is looked for.
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

/// A resource's name. An ID that no name has, such as somebody's display name, is left to the payload.
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
    // A message has an ID of the same name; only of a call's own events can it be the call's.
    let is_calls = !matches!(
        event_type,
        EventType::AgentStateChanged
            | EventType::ExtensionStateChanged
            | EventType::AgentCallModeChanged
            | EventType::Vendor
    );
    let message_id = || if is_calls && !fields.has("events") { fields.innermost(MESSAGE_ID) } else { None };
    let call_id = fields.short(CALL_ID).or_else(message_id).unwrap_or_default();
    // Udesk's other products name the two numbers by whose they are.
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

/// The direction that a word such as `in`, `out_callback` or `CallIn` tells. Numbers are not guessed at.
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
