//! Every deviation that the simulator knows leads to the same canonical answers.

use switchboard_simulators::huawei::Quirk;

use super::*;
use crate::{error::ErrorReason, name::ExtensionName};

/// What a client sees of a center with these deviations.
async fn seen(quirks: &'static str) -> Vec<String> {
    let bench = Bench::start(quirks).await;
    let config = bench.adapter.get_softphone_config(&cx("GetSoftphoneConfig"), center()).await.unwrap();
    let name = ExtensionName::new("beta", "88880001");
    let request = v1::GetExtensionRequest::default();
    let extension = bench.adapter.get_extension(&cx("GetExtension"), name, request).await.unwrap();
    let mut request = v1::ListAgentsRequest { queue: "centers/beta/queues/2".into(), ..Default::default() };
    let members = bench.list_agents(request.clone()).await.unwrap();
    request.queue.clear();
    let agents = bench.list_agents(request).await.unwrap();
    let numbers = bench.list_numbers(v1::ListPhoneNumbersRequest::default()).await.unwrap();
    let queues = bench.list_queues(v1::ListQueuesRequest::default()).await.unwrap();
    let created = create_queue(&bench).await;
    let agent = create_agent(&bench).await;
    bench.adapter.add_agent_queues(&cx("AddAgentQueues"), agent_name("1013"), queue_names(["5"])).await.unwrap();
    let joined = bench.agents_of("5").await;
    let missing = bench.queue("99").await.unwrap_err().reason();
    let refused = bench.adapter.logout_agent(&cx("LogoutAgent"), agent_name("1001")).await.unwrap_err().reason();
    vec![
        format!("{config:?}"),
        format!("{:?}", v1::Extension { state: 0, ..extension }),
        format!("{members:?}"),
        format!("{agents:?}"),
        format!("{:?} {}", numbers.phone_numbers, numbers.total_size),
        format!("{queues:?}"),
        format!("{created:?} {agent:?} {joined:?}"),
        format!("{missing:?} {refused:?}"),
    ]
}

async fn create_queue(bench: &Bench) -> v1::Queue {
    let queue = v1::Queue { display_name: "Returns".into(), ..Default::default() };
    let request = v1::CreateQueueRequest { queue: Some(queue), ..Default::default() };
    let created = bench.adapter.create_queue(&cx("CreateQueue"), center(), request).await.unwrap();
    v1::Queue { vendor_data: None, ..created }
}

async fn create_agent(bench: &Bench) -> v1::Agent {
    let agent = v1::Agent {
        display_name: "Karl New".into(),
        login_account: "karl.new".into(),
        login_password: "Abcde#12".into(),
        email: "karl@example.com".into(),
        ..Default::default()
    };
    let request = v1::CreateAgentRequest { agent: Some(agent), ..Default::default() };
    let created = bench.adapter.create_agent(&cx("CreateAgent"), center(), request).await.unwrap();
    v1::Agent { vendor_data: None, ..created }
}

#[tokio::test]
async fn the_answers_are_the_same_whatever_the_deviation() {
    let usual = seen("").await;
    for quirk in Quirk::ALL {
        match quirk {
            // No call is possible behind that firewall; and a pool has two nodes.
            Quirk::HtmlFirewall => {}
            Quirk::Pool => assert_eq!(seen(quirk.name()).await[1..], usual[1..], "{quirk}"),
            _ => assert_eq!(seen(quirk.name()).await, usual, "{quirk}"),
        }
    }
}

