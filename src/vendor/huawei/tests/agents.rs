//! `ListAgents` and `GetAgent`.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

fn list(page_size: i32) -> v1::ListAgentsRequest {
    v1::ListAgentsRequest { parent: "centers/beta".into(), page_size, ..Default::default() }
}

/// IDs of every page, and how many pages there were.
async fn all(server: &TestServer, request: v1::ListAgentsRequest) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = v1::ListAgentsRequest { page_token: token, ..request.clone() };
        let response = server.list_agents(page).await.unwrap();
        ids.extend(response.agents.iter().map(|agent| last(&agent.name)));
        pages += 1;
        token = response.next_page_token;
        if token.is_empty() {
            return (ids, pages);
        }
    }
}

#[tokio::test]
async fn an_agent_combines_account_and_number() {
    let server = TestServer::start("").await;
    let agent = server.agent("1002").await.unwrap();
    let expected = v1::Agent {
        name: "centers/beta/agents/1002".into(),
        display_name: "Ben Okafor".into(),
        mobile_number: "5550102".into(),
        email: "ben.okafor@example.com".into(),
        login_account: "ben.okafor".into(),
        queues: vec!["centers/beta/queues/1".into(), "centers/beta/queues/2".into()],
        extensions: vec!["centers/beta/extensions/88880002".into()],
        vendor_data: vendor_data(&json!({ "agentType": 4, "ccRoleId": 2 })),
        ..v1::Agent::default()
    };
    assert_eq!(agent, expected);
    assert_eq!(server.calls(), ["queryAgentInfo", "agentAccount/query"]);
    let basic = server.adapter.get_agent(&cx("GetAgent"), agent_name("1002"), v1::GetAgentRequest::default()).await;
    assert_eq!(basic.unwrap(), v1::Agent { vendor_data: None, ..expected });
}

#[tokio::test]
async fn the_map_of_numbers_and_accounts_is_cached_for_a_minute() {
    let server = TestServer::start("").await;
    server.agent("1001").await.unwrap();
    server.time.advance(Duration::from_secs(59));
    server.agent("1002").await.unwrap();
    assert_eq!(server.calls(), ["queryAgentInfo", "agentAccount/query", "agentAccount/query"]);
    server.time.advance(Duration::from_secs(1));
    server.agent("1001").await.unwrap();
    assert_eq!(server.calls(), ["queryAgentInfo", "agentAccount/query"]);
}

#[tokio::test]
async fn an_account_of_another_agent_is_not_shown_as_the_first_ones() {
    let server = TestServer::start("").await;
    server.agent("1001").await.unwrap();
    server.calls();
    let moved = r#"{"resultCode":"0","data":[{"userAccount":"anna.berg","workNo":1044}]}"#;
    server.respond("agentAccount/query", 200, moved);
    let agents = r#"{"agents":[{"workNo":1044,"accountCode":"anna.berg"},{"workNo":1001,"accountCode":"anna.old"}]}"#;
    server.respond("queryAgentInfo", 200, agents);
    server.respond("agentAccount/query", 200, r#"{"resultCode":"0","data":[{"userAccount":"anna.old"}]}"#);
    let agent = server.agent("1001").await.unwrap();
    assert_eq!((last(&agent.name).as_str(), agent.login_account.as_str()), ("1001", "anna.old"));
}

#[tokio::test]
async fn an_agent_without_an_account_is_read_from_the_softphones() {
    let server = TestServer::start("").await;
    let agent = server.agent("1011").await.unwrap();
    let expected = v1::Agent {
        name: "centers/beta/agents/1011".into(),
        extensions: vec!["centers/beta/extensions/88880011".into()],
        ..v1::Agent::default()
    };
    assert_eq!(agent, expected);
    assert_eq!(server.calls(), ["queryAgentInfo", "querySysInfo"]);
}

#[tokio::test]
async fn an_unknown_agent_is_not_found() {
    let server = TestServer::start("").await;
    let error = server.agent("1099").await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::ResourceNotFound);
    assert_eq!(server.calls(), ["queryAgentInfo"]);
}

#[tokio::test]
async fn agents_are_listed_in_pages_of_any_size() {
    let server = TestServer::start("").await;
    let expected: Vec<String> = (1001..=1010).map(|id| id.to_string()).collect();
    for (size, pages) in [(1, 10), (3, 4), (10, 1), (0, 1), (500, 1)] {
        assert_eq!(all(&server, list(size)).await, (expected.clone(), pages), "{size}");
    }
    let response = server.list_agents(list(3)).await.unwrap();
    assert_eq!(response.total_size, 10);
    assert_eq!(
        response.incomplete_reason,
        "Huawei lists no agent without a business account, 2 in this center; GetAgent returns them"
    );
    assert!(response.agents.iter().all(|agent| agent.vendor_data.is_none()));
}

