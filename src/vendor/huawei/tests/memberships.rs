//! Who is in which queue: all four forms, and what is told when they fail half-way.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

const REFUSED: &str = r#"{"resultCode":"1","resultMessage":"busy"}"#;

async fn add(bench: &Bench, agent: &str, queues: Vec<QueueName>) -> Result<()> {
    bench.adapter.add_agent_queues(&cx("AddAgentQueues"), agent_name(agent), queues).await
}

async fn remove(bench: &Bench, agent: &str, queues: Vec<QueueName>) -> Result<()> {
    bench.adapter.remove_agent_queues(&cx("RemoveAgentQueues"), agent_name(agent), queues).await
}

async fn set(bench: &Bench, agent: &str, queues: Vec<QueueName>) -> Result<()> {
    bench.adapter.set_agent_queues(&cx("SetAgentQueues"), agent_name(agent), queues).await
}

async fn add_agents(bench: &Bench, queue: &str, agents: Vec<AgentName>) -> Result<()> {
    bench.adapter.add_queue_agents(&cx("AddQueueAgents"), queue_name(queue), agents).await
}

/// `appliedCount`, `unknownCount`, `remaining`.
fn told(error: &Error) -> [String; 3] {
    ["appliedCount", "unknownCount", "remaining"].map(|key| metadata(error, key))
}

#[tokio::test]
async fn an_agent_is_added_to_the_queues_it_is_not_in() {
    let bench = Bench::start("").await;
    add(&bench, "1007", queue_names(["1", "2"])).await.unwrap();
    assert_eq!(bench.calls(), ["queryAgentInfo", "agentAccount/query"]);
    add(&bench, "1001", queue_names(["2", "1"])).await.unwrap();
    let requests = bench.requests();
    let sent = json!({ "userAccounts": ["anna.berg"], "skillId": 2, "agentWeight": 1, "skillWeight": 1 });
    assert_eq!(requests[2..], [("agentAccount/addSkillsToAgent".to_owned(), sent)]);
    assert_eq!(bench.queues_of("1001").await, ["1", "2"]);
}

#[tokio::test]
async fn an_agent_is_removed_and_never_a_whole_queue() {
    let bench = Bench::start("").await;
    let before = bench.agents_of("1").await;
    remove(&bench, "1007", queue_names(["1", "3"])).await.unwrap();
    assert_eq!(bench.queues_of("1007").await, ["2", "4"]);
    assert_eq!(bench.agents_of("1").await.len(), before.len() - 1);
    for (operation, body) in bench.requests() {
        if operation.ends_with("releaseAgentBySkillId") {
            assert_eq!(body["userAccounts"], json!(["goran.lind"]));
        }
    }
    // A repeat does no harm.
    remove(&bench, "1007", queue_names(["1", "3"])).await.unwrap();
    assert_eq!(bench.queues_of("1007").await, ["2", "4"]);
}

#[tokio::test]
async fn the_queues_of_an_agent_are_set_by_adding_first() {
    let bench = Bench::start("").await;
    set(&bench, "1002", queue_names(["2"])).await.unwrap();
    assert_eq!(bench.queues_of("1002").await, ["2"]);
    bench.calls();
    set(&bench, "1002", queue_names(["1"])).await.unwrap();
    let calls = bench.calls();
    let expected =
        ["queryAgentInfo", "agentAccount/query", "agentAccount/addSkillsToAgent", "agentAccount/releaseAgentBySkillId"];
    assert_eq!(calls, expected);
    assert_eq!(bench.queues_of("1002").await, ["1"]);
    bench.calls();
    set(&bench, "1002", queue_names(["1"])).await.unwrap();
    assert_eq!(bench.calls(), ["queryAgentInfo", "agentAccount/query"]);
}

#[tokio::test]
async fn agents_are_added_to_a_queue_in_one_call() {
    let bench = Bench::start("").await;
    add_agents(&bench, "2", agent_names(["1003", "1002", "1001"])).await.unwrap();
    let requests = bench.requests();
    let operations: Vec<&str> = requests.iter().map(|(operation, _)| operation.as_str()).collect();
    let expected = ["queryAgentInfo", "agentAccount/queryAgentInfoBySkillId", "agentAccount/addSkillsToAgent"];
    assert_eq!(operations, expected);
    // In the order of the request, without the one that is in it already.
    assert_eq!(requests[2].1["userAccounts"], json!(["chen.yu@example.com", "anna.berg"]));
    assert_eq!(bench.agents_of("2").await.len(), 7);
    bench.calls();
    add_agents(&bench, "2", agent_names(["1003", "1002", "1001"])).await.unwrap();
    assert_eq!(bench.calls(), expected[..2]);
}

/// An invented tenant with many agents, none of them in a queue.
fn many_agents(bench: &Bench, count: u32) -> Vec<AgentName> {
    let ids: Vec<u32> = (2000..2000 + count).collect();
    let agents: Vec<Value> =
        ids.iter().map(|id| json!({ "workNo": id, "accountCode": format!("agent{id}") })).collect();
    bench.reply("queryAgentInfo", 200, &json!({ "agents": agents }).to_string());
    ids.iter().map(|id| agent_name(&id.to_string())).collect()
}

