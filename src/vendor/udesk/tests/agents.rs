//! Agents and memberships of queues: Udesk 04 to 06, 15 to 17, 25, 26.

use prost_types::{Duration, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Value, json};

use super::{
    Scripted, ScriptedResponse, TestServer, agent, agents, cx, fields, mask, metadata, name, names, page, resource,
};
use crate::{
    error::{ErrorReason, Result},
    proto::v1,
};

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

fn vendor_data(key: &str, kind: Kind) -> Struct {
    Struct { fields: [(key.to_owned(), ProtoValue { kind: Some(kind) })].into() }
}

fn new_agent() -> v1::Agent {
    v1::Agent { display_name: "Vera Lund".into(), employee_number: "E_2001".into(), ..v1::Agent::default() }
}

async fn create(server: &TestServer, id: &str, agent: v1::Agent) -> Result<v1::Agent> {
    let request = v1::CreateAgentRequest { agent_id: id.into(), agent: Some(agent), ..Default::default() };
    server.udesk.create_agent(&cx(), name("centers/acme"), request).await
}

#[tokio::test]
async fn an_agent_is_created_with_the_set_fields_only() {
    let server = TestServer::open().await;
    let bare =
        create(&server, "2000", v1::Agent { employee_number: "E2000".into(), ..Default::default() }).await.unwrap();
    assert_eq!((bare.name.as_str(), bare.role()), ("centers/acme/agents/2000", v1::AgentRole::Agent));
    assert!(bare.extensions.is_empty() && bare.provisioned_extensions.is_empty());

    let mut full = v1::Agent {
        mobile_number: "19900002001".into(),
        email: "vera@example.com".into(),
        enabled: Some(true),
        inbound_wrap_up_duration: Some(seconds(15)),
        outbound_wrap_up_duration: Some(seconds(0)),
        vendor_data: Some(vendor_data("AssistantAccessRight", Kind::NumberValue(3.0))),
        ..new_agent()
    };
    full.set_role(v1::AgentRole::Leader);
    let made = create(&server, "2001", full.clone()).await.unwrap();
    full.name = "centers/acme/agents/2001".into();
    assert_eq!(made, full);

    let sent = server.sent();
    assert_eq!(sent[0], ("POST /agents".into(), json!({ "AgentId": "2000", "WorkId": "E2000" })));
    let body = json!({
        "AgentId": "2001", "WorkId": "E_2001", "Name": "Vera Lund", "Mobile": "19900002001", "Email": "vera@example.com",
        "Role": "leader", "Enable": true, "WrapUpTime": 15, "OutWrapUpTime": 0, "AssistantAccessRight": 3,
    });
    assert_eq!(sent[1], ("POST /agents".into(), body));
}

#[tokio::test]
async fn extensions_created_with_an_agent_have_their_passwords_once() {
    let server = TestServer::open().await;
    let made = create(&server, "2001", v1::Agent { provision_extensions: true, ..new_agent() }).await.unwrap();
    assert_eq!(server.sent()[0].1["IsCreateExtension"], 1);
    assert_eq!(made.extensions, ["centers/acme/extensions/1000", "centers/acme/extensions/1001"]);
    let [sip, webrtc] = made.provisioned_extensions.as_slice() else { panic!("one of each type") };
    assert_eq!((sip.protocol(), webrtc.protocol()), (v1::ExtensionProtocol::Sip, v1::ExtensionProtocol::Webrtc));
    assert_eq!((sip.name.as_str(), sip.account.as_str()), ("centers/acme/extensions/1000", "95550100421000"));
    assert_eq!(sip.agent, "centers/acme/agents/2001");
    assert_eq!(sip.initial_password.len(), 16);
    let read = agent(&server.udesk, "2001").await.unwrap();
    assert!(read.provisioned_extensions.is_empty());
    assert!(!format!("{:?}", read.vendor_data).contains(&sip.initial_password));
}

