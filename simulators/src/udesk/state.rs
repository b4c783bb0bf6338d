//! The state of a simulated application.

use std::{collections::VecDeque, fmt};

use super::{
    codes::{Failure, NOT_FOUND},
    event::Event,
};

/// Most callbacks kept; all are counted.
const MAX_CALLBACKS: usize = 10_000;

const NO_AGENT: Failure = NOT_FOUND.because("agent");

/// One application.
#[derive(Default)]
pub(super) struct State {
    pub(super) app_id: String,
    /// The start of the application ID, which 25 and 26 append to other IDs (C18).
    pub(super) short_app_id: String,
    /// The ten digits before the extension in a SIP account: 9 and nine more.
    pub(super) company_prefix: String,
    pub(super) numbers: Vec<String>,
    /// The application's default caller ID, `""` for none. The example of 01 shows one that is not in the list (C28).
    pub(super) default_number: String,
    pub(super) agents: Vec<Agent>,
    pub(super) extensions: Vec<Extension>,
    pub(super) queues: Vec<Queue>,
    pub(super) subscriptions: Vec<Subscription>,
    /// The newest callbacks, oldest first.
    pub(super) callbacks: VecDeque<Callback>,
    pub(super) callbacks_started: u64,
    pub(super) next_subid: u64,
    pub(super) next_queue_id: u64,
    /// Events that are not dispatched yet.
    pub(super) pending_events: Vec<Event>,
    pub(super) printed: Printed,
}

/// What the document's examples show where a center generates a value, or shows more.
#[derive(Default)]
pub(super) struct Printed {
    /// The application ID that 25 and 26 show.
    pub(super) app_id: Option<&'static str>,
    pub(super) passwords: VecDeque<&'static str>,
    pub(super) queue_ids: VecDeque<&'static str>,
    pub(super) call_ids: VecDeque<&'static str>,
    /// The ID and the name in the response of 18.
    pub(super) subscription: Option<(u64, &'static str)>,
    /// How many rows 06 shows.
    pub(super) rows: Option<usize>,
    /// Whether 06 leaves `ExtenInfos` null.
    pub(super) without_exten_infos: bool,
}

pub(super) struct Agent {
    pub(super) id: String,
    pub(super) work_id: String,
    pub(super) name: String,
    pub(super) mobile: String,
    pub(super) email: String,
    pub(super) role: String,
    pub(super) enabled: bool,
    pub(super) wrap_up_time: i64,
    pub(super) out_wrap_up_time: i64,
    /// Bound extensions, in the order of binding.
    pub(super) extensions: Vec<String>,
    /// Queues, in the order of joining.
    pub(super) queues: Vec<String>,
    pub(super) default_number: String,
    pub(super) status: Status,
}

/// An agent's `State`. The document names 0, 1 and 4; 3 is the simulator's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// 0, a state of 22.
    Idle,
    /// 1, a state of 22.
    Waiting,
    /// 3, in a call that 24 made.
    Talking,
    /// 4, from the example of 25.
    Offline,
}

pub(super) struct Extension {
    /// Four digits.
    pub(super) number: String,
    pub(super) password: String,
    /// The SIP account: company prefix and number.
    pub(super) account: String,
    pub(super) signal_type: SignalType,
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
    pub(super) id: String,
    pub(super) name: String,
    /// 0 by the order of today's sign-ins, 1 by the fewest calls answered today, 2 by the longest idle time.
    pub(super) strategy: i64,
    pub(super) timeout: i64,
    pub(super) wait_music: String,
    /// Whether it is none of the "regular queues" of 08: its agents do not show it among their queues (C55, C57).
    pub(super) built_in: bool,
}

pub(super) struct Subscription {
    pub(super) subid: u64,
    /// The ID in the response of 19. In the document's example it is not the ID in the path (C45).
    pub(super) event_id: u64,
    pub(super) name: String,
    pub(super) callback: String,
    pub(super) events: Vec<String>,
    pub(super) enabled: bool,
}

/// One customer that 24 called.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// The `results` of the response.
    pub call_id: String,
    /// `caller`: the party that is called (C52).
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

// === impl State ===

impl State {
    pub(super) fn agent(&self, id: &str) -> Result<&Agent, Failure> {
        self.agents.iter().find(|agent| agent.id == id).ok_or(NO_AGENT)
    }

    pub(super) fn agent_mut(&mut self, id: &str) -> Result<&mut Agent, Failure> {
        self.agents.iter_mut().find(|agent| agent.id == id).ok_or(NO_AGENT)
    }

    pub(super) fn queue(&self, id: &str) -> Result<&Queue, Failure> {
        self.queues.iter().find(|queue| queue.id == id).ok_or(NOT_FOUND.because("queue"))
    }

    pub(super) fn extension(&self, number: &str) -> Result<&Extension, Failure> {
        self.extensions.iter().find(|extension| extension.number == number).ok_or(NOT_FOUND.because("extension"))
    }

    /// The agent that `extension` is bound to.
    pub(super) fn holder(&self, extension: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.extensions.iter().any(|bound| bound == extension))
    }

    /// Adds an extension with a generated password (10: "cannot be specified at creation").
    pub(super) fn add_extension(&mut self, number: &str, signal_type: SignalType) -> &Extension {
        let password = match self.printed.passwords.pop_front() {
            Some(printed) => printed.to_owned(),
            None => format!("{:016x}", fastrand::u64(..)),
        };
        let account = format!("{}{number}", self.company_prefix);
        self.extensions.push(Extension { number: number.to_owned(), password, account, signal_type });
        &self.extensions[self.extensions.len() - 1]
    }

    pub(super) fn record_callback(&mut self, callback: Callback) {
        self.callbacks_started += 1;
        if self.callbacks.len() == MAX_CALLBACKS {
            self.callbacks.pop_front();
        }
        self.callbacks.push_back(callback);
    }
}

// === impl Status ===

impl Status {
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Idle => 0,
            Self::Waiting => 1,
            Self::Talking => 3,
            Self::Offline => 4,
        }
    }

    /// `ExtState`, the "default extension status": 0 in every example of the document. 1 for an extension in use is the
    /// simulator's own.
    pub(super) const fn extension(self) -> i64 {
        match self {
            Self::Idle | Self::Waiting | Self::Offline => 0,
            Self::Talking => 1,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Talking => "talking",
            Self::Offline => "offline",
        }
    }
}

// === impl SignalType ===

impl SignalType {
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Sip => 0,
            Self::WebRtc => 1,
        }
    }

    pub(super) const fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Sip),
            1 => Some(Self::WebRtc),
            _ => None,
        }
    }
}

// === impl Callback ===

// Telephone numbers and variables are people's data.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}

// === impl Variable ===

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").finish_non_exhaustive()
    }
}
