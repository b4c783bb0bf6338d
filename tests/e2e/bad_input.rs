//! Bad input: what is wrong is named, nothing is sent, and nothing else breaks.
//!
//! The contract's rules hold at every vendor; what only one vendor requires or refuses is in its own file.

mod huawei;
mod udesk;

use serde_json::{Value, json};

use crate::support::{
    Gateway, acme,
    vendor::{serve_router, udesk_options},
    vendors::{Simulated, VENDORS, Vendor, every_vendor},
};

/// A bad request: method, request, code, reason, and the fields that are named.
pub(crate) type Row = (&'static str, Value, &'static str, &'static str, &'static [&'static str]);

const INVALID: &str = "InvalidArgument";

type Rows = fn() -> Vec<Row>;

/// Each vendor's own rows.
const OWN: &[(&str, Rows)] = &[("udesk", udesk::rows), ("huawei", huawei::rows)];

/// Every row: the contract's at each vendor, and each vendor's own.
pub(crate) fn rows() -> Vec<Row> {
    VENDORS.iter().flat_map(of_the_contract).chain(OWN.iter().flat_map(|(_, rows)| rows())).collect()
}

/// Every bad request.
pub(crate) fn requests() -> impl Iterator<Item = (&'static str, Value)> {
    rows().into_iter().map(|(method, request, ..)| (method, request)).chain(udesk::requests())
}

fn of_the_contract(vendor: &Vendor) -> Vec<Row> {
    let long = "x".repeat(129);
    let (center, agent, queue) = (format!("centers/{}", vendor.center), vendor.first("agents"), vendor.first("queues"));
    let elsewhere = "centers/elsewhere/queues/1";
    vec![
        // Names.
        ("GetAgent", json!({}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": "agents/1001"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": format!("{center}/agents/")}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": "centers/ACME/agents/1001"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": "centers/nobody/agents/1001"}), "NotFound", "CENTER_NOT_FOUND", &[]),
        ("GetCenter", json!({"name": "centers/nobody"}), "NotFound", "CENTER_NOT_FOUND", &[]),
        ("GetCapabilities", json!({"name": center}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetSoftphoneConfig", json!({"name": format!("{center}/capabilities")}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetUserCallSettings", json!({"name": format!("{center}/users/u1")}), INVALID, "FIELD_INVALID", &["name"]),
        // Two centers in one request.
        ("ListAgents", json!({"parent": center, "queue": elsewhere}), INVALID, "FIELD_INVALID", &["queue"]),
        ("LoginAgent", json!({"name": agent, "queues": [queue, elsewhere]}), INVALID, "FIELD_INVALID", &["queues[1]"]),
        // Enums.
        ("ListAgents", json!({"parent": center, "role": 9}), INVALID, "FIELD_INVALID", &["role"]),
        ("GetAgent", json!({"name": agent, "view": 9}), INVALID, "FIELD_INVALID", &["view"]),
        (
            "LoginAgent",
            json!({"name": agent, "initial_state": "AGENT_STATE_BUSY"}),
            INVALID,
            "FIELD_INVALID",
            &["initial_state"],
        ),
        // Everything at once.
        (
            "ListAgents",
            json!({"page_size": -1, "role": 9, "query": long, "view": 9, "state": 1, "vendor_state": "4"}),
            INVALID,
            "FIELD_INVALID",
            &["parent", "page_size", "role", "query", "view", "vendor_state"],
        ),
        // Page tokens.
        ("ListQueues", json!({"parent": center, "page_token": "abc"}), INVALID, "TOKEN_INVALID", &[]),
        ("ListExtensions", json!({"parent": center, "page_token": "AQ"}), INVALID, "TOKEN_INVALID", &[]),
        ("ListCenters", json!({"page_token": "%%%"}), INVALID, "TOKEN_INVALID", &[]),
        // Counts and duplicates.
        ("LoginAgent", json!({"name": agent, "queues": [queue, queue]}), INVALID, "FIELD_INVALID", &["queues[1]"]),
        ("BindAgentExtensions", json!({"agent": agent, "extensions": []}), INVALID, "FIELD_INVALID", &["extensions"]),
        // Masks.
        (
            "UpdateQueue",
            json!({"queue": {"name": queue, "display_name": "x"}, "update_mask": "*"}),
            INVALID,
            "FIELD_INVALID",
            &["update_mask.paths[0]", "update_mask"],
        ),
        (
            "UpdateQueue",
            json!({"queue": {"name": queue}, "update_mask": "strategy"}),
            INVALID,
            "FIELD_INVALID",
            &["queue.strategy"],
        ),
        ("UpdateAgent", json!({"agent": {"name": agent}}), INVALID, "FIELD_INVALID", &["update_mask"]),
        // Callbacks.
        (
            "StartCallback",
            json!({"parent": center, "variables": {"1x": "v"}}),
            INVALID,
            "FIELD_INVALID",
            &["customer_number", "entry_number", "variables"],
        ),
        (
            "StartCallback",
            json!({
                "parent": center, "customer_number": "13800000000", "entry_number": "01055500100",
                "request_id": "not a uuid",
            }),
            INVALID,
            "FIELD_INVALID",
            &["request_id"],
        ),
    ]
}

#[test]
fn every_vendor_has_rows_of_its_own() {
    let vendors: Vec<&str> = VENDORS.iter().map(|vendor| vendor.name).collect();
    assert_eq!(OWN.iter().map(|(vendor, _)| *vendor).collect::<Vec<_>>(), vendors);
}

#[tokio::test]
async fn each_bad_request_names_what_is_wrong_and_nothing_is_sent() {
    let (gateway, simulators) = every_vendor().await;
    for (method, request, code, reason, fields) in rows() {
        simulators.iter().for_each(Simulated::forget);
        let failure = gateway.client.call(method, request.clone()).await.expect_err(method);
        let reported = (format!("{:?}", failure.code), failure.reason.as_str(), failure.fields.as_slice());
        let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        assert_eq!(reported, (code.to_owned(), reason, fields.as_slice()), "{method} {request}: {failure:?}");
        let asked: usize = simulators.iter().map(|simulator| simulator.asked().len()).sum();
        if code == INVALID || reason == "CENTER_NOT_FOUND" {
            assert_eq!(asked, 0, "{method} {request} reached a vendor");
        } else {
            assert!(failure.resource.is_some() || failure.metadata.contains_key("vendorCode"), "{method}: {failure:?}");
            assert!(asked > 0, "{method} {request}");
        }
    }
}

#[tokio::test]
async fn a_page_token_belongs_to_its_method_center_and_arguments() {
    let simulator = switchboard_simulators::udesk::Simulator::new(udesk_options());
    let address = serve_router(simulator.router()).await;
    let centers = format!("{}{}", acme(address), crate::support::udesk("other", address));
    let gateway = Gateway::start(&centers).await;
    let first = gateway.client.call("ListAgents", json!({"parent": "centers/acme", "page_size": 5})).await.unwrap();
    let token = first["next_page_token"].as_str().unwrap();
    for (method, request) in [
        ("ListAgents", json!({"parent": "centers/other", "page_token": token})),
        ("ListAgents", json!({"parent": "centers/acme", "page_token": token, "enabled": true})),
        ("ListQueues", json!({"parent": "centers/acme", "page_token": token})),
    ] {
        let failure = gateway.client.call(method, request.clone()).await.unwrap_err();
        assert_eq!(failure.reason, "TOKEN_INVALID", "{method} {request}");
    }
    let mut names = vec![];
    let mut page = first;
    loop {
        names.extend(page["agents"].as_array().unwrap().iter().map(|agent| agent["name"].clone()));
        let Some(token) = page.get("next_page_token").cloned() else { break };
        let next = json!({"parent": "centers/acme", "page_size": 3, "page_token": token});
        page = gateway.client.call("ListAgents", next).await.unwrap();
    }
    assert_eq!(names.len(), 12);
    assert_eq!(names[11], "centers/acme/agents/1012");
}
