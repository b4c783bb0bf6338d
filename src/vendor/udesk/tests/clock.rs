//! The signature's clock (C1), over a real socket.

use std::time::Duration;

use switchboard_simulators::udesk::TimestampUnit;

use super::{NOW, Scripted, ScriptedResponse, TestServer, agent, cx, name};
use crate::{
    config::TimestampUnit::{Milliseconds, Seconds},
    error::ErrorReason,
    name::AgentName,
    proto::v1,
};

const MINUTE: Duration = Duration::from_secs(60);
/// 25 minutes before the vendor's time of day.
const EARLIER: Duration = NOW.saturating_sub(Duration::from_secs(25 * 60));
/// The scripted vendor's and the gateway's time of day.
const NOW_AS_DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

#[tokio::test]
async fn with_a_clock_25_minutes_off_only_the_first_call_is_retried() {
    let server = TestServer::open().await;
    for now in [NOW + 25 * MINUTE, EARLIER] {
        let udesk = server.restarted(now, Milliseconds);
        server.requests();
        assert_eq!(agent(&udesk, "1001").await.unwrap().display_name, "Mara Lindholm");
        assert_eq!(server.requests().len(), 2);
        for _ in 0..2 {
            agent(&udesk, "1002").await.unwrap();
            assert_eq!(server.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_write_is_retried_after_a_refused_signature_because_it_had_no_effect() {
    let server = TestServer::open().await;
    let udesk = server.restarted(EARLIER, Milliseconds);
    udesk.logout_agent(&cx(), name("centers/acme/agents/1001")).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn within_the_ten_minutes_nothing_is_retried() {
    let server = TestServer::open().await;
    let udesk = server.restarted(NOW + 9 * MINUTE, Milliseconds);
    agent(&udesk, "1001").await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_center_may_count_in_seconds() {
    let server = TestServer::with(|options| options.timestamp_unit = TimestampUnit::Seconds).await;
    let udesk = server.restarted(NOW, Seconds);
    agent(&udesk, "1001").await.unwrap();
    let requests = server.requests();
    assert!(requests[0].query.contains(&("Timestamp".to_owned(), "1700000000".to_owned())));
    // A center that counts in the other unit refuses the signature, and its clock is not the reason.
    let refused = agent(&server.udesk, "1001").await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::VendorAuthFailed);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_implausible_date_is_ignored() {
    let ok = || ScriptedResponse::ok(&serde_json::json!({ "AgentId": "1001" }));
    let refused = || ScriptedResponse::refusal("200020");
    let server = Scripted::new([
        ok().dated("Thu, 01 Jan 1970 00:00:00 GMT"),
        refused().dated("Thu, 01 Jan 1970 00:00:00 GMT"),
        refused().dated("yesterday"),
        refused().dated(NOW_AS_DATE),
        ok(),
    ])
    .await;
    agent(&server.udesk, "1001").await.unwrap();
    for _ in 0..3 {
        assert_eq!(agent(&server.udesk, "1001").await.unwrap_err().reason(), ErrorReason::VendorAuthFailed);
    }
    agent(&server.udesk, "1001").await.unwrap();
    assert_eq!(server.query("Timestamp"), ["1700000000123"; 5]);
}

#[tokio::test]
async fn an_offset_that_did_not_help_is_discarded_and_one_that_did_is_reported() {
    // 25 minutes after the gateway's clock.
    const AHEAD: &str = "Tue, 14 Nov 2023 22:38:20 GMT";
    let ok = || ScriptedResponse::ok(&serde_json::json!({ "AgentId": "1001" }));
    let refused = || ScriptedResponse::refusal("200020").dated(AHEAD);
    let server = Scripted::new([refused(), refused(), ok(), refused(), ok(), ok()]).await;
    let offset = || {
        let text = server.metrics.text().unwrap();
        text.lines().find_map(|line| {
            line.strip_prefix("switchboard_vendor_clock_offset_seconds{center=\"acme\"} ").map(str::to_owned)
        })
    };
    assert_eq!(agent(&server.udesk, "1001").await.unwrap_err().reason(), ErrorReason::VendorAuthFailed);
    assert_eq!(offset().as_deref(), Some("0"));
    for _ in 0..3 {
        agent(&server.udesk, "1001").await.unwrap();
    }
    assert_eq!(offset().as_deref(), Some("1499"));
    let [ours, theirs] = ["1700000000123", "1700001500000"];
    assert_eq!(server.query("Timestamp"), [ours, theirs, ours, ours, theirs, theirs]);
}

#[tokio::test]
async fn every_operation_is_signed_and_only_two_name_the_application_in_small_letters() {
    let server = TestServer::open().await;
    let mara: AgentName = name("centers/acme/agents/1001");
    agent(&server.udesk, "1001").await.unwrap();
    server.udesk.login_agent(&cx(), mara.clone(), Vec::new(), v1::LoginAgentRequest::default()).await.unwrap();
    server.udesk.logout_agent(&cx(), mara).await.unwrap();
    let requests = server.requests();
    let names: Vec<Vec<&str>> =
        requests.iter().map(|request| request.query.iter().map(|(name, _)| name.as_str()).collect()).collect();
    assert_eq!(names[0], ["AppId", "Timestamp", "Sign", "Sid"]);
    assert_eq!(names[1], ["AppId", "Timestamp", "Sign", "Sid", "MsgId"]);
    assert_eq!(names[2], ["app_id", "Timestamp", "Sign", "Sid", "MsgId"]);
    let message_id = |index: usize| requests[index].query.iter().find(|(name, _)| name == "MsgId").cloned();
    assert_ne!(message_id(1), message_id(2), "fresh for every message (C49)");
}
