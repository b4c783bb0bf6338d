//! Memberships of queues: all four methods, and the errors of partially applied changes.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

const REFUSED: &str = r#"{"resultCode":"1","resultMessage":"busy"}"#;

async fn add(server: &TestServer, agent: &str, queues: Vec<QueueName>) -> Result<()> {
    server.adapter.add_agent_queues(&cx("AddAgentQueues"), agent_name(agent), queues).await
}

async fn remove(server: &TestServer, agent: &str, queues: Vec<QueueName>) -> Result<()> {
    server.adapter.remove_agent_queues(&cx("RemoveAgentQueues"), agent_name(agent), queues).await
}

async fn set(server: &TestServer, agent: &str, queues: Vec<QueueName>) -> Result<()> {
    server.adapter.set_agent_queues(&cx("SetAgentQueues"), agent_name(agent), queues).await
}

async fn add_agents(server: &TestServer, queue: &str, agents: Vec<AgentName>) -> Result<()> {
    server.adapter.add_queue_agents(&cx("AddQueueAgents"), queue_name(queue), agents).await
}

/// `appliedCount`, `unknownCount`, `remaining`.
fn reported(error: &Error) -> [String; 3] {
    ["appliedCount", "unknownCount", "remaining"].map(|key| metadata(error, key))
}

#[tokio::test]
async fn an_agent_is_added_to_the_queues_it_is_not_in() {
    let server = TestServer::start("").await;
    add(&server, "1007", queue_names(["1", "2"])).await.unwrap();
    assert_eq!(server.calls(), ["queryAgentInfo", "agentAccount/query"]);
    add(&server, "1001", queue_names(["2", "1"])).await.unwrap();
    let requests = server.requests();
    let sent = json!({ "userAccounts": ["anna.berg"], "skillId": 2, "agentWeight": 1, "skillWeight": 1 });
    assert_eq!(requests[2..], [("agentAccount/addSkillsToAgent".to_owned(), sent)]);
    assert_eq!(server.queues_of("1001").await, ["1", "2"]);
}

#[tokio::test]
async fn an_agent_is_removed_and_never_a_whole_queue() {
    let server = TestServer::start("").await;
    let before = server.agents_of("1").await;
    remove(&server, "1007", queue_names(["1", "3"])).await.unwrap();
    assert_eq!(server.queues_of("1007").await, ["2", "4"]);
    assert_eq!(server.agents_of("1").await.len(), before.len() - 1);
    for (operation, body) in server.requests() {
        if operation.ends_with("releaseAgentBySkillId") {
            assert_eq!(body["userAccounts"], json!(["goran.lind"]));
        }
    }
    // A retry is harmless.
    remove(&server, "1007", queue_names(["1", "3"])).await.unwrap();
    assert_eq!(server.queues_of("1007").await, ["2", "4"]);
}

#[tokio::test]
async fn the_queues_of_an_agent_are_set_by_adding_first() {
    let server = TestServer::start("").await;
    set(&server, "1002", queue_names(["2"])).await.unwrap();
    assert_eq!(server.queues_of("1002").await, ["2"]);
    server.calls();
    set(&server, "1002", queue_names(["1"])).await.unwrap();
    let calls = server.calls();
    let expected =
        ["queryAgentInfo", "agentAccount/query", "agentAccount/addSkillsToAgent", "agentAccount/releaseAgentBySkillId"];
    assert_eq!(calls, expected);
    assert_eq!(server.queues_of("1002").await, ["1"]);
    server.calls();
    set(&server, "1002", queue_names(["1"])).await.unwrap();
    assert_eq!(server.calls(), ["queryAgentInfo", "agentAccount/query"]);
}

#[tokio::test]
async fn agents_are_added_to_a_queue_in_one_call() {
    let server = TestServer::start("").await;
    add_agents(&server, "2", agent_names(["1003", "1002", "1001"])).await.unwrap();
    let requests = server.requests();
    let operations: Vec<&str> = requests.iter().map(|(operation, _)| operation.as_str()).collect();
    let expected = ["queryAgentInfo", "agentAccount/queryAgentInfoBySkillId", "agentAccount/addSkillsToAgent"];
    assert_eq!(operations, expected);
    // In the order of the request, without the existing membership.
    assert_eq!(requests[2].1["userAccounts"], json!(["chen.yu@example.com", "anna.berg"]));
    assert_eq!(server.agents_of("2").await.len(), 7);
    server.calls();
    add_agents(&server, "2", agent_names(["1003", "1002", "1001"])).await.unwrap();
    assert_eq!(server.calls(), expected[..2]);
}

/// An invented tenant with many agents, none of them in a queue.
fn many_agents(server: &TestServer, count: u32) -> Vec<AgentName> {
    let ids: Vec<u32> = (2000..2000 + count).collect();
    let agents: Vec<Value> =
        ids.iter().map(|id| json!({ "workNo": id, "accountCode": format!("agent{id}") })).collect();
    server.respond("queryAgentInfo", 200, &json!({ "agents": agents }).to_string());
    ids.iter().map(|id| agent_name(&id.to_string())).collect()
}

