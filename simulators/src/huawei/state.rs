//! The state of one call center. Nothing here derives `Debug`, because it holds passwords and people's data.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::Value;

use super::{envelope::Refusal, fields::ensure, passwords::PasswordRules};

/// Work numbers of agents (document 000, row 1.5.1).
const WORK_NUMBERS: RangeInclusive<u32> = 101..=59_999;
/// IDs of queues (B5).
const SKILL_IDS: RangeInclusive<u32> = 1..=5_000;

/// One tenant's call center.
pub(super) struct Center {
    pub(super) addresses: Addresses,
    pub(super) agents: Vec<Agent>,
    pub(super) skills: BTreeMap<u32, Skill>,
    pub(super) softphones: Vec<Softphone>,
    pub(super) access_codes: Vec<AccessCode>,
    /// By the user's ID.
    pub(super) settings: BTreeMap<String, CallSettings>,
    /// Whether responses lack what the tables have and the printed examples do not.
    pub(super) as_printed: bool,
    pub(super) numbering: Numbering,
}

/// The numbers assigned last, so that none is assigned twice.
pub(super) struct Numbering {
    work_no: u32,
    skill_id: u32,
    settings_id: u64,
}

/// The addresses where agents sign in and softphones register.
pub(super) struct Addresses {
    pub(super) service_ip: &'static str,
    pub(super) service_port: u16,
    pub(super) sip_ip: &'static str,
    pub(super) sip_port: u16,
    /// Registration servers; the second is the second node of a pool.
    pub(super) registrars: [Registrar; 2],
}

/// A registration server of document 001.
pub(super) struct Registrar {
    pub(super) ip: &'static str,
    pub(super) port: u16,
}

/// An agent: a work number, a business account, or both.
pub(super) struct Agent {
    /// `None` for an account whose printed sample has no work number.
    pub(super) work_no: Option<u32>,
    /// The sign-in password.
    pub(super) password: String,
    pub(super) sip: Option<Sip>,
    /// The `agentType`.
    pub(super) kind: u32,
    pub(super) cc_role_id: u32,
    pub(super) account: Option<Account>,
    /// The queues the agent is in.
    pub(super) skills: BTreeMap<u32, Weights>,
    /// The phone of an agent who is signed in offline.
    pub(super) offline_phone: Option<String>,
}

/// The softphone of an agent.
#[derive(Clone)]
pub(super) struct Sip {
    pub(super) account: String,
    pub(super) password: String,
}

/// A business account: `userAccount`, `userName` and the rest.
pub(super) struct Account {
    pub(super) login: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) phone: String,
    pub(super) password_rules: PasswordRules,
}

/// An agent's weights in a queue, both at least 1.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    pub(super) agent: u32,
    pub(super) skill: u32,
}

/// A queue.
pub(super) struct Skill {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) media_type_id: u32,
    pub(super) max_wait_time: u32,
    pub(super) max_wait_num: u32,
    pub(super) max_agent_wrapup_time: u32,
    /// The `skillParam` as it was sent, checked.
    pub(super) param: Value,
}

/// A softphone number allocated to the tenant (document 001).
pub(super) struct Softphone {
    pub(super) number: String,
    pub(super) password: String,
    pub(super) id: u64,
    pub(super) suspended: bool,
    pub(super) remark: &'static str,
}

/// A hot-line number (B3.17).
#[derive(Clone)]
pub(super) struct AccessCode {
    pub(super) id: &'static str,
    pub(super) code: &'static str,
    pub(super) media_type_id: u32,
    pub(super) n400_number: Option<&'static str>,
    pub(super) description: Option<&'static str>,
    /// 1 in, 2 out, 3 both.
    pub(super) attribute: u32,
}

/// A user's call settings (document 002).
#[derive(Clone, Default)]
pub(super) struct CallSettings {
    pub(super) id: String,
    pub(super) call_type: Option<String>,
    pub(super) caller_present: Option<Vec<String>>,
    pub(super) call_number: Option<Vec<String>>,
    pub(super) call_number_default: Option<String>,
    pub(super) caller_present_default: Option<String>,
    pub(super) agent_name: Option<String>,
}

// === impl Center ===

impl Center {
    /// A center with addresses and nothing else.
    pub(super) fn empty() -> Center {
        Center {
            addresses: Addresses {
                service_ip: "agents.example.com",
                service_port: 8043,
                sip_ip: "203.0.113.10",
                sip_port: 5060,
                registrars: [
                    Registrar { ip: "203.0.113.20", port: 5061 },
                    Registrar { ip: "203.0.113.21", port: 5061 },
                ],
            },
            agents: Vec::new(),
            skills: BTreeMap::new(),
            softphones: Vec::new(),
            access_codes: Vec::new(),
            settings: BTreeMap::new(),
            as_printed: false,
            numbering: Numbering { work_no: 1_000, skill_id: 0, settings_id: 1_507_145_259_662_215_000 },
        }
    }

    /// The agents that have a work number, with it.
    pub(super) fn numbered_agents(&self) -> impl Iterator<Item = (u32, &Agent)> {
        self.agents.iter().filter_map(|agent| Some((agent.work_no?, agent)))
    }

    /// The agents that have a business account, with it.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&Account, &Agent)> {
        self.agents.iter().filter_map(|agent| Some((agent.account.as_ref()?, agent)))
    }

    /// The index in `agents` of a business account.
    pub(super) fn position_of_account(&self, login: &str) -> Option<usize> {
        self.agents.iter().position(|agent| agent.account.as_ref().is_some_and(|account| account.login == login))
    }

    /// The agent with a work number.
    pub(super) fn agent_mut(&mut self, work_no: u32) -> Result<&mut Agent, Refusal> {
        self.agents
            .iter_mut()
            .find(|agent| agent.work_no == Some(work_no))
            .ok_or(Refusal::because("The agent does not exist"))
    }

    /// Assigns a work number to a new agent.
    pub(super) fn take_work_no(&mut self) -> Result<u32, Refusal> {
        let numbers = self.numbered_agents().map(|(work_no, _)| work_no);
        let next = numbers.fold(self.numbering.work_no, u32::max) + 1;
        ensure(WORK_NUMBERS.contains(&next), "No agent can be added")?;
        self.numbering.work_no = next;
        Ok(next)
    }

    /// The first registered softphone that no agent has.
    pub(super) fn free_softphone(&self) -> Option<Sip> {
        let used =
            |number: &str| self.agents.iter().filter_map(|agent| agent.sip.as_ref()).any(|sip| sip.account == number);
        self.softphones
            .iter()
            .find(|phone| !phone.suspended && !used(&phone.number))
            .map(|phone| Sip { account: phone.number.clone(), password: phone.password.clone() })
    }

    /// The queue with an ID.
    pub(super) fn skill(&self, id: u32) -> Result<&Skill, Refusal> {
        self.skills.get(&id).ok_or(Refusal::because("The skill queue does not exist"))
    }

    /// Assigns an ID to a new queue.
    pub(super) fn take_skill_id(&mut self) -> Result<u32, Refusal> {
        let next = self.skills.keys().copied().fold(self.numbering.skill_id, u32::max) + 1;
        ensure(SKILL_IDS.contains(&next), "No skill queue can be added")?;
        self.numbering.skill_id = next;
        Ok(next)
    }

    /// Assigns an ID to new call settings. Like the documents' IDs it has 19 digits.
    pub(super) fn take_settings_id(&mut self) -> String {
        self.numbering.settings_id += 1;
        self.numbering.settings_id.to_string()
    }
}
