//! Records that no resource name identifies.

use serde_json::json;

use super::*;
use crate::{error::ErrorReason, page::Page};

/// Longer than any ID of the contract.
fn long() -> String {
    "7".repeat(140)
}

fn left_out(count: usize, items: &str) -> String {
    format!("Huawei returned no ID that can be a name for {count} of the {items}; they are left out")
}

/// No name has an empty segment or one that does not parse.
fn check_names(shown: &str) {
    assert!(!shown.contains("/\"") && !shown.contains(&"7".repeat(100)), "{shown}");
}

#[tokio::test]
async fn nested_queues_and_extensions_that_no_name_identifies_are_left_out() {
    let server = TestServer::start("").await;
    let account = json!({ "userAccount": "a-1", "userName": "Ito", "workNo": "1307", "sipAccount": long(),
        "skills": [{ "skillId": 2 }, {}, { "skillId": "" }, { "skillId": long() }] });
    let accounts =
        json!({ "resultCode": "0", "total": 2, "data": [account, { "userAccount": "a-2", "workNo": long() }] });
    server.respond("agentAccount/query", 200, &accounts.to_string());
    server.respond(
        "queryAgentInfo",
        200,
        &json!({ "agents": [{ "workNo": "1307", "accountCode": "a-1" }] }).to_string(),
    );
    let mut request = v1::ListAgentsRequest::default();
    let page = Page::take("ListAgents", &mut request).unwrap();
    let list =
        server.adapter.list_agents(&cx("ListAgents"), CenterName::new("beta"), None, page, request).await.unwrap();
    assert_eq!((list.agents.len(), list.agents[0].name.as_str()), (1, "centers/beta/agents/1307"));
    assert_eq!(list.agents[0].queues, ["centers/beta/queues/2"]);
    assert!(list.incomplete_reason.contains("1 of those that were read"), "{}", list.incomplete_reason);
    check_names(&format!("{list:?}"));
}

#[tokio::test]
async fn queues_and_numbers_that_no_name_identifies_are_left_out_and_reported() {
    let server = TestServer::start("").await;
    let skills = json!([{ "skillId": 2, "name": "a" }, { "name": "b" }, { "skillId": long() }]);
    server.respond("querySkills", 200, &json!({ "returnCode": "0", "total": 3, "data": skills }).to_string());
    let mut request = v1::ListQueuesRequest::default();
    let page = Page::take("ListQueues", &mut request).unwrap();
    let list = server.adapter.list_queues(&cx("ListQueues"), CenterName::new("beta"), page, request).await.unwrap();
    assert_eq!((list.queues.len(), list.total_size, list.incomplete_reason.as_str()), (1, 3, &*left_out(2, "queues")));
    check_names(&format!("{list:?}"));

    let codes = json!([{ "accessCode": "5550001" }, { "mediatypeId": 5 }, { "accessCode": "+" }]);
    let body = json!({ "returnCode": "0", "data": { "total": 3, "calledRouteList": codes } });
    server.respond("queryAccessCodeList", 200, &body.to_string());
    let list = server.list_numbers(v1::ListPhoneNumbersRequest::default()).await.unwrap();
    assert_eq!((list.phone_numbers.len(), list.total_size), (1, 3));
    assert_eq!(list.incomplete_reason, left_out(2, "access codes"));
    check_names(&format!("{:?}", list.phone_numbers));
}

#[tokio::test]
async fn credentials_that_no_name_identifies_are_left_out_and_reported() {
    let server = TestServer::start("").await;
    let agents = json!([{ "workNo": 1307, "sipAccount": "", "sipPwd": "s-1" }, { "sipPwd": "s-2" }]);
    server.respond("querySysInfo", 200, &json!({ "agents": agents }).to_string());
    let phones = json!([{ "phoneNum": "88880016", "password": "s-3" }, { "password": "s-4" }]);
    server.respond(
        "queryPhone",
        200,
        &json!({ "retCode": "0", "result": { "total": 2, "phone": phones } }).to_string(),
    );
    let page = Page::take("AccessSoftphoneCredentials", &mut v1::AccessSoftphoneCredentialsRequest::default()).unwrap();
    let (cx, center) = (cx("AccessSoftphoneCredentials"), CenterName::new("beta"));
    let response = server.adapter.access_softphone_credentials(&cx, center, None, page).await.unwrap();
    assert_eq!(response.credentials.len(), 2);
    assert_eq!(response.incomplete_reason, format!("{}; {}", left_out(1, "agents"), left_out(1, "softphones")));
    check_names(&format!("{:?}", response.credentials));
}

/// The write was accepted: a repetition creates a second queue.
#[tokio::test]
async fn a_queue_that_was_created_without_a_number_must_not_be_created_again() {
    for created in [json!({ "returnCode": "0" }), json!({ "returnCode": "0", "skillId": long() })] {
        let server = TestServer::start("").await;
        server.respond("createSkill", 200, &created.to_string());
        let listed = json!({ "returnCode": "0", "total": 1, "data": [{ "name": "Returns" }] });
        server.respond("querySkills", 200, &listed.to_string());
        let request = v1::CreateQueueRequest {
            queue: Some(v1::Queue { display_name: "Returns".into(), ..v1::Queue::default() }),
            ..v1::CreateQueueRequest::default()
        };
        let (cx, center) = (cx("CreateQueue"), CenterName::new("beta"));
        let error = server.adapter.create_queue(&cx, center, request).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::VendorOutcomeUnknown);
        assert!(error.message().contains("do not repeat the request"), "{}", error.message());
        assert_eq!(metadata(&error, "cause"), "the vendor reported success without an ID");
    }
}
