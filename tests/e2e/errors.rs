//! Errors over real sockets: code, reason, details, and how many requests reached the vendor.
//!
//! What does not depend on a vendor's envelope holds at every vendor; the rest is tested at Udesk or at Huawei alone.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard_simulators::huawei;
use tonic::Code;

use crate::support::{
    Day, Gateway, acme, beta,
    client::Failure,
    udesk,
    vendor::{Response, Scripted, huawei_options, serve_router},
    vendors::{Call, VENDORS, Vendor},
};

fn read() -> (&'static str, Value) {
    ("GetAgent", json!({"name": "centers/acme/agents/7"}))
}

fn write() -> (&'static str, Value) {
    (
        "StartCallback",
        json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"}),
    )
}

/// A deadline that no call reaches.
const DEADLINE: Duration = Duration::from_secs(5);

fn unavailable(status: u16) -> Response {
    Response::text(status, "<html>gateway</html>")
}

/// The caller's error after this response of the vendor, and how many requests of the operation the vendor received.
async fn failure_at(vendor: &Vendor, response: Response, (method, request, _): Call) -> (Failure, usize) {
    let (gateway, scripted) = vendor.scripted([response], "").await;
    let failure = gateway.client.call(method, request()).await.unwrap_err();
    assert_eq!(failure.metadata["center"], vendor.center);
    assert_eq!(failure.metadata["vendor"], vendor.name);
    (failure, scripted.asked().len() - vendor.token_requests())
}

/// The same at Udesk.
async fn failure_of(response: Response, (method, request): (&'static str, Value)) -> (Failure, usize) {
    let vendor = Scripted::start([response]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let failure = gateway.client.call(method, request).await.unwrap_err();
    assert_eq!(failure.metadata["center"], "acme");
    assert_eq!(failure.metadata["vendor"], "udesk");
    (failure, vendor.asked().len())
}

#[tokio::test]
async fn a_broken_read_is_retried_and_then_unavailable() {
    for vendor in VENDORS {
        for response in [Response::Reset, Response::ResetWithin { status: 200, body: b"{".to_vec() }] {
            let (failure, asked) = failure_at(vendor, response, vendor.read).await;
            assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "VENDOR_UNAVAILABLE"));
            assert_eq!(failure.metadata["sent"], "true");
            assert!(failure.retry_after.is_some());
            assert!((2..=3).contains(&asked), "{}: {asked}", vendor.name);
        }
        for status in [502, 503, 504] {
            let (failure, asked) = failure_at(vendor, unavailable(status), vendor.read).await;
            assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "VENDOR_UNAVAILABLE"), "{status}");
            assert_eq!(failure.metadata["vendorHttpStatus"], status.to_string());
            assert!((2..=3).contains(&asked), "{}: {asked}", vendor.name);
        }
    }
}

#[tokio::test]
async fn a_broken_write_is_never_retried_and_its_outcome_is_unknown() {
    let responses = [
        Response::Reset,
        Response::ResetWithin { status: 200, body: b"{".to_vec() },
        unavailable(500),
        unavailable(502),
        unavailable(503),
        unavailable(504),
        unavailable(200),
    ];
    for (vendor, response) in VENDORS.iter().flat_map(|vendor| responses.clone().map(|response| (vendor, response))) {
        let (failure, asked) = failure_at(vendor, response.clone(), vendor.write).await;
        let what = format!("{} {response:?}", vendor.name);
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"), "{what}");
        assert_eq!(failure.metadata["sent"], "true", "{what}");
        assert!(failure.metadata.contains_key("cause"), "{what}");
        assert_eq!(asked, 1, "{what}");
    }
}

#[tokio::test]
async fn an_envelope_of_udesk_that_states_no_outcome_leaves_it_unknown() {
    let responses = [
        Response::json(&json!({"results": "no code"})),
        Response::json(&json!({"code": "000060", "message": "internal"})),
        Response::json(&json!({"code": "000035", "message": "timeout"})),
        Response::status(500, &json!({"code": "000000", "message": "OK", "results": "x"})),
    ];
    for response in responses {
        let (failure, asked) = failure_of(response.clone(), write()).await;
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"), "{response:?}");
        assert_eq!(failure.metadata["sent"], "true");
        assert!(failure.metadata.contains_key("cause"), "{response:?}");
        assert_eq!(asked, 1, "{response:?}");
    }
}

