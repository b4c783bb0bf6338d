//! `request_id`: a retry calls no customer twice.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard_simulators::udesk;
use tonic::Code;

use crate::support::{
    Gateway, acme,
    vendor::{Response, Scripted, serve_router, udesk_options},
};

const ID: &str = "6f9619ff-8b86-4d11-b42d-00c04fc964ff";

fn callback(id: &str, customer: &str) -> Value {
    json!({"parent": "centers/acme", "customer_number": customer, "entry_number": "01055500100", "request_id": id})
}

fn rung() -> Response {
    Response::json(&json!({"code": "000000", "message": "OK", "results": "c9d52506-c41b-431f-5fa0-b701a81a2da6"}))
}

#[tokio::test]
async fn a_retry_gets_a_replay_also_after_a_restart() {
    let simulator = udesk::Simulator::new(udesk_options());
    let centers = acme(serve_router(simulator.router()).await);
    let folder = tempfile::tempdir().unwrap();
    let first = {
        let mut gateway = Gateway::start_in(folder.path(), &centers, "", Clock::system()).await;
        let first = gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap();
        // The same UUID in another spelling is the same ID.
        for id in [ID, &ID.to_uppercase()] {
            assert_eq!(gateway.client.call("StartCallback", callback(id, "13800000000")).await.unwrap(), first);
        }
        gateway.stop();
        gateway.ended().await.unwrap();
        first
    };
    let gateway = Gateway::start_in(folder.path(), &centers, "", Clock::system()).await;
    assert_eq!(gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap(), first);
    assert_eq!(simulator.callbacks().len(), 1);
    // Without an ID every call runs.
    let plain = json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"});
    gateway.client.call("StartCallback", plain).await.unwrap();
    assert_eq!(simulator.callbacks().len(), 2);
}

#[tokio::test]
async fn an_id_belongs_to_its_content_center_and_method() {
    let vendor = Scripted::start([rung()]).await;
    let centers = format!("{}{}", acme(vendor.address), crate::support::udesk("other", vendor.address));
    let gateway = Gateway::start(&centers).await;
    gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap();
    let failure = gateway.client.call("StartCallback", callback(ID, "13900000000")).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    assert_eq!(vendor.asked().len(), 1);
    let mut other = callback(ID, "13900000000");
    other["parent"] = json!("centers/other");
    gateway.client.call("StartCallback", other).await.unwrap();
    assert_eq!(vendor.asked().len(), 2);
}

#[tokio::test]
async fn concurrent_calls_wait_for_the_first() {
    let body = json!({"code": "000000", "results": "c9d52506-c41b-431f-5fa0-b701a81a2da6"}).to_string().into_bytes();
    let vendor = Scripted::start([Response::Drip { body, every: Duration::from_millis(2) }]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = gateway.client.clone();
            tokio::spawn(async move { client.call("StartCallback", callback(ID, "13800000000")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap()["call_id"], "c9d52506-c41b-431f-5fa0-b701a81a2da6");
    }
    assert_eq!(vendor.asked().len(), 1);
}

#[tokio::test]
async fn a_definite_error_may_be_retried_and_an_unknown_outcome_is_replayed() {
    let refusal = Response::json(&json!({"code": "200022", "message": "no route"}));
    let vendor = Scripted::start([refusal, rung()]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let failure = gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap_err();
    assert_eq!(failure.reason, "ROUTE_INVALID");
    gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap();
    assert_eq!(vendor.asked().len(), 2);

    for (response, reason) in [
        (Response::Reset, "VENDOR_OUTCOME_UNKNOWN"),
        (Response::json(&json!({"code": "300000", "message": "new"})), "VENDOR_CODE_UNMAPPED"),
    ] {
        let vendor = Scripted::start([response, rung()]).await;
        let gateway = Gateway::start(&acme(vendor.address)).await;
        let first = gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap_err();
        let retry = gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap_err();
        assert_eq!((first.code, first.reason.as_str()), (Code::Unknown, reason));
        assert_eq!((retry.code, &retry.reason, &retry.message), (first.code, &first.reason, &first.message));
        assert_eq!(retry.metadata, first.metadata);
        assert_eq!(vendor.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_error_before_sending_is_not_stored() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let gateway = Gateway::start(&acme(nobody)).await;
    for _ in 0..2 {
        let failure = gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "VENDOR_UNAVAILABLE"));
    }
}

#[tokio::test]
async fn a_retry_after_the_deadline_gets_the_response() {
    let body = json!({"code": "000000", "results": "c9d52506-c41b-431f-5fa0-b701a81a2da6"}).to_string().into_bytes();
    let vendor = Scripted::start([Response::Drip { body, every: Duration::from_millis(5) }]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let (deadline, asked) = (Duration::from_secs(5), || vendor.asked().len() == 1);
    let request = callback(ID, "13800000000");
    let call = gateway.client.call_to_the_deadline("StartCallback", request, deadline, asked);
    let failure = call.await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::DeadlineExceeded, "VENDOR_OUTCOME_UNKNOWN"));
    let retry = gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap();
    assert_eq!(retry["call_id"], "c9d52506-c41b-431f-5fa0-b701a81a2da6");
    assert_eq!(vendor.asked().len(), 1);
}

#[tokio::test]
async fn the_stored_call_is_unreadable_without_its_id() {
    let simulator = udesk::Simulator::new(udesk_options());
    let centers = acme(serve_router(simulator.router()).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start_in(folder.path(), &centers, "", Clock::system()).await;
    let response = gateway.client.call("StartCallback", callback(ID, "13800000000")).await.unwrap();
    gateway.stop();
    gateway.ended().await.unwrap();
    let call_id = response["call_id"].as_str().unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in [ID, call_id, "13800000000"] {
            assert!(!text.contains(secret), "{secret} is in the file");
        }
        files += 1;
    }
    assert!(files >= 2, "the database and its lock");
}
