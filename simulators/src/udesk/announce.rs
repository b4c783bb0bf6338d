//! From what happens to those who are told.

use std::{
    sync::{Arc, Weak},
    time::UNIX_EPOCH,
};

use serde_json::{Map, Value};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    Center, Simulator, Tenant, conversation,
    conversation::Conversation,
    deliveries::destination,
    events::{Event, Stamp},
    life,
    operation::Operation,
    state::State,
};

/// How many calls that 24 began go on at once. The customers of further ones are rung, and hang up unheard.
const MOST_CONVERSATIONS: usize = 100;

/// A running center, as its background tasks know it: they end with it, and with a reset.
#[derive(Clone)]
pub(super) struct Running {
    simulator: Weak<Simulator>,
    generation: u64,
}

// === impl Simulator ===

impl Simulator {
    /// What follows from an operation that succeeded: those who listen are told, and a call begins its life.
    pub(super) fn follow(&self, center: &mut Center, operation: &Operation) {
        self.publish(center);
        if self.options.tenant == Tenant::Document {
            return;
        }
        match operation.number {
            18..=20 => self.subscriptions_changed(center),
            24 if is_listened_to(center) => self.converse(center),
            _ => {}
        }
    }

    /// One event of this name with made-up fields, but for those given. Answers its `MsgId` and the subscriptions told; `None`
    /// if there is no such name.
    pub(super) fn tell_example(&self, name: &str, fields: Option<&Map<String, Value>>) -> Option<(String, Vec<u64>)> {
        let mut center = self.center();
        let mut event = Event::example(name, center.states.first()?)?;
        for (name, value) in fields.into_iter().flatten() {
            let place =
                if self.options.event_templates.has(event.name, name) { &mut event.fields } else { &mut event.added };
            place.insert(name.clone(), value.clone());
        }
        Some(self.tell(&mut center, &event))
    }

    /// Tells what has happened. The document's examples know nobody to tell.
    fn publish(&self, center: &mut Center) {
        let happened: Vec<Event> = center.states.iter_mut().flat_map(|state| state.happened.drain(..)).collect();
        for event in happened {
            self.tell(center, &event);
        }
    }

    /// Hands an event to the enabled subscriptions that name it.
    fn tell(&self, center: &mut Center, event: &Event) -> (String, Vec<u64>) {
        let given = |name: &str| event.fields.get(name).or(event.added.get(name)).and_then(Value::as_str);
        let msg_id = given("MsgId").map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let mut told = Vec::new();
        let [state] = center.states.as_slice() else {
            return (msg_id, told);
        };
        let interested = |names: &[String]| names.iter().any(|name| name == event.name);
        let mut listeners = state.subscriptions.iter().filter(|one| one.enabled && interested(&one.events)).peekable();
        if listeners.peek().is_none() {
            return (msg_id, told);
        }
        let since = (self.options.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let stamp = Stamp { app_id: &state.app_id, msg_id: &msg_id, timestamp };
        let body = self.options.event_templates.fill(event, &stamp);
        for subscription in listeners {
            if center.deliveries.post(subscription, event.name, &msg_id, &body) {
                told.push(subscription.subid);
            }
        }
        (msg_id, told)
    }

    /// Ends what is on its way to nobody, and begins or ends the life that goes on by itself.
    fn subscriptions_changed(&self, center: &mut Center) {
        if let Some(state) = center.states.first() {
            center.deliveries.keep_only(&state.subscriptions);
        }
        if !is_listened_to(center) {
            center.life = None;
        } else if let Some(period) = self.options.life
            && center.life.is_none()
        {
            let running = self.running(center);
            center.life = Some(AbortOnDropHandle::new(tokio::spawn(life::go_on(running, period))));
        }
    }

    /// Lets the call that 24 began go on.
    fn converse(&self, center: &mut Center) {
        while center.conversations.try_join_next().is_some() {}
        let newest = center.states.first().and_then(|state| state.callbacks.back());
        if let Some(callback) = newest
            && center.conversations.len() < MOST_CONVERSATIONS
        {
            let conversation = Conversation::of(callback);
            let running = self.running(center);
            center.conversations.spawn(conversation::go_on(conversation, running, self.options.pace));
        }
    }

    /// The center as it is up to the next reset.
    pub(super) fn running(&self, center: &Center) -> Running {
        Running { simulator: Weak::clone(&self.me), generation: center.generation }
    }
}

// === impl Running ===

impl Running {
    /// Lets something happen, and tells it; `None` once there is no such center any more.
    pub fn step<T>(&self, step: impl FnOnce(&mut State) -> T) -> Option<T> {
        let simulator: Arc<Simulator> = self.simulator.upgrade()?;
        let mut center = simulator.center();
        if center.generation != self.generation {
            return None;
        }
        let result = step(center.states.first_mut()?);
        simulator.publish(&mut center);
        Some(result)
    }
}

/// Whether anybody would get an event.
fn is_listened_to(center: &Center) -> bool {
    let subscriptions = center.states.iter().flat_map(|state| &state.subscriptions);
    subscriptions.into_iter().any(|one| one.enabled && destination(&one.callback).is_some())
}