#[tokio::test]
async fn an_unsupported_method_sends_nothing() {
    let vendor = Scripted::start([Response::Reset]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let request = json!({"name": "centers/acme/agents/7"});
    let failure = gateway.client.call("DeleteAgent", request).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unimplemented, "METHOD_UNSUPPORTED"));
    assert_eq!(failure.metadata["center"], "acme");
    let failure = gateway.client.call("GetAgent", json!({"name": "centers/other/agents/7"})).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::NotFound, "CENTER_NOT_FOUND"));
    assert_eq!(failure.resource, Some(("Center".to_owned(), "centers/other".to_owned())));
    assert!(vendor.asked().is_empty());
}

#[tokio::test]
async fn a_refused_connection_is_a_request_not_sent() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    for vendor in VENDORS {
        let gateway = Gateway::start(&(vendor.config)(vendor.center, nobody)).await;
        for (method, request, _) in [vendor.read, vendor.write] {
            let failure = gateway.client.call(method, request()).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "VENDOR_UNAVAILABLE"));
            assert_eq!(failure.metadata["sent"], "false");
            assert!(failure.retry_after.is_some(), "{} {method}", vendor.name);
        }
    }
}

#[tokio::test]
async fn vendor_errors_map_to_reasons() {
    for (response, code, reason) in [
        (unavailable(500), Code::Internal, "VENDOR_INTERNAL"),
        (unavailable(401), Code::FailedPrecondition, "VENDOR_AUTH_FAILED"),
        (unavailable(429), Code::ResourceExhausted, "VENDOR_RATE_LIMITED"),
        (unavailable(200), Code::Internal, "VENDOR_RESPONSE_INVALID"),
        (unavailable(302), Code::Internal, "VENDOR_RESPONSE_INVALID"),
        (Response::json(&json!({"Result": {}})), Code::Internal, "VENDOR_RESPONSE_INVALID"),
        (Response::json(&json!({"ErrCode": "000000", "Result": "text"})), Code::Internal, "VENDOR_RESPONSE_INVALID"),
        (Response::json(&json!({"ErrCode": "000060"})), Code::Internal, "VENDOR_INTERNAL"),
        (Response::json(&json!({"ErrCode": "000035"})), Code::DeadlineExceeded, "VENDOR_TIMEOUT"),
        (Response::json(&json!({"ErrCode": "200003"})), Code::Unavailable, "VENDOR_UNAVAILABLE"),
        (Response::json(&json!({"ErrCode": "100002"})), Code::FailedPrecondition, "CENTER_MISCONFIGURED"),
        (Response::json(&json!({"ErrCode": "200020"})), Code::FailedPrecondition, "VENDOR_AUTH_FAILED"),
        (Response::json(&json!({"ErrCode": "777777"})), Code::Unknown, "VENDOR_CODE_UNMAPPED"),
        (Response::json(&json!({"ErrCode": "100021"})), Code::FailedPrecondition, "AGENT_STATE_CONFLICT"),
    ] {
        let (failure, asked) = failure_of(response.clone(), read()).await;
        assert_eq!((failure.code, failure.reason.as_str()), (code, reason), "{response:?}");
        assert_eq!(failure.metadata["vendorOperation"], "GET /agents/{id}");
        assert_eq!(failure.metadata["sent"], "true");
        let passing = matches!(reason, "VENDOR_RATE_LIMITED" | "VENDOR_UNAVAILABLE");
        assert_eq!(failure.retry_after.is_some(), passing, "{response:?}");
        // Only 429 is retried at once; an error code in the vendor's envelope is final.
        assert_eq!(asked > 1, reason == "VENDOR_RATE_LIMITED", "{response:?}: asked {asked} times");
    }
}

