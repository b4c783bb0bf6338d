//! The keys of a Udesk center.

use super::{
    key::table,
    rotation::{VendorSecret, vendor_secret},
    secret::env,
    table::{Recorded, Table},
    value::{choice, codes, identifier},
};

table! {
    /// Udesk ccapi/v2.
    #[derive(Debug, Clone)]
    pub struct Udesk {
        /// `AppId` of the signature.
        app_id: String = identifier().required("4b8dc715-05e0-4340-6cae-a6e3c39a6012");
        /// `Sid` of the signature.
        sid: String = identifier().required("sid-0001");
        /// The secret that signs every request.
        auth_token: VendorSecret = vendor_secret().required(env("ACME_AUTH_TOKEN"));
        /// The unit of the signature's timestamp: milliseconds or seconds.
        timestamp_unit: TimestampUnit =
            choice(vec![("ms", TimestampUnit::Milliseconds), ("s", TimestampUnit::Seconds)]).default("ms");
        /// `[centers.<id>.agent_states]`.
        agent_states: AgentStates = AgentStates::rule();
    }
}

table! {
    /// Udesk's codes of agent states (`State`): what the gateway reads, filters by and signs agents in with. The codes
    /// are the tenant's; Udesk's examples name 4 offline. The defaults of `ready` and `not_ready` are hints of its
    /// document (after sign-in 0 is "Idle" and 1 is "Waiting"), not a promise. Of several codes, the first one is sent
    /// at sign-in.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AgentStates {
        /// Codes of `OFFLINE`: signed out.
        offline: Vec<String> = codes().default(vec!["4"]);
        /// Codes of `NOT_READY`: signed in, accepts no calls.
        not_ready: Vec<String> = codes().default(vec!["1"]);
        /// Codes of `READY`: signed in, waits for calls.
        ready: Vec<String> = codes().default(vec!["0"]);
        /// Codes of `BUSY`: ringing, talking or holding.
        busy: Vec<String> = codes().default(Vec::<String>::new());
        /// Codes of `WRAP_UP`: after-call work.
        wrap_up: Vec<String> = codes().default(Vec::<String>::new());
    }
    check |table| {
        let states = [
            ("offline", offline.as_ref()),
            ("not_ready", not_ready.as_ref()),
            ("ready", ready.as_ref()),
            ("busy", busy.as_ref()),
            ("wrap_up", wrap_up.as_ref()),
        ];
        refuse_shared_codes(table, &states);
    }
}

/// A code has one state.
fn refuse_shared_codes(table: &Table<'_>, states: &[(&'static str, Result<&Vec<String>, &Recorded>)]) {
    for (index, (state, codes)) in states.iter().enumerate() {
        for (other, others) in &states[..index] {
            let (Ok(codes), Ok(others)) = (codes, others) else { continue };
            if codes.iter().any(|code| others.contains(code)) {
                // The default is not in the file.
                let key = if table.peek(state).is_some() { state } else { other };
                table.refuse(
                    key,
                    format!("expected other codes than those of `{}`", if key == state { other } else { state }),
                );
            }
        }
    }
}

/// The hints of Udesk's document.
impl Default for AgentStates {
    fn default() -> Self {
        let code = |code: &str| vec![code.to_owned()];
        Self { offline: code("4"), not_ready: code("1"), ready: code("0"), busy: Vec::new(), wrap_up: Vec::new() }
    }
}

/// The unit of the timestamp in Udesk's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    /// `"ms"`
    Milliseconds,
    /// `"s"`
    Seconds,
}