const DONE: &str = r#"{"resultCode":"0","resultMessage":"success"}"#;

#[tokio::test]
async fn many_agents_are_added_in_batches_of_50_and_a_failure_tells_what_is_left() {
    let bench = Bench::start("").await;
    let agents = many_agents(&bench, 120);
    bench.reply("addSkillsToAgent", 200, DONE);
    bench.reply("addSkillsToAgent", 200, REFUSED);
    let error = add_agents(&bench, "2", agents).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::PartiallyApplied);
    let [applied, unknown, remaining] = told(&error);
    assert_eq!((applied.as_str(), unknown.as_str()), ("50", "0"));
    let ids: Vec<String> = (2050..2100).map(|id| id.to_string()).collect();
    assert_eq!(remaining, ids.join(","));
    assert_eq!(metadata(&error, "vendorMessage"), "busy");
}

#[tokio::test]
async fn a_batch_whose_outcome_is_unknown_is_counted_as_such() {
    let bench = Bench::start("").await;
    let agents = many_agents(&bench, 60);
    bench.reply("addSkillsToAgent", 200, DONE);
    bench.reply("addSkillsToAgent", 502, "<html>");
    let error = add_agents(&bench, "2", agents).await.unwrap_err();
    let remaining = (2050..2060).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(told(&error), ["50".to_owned(), "10".to_owned(), remaining]);
    assert_eq!(metadata(&error, "causeReason"), "VENDOR_OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn a_change_that_fails_half_way_is_told_and_can_be_repeated() {
    let bench = Bench::start("").await;
    bench.reply_after(1, "addSkillsToAgent", 200, REFUSED);
    let error = add(&bench, "1010", queue_names(["1", "2", "4"])).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::PartiallyApplied);
    assert_eq!(told(&error), ["1", "0", "2,4"]);
    assert_eq!(bench.queues_of("1010").await, ["1"]);
    bench.calls();
    // Queue 4 takes no audio agents.
    let error = add(&bench, "1010", queue_names(["1", "2", "4"])).await.unwrap_err();
    assert_eq!(told(&error), ["1", "0", "4"]);
    assert_eq!(bench.queues_of("1010").await, ["1", "2"]);
}

#[tokio::test]
async fn a_set_that_fails_half_way_has_taken_nothing_away() {
    let bench = Bench::start("").await;
    bench.reply("releaseAgentBySkillId", 502, "<html>");
    let error = set(&bench, "1001", queue_names(["2"])).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::PartiallyApplied);
    assert_eq!(told(&error), ["1", "1", "1"]);
    assert_eq!(bench.queues_of("1001").await, ["1", "2"]);
    set(&bench, "1001", queue_names(["2"])).await.unwrap();
    assert_eq!(bench.queues_of("1001").await, ["2"]);
}

#[tokio::test]
async fn what_fails_first_is_that_failure() {
    let bench = Bench::start("").await;
    bench.reply("addSkillsToAgent", 200, REFUSED);
    let error = add(&bench, "1010", queue_names(["1", "2"])).await.unwrap_err();
    assert_eq!((error.reason(), told(&error)), (ErrorReason::VendorRejected, Default::default()));
    bench.reply("releaseAgentBySkillId", 502, "<html>");
    let error = remove(&bench, "1007", queue_names(["1", "2"])).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorOutcomeUnknown);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let bench = Bench::start("").await;
    let missing = [
        add(&bench, "1099", queue_names(["1"])).await,
        add(&bench, "1001", queue_names(["99"])).await,
        remove(&bench, "1001", queue_names(["99"])).await,
        set(&bench, "1001", queue_names(["99"])).await,
        add_agents(&bench, "99", agent_names(["1001"])).await,
        add_agents(&bench, "1", agent_names(["1002", "1099"])).await,
    ];
    for result in missing {
        assert_eq!(result.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    }
    let error = add(&bench, "1010", queue_names(["1", "99"])).await.unwrap_err();
    assert_eq!((error.reason(), told(&error)), (ErrorReason::PartiallyApplied, ["1", "0", "99"].map(str::to_owned)));
    for result in [add(&bench, "1011", queue_names(["2"])).await, add_agents(&bench, "2", agent_names(["1011"])).await]
    {
        assert_eq!(result.unwrap_err().reason(), ErrorReason::AgentStateConflict);
    }
}

#[tokio::test]
async fn changes_of_one_agent_wait_for_each_other() {
    let bench = Arc::new(Bench::start("").await);
    let sets: Vec<_> = [["1"], ["2"], ["1"], ["2"]]
        .into_iter()
        .map(|queues| {
            let bench = bench.clone();
            tokio::spawn(async move { set(&bench, "1001", queue_names(queues)).await })
        })
        .collect();
    for set in sets {
        set.await.unwrap().unwrap();
    }
    // Whichever was last: one queue, not both.
    assert_eq!(bench.queues_of("1001").await.len(), 1);
}
