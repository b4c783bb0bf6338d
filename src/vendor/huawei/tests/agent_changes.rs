//! `CreateAgent`, `UpdateAgent`, `DeleteAgent`.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

fn new_agent() -> v1::Agent {
    v1::Agent {
        display_name: "Karl New".into(),
        login_account: "karl.new".into(),
        login_password: "Abcde#12".into(),
        email: "karl@example.com".into(),
        mobile_number: "5550199".into(),
        ..v1::Agent::default()
    }
}

async fn create(server: &TestServer, agent: v1::Agent) -> Result<v1::Agent> {
    let request = v1::CreateAgentRequest { agent: Some(agent), ..Default::default() };
    server.adapter.create_agent(&cx("CreateAgent"), center(), request).await
}

async fn update(server: &TestServer, id: &str, agent: v1::Agent, mask: &[&str]) -> Result<v1::Agent> {
    let mask = mask.iter().map(|&path| path.to_owned()).collect();
    server.adapter.update_agent(&cx("UpdateAgent"), agent_name(id), agent, mask).await
}

async fn delete(server: &TestServer, id: &str) -> Result<()> {
    server.adapter.delete_agent(&cx("DeleteAgent"), agent_name(id)).await
}

#[tokio::test]
async fn a_new_agent_is_an_agent_everywhere() {
    let server = TestServer::start("").await;
    // The cached map must not hide the new agent.
    server.agent("1001").await.unwrap();
    server.calls();
    let created = create(&server, new_agent()).await.unwrap();
    assert_eq!(server.calls(), ["agentAccount/query", "agentAccount/create", "agentAccount/query"]);
    let expected = v1::Agent {
        name: "centers/beta/agents/1013".into(),
        login_password: String::new(),
        extensions: vec!["centers/beta/extensions/88880013".into()],
        vendor_data: vendor_data(&json!({ "agentType": 4, "ccRoleId": 2 })),
        ..new_agent()
    };
    assert_eq!(created, expected);
    assert_eq!(server.agent("1013").await.unwrap(), expected);
}

#[tokio::test]
async fn vendor_data_chooses_type_and_role() {
    let server = TestServer::start("").await;
    let chosen = vendor_data(&json!({ "agentType": 99, "ccRoleId": 4 }));
    let created = create(&server, v1::Agent { vendor_data: chosen.clone(), ..new_agent() }).await.unwrap();
    assert_eq!(created.vendor_data, chosen);
}

#[tokio::test]
async fn an_existing_login_account_is_refused_before_anything_is_sent() {
    let server = TestServer::start("").await;
    let error = create(&server, v1::Agent { login_account: "anna.berg".into(), ..new_agent() }).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::ResourceExists);
    assert_eq!(server.calls(), ["agentAccount/query"]);
}

