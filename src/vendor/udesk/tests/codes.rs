//! Every documented return code, over a real socket.

use serde_json::json;

use super::{Scripted, ScriptedResponse, agent, agents, cx, metadata, name, page, subscriptions};
use crate::{
    error::ErrorReason::{
        self, AgentStateConflict, CenterMisconfigured, ResourceExists, ResourceInUse, ResourceNotFound, RouteInvalid,
        VendorAuthFailed, VendorCodeUnmapped, VendorInternal, VendorOutcomeUnknown, VendorRejected,
        VendorResponseInvalid, VendorTimeout, VendorUnavailable,
    },
    proto::v1,
};

/// The documented codes except success, and the reasons after a read and after a write.
const MEANINGS: [(&[&str], ErrorReason, ErrorReason); 11] = [
    (
        &["000001", "000036", "100001", "100004", "100007", "100008", "100009", "100019", "200002"],
        VendorRejected,
        VendorRejected,
    ),
    (&["000035"], VendorTimeout, VendorOutcomeUnknown),
    (
        &["000060", "100010", "100011", "100012", "100013", "100014", "200021", "200023"],
        VendorInternal,
        VendorOutcomeUnknown,
    ),
    (&["200003"], VendorUnavailable, VendorOutcomeUnknown),
    (&["100002", "100003", "100017", "200001"], CenterMisconfigured, CenterMisconfigured),
    (&["200020"], VendorAuthFailed, VendorAuthFailed),
    (&["100005", "100018", "100022", "200004"], ResourceNotFound, ResourceNotFound),
    (&["100006", "100015", "200019"], ResourceExists, ResourceExists),
    (&["100016"], ResourceInUse, ResourceInUse),
    (&["100021"], AgentStateConflict, AgentStateConflict),
    (
        &["100020", "200005", "200006", "200007", "200008", "200009", "200010", "200011", "200018", "200022", "200024"],
        RouteInvalid,
        RouteInvalid,
    ),
];

#[tokio::test]
async fn each_of_the_45_codes_means_one_thing_after_a_read_and_one_after_a_write() {
    let mut seen = vec!["000000"];
    for (codes, read, write) in MEANINGS {
        for code in codes {
            seen.push(code);
            let server = Scripted::new([ScriptedResponse::refusal(code), ScriptedResponse::refusal(code)]).await;
            let after_read = agent(&server.udesk, "1001").await.unwrap_err();
            assert_eq!((after_read.reason(), after_read.vendor_code()), (read, *code));
            let after_write = server.udesk.logout_agent(&cx(), name("centers/acme/agents/1001")).await.unwrap_err();
            assert_eq!((after_write.reason(), after_write.vendor_code()), (write, *code));
            assert_eq!(server.sent().len(), 2, "{code}");
        }
    }
    assert_eq!(seen.len(), 45);
}

#[tokio::test]
async fn success_is_a_code_and_everything_else_is_not() {
    let ok = Scripted::results([json!({ "AgentId": "1001" })]).await;
    agent(&ok.udesk, "1001").await.unwrap();
    for (body, reason) in [
        (json!({ "ErrCode": "300000", "Result": {} }), VendorCodeUnmapped),
        (json!({ "Result": { "AgentId": "1001" } }), VendorResponseInvalid),
        (json!({ "ErrCode": "", "Result": {} }), VendorResponseInvalid),
        (json!([]), VendorResponseInvalid),
    ] {
        let server =
            Scripted::new([ScriptedResponse::new(200, body.to_string()), ScriptedResponse::new(200, body.to_string())])
                .await;
        assert_eq!(agent(&server.udesk, "1001").await.unwrap_err().reason(), reason, "{body}");
        let written = server.udesk.logout_agent(&cx(), name("centers/acme/agents/1001")).await.unwrap_err();
        let unknown = if reason == VendorCodeUnmapped { VendorCodeUnmapped } else { VendorOutcomeUnknown };
        assert_eq!(written.reason(), unknown, "{body}");
    }
}

#[tokio::test]
async fn the_vendors_code_and_text_are_reported() {
    let server = Scripted::new([ScriptedResponse::new(
        404,
        r#"{"ErrCode":"100018","ErrDesc":"agent of 13676546374 not found for sid-0001"}"#,
    )])
    .await;
    let error = agent(&server.udesk, "1001").await.unwrap_err();
    for (key, expected) in [
        ("vendorCode", "100018"),
        ("vendorMessage", "agent of *** not found for ***"),
        ("vendorOperation", "GET /agents/{id}"),
        ("vendorHttpStatus", "404"),
        ("sent", "false"),
    ] {
        assert_eq!(metadata(error.clone(), key), expected);
    }
}

#[tokio::test]
async fn in_a_list_no_records_is_an_empty_list() {
    for code in ["100018", "200004"] {
        let server = Scripted::new((0..7).map(|_| ScriptedResponse::refusal(code))).await;
        let (udesk, center) = (&server.udesk, || name("centers/acme"));
        assert!(agents(udesk).await.unwrap().agents.is_empty());
        let mut of_queue = v1::ListAgentsRequest::default();
        let of_queue_page = page(&mut of_queue);
        let queue = Some(name("centers/acme/queues/9001"));
        let response = udesk.list_agents(&cx(), center(), queue, of_queue_page, of_queue).await.unwrap();
        assert_eq!((response.agents.len(), response.total_size), (0, 0));
        let mut numbers = v1::ListPhoneNumbersRequest::default();
        let numbers_page = page(&mut numbers);
        assert!(
            udesk.list_phone_numbers(&cx(), center(), numbers_page, numbers).await.unwrap().phone_numbers.is_empty()
        );
        let mut queues = v1::ListQueuesRequest::default();
        let queues_page = page(&mut queues);
        assert!(udesk.list_queues(&cx(), center(), queues_page, queues).await.unwrap().queues.is_empty());
        let mut extensions = v1::ListExtensionsRequest::default();
        let extensions_page = page(&mut extensions);
        let response = udesk.list_extensions(&cx(), center(), extensions_page, extensions).await.unwrap();
        assert!(response.extensions.is_empty());
        let credentials_page = page(&mut v1::AccessSoftphoneCredentialsRequest::default());
        let response = udesk.access_softphone_credentials(&cx(), center(), None, credentials_page).await.unwrap();
        assert!(response.credentials.is_empty());
        assert!(subscriptions(udesk).await.unwrap().is_empty());
        assert_eq!(server.sent().len(), 7);
    }
}

#[tokio::test]
async fn a_response_whose_status_and_code_disagree_fails() {
    let body = r#"{"ErrCode":"000000","ErrDesc":"OK","Result":{"AgentId":"1001"}}"#;
    let server = Scripted::new([ScriptedResponse::new(500, body), ScriptedResponse::new(500, body)]).await;
    assert_eq!(agent(&server.udesk, "1001").await.unwrap_err().reason(), VendorResponseInvalid);
    let written = server.udesk.logout_agent(&cx(), name("centers/acme/agents/1001")).await.unwrap_err();
    assert_eq!(written.reason(), VendorOutcomeUnknown);
}

#[tokio::test]
async fn an_empty_agent_is_not_found() {
    for nothing in [json!(null), json!(""), json!([])] {
        let server = Scripted::results([nothing]).await;
        assert_eq!(agent(&server.udesk, "1001").await.unwrap_err().reason(), ResourceNotFound);
    }
}
