//! `LoginAgent` and `LogoutAgent`.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

async fn login(server: &TestServer, id: &str, request: v1::LoginAgentRequest) -> Result<v1::LoginAgentResponse> {
    let queues = request.queues.iter().map(|name| QueueName::parse(name).unwrap()).collect();
    server.adapter.login_agent(&cx("LoginAgent"), agent_name(id), queues, request).await
}

async fn logout(server: &TestServer, id: &str) -> Result<v1::LogoutAgentResponse> {
    server.adapter.logout_agent(&cx("LogoutAgent"), agent_name(id)).await
}

fn on(phone_number: &str) -> v1::LoginAgentRequest {
    v1::LoginAgentRequest { phone_number: phone_number.into(), ..Default::default() }
}

#[tokio::test]
async fn an_agent_signs_in_on_the_phone_of_the_request() {
    let server = TestServer::start("").await;
    let response = login(&server, "1002", on("5559999")).await.unwrap();
    let sent = json!({ "phone": "5559999", "workNo": 1002 });
    assert_eq!(server.requests(), [("offline/agent/login".to_owned(), sent)]);
    let reported = response.vendor_data.unwrap();
    let keys: Vec<&str> = reported.fields.keys().map(String::as_str).collect();
    let expected = [
        "agentType",
        "forceLogin",
        "isAutoAnswer",
        "isMultiChannelSupport",
        "restTime",
        "skills",
        "videoMode",
        "workNo",
    ];
    assert_eq!(keys, expected);
    assert_eq!(logout(&server, "1002").await.unwrap(), v1::LogoutAgentResponse::default());
    assert_eq!(server.requests(), [("offline/agent/logout".to_owned(), json!({ "workNo": 1002 }))]);
}

#[tokio::test]
async fn without_a_phone_number_it_is_the_agents_own() {
    let server = TestServer::start("").await;
    server.agent("1002").await.unwrap();
    server.calls();
    login(&server, "1002", on("")).await.unwrap();
    let requests = server.requests();
    let operations: Vec<&str> = requests.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(operations, ["queryAgentInfo", "agentAccount/query", "offline/agent/login"]);
    assert_eq!(requests[2].1["phone"], "5550102");
    for without_phone in ["1005", "1011"] {
        let error = login(&server, without_phone, on("")).await.unwrap_err();
        assert_eq!((error.reason(), fields(&error)), (ErrorReason::FieldInvalid, vec!["phone_number"]));
    }
    assert!(!server.calls().contains(&"offline/agent/login".to_owned()));
    // An agent without an account can sign in, too.
    login(&server, "1011", on("5550111")).await.unwrap();
}

#[tokio::test]
async fn an_unknown_agent_is_not_found_and_other_refusals_are_the_vendors() {
    let server = TestServer::start("").await;
    for error in [
        login(&server, "1099", on("5550199")).await.unwrap_err(),
        login(&server, "1099", on("")).await.unwrap_err(),
        logout(&server, "1099").await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), ErrorReason::ResourceNotFound);
    }
    let error = logout(&server, "1001").await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorRejected);
    assert_eq!(metadata(&error, "vendorMessage"), "The agent has not signed in");
}

#[tokio::test]
async fn fields_that_huawei_does_not_accept_at_sign_in_are_refused() {
    let server = TestServer::start("").await;
    let request = v1::LoginAgentRequest {
        initial_state: v1::AgentState::Ready.into(),
        employee_number: "w1".into(),
        queues: vec!["centers/beta/queues/1".into()],
        vendor_data: vendor_data(&json!({ "state": 1 })),
        ..on("5550102")
    };
    let error = login(&server, "1002", request).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&error), ["initial_state", "employee_number", "queues", "vendor_data"]);
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_sign_in_whose_response_is_lost_has_an_unknown_outcome() {
    let server = TestServer::start("").await;
    server.response_is_lost("offline/agent/login", 502, "<html>");
    let error = login(&server, "1002", on("5550102")).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorOutcomeUnknown);
    // The sign-in happened.
    logout(&server, "1002").await.unwrap();
}
