//! Numbers in forms that Udesk's document does not describe.

use serde_json::json;

use super::{Scripted, ScriptedResponse, cx, fields, name, page};
use crate::{
    error::{ErrorReason, Result},
    proto::v1,
};

async fn call(server: &Scripted, customer: &str, entry: &str, caller_id: &str) -> Result<v1::StartCallbackResponse> {
    let request = v1::StartCallbackRequest {
        customer_number: customer.into(),
        entry_number: entry.into(),
        caller_id: caller_id.into(),
        ..v1::StartCallbackRequest::default()
    };
    server.udesk.start_callback(&cx(), name("centers/acme"), request).await
}

#[tokio::test]
async fn udesk_decides_about_numbers_of_a_form_that_its_document_does_not_know() {
    let server = Scripted::results([json!("c-1"), json!("c-2")]).await;
    call(&server, "95588", "8008207788", "").await.unwrap();
    call(&server, "02155507700", "4008123123", "10086").await.unwrap();
    let sent: Vec<_> = server.sent().into_iter().map(|(_, body)| body).collect();
    assert_eq!(sent[0], json!({ "caller": "95588", "called": "8008207788", "called_display": "8008207788" }));
    assert_eq!(sent[1], json!({ "caller": "02155507700", "called": "4008123123", "called_display": "10086" }));
}

fn listed() -> ScriptedResponse {
    ScriptedResponse::ok(&json!({ "SpNumbers": ["+4930901820", "T 7"], "DefSpNumber": "400-820-7788" }))
}

#[tokio::test]
async fn a_number_that_udesk_lists_is_valid_in_any_form() {
    // After a list, and as the first call of a gateway, which reads the list itself.
    for is_first in [false, true] {
        let answers = [listed(), ScriptedResponse::ok(&json!("c-1")), ScriptedResponse::ok(&json!("c-2"))];
        let server = Scripted::new(answers).await;
        if !is_first {
            let mut request = v1::ListPhoneNumbersRequest::default();
            server.udesk.list_phone_numbers(&cx(), name("centers/acme"), page(&mut request), request).await.unwrap();
        }
        call(&server, "02155507700", "+4930901820", "T 7").await.unwrap();
        call(&server, "02155507700", "400-820-7788", "").await.unwrap();
        assert_eq!(server.sent()[2].1["called_display"], "400-820-7788");
        // A customer's number is none of the center's.
        let error = call(&server, "+4930901820", "T 8", "").await.unwrap_err();
        assert_eq!(fields(&error), ["customer_number", "entry_number"]);
        let error = call(&server, "02155507700", "T 8", &"7".repeat(33)).await.unwrap_err();
        assert_eq!((error.reason(), fields(&error)), (ErrorReason::FieldInvalid, vec!["entry_number", "caller_id"]));
        // The list is new enough.
        assert_eq!(server.sent().len(), 3);
    }
}

#[tokio::test]
async fn a_call_that_fails_in_any_case_reads_no_numbers() {
    let server = Scripted::new([]).await;
    let error = call(&server, "+4930901820", "T 7", "T 8").await.unwrap_err();
    assert_eq!(fields(&error), ["customer_number", "entry_number", "caller_id"]);
    assert!(server.sent().is_empty());
}

#[tokio::test]
async fn calls_with_unknown_numbers_share_one_list() {
    let calls = (0..5).map(|_| ScriptedResponse::ok(&json!("c-1")));
    let server = Scripted::new([listed()].into_iter().chain(calls)).await;
    let calls = ["T 7", "+4930901820", "400-820-7788", "T 7", "T 7", "none", "nothing"];
    let results = calls.map(|entry| call(&server, "02155507700", entry, ""));
    let results = futures_util::future::join_all(results).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert_eq!(server.sent().len(), 6);
}

#[tokio::test]
async fn udesk_decides_where_its_list_of_numbers_is_not_whole() {
    let part = json!({ "SpNumbers": ["T 7"], "CurrPage": 1, "TotalPage": 2, "Total": 2 });
    let server = Scripted::new([ScriptedResponse::ok(&part), ScriptedResponse::ok(&json!("c-1"))]).await;
    call(&server, "02155507700", "T 8", "").await.unwrap();
    assert_eq!(server.sent()[1].1["called"], "T 8");
}

#[tokio::test]
async fn a_call_whose_number_cannot_be_looked_for_is_not_sent() {
    let refused = || ScriptedResponse { status: 503, body: String::new(), date: None };
    let server = Scripted::new([refused(), refused(), refused(), listed(), ScriptedResponse::ok(&json!("c-1"))]).await;
    let error = call(&server, "02155507700", "T 7", "").await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorUnavailable);
    assert!(server.sent().iter().all(|(request, _)| request.contains("spnumbers")), "{:?}", server.sent());
}
