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
mod memberships;
mod numbers;
mod offline;
mod operation;
mod operations;
mod options;
mod passwords;
mod quirks;
mod routes;
mod seed;
mod settings;
mod simulator;
mod skill_param;
mod skill_query;
mod skills;
mod softphones;
mod state;
#[cfg(test)]
mod testing;
mod token;

pub use self::{
    options::{Options, Tenant, Tokens},
    quirks::{Quirk, Quirks, UnknownQuirk},
    simulator::Simulator,
};
pub use crate::journal::Request;