#[tokio::test]
async fn a_rejected_write_is_a_definite_error_and_sent_once() {
    for (vendor_code, code, reason) in [
        ("200022", Code::FailedPrecondition, "ROUTE_INVALID"),
        ("000001", Code::InvalidArgument, "VENDOR_REJECTED"),
        ("100005", Code::NotFound, "RESOURCE_NOT_FOUND"),
        ("300000", Code::Unknown, "VENDOR_CODE_UNMAPPED"),
    ] {
        let response = Response::json(&json!({"code": vendor_code, "message": "called 13800000000 is bad"}));
        let (failure, asked) = failure_of(response, write()).await;
        assert_eq!((failure.code, failure.reason.as_str(), asked), (code, reason, 1));
        assert_eq!(failure.metadata["vendorCode"], vendor_code);
        assert_eq!(failure.metadata["vendorMessage"], "called *** is bad");
        assert!(!failure.message.contains("13800000000"));
    }
}

#[tokio::test]
async fn an_exceeded_deadline_has_details_and_says_whether_the_outcome_is_known() {
    for vendor in VENDORS {
        let expected = vendor.token_requests() + 1;
        for ((method, request, _), reason) in
            [(vendor.read, "VENDOR_TIMEOUT"), (vendor.write, "VENDOR_OUTCOME_UNKNOWN")]
        {
            let drip = Response::Drip { body: vec![b' '; 10_000], every: Duration::from_millis(5) };
            for response in [Response::Hang, drip] {
                let (gateway, scripted) = vendor.scripted([response], "").await;
                let asked = || scripted.asked().len() == expected;
                let call = gateway.client.call_to_the_deadline(method, request(), DEADLINE, asked);
                let failure = call.await.unwrap_err();
                assert_eq!((failure.code, failure.reason.as_str()), (Code::DeadlineExceeded, reason));
                assert_eq!(failure.metadata["sent"], "true");
                assert_eq!(scripted.asked().len(), expected, "{}", vendor.name);
            }
        }
    }
}

#[tokio::test]
async fn a_response_is_sent_at_least_ten_milliseconds_before_the_deadline() {
    let vendor = Scripted::start([Response::Hang]).await;
    let patient = "[centers.acme.breaker]\nconsecutive_failures = 1000\n";
    let gateway = Gateway::start(&format!("{}{patient}", acme(vendor.address))).await;
    for ((method, request), deadline) in [read(), write()].into_iter().cycle().zip([100, 120, 300, 400]) {
        let before = vendor.asked().len();
        let asked = || vendor.asked().len() > before;
        let call = gateway.client.call_to_the_deadline(method, request, Duration::from_millis(deadline), asked);
        assert_eq!(call.await.unwrap_err().code, Code::DeadlineExceeded);
    }
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_sends_nothing() {
    let vendor = Scripted::start([Response::Hang]).await;
    let limits = "[centers.acme.limits]\nconcurrency = 1\n";
    let gateway = Gateway::start(&format!("{}{limits}", acme(vendor.address))).await;
    let (method, request) = read();
    let held = tokio::spawn({
        let (client, request) = (gateway.client.clone(), request.clone());
        async move { client.call(method, request).await }
    });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    for (method, request) in [read(), write()] {
        let failure = gateway.client.call_bare(method, request, Duration::from_millis(100)).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::DeadlineExceeded, "DEADLINE_BEFORE_SEND"));
    }
    assert_eq!(vendor.asked().len(), 1);
    held.abort();
}

#[tokio::test]
async fn a_call_that_cannot_be_recorded_is_not_sent() {
    let vendor = Scripted::start([Response::json(&json!({"code": "000000", "results": "x"}))]).await;
    let folder = tempfile::tempdir().unwrap();
    let gateway =
        Gateway::start_in(folder.path(), &acme(vendor.address), "", switchboard::clock::Clock::system()).await;
    let other = rusqlite::Connection::open(folder.path().join("switchboard.db")).unwrap();
    other.execute_batch("DROP TABLE repeat").unwrap();
    let (method, mut request) = write();
    request["request_id"] = json!("6f9619ff-8b86-4d11-b42d-00c04fc964ff");
    let failure = gateway.client.call(method, request).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "STORAGE_UNAVAILABLE"));
    assert!(vendor.asked().is_empty());
}

