//! Dispatches events to the subscriptions that name them.

use std::time::UNIX_EPOCH;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    event::Event,
    events::Stamp,
    simulator::{Center, Simulator},
};

/// An event that was dispatched.
pub(super) struct Dispatched {
    pub(super) msg_id: String,
    /// IDs of the subscriptions that get the event.
    pub(super) subscriptions: Vec<u64>,
}

// === impl Simulator ===

impl Simulator {
    /// Dispatches the events that operations and background tasks left in the states. At the document's tenant, with
    /// its state for each operation, they are discarded.
    pub(super) fn dispatch_pending(&self, center: &mut Center) {
        let pending: Vec<Event> = center.states.iter_mut().flat_map(|state| state.pending_events.drain(..)).collect();
        for event in pending {
            self.dispatch(center, &event);
        }
    }

    /// Dispatches an event with example values, except for these fields; `None` if no event has this name.
    pub(super) fn dispatch_example(&self, name: &str, fields: Option<&Map<String, Value>>) -> Option<Dispatched> {
        let mut center = self.center();
        let mut event = Event::example(name, center.states.first()?)?;
        for (name, value) in fields.into_iter().flatten() {
            let has_placeholder = self.options.event_templates.has_placeholder(event.name, name);
            let target = if has_placeholder { &mut event.fields } else { &mut event.overrides };
            target.insert(name.clone(), value.clone());
        }
        Some(self.dispatch(&mut center, &event))
    }

    /// Hands an event to the enabled subscriptions that name it.
    fn dispatch(&self, center: &mut Center, event: &Event) -> Dispatched {
        let given = |name: &str| event.fields.get(name).or(event.overrides.get(name)).and_then(Value::as_str);
        let msg_id = given("MsgId").map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let mut dispatched = Dispatched { msg_id, subscriptions: Vec::new() };
        let [state] = center.states.as_slice() else {
            return dispatched;
        };
        let names_it = |names: &[String]| names.iter().any(|name| name == event.name);
        let mut subscribed = state.subscriptions.iter().filter(|one| one.enabled && names_it(&one.events)).peekable();
        if subscribed.peek().is_none() {
            return dispatched;
        }
        let since_1970 = (self.options.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        let stamp = Stamp { app_id: &state.app_id, msg_id: &dispatched.msg_id, timestamp };
        let body = self.options.event_templates.fill(event, &stamp);
        for subscription in subscribed {
            if center.deliveries.enqueue(subscription, event.name, &dispatched.msg_id, &body) {
                dispatched.subscriptions.push(subscription.subid);
            }
        }
        dispatched
    }
}
