//! Responses that no vendor should give: to a read, to a write, and to a token request. Each is a clear error, and
//! there are as many requests as that error says.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    client::Failure,
    vendor::{Response, Scripted},
    vendors::VENDORS,
};

/// Everything `garbage` can be (docs/faults.md).
const KINDS: [&str; 8] = ["html", "truncated", "not-utf8", "deep", "duplicate-keys", "wrong-types", "huge", "gzip"];
/// Longer than any of these calls may take.
const LONG: Duration = Duration::from_secs(20);

/// What holds of a request and its response.
type Holds = fn(&Value, &Value) -> bool;

/// Garbage that is a success: the code says that it was done, and a value that cannot be read counts as absent. Vendor,
/// method, kind, and what the response then is.
const READABLE: &[(&str, &str, &str, Holds)] = &[
    // Nothing but the name.
    ("udesk", "GetAgent", "wrong-types", |request, response| request == response),
    ("huawei", "ListExtensions", "wrong-types", |_, response| !response.to_string().contains("unexpected")),
    // The first string is in no field of an extension.
    ("huawei", "ListExtensions", "not-utf8", |_, response| response["total_size"] == 16),
    ("huawei", "LoginAgent", "not-utf8", |_, response| response["vendor_data"]["workNo"] == 1001.0),
    // Nothing but the vendor's fields as they are.
    ("huawei", "LoginAgent", "wrong-types", |_, response| {
        response.as_object().is_some_and(|fields| fields.len() == 1)
            && response["vendor_data"]["workNo"] == json!({"unexpected": [true]})
    }),
];

fn check(result: &Result<Value, Failure>, code: Code, reason: &str, sent: &str, what: &str) {
    let failure = result.as_ref().expect_err(what);
    assert_eq!((failure.code, failure.reason.as_str()), (code, reason), "{what}");
    assert_eq!(failure.metadata["sent"], sent, "{what}");
    assert!(failure.metadata.contains_key("vendorOperation"), "{what}");
}

#[tokio::test]
async fn garbage_is_an_error_and_of_a_write_an_unknown_outcome() {
    for (vendor, kind) in VENDORS.iter().flat_map(|vendor| KINDS.map(|kind| (vendor, kind))) {
        for (is_write, (method, request, operation)) in [(false, vendor.read), (true, vendor.write)] {
            let (gateway, simulated) = vendor.simulated().await;
            simulated.fault(&json!({"operation": operation, "garbage": kind}));
            let result = gateway.client.call(method, request()).await;
            let what = format!("{} {kind} {method}", vendor.name);
            let readable = READABLE.iter().find(|row| (row.0, row.1, row.2) == (vendor.name, method, kind));
            match (readable, is_write) {
                (Some((.., holds)), _) => {
                    let response = result.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
                    assert!(holds(&request(), &response), "{what}: {response}");
                }
                (None, false) => check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "true", &what),
                (None, true) => check(&result, Code::Unknown, "VENDOR_OUTCOME_UNKNOWN", "true", &what),
            }
            assert_eq!(simulated.asked().len(), vendor.token_requests() + 1, "{what}: {:?}", simulated.asked());
        }
    }
}

/// Without a token nothing is sent, so not even a write's outcome is unknown.
#[tokio::test]
async fn garbage_in_place_of_a_token_sends_nothing() {
    for vendor in VENDORS {
        let Some((token, _)) = vendor.token else { continue };
        for (kind, (method, request, _)) in
            KINDS.into_iter().flat_map(|kind| [(kind, vendor.read), (kind, vendor.write)])
        {
            let (gateway, simulated) = vendor.simulated().await;
            simulated.fault(&json!({"operation": token, "garbage": kind}));
            let result = gateway.client.call(method, request()).await;
            check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "false", kind);
            let asked = simulated.asked();
            assert!(asked.len() == 1 && asked[0].path.ends_with(token), "{kind}: {asked:?}");
        }
    }
}

