//! Every contradiction between the document's statements and its examples, played by the simulator.

use std::sync::Arc;

use prost::Message;
use switchboard_simulators::udesk::{QueueIds, Quirk};

use super::{TestServer, agent, agents, cx, mask, metadata, name, page, queue, resource, subscriptions};
use crate::{adapter::Adapter, error::ErrorReason, proto::v1};

/// A center's responses to reads and writes, each with its name and as bytes, because `Debug` redacts.
async fn responses(udesk: &Arc<dyn Adapter>) -> Vec<(&'static str, Vec<u8>)> {
    let mut reported = reads(udesk).await;
    reported.extend(writes(udesk).await);
    reported
}

async fn reads(udesk: &Arc<dyn Adapter>) -> Vec<(&'static str, Vec<u8>)> {
    let center = || name("centers/acme");
    let mut of_queue = v1::ListAgentsRequest::default();
    let of_queue_page = page(&mut of_queue);
    let sales = Some(name("centers/acme/queues/9001"));
    let mut lines = v1::ListExtensionsRequest::default();
    lines.set_view(v1::View::Full);
    let lines_page = page(&mut lines);
    let mut numbers = v1::ListPhoneNumbersRequest::default();
    let numbers_page = page(&mut numbers);
    let all = subscriptions(udesk).await.unwrap();
    vec![
        ("agents", agents(udesk).await.unwrap().encode_to_vec()),
        ("agent", agent(udesk, "1001").await.unwrap().encode_to_vec()),
        (
            "agents of a queue",
            udesk.list_agents(&cx(), center(), sales, of_queue_page, of_queue).await.unwrap().encode_to_vec(),
        ),
        ("queue", queue(udesk, "9002").await.unwrap().encode_to_vec()),
        ("extensions", udesk.list_extensions(&cx(), center(), lines_page, lines).await.unwrap().encode_to_vec()),
        ("numbers", udesk.list_phone_numbers(&cx(), center(), numbers_page, numbers).await.unwrap().encode_to_vec()),
        ("subscriptions", all.iter().flat_map(Message::encode_to_vec).collect()),
    ]
}

async fn writes(udesk: &Arc<dyn Adapter>) -> Vec<(&'static str, Vec<u8>)> {
    let (center, mara) = (|| name("centers/acme"), || name("centers/acme/agents/1001"));
    udesk.set_default_phone_number(&cx(), name("centers/acme/phoneNumbers/02155500102")).await.unwrap();
    udesk.clear_default_phone_number(&cx(), center()).await.unwrap();
    udesk.delete_extension(&cx(), name("centers/acme/extensions/1300")).await.unwrap();
    let change = v1::Agent { display_name: "Mara L.".into(), ..Default::default() };
    let changed_agent = udesk.update_agent(&cx(), mara(), change, mask(&["display_name"])).await.unwrap();
    let change = v1::Queue { display_name: "Sales 2".into(), ..Default::default() };
    let sales = name("centers/acme/queues/9001");
    let changed_queue = udesk.update_queue(&cx(), sales, change, mask(&["display_name"])).await.unwrap();
    let new = v1::Queue { display_name: "Night".into(), ..Default::default() };
    let new = v1::CreateQueueRequest { queue_id: "9100".into(), queue: Some(new), ..Default::default() };
    let new_queue = udesk.create_queue(&cx(), center(), new).await.unwrap();
    udesk.delete_queue(&cx(), name("centers/acme/queues/9100")).await.unwrap();
    let new = v1::Agent { employee_number: "E1".into(), provision_extensions: true, ..Default::default() };
    let new = v1::CreateAgentRequest { agent_id: "2001".into(), agent: Some(new), ..Default::default() };
    let mut new_agent = udesk.create_agent(&cx(), center(), new).await.unwrap();
    for line in &mut new_agent.provisioned_extensions {
        assert_eq!(std::mem::take(&mut line.initial_password).len(), 16, "a password of its own each time");
    }
    let new = v1::Subscription {
        display_name: "crm".into(),
        callback_uri: "https://crm.example.com/".into(),
        event_types: vec![v1::EventType::CallHungUp.into()],
        enabled: Some(false),
        ..Default::default()
    };
    let new_subscription = udesk.create_subscription(&cx(), center(), new).await.unwrap();
    udesk.delete_subscription(&cx(), name("centers/acme/subscriptions/102")).await.unwrap();
    udesk.logout_agent(&cx(), mara()).await.unwrap();
    vec![
        ("changed agent", changed_agent.encode_to_vec()),
        ("changed queue", changed_queue.encode_to_vec()),
        ("new queue", new_queue.encode_to_vec()),
        ("new agent", new_agent.encode_to_vec()),
        ("new subscription", new_subscription.encode_to_vec()),
        ("afterwards", agents(udesk).await.unwrap().encode_to_vec()),
    ]
}