#[tokio::test]
async fn an_agent_that_cannot_be_read_back_is_returned_as_sent() {
    for (status, body) in [(500, "down"), (200, r#"{"resultCode":"0","data":[]}"#), (200, "<html>")] {
        let server = TestServer::start("").await;
        server.respond_after(1, "agentAccount/query", status, body);
        let created = create(&server, new_agent()).await.unwrap();
        assert_eq!(last(&created.name), "1013", "{body}");
        assert_eq!(created.display_name, "Karl New");
        assert_eq!(extra(created.vendor_data.as_ref(), "agentType"), "4");
        assert_eq!(created.login_password, "");
    }
}

#[tokio::test]
async fn a_number_that_the_response_omits_is_looked_up() {
    let server = TestServer::start("").await;
    server.response_is_lost("agentAccount/create", 200, r#"{"resultCode":"0","resultMessage":"success"}"#);
    assert_eq!(last(&create(&server, new_agent()).await.unwrap().name), "1013");

    let server = TestServer::start("").await;
    server.response_is_lost("agentAccount/create", 200, r#"{"resultCode":"0","resultMessage":"success"}"#);
    server.respond_after(1, "agentAccount/query", 200, r#"{"resultCode":"0","data":[]}"#);
    assert_eq!(last(&create(&server, new_agent()).await.unwrap().name), "1013");
    assert_eq!(server.calls().last().unwrap(), "queryAgentInfo");

    let server = TestServer::start("").await;
    server.respond("agentAccount/create", 200, r#"{"resultCode":"0","resultMessage":"success"}"#);
    assert_eq!(create(&server, new_agent()).await.unwrap_err().reason(), ErrorReason::VendorOutcomeUnknown);
}

#[tokio::test]
async fn a_creation_whose_response_is_lost_has_an_unknown_outcome() {
    for (status, body) in [(500, "boom"), (502, "<html>"), (200, "<html>")] {
        let server = TestServer::start("").await;
        server.response_is_lost("agentAccount/create", status, body);
        let (cx, request) =
            (cx("CreateAgent"), v1::CreateAgentRequest { agent: Some(new_agent()), ..Default::default() });
        let error = server.adapter.create_agent(&cx, center(), request).await.unwrap_err();
        assert_eq!(
            (error.reason(), cx.may_have_been_sent()),
            (ErrorReason::VendorOutcomeUnknown, true),
            "{status} {body}"
        );
        assert_eq!(server.calls().iter().filter(|call| *call == "agentAccount/create").count(), 1);
    }
}

#[tokio::test]
async fn a_refusal_shows_no_password() {
    let server = TestServer::start("").await;
    let refusal = r#"{"resultCode":"1","resultMessage":"password Abcde#12 of 13800000000 is in the list"}"#;
    server.respond("agentAccount/create", 200, refusal);
    let error = create(&server, new_agent()).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorRejected);
    let shown = format!("{error:?} {:?}", error.clone().into_status(&cx("CreateAgent")));
    assert!(shown.contains("password *** of *** is in the list"), "{shown}");
    assert!(!shown.contains("Abcde#12") && !shown.contains("13800000000"));
}

#[tokio::test]
async fn a_read_before_the_creation_that_fails_sends_nothing() {
    let server = TestServer::start("").await;
    for _ in 0..3 {
        server.respond("agentAccount/query", 503, "down");
    }
    assert_eq!(create(&server, new_agent()).await.unwrap_err().reason(), ErrorReason::VendorUnavailable);
    assert!(server.calls().is_empty());
    // A vendor that refuses to read an unknown account means the same as an empty list.
    server.respond("agentAccount/query", 200, r#"{"resultCode":"1","resultMessage":"no such account"}"#);
    create(&server, new_agent()).await.unwrap();
}

#[tokio::test]
async fn an_update_sends_what_changes_and_reads_it_back() {
    let server = TestServer::start("").await;
    let agent = v1::Agent {
        display_name: "Anna (Lead)".into(),
        email: "not.in@the.mask".into(),
        mobile_number: String::new(),
        ..v1::Agent::default()
    };
    let updated = update(&server, "1001", agent, &["display_name", "mobile_number"]).await.unwrap();
    let requests = server.requests();
    let operations: Vec<&str> = requests.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(operations, ["queryAgentInfo", "agentAccount/query", "agentAccount/update", "agentAccount/query"]);
    let sent = json!({ "userAccount": "anna.berg", "userName": "Anna (Lead)", "phone": "" });
    assert_eq!(requests[2].1, sent);
    assert_eq!((updated.display_name.as_str(), updated.mobile_number.as_str()), ("Anna (Lead)", ""));
    assert_eq!(updated.email, "anna.berg@example.com");
    assert_eq!(updated, server.agent("1001").await.unwrap());
}

#[tokio::test]
async fn vendor_data_is_changed_key_by_key() {
    let server = TestServer::start("").await;
    let agent = v1::Agent { vendor_data: vendor_data(&json!({ "agentType": 99 })), ..Default::default() };
    let updated = update(&server, "1001", agent, &["vendor_data"]).await.unwrap();
    assert_eq!(updated.vendor_data, vendor_data(&json!({ "agentType": 99, "ccRoleId": 2 })));
}

#[tokio::test]
async fn an_update_that_cannot_be_read_back_returns_the_former_agent_and_what_was_sent() {
    let server = TestServer::start("").await;
    server.respond_after(1, "agentAccount/query", 200, "<html>");
    let agent = v1::Agent { display_name: "Anna B".into(), ..Default::default() };
    let updated = update(&server, "1001", agent, &["display_name"]).await.unwrap();
    assert_eq!((updated.display_name.as_str(), updated.mobile_number.as_str()), ("Anna B", "5550101"));
    assert_eq!(updated, server.agent("1001").await.unwrap());
}

#[tokio::test]
async fn a_change_reads_the_map_again_and_compares_the_number() {
    let server = TestServer::start("").await;
    server.agent("1001").await.unwrap();
    server.calls();
    let moved = r#"{"resultCode":"0","data":[{"userAccount":"anna.berg","workNo":1044}]}"#;
    server.respond("agentAccount/query", 200, moved);
    assert_eq!(delete(&server, "1001").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    assert_eq!(server.calls(), ["queryAgentInfo"]);
    delete(&server, "1001").await.unwrap();
    assert_eq!(server.calls(), ["queryAgentInfo", "agentAccount/query", "agentAccount/delete"]);
    // Also at once: the cached map was discarded.
    assert_eq!(server.agent("1001").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    assert_eq!(delete(&server, "1001").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn an_agent_without_an_account_cannot_be_changed() {
    let server = TestServer::start("").await;
    let agent = v1::Agent { display_name: "Anna B".into(), ..Default::default() };
    for error in [
        update(&server, "1011", agent, &["display_name"]).await.unwrap_err(),
        delete(&server, "1011").await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), ErrorReason::AgentStateConflict);
    }
    assert_eq!(server.calls(), ["queryAgentInfo", "queryAgentInfo"]);
}
