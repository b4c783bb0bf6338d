//! Answers that no vendor should give: to a read, to a write, and to the question for a token. Each is a clear error, and
//! as many requests as that error says.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_simulators::{huawei, udesk};
use tonic::Code;

use crate::support::{
    Gateway, acme, beta,
    client::Failure,
    vendor::{Answer, Scripted, huawei_options, serve_router, udesk_options},
};

/// A call, and the vendor's operation that answers it.
type Asking = (&'static str, Value, &'static str);

/// Everything `garbage` can be (docs/faults.md).
const KINDS: [&str; 8] = ["html", "truncated", "not-utf8", "deep", "duplicate-keys", "wrong-types", "huge", "gzip"];
/// Longer than any of these calls may take.
const LONG: Duration = Duration::from_secs(20);

fn udesk_read() -> Asking {
    ("GetAgent", json!({"name": "centers/acme/agents/1001"}), "GET agents/{id}")
}

fn udesk_write() -> Asking {
    let call = json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"});
    ("StartCallback", call, "callback2ivr")
}

fn huawei_read() -> Asking {
    ("ListExtensions", json!({"parent": "centers/beta"}), "queryPhone")
}

fn huawei_write() -> Asking {
    ("LoginAgent", json!({"name": "centers/beta/agents/1001", "phone_number": "5550102"}), "offline/agent/login")
}

/// What the caller of a Huawei center is told when this operation's answers are of this kind, and what was asked.
async fn told(kind: &str, operation: &str, (method, request, _): Asking) -> (Result<Value, Failure>, Vec<String>) {
    let vendor = huawei::Simulator::new(huawei_options());
    vendor.faults().add(&json!({"operation": operation, "garbage": kind})).unwrap();
    let gateway = Gateway::start(&beta(serve_router(vendor.router()).await)).await;
    let result = gateway.client.call(method, request).await;
    let asked = vendor.requests().into_iter().filter_map(|request| Some(request.path.rsplit('/').next()?.to_owned()));
    (result, asked.collect())
}

fn check(result: &Result<Value, Failure>, code: Code, reason: &str, sent: &str, what: &str) {
    let failure = result.as_ref().expect_err(what);
    assert_eq!((failure.code, failure.reason.as_str()), (code, reason), "{what}");
    assert_eq!(failure.metadata["sent"], sent, "{what}");
    assert!(failure.metadata.contains_key("vendorOperation"), "{what}");
}

#[tokio::test]
async fn of_udesk() {
    for kind in KINDS {
        for (is_write, (method, request, operation)) in [(false, udesk_read()), (true, udesk_write())] {
            let vendor = udesk::Simulator::new(udesk_options());
            vendor.faults().add(&json!({"operation": operation, "garbage": kind})).unwrap();
            let gateway = Gateway::start(&acme(serve_router(vendor.router()).await)).await;
            let result = gateway.client.call(method, request.clone()).await;
            let what = format!("{kind} {method}");
            match (kind, is_write) {
                // Whatever stands in a field that is text at best: the code says that it was done.
                ("wrong-types", false) => assert_eq!(result.unwrap(), request, "{what}: nothing but the name"),
                ("wrong-types" | "deep", true) => assert_eq!(result.unwrap(), json!({}), "{what}: no call ID"),
                (_, false) => check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "true", &what),
                (_, true) => check(&result, Code::Unknown, "VENDOR_OUTCOME_UNKNOWN", "true", &what),
            }
            assert_eq!(vendor.requests().len(), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn of_huawei_to_a_read() {
    for kind in KINDS {
        let (result, asked) = told(kind, "queryPhone", huawei_read()).await;
        match kind {
            // Values that cannot be read count as absent.
            "wrong-types" => assert!(!result.unwrap().to_string().contains("unexpected")),
            _ => check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "true", kind),
        }
        assert_eq!(asked, ["tokenByAkSk", "queryPhone"], "{kind}");
    }
}

#[tokio::test]
async fn of_huawei_to_a_write() {
    for kind in KINDS {
        let (result, asked) = told(kind, "offline/agent/login", huawei_write()).await;
        match kind {
            // The code says that it was done; fields that cannot be read tell nothing.
            "wrong-types" => assert!(result.is_ok(), "{result:?}"),
            _ => check(&result, Code::Unknown, "VENDOR_OUTCOME_UNKNOWN", "true", kind),
        }
        assert_eq!(asked.iter().filter(|operation| *operation == "login").count(), 1, "{kind}: {asked:?}");
    }
}

/// Without a token nothing is sent, so not even a write's outcome is unknown.
#[tokio::test]
async fn of_huawei_to_the_question_for_a_token() {
    for kind in KINDS {
        for asking in [huawei_read(), huawei_write()] {
            let (result, asked) = told(kind, "tokenByAkSk", asking).await;
            check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "false", kind);
            assert_eq!(asked, ["tokenByAkSk"], "{kind}");
        }
    }
}

/// A redirect is an answer that cannot be read: where it leads to is not asked.
#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Scripted::start([Answer::token()]).await;
        let headers = vec![("location", format!("http://{}/", elsewhere.address))];
        let redirect = Answer::Http { status, headers, body: Vec::new() };
        for ((method, request, _), code, reason) in [
            (udesk_read(), Code::Internal, "VENDOR_RESPONSE_INVALID"),
            (udesk_write(), Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"),
        ] {
            let vendor = Scripted::start([redirect.clone()]).await;
            let gateway = Gateway::start(&acme(vendor.address)).await;
            let result = gateway.client.call(method, request).await;
            check(&result, code, reason, "true", &format!("{status} {method}"));
            assert_eq!(vendor.asked().len(), 1, "{status} {method}");
        }
        for (answers, asking, code, reason, sent) in [
            (vec![redirect.clone()], huawei_write(), Code::Internal, "VENDOR_RESPONSE_INVALID", "false"),
            (vec![Answer::token(), redirect.clone()], huawei_read(), Code::Internal, "VENDOR_RESPONSE_INVALID", "true"),
            (vec![Answer::token(), redirect.clone()], huawei_write(), Code::Unknown, "VENDOR_OUTCOME_UNKNOWN", "true"),
        ] {
            let expected = answers.len();
            let vendor = Scripted::start(answers).await;
            let gateway = Gateway::start(&beta(vendor.address)).await;
            let result = gateway.client.call(asking.0, asking.1).await;
            check(&result, code, reason, sent, &format!("{status} {}", asking.0));
            assert_eq!(vendor.asked().len(), expected, "{status} {}", asking.0);
        }
        assert!(elsewhere.asked().is_empty(), "{status}");
    }
}

