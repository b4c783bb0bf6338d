//! Memberships of queues: addSkillsToAgent, releaseAgentBySkillId, queryAgentInfoBySkillId (B3.9 to B3.11).
//!
//! One vendor call changes one queue, so a change of several queues makes several calls, in the order of the request.
//! Existing memberships are not sent again, so a retry completes the rest, and weights that were set in the vendor's
//! console survive.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{
    Huawei, accounts,
    accounts::{Account, without_account},
    api_fabric::ApiFabric,
    directory,
    formats::Formats as _,
    operations::{ADD_SKILLS, QUERY_MEMBERS, RELEASE_AGENTS},
    paging::NUMBERED,
    partial, queues, request_wrapper,
    request_wrapper::{Wrap, Wrapped},
};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, Result},
    name::{AgentName, QueueName, ResourceName as _},
    vendor::{
        de::{Anything, Integer, List, Text},
        slices::{Batch, Incomplete, Item, Slice},
    },
};

/// At most this many accounts per addSkillsToAgent (B3.9).
const LARGEST_BATCH: usize = 50;
/// The initial weights; the contract has none.
const WEIGHT: u32 = 1;

/// `POST agentAccount/addSkillsToAgent`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Add<'a> {
    user_accounts: &'a [String],
    skill_id: u32,
    agent_weight: u32,
    skill_weight: u32,
}

/// `POST agentAccount/releaseAgentBySkillId`. An empty list means all accounts: see `make`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Release<'a> {
    skill_id: u32,
    user_accounts: &'a [String],
}

/// `POST agentAccount/queryAgentInfoBySkillId`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryMembers {
    skill_id: u32,
    page_size: usize,
    page_num: usize,
}

impl Wrap for QueryMembers {
    const MEMBER: &'static str = "requestParam";
}