#[tokio::test]
async fn most_quirks_change_nothing_that_a_caller_sees() {
    let plain = responses(&TestServer::open().await.udesk).await;
    for quirk in Quirk::ALL {
        let quirky = match quirk {
            // These change the responses: each has a test of its own.
            Quirk::UnknownEnums
            | Quirk::ExtenInfosStrings
            | Quirk::SubscriptionsWithIds
            | Quirk::AssignedQueueIds
            | Quirk::Pages => continue,
            Quirk::TextNumbers
            | Quirk::NumberCodes
            | Quirk::EmptyBodies
            | Quirk::HttpStatuses
            | Quirk::ResultAsText
            | Quirk::Nulls
            | Quirk::ExtraFields
            | Quirk::SubSuccObject
            | Quirk::SuffixedIds
            | Quirk::SecondGenerationCodes => responses(&TestServer::with_quirk(quirk).await.udesk).await,
        };
        assert_eq!(quirky, plain, "{quirk}");
    }
}

#[tokio::test]
async fn refusals_mean_the_same_in_every_spelling() {
    for quirk in Quirk::ALL {
        let server = TestServer::with_quirk(quirk).await;
        let missing = agent(&server.udesk, "7777").await.unwrap_err();
        assert_eq!(missing.reason(), ErrorReason::ResourceNotFound, "{quirk}");
        let code = if quirk == Quirk::SecondGenerationCodes { "200004" } else { "100018" };
        assert_eq!(metadata(missing.clone(), "vendorCode"), code, "{quirk}");
        assert_eq!(resource(missing), "centers/acme/agents/7777");
        let change = v1::Agent { enabled: Some(false), ..Default::default() };
        let mara = name("centers/acme/agents/1001");
        let online = server.udesk.update_agent(&cx(), mara, change, mask(&["enabled"])).await.unwrap_err();
        assert_eq!(online.reason(), ErrorReason::AgentStateConflict, "{quirk}");
        let full = server.udesk.delete_queue(&cx(), name("centers/acme/queues/9001")).await.unwrap_err();
        assert_eq!(full.reason(), ErrorReason::ResourceInUse, "{quirk}");
        let bound = server.udesk.delete_extension(&cx(), name("centers/acme/extensions/1101")).await.unwrap_err();
        assert_eq!(bound.reason(), ErrorReason::ResourceInUse, "{quirk}");
    }
}

#[tokio::test]
async fn unknown_enums_are_unspecified_beside_the_raw_value() {
    let server = TestServer::with_quirk(Quirk::UnknownEnums).await;
    let mara = agent(&server.udesk, "1001").await.unwrap();
    assert_eq!((mara.state(), mara.role()), (v1::AgentState::Unspecified, v1::AgentRole::Unspecified));
    assert_eq!(mara.vendor_state.unwrap().code, "7");
    assert!(format!("{:?}", mara.vendor_data).contains("monitor"));
    let sales = queue(&server.udesk, "9001").await.unwrap();
    assert_eq!(sales.strategy(), v1::QueueStrategy::Unspecified);
    assert!(format!("{:?}", sales.vendor_data.unwrap().fields["Strategy"]).contains('9'));
    let mut full = v1::GetExtensionRequest::default();
    full.set_view(v1::View::Full);
    let line = server.udesk.get_extension(&cx(), name("centers/acme/extensions/1101"), full).await.unwrap();
    assert_eq!((line.protocol(), line.account.as_str()), (v1::ExtensionProtocol::Unspecified, "95550100421101"));
    assert!(format!("{:?}", line.vendor_data.unwrap().fields["SignalType"]).contains("voip"));
}