#[tokio::test]
async fn a_new_agents_extensions_have_three_forms() {
    let provisioned = async |result: Value| {
        let server = Scripted::results([result]).await;
        let agent = Some(v1::Agent { provision_extensions: true, ..new_agent() });
        let request = v1::CreateAgentRequest { agent_id: "2001".into(), agent, ..Default::default() };
        let made = server.udesk.create_agent(&cx(), name("centers/acme"), request).await.unwrap();
        assert_eq!(made.name, "centers/acme/agents/2001");
        let lines = made.provisioned_extensions.into_iter();
        lines.map(|line| [line.name, line.account, line.initial_password]).collect::<Vec<_>>()
    };
    let line = |id: &str, account: &str, password: &str| {
        [format!("centers/acme/extensions/{id}"), account.to_owned(), password.to_owned()]
    };
    let account = "93000077121002";
    let alone = json!({ "AgentId": "2001@7859ff65", "Extension": "1002", "Password": "p", "Number": account });
    assert_eq!(provisioned(alone).await, [line("1002", account, "p")]);
    let listed = json!({ "Extension": "1002", "Password": "p", "Number": account, "ExtenInfos": ["1002", "1003"] });
    assert_eq!(provisioned(listed).await, [line("1002", account, "p"), line("1003", "", "")]);
    let in_full = json!({ "ExtenInfos": [{ "Extension": 1002, "Password": "p", "Number": "057126200670" }] });
    assert_eq!(provisioned(in_full).await, [line("1002", "", "p")]);
    for nothing in [json!(null), json!(""), json!({ "Extension": "", "ExtenInfos": null })] {
        assert!(provisioned(nothing).await.is_empty());
    }
}

#[tokio::test]
async fn an_invalid_agent_is_refused_before_anything_is_sent() {
    let server = TestServer::open().await;
    let refused =
        create(&server, "20a1", v1::Agent { employee_number: String::new(), ..new_agent() }).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::FieldInvalid);
    assert_eq!(fields(&refused), ["agent_id", "agent.employee_number"]);
    let unsupported = v1::Agent {
        login_account: "vera".into(),
        login_password: "secret".into(),
        vendor_data: Some(vendor_data("Role", Kind::StringValue("agent".into()))),
        ..new_agent()
    };
    let refused = create(&server, "2001", unsupported).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&refused), ["agent.login_account", "agent.login_password", "agent.vendor_data.Role"]);
    for wrong in [Kind::NumberValue(1.5), Kind::NumberValue(f64::NAN), Kind::StringValue("1".into())] {
        let wrong = v1::Agent { vendor_data: Some(vendor_data("AssistantAccessRight", wrong)), ..new_agent() };
        let refused = create(&server, "2001", wrong).await.unwrap_err();
        assert_eq!(fields(&refused), ["agent.vendor_data.AssistantAccessRight"]);
    }
    assert!(server.sent().is_empty());
}

#[tokio::test]
async fn an_existing_agent_is_named() {
    let server = TestServer::open().await;
    let refused = create(&server, "1001", new_agent()).await.unwrap_err();
    assert_eq!((refused.reason(), refused.vendor_code()), (ErrorReason::ResourceExists, "100015"));
    assert_eq!(resource(refused), "centers/acme/agents/1001");
}

async fn update(server: &TestServer, id: &str, change: v1::Agent, paths: &[&str]) -> Result<v1::Agent> {
    server.udesk.update_agent(&cx(), name(&format!("centers/acme/agents/{id}")), change, mask(paths)).await
}

