//! Bad input: what Huawei's formats forbid is refused before anything is sent, all of it at once.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

async fn create_agent(bench: &Bench, agent_id: &str, agent: v1::Agent) -> Error {
    let request = v1::CreateAgentRequest { agent_id: agent_id.into(), agent: Some(agent), ..Default::default() };
    bench.adapter.create_agent(&cx("CreateAgent"), center(), request).await.unwrap_err()
}

async fn create_queue(bench: &Bench, queue_id: &str, queue: v1::Queue) -> Error {
    let request = v1::CreateQueueRequest { queue_id: queue_id.into(), queue: Some(queue), ..Default::default() };
    bench.adapter.create_queue(&cx("CreateQueue"), center(), request).await.unwrap_err()
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
async fn all_that_is_wrong_with_a_new_agent_is_told_and_none_of_it_quoted() {
    let bench = Bench::start("").await;
    let agent = v1::Agent {
        display_name: "Karl <New>".into(),
        login_account: "k\u{e4}rl".into(),
        login_password: "s3cret".into(),
        email: "karl@ex\u{e4}mple.com".into(),
        mobile_number: "5".repeat(26),
        vendor_data: vendor_data(&json!({ "agentType": 6, "ccRoleId": "2" })),
        ..v1::Agent::default()
    };
    let error = create_agent(&bench, "", agent).await;
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
    let required = create_agent(&bench, "", v1::Agent::default()).await;
    assert_eq!(fields(&required), expected[..4]);
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn what_huawei_does_not_take_of_an_agent_is_unsupported() {
    let bench = Bench::start("").await;
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
    let error = create_agent(&bench, "9415", agent.clone()).await;
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
    let error = bench.adapter.update_agent(&cx("UpdateAgent"), agent_name("1001"), agent, paths).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&error), [&expected[1..6], &expected[7..]].concat());
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn a_change_of_an_agent_has_formats_of_its_own() {
    let bench = Bench::start("").await;
    let agent = v1::Agent {
        display_name: "\u{5f20}".repeat(7),
        email: String::new(),
        mobile_number: "5".repeat(26),
        ..v1::Agent::default()
    };
    let mask = ["display_name", "mobile_number", "email"].map(str::to_owned).into();
    let error = bench.adapter.update_agent(&cx("UpdateAgent"), agent_name("7"), agent, mask).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldInvalid);
    assert_eq!(fields(&error), ["agent.name", "agent.display_name", "agent.mobile_number", "agent.email"]);
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn all_that_is_wrong_with_a_queue_is_told() {
    let bench = Bench::start("").await;
    let queue = v1::Queue {
        display_name: "A/B".into(),
        wait_timeout: Some(prost_types::Duration { seconds: 60_001, nanos: 0 }),
        vendor_data: vendor_data(&json!({
            "mediaTypeId": 6, "maxWaitNum": 10_001, "maxAgentWrapupTime": 3_601, "description": "two words",
            "skillParam": "Release",
        })),
        ..v1::Queue::default()
    };
    let error = create_queue(&bench, "", queue.clone()).await;
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
    let error = create_queue(&bench, "9008", unsupported).await;
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&error), ["queue_id", "queue.strategy", "queue.wait_music", "queue.vendor_data.Strategy"]);
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn ids_that_no_agent_and_no_queue_can_have_are_refused_everywhere() {
    let bench = Bench::start("").await;
    let (agent, queue) = (agent_name("abc"), queue_name("abc"));
    let adapter = &bench.adapter;
    let refused = [
        (bench.agent("abc").await.map(drop), vec!["name"]),
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
        (bench.queue("abc").await.map(drop), vec!["name"]),
        (adapter.delete_queue(&cx("DeleteQueue"), queue.clone()).await, vec!["name"]),
        (
            adapter.update_queue(&cx("UpdateQueue"), queue.clone(), v1::Queue::default(), Vec::new()).await.map(drop),
            vec!["queue.name"],
        ),
        (
            bench.list_agents(v1::ListAgentsRequest { queue: queue.to_string(), ..Default::default() }).await.map(drop),
            vec!["queue"],
        ),
    ];
    for (result, expected) in refused {
        let error = result.unwrap_err();
        assert_eq!((error.reason(), fields(&error)), (ErrorReason::FieldInvalid, expected));
    }
    assert!(bench.calls().is_empty());
}
