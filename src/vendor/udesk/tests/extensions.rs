//! Relay numbers, extensions and their passwords: Udesk 01 to 03, 07 to 10, and the extensions of agents.

use serde_json::{Value, json};

use super::{Scripted, ScriptedResponse, TestServer, cx, fields, metadata, name, names, page, resource};
use crate::{
    adapter::Adapter,
    error::{ErrorReason, Result},
    proto::v1,
};

async fn extensions(udesk: &std::sync::Arc<dyn Adapter>, size: i32, token: &str) -> v1::ListExtensionsResponse {
    let mut request = v1::ListExtensionsRequest { page_size: size, page_token: token.into(), ..Default::default() };
    request.set_view(v1::View::Full);
    udesk.list_extensions(&cx(), name("centers/acme"), page(&mut request), request).await.unwrap()
}

async fn extension(server: &TestServer, id: &str) -> Result<v1::Extension> {
    server
        .udesk
        .get_extension(&cx(), name(&format!("centers/acme/extensions/{id}")), v1::GetExtensionRequest::default())
        .await
}

async fn create(server: &TestServer, id: &str, protocol: v1::ExtensionProtocol) -> Result<v1::Extension> {
    let extension = v1::Extension { protocol: protocol.into(), ..Default::default() };
    server.udesk.create_extension(&cx(), name(&format!("centers/acme/extensions/{id}")), extension).await
}

#[tokio::test]
async fn an_extension_is_created_with_a_password_that_is_returned_once() {
    let server = TestServer::open().await;
    let made = create(&server, "1500", v1::ExtensionProtocol::Webrtc).await.unwrap();
    assert_eq!(server.sent(), [("POST /extensions".into(), json!({ "Extension": "1500", "SignalType": 1 }))]);
    assert_eq!((made.name.as_str(), made.protocol()), ("centers/acme/extensions/1500", v1::ExtensionProtocol::Webrtc));
    assert_eq!((made.account.as_str(), made.agent.as_str()), ("95550100421500", ""));
    assert_eq!(made.initial_password.len(), 16);

    let pair = || names(&["centers/acme/extensions/1300", "centers/acme/extensions/1500"]);
    let lucia = || name("centers/acme/agents/1011");
    server.udesk.bind_agent_extensions(&cx(), lucia(), pair()).await.unwrap();
    let bound = extension(&server, "1500").await.unwrap();
    assert_eq!((bound.agent.as_str(), bound.protocol()), ("centers/acme/agents/1011", v1::ExtensionProtocol::Webrtc));
    assert_eq!(bound.initial_password, "");
    server.udesk.unbind_agent_extensions(&cx(), lucia(), pair()).await.unwrap();
    assert_eq!(extension(&server, "1500").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    server.udesk.delete_extension(&cx(), name("centers/acme/extensions/1500")).await.unwrap();
    let mut sent = server.sent();
    sent.retain(|(line, _)| !line.starts_with("GET"));
    let expected = [
        ("POST /agents/extensions", json!({ "AgentId": "1011", "Extensions": ["1300", "1500"] })),
        ("DELETE /agents/extensions", json!({ "AgentId": "1011", "Extensions": ["1300", "1500"] })),
        ("DELETE /extensions", json!({ "Extension": "1500" })),
    ];
    assert_eq!(sent, expected.map(|(line, body)| (line.to_owned(), body)));
}

#[tokio::test]
async fn the_documents_extension_is_read_as_it_is_printed() {
    let server = TestServer::of_document().await;
    let made = create(&server, "1002", v1::ExtensionProtocol::Sip).await.unwrap();
    assert_eq!((made.account.as_str(), made.initial_password.as_str()), ("93000077121002", "336cd1655a1d0502"));
    assert_eq!(made.protocol(), v1::ExtensionProtocol::Sip);
}

#[tokio::test]
async fn the_requested_values_complete_a_new_extension() {
    for (result, protocol, raw) in [
        (json!(null), v1::ExtensionProtocol::Webrtc, "1"),
        (json!({ "SignalType": "1" }), v1::ExtensionProtocol::Webrtc, "1"),
        (json!({ "SignalType": "voip" }), v1::ExtensionProtocol::Unspecified, "voip"),
    ] {
        let server = Scripted::results([result]).await;
        let asked = v1::Extension { protocol: v1::ExtensionProtocol::Webrtc.into(), ..Default::default() };
        let made = server.udesk.create_extension(&cx(), name("centers/acme/extensions/1500"), asked).await.unwrap();
        assert_eq!((made.name.as_str(), made.protocol()), ("centers/acme/extensions/1500", protocol));
        assert!(format!("{:?}", made.vendor_data.unwrap().fields["SignalType"]).contains(raw));
    }
}

#[tokio::test]
async fn an_extension_that_cannot_be_created_is_refused() {
    let server = TestServer::open().await;
    for bad in ["8001", "150", "15000", "15a0"] {
        let refused = create(&server, bad, v1::ExtensionProtocol::Sip).await.unwrap_err();
        assert_eq!((refused.reason(), fields(&refused)), (ErrorReason::FieldInvalid, vec!["extension_id"]), "{bad}");
    }
    let asked = v1::Extension { vendor_data: Some(prost_types::Struct::default()), ..Default::default() };
    let refused = server.udesk.create_extension(&cx(), name("centers/acme/extensions/1500"), asked).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::FieldUnsupported);
    assert!(server.sent().is_empty());
    let refused = create(&server, "1101", v1::ExtensionProtocol::Sip).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::ResourceExists);
    assert_eq!(resource(refused), "centers/acme/extensions/1101");
}

