//! The directory of agents: queryAgentInfo maps their numbers (`workNo`) to the names of their accounts (`userAccount`)
//! (B3.2).
//!
//! Reads use a map that is cached for a minute. A change reads the map again, because an account may belong to another
//! agent by now.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Huawei, api_fabric::ApiFabric, operations::QUERY_AGENT_INFO};
use crate::{
    clock::Clock,
    context::Context,
    endpoint,
    error::Result,
    http::Mismatch,
    lists::Weigh,
    vendor::de::{Anything, RawList, Text, item},
};

/// How long a map is cached.
const REMEMBERED: Duration = Duration::from_secs(60);

/// `GET queryAgentInfo`. The passwords in its response are not read.
#[derive(Serialize)]
struct QueryAgentInfo {}

endpoint!(ApiFabric: QueryAgentInfo, GET "queryAgentInfo", list, QUERY_AGENT_INFO => Anything);

/// Response of queryAgentInfo.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AgentInfo<'a> {
    #[serde(borrow)]
    agents: RawList<'a>,
}

/// An agent's number and account. The account is empty when the agent has none.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AgentAccount {
    work_no: Text,
    account_code: Text,
}

/// Every agent of the tenant.
pub(super) struct AgentAccountMap {
    /// Accounts by number.
    accounts: HashMap<String, String>,
    /// Numbers by account.
    numbers: HashMap<String, String>,
}

/// The cached map of one tenant.
#[derive(Debug)]
pub(super) struct Directory {
    clock: Clock,
    remembered: Mutex<Option<(Arc<AgentAccountMap>, Duration)>>,
}

// === impl AgentAccountMap ===

impl AgentAccountMap {
    /// Where a number or an account occurs twice, the first counts.
    fn new(RawList(agents): RawList<'_>) -> Result<Self, Mismatch> {
        let (mut accounts, mut numbers) = (HashMap::new(), HashMap::new());
        for agent in agents {
            let AgentAccount { work_no: Text(work_no), account_code: Text(account) } = item(agent.get().as_bytes())?;
            numbers.entry(account.clone()).or_insert_with(|| work_no.clone());
            accounts.entry(work_no).or_insert(account);
        }
        Ok(Self { accounts, numbers })
    }

    /// The account of an agent, empty when the agent has none; `None` for an unknown agent.
    pub(super) fn account(&self, work_no: &str) -> Option<&str> {
        self.accounts.get(work_no).map(String::as_str)
    }

    /// The number of the agent with this account.
    pub(super) fn work_no(&self, account: &str) -> Option<&str> {
        self.numbers.get(account).map(String::as_str)
    }

    /// How many agents have no account.
    pub(super) fn without_account(&self) -> usize {
        self.accounts.values().filter(|account| account.is_empty()).count()
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
        write!(f, "{} agents", self.accounts.len())
    }
}

impl Weigh for AgentAccountMap {
    fn weight(&self) -> usize {
        let pairs = self.accounts.iter().chain(&self.numbers);
        pairs.map(|(key, value)| 2 * size_of::<String>() + key.len() + value.len()).sum()
    }
}

/// Reads the map and caches it.
pub(super) async fn read(huawei: &Huawei, cx: &Context) -> Result<Arc<AgentAccountMap>> {
    let before = huawei.api_fabric.changes();
    let map = Arc::new(fetch(huawei, cx).await?);
    remember(huawei, &map, before);
    Ok(map)
}

/// The map as it was at most a second ago, which it caches.
pub(super) async fn recent(huawei: &Huawei, cx: &Context) -> Result<Arc<AgentAccountMap>> {
    let changes = || huawei.api_fabric.changes();
    let before = changes();
    let map = huawei.lists.recent(cx, "queryAgentInfo", [0; 2], changes, fetch(huawei, cx)).await?;
    remember(huawei, &map, before);
    Ok(map)
}

/// Caches the map unless the tenant was changed since `before`.
fn remember(huawei: &Huawei, map: &Arc<AgentAccountMap>, before: u64) {
    if huawei.api_fabric.changes() == before {
        huawei.directory.remember(map);
    }
}

async fn fetch(huawei: &Huawei, cx: &Context) -> Result<AgentAccountMap> {
    let read = |payload: Bytes| AgentAccountMap::new(serde_json::from_slice::<AgentInfo<'_>>(&payload)?.agents);
    huawei.api_fabric.call_with(cx, &QueryAgentInfo {}, read).await
}
