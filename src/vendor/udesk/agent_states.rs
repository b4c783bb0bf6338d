//! Udesk's codes of agent states, which are the tenant's: `[centers.<id>.agent_states]`.

use crate::{config::AgentStates, proto::v1::AgentState};

impl AgentStates {
    /// The state of a code; unspecified where the tenant has none.
    pub(super) fn state(&self, code: &str) -> AgentState {
        let states =
            [AgentState::Offline, AgentState::NotReady, AgentState::Ready, AgentState::Busy, AgentState::WrapUp];
        let has_code = |state: &AgentState| self.codes(*state).iter().any(|known| known == code);
        states.into_iter().find(has_code).unwrap_or_default()
    }

    /// The codes of a state.
    pub(super) fn codes(&self, state: AgentState) -> &[String] {
        match state {
            AgentState::Unspecified => &[],
            AgentState::Offline => &self.offline,
            AgentState::NotReady => &self.not_ready,
            AgentState::Ready => &self.ready,
            AgentState::Busy => &self.busy,
            AgentState::WrapUp => &self.wrap_up,
        }
    }

    /// The number of a state at sign-in: the first of its codes, if it is a number.
    pub(super) fn sign_in_number(&self, state: AgentState) -> Option<u32> {
        self.codes(state).first()?.parse().ok()
    }

    /// The numbers that a caller may name at sign-in: the documented 0 and 1, and the tenant's.
    pub(super) fn sign_in_numbers(&self) -> Vec<u32> {
        let tenants = [&self.not_ready, &self.ready, &self.busy, &self.wrap_up].into_iter().flatten();
        let mut numbers: Vec<u32> = [0, 1].into_iter().chain(tenants.filter_map(|code| code.parse().ok())).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}