/// A redirect is a response that cannot be read: nothing is sent to its location.
#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Scripted::start([Response::token()]).await;
        let headers = vec![("location", format!("http://{}/", elsewhere.address))];
        let redirect = Response::Http { status, headers, body: Vec::new() };
        for vendor in VENDORS {
            for ((method, request, _), code, reason) in [
                (vendor.read, Code::Internal, "VENDOR_RESPONSE_INVALID"),
                (vendor.write, Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"),
            ] {
                let (gateway, scripted) = vendor.scripted([redirect.clone()], "").await;
                let result = gateway.client.call(method, request()).await;
                let what = format!("{status} {} {method}", vendor.name);
                check(&result, code, reason, "true", &what);
                assert_eq!(scripted.asked().len(), vendor.token_requests() + 1, "{what}");
            }
            if vendor.token.is_some() {
                let (gateway, scripted) = vendor.scripted_from([redirect.clone()], "").await;
                let (method, request, _) = vendor.write;
                let result = gateway.client.call(method, request()).await;
                check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "false", &format!("{status} token"));
                assert_eq!(scripted.asked().len(), 1, "{status}");
            }
        }
        assert!(elsewhere.asked().is_empty(), "{status}");
    }
}

/// Announced or not, more than the configured size is not read.
#[tokio::test]
async fn a_token_that_is_too_large_is_not_read() {
    for vendor in VENDORS.iter().filter(|vendor| vendor.token.is_some()) {
        let limits = format!("[centers.{}.limits]\nmax_response_size = \"1KiB\"\n", vendor.center);
        let announced = Response::text(200, &"x".repeat(5000));
        let endless = Response::Drip { body: vec![b' '; 5000], every: Duration::ZERO };
        for response in [announced, endless] {
            let (gateway, scripted) = vendor.scripted_from([response], &limits).await;
            let (method, request, _) = vendor.write;
            let result = gateway.client.call(method, request()).await;
            check(&result, Code::Internal, "VENDOR_RESPONSE_INVALID", "false", "too large");
            assert_eq!(scripted.asked().len(), 1);
        }
    }
}

/// A slow drip is waited for until the deadline and no longer. A token that never comes whole leaves nothing sent.
#[tokio::test]
async fn a_slow_drip_ends_with_the_deadline() {
    let drip = || [Response::Drip { body: vec![b' '; 10_000], every: Duration::from_millis(5) }];
    for vendor in VENDORS {
        let mut cases = vec![
            (vendor.scripted(drip(), "").await, vendor.token_requests() + 1, vendor.read, "VENDOR_TIMEOUT", "true"),
            (
                vendor.scripted(drip(), "").await,
                vendor.token_requests() + 1,
                vendor.write,
                "VENDOR_OUTCOME_UNKNOWN",
                "true",
            ),
        ];
        if vendor.token.is_some() {
            cases.push((vendor.scripted_from(drip(), "").await, 1, vendor.write, "DEADLINE_BEFORE_SEND", "false"));
        }
        for ((gateway, scripted), expected, (method, request, _), reason, sent) in cases {
            let asked = || scripted.asked().len() == expected;
            let call = gateway.client.call_to_the_deadline(method, request(), Duration::from_secs(5), asked);
            let failure = call.await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (Code::DeadlineExceeded, reason), "{}", vendor.name);
            assert_eq!(failure.metadata["sent"], sent, "{reason}");
            assert_eq!(scripted.asked().len(), expected, "{reason}");
        }
    }
}

/// After the worst responses the gateway serves as before.
#[tokio::test]
async fn nothing_is_left_behind() {
    for vendor in VENDORS {
        let (gateway, simulated) = vendor.simulated().await;
        let (method, request, operation) = vendor.read;
        let before = gateway.client.call_within(method, request(), LONG).await.unwrap();
        for kind in KINDS {
            simulated.fault(&json!({"operation": operation, "times": 1, "garbage": kind}));
            let _ = gateway.client.call_within(method, request(), LONG).await;
        }
        let after = gateway.client.call_within(method, request(), LONG).await.unwrap();
        assert_eq!(after, before, "{}", vendor.name);
    }
}