#[tokio::test]
async fn an_update_sends_the_masked_fields_and_reads_back() {
    let server = TestServer::open().await;
    let change = v1::Agent {
        display_name: "Theo O.".into(),
        email: String::new(),
        mobile_number: "not in the mask".into(),
        outbound_wrap_up_duration: Some(seconds(25)),
        vendor_data: Some(vendor_data("AssistantAccessRight", Kind::NumberValue(2.0))),
        ..Default::default()
    };
    let paths = ["display_name", "email", "outbound_wrap_up_duration", "vendor_data"];
    let changed = update(&server, "1002", change, &paths).await.unwrap();
    let sent = server.sent();
    let body =
        json!({ "AgentId": "1002", "Name": "Theo O.", "Email": "", "OutWrapUpTime": 25, "AssistantAccessRight": 2 });
    assert_eq!(sent, [("PUT /agents/1002".into(), body), ("GET /agents/1002".into(), Value::Null)]);
    assert_eq!((changed.display_name.as_str(), changed.email.as_str()), ("Theo O.", ""));
    assert_eq!((changed.mobile_number.as_str(), changed.role()), ("19900001002", v1::AgentRole::Agent));
    assert_eq!(changed.outbound_wrap_up_duration, Some(seconds(25)), "Udesk 25 does not tell it");
    let data = changed.vendor_data.unwrap().fields;
    assert!(data.contains_key("AssistantAccessRight") && data.contains_key("NickName"));
}

#[tokio::test]
async fn an_update_that_cannot_be_read_back_returns_what_was_sent() {
    let server = Scripted::new([ScriptedResponse::new(204, ""), ScriptedResponse::new(503, "")]).await;
    let change = v1::Agent { enabled: Some(false), ..Default::default() };
    let agent = name("centers/acme/agents/1002");
    let changed = server.udesk.update_agent(&cx(), agent, change, mask(&["enabled"])).await.unwrap();
    let expected = v1::Agent { name: "centers/acme/agents/1002".into(), enabled: Some(false), ..Default::default() };
    assert_eq!(changed, expected);
}

#[tokio::test]
async fn an_update_that_breaks_a_format_is_not_sent() {
    let server = TestServer::open().await;
    let change =
        v1::Agent { vendor_data: Some(vendor_data("NickName", Kind::StringValue("T".into()))), ..Default::default() };
    let refused = update(&server, "x", change, &["employee_number", "vendor_data"]).await.unwrap_err();
    assert_eq!(fields(&refused), ["agent.name", "agent.employee_number", "agent.vendor_data.NickName"]);
    assert!(server.sent().is_empty());
    let refused = update(&server, "7777", new_agent(), &["display_name"]).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::ResourceNotFound);
    assert_eq!(resource(refused), "centers/acme/agents/7777");
}

#[tokio::test]
async fn an_agent_is_disabled_only_while_offline() {
    let disable = || v1::Agent { enabled: Some(false), ..Default::default() };
    let server = TestServer::open().await;
    let refused = update(&server, "1001", disable(), &["enabled"]).await.unwrap_err();
    assert_eq!((refused.reason(), refused.vendor_code()), (ErrorReason::AgentStateConflict, "100021"));
    assert_eq!(update(&server, "1004", disable(), &["enabled"]).await.unwrap().enabled, Some(false));

    // A refusal without a reason (C62): one read decides.
    let reported = async |state: Value, enabled: bool| {
        let server =
            Scripted::new([ScriptedResponse::refusal("000001"), ScriptedResponse::ok(&json!({ "State": state }))])
                .await;
        let change = v1::Agent { enabled: Some(enabled), ..Default::default() };
        let refused = server.udesk.update_agent(&cx(), name("centers/acme/agents/1"), change, mask(&["enabled"])).await;
        let refused = refused.unwrap_err();
        assert_eq!(metadata(refused.clone(), "vendorCode"), "000001");
        assert_eq!(metadata(refused.clone(), "vendorMessage"), "no such thing");
        (refused.reason(), server.sent().len())
    };
    assert_eq!(reported(json!(1), false).await, (ErrorReason::AgentStateConflict, 2));
    assert_eq!(reported(json!("0"), false).await, (ErrorReason::AgentStateConflict, 2));
    assert_eq!(reported(json!(4), false).await, (ErrorReason::VendorRejected, 2));
    assert_eq!(reported(json!(null), false).await, (ErrorReason::VendorRejected, 2));
    assert_eq!(reported(json!(1), true).await, (ErrorReason::VendorRejected, 1));
}

