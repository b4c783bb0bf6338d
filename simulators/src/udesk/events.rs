//! Events of the 20 names of operation 18: what they say, and their payloads.
//!
//! The payloads are the simulator's own, because the vendor documents none. `events/README.md` lists the placeholders
//! and says how a captured payload replaces one of these.

mod placeholders;
mod template;

use serde_json::Map;
use uuid::Uuid;

pub(super) use self::template::Stamp;
pub use self::template::{EventTemplates, TemplateError};
use super::{
    event::{Event, NAMES},
    state::State,
};

// === impl Event ===

impl Event {
    /// An event with example values; `None` if no event has this name.
    pub(super) fn example(name: &str, state: &State) -> Option<Self> {
        let name = NAMES.into_iter().find(|known| *known == name)?;
        let example = Self { name, fields: placeholders::examples(&state.short_app_id), overrides: Map::new() };
        Some(example.with("CallId", Uuid::new_v4().to_string()))
    }

    /// The event with the fields of an agent.
    pub(super) fn of_agent(self, state: &State, agent: &str) -> Self {
        let found = state.agent(agent).ok();
        let extension = found.and_then(|agent| agent.extensions.first());
        self.with("AgentId", agent_id(state, agent))
            .with("WorkId", found.map_or("", |agent| agent.work_id.as_str()))
            .with("Extension", extension.map_or("", String::as_str))
    }

    /// The event with the fields of a queue.
    pub(super) fn in_queue(self, state: &State, queue: &str) -> Self {
        let name = state.queue(queue).map_or("", |queue| queue.name.as_str());
        self.with("QueueId", queue).with("QueueName", name)
    }
}

/// An agent's ID in the spelling of 25 and 26 (C18).
pub(super) fn agent_id(state: &State, agent: &str) -> String {
    format!("{agent}@{}", state.short_app_id)
}

#[cfg(test)]
mod tests {
    use super::placeholders::{STAMPED, examples};

    #[test]
    fn every_placeholder_is_explained() {
        let explained = include_str!("events/README.md");
        for name in examples("").keys().map(String::as_str).chain(STAMPED) {
            assert!(explained.contains(&format!("`{{{{{name}}}}}`")), "{name}");
        }
        assert_eq!(explained.matches("{{").count(), examples("").len() + STAMPED.len());
    }
}
