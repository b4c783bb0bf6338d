//! The directory of agents: queryAgentInfo maps their numbers (`workNo`) to the names of their accounts (`userAccount`)
//! (B3.2).
//!
//! Reads use a map that is cached for a minute. A change reads the map again, because an account may belong to another
//! agent by now.

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

/// How long a map is cached.
const REMEMBERED: Duration = Duration::from_secs(60);

/// `GET queryAgentInfo`. The passwords in its response are not read.
#[derive(Serialize)]
struct QueryAgentInfo {}

endpoint!(ApiFabric: QueryAgentInfo, GET "queryAgentInfo", read, QUERY_AGENT_INFO => AgentInfo);

/// Response of queryAgentInfo.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AgentInfo {
    agents: List<AgentAccount>,
}

/// An agent's number and account. The account is empty when the agent has none.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AgentAccount {
    work_no: Text,
    account_code: Text,
}

/// Every agent of the tenant.
pub(super) struct AgentAccountMap(Vec<AgentAccount>);

/// The cached map of one tenant.
#[derive(Debug)]
pub(super) struct Directory {
    clock: Clock,
    remembered: Mutex<Option<(Arc<AgentAccountMap>, Duration)>>,
}

// === impl AgentAccountMap ===

impl AgentAccountMap {
    /// The account of an agent, empty when the agent has none; `None` for an unknown agent.
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
    /// An empty cache.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, remembered: Mutex::default() }
    }

    /// The map, if it was read within the last minute.
    pub(super) fn remembered(&self) -> Option<Arc<AgentAccountMap>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.as_ref().filter(|(_, until)| self.clock.steady() < *until).map(|(map, _)| map.clone())
    }

    /// Discards the map after a change.
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

/// Reads the map and caches it.
pub(super) async fn read(huawei: &Huawei, cx: &Context) -> Result<Arc<AgentAccountMap>> {
    let map = Arc::new(AgentAccountMap(huawei.api_fabric.call(cx, &QueryAgentInfo {}).await?.agents.0));
    huawei.directory.remember(&map);
    Ok(map)
}