#[tokio::test]
async fn an_extension_that_is_bound_is_in_use() {
    let server = TestServer::open().await;
    let delete = async |id: &str| {
        let refused = server.udesk.delete_extension(&cx(), name(&format!("centers/acme/extensions/{id}"))).await;
        let refused = refused.unwrap_err();
        (refused.reason(), metadata(refused.clone(), "vendorCode"), resource(refused))
    };
    let bound = (ErrorReason::ResourceInUse, "000001".to_owned(), "centers/acme/extensions/1101".to_owned());
    assert_eq!(delete("1101").await, bound);
    let missing = (ErrorReason::ResourceNotFound, "100018".to_owned(), "centers/acme/extensions/1999".to_owned());
    assert_eq!(delete("1999").await, missing);
    let other =
        Scripted::new([ScriptedResponse::refusal("000001"), ScriptedResponse::ok(&json!({ "AgentList": [] }))]).await;
    let refused = other.udesk.delete_extension(&cx(), name("centers/acme/extensions/1300")).await.unwrap_err();
    assert_eq!((refused.reason(), other.sent().len()), (ErrorReason::VendorRejected, 2));
}

#[tokio::test]
async fn an_extension_that_cannot_be_bound_is_named() {
    let server = TestServer::open().await;
    let agent = |id: &str| name(&format!("centers/acme/agents/{id}"));
    let lines = |ids: &[&str]| {
        let full: Vec<String> = ids.iter().map(|id| format!("centers/acme/extensions/{id}")).collect();
        names(&full.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let udesk = &server.udesk;
    for (refused, missing) in [
        (udesk.bind_agent_extensions(&cx(), agent("1011"), lines(&["1999"])).await, "extensions/1999"),
        (udesk.bind_agent_extensions(&cx(), agent("7777"), lines(&["1300"])).await, "agents/7777"),
        (udesk.unbind_agent_extensions(&cx(), agent("1001"), lines(&["1101", "1102"])).await, "extensions/1102"),
        (udesk.unbind_agent_extensions(&cx(), agent("7777"), lines(&["1300"])).await, "agents/7777"),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::ResourceNotFound);
        assert_eq!(resource(refused), format!("centers/acme/{missing}"));
    }
    let taken = udesk.bind_agent_extensions(&cx(), agent("1011"), lines(&["1101"])).await.unwrap_err();
    assert_eq!(taken.reason(), ErrorReason::VendorRejected);
    server.sent();
    let refused = udesk.bind_agent_extensions(&cx(), agent("a"), lines(&["1300", "x1"])).await.unwrap_err();
    assert_eq!(fields(&refused), ["agent", "extensions[1]"]);
    assert!(server.sent().is_empty());
}

#[tokio::test]
async fn bound_extensions_are_listed_page_by_page() {
    let server = TestServer::open().await;
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let response = extensions(&server.udesk, 7, &token).await;
        assert_eq!(response.total_size, 20);
        seen.extend(response.extensions);
        token = response.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 20);
    let webrtc = seen.iter().find(|extension| extension.name == "centers/acme/extensions/1203").unwrap();
    assert_eq!((webrtc.protocol(), webrtc.account.as_str()), (v1::ExtensionProtocol::Webrtc, "95550100421203"));
    assert_eq!(webrtc.agent, "centers/acme/agents/1003");
    assert!(seen.iter().all(|extension| extension.initial_password.is_empty()));
    assert!(
        !format!("{:?}", seen.iter().map(|extension| &extension.vendor_data).collect::<Vec<_>>()).contains("Password")
    );
}

#[tokio::test]
async fn an_account_has_fourteen_digits_and_voip_is_unspecified() {
    let info =
        |number: &str, signal_type: Value| json!({ "Extension": "1145", "Number": number, "SignalType": signal_type });
    for (info, account, protocol) in [
        (info("93000077121145", json!(0)), "93000077121145", v1::ExtensionProtocol::Sip),
        (info("93000077121145", json!("1")), "93000077121145", v1::ExtensionProtocol::Webrtc),
        (info("91234567890", json!("voip")), "", v1::ExtensionProtocol::Unspecified),
        (info("", json!(null)), "", v1::ExtensionProtocol::Unspecified),
        (json!("1145"), "", v1::ExtensionProtocol::Unspecified),
    ] {
        let list = json!({ "AgentList": [{ "AgentId": 355, "Extensions": null, "ExtenInfos": [info] }] });
        let server = Scripted::results([list]).await;
        let listed = extensions(&server.udesk, 0, "").await.extensions;
        assert_eq!((listed[0].name.as_str(), listed[0].account.as_str()), ("centers/acme/extensions/1145", account));
        assert_eq!(listed[0].protocol(), protocol);
        let raw = format!("{:?}", listed[0].vendor_data);
        assert_eq!(raw.contains("voip"), protocol == v1::ExtensionProtocol::Unspecified && raw.contains("91234567890"));
    }
}

