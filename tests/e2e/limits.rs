//! Limits of every call: time, size, and what an error repeats.

use serde_json::{Value, json};
use switchboard::proto::METHODS;
use tonic::Code;

use crate::support::{
    Gateway, acme,
    vendor::{Response, Scripted, serve_router},
    vendors::VENDORS,
};

/// No time is left for a request and a response, in every unit that expresses it.
#[tokio::test]
async fn a_call_without_time_sends_nothing() {
    for vendor in VENDORS {
        let simulated = (vendor.simulate)();
        let address = serve_router(simulated.router.clone()).await;
        let gateway = Gateway::start(&(vendor.config)(vendor.center, address)).await;
        for method in METHODS {
            for timeout in ["0n", "0S", "3n", "700u", "2m", "14m"] {
                let call = gateway.client.call_with_header(method, vendor.request(method), timeout);
                let failure = call.await.unwrap_err();
                let what = format!("{} {method} {timeout}", vendor.name);
                assert_eq!((failure.code, failure.reason.as_str()), (Code::DeadlineExceeded, "DEADLINE_BEFORE_SEND"));
                assert!(failure.retry_after.is_none(), "{what}");
            }
        }
        let asked: Vec<String> = simulated.asked().into_iter().map(|asked| asked.path).collect();
        assert!(asked.is_empty(), "{}: {asked:?}", vendor.name);
    }
}

/// Clients discard the details of a status that is too large for their headers. [`Failure::of`] measures every one.
///
/// [`Failure::of`]: crate::support::client::Failure::of
#[tokio::test]
async fn an_error_is_small_however_long_the_texts_are_that_it_repeats() {
    let vendor = Scripted::start([Response::Hang]).await;
    let centers: String = VENDORS.iter().map(|row| (row.config)(row.center, vendor.address)).collect();
    let gateway = Gateway::start(&centers).await;
    for text in ["x".repeat(6000), "\u{5ea7}\u{5e2d}".repeat(1500), "a b".repeat(2000)] {
        let keys: serde_json::Map<String, Value> = (0..20).map(|index| (format!("{index}{text}"), json!(1))).collect();
        for (method, request) in [
            ("CreateAgent", json!({"agent_id": text, "agent": {"display_name": text, "vendor_data": {&text: 1}}})),
            ("CreateAgent", json!({"agent_id": "1", "agent": {"display_name": "New", "vendor_data": keys}})),
            ("LoginAgent", json!({"name": "centers/CENTER/agents/1", "phone_number": text, "vendor_data": keys})),
            ("UpdateQueue", json!({"queue": {"name": format!("centers/CENTER/queues/{text}")}})),
            ("GetAgent", json!({"name": format!("centers/{text}/agents/1")})),
            ("ListAgents", json!({"page_token": text})),
            ("WatchEvents", json!({"cursor": text})),
        ] {
            for center in VENDORS.iter().map(|row| row.center) {
                let mut request: Value = serde_json::from_str(&request.to_string().replace("CENTER", center)).unwrap();
                if request.get("name").is_none() && request.get("queue").is_none() {
                    request["parent"] = format!("centers/{center}").into();
                }
                let failure = gateway.client.call_with_header(method, request, "20S").await.unwrap_err();
                assert!(
                    matches!(failure.code, Code::InvalidArgument | Code::NotFound | Code::Unimplemented),
                    "{center} {method}: {failure:?}"
                );
            }
        }
    }
    assert!(vendor.asked().is_empty());
}

#[tokio::test]
async fn a_list_with_many_wrong_elements_is_counted_and_not_repeated() {
    let vendor = Scripted::start([Response::Hang]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let (agent, name) = (json!({"name": "centers/acme/agents/1"}), "centers/acme");
    let many = 50_000;
    for (method, request, field) in [
        ("WatchEvents", json!({"parent": name, "event_types": vec![7777; many]}), "event_types"),
        (
            "CreateSubscription",
            json!({"parent": name, "subscription": {"display_name": "x", "event_types": vec![0; many]}}),
            "subscription.event_types",
        ),
        ("LoginAgent", json!({"name": agent["name"], "queues": vec![""; many]}), "queues"),
    ] {
        let failure = gateway.client.call_with_header(method, request, "20S").await.unwrap_err();
        assert_eq!((failure.reason.as_str(), failure.fields), ("FIELD_INVALID", vec![field.to_owned()]), "{method}");
    }
    let mask = vec!["absent"; 10_000].join(",");
    let request = json!({"agent": agent, "update_mask": mask});
    let failure = gateway.client.call_with_header("UpdateAgent", request, "20S").await.unwrap_err();
    assert_eq!(failure.fields.len(), 8, "{failure:?}");
    assert_eq!(failure.fields[0], "update_mask.paths");
}