const DONE: &str = r#"{"resultCode":"0","resultMessage":"success"}"#;

#[tokio::test]
async fn many_agents_are_added_in_batches_of_50_and_a_failure_names_the_rest() {
    let server = TestServer::start("").await;
    let agents = many_agents(&server, 120);
    server.respond("addSkillsToAgent", 200, DONE);
    server.respond("addSkillsToAgent", 200, REFUSED);
    let error = add_agents(&server, "2", agents).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::PartiallyApplied);
    let [applied, unknown, remaining] = reported(&error);
    assert_eq!((applied.as_str(), unknown.as_str()), ("50", "0"));
    let ids: Vec<String> = (2050..2100).map(|id| id.to_string()).collect();
    assert_eq!(remaining, ids.join(","));
    assert_eq!(metadata(&error, "vendorMessage"), "busy");
}

#[tokio::test]
async fn a_batch_with_an_unknown_outcome_is_counted() {
    let server = TestServer::start("").await;
    let agents = many_agents(&server, 60);
    server.respond("addSkillsToAgent", 200, DONE);
    server.respond("addSkillsToAgent", 502, "<html>");
    let error = add_agents(&server, "2", agents).await.unwrap_err();
    let remaining = (2050..2060).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(reported(&error), ["50".to_owned(), "10".to_owned(), remaining]);
    assert_eq!(metadata(&error, "causeReason"), "VENDOR_OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn a_partially_applied_change_is_reported_and_can_be_retried() {
    let server = TestServer::start("").await;
    server.respond_after(1, "addSkillsToAgent", 200, REFUSED);
    let error = add(&server, "1010", queue_names(["1", "2", "4"])).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::PartiallyApplied);
    assert_eq!(reported(&error), ["1", "0", "2,4"]);
    assert_eq!(server.queues_of("1010").await, ["1"]);
    server.calls();
    // Queue 4 accepts no audio agents.
    let error = add(&server, "1010", queue_names(["1", "2", "4"])).await.unwrap_err();
    assert_eq!(reported(&error), ["1", "0", "4"]);
    assert_eq!(server.queues_of("1010").await, ["1", "2"]);
}

#[tokio::test]
async fn a_set_that_fails_half_way_has_released_nothing() {
    let server = TestServer::start("").await;
    server.respond("releaseAgentBySkillId", 502, "<html>");
    let error = set(&server, "1001", queue_names(["2"])).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::PartiallyApplied);
    assert_eq!(reported(&error), ["1", "1", "1"]);
    assert_eq!(server.queues_of("1001").await, ["1", "2"]);
    set(&server, "1001", queue_names(["2"])).await.unwrap();
    assert_eq!(server.queues_of("1001").await, ["2"]);
}

#[tokio::test]
async fn a_failed_first_call_is_returned_unchanged() {
    let server = TestServer::start("").await;
    server.respond("addSkillsToAgent", 200, REFUSED);
    let error = add(&server, "1010", queue_names(["1", "2"])).await.unwrap_err();
    assert_eq!((error.reason(), reported(&error)), (ErrorReason::VendorRejected, Default::default()));
    server.respond("releaseAgentBySkillId", 502, "<html>");
    let error = remove(&server, "1007", queue_names(["1", "2"])).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorOutcomeUnknown);
}

#[tokio::test]
async fn a_missing_resource_is_named() {
    let server = TestServer::start("").await;
    let missing = [
        add(&server, "1099", queue_names(["1"])).await,
        add(&server, "1001", queue_names(["99"])).await,
        remove(&server, "1001", queue_names(["99"])).await,
        set(&server, "1001", queue_names(["99"])).await,
        add_agents(&server, "99", agent_names(["1001"])).await,
        add_agents(&server, "1", agent_names(["1002", "1099"])).await,
    ];
    for result in missing {
        assert_eq!(result.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    }
    let error = add(&server, "1010", queue_names(["1", "99"])).await.unwrap_err();
    assert_eq!(
        (error.reason(), reported(&error)),
        (ErrorReason::PartiallyApplied, ["1", "0", "99"].map(str::to_owned))
    );
    for result in
        [add(&server, "1011", queue_names(["2"])).await, add_agents(&server, "2", agent_names(["1011"])).await]
    {
        assert_eq!(result.unwrap_err().reason(), ErrorReason::AgentStateConflict);
    }
}

#[tokio::test]
async fn changes_of_one_agent_wait_for_each_other() {
    let server = Arc::new(TestServer::start("").await);
    let sets: Vec<_> = [["1"], ["2"], ["1"], ["2"]]
        .into_iter()
        .map(|queues| {
            let server = server.clone();
            tokio::spawn(async move { set(&server, "1001", queue_names(queues)).await })
        })
        .collect();
    for set in sets {
        set.await.unwrap().unwrap();
    }
    // Whichever was last: one queue, not both.
    assert_eq!(server.queues_of("1001").await.len(), 1);
}
