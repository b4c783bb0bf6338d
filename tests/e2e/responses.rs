//! Responses that callers cannot receive: clients accept 4 MiB by default.

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Gateway, acme,
    client::Failure,
    vendor::{Response, Scripted},
};

/// A text that a response of the vendor may have and a response to the caller may not.
fn large() -> String {
    "t".repeat(5 << 20)
}

fn of(failure: &Failure) -> (Code, &str) {
    (failure.code, failure.reason.as_str())
}

#[tokio::test]
async fn a_read_whose_response_is_too_large_says_so() {
    let agent = |name: &str| json!({"AgentId": "1001", "Name": name});
    let list = |agents: Vec<Value>| Response::json(&json!({"ErrCode": "000000", "Result": {"AgentList": agents}}));
    // An item of a list is at most 1 MiB.
    let million = "m".repeat(1_000_000);
    let several = (0..5).map(|number| json!({"AgentId": format!("100{number}"), "Name": million})).collect();
    let vendor = Scripted::start([
        Response::json(&json!({"ErrCode": "000000", "Result": agent(&large())})),
        list(several),
        list(vec![agent(&large())]),
    ])
    .await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let failure = gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/1001"})).await.unwrap_err();
    assert_eq!(of(&failure), (Code::Internal, "VENDOR_RESPONSE_INVALID"), "{failure:?}");
    assert!(failure.fields.is_empty() && failure.message.contains("4 MiB"), "{failure:?}");

    let page = json!({"parent": "centers/acme", "page_size": 50});
    let failure = gateway.client.call("ListAgents", page.clone()).await.unwrap_err();
    assert_eq!(of(&failure), (Code::Internal, "VENDOR_RESPONSE_INVALID"), "{failure:?}");
    assert_eq!(failure.fields, ["page_size"], "{failure:?}");
    // One item that is too large alone is in no smaller page.
    let failure = gateway.client.call("ListAgents", page).await.unwrap_err();
    assert_eq!(of(&failure), (Code::Internal, "VENDOR_RESPONSE_INVALID"), "{failure:?}");
    assert!(failure.fields.is_empty(), "{failure:?}");
}

#[tokio::test]
async fn a_write_whose_response_is_too_large_is_done_and_sent_once() {
    let vendor =
        Scripted::start([Response::json(&json!({"code": "000000", "message": "OK", "results": large()}))]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let callback = json!({
        "parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100",
        "request_id": "0e2b1f5c-5c39-4f0c-9d0e-3f6f0b3a7c11",
    });
    for _ in 0..3 {
        let failure = gateway.client.call("StartCallback", callback.clone()).await.unwrap_err();
        assert_eq!(of(&failure), (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"), "{failure:?}");
        assert!(failure.message.contains("the vendor accepted the request"), "{failure:?}");
    }
    assert_eq!(vendor.asked().len(), 1);
}