#[tokio::test]
async fn a_firewall_before_the_tokens_is_told_as_a_vendor_that_is_unavailable() {
    let bench = Bench::start("html-firewall").await;
    let cx = cx("GetAgent");
    let error = bench.adapter.get_agent(&cx, agent_name("1001"), v1::GetAgentRequest::default()).await.unwrap_err();
    assert_eq!((error.reason(), cx.may_have_been_sent()), (ErrorReason::VendorUnavailable, false));
    assert_eq!(metadata(&error, "vendorHttpStatus"), "418");
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn values_that_no_document_knows_are_shown_as_they_are() {
    let bench = Bench::start("unknown-enums,extra-fields").await;
    let agent = bench.agent("1001").await.unwrap();
    assert_eq!(extra(agent.vendor_data.as_ref(), "agentType"), "77");
    assert_eq!(extra(agent.vendor_data.as_ref(), "ccRoleId"), "77");
    let queue = bench.queue("1").await.unwrap();
    assert_eq!(extra(queue.vendor_data.as_ref(), "mediaTypeId"), "77");
    let extensions = bench.list_extensions(v1::ListExtensionsRequest::default()).await.unwrap();
    assert!(extensions.extensions.iter().all(|it| it.state() == v1::ExtensionState::Unspecified));
    // Type and role of an agent without an account are on the newest page only.
    let bare = bench.agent("1011").await.unwrap();
    assert_eq!(extra(bare.vendor_data.as_ref(), "agentType"), "77");
}

#[tokio::test]
async fn an_unknown_call_type_survives_a_change_of_something_else() {
    let bench = Bench::start("unknown-enums").await;
    let name = crate::name::CallSettingsName::new("beta", "1660270845627002501");
    let change = v1::UserCallSettings { default_caller_id: "5550002".into(), ..Default::default() };
    let cx = cx("UpdateUserCallSettings");
    let mask = vec!["default_caller_id".to_owned()];
    let after = bench.adapter.update_user_call_settings(&cx, name, change, mask, false).await.unwrap();
    assert_eq!(extra(after.vendor_data.as_ref(), "callType"), "77");
    let (_, sent) = bench.requests().remove(1);
    assert_eq!((sent["callType"].as_str(), sent["callerPresentDefault"].as_str()), (Some("77"), Some("5550002")));
}

#[tokio::test]
async fn which_wrapping_a_tenant_takes_is_learned_by_reading_once() {
    for (quirks, refused, wrapped) in [("wrapped-only", 1, true), ("unwrapped-only", 0, false), ("", 0, false)] {
        let bench = Bench::start(quirks).await;
        create_agent(&bench).await;
        bench.agent("1001").await.unwrap();
        bench.adapter.delete_agent(&cx("DeleteAgent"), agent_name("1013")).await.unwrap();
        let requests = bench.requests();
        let accounts: Vec<_> =
            requests.iter().filter(|(operation, _)| operation.starts_with("agentAccount/")).collect();
        assert_eq!(accounts[0].1.as_object().unwrap().len(), 1);
        for (operation, body) in &accounts[refused..] {
            let is_wrapped = body.get("requestParam").or(body.get("requestParams")).is_some();
            assert_eq!(is_wrapped, wrapped, "{quirks} {operation}");
        }
        // A read that was refused, and its repeat; never a write twice.
        assert_eq!(accounts.len(), 3 + 1 + 2 + refused, "{quirks}");
    }
}

#[tokio::test]
async fn a_request_that_neither_wrapping_helps_is_the_first_refusal() {
    let bench = Bench::start("").await;
    bench.reply("agentAccount/query", 400, "Incorrect request. Check the request path and parameters.");
    bench.reply("agentAccount/query", 400, "Something else.");
    let error = bench.list_agents(v1::ListAgentsRequest::default()).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::CenterMisconfigured);
    assert!(metadata(&error, "vendorMessage").starts_with("Incorrect request"));
    bench.list_agents(v1::ListAgentsRequest::default()).await.unwrap();
    // From now on it is known, and not tried again.
    bench.calls();
    bench.reply("agentAccount/query", 400, "Incorrect request. Check the request path and parameters.");
    bench.list_agents(v1::ListAgentsRequest::default()).await.unwrap_err();
    assert!(bench.calls().is_empty());
}
