//! Changes memberships of queues: Udesk 15 to 17.

use serde::Serialize;

use super::{Api, about, agent_records, ccapi::Ccapi, formats::Formats as _, operations::WRITE, queues};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
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
    let mut check = Check::new();
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
    let ids = checked(agent, queues)?;
    match ccapi.call(cx, &SetQueues { agent_id: agent.id(), queues: ids, is_full }).await {
        Ok(Anything) => Ok(()),
        Err(error) => Err(missing_queue(ccapi, cx, agent, queues, error).await),
    }
}

/// Removes an agent from queues.
pub(super) async fn remove_queues(ccapi: &Api, cx: &Context, agent: &AgentName, queues: &[QueueName]) -> Result<()> {
    let ids = checked(agent, queues)?;
    match ccapi.call(cx, &RemoveQueues { agent_id: agent.id(), queues: ids }).await {
        Ok(Anything) => Ok(()),
        Err(error) => Err(missing_queue(ccapi, cx, agent, queues, error).await),
    }
}

fn checked<'a>(agent: &AgentName, queues: &'a [QueueName]) -> Result<Vec<&'a str>> {
    let mut check = Check::new();
    check.digits("agent", agent.id());
    for (index, queue) in queues.iter().enumerate() {
        check.digits(format!("queues[{index}]"), queue.id());
    }
    check.done()?;
    Ok(queues.iter().map(QueueName::id).collect())
}

/// Udesk's "no records" does not name the resource; the list of queues shows whether a queue is missing.
async fn missing_queue(ccapi: &Api, cx: &Context, agent: &AgentName, queues: &[QueueName], error: Error) -> Error {
    if error.reason() == ErrorReason::ResourceNotFound
        && let Ok(known) = queues::all(ccapi, cx).await
        && let Some(queue) = queues.iter().find(|queue| known.iter().all(|known| known.id() != queue.id()))
    {
        return error.about("Queue", queue);
    }
    about(error, "Agent", agent)
}

/// The same for agents. An incomplete list cannot show that an agent is missing.
async fn missing_agent(ccapi: &Api, cx: &Context, queue: &QueueName, agents: &[AgentName], error: Error) -> Error {
    if error.reason() == ErrorReason::ResourceNotFound
        && let Ok(page) = agent_records::all(ccapi, cx).await
        && page.incomplete_reason().is_empty()
        && let Some(agent) = agents.iter().find(|agent| page.agent_list.0.iter().all(|known| known.id() != agent.id()))
    {
        return error.about("Agent", agent);
    }
    about(error, "Queue", queue)
}
