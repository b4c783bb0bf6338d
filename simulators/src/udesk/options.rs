//! How a simulator is built.

use std::{fmt, time::Duration};

use secrecy::SecretString;

use super::{document, events::EventTemplates, quirks::Quirks, seed, state::State};
use crate::clock::{self, Clock};

/// Everything a simulator needs to be built.
pub struct Options {
    /// The one application id it knows.
    pub app_id: String,
    /// The account, `Sid`.
    pub sid: String,
    /// What `Sign` is made with; never sent.
    pub auth_token: SecretString,
    /// How `Timestamp` is written (C1).
    pub timestamp_unit: TimestampUnit,
    /// Whether a new queue gets the id asked for (C21).
    pub queue_ids: QueueIds,
    /// The document's contradictions to play.
    pub quirks: Quirks,
    /// What the application holds at the start.
    pub tenant: Tenant,
    /// What events say.
    pub event_templates: EventTemplates,
    /// The pause before each step of a call that 24 began.
    pub pace: Duration,
    /// The pause between two events of a center that lives by itself, as long as somebody listens; `None` for one that does
    /// not.
    pub life: Option<Duration>,
    /// The vendor's clock: signatures are judged by it, and every answer's `Date` tells it.
    pub clock: Clock,
}

/// The unit of `Timestamp`: the document says milliseconds and shows seconds (C1).
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

/// What 12 does with the `QueueId` asked for (C21).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueIds {
    /// It becomes the queue's id.
    #[default]
    Echo,
    /// It is ignored: the center numbers queues itself, as in the document's example.
    Assign,
}

/// What the simulated application holds at the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tenant {
    /// A small invented center, shared by all operations.
    #[default]
    Seeded,
    /// The document's examples: every printed request has the printed answer.
    ///
    /// The examples contradict each other (9415 is created by 04 and bound by 07; the list of 06 lacks both), so each
    /// operation sees an application of its own and none sees what another did.
    Document,
}

// === impl Options ===

impl Options {
    /// The defaults: milliseconds, ids as asked for, no quirks, the seeded tenant, the simulator's own events at a pace of
    /// 300 ms, no life, this machine's clock.
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
            life: None,
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
            life,
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
            .field("life", life)
            .finish_non_exhaustive()
    }
}