#[tokio::test]
async fn the_size_of_a_page_may_change_between_pages() {
    let server = TestServer::start("").await;
    let first = server.list_agents(list(3)).await.unwrap();
    let second = v1::ListAgentsRequest { page_token: first.next_page_token, ..list(5) };
    let second = server.list_agents(second).await.unwrap();
    let ids: Vec<String> = second.agents.iter().map(|agent| last(&agent.name)).collect();
    assert_eq!(ids, ["1004", "1005", "1006", "1007", "1008"]);
}

#[tokio::test]
async fn the_agents_of_a_queue_are_whole() {
    let server = TestServer::start("").await;
    let request = v1::ListAgentsRequest { queue: "centers/beta/queues/2".into(), ..list(2) };
    let response = server.list_agents(request.clone()).await.unwrap();
    assert_eq!((response.total_size, response.agents.len()), (5, 2));
    assert_eq!(response.agents[0], v1::Agent { vendor_data: None, ..server.agent("1002").await.unwrap() });
    assert!(!response.incomplete_reason.is_empty());
    let (ids, pages) = all(&server, request).await;
    assert_eq!((ids, pages), (["1002", "1004", "1005", "1006", "1007"].map(str::to_owned).to_vec(), 3));
}

#[tokio::test]
async fn an_unknown_queue_is_not_found() {
    let server = TestServer::start("").await;
    let request = v1::ListAgentsRequest { queue: "centers/beta/queues/99".into(), ..list(0) };
    let error = server.list_agents(request).await.unwrap_err();
    assert_eq!((error.reason(), metadata(&error, "vendorCode").as_str()), (ErrorReason::ResourceNotFound, "1"));
}

#[tokio::test]
async fn the_gateway_searches_for_text() {
    let server = TestServer::start("").await;
    for (query, found) in [
        ("OKAFOR", vec!["1002"]),
        ("1009", vec!["1009"]),
        ("example.com", vec!["1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010"]),
        ("55501", vec!["1001", "1002", "1003", "1004", "1006", "1007", "1008", "1009", "1010"]),
        ("nobody", vec![]),
    ] {
        let request = v1::ListAgentsRequest { query: query.into(), ..list(4) };
        assert_eq!(all(&server, request.clone()).await.0, found, "{query}");
        assert_eq!(server.list_agents(request).await.unwrap().total_size, i32::try_from(found.len()).unwrap());
    }
    let both = v1::ListAgentsRequest { query: "ana".into(), queue: "centers/beta/queues/2".into(), ..list(0) };
    assert_eq!(all(&server, both).await.0, ["1004"]);
}

#[tokio::test]
async fn filters_by_fields_that_huawei_does_not_return_are_refused() {
    let server = TestServer::start("").await;
    let request = v1::ListAgentsRequest {
        role: v1::AgentRole::Agent.into(),
        enabled: Some(true),
        state: v1::AgentState::Offline.into(),
        vendor_state: "4".into(),
        ..list(0)
    };
    let error = server.list_agents(request).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&error), ["role", "enabled", "state", "vendor_state"]);
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn accounts_without_a_number_get_it_from_the_other_list_or_are_omitted() {
    let server = TestServer::start("").await;
    let accounts = r#"{"resultCode":"0","total":3,"data":[{"userAccount":"anna.berg","userName":"Anna"},
        {"userAccount":"nobody","userName":"N"},{"userAccount":"ben.okafor","workNo":"1002"}]}"#;
    server.respond("agentAccount/query", 200, accounts);
    let response = server.list_agents(list(0)).await.unwrap();
    let ids: Vec<String> = response.agents.iter().map(|agent| last(&agent.name)).collect();
    assert_eq!(ids, ["1001", "1002"]);
    assert!(
        response
            .incomplete_reason
            .ends_with("; business accounts without an agent are not listed, 1 of those that were read")
    );
}

#[tokio::test]
async fn the_documents_own_tenant_is_read() {
    let server = TestServer::with(Setup { tenant: Tenant::Document, ..Setup::default() }).await;
    // Its samples have accounts without numbers and numbers without accounts, and no total.
    let response = server.list_agents(list(0)).await.unwrap();
    assert!(response.agents.is_empty());
    let reason = "Huawei lists no agent without a business account, 2 in this center; GetAgent returns them; \
                  business accounts without an agent are not listed, 3 of those that were read";
    assert_eq!(response.incomplete_reason, reason);
    assert_eq!(server.agent("1522").await.unwrap().extensions, ["centers/beta/extensions/88881619"]);
    let account = r#"{"agents":[{"workNo":101,"accountCode":"test123456"}]}"#;
    server.time.advance(Duration::from_secs(60));
    server.respond("queryAgentInfo", 200, account);
    let agent = server.agent("101").await.unwrap();
    assert_eq!((agent.display_name.as_str(), agent.queues), ("test111", vec!["centers/beta/queues/2".into()]));
}
