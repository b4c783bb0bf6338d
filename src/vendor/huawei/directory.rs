//! Who is who: agents have numbers (`workNo`), accounts have names (`userAccount`), and queryAgentInfo tells which belong
//! together (B3.2).
//!
//! The map are remembered for a minute, for reads. What changes an agent reads them anew: an account may have been
//! given to another agent.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Huawei, api_fabric::ApiFabric, operations::QUERY_AGENT_INFO};
use crate::{
    clock::Clock,
    context::Context,
    endpoint,
    error::Result,
    vendor::de::{List, Text},
};

/// How long map are remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// `GET queryAgentInfo`. The passwords in its answer are not read.
#[derive(Serialize)]
struct QueryAgentInfo {}

endpoint!(ApiFabric: QueryAgentInfo, GET "queryAgentInfo", read, QUERY_AGENT_INFO => AgentInfo);

/// Answer of queryAgentInfo.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AgentInfo {
    agents: List<AgentAccount>,
}

/// An agent's number and account; without an account the latter is empty.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AgentAccount {
    work_no: Text,
    account_code: Text,
}

/// Every agent of the tenant.
pub(super) struct AgentAccountMap(Vec<AgentAccount>);

/// The map of one tenant.
#[derive(Debug)]
pub(super) struct Directory {
    clock: Clock,
    remembered: Mutex<Option<(Arc<AgentAccountMap>, Duration)>>,
}

// === impl AgentAccountMap ===

impl AgentAccountMap {
    /// The account of an agent, empty when it has none; `None` when there is no such agent.
    pub(super) fn account(&self, work_no: &str) -> Option<&str> {
        self.0.iter().find(|pair| *pair.work_no == *work_no).map(|pair| &*pair.account_code)
    }

    /// The number of the agent with this account.
    pub(super) fn work_no(&self, account: &str) -> Option<&str> {
        self.0.iter().find(|pair| *pair.account_code == *account).map(|pair| &*pair.work_no)
    }

    /// How many agents have no account.
    pub(super) fn without_account(&self) -> usize {
        self.0.iter().filter(|pair| pair.account_code.is_empty()).count()
    }
}

// === impl Directory ===

impl Directory {
    /// Nothing is remembered.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, remembered: Mutex::default() }
    }

    /// What was read within the last minute.
    pub(super) fn remembered(&self) -> Option<Arc<AgentAccountMap>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.as_ref().filter(|(_, until)| self.clock.steady() < *until).map(|(map, _)| map.clone())
    }

    /// After a change: what was read before it is not true any more.
    pub(super) fn forget(&self) {
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn remember(&self, map: &Arc<AgentAccountMap>) {
        let until = self.clock.steady() + REMEMBERED;
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some((map.clone(), until));
    }
}

impl std::fmt::Debug for AgentAccountMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} agents", self.0.len())
    }
}

/// The map as they are now.
pub(super) async fn read(huawei: &Huawei, cx: &Context) -> Result<Arc<AgentAccountMap>> {
    let map = Arc::new(AgentAccountMap(huawei.api_fabric.call(cx, &QueryAgentInfo {}).await?.agents.0));
    huawei.directory.remember(&map);
    Ok(map)
}
