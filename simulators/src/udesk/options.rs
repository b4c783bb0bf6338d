//! How a simulator is set up.

use std::{fmt, time::Duration};

use secrecy::SecretString;

use super::{document, events::EventTemplates, quirks::Quirks, seed, state::State};
use crate::clock::{self, Clock};

/// How a [`Simulator`](super::Simulator) is set up.
pub struct Options {
    /// The application ID.
    pub app_id: String,
    /// The account, `Sid`.
    pub sid: String,
    /// The secret that `Sign` covers; never sent.
    pub auth_token: SecretString,
    /// The unit of `Timestamp` (C1).
    pub timestamp_unit: TimestampUnit,
    /// Whether a new queue gets the ID in the request (C21).
    pub queue_ids: QueueIds,
    /// Contradictions of the document to follow.
    pub quirks: Quirks,
    /// The application at the start and after a reset.
    pub tenant: Tenant,
    /// The payloads of events.
    pub event_templates: EventTemplates,
    /// The pause before each step of a call that 24 made.
    pub pace: Duration,
    /// The pause between two events of background traffic, which runs while a subscription has a receiver; `None` for
    /// no background traffic.
    pub background_traffic: Option<Duration>,
    /// The vendor's clock, for signatures and for the `Date` of every response.
    pub clock: Clock,
}

/// The unit of `Timestamp`. The document says milliseconds and shows seconds (C1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimestampUnit {
    /// 13 digits.
    #[default]
    Milliseconds,
    /// 10 digits.
    Seconds,
    /// 13 or 10 digits.
    Either,
}

/// What 12 does with the `QueueId` in the request (C21).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueIds {
    /// It becomes the queue's ID.
    #[default]
    Echo,
    /// It is ignored: the center assigns IDs, as in the document's example.
    Assign,
}

/// The application at the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tenant {
    /// A small invented center, shared by all operations.
    #[default]
    Seeded,
    /// The document's examples: an example request gets its example response.
    ///
    /// The examples contradict each other (9415 is created by 04 and bound by 07; the list of 06 lacks both), so each
    /// operation has an application of its own, which no other operation changes.
    Document,
}

// === impl Options ===

impl Options {
    /// The defaults: milliseconds, queue IDs from the request, no quirks, the seeded tenant, the simulator's own
    /// payloads, a pace of 300 ms, no background traffic, the machine's clock.
    #[must_use]
    pub fn new(app_id: impl Into<String>, sid: impl Into<String>, auth_token: SecretString) -> Self {
        Self {
            app_id: app_id.into(),
            sid: sid.into(),
            auth_token,
            timestamp_unit: TimestampUnit::default(),
            queue_ids: QueueIds::default(),
            quirks: Quirks::default(),
            tenant: Tenant::default(),
            event_templates: EventTemplates::default(),
            pace: Duration::from_millis(300),
            background_traffic: None,
            clock: clock::system(),
        }
    }

    pub(super) fn states(&self) -> Vec<State> {
        match self.tenant {
            Tenant::Seeded => vec![seed::state(&self.app_id)],
            Tenant::Document => document::states(&self.app_id),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            app_id,
            sid,
            auth_token: _,
            timestamp_unit,
            queue_ids,
            quirks,
            tenant,
            event_templates: _,
            pace,
            background_traffic,
            clock: _,
        } = self;
        f.debug_struct("Options")
            .field("app_id", app_id)
            .field("sid", sid)
            .field("timestamp_unit", timestamp_unit)
            .field("queue_ids", queue_ids)
            .field("quirks", quirks)
            .field("tenant", tenant)
            .field("pace", pace)
            .field("background_traffic", background_traffic)
            .finish_non_exhaustive()
    }
}
