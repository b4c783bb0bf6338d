//! A simulator of Huawei Cloud AICC: the C1 family, which answers behind API Fabric with a bearer token.
//!
//! It keeps one call center in memory and answers as the vendor's documents say, with their contradictions. "Document
//! 000", "001" and "002" are the vendor's pages on querySysInfo, queryPhone v2 and agentsettings/query; "A" and "B1" to
//! "B3.22" are the sections of the vendor facts.
//!
//! # Layout
//!
//! `operations` is the table of everything served. `fabric` stands before it (path, token, app key, JSON), `envelope`
//! gives every family its return codes, `fields` reads bodies strictly. One file per family does the work on the
//! `state`; `seed` and `document` are the two filled call centers; `quirks` are the deviations that one can switch on;
//! `faults` names the operations for the rules of [`crate::faults`]; `journal` and `admin` let a test look at
//! what happened.
//!
//! # Where the vendor is silent, or says two things
//!
//! - A 400, 401 or 404 carries the document's sentence as plain text. The `schema` member of the tables is an artefact
//!   of the documentation and is never sent (B2). A refused `tokenByAkSk` is HTTP 403 with a page of HTML, as observed
//!   by others (A); a body over 1 MiB is HTTP 413 in the same style.
//! - A wrong type, an unknown member, a `null`, a missing mandatory member or any query parameter is HTTP 400. A value
//!   outside its limits is a business failure: HTTP 200 with a return code other than "0" (B2).
//! - `Authorization` is always required, although document 002 calls it optional: its sibling pages require it (B3.22).
//!   Document 002 makes `X-APP-Key` mandatory, so all of agentsettings does.
//! - A token without `X-Token-Expire` lives for [`Tokens::default_lifetime`]; a new token leaves the old ones alive
//!   unless [`Tokens::one_live_token`] is set (A).
//! - `queryPhone` without `limit` or `offset` answers retCode 4, "pagination data is empty", although the same page
//!   names default values; a negative `offset` is 0 (document 001).
//! - `agentsettings/query` of a user without settings answers "0" and no `id`; an update keeps what it does not name.
//! - An account's `skills` in `agentAccount/update` replace the ones before. `agentAccount/query` of an unknown account
//!   answers an empty list; a `pageSize` over 100 is 100.
//! - A new agent gets the first registered softphone that nobody uses, or none; a deleted agent's is free again.
//! - Names of queues are unique; `querySkills` compares `name` exactly. A queue with agents is not deleted.
//! - A second offline sign-in replaces the first; signing out somebody who is not signed in is refused.

mod account_query;
mod accounts;
mod admin;
mod document;
mod envelope;
mod fabric;
mod faults;
mod fields;
mod journal;
mod memberships;
mod numbers;
mod offline;
mod operations;
mod passwords;
mod quirks;
mod seed;
mod settings;
mod skill_param;
mod skill_query;
mod skills;
mod softphones;
mod state;
#[cfg(test)]
mod testing;
mod token;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, get, post},
};
use secrecy::SecretString;

use self::{journal::Journal, state::Center, token::LiveTokens};
pub use self::{
    journal::Request,
    quirks::{Quirk, Quirks, UnknownQuirk},
    token::Tokens,
};
use crate::{
    clock::{self, Clock},
    faults::Faults,
};

/// How a [`Simulator`] is set up.
pub struct Options {
    /// The app key that `tokenByAkSk` takes, and that `X-APP-Key` must repeat.
    pub app_key: String,
    /// The secret that belongs to the app key.
    pub app_secret: SecretString,
    /// How long access tokens live.
    pub tokens: Tokens,
    /// Deviations from the documents that were seen, or are to be feared.
    pub quirks: Quirks,
    /// The call center that the simulator starts with, and that a reset brings back.
    pub tenant: Tenant,
    /// The time by which tokens expire and locked accounts open.
    pub clock: Clock,
}

/// The call center that a simulator starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tenant {
    /// A small invented call center: queues, a dozen agents, softphones, access codes, call settings.
    #[default]
    Seeded,
    /// What the vendor's pages show: their example requests are answered with their example answers. `queryPhone`
    /// answers in the shape of document 001's example, not of its table.
    Document,
    /// A call center with addresses and nothing else.
    Empty,
}

/// One simulated API Fabric with one call center behind it.
pub struct Simulator {
    options: Options,
    faults: Arc<Faults>,
    /// Never held across an await: every operation is one short, synchronous step.
    state: Mutex<State>,
}

/// Everything that changes.
struct State {
    center: Center,
    tokens: LiveTokens,
    journal: Journal,
}

// === impl Options ===

impl Options {
    /// The defaults: tokens without limits, no quirks, the seeded tenant, this machine's clock.
    #[must_use]
    pub fn new(app_key: impl Into<String>, app_secret: SecretString) -> Self {
        Self {
            app_key: app_key.into(),
            app_secret,
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            tenant: Tenant::default(),
            clock: clock::system(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("tokens", &self.tokens)
            .field("quirks", &self.quirks)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

// === impl Simulator ===

impl Simulator {
    /// A simulator with its tenant's data, no tokens, and no requests received.
    #[must_use]
    pub fn new(options: Options) -> Arc<Simulator> {
        let state = Mutex::new(State::new(options.tenant));
        Arc::new(Simulator { options, faults: Faults::new(faults::VENDOR), state })
    }

    /// Everything the simulator serves: the vendor's operations, and the admin route under `/simulator`.
    pub fn router(self: &Arc<Self>) -> Router {
        // Wrong methods and paths get the vendor's own 404, so the operations are looked up in their table and not
        // routed by axum.
        let operations = any(fabric::answer)
            .layer(from_fn_with_state(Arc::clone(self), fabric::observe))
            .with_state(Arc::clone(self));
        Router::new()
            .route("/simulator/requests", get(admin::requests))
            .route("/simulator/state", get(admin::state))
            .route("/simulator/reset", post(admin::reset))
            .route("/simulator/tokens/revoke", post(admin::revoke_tokens))
            .with_state(Arc::clone(self))
            .merge(self.faults.routes())
            .fallback_service(operations)
    }

    /// The requests received so far for the vendor's operations, oldest first: at most the last 1,000, and fewer when
    /// their bodies are large. They hold secrets.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().journal.requests().cloned().collect()
    }

    /// Forgets the requests received so far; the counts by operation stay.
    pub fn forget_requests(&self) {
        self.lock().journal.forget_requests();
    }

    /// What goes wrong, and when: rules that can be added and cleared while the simulator serves.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Ends every token issued so far: it answers HTTP 401 from now on.
    pub fn revoke_tokens(&self) {
        self.lock().tokens.revoke_all();
    }

    /// Back to the start: the tenant's data, no tokens, no requests, no counts, no faults.
    fn reset(&self) {
        *self.lock() = State::new(self.options.tenant);
        self.faults.clear();
    }

    fn now(&self) -> SystemTime {
        (self.options.clock)()
    }

    /// The state is changed only after all checks passed, so what a panic left behind is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("options", &self.options).finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    fn new(tenant: Tenant) -> State {
        let center = match tenant {
            Tenant::Seeded => seed::center(),
            Tenant::Document => document::center(),
            Tenant::Empty => Center::empty(),
        };
        State { center, tokens: LiveTokens::default(), journal: Journal::default() }
    }
}
