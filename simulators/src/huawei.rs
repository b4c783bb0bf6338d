//! A simulator of Huawei Cloud AICC: the C1 family, which responds behind API Fabric with a bearer token.
//!
//! It holds one call center in memory and responds as the vendor's documents say, contradictions included. "Document
//! 000", "001" and "002" are the vendor's pages on querySysInfo, queryPhone v2 and agentsettings/query; "A" and "B1" to
//! "B3.22" are the sections of the vendor facts.
//!
//! # Layout
//!
//! `operations` is the table of operations, in the types of `operation`. A request passes `fabric`, which records it,
//! injects the fault it triggers, and checks path, token, app key and JSON. Then the operation's handler, in one file
//! per family, reads the body strictly (`fields`) and works on `state`; `envelope` adds the family's return code.
//! `seed` and `document` are the two filled call centers, `quirks` the deviations that can be switched on. `faults`
//! names the operations for the rules of [`crate::faults`], and `admin` is the simulator's own routes. `options` says
//! how a simulator is set up.
//!
//! # Where the vendor is silent or contradicts itself
//!
//! - A 400, 401 or 404 has the document's sentence as plain text. The `schema` member of the tables is an artefact of
//!   the documentation and is never sent (B2). A refused `tokenByAkSk` is HTTP 403 with a page of HTML, as others
//!   observed (A); a body over 1 MiB is HTTP 413 in the same style.
//! - A wrong type, an unknown member, a `null`, a missing mandatory member or any query parameter is HTTP 400. A value
//!   outside its limits is a business failure: HTTP 200 with a return code other than "0" (B2).
//! - `Authorization` is always required, although document 002 calls it optional: its sibling pages require it (B3.22).
//!   Document 002 makes `X-APP-Key` mandatory, so all of agentsettings does.
//! - A token requested without `X-Token-Expire` is valid for [`Tokens::default_lifetime`]. A new token leaves the
//!   earlier ones valid unless [`Tokens::one_live_token`] is set (A).
//! - `queryPhone` without `limit` or `offset` is retCode 4, "pagination data is empty", although the same page names
//!   default values; a negative `offset` is 0 (document 001).
//! - `agentsettings/query` of a user without settings is "0" without `id`; an update keeps the fields that it lacks.
//! - The `skills` of `agentAccount/update` replace the account's. `agentAccount/query` of an unknown account is an
//!   empty list; a `pageSize` over 100 is 100.
//! - A new agent gets the first unused registered softphone, if there is one; a deleted agent's becomes unused.
//! - Names of queues are unique; `querySkills` compares `name` exactly. A queue with agents cannot be deleted.
//! - A second offline sign-in replaces the first; signing out an agent who is not signed in is refused.

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
