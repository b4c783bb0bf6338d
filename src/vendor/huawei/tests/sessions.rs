//! `LoginAgent` and `LogoutAgent`.

use serde_json::json;

use super::*;
use crate::error::ErrorReason;

async fn login(bench: &Bench, id: &str, request: v1::LoginAgentRequest) -> Result<v1::LoginAgentResponse> {
    let queues = request.queues.iter().map(|name| QueueName::parse(name).unwrap()).collect();
    bench.adapter.login_agent(&cx("LoginAgent"), agent_name(id), queues, request).await
}

async fn logout(bench: &Bench, id: &str) -> Result<v1::LogoutAgentResponse> {
    bench.adapter.logout_agent(&cx("LogoutAgent"), agent_name(id)).await
}

fn on(phone_number: &str) -> v1::LoginAgentRequest {
    v1::LoginAgentRequest { phone_number: phone_number.into(), ..Default::default() }
}

#[tokio::test]
async fn an_agent_signs_in_on_the_phone_of_the_request() {
    let bench = Bench::start("").await;
    let answer = login(&bench, "1002", on("5559999")).await.unwrap();
    let sent = json!({ "phone": "5559999", "workNo": 1002 });
    assert_eq!(bench.requests(), [("offline/agent/login".to_owned(), sent)]);
    let told = answer.vendor_data.unwrap();
    let keys: Vec<&str> = told.fields.keys().map(String::as_str).collect();
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
    assert_eq!(logout(&bench, "1002").await.unwrap(), v1::LogoutAgentResponse::default());
    assert_eq!(bench.requests(), [("offline/agent/logout".to_owned(), json!({ "workNo": 1002 }))]);
}

#[tokio::test]
async fn without_one_it_is_the_agents_own_read_anew() {
    let bench = Bench::start("").await;
    bench.agent("1002").await.unwrap();
    bench.calls();
    login(&bench, "1002", on("")).await.unwrap();
    let requests = bench.requests();
    let operations: Vec<&str> = requests.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(operations, ["queryAgentInfo", "agentAccount/query", "offline/agent/login"]);
    assert_eq!(requests[2].1["phone"], "5550102");
    for without_phone in ["1005", "1011"] {
        let error = login(&bench, without_phone, on("")).await.unwrap_err();
        assert_eq!((error.reason(), fields(&error)), (ErrorReason::FieldInvalid, vec!["phone_number"]));
    }
    assert!(!bench.calls().contains(&"offline/agent/login".to_owned()));
    // An agent without an account signs in all the same.
    login(&bench, "1011", on("5550111")).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_not_found_and_other_refusals_are_the_vendors() {
    let bench = Bench::start("").await;
    for error in [
        login(&bench, "1099", on("5550199")).await.unwrap_err(),
        login(&bench, "1099", on("")).await.unwrap_err(),
        logout(&bench, "1099").await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), ErrorReason::ResourceNotFound);
    }
    let error = logout(&bench, "1001").await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorRejected);
    assert_eq!(metadata(&error, "vendorMessage"), "The agent has not signed in");
}

#[tokio::test]
async fn what_huawei_does_not_take_at_sign_in_is_refused() {
    let bench = Bench::start("").await;
    let request = v1::LoginAgentRequest {
        initial_state: v1::AgentState::Ready.into(),
        employee_number: "w1".into(),
        queues: vec!["centers/beta/queues/1".into()],
        vendor_data: vendor_data(&json!({ "state": 1 })),
        ..on("5550102")
    };
    let error = login(&bench, "1002", request).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&error), ["initial_state", "employee_number", "queues", "vendor_data"]);
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn a_sign_in_whose_answer_is_lost_has_an_unknown_outcome() {
    let bench = Bench::start("").await;
    bench.answer_is_lost("offline/agent/login", 502, "<html>");
    let error = login(&bench, "1002", on("5550102")).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorOutcomeUnknown);
    // It was done.
    logout(&bench, "1002").await.unwrap();
}
