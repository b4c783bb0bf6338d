//! How many elements a list of a request has.

use serde_json::{Map, Value, json};

use crate::support::{
    Gateway, acme, beta,
    vendor::{Response, Scripted},
};

/// So many names of a collection.
fn names(center: &str, collection: &str, count: usize) -> Value {
    (0..count).map(|index| format!("centers/{center}/{collection}/{}", 1000 + index)).collect()
}

fn texts(count: usize) -> Value {
    (0..count).map(|index| format!("{}", 10_000 + index)).collect()
}

/// Sends a list of this many elements.
type Send = fn(usize) -> Value;

#[tokio::test]
async fn a_list_has_so_many_elements_and_no_more() {
    let vendor = Scripted::start([Response::text(500, "down")]).await;
    let gateway = Gateway::start(&format!("{}{}", acme(vendor.address), beta(vendor.address))).await;
    let lists: [(&str, &str, usize, Send); 13] = [
        (
            "LoginAgent",
            "queues",
            100,
            |count| json!({"name": "centers/acme/agents/1001", "queues": names("acme", "queues", count)}),
        ),
        (
            "AddAgentQueues",
            "queues",
            100,
            |count| json!({"agent": "centers/beta/agents/1001", "queues": names("beta", "queues", count)}),
        ),
        (
            "SetAgentQueues",
            "queues",
            100,
            |count| json!({"agent": "centers/beta/agents/1001", "queues": names("beta", "queues", count)}),
        ),
        (
            "RemoveAgentQueues",
            "queues",
            100,
            |count| json!({"agent": "centers/beta/agents/1001", "queues": names("beta", "queues", count)}),
        ),
        (
            "BindAgentExtensions",
            "extensions",
            8,
            |count| json!({"agent": "centers/acme/agents/1001", "extensions": names("acme", "extensions", count)}),
        ),
        (
            "UnbindAgentExtensions",
            "extensions",
            8,
            |count| json!({"agent": "centers/acme/agents/1001", "extensions": names("acme", "extensions", count)}),
        ),
        (
            "AddQueueAgents",
            "agents",
            500,
            |count| json!({"queue": "centers/acme/queues/9001", "agents": names("acme", "agents", count)}),
        ),
        (
            "WatchEvents",
            "event_types",
            64,
            |count| json!({"parent": "centers/acme", "event_types": vec![7777; count], "cursor": "none"}),
        ),
        ("CreateSubscription", "subscription.event_types", 64, |count| {
            let subscription = json!({"display_name": "x", "vendor_event_types": texts(count)});
            json!({"parent": "centers/acme", "subscription": subscription})
        }),
        (
            "UpdateUserCallSettings",
            "user_call_settings.caller_ids",
            5,
            |count| json!({"user_call_settings": {"name": "centers/beta/users/u1/callSettings", "caller_ids": texts(count)}}),
        ),
        ("UpdateUserCallSettings", "user_call_settings.extension_numbers", 5, |count| {
            json!({
                "user_call_settings": {
                    "name": "centers/beta/users/u1/callSettings", "extension_numbers": texts(count),
                },
            })
        }),
        ("StartCallback", "variables", 50, |count| {
            let variables: Map<String, Value> = (0..count).map(|index| (format!("k{index}"), json!("v"))).collect();
            json!({
                "parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100",
                "variables": variables,
            })
        }),
        ("UpdateQueue", "update_mask.paths", 64, |count| {
            let queue = json!({"name": "centers/acme/queues/9001", "display_name": "x"});
            json!({"queue": queue, "update_mask": vec!["absent"; count].join(",")})
        }),
    ];
    for (method, field, most, request) in lists {
        for (count, is_refused) in [(most, false), (most + 1, true)] {
            let failure = gateway.client.call(method, request(count)).await.unwrap_err();
            let is_named = failure.fields.iter().any(|named| named == field);
            assert_eq!(is_named, is_refused, "{method} {field} {count}: {failure:?}");
        }
    }
}
