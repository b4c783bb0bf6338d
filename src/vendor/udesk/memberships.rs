//! Changes memberships of queues: Udesk 15 to 17.

use std::collections::HashSet;

use serde::Serialize;

use super::{Api, agent_records, ccapi::Ccapi, formats::Formats as _, is_missing, operations::WRITE, queues};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, Result},
    name::{AgentName, QueueName},
    vendor::de::Anything,
};

/// `POST /queues/agents` (Udesk 15).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AddAgents<'a> {
    queue_id: &'a str,
    agent_ids: Vec<&'a str>,
}

endpoint!(Ccapi: AddAgents<'_>, POST "/queues/agents", write, WRITE => Anything);

/// `POST /agents/queues` (Udesk 16).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SetQueues<'a> {
    agent_id: &'a str,
    queues: Vec<&'a str>,
    /// 1 replaces the agent's queues, 0 adds to them.
    is_full: u8,
}

endpoint!(Ccapi: SetQueues<'_>, POST "/agents/queues", write, WRITE => Anything);

/// `DELETE /agents/queues` (Udesk 17), with a body (C7).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RemoveQueues<'a> {
    agent_id: &'a str,
    queues: Vec<&'a str>,
}

endpoint!(Ccapi: RemoveQueues<'_>, DELETE "/agents/queues", write, WRITE => Anything);

/// Adds agents to a queue.
pub(super) async fn add_agents(ccapi: &Api, cx: &Context, queue: &QueueName, agents: &[AgentName]) -> Result<()> {
    let mut check = Check::of(cx);
    check.digits("queue", queue.id());
    for (index, agent) in agents.iter().enumerate() {
        check.digits(format!("agents[{index}]"), agent.id());
    }
    check.done()?;
    let add = AddAgents { queue_id: queue.id(), agent_ids: agents.iter().map(AgentName::id).collect() };
    match ccapi.call(cx, &add).await {
        Ok(Anything) => Ok(()),
        Err(error) => Err(missing_agent(ccapi, cx, queue, agents, error).await),
    }
}

/// Adds an agent to queues.
pub(super) async fn add_queues(ccapi: &Api, cx: &Context, agent: &AgentName, queues: &[QueueName]) -> Result<()> {
    set_or_add_queues(ccapi, cx, agent, queues, 0).await
}

/// Replaces the queues of an agent.
pub(super) async fn set_queues(ccapi: &Api, cx: &Context, agent: &AgentName, queues: &[QueueName]) -> Result<()> {
    set_or_add_queues(ccapi, cx, agent, queues, 1).await
}

async fn set_or_add_queues(
    ccapi: &Api,
    cx: &Context,
    agent: &AgentName,
    queues: &[QueueName],
    is_full: u8,
) -> Result<()> {
    let ids = checked(cx, agent, queues)?;
    match ccapi.call(cx, &SetQueues { agent_id: agent.id(), queues: ids, is_full }).await {
        Ok(Anything) => Ok(()),
        Err(error) => {
            let (error, is_queue_known) = missing_queue(ccapi, cx, queues, error).await;
            Err(if is_queue_known { missing_only(ccapi, cx, agent, error).await } else { error })
        }
    }
}

/// Removes an agent from queues.
pub(super) async fn remove_queues(ccapi: &Api, cx: &Context, agent: &AgentName, queues: &[QueueName]) -> Result<()> {
    let ids = checked(cx, agent, queues)?;
    let Err(error) = ccapi.call(cx, &RemoveQueues { agent_id: agent.id(), queues: ids }).await.map(|Anything| ())
    else {
        return Ok(());
    };
    let (error, is_queue_known) = missing_queue(ccapi, cx, queues, error).await;
    Err(if is_queue_known { missing_only(ccapi, cx, agent, error).await } else { error })
}

/// Names the agent if a read shows that it is missing. What is missing may also be the membership.
async fn missing_only(ccapi: &Api, cx: &Context, agent: &AgentName, error: Error) -> Error {
    let is_missing = agent_records::get(ccapi, cx, agent).await.is_err_and(|read| is_missing(&read));
    if is_missing { error.about("Agent", agent) } else { error }
}

fn checked<'a>(cx: &Context, agent: &AgentName, queues: &'a [QueueName]) -> Result<Vec<&'a str>> {
    let mut check = Check::of(cx);
    check.digits("agent", agent.id());
    for (index, queue) in queues.iter().enumerate() {
        check.digits(format!("queues[{index}]"), queue.id());
    }
    check.done()?;
    Ok(queues.iter().map(QueueName::id).collect())
}

/// Udesk's "no records" does not name the resource; the list of queues shows whether a queue is missing. Also returns
/// whether every queue is known to exist.
async fn missing_queue(ccapi: &Api, cx: &Context, queues: &[QueueName], error: Error) -> (Error, bool) {
    if !is_missing(&error) {
        return (error, false);
    }
    let Ok(list) = queues::all(ccapi, cx).await else { return (error, false) };
    match queues.iter().find(|queue| list.queues.0.iter().all(|known| known.id() != queue.id())) {
        Some(queue) if list.incomplete_reason().is_empty() => (error.about("Queue", queue), false),
        Some(_) => (error, false),
        None => (error, true),
    }
}

/// The same for agents; an agent beyond an incomplete list may exist.
async fn missing_agent(ccapi: &Api, cx: &Context, queue: &QueueName, agents: &[AgentName], error: Error) -> Error {
    if !is_missing(&error) {
        return error;
    }
    let known = agent_records::all(ccapi, cx, |page| {
        let is_whole = page.incomplete_reason(0).is_empty();
        Ok((page.ids().collect::<Result<HashSet<_>, _>>()?, is_whole))
    });
    let Ok((known, is_whole)) = known.await else { return error };
    match agents.iter().find(|agent| !known.contains(agent.id())) {
        Some(agent) if is_whole => error.about("Agent", agent),
        Some(_) => error,
        None => missing_queue(ccapi, cx, std::slice::from_ref(queue), error).await.0,
    }
}