#[tokio::test]
async fn a_partial_change_is_reported_and_may_be_retried() {
    let simulator = huawei::Simulator::new(huawei_options());
    let gateway = Gateway::start(&beta(serve_router(simulator.router()).await)).await;
    let queues: Vec<String> = [2, 3, 4].iter().map(|queue| format!("centers/beta/queues/{queue}")).collect();
    let request = json!({"agent": "centers/beta/agents/1007", "queues": queues});
    gateway.client.call("RemoveAgentQueues", request.clone()).await.unwrap();
    let fails = |skill: u8| {
        let body = format!("\"skillId\":{skill}");
        json!({"operation": "agentAccount/addSkillsToAgent", "matching": body, "status": 503})
    };

    simulator.faults().add(&fails(2)).unwrap();
    let failure = gateway.client.call("AddAgentQueues", request.clone()).await.unwrap_err();
    assert_eq!(failure.reason, "VENDOR_OUTCOME_UNKNOWN", "nothing was done before it: {failure:?}");

    simulator.faults().clear();
    simulator.faults().add(&fails(3)).unwrap();
    let failure = gateway.client.call("AddAgentQueues", request.clone()).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Aborted, "PARTIALLY_APPLIED"), "{failure:?}");
    let metadata = ["appliedCount", "unknownCount", "remaining"].map(|key| failure.metadata[key].as_str());
    assert_eq!(metadata[..2], ["1", "1"]);
    assert!(metadata[2].contains('4') && !metadata[2].contains('2'), "{metadata:?}");

    simulator.faults().clear();
    gateway.client.call("AddAgentQueues", request).await.unwrap();
}

#[tokio::test]
async fn an_overloaded_center_fails_at_once_and_delays_no_other() {
    let hanging = Scripted::start([Response::Hang]).await;
    let healthy = Scripted::start([Response::json(&json!({"ErrCode": "000000", "Result": {"AgentId": "7"}}))]).await;
    let limits = "[centers.acme.limits]\nconcurrency = 1\nqueue = 0\n";
    let gateway =
        Gateway::start(&format!("{}{limits}{}", acme(hanging.address), udesk("other", healthy.address))).await;
    let (method, request) = read();
    let held = tokio::spawn({
        let (client, request) = (gateway.client.clone(), request.clone());
        async move { client.call(method, request).await }
    });
    while hanging.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let failure = gateway.client.call(method, request).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::ResourceExhausted, "CENTER_OVERLOADED"));
    assert!(failure.retry_after.is_some() && failure.has_quota);
    gateway.client.call(method, json!({"name": "centers/other/agents/7"})).await.unwrap();
    assert_eq!(hanging.asked().len(), 1);
    held.abort();
}

#[tokio::test]
async fn a_response_beyond_the_size_limit_is_not_read_to_its_end() {
    for vendor in VENDORS {
        let limits = format!("[centers.{}.limits]\nmax_response_size = \"1KiB\"\n", vendor.center);
        for ((method, request, _), code, reason) in [
            (vendor.read, Code::Internal, "VENDOR_RESPONSE_INVALID"),
            (vendor.write, Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"),
        ] {
            let (gateway, scripted) = vendor.scripted([Response::text(200, &"x".repeat(5000))], &limits).await;
            let failure = gateway.client.call(method, request()).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (code, reason), "{}", vendor.name);
            assert_eq!(scripted.asked().len(), vendor.token_requests() + 1, "{}", vendor.name);
        }
    }
}

