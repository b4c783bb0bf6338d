//! Records that no resource name identifies.

use serde_json::{Value, json};

use super::{Scripted, ScriptedResponse, cx, metadata, name, page};
use crate::{
    error::ErrorReason::{ResourceNotFound, VendorOutcomeUnknown},
    name::QueueName,
    proto::v1,
};

/// Longer than any ID of the contract.
fn long() -> String {
    "7".repeat(140)
}

fn agents() -> Value {
    json!({ "AgentList": [
        { "AgentId": "1307", "Name": "Ito", "Queues": ["9001", "", long()], "Extensions": ["1440", "", long()],
          "DefSpNumber": "+" },
        { "Name": "nobody", "ExtenInfos": [{ "Extension": "1550", "Password": "p-1550" }, {}] },
        { "AgentId": long(), "ExtenInfos": [{ "Extension": long(), "Password": "p-1660" }, { "Number": "1" }] },
        { "AgentId": "a/b" },
    ] })
}

fn left_out(count: usize, items: &str) -> String {
    format!("Udesk returned no ID that can be a name for {count} of the {items}; they are left out")
}

/// No name has an empty segment or one that does not parse.
fn check_names(shown: &str) {
    assert!(!shown.contains("/\"") && !shown.contains(&"7".repeat(100)), "{shown}");
}

#[tokio::test]
async fn agents_that_no_name_identifies_are_left_out_and_reported() {
    let server = Scripted::results([agents(), agents()]).await;
    for queue in [None, Some(QueueName::new("acme", "9001"))] {
        let mut request = v1::ListAgentsRequest::default();
        let page = page(&mut request);
        let list = server.udesk.list_agents(&cx(), name("centers/acme"), queue, page, request).await.unwrap();
        let names: Vec<&str> = list.agents.iter().map(|agent| agent.name.as_str()).collect();
        assert_eq!(names, ["centers/acme/agents/a%2Fb", "centers/acme/agents/1307"]);
        let agent = &list.agents[1];
        assert_eq!(agent.queues, ["centers/acme/queues/9001"]);
        assert_eq!(agent.extensions, ["centers/acme/extensions/1440"]);
        assert_eq!(agent.default_phone_number, "");
        assert_eq!(list.incomplete_reason, left_out(2, "agents"));
        check_names(&format!("{list:?}"));
    }
}

#[tokio::test]
async fn extensions_of_an_unnamed_agent_are_listed_without_it() {
    let server = Scripted::results([agents(), agents(), agents()]).await;
    let mut request = v1::ListExtensionsRequest::default();
    let list_page = page(&mut request);
    let list = server.udesk.list_extensions(&cx(), name("centers/acme"), list_page, request).await.unwrap();
    let names: Vec<&str> = list.extensions.iter().map(|extension| extension.name.as_str()).collect();
    assert_eq!(names, ["centers/acme/extensions/1440", "centers/acme/extensions/1550"]);
    assert_eq!(list.extensions[1].agent, "");
    assert_eq!(list.incomplete_reason, left_out(3, "extensions"));
    check_names(&format!("{list:?}"));

    let credentials_page = page(&mut v1::AccessSoftphoneCredentialsRequest::default());
    let response = server.udesk.access_softphone_credentials(&cx(), name("centers/acme"), None, credentials_page).await;
    let response = response.unwrap();
    assert_eq!(response.credentials.len(), 1);
    assert_eq!(response.credentials[0].agent, "");
    assert_eq!(response.incomplete_reason, left_out(1, "extensions"));
    check_names(&format!("{response:?}"));

    let request = v1::GetExtensionRequest::default();
    let missing = server.udesk.get_extension(&cx(), name("centers/acme/extensions/1999"), request).await.unwrap_err();
    assert_eq!((missing.reason(), metadata(missing, "cause")), (ResourceNotFound, left_out(3, "extensions")));
}

