//! HTTP statuses without the vendor's envelope: a refusal, an unknown outcome, an outage and a wrong address differ.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::{config::Config, gateway};
use tonic::Code;

use crate::support::{
    Gateway, acme, beta,
    client::Failure,
    install_cryptography,
    vendor::{Response, Scripted},
};

const OUTAGES: [u16; 8] = [502, 503, 504, 520, 522, 524, 530, 599];

fn page(status: u16) -> Response {
    Response::text(status, "<html>proxy</html>")
}

fn schema(status: u16, text: &str) -> Response {
    Response::status(status, &json!({ "schema": text }))
}

fn read() -> (&'static str, Value) {
    ("GetAgent", json!({"name": "centers/acme/agents/31"}))
}

fn write() -> (&'static str, Value) {
    (
        "StartCallback",
        json!({
            "parent": "centers/acme", "customer_number": "13900000007", "entry_number": "01055500100",
            "request_id": "0b9b1d0c-6d0c-4a3a-9a55-3a8d7c1a2f10",
        }),
    )
}

/// Udesk's response to one call, and the number of requests.
async fn udesk(response: Response, (method, request): (&'static str, Value)) -> (Failure, usize) {
    let vendor = Scripted::start([response]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let failure = gateway.client.call(method, request).await.unwrap_err();
    (failure, vendor.asked().len())
}

/// Huawei's responses to one call.
async fn huawei(responses: impl IntoIterator<Item = Response>, method: &str, request: Value) -> Failure {
    let vendor = Scripted::start(responses).await;
    let gateway = Gateway::start(&beta(vendor.address)).await;
    gateway.client.call(method, request).await.unwrap_err()
}

async fn probe(center: &str) -> String {
    install_cryptography();
    let listen = "[listen]\ngrpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n";
    let config =
        Config::parse(&format!("{listen}{center}"), "test", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    let probed = gateway::probe(&config, Duration::from_secs(10)).await.unwrap();
    probed[0].outcome.as_ref().unwrap_err().to_string()
}

#[tokio::test]
async fn a_client_error_of_a_write_is_a_refusal_and_its_request_id_is_free_again() {
    let statuses =
        [402, 405, 406, 407, 408, 409].into_iter().chain(411..=418).chain([421, 423, 425, 428, 431, 444, 451, 499]);
    for status in statuses {
        let vendor = Scripted::start([page(status)]).await;
        let gateway = Gateway::start(&acme(vendor.address)).await;
        let expected = match status {
            402 | 405 | 407 => (Code::FailedPrecondition, "CENTER_MISCONFIGURED"),
            _ => (Code::InvalidArgument, "VENDOR_REJECTED"),
        };
        for sent in 1..=2 {
            let (method, request) = write();
            let failure = gateway.client.call(method, request).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), expected, "{status}");
            assert_eq!(vendor.asked().len(), sent, "{status}");
        }
    }
}

/// A firewall blocks a write. It is about no rule of the vendor, so nothing is read to find out which.
#[tokio::test]
async fn a_refusal_without_a_code_is_about_no_resource() {
    let writes = [
        ("acme", "DeleteQueue", json!({"name": "centers/acme/queues/9001"})),
        ("acme", "DeleteExtension", json!({"name": "centers/acme/extensions/1101"})),
        ("acme", "LoginAgent", json!({"name": "centers/acme/agents/1001"})),
        ("acme", "UpdateAgent", json!({"agent": {"name": "centers/acme/agents/1001", "enabled": false}})),
        ("beta", "DeleteQueue", json!({"name": "centers/beta/queues/2"})),
        ("beta", "CreateQueue", json!({"parent": "centers/beta", "queue": {"display_name": "Returns"}})),
        ("beta", "LoginAgent", json!({"name": "centers/beta/agents/1001", "phone_number": "5550102"})),
        ("beta", "LogoutAgent", json!({"name": "centers/beta/agents/1001"})),
    ];
    for (center, method, request) in writes {
        for status in [400, 418, 499] {
            let token = (center == "beta").then(Response::token);
            let vendor = Scripted::start(token.into_iter().chain([page(status)])).await;
            let config = if center == "beta" { beta(vendor.address) } else { acme(vendor.address) };
            let gateway = Gateway::start(&config).await;
            let failure = gateway.client.call(method, request.clone()).await.unwrap_err();
            assert_eq!(failure.reason, "VENDOR_REJECTED", "{center} {method} {status}");
            assert_eq!(failure.resource, None, "{center} {method} {status}");
            let asked: Vec<_> = vendor.asked().into_iter().map(|asked| asked.path).collect();
            assert_eq!(asked.len(), 1 + usize::from(center == "beta"), "{center} {method} {status}: {asked:?}");
        }
    }
}

#[tokio::test]
async fn a_status_that_passes_is_retried_for_a_read() {
    for status in [408, 421, 425].into_iter().chain(OUTAGES) {
        let (failure, asked) = udesk(page(status), read()).await;
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "VENDOR_UNAVAILABLE"), "{status}");
        assert!(failure.retry_after.is_some() && (2..=3).contains(&asked), "{status}: {asked}");
    }
    for status in [409, 418, 451] {
        let (failure, asked) = udesk(page(status), read()).await;
        assert_eq!((failure.reason.as_str(), asked), ("VENDOR_REJECTED", 1), "{status}");
    }
}