#[tokio::test]
async fn a_read_of_a_cancelled_call_is_dropped() {
    let vendor = Scripted::start([Response::Hang]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let (method, request) = read();
    let caller = tokio::spawn({
        let client = gateway.client.clone();
        async move { client.call(method, request).await }
    });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(vendor.abandoned(), 0);
    caller.abort();
    while vendor.abandoned() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(vendor.asked().len(), 1);
}

#[tokio::test]
async fn a_write_of_a_cancelled_call_runs_on() {
    let slow = |body: Value| Response::Drip { body: body.to_string().into_bytes(), every: Duration::from_millis(2) };
    let vendor =
        Scripted::start([slow(json!({"code": "000000", "results": "c9d52506-c41b-431f-5fa0-b701a81a2da6"}))]).await;
    let mut gateway = Gateway::start(&acme(vendor.address)).await;
    let (method, request) = write();
    let caller = tokio::spawn({
        let client = gateway.client.clone();
        async move { client.call(method, request).await }
    });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    caller.abort();
    let _ = caller.await;
    // The drain waits for the write, so its outcome is counted by then.
    let ok = "operation=\"POST /callback2ivr\",outcome=\"ok\"} 1";
    while !gateway.admin("/metrics").await.1.contains(ok) {
        tokio::task::yield_now().await;
    }
    gateway.stop();
    gateway.ended().await.unwrap();
}

#[tokio::test]
async fn passwords_are_denied_unless_the_center_exposes_credentials() {
    let vendor = Scripted::start([Response::token()]).await;
    let centers = beta(vendor.address).replace("expose_credentials = true", "expose_credentials = false");
    let gateway = Gateway::start(&centers).await;
    let request = json!({"parent": "centers/beta"});
    let failure = gateway.client.call("AccessSoftphoneCredentials", request).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::PermissionDenied, "ACCESS_DENIED"));
    assert!(vendor.asked().is_empty());
}

#[tokio::test]
async fn a_wrong_secret_is_the_gateways_fault_and_causes_no_stampede() {
    let vendor = Scripted::start([unavailable(403)]).await;
    // A failed fetch is cached for a second.
    let gateway = Gateway::start_with(&beta(vendor.address), "", Clock::from_source(Day::default())).await;
    for _ in 0..5 {
        let request = json!({"name": "centers/beta/softphoneConfig"});
        let failure = gateway.client.call("GetSoftphoneConfig", request).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "VENDOR_AUTH_FAILED"));
        assert_eq!(failure.metadata["vendorOperation"], "POST tokenByAkSk");
        assert_eq!(failure.metadata["sent"], "false");
    }
    assert_eq!(vendor.asked().len(), 1);
}

#[tokio::test]
async fn the_breaker_opens_after_failures_in_a_row_and_a_read_closes_it() {
    let ok = Response::json(&json!({"ErrCode": "000000", "code": "000000", "Result": {}, "results": "call-7"}));
    let vendor = Scripted::start([Response::Reset, Response::Reset, ok]).await;
    let settings = "[centers.acme.retry]\nattempts = 1\n\
        [centers.acme.breaker]\nconsecutive_failures = 2\nmin_penalty = \"10s\"\n";
    let gateway = Gateway::start(&format!("{}{settings}", acme(vendor.address))).await;
    let (method, request) = read();
    for _ in 0..2 {
        gateway.client.call(method, request.clone()).await.unwrap_err();
    }
    let failure = gateway.client.call(method, request).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "VENDOR_UNAVAILABLE"));
    assert_eq!((failure.metadata["sent"].as_str(), failure.metadata["cause"].as_str()), ("false", "breaker open"));
    assert!(failure.retry_after.is_some());
    assert_eq!(vendor.asked().len(), 2);
    assert!(gateway.admin("/metrics").await.1.contains("switchboard_breaker_open{center=\"acme\",family=\"ccapi\"} 1"));

    // Only writes come from here on: none of them is the probe.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    let (method, request) = write();
    while let Err(failure) = gateway.client.call(method, request.clone()).await {
        assert_eq!(failure.metadata["sent"], "false");
    }
    let asked: Vec<String> = vendor.asked()[2..].iter().map(|asked| asked.path.clone()).collect();
    assert_eq!(asked, ["/ccapi/v2/spnumbers", "/ccapi/v2/callback2ivr"]);
    assert!(gateway.admin("/metrics").await.1.contains("switchboard_breaker_open{center=\"acme\",family=\"ccapi\"} 0"));
}
