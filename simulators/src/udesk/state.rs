//! What the simulated application holds.

use std::{collections::VecDeque, fmt};

use super::{
    envelope::{Failure, NOT_FOUND},
    events::Event,
};

/// How many callbacks are remembered one by one; all are counted.
const CALLBACKS_KEPT: usize = 10_000;

/// One application.
#[derive(Default)]
pub(super) struct State {
    pub app_id: String,
    /// The start of the application id, as it stands behind ids in 25 and 26 (C18).
    pub short_app_id: String,
    /// The ten digits before an extension in its account's number: 9 and nine more.
    pub company_prefix: String,
    pub numbers: Vec<String>,
    /// The application's default caller ID; `""` for none. 01 shows one that is not in the list (C28).
    pub default_number: String,
    pub agents: Vec<Agent>,
    pub extensions: Vec<Extension>,
    pub queues: Vec<Queue>,
    pub subscriptions: Vec<Subscription>,
    /// The newest callbacks, oldest first.
    pub callbacks: VecDeque<Callback>,
    pub callbacks_started: u64,
    pub next_subid: u64,
    pub next_queue_id: u64,
    /// What has happened and is not told yet.
    pub happened: Vec<Event>,
    pub printed: Printed,
}

/// Where the document's example shows what a running center would make up, or less than the center holds.
#[derive(Default)]
pub(super) struct Printed {
    /// The application id that 25 and 26 show.
    pub app_id: Option<&'static str>,
    pub passwords: VecDeque<&'static str>,
    pub queue_ids: VecDeque<&'static str>,
    pub call_ids: VecDeque<&'static str>,
    /// The id and the name that 18 answers.
    pub subscription: Option<(u64, &'static str)>,
    /// How many rows of 06 are shown.
    pub rows: Option<usize>,
    /// Whether 06 leaves `ExtenInfos` null.
    pub without_exten_infos: bool,
}

pub(super) struct Agent {
    pub id: String,
    pub work_id: String,
    pub name: String,
    pub mobile: String,
    pub email: String,
    pub role: String,
    pub enabled: bool,
    pub wrap_up_time: i64,
    pub out_wrap_up_time: i64,
    /// Bound extensions, in the order of binding.
    pub extensions: Vec<String>,
    /// Queues, in the order of joining.
    pub queues: Vec<String>,
    pub default_number: String,
    pub status: Status,
}

/// An agent's `State`. The document names 0, 1 and 4; the other is the simulator's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// 0, a state that 22 asks for.
    Idle,
    /// 1, a state that 22 asks for.
    Waiting,
    /// 3, in a call that 24 began.
    Talking,
    /// 4, from the example of 25.
    Offline,
}

pub(super) struct Extension {
    /// Four digits.
    pub number: String,
    pub password: String,
    /// The SIP account: company prefix and number.
    pub account: String,
    pub signal_type: SignalType,
}

/// An extension's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalType {
    /// 0, a SIP telephone.
    Sip,
    /// 1, a telephone in the browser.
    WebRtc,
}

pub(super) struct Queue {
    pub id: String,
    pub name: String,
    /// 0 by the order of today's login, 1 by the fewest calls answered today, 2 by the longest idle time.
    pub strategy: i64,
    pub timeout: i64,
    pub wait_music: String,
    /// Not one of the "regular queues" of 08: its agents do not show it among theirs (C55, C57).
    pub built_in: bool,
}

pub(super) struct Subscription {
    pub subid: u64,
    /// What 19 answers beside the name. The document's example is not the id asked for (C45).
    pub event_id: u64,
    pub name: String,
    pub callback: String,
    pub events: Vec<String>,
    pub enabled: bool,
}

/// One customer rung by 24.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// The `results` of the answer.
    pub call_id: String,
    /// `caller`: the party that is rung (C52).
    pub customer: String,
    /// `called`: the relay number whose routing the call follows once answered.
    pub entry: String,
    /// `called_display`: the number shown to the customer.
    pub display: String,
    /// `variables`, in the order sent.
    pub variables: Vec<Variable>,
}

/// One variable that a callback carries into the IVR.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// `key`.
    pub key: String,
    /// `type`; the document shows `string`.
    pub kind: String,
    /// `value`.
    pub value: String,
}

impl State {
    pub fn agent(&self, id: &str) -> Result<&Agent, Failure> {
        self.agents.iter().find(|agent| agent.id == id).ok_or(NO_AGENT)
    }

    pub fn agent_mut(&mut self, id: &str) -> Result<&mut Agent, Failure> {
        self.agents.iter_mut().find(|agent| agent.id == id).ok_or(NO_AGENT)
    }

    pub fn queue(&self, id: &str) -> Result<&Queue, Failure> {
        self.queues.iter().find(|queue| queue.id == id).ok_or(NOT_FOUND.because("queue"))
    }

    pub fn extension(&self, number: &str) -> Result<&Extension, Failure> {
        self.extensions.iter().find(|extension| extension.number == number).ok_or(NOT_FOUND.because("extension"))
    }

    /// The agent that `extension` is bound to.
    pub fn holder(&self, extension: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.extensions.iter().any(|bound| bound == extension))
    }

    /// Makes an extension with a password of the system's own (10: "cannot be specified at creation").
    pub fn add_extension(&mut self, number: &str, signal_type: SignalType) -> &Extension {
        let password = match self.printed.passwords.pop_front() {
            Some(printed) => printed.to_owned(),
            None => format!("{:016x}", fastrand::u64(..)),
        };
        let account = format!("{}{number}", self.company_prefix);
        self.extensions.push(Extension { number: number.to_owned(), password, account, signal_type });
        &self.extensions[self.extensions.len() - 1]
    }

    pub fn remember(&mut self, callback: Callback) {
        self.callbacks_started += 1;
        if self.callbacks.len() == CALLBACKS_KEPT {
            self.callbacks.pop_front();
        }
        self.callbacks.push_back(callback);
    }
}

const NO_AGENT: Failure = NOT_FOUND.because("agent");

impl Status {
    pub const fn number(self) -> i64 {
        match self {
            Self::Idle => 0,
            Self::Waiting => 1,
            Self::Talking => 3,
            Self::Offline => 4,
        }
    }

    /// `ExtState`, the "default extension status": 0 in every example of the document. That a telephone in use shows
    /// 1 is the simulator's own.
    pub const fn extension(self) -> i64 {
        match self {
            Self::Idle | Self::Waiting | Self::Offline => 0,
            Self::Talking => 1,
        }
    }

    pub const fn text(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Talking => "talking",
            Self::Offline => "offline",
        }
    }
}

impl SignalType {
    pub const fn number(self) -> i64 {
        match self {
            Self::Sip => 0,
            Self::WebRtc => 1,
        }
    }

    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Sip),
            1 => Some(Self::WebRtc),
            _ => None,
        }
    }
}

// Telephone numbers and variables are people's data: only the id is shown.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").finish_non_exhaustive()
    }
}
