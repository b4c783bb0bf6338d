//! A write that was sent runs on after its caller's deadline, and a drain waits for it.

use std::time::Duration;

use serde_json::json;
use switchboard::clock::Clock;
use tokio::time::{Instant, pause};

use crate::support::{
    Gateway, acme,
    vendor::{Response, Scripted},
};

#[tokio::test]
async fn a_drain_waits_for_a_write_whose_caller_has_its_response() {
    let vendor = Scripted::start([Response::Hang]).await;
    let listen = "drain_timeout = \"7s\"";
    let mut gateway = Gateway::start_with(&acme(vendor.address), listen, Clock::system()).await;
    let client = gateway.client.clone();
    let write = tokio::spawn(async move {
        let request = json!({"name": "centers/acme/agents/7"});
        client.call_with_header("LogoutAgent", request, "20S").await
    });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    pause();
    let failure = write.await.unwrap().unwrap_err();
    assert_eq!(failure.reason, "VENDOR_OUTCOME_UNKNOWN", "{failure:?}");
    // It runs for a minute, and the drain has seven seconds.
    let begun = Instant::now();
    gateway.stop();
    gateway.ended().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(7), "{:?}", begun.elapsed());
}