endpoint!(ApiFabric: Add<'_>, POST "agentAccount/addSkillsToAgent", write, ADD_SKILLS.of_caller() => Anything);
endpoint!(ApiFabric: Release<'_>, POST "agentAccount/releaseAgentBySkillId", write, RELEASE_AGENTS.of_caller() => Anything);
endpoint!(
    ApiFabric: Wrapped<QueryMembers>, POST "agentAccount/queryAgentInfoBySkillId", ask, QUERY_MEMBERS.of_caller() => MembersPage
);

/// The agents of a queue.
pub(super) struct Members {
    /// Their accounts.
    pub(super) accounts: HashSet<String>,
    /// Why accounts are missing.
    pub(super) incomplete: Option<Incomplete>,
}

/// Response of queryAgentInfoBySkillId.
#[derive(Default, Deserialize)]
#[serde(default)]
struct MembersPage {
    data: List<Member>,
    count: Integer,
}

/// An agent of a queue: `userAccount` in the table, `accountCode` in the example (B3.11).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Member {
    user_account: Text,
    account_code: Text,
}

/// One vendor call.
struct Change {
    direction: Direction,
    queue: QueueName,
    skill_id: u32,
    /// Never empty.
    accounts: Vec<String>,
    /// The request's IDs for this call: agents, or the queue.
    ids: Vec<String>,
}

#[derive(Clone, Copy)]
enum Direction {
    Add,
    Release,
}

// === impl Member ===

impl Member {
    fn account(&self) -> &str {
        if self.user_account.is_empty() { &self.account_code } else { &self.user_account }
    }

    fn into_account(self) -> String {
        if self.user_account.is_empty() { self.account_code.into_string() } else { self.user_account.into_string() }
    }
}

impl Item for Member {
    fn key(&self) -> String {
        self.account().to_owned()
    }
}

// === impl Change ===

impl Change {
    /// One agent and one queue.
    fn of_queue(direction: Direction, account: &Account, queue: &QueueName) -> Result<Self> {
        Ok(Self {
            direction,
            queue: queue.clone(),
            skill_id: skill_id(queue)?,
            accounts: vec![account.user_account.0.clone()],
            ids: vec![queue.id().to_owned()],
        })
    }

    /// One queue and at least one agent, each with its account.
    fn of_agents(queue: &QueueName, agents: &[(String, String)]) -> Result<Self> {
        let (ids, accounts) = agents.iter().cloned().unzip();
        Ok(Self { direction: Direction::Add, queue: queue.clone(), skill_id: skill_id(queue)?, accounts, ids })
    }
}

/// Adds an agent to queues.
pub(super) async fn add_queues(huawei: &Huawei, cx: &Context, agent: &AgentName, queues: &[QueueName]) -> Result<()> {
    check_membership(cx, agent, queues)?;
    let _guard = huawei.locks.lock(agent.to_string(), cx.deadline()).await?;
    let account = accounts::to_change(huawei, cx, agent).await?;
    let missing = queues.iter().filter(|queue| !account.is_in(queue.id()));
    let changes = missing.map(|queue| Change::of_queue(Direction::Add, &account, queue));
    apply(huawei, cx, &changes.collect::<Result<Vec<_>>>()?).await
}

/// Removes an agent from queues.
pub(super) async fn remove_queues(
    huawei: &Huawei,
    cx: &Context,
    agent: &AgentName,
    queues: &[QueueName],
) -> Result<()> {
    check_membership(cx, agent, queues)?;
    let _guard = huawei.locks.lock(agent.to_string(), cx.deadline()).await?;
    let account = accounts::to_change(huawei, cx, agent).await?;
    let changes = queues.iter().map(|queue| Change::of_queue(Direction::Release, &account, queue));
    apply(huawei, cx, &changes.collect::<Result<Vec<_>>>()?).await
}

/// Replaces the queues of an agent. It is added first and released then, so that it is always in a queue.
pub(super) async fn set_queues(huawei: &Huawei, cx: &Context, agent: &AgentName, queues: &[QueueName]) -> Result<()> {
    check_membership(cx, agent, queues)?;
    let _guard = huawei.locks.lock(agent.to_string(), cx.deadline()).await?;
    let account = accounts::to_change(huawei, cx, agent).await?;
    let missing = queues.iter().filter(|queue| !account.is_in(queue.id())).cloned();
    let surplus = account.skills.0.iter().filter(|skill| queues.iter().all(|queue| *queue.id() != *skill.skill_id));
    // A membership without a queue's number cannot be released.
    let surplus = surplus.filter(|skill| QueueName::identifies(&skill.skill_id));
    let surplus = surplus.map(|skill| QueueName::new(agent.center(), skill.skill_id.0.as_str()));
    let changes = missing
        .map(|queue| Change::of_queue(Direction::Add, &account, &queue))
        .chain(surplus.map(|queue| Change::of_queue(Direction::Release, &account, &queue)));
    apply(huawei, cx, &changes.collect::<Result<Vec<_>>>()?).await
}

/// Adds agents to a queue.
pub(super) async fn add_agents(huawei: &Huawei, cx: &Context, queue: &QueueName, agents: &[AgentName]) -> Result<()> {
    let mut check = Check::of(cx);
    check.queue_id("queue", queue.id());
    for (index, agent) in agents.iter().enumerate() {
        check.agent_id(format!("agents[{index}]"), agent.id());
    }
    check.done()?;
    let map = directory::read(huawei, cx).await?;
    let members = members(huawei, cx, queue).await?.accounts;
    let mut missing = Vec::with_capacity(agents.len());
    for agent in agents {
        match map.account(agent.id()) {
            None => return Err(Error::not_found(AgentName::KIND, agent)),
            Some("") => return Err(without_account(agent)),
            Some(account) if members.contains(account) => {}
            Some(account) => missing.push((agent.id().to_owned(), account.to_owned())),
        }
    }
    let changes = missing.chunks(LARGEST_BATCH).map(|agents| Change::of_agents(queue, agents));
    apply(huawei, cx, &changes.collect::<Result<Vec<_>>>()?).await
}

/// Accounts of a queue's agents. Huawei omits agents without an account.
pub(super) async fn members(huawei: &Huawei, cx: &Context, queue: &QueueName) -> Result<Members> {
    let skill_id = skill_id(queue)?;
    let members = Slice::all(NUMBERED, async |page_num, page_size| {
        let response = request_wrapper::ask(huawei, cx, QueryMembers { skill_id, page_size, page_num }).await?;
        Ok(Batch { items: response.data, total: response.count })
    });
    match members.await {
        Ok(Slice { items, incomplete, .. }) => {
            let accounts = items.into_iter().map(Member::into_account).collect();
            Ok(Members { accounts, incomplete })
        }
        Err(error) => Err(queues::explain(huawei, cx, error, queue).await),
    }
}

/// Makes the calls in order. The error of a failed call names what was applied before.
async fn apply(huawei: &Huawei, cx: &Context, changes: &[Change]) -> Result<()> {
    for (index, change) in changes.iter().enumerate() {
        if let Err(error) = make(huawei, cx, change).await {
            let error = queues::explain(huawei, cx, error, &change.queue).await;
            let applied = changes[..index].iter().map(|change| change.ids.len()).sum();
            let rest = changes[index + 1..].iter().flat_map(|change| &change.ids);
            return Err(partial::failure(error, applied, &change.ids, rest));
        }
    }
    Ok(())
}

async fn make(huawei: &Huawei, cx: &Context, change: &Change) -> Result<()> {
    let (user_accounts, skill_id) = (&change.accounts[..], change.skill_id);
    if user_accounts.is_empty() {
        return Err(Error::internal("a change of a queue names no account and would empty the queue"));
    }
    let Anything = match change.direction {
        Direction::Add => {
            let add = Add { user_accounts, skill_id, agent_weight: WEIGHT, skill_weight: WEIGHT };
            huawei.api_fabric.call(cx, &add).await?
        }
        Direction::Release => huawei.api_fabric.call(cx, &Release { skill_id, user_accounts }).await?,
    };
    Ok(())
}

fn check_membership(cx: &Context, agent: &AgentName, queues: &[QueueName]) -> Result<()> {
    let mut check = Check::of(cx);
    check.agent_id("agent", agent.id());
    for (index, queue) in queues.iter().enumerate() {
        check.queue_id(format!("queues[{index}]"), queue.id());
    }
    check.done()
}

/// A queue's number. A queue without one does not exist at the vendor.
fn skill_id(queue: &QueueName) -> Result<u32> {
    queue.id().parse().map_err(|_| Error::not_found(QueueName::KIND, queue))
}
