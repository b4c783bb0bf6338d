//! A simulator of Udesk `ccapi/v2`: all 26 operations, with state, over plain HTTP.
//!
//! It is written from the vendor's document alone and may be stricter than a real center, so that a client that
//! satisfies it sends exactly what the document requires. It responds in the shapes of the document's examples,
//! contradictions included; a [`Quirk`] makes it respond as another statement of the document says.
//!
//! # Layout
//!
//! `operations` is the table of the 26 operations, in the types of `operation`. A request passes `service`, which
//! records it, injects the fault it triggers and runs `auth` and `strict`, driven by the operation's row. Then the
//! operation's handler in `numbers`, `agents`, `roster`, `extensions`, `queues`, `subscriptions`, `sessions` or
//! `callback` works on `state`; `shape` and `envelope` make the response. `seed` and `document` fill the state.
//! `faults` names the operations for the rules of [`crate::faults`], and `admin` is the simulator's own routes.
//!
//! `follow_up` is what follows from an operation: `dispatch` hands an `event` to the subscriptions, `events` makes its
//! payload, `deliveries` posts it. `call_flow` is a call that 24 made, `background_traffic` the events that run by
//! themselves; both reach the center through a `center_handle`. `options` says how a simulator is set up.
//!
//! # Rules
//!
//! A number with a C names the contradiction in the document that a rule settles.
//!
//! - `Timestamp` has 13 digits of milliseconds unless an option says otherwise (C1), and is within 10 minutes of the
//!   clock. `Sign` covers the text sent; its hex digits may be in either case (C2). Every operation requires both (C3).
//! - The application ID is `AppId`, in 23 and 24 `app_id`, and only that (C4). 22 requires `MsgId`, 23 accepts it
//!   (C49).
//! - Plain HTTP (C5). Business errors are HTTP 200 with an envelope (C6). `DELETE` accepts a JSON body, and an empty
//!   one is an empty parameter (C7). A `DELETE` without a body accepts any `Content-Type` (C8); JSON may or may not
//!   name UTF-8 (C9).
//! - Three envelopes (C10), `""` as 06's text (C12), the older code where there are two (C13), `null`, `""` and `[]` as
//!   in the examples (C14).
//! - An absent field is unchanged (C15). Unknown names and wrong types are 200002, absent required fields 100001.
//! - IDs are bare in 06 and suffixed in 25 and 26 (C18, C19). A queue ID in a request matches `9\d{3}` (C20) and
//!   becomes the queue's ID unless an option says otherwise (C21). An extension is `1\d{3}` (C22) with a generated
//!   password (C23).
//! - IDs in paths are digits (C27). A default relay number is one of the list, though 01 may show another (C28).
//! - `IsCreateExtension` is 0, 1, a boolean or a boolean as text (C31); it adds one extension of each type.
//! - 06 is one page (C35). 07 accepts a whole agent and uses two fields (C36). 12 requires no name (C39).
//! - 18 accepts an array or one object (C41) and the events of its own example (C44); a new subscription is enabled
//!   (C47). 19 returns a map by name (C45); 21 one object for one subscription, without ID, with `enable` as text
//!   (C46).
//! - `variables` of 24 is JSON text or the array (C53).
//! - An agent may be in no queue (C57). A list is applied as a whole or not at all, unless a fault says otherwise
//!   (C60); 16 accepts a replacement by no queue (C61).
//! - Failures without a documented code: 100021 for an agent's state (signing in without an extension or disabled,
//!   disabling while not offline), 000001 for the others, each with its own `ErrDesc` (C62).
//! - There is no limit of requests, unless a fault sets one (C17).
//! - Events, their payloads and their transport are undocumented: `deliveries` and `events/README.md` state the
//!   assumptions.
//! - One extension of a type per agent (C63). Signing in and out can be repeated (C64). Texts keep their spaces (C66).

mod admin;
mod agents;
mod auth;
mod background_traffic;
mod call;
mod call_flow;
mod callback;
mod center_handle;
mod codes;
mod deliveries;
mod dispatch;
mod document;
mod envelope;
mod event;
mod events;
mod extensions;
mod faults;
mod follow_up;
mod numbers;
mod operation;
mod operations;
mod options;
mod queues;
mod quirks;
mod roster;
mod routes;
mod seed;
mod service;
mod sessions;
mod shape;
mod simulator;
mod state;
mod strict;
mod subscriptions;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod testing;

pub use self::{
    background_traffic::BACKGROUND_TRAFFIC_PERIOD,
    events::{EventTemplates, TemplateError},
    options::{Options, QueueIds, Tenant, TimestampUnit},
    quirks::{Quirk, Quirks, UnknownQuirk},
    simulator::Simulator,
    state::{Callback, Variable},
};
pub use crate::journal::Request;