#[tokio::test]
async fn agents_are_added_to_queues_and_removed_from_them() {
    let server = TestServer::open().await;
    let queues = async || agent(&server.udesk, "1001").await.unwrap().queues;
    let mara = || name("centers/acme/agents/1001");
    let [sales, billing, support] = [9001, 9002, 9003].map(|id| format!("centers/acme/queues/{id}"));
    server.udesk.add_agent_queues(&cx(), mara(), names(&[&billing])).await.unwrap();
    assert_eq!(queues().await, [sales.as_str(), &billing]);
    server.udesk.set_agent_queues(&cx(), mara(), names(&[&support, &sales])).await.unwrap();
    assert_eq!(queues().await, [support.as_str(), &sales]);
    server.udesk.remove_agent_queues(&cx(), mara(), names(&[&sales])).await.unwrap();
    assert_eq!(queues().await, [support.as_str()]);
    let pair = names(&["centers/acme/agents/1001", "centers/acme/agents/1002"]);
    server.udesk.add_queue_agents(&cx(), name(&billing), pair).await.unwrap();
    assert_eq!(queues().await, [support.as_str(), &billing]);
    let mut sent = server.sent();
    sent.retain(|(line, _)| !line.starts_with("GET"));
    let expected = [
        ("POST /agents/queues", json!({ "AgentId": "1001", "Queues": ["9002"], "IsFull": 0 })),
        ("POST /agents/queues", json!({ "AgentId": "1001", "Queues": ["9003", "9001"], "IsFull": 1 })),
        ("DELETE /agents/queues", json!({ "AgentId": "1001", "Queues": ["9001"] })),
        ("POST /queues/agents", json!({ "QueueId": "9002", "AgentIds": ["1001", "1002"] })),
    ];
    assert_eq!(sent, expected.map(|(line, body)| (line.to_owned(), body)));
}

#[tokio::test]
async fn the_missing_resource_is_named_although_udesk_does_not_say() {
    let server = TestServer::open().await;
    let agent = |id: &str| name(&format!("centers/acme/agents/{id}"));
    let queues = || names(&["centers/acme/queues/9001", "centers/acme/queues/9999"]);
    let known = || names(&["centers/acme/queues/9001"]);
    let udesk = &server.udesk;
    for (refused, missing) in [
        (udesk.add_agent_queues(&cx(), agent("1001"), queues()).await, "queues/9999"),
        (udesk.set_agent_queues(&cx(), agent("7777"), known()).await, "agents/7777"),
        (udesk.remove_agent_queues(&cx(), agent("1001"), queues()).await, "queues/9999"),
        (udesk.remove_agent_queues(&cx(), agent("7777"), known()).await, "agents/7777"),
        (
            udesk.add_queue_agents(&cx(), name("centers/acme/queues/9001"), vec![agent("1001"), agent("7777")]).await,
            "agents/7777",
        ),
        (udesk.add_queue_agents(&cx(), name("centers/acme/queues/9999"), vec![agent("1001")]).await, "queues/9999"),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.reason(), refused.vendor_code()), (ErrorReason::ResourceNotFound, "100018"));
        assert_eq!(resource(refused), format!("centers/acme/{missing}"));
    }
}

#[tokio::test]
async fn memberships_of_a_wrong_format_are_not_sent() {
    let server = TestServer::open().await;
    let (queues, agents) =
        (names(&["centers/acme/queues/9001", "centers/acme/queues/q"]), names(&["centers/acme/agents/a"]));
    let refused = server.udesk.add_agent_queues(&cx(), name("centers/acme/agents/a"), queues).await.unwrap_err();
    assert_eq!(fields(&refused), ["agent", "queues[1]"]);
    let refused = server.udesk.add_queue_agents(&cx(), name("centers/acme/queues/q"), agents).await.unwrap_err();
    assert_eq!(fields(&refused), ["queue", "agents[0]"]);
    assert!(server.sent().is_empty());
}

