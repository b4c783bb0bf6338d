//! A simulator of Udesk `ccapi/v2`: all 26 operations, with state, over plain HTTP.
//!
//! It is written from the vendor's document alone and is stricter than a real center may be, so that a client that
//! satisfies it says exactly what the document asks for. It answers with the document's own shapes, contradictions
//! included; the statements that its examples do not follow are played by [`Quirk`]s.
//!
//! # Layout
//!
//! `operation` holds the 26 operations as data. A request passes `log` (recorded, and struck by a fault if
//! there is one), `auth` and `strict` (driven by the operation's row), then the operation's handler in `numbers`, `agents`, `roster`, `extensions`, `queues`,
//! `subscriptions`, `sessions` or `callback`, which works on `state`; `shape` and `envelope` make the answer. `seed`
//! and `document` fill the state. `faults` names the operations for the
//! rules of [`crate::faults`]. `admin` is not the vendor's: what the simulator tells about itself.
//!
//! What happens is an event: `events` makes its payload, `announce` finds who is told, `deliveries` posts it.
//! `conversation` is the life of a call that 24 began, `life` is a center that lives by itself. `options` says how a
//! simulator is built.
//!
//! # Rules
//!
//! Numbers with a C name the contradiction in the document that a rule settles.
//!
//! - `Timestamp` has 13 digits of milliseconds unless set otherwise (C1) and lies within 10 minutes of the clock. `Sign`
//!   covers the text sent; its hex may be in either case (C2). Both are demanded of every operation (C3).
//! - The application id is `AppId`, in 23 and 24 `app_id`, and only that (C4). 22 needs `MsgId`, 23 may have it (C49).
//! - Plain HTTP (C5). Business errors are HTTP 200 and an envelope (C6). `DELETE` takes a JSON body, and an empty one is an
//!   empty parameter (C7). A `DELETE` without a body takes any `Content-Type` (C8); JSON may or may not name UTF-8 (C9).
//! - Three envelopes (C10), `""` as 06's text (C12), the older code where there are two (C13), `null`, `""` and `[]` as
//!   the examples have them (C14).
//! - An absent field stays unchanged (C15). Unknown names and wrong types are 200002, absent ones 100001.
//! - Ids are bare in 06 and suffixed in 25 and 26 (C18, C19). A queue id asked for matches `9\d{3}` (C20) and is honoured
//!   unless set otherwise (C21). An extension is `1\d{3}` (C22) with a password of the system's own (C23).
//! - Path ids are digits (C27). A default relay number is one of the list, though 01 may show another (C28).
//! - `IsCreateExtension` is 0, 1, a boolean or its text (C31); it makes one extension of each type.
//! - 06 is one page (C35). 07 takes a whole agent and reads two fields (C36). 12 needs no name (C39).
//! - 18 takes an array or one object (C41) and the events of its own example (C44); a subscription begins enabled (C47).
//!   19 answers a map by name (C45); 21 one object for one subscription, without id, with `enable` as text (C46).
//! - `variables` of 24 is JSON text or the array (C53).
//! - An agent may be in no queue (C57). Lists are applied whole or not at all, unless a fault says otherwise (C60); 16 may
//!   replace by nothing (C61).
//! - Refusals without a documented code: 100021 for an agent's state (signing in without an extension or disabled,
//!   disabling while not offline), 000001 for the others, each with its own `ErrDesc` (C62).
//! - There is no limit of requests, unless a fault sets one (C17).
//! - Events, their payloads and how they come are undocumented: `deliveries` and `events/README.md` say what is assumed.
//! - One extension of a type per agent (C63). Signing in and out can be repeated (C64). Text keeps its spaces (C66).

mod admin;
mod agents;
mod announce;
mod auth;
mod call;
mod callback;
mod conversation;
mod deliveries;
mod document;
mod envelope;
mod events;
mod extensions;
mod faults;
mod life;
mod log;
mod numbers;
mod operation;
mod options;
mod queues;
mod quirks;
mod roster;
mod seed;
mod sessions;
mod shape;
mod state;
mod strict;
mod subscriptions;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod testing;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Response},
};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use self::{
    call::{Call, Query},
    deliveries::Deliveries,
    envelope::{Failure, INVALID_PARAMETER},
    log::Requests,
    operation::Operation,
    state::State,
};
pub use self::{
    events::{EventTemplates, TemplateError},
    life::LIFE_PERIOD,
    log::Request,
    options::{Options, QueueIds, Tenant, TimestampUnit},
    quirks::{Quirk, Quirks, UnknownQuirk},
    state::{Callback, Variable},
};
use crate::faults::{Alteration, Faults};

/// A simulated center.
pub struct Simulator {
    options: Options,
    quirks: Quirks,
    faults: Arc<Faults>,
    /// What its background tasks know it by.
    me: Weak<Self>,
    /// Beside that of the faults, and around that of the deliveries' journal, the only lock; never held across an await.
    center: Mutex<Center>,
}