#[tokio::test]
async fn passwords_are_returned_of_all_or_one_agent_where_known() {
    let server = TestServer::open().await;
    let access = async |agent: Option<&str>| {
        let page = page(&mut v1::AccessSoftphoneCredentialsRequest::default());
        let agent = agent.map(|id| name(&format!("centers/acme/agents/{id}")));
        server.udesk.access_softphone_credentials(&cx(), name("centers/acme"), agent, page).await
    };
    let all = access(None).await.unwrap().credentials;
    assert_eq!(all.len(), 20);
    let of_one = access(Some("1001")).await.unwrap().credentials;
    assert_eq!(of_one.len(), 2);
    assert_eq!(
        (of_one[0].agent.as_str(), of_one[0].extension.as_str()),
        ("centers/acme/agents/1001", "centers/acme/extensions/1101")
    );
    assert_eq!((of_one[0].account.as_str(), of_one[0].password.len()), ("95550100421101", 16));
    assert_eq!(of_one[0].password, all[0].password);
    assert_eq!(all[0].protocol(), v1::ExtensionProtocol::Sip);
    let missing = access(Some("7777")).await.unwrap_err();
    assert_eq!(resource(missing), "centers/acme/agents/7777");
    assert_eq!(fields(&access(Some("a")).await.unwrap_err()), ["agent"]);
    let lines: Vec<String> = server.sent().into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["GET /agents", "GET /agents/1001", "GET /agents/7777"]);
}

#[tokio::test]
async fn a_default_number_must_be_in_the_list() {
    let server = TestServer::open().await;
    let number = async |number: &str| {
        let name = name(&format!("centers/acme/phoneNumbers/{number}"));
        server.udesk.get_phone_number(&cx(), name, v1::GetPhoneNumberRequest::default()).await
    };
    let set = async |number: &str| {
        server.udesk.set_default_phone_number(&cx(), name(&format!("centers/acme/phoneNumbers/{number}"))).await
    };
    assert!(number("01055500100").await.unwrap().is_default);
    set("02155500102").await.unwrap();
    assert!(number("02155500102").await.unwrap().is_default);
    assert!(!number("01055500100").await.unwrap().is_default);
    server.sent();
    for refused in [set("057126200670").await.unwrap_err(), number("057126200670").await.map(drop).unwrap_err()] {
        assert_eq!(refused.reason(), ErrorReason::ResourceNotFound);
        assert!(!refused.message().contains("057126200670"), "{}", refused.message());
        assert_eq!(resource(refused), "centers/acme/phoneNumbers/057126200670");
    }
    assert_eq!(server.sent(), [("GET /spnumbers".into(), Value::Null), ("GET /spnumbers".into(), Value::Null)]);
    server.udesk.clear_default_phone_number(&cx(), name("centers/acme")).await.unwrap();
    let cleared = server.requests();
    assert_eq!((cleared[0].method.as_str(), cleared[0].body.as_str()), ("DELETE", ""));
    let json = ("content-type".to_owned(), "application/json;charset=utf-8".to_owned());
    assert!(cleared[0].headers.contains(&json), "also without a body (C8)");
    assert!(!number("02155500102").await.unwrap().is_default);
}

#[tokio::test]
async fn the_documents_default_number_joins_the_list() {
    let server = TestServer::of_document().await;
    let mut request = v1::ListPhoneNumbersRequest::default();
    let page = page(&mut request);
    let response = server.udesk.list_phone_numbers(&cx(), name("centers/acme"), page, request).await.unwrap();
    let default: Vec<_> = response.phone_numbers.iter().filter(|number| number.is_default).collect();
    assert_eq!(default.len(), 1);
    assert_eq!(usize::try_from(response.total_size), Ok(response.phone_numbers.len()));
}

#[tokio::test]
async fn a_callback_through_an_unknown_number_names_it_and_calls_nobody() {
    let server = TestServer::open().await;
    let request = v1::StartCallbackRequest {
        customer_number: "13676546374".into(),
        entry_number: "01055500199".into(),
        ..v1::StartCallbackRequest::default()
    };
    let refused = server.udesk.start_callback(&cx(), name("centers/acme"), request).await.unwrap_err();
    assert_eq!((refused.reason(), refused.vendor_code()), (ErrorReason::ResourceNotFound, "100005"));
    assert_eq!(resource(refused), "centers/acme/phoneNumbers/01055500199");
    assert!(server.simulator.callbacks().is_empty());
}