#[tokio::test]
async fn extensions_that_are_bare_numbers_have_no_account() {
    let server = TestServer::with_quirk(Quirk::ExtenInfosStrings).await;
    let mara = agent(&server.udesk, "1001").await.unwrap();
    assert_eq!(mara.extensions, ["centers/acme/extensions/1101", "centers/acme/extensions/1201"]);
    let line = server
        .udesk
        .get_extension(&cx(), name("centers/acme/extensions/1101"), v1::GetExtensionRequest::default())
        .await
        .unwrap();
    assert_eq!((line.agent.as_str(), line.account.as_str()), ("centers/acme/agents/1001", ""));
    let page = page(&mut v1::AccessSoftphoneCredentialsRequest::default());
    let reported = server.udesk.access_softphone_credentials(&cx(), name("centers/acme"), None, page).await.unwrap();
    assert!(reported.credentials.is_empty());
    let new = v1::Agent { employee_number: "E1".into(), provision_extensions: true, ..Default::default() };
    let new = v1::CreateAgentRequest { agent_id: "2001".into(), agent: Some(new), ..Default::default() };
    let made = server.udesk.create_agent(&cx(), name("centers/acme"), new).await.unwrap();
    let [first, second] = made.provisioned_extensions.as_slice() else { panic!("one of each type") };
    assert_eq!((first.initial_password.len(), first.account.as_str()), (16, "95550100421000"));
    assert_eq!((second.initial_password.as_str(), second.account.as_str()), ("", ""));
}

#[tokio::test]
async fn ids_that_udesk_lists_need_no_store() {
    let server = TestServer::with_quirk(Quirk::SubscriptionsWithIds).await;
    assert_eq!(subscriptions(&server.udesk).await.unwrap()[0].name, "centers/acme/subscriptions/101");
    let change = v1::Subscription { enabled: Some(false), ..Default::default() };
    let wallboard = name("centers/acme/subscriptions/101");
    let changed = server.udesk.update_subscription(&cx(), wallboard, change, mask(&["enabled"])).await.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.enabled), ("wallboard", Some(false)));
}

#[tokio::test]
async fn a_requested_queue_id_may_be_ignored() {
    for server in [
        TestServer::with_quirk(Quirk::AssignedQueueIds).await,
        TestServer::with(|options| options.queue_ids = QueueIds::Assign).await,
    ] {
        let new = v1::Queue { display_name: "Night".into(), ..Default::default() };
        let new = v1::CreateQueueRequest { queue_id: "9100".into(), queue: Some(new), ..Default::default() };
        let made = server.udesk.create_queue(&cx(), name("centers/acme"), new).await.unwrap();
        assert_eq!(made.name, "centers/acme/queues/181155");
        assert_eq!(queue(&server.udesk, "181155").await.unwrap().display_name, "Night");
    }
}

#[tokio::test]
async fn an_incomplete_list_says_so() {
    let server = TestServer::with_quirk(Quirk::Pages).await;
    let list = agents(&server.udesk).await.unwrap();
    assert_eq!((list.agents.len(), list.total_size), (5, 12));
    assert_eq!(list.incomplete_reason, "Udesk returned page 1 of 3 and documents no way to request the others");
    let mut lines = v1::ListExtensionsRequest::default();
    let lines_page = page(&mut lines);
    let lines = server.udesk.list_extensions(&cx(), name("centers/acme"), lines_page, lines).await.unwrap();
    assert_eq!((lines.extensions.len(), lines.incomplete_reason), (10, list.incomplete_reason));
    let beyond = server
        .udesk
        .get_extension(&cx(), name("centers/acme/extensions/1109"), v1::GetExtensionRequest::default())
        .await;
    let beyond = beyond.unwrap_err();
    assert_eq!(beyond.reason(), ErrorReason::ResourceNotFound);
    assert!(metadata(beyond, "cause").contains("page 1 of 3"));
}