/// What changes while a simulator runs.
struct Center {
    /// One state for all operations, or one for each ([`Tenant::Document`]).
    states: Vec<State>,
    requests: Requests,
    deliveries: Deliveries,
    /// How many resets there were.
    generation: u64,
    conversations: JoinSet<()>,
    life: Option<AbortOnDropHandle<()>>,
}

// === impl Simulator ===

impl Simulator {
    /// Builds a simulator with its tenant's data; it serves once its [`router`](Self::router) does.
    #[must_use]
    pub fn new(options: Options) -> Arc<Self> {
        let mut quirks = options.quirks;
        if options.queue_ids == QueueIds::Assign {
            quirks.insert(Quirk::AssignedQueueIds);
        }
        let center = Mutex::new(Center::new(options.states(), Deliveries::default(), 0));
        let faults = Faults::new(faults::VENDOR);
        Arc::new_cyclic(|me| Self { options, quirks, faults, me: Weak::clone(me), center })
    }

    /// The vendor's operations under `/ccapi/v2` and the simulator's own routes under `/simulator`.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        admin::routes(self)
            .merge(self.faults.routes())
            .merge(deliveries::routes(self))
            .merge(log::routes(self))
            .layer(axum::middleware::map_response_with_state(Arc::clone(self), log::date))
    }

    /// The requests to `/ccapi` received so far, oldest first: at most the last 1,000, and fewer when
    /// their bodies are large.
    pub fn requests(&self) -> Vec<Request> {
        self.center().requests.kept().cloned().collect()
    }

    /// What goes wrong, and when: rules that can be added and cleared while the simulator serves.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Empties what [`requests`](Self::requests) answers.
    pub fn forget_requests(&self) {
        self.center().requests.clear();
    }

    /// The customers rung by 24 so far, oldest first, at most the last 10,000 of an application.
    pub fn callbacks(&self) -> Vec<Callback> {
        self.center().states.iter().flat_map(|state| state.callbacks.iter().cloned()).collect()
    }

    fn center(&self) -> MutexGuard<'_, Center> {
        // After a panic the center is still worth answering from: a reset puts it right.
        self.center.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, request: Request) {
        self.center().requests.keep(request);
    }

    /// Forgets everything, faults included, and fills the application anew.
    fn reset(&self) {
        let states = self.options.states();
        let mut center = self.center();
        let (deliveries, generation) = (center.deliveries.anew(), center.generation + 1);
        *center = Center::new(states, deliveries, generation);
        drop(center);
        self.faults.clear();
    }

    /// Answers a call of `operation`.
    fn answer(
        &self,
        operation: &'static Operation,
        id: &str,
        mut query: Query,
        headers: &HeaderMap,
        body: &Bytes,
        alteration: Alteration,
    ) -> Response<Body> {
        if self.options.tenant == Tenant::Document {
            document::complete(operation, &mut query);
        }
        let result = self.check_and_run(operation, id, &query, headers, body, alteration);
        let msg_id = query.get("MsgId").unwrap_or_default();
        match result {
            Ok(result) => envelope::success(operation, msg_id, result, self.quirks),
            Err(failure) => envelope::failure(operation, msg_id, failure, self.quirks),
        }
    }

    fn check_and_run(
        &self,
        operation: &'static Operation,
        id: &str,
        query: &Query,
        headers: &HeaderMap,
        body: &Bytes,
        alteration: Alteration,
    ) -> Result<Value, Failure> {
        strict::check_headers(operation, headers)?;
        strict::check_repeats(query)?;
        let now = alteration.clock((self.options.clock)());
        auth::authenticate(&self.options, query, operation.app_id, now)?;
        strict::check_parameters(operation, query)?;
        let mut body = strict::check_body(operation, body)?;
        let in_part = alteration.partial.is_some_and(|entries| faults::shorten(operation, &mut body, entries));
        let call = Call { id, query, body: &body, quirks: self.quirks };
        let mut center = self.center();
        let place = match self.options.tenant {
            Tenant::Seeded => 0,
            Tenant::Document => usize::from(operation.number) - 1,
        };
        let result = (operation.run)(&mut center.states[place], &call)?;
        if in_part {
            return Err(INVALID_PARAMETER.because("the list was applied in part"));
        }
        self.follow(&mut center, operation);
        Ok(self.quirks.shape_result(operation, &center.states[place].short_app_id, result))
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("options", &self.options).finish_non_exhaustive()
    }
}

// === impl Center ===

impl Center {
    fn new(states: Vec<State>, deliveries: Deliveries, generation: u64) -> Self {
        let requests = Requests::default();
        Self { states, requests, deliveries, generation, conversations: JoinSet::new(), life: None }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn what_is_printed_of_a_simulator_tells_no_token() {
        let mut options = Options::new("app", "sid", SecretString::from("hidden-token"));
        options.quirks.insert(Quirk::Pages);
        let printed = format!("{:?}", Simulator::new(options));
        assert!(printed.contains("app") && printed.contains("pages"), "{printed}");
        assert!(!printed.contains("hidden"), "{printed}");
    }
}