/// Announced or not, more than the configured size is not read.
#[tokio::test]
async fn a_token_that_is_too_large_is_not_read() {
    let limits = "[centers.beta.limits]\nmax_response_size = \"1KiB\"\n";
    let announced = Answer::text(200, &"x".repeat(5000));
    let endless = Answer::Drip { body: vec![b' '; 5000], every: Duration::ZERO };
    for answer in [announced, endless] {
        let vendor = Scripted::start([answer]).await;
        let gateway = Gateway::start(&format!("{}{limits}", beta(vendor.address))).await;
        let (method, request, _) = huawei_write();
        let result = gateway.client.call(method, request).await;
        check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "false", "too large");
        assert_eq!(vendor.asked().len(), 1);
    }
}

/// A slow drip is waited for until the deadline and no longer. A token that never comes whole leaves nothing sent.
#[tokio::test]
async fn a_slow_drip_ends_with_the_deadline() {
    let drip = || Answer::Drip { body: vec![b' '; 10_000], every: Duration::from_millis(5) };
    for (answers, (method, request, _), reason, sent) in [
        (vec![drip()], huawei_write(), "DEADLINE_BEFORE_SEND", "false"),
        (vec![Answer::token(), drip()], huawei_read(), "VENDOR_TIMEOUT", "true"),
        (vec![Answer::token(), drip()], huawei_write(), "VENDOR_OUTCOME_UNKNOWN", "true"),
    ] {
        let expected = answers.len();
        let vendor = Scripted::start(answers).await;
        let gateway = Gateway::start(&beta(vendor.address)).await;
        let asked = || vendor.asked().len() == expected;
        let call = gateway.client.call_to_the_deadline(method, request, Duration::from_secs(5), asked);
        let failure = call.await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::DeadlineExceeded, reason));
        assert_eq!(failure.metadata["sent"], sent, "{reason}");
        assert_eq!(vendor.asked().len(), expected, "{reason}");
    }
}

/// After the worst answers the gateway serves as before.
#[tokio::test]
async fn nothing_is_left_behind() {
    let vendor = udesk::Simulator::new(udesk_options());
    let gateway = Gateway::start(&acme(serve_router(vendor.router()).await)).await;
    let (method, request, operation) = udesk_read();
    for kind in KINDS {
        vendor.faults().add(&json!({"operation": operation, "times": 1, "garbage": kind})).unwrap();
        let _ = gateway.client.call_within(method, request.clone(), LONG).await;
    }
    let agent = gateway.client.call_within(method, request, LONG).await.unwrap();
    assert_eq!(agent["display_name"], "Mara Lindholm");
}