#[tokio::test]
async fn an_outage_leaves_the_outcome_of_a_write_unknown() {
    for status in OUTAGES.into_iter().chain([500, 501, 507, 302]) {
        let (failure, asked) = udesk(page(status), write()).await;
        assert_eq!((failure.reason.as_str(), asked), ("VENDOR_OUTCOME_UNKNOWN", 1), "{status}");
    }
}

/// A write, a read and a token request at both vendors.
#[tokio::test]
async fn the_cause_is_what_happened_and_no_other() {
    for (status, words) in [
        (301, "redirects to another address"),
        (308, "redirects to another address"),
        (304, "HTTP 3xx"),
        (502, "a gateway in front of the vendor had no valid response"),
        (504, "no response from it in time"),
        (523, "a proxy in front of the vendor"),
        (501, "does not implement"),
        (507, "a server error"),
        (699, "outside of HTTP's range"),
        (500, "the vendor reports an internal error"),
    ] {
        let list = json!({"parent": "centers/beta"});
        let create = json!({"parent": "centers/beta", "queue": {"display_name": "Returns"}});
        for failure in [
            udesk(page(status), write()).await.0,
            udesk(page(status), read()).await.0,
            huawei([Response::token(), page(status)], "CreateQueue", create).await,
            huawei([Response::token(), page(status)], "ListQueues", list.clone()).await,
            huawei([page(status)], "ListQueues", list).await,
        ] {
            let cause = failure.metadata.get("cause").map_or("", String::as_str);
            assert!(cause.contains(words), "{status}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn only_an_outage_opens_the_breaker() {
    let quick = "[centers.acme.retry]\nattempts = 1\n";
    for (response, opens) in
        [(page(500), false), (page(501), false), (page(418), false), (page(522), true), (Response::Reset, true)]
    {
        let vendor = Scripted::start([response.clone()]).await;
        let gateway = Gateway::start(&format!("{}{quick}", acme(vendor.address))).await;
        for _ in 0..20 {
            let (method, request) = read();
            gateway.client.call(method, request).await.unwrap_err();
        }
        assert_eq!(vendor.asked().len() < 20, opens, "{response:?}");
        let (method, request) = write();
        let failure = gateway.client.call(method, request).await.unwrap_err();
        assert_eq!(failure.metadata.get("cause").is_some_and(|cause| cause == "breaker open"), opens, "{response:?}");
    }
}

#[tokio::test]
async fn values_that_one_caller_sends_close_no_center_for_another() {
    let business = schema(500, "Business failure. Check the values of parameters in the request.");
    let vendor = Scripted::start([Response::token(), business]).await;
    let gateway = Gateway::start(&beta(vendor.address)).await;
    for _ in 0..20 {
        let failure = gateway.client.call("GetQueue", json!({"name": "centers/beta/queues/77"})).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::InvalidArgument, "VENDOR_REJECTED"));
        assert!(failure.metadata["vendorMessage"].starts_with("Business failure."), "{failure:?}");
    }
    assert_eq!(vendor.asked().len(), 21);
}

#[tokio::test]
async fn a_token_request_says_whether_the_address_or_the_service_is_wrong() {
    for (status, reason) in [
        (400, "CENTER_MISCONFIGURED"),
        (404, "CENTER_MISCONFIGURED"),
        (405, "CENTER_MISCONFIGURED"),
        (410, "CENTER_MISCONFIGURED"),
        (422, "CENTER_MISCONFIGURED"),
        (302, "VENDOR_RESPONSE_INVALID"),
        (401, "VENDOR_AUTH_FAILED"),
        (403, "VENDOR_AUTH_FAILED"),
        (429, "VENDOR_RATE_LIMITED"),
        (408, "VENDOR_UNAVAILABLE"),
        (418, "VENDOR_UNAVAILABLE"),
        (500, "VENDOR_UNAVAILABLE"),
        (503, "VENDOR_UNAVAILABLE"),
        (521, "VENDOR_UNAVAILABLE"),
    ] {
        for response in [page(status), schema(status, "no")] {
            let failure = huawei([response], "GetAgent", json!({"name": "centers/beta/agents/1001"})).await;
            assert_eq!(failure.reason, reason, "{status}");
            assert_eq!(failure.metadata["vendorOperation"], "POST tokenByAkSk");
            assert_eq!((failure.metadata["sent"].as_str(), failure.resource), ("false", None), "{status}");
        }
    }
}

#[tokio::test]
async fn a_probe_names_the_address_that_is_wrong() {
    for status in [404, 405, 410] {
        let vendor = Scripted::start([page(status)]).await;
        let reported = probe(&beta(vendor.address)).await;
        assert!(reported.starts_with("CENTER_MISCONFIGURED: ") && reported.contains("token_base_url"), "{reported}");
        let vendor = Scripted::start([Response::token(), page(status)]).await;
        let reported = probe(&beta(vendor.address)).await;
        assert!(
            reported.starts_with("CENTER_MISCONFIGURED: ") && reported.contains("must check base_url"),
            "{reported}"
        );
        let vendor = Scripted::start([page(status)]).await;
        let reported = probe(&acme(vendor.address)).await;
        assert!(reported.starts_with("CENTER_MISCONFIGURED: ") && reported.contains("base_url"), "{reported}");
    }
}

#[tokio::test]
async fn a_failure_of_call_settings_is_reported_in_the_vendors_words() {
    let get = || ("GetUserCallSettings", json!({"name": "centers/beta/users/88/callSettings"}));
    let text = "Business failure. Check the values of parameters in the request.";
    let refused = Response::json(&json!({"returnCode": "7", "returnDesc": "the user is locked"}));
    for (response, code, reason, reported) in [
        (refused, Code::InvalidArgument, "VENDOR_REJECTED", "the user is locked"),
        (schema(500, text), Code::InvalidArgument, "VENDOR_REJECTED", text),
        (Response::text(500, text), Code::InvalidArgument, "VENDOR_REJECTED", text),
        (page(500), Code::Internal, "VENDOR_INTERNAL", ""),
        (
            schema(404, "Check the request path."),
            Code::FailedPrecondition,
            "CENTER_MISCONFIGURED",
            "Check the request path.",
        ),
        (page(404), Code::FailedPrecondition, "CENTER_MISCONFIGURED", ""),
        (schema(400, "Incorrect request."), Code::InvalidArgument, "VENDOR_REJECTED", "Incorrect request."),
        (schema(401, "Check your account."), Code::FailedPrecondition, "VENDOR_AUTH_FAILED", "Check your account."),
    ] {
        let (method, request) = get();
        let failure = huawei([Response::token(), response.clone()], method, request).await;
        assert_eq!((failure.code, failure.reason.as_str()), (code, reason), "{response:?}");
        assert_eq!(failure.metadata.get("vendorMessage").map_or("", String::as_str), reported, "{response:?}");
    }
    let signing_out = json!({"name": "centers/beta/agents/1001"});
    let failure = huawei([Response::token(), schema(500, text)], "LogoutAgent", signing_out).await;
    assert_eq!((failure.reason.as_str(), failure.metadata["vendorMessage"].as_str()), ("VENDOR_OUTCOME_UNKNOWN", text));
}

#[tokio::test]
async fn a_date_to_retry_after_is_relative_to_the_response() {
    for status in [429, 503] {
        let headers = vec![
            ("date", "Fri, 02 Jan 2015 10:00:00 GMT".to_owned()),
            ("retry-after", "Fri, 02 Jan 2015 10:00:47 GMT".to_owned()),
        ];
        let (failure, asked) = udesk(Response::Http { status, headers, body: Vec::new() }, read()).await;
        assert_eq!((failure.retry_after, asked), (Some(Duration::from_secs(47)), 1), "{status}");
    }
}
