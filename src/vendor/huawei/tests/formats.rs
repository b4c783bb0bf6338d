//! Bad input: every violation of Huawei's formats is reported before anything is sent.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

async fn create_agent(server: &TestServer, agent_id: &str, agent: v1::Agent) -> Error {
    let request = v1::CreateAgentRequest { agent_id: agent_id.into(), agent: Some(agent), ..Default::default() };
    server.adapter.create_agent(&cx("CreateAgent"), center(), request).await.unwrap_err()
}

async fn create_queue(server: &TestServer, queue_id: &str, queue: v1::Queue) -> Error {
    let request = v1::CreateQueueRequest { queue_id: queue_id.into(), queue: Some(queue), ..Default::default() };
    server.adapter.create_queue(&cx("CreateQueue"), center(), request).await.unwrap_err()
}

fn new_agent() -> v1::Agent {
    v1::Agent {
        display_name: "Karl New".into(),
        login_account: "karl.new".into(),
        login_password: "Abcde#12".into(),
        email: "karl@example.com".into(),
        ..v1::Agent::default()
    }
}

#[tokio::test]
async fn every_violation_of_a_new_agent_is_reported_and_no_value_quoted() {
    let server = TestServer::start("").await;
    let agent = v1::Agent {
        display_name: "Karl <New>".into(),
        login_account: "k\u{e4}rl".into(),
        login_password: "s3cret".into(),
        email: "karl@ex\u{e4}mple.com".into(),
        mobile_number: "5".repeat(26),
        vendor_data: vendor_data(&json!({ "agentType": 6, "ccRoleId": "2" })),
        ..v1::Agent::default()
    };
    let error = create_agent(&server, "", agent).await;
    assert_eq!(error.reason(), ErrorReason::FieldInvalid);
    let expected = [
        "agent.login_account",
        "agent.display_name",
        "agent.login_password",
        "agent.email",
        "agent.mobile_number",
        "agent.vendor_data.agentType",
        "agent.vendor_data.ccRoleId",
    ];
    assert_eq!(fields(&error), expected);
    let shown = format!("{error:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("Karl") && !shown.contains("55555"), "{shown}");
    let required = create_agent(&server, "", v1::Agent::default()).await;
    assert_eq!(fields(&required), expected[..4]);
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn fields_that_huawei_does_not_accept_of_an_agent_are_unsupported() {
    let server = TestServer::start("").await;
    let seconds = Some(prost_types::Duration { seconds: 5, nanos: 0 });
    let agent = v1::Agent {
        employee_number: "w_199".into(),
        role: v1::AgentRole::Agent.into(),
        enabled: Some(true),
        inbound_wrap_up_duration: seconds,
        outbound_wrap_up_duration: seconds,
        provision_extensions: true,
        vendor_data: vendor_data(&json!({ "AssistantAccessRight": 1 })),
        ..new_agent()
    };
    let error = create_agent(&server, "9415", agent.clone()).await;
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    let expected = [
        "agent_id",
        "agent.employee_number",
        "agent.role",
        "agent.enabled",
        "agent.inbound_wrap_up_duration",
        "agent.outbound_wrap_up_duration",
        "agent.provision_extensions",
        "agent.vendor_data.AssistantAccessRight",
    ];
    assert_eq!(fields(&error), expected);
    let mask =
        ["employee_number", "role", "enabled", "inbound_wrap_up_duration", "outbound_wrap_up_duration", "vendor_data"];
    let paths = mask.map(str::to_owned).into();
    let error = server.adapter.update_agent(&cx("UpdateAgent"), agent_name("1001"), agent, paths).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&error), [&expected[1..6], &expected[7..]].concat());
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_changed_agent_has_other_formats_than_a_new_one() {
    let server = TestServer::start("").await;
    let agent = v1::Agent {
        display_name: "\u{5f20}".repeat(7),
        email: String::new(),
        mobile_number: "5".repeat(26),
        ..v1::Agent::default()
    };
    let mask = ["display_name", "mobile_number", "email"].map(str::to_owned).into();
    let error = server.adapter.update_agent(&cx("UpdateAgent"), agent_name("7"), agent, mask).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldInvalid);
    assert_eq!(fields(&error), ["agent.name", "agent.display_name", "agent.mobile_number", "agent.email"]);
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn every_violation_of_a_queue_is_reported() {
    let server = TestServer::start("").await;
    let queue = v1::Queue {
        display_name: "A/B".into(),
        wait_timeout: Some(prost_types::Duration { seconds: 60_001, nanos: 0 }),
        vendor_data: vendor_data(&json!({
            "mediaTypeId": 6, "maxWaitNum": 10_001, "maxAgentWrapupTime": 3_601, "description": "two words",
            "skillParam": "Release",
        })),
        ..v1::Queue::default()
    };
    let error = create_queue(&server, "", queue.clone()).await;
    assert_eq!(error.reason(), ErrorReason::FieldInvalid);
    let expected = [
        "queue.display_name",
        "queue.wait_timeout",
        "queue.vendor_data.mediaTypeId",
        "queue.vendor_data.maxWaitNum",
        "queue.vendor_data.maxAgentWrapupTime",
        "queue.vendor_data.description",
        "queue.vendor_data.skillParam",
    ];
    assert_eq!(fields(&error), expected);
    let unsupported = v1::Queue {
        display_name: "Returns".into(),
        strategy: v1::QueueStrategy::LongestIdle.into(),
        wait_music: "waitmusic.wav".into(),
        vendor_data: vendor_data(&json!({ "Strategy": 1 })),
        ..v1::Queue::default()
    };
    let error = create_queue(&server, "9008", unsupported).await;
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&error), ["queue_id", "queue.strategy", "queue.wait_music", "queue.vendor_data.Strategy"]);
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn ids_that_no_agent_and_no_queue_can_have_are_refused_everywhere() {
    let server = TestServer::start("").await;
    let (agent, queue) = (agent_name("abc"), queue_name("abc"));
    let adapter = &server.adapter;
    let refused = [
        (server.agent("abc").await.map(drop), vec!["name"]),
        (adapter.delete_agent(&cx("DeleteAgent"), agent.clone()).await, vec!["name"]),
        (adapter.logout_agent(&cx("LogoutAgent"), agent.clone()).await.map(drop), vec!["name"]),
        (
            adapter
                .login_agent(&cx("LoginAgent"), agent.clone(), Vec::new(), v1::LoginAgentRequest::default())
                .await
                .map(drop),
            vec!["name"],
        ),
        (
            adapter.add_agent_queues(&cx("AddAgentQueues"), agent.clone(), vec![queue.clone()]).await,
            vec!["agent", "queues[0]"],
        ),
        (
            adapter.set_agent_queues(&cx("SetAgentQueues"), agent.clone(), vec![queue.clone()]).await,
            vec!["agent", "queues[0]"],
        ),
        (
            adapter.remove_agent_queues(&cx("RemoveAgentQueues"), agent.clone(), vec![queue.clone()]).await,
            vec!["agent", "queues[0]"],
        ),
        (
            adapter.add_queue_agents(&cx("AddQueueAgents"), queue.clone(), vec![agent.clone(), agent]).await,
            vec!["queue", "agents[0]", "agents[1]"],
        ),
        (server.queue("abc").await.map(drop), vec!["name"]),
        (adapter.delete_queue(&cx("DeleteQueue"), queue.clone()).await, vec!["name"]),
        (
            adapter.update_queue(&cx("UpdateQueue"), queue.clone(), v1::Queue::default(), Vec::new()).await.map(drop),
            vec!["queue.name"],
        ),
        (
            server
                .list_agents(v1::ListAgentsRequest { queue: queue.to_string(), ..Default::default() })
                .await
                .map(drop),
            vec!["queue"],
        ),
    ];
    for (result, expected) in refused {
        let error = result.unwrap_err();
        assert_eq!((error.reason(), fields(&error)), (ErrorReason::FieldInvalid, expected));
    }
    assert!(server.calls().is_empty());
}