#[tokio::test]
async fn filters_are_udesks_for_all_agents_and_the_gateways_for_those_of_a_queue() {
    let server = TestServer::open().await;
    let ids = async |queue: Option<&str>, change: fn(&mut v1::ListAgentsRequest)| {
        let mut request = v1::ListAgentsRequest::default();
        change(&mut request);
        let page = page(&mut request);
        let queue = queue.map(|queue| name(&format!("centers/acme/queues/{queue}")));
        let response = server.udesk.list_agents(&cx(), name("centers/acme"), queue, page, request).await.unwrap();
        assert_eq!(usize::try_from(response.total_size), Ok(response.agents.len()));
        let id = |agent: v1::Agent| agent.name.trim_start_matches("centers/acme/agents/").to_owned();
        response.agents.into_iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, |_| {}).await.len(), 12);
    assert_eq!(ids(None, |request| request.set_role(v1::AgentRole::Leader)).await, ["1009"]);
    assert_eq!(ids(None, |request| request.enabled = Some(false)).await, ["1010"]);
    assert_eq!(ids(None, |request| request.set_state(v1::AgentState::Offline)).await.len(), 6);
    assert_eq!(ids(None, |request| request.vendor_state = "1".into()).await, ["1002", "1005"]);
    assert_eq!(ids(None, |request| request.query = "a b&c".into()).await.len(), 0);
    assert_eq!(ids(Some("9001"), |_| {}).await, ["1001", "1002", "1003", "1009", "1010"]);
    assert_eq!(ids(Some("9001"), |request| request.set_role(v1::AgentRole::Leader)).await, ["1009"]);
    assert_eq!(ids(Some("9001"), |request| request.enabled = Some(false)).await, ["1010"]);
    assert_eq!(ids(Some("9001"), |request| request.vendor_state = "1".into()).await, ["1002"]);
    assert_eq!(ids(Some("9001"), |request| request.query = "MARA".into()).await, ["1001"]);
    assert_eq!(ids(Some("9001"), |request| request.query = "19900001003".into()).await, ["1003"]);
    let requests = server.requests();
    let asked = |index: usize, key: &str| {
        requests[index].query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    };
    assert_eq!([asked(1, "Role"), asked(2, "Enable"), asked(3, "State")], [Some("leader"), Some("false"), Some("4")]);
    assert_eq!([asked(0, "Role"), asked(0, "State"), asked(5, "FuzzyQuery")], [None, None, Some("a b&c")]);
}

#[tokio::test]
async fn the_documents_agent_is_read_as_it_is_printed() {
    let server = TestServer::of_document().await;
    let one = agent(&server.udesk, "355").await.unwrap();
    assert_eq!((one.name.as_str(), one.state()), ("centers/acme/agents/355", v1::AgentState::Offline));
    assert_eq!(one.vendor_state, Some(v1::VendorValue { code: "4".into(), description: "offline".into() }));
    assert_eq!(one.state_reason, Some(v1::VendorValue { code: "0".into(), description: String::new() }));
    assert_eq!(one.queues, ["centers/acme/queues/2"]);
    assert_eq!(one.extensions, ["centers/acme/extensions/1145", "centers/acme/extensions/1146"]);
    assert_eq!(one.default_phone_number, "centers/acme/phoneNumbers/0107766");
    let list = agents(&server.udesk).await.unwrap();
    assert_eq!((list.total_size, list.agents.len()), (32, 1));
    assert_eq!(list.incomplete_reason, "Udesk counts 32 agents and returned 1");
    assert_eq!(
        (list.agents[0].name.as_str(), list.agents[0].employee_number.as_str()),
        ("centers/acme/agents/189", "")
    );
    assert_eq!(
        (list.agents[0].state(), list.agents[0].inbound_wrap_up_duration),
        (v1::AgentState::NotReady, Some(seconds(0)))
    );
}