#[tokio::test]
async fn queues_and_numbers_that_no_name_identifies_are_left_out_and_reported() {
    let queues = json!({ "Queues": [{ "QueueId": "9031", "Name": "a" }, { "Name": "b" }, { "QueueId": "@x" },
        { "QueueId": long() }] });
    let server = Scripted::results([queues.clone(), queues]).await;
    let mut request = v1::ListQueuesRequest::default();
    let list_page = page(&mut request);
    let list = server.udesk.list_queues(&cx(), name("centers/acme"), list_page, request).await.unwrap();
    assert_eq!((list.queues.len(), list.total_size), (1, 4));
    assert_eq!(list.incomplete_reason, left_out(3, "queues"));
    check_names(&format!("{list:?}"));
    let request = v1::GetQueueRequest::default();
    let missing = server.udesk.get_queue(&cx(), name("centers/acme/queues/9032"), request).await.unwrap_err();
    assert_eq!((missing.reason(), metadata(missing, "cause")), (ResourceNotFound, left_out(3, "queues")));

    let numbers = json!({ "SpNumbers": ["02155501234", "", "+", long()], "DefSpNumber": "" });
    let server = Scripted::results([numbers]).await;
    let mut request = v1::ListPhoneNumbersRequest::default();
    let list_page = page(&mut request);
    let list = server.udesk.list_phone_numbers(&cx(), name("centers/acme"), list_page, request).await.unwrap();
    assert_eq!((list.phone_numbers.len(), list.incomplete_reason), (1, left_out(3, "numbers")));
    check_names(&format!("{:?}", list.phone_numbers));
}

#[tokio::test]
async fn subscriptions_that_no_name_identifies_are_left_out_and_reported() {
    let listed = json!([{ "name": "a", "callback": "https://a", "subid": long() },
        { "name": "b", "callback": "https://b", "subid": "7" }, { "name": "c", "callback": "https://c" }]);
    let server = Scripted::results([listed]).await;
    let mut request = v1::ListSubscriptionsRequest::default();
    let list_page = page(&mut request);
    let list = server.udesk.list_subscriptions(&cx(), name("centers/acme"), list_page).await.unwrap();
    assert_eq!((list.subscriptions.len(), list.incomplete_reason.as_str()), (2, &*left_out(1, "subscriptions")));
    check_names(&format!("{list:?}"));
}

/// The write was accepted: whoever repeats it rings a customer again, or creates a second record.
#[tokio::test]
async fn a_write_that_succeeds_without_an_id_must_not_be_repeated() {
    for results in [r#""""#, "null", "[]", "{}", r#"{"call":1}"#] {
        let body = format!(r#"{{"code":"000000","message":"OK","results":{results}}}"#);
        let server = Scripted::new([ScriptedResponse::new(200, body)]).await;
        let request = v1::StartCallbackRequest {
            customer_number: "13700000007".into(),
            entry_number: "02155501234".into(),
            ..Default::default()
        };
        let accepted = server.udesk.start_callback(&cx(), name("centers/acme"), request).await.unwrap_err();
        assert_eq!(accepted.reason(), VendorOutcomeUnknown, "{results}");
        assert!(accepted.message().contains("do not repeat the request"), "{}", accepted.message());
        for (key, value) in [
            ("vendorCode", "000000"),
            ("vendorOperation", "POST /callback2ivr"),
            ("cause", "the vendor reported success without an ID"),
        ] {
            assert_eq!(metadata(accepted.clone(), key), value);
        }
    }
    for made in [json!({ "QueueId": long() }), json!(""), json!({ "QueueId": "" })] {
        let server = Scripted::results([made.clone(), json!({ "Queues": [{ "Name": "Returns" }] })]).await;
        let request = v1::CreateQueueRequest {
            queue: Some(v1::Queue { display_name: "Returns".into(), ..v1::Queue::default() }),
            ..v1::CreateQueueRequest::default()
        };
        let created = server.udesk.create_queue(&cx(), name("centers/acme"), request).await.unwrap_err();
        assert_eq!(created.reason(), VendorOutcomeUnknown, "{made}");
        assert!(created.message().contains("do not repeat the request"), "{}", created.message());
    }
}
