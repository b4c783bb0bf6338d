//! Bad input: what is wrong is named, nothing is sent, and nothing else breaks.

use serde_json::{Value, json};
use switchboard_simulators::udesk;

use crate::support::{
    Gateway, acme,
    vendor::{serve_router, udesk_options},
    vendors::{Simulated, every_vendor},
};

/// A bad request: method, request, code, reason, and the fields that are named.
pub(crate) type Row = (&'static str, Value, &'static str, &'static str, &'static [&'static str]);

const INVALID: &str = "InvalidArgument";

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn rows() -> Vec<Row> {
    let long = "x".repeat(129);
    vec![
        // Names.
        ("GetAgent", json!({}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": "agents/1001"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": "centers/acme/agents/"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": "centers/ACME/agents/1001"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetAgent", json!({"name": "centers/nobody/agents/1001"}), "NotFound", "CENTER_NOT_FOUND", &[]),
        ("GetCenter", json!({"name": "centers/nobody"}), "NotFound", "CENTER_NOT_FOUND", &[]),
        ("GetCapabilities", json!({"name": "centers/acme"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetSoftphoneConfig", json!({"name": "centers/beta/capabilities"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetUserCallSettings", json!({"name": "centers/beta/users/u1"}), INVALID, "FIELD_INVALID", &["name"]),
        // Two centers in one request.
        (
            "ListAgents",
            json!({"parent": "centers/acme", "queue": "centers/beta/queues/9001"}),
            INVALID,
            "FIELD_INVALID",
            &["queue"],
        ),
        (
            "LoginAgent",
            json!({"name": "centers/acme/agents/1001", "queues": ["centers/acme/queues/9001", "centers/beta/queues/1"]}),
            INVALID,
            "FIELD_INVALID",
            &["queues[1]"],
        ),
        // Enums.
        ("ListAgents", json!({"parent": "centers/acme", "role": 9}), INVALID, "FIELD_INVALID", &["role"]),
        ("GetAgent", json!({"name": "centers/acme/agents/1001", "view": 9}), INVALID, "FIELD_INVALID", &["view"]),
        (
            "LoginAgent",
            json!({"name": "centers/acme/agents/1001", "initial_state": "AGENT_STATE_BUSY"}),
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
        ("ListQueues", json!({"parent": "centers/acme", "page_token": "abc"}), INVALID, "TOKEN_INVALID", &[]),
        ("ListExtensions", json!({"parent": "centers/beta", "page_token": "AQ"}), INVALID, "TOKEN_INVALID", &[]),
        ("ListCenters", json!({"page_token": "%%%"}), INVALID, "TOKEN_INVALID", &[]),
        // Counts and duplicates.
        (
            "LoginAgent",
            json!({"name": "centers/acme/agents/1001", "queues": ["centers/acme/queues/9001", "centers/acme/queues/9001"]}),
            INVALID,
            "FIELD_INVALID",
            &["queues[1]"],
        ),
        (
            "BindAgentExtensions",
            json!({"agent": "centers/acme/agents/1001", "extensions": []}),
            INVALID,
            "FIELD_INVALID",
            &["extensions"],
        ),
        // Masks.
        (
            "UpdateQueue",
            json!({"queue": {"name": "centers/acme/queues/9001", "display_name": "x"}, "update_mask": "*"}),
            INVALID,
            "FIELD_INVALID",
            &["update_mask.paths[0]", "update_mask"],
        ),
        (
            "UpdateQueue",
            json!({"queue": {"name": "centers/acme/queues/9001"}, "update_mask": "strategy"}),
            INVALID,
            "FIELD_INVALID",
            &["queue.strategy"],
        ),
        (
            "UpdateAgent",
            json!({"agent": {"name": "centers/acme/agents/1001"}}),
            INVALID,
            "FIELD_INVALID",
            &["update_mask"],
        ),
        // Callbacks.
        (
            "StartCallback",
            json!({"parent": "centers/acme", "variables": {"1x": "v"}}),
            INVALID,
            "FIELD_INVALID",
            &["customer_number", "entry_number", "variables"],
        ),
        (
            "StartCallback",
            json!({"parent": "centers/acme", "customer_number": "+8613800000000", "entry_number": "12"}),
            INVALID,
            "FIELD_INVALID",
            &["customer_number", "entry_number"],
        ),
        (
            "StartCallback",
            json!({
                "parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100",
                "request_id": "not a uuid",
            }),
            INVALID,
            "FIELD_INVALID",
            &["request_id"],
        ),
        // Udesk's own formats and limits.
        ("GetAgent", json!({"name": "centers/acme/agents/mara"}), INVALID, "FIELD_INVALID", &["name"]),
        (
            "ListAgents",
            json!({"parent": "centers/acme", "queue": "centers/acme/queues/sales"}),
            INVALID,
            "FIELD_INVALID",
            &["queue"],
        ),
        (
            "ListAgents",
            json!({"parent": "centers/acme", "state": "AGENT_STATE_BUSY"}),
            INVALID,
            "FIELD_UNSUPPORTED",
            &["state"],
        ),
        (
            "CreateQueue",
            json!({"parent": "centers/acme", "queue_id": "8001", "queue": {}}),
            INVALID,
            "FIELD_INVALID",
            &["queue_id", "queue.display_name"],
        ),
        (
            "CreateQueue",
            json!({"parent": "centers/acme", "queue": {"display_name": "x", "strategy": 1, "wait_timeout": "30s"}}),
            INVALID,
            "FIELD_UNSUPPORTED",
            &["queue.strategy", "queue.wait_timeout"],
        ),
        (
            "LoginAgent",
            json!({"name": "centers/acme/agents/1001", "vendor_data": {"state": 2, "color": "red"}}),
            INVALID,
            "FIELD_INVALID",
            &["vendor_data.state", "vendor_data.color"],
        ),
        // Huawei's own formats and limits.
        ("GetAgent", json!({"name": "centers/beta/agents/mara"}), INVALID, "FIELD_INVALID", &["name"]),
        ("GetQueue", json!({"name": "centers/beta/queues/sales"}), INVALID, "FIELD_INVALID", &["name"]),
        ("DeleteAgent", json!({"name": "centers/beta/agents/99"}), INVALID, "FIELD_INVALID", &["name"]),
        (
            "CreateAgent",
            json!({"parent": "centers/beta", "agent": {
                "display_name": "Karl <New>", "login_account": "karl", "login_password": "weak",
                "email": "karl@ex\u{e4}mple.com", "mobile_number": "12345678901234567890123456",
                "vendor_data": {"agentType": 6, "ccRoleId": 1, "color": "red"},
            }}),
            INVALID,
            "FIELD_INVALID",
            &[
                "agent.login_account",
                "agent.display_name",
                "agent.login_password",
                "agent.email",
                "agent.mobile_number",
                "agent.vendor_data.agentType",
                "agent.vendor_data.ccRoleId",
                "agent.vendor_data.color",
            ],
        ),
        (
            "CreateAgent",
            json!({"parent": "centers/beta", "agent_id": "1099", "agent": {
                "display_name": "Karl", "login_account": "karl.new", "login_password": "Abcde#12",
                "email": "karl@example.com", "enabled": true,
            }}),
            INVALID,
            "FIELD_UNSUPPORTED",
            &["agent_id", "agent.enabled"],
        ),
        (
            "UpdateAgent",
            json!({"agent": {"name": "centers/beta/agents/1001", "display_name": "more than twenty bytes"}}),
            INVALID,
            "FIELD_INVALID",
            &["agent.display_name"],
        ),
        (
            "LoginAgent",
            json!({"name": "centers/beta/agents/1001", "phone_number": "12345678901234567890123456"}),
            INVALID,
            "FIELD_INVALID",
            &["phone_number"],
        ),
        (
            "CreateQueue",
            json!({"parent": "centers/beta", "queue": {
                "display_name": "A/B", "wait_timeout": "60001s",
                "vendor_data": {"maxWaitNum": 10001, "maxAgentWrapupTime": 1.5, "description": "two words"},
            }}),
            INVALID,
            "FIELD_INVALID",
            &[
                "queue.display_name",
                "queue.wait_timeout",
                "queue.vendor_data.maxWaitNum",
                "queue.vendor_data.maxAgentWrapupTime",
                "queue.vendor_data.description",
            ],
        ),
        (
            "UpdateQueue",
            json!({"queue": {"name": "centers/beta/queues/1", "display_name": "New"}}),
            INVALID,
            "FIELD_UNSUPPORTED",
            &["queue.display_name"],
        ),
        (
            "AddQueueAgents",
            json!({"queue": "centers/beta/queues/1", "agents": ["centers/beta/agents/1001", "centers/beta/agents/x"]}),
            INVALID,
            "FIELD_INVALID",
            &["agents[1]"],
        ),
        (
            "UpdateUserCallSettings",
            json!({"user_call_settings": {
                "name": "centers/beta/users/u1/callSettings", "caller_ids": ["1", "1234567890123456"],
            }}),
            INVALID,
            "FIELD_INVALID",
            &["user_call_settings.caller_ids[1]"],
        ),
        // What is not there, or there already, or in the wrong state.
        ("GetAgent", json!({"name": "centers/acme/agents/99999"}), "NotFound", "RESOURCE_NOT_FOUND", &[]),
        (
            "CreateQueue",
            json!({"parent": "centers/acme", "queue": {"display_name": "Sales"}}),
            "AlreadyExists",
            "RESOURCE_EXISTS",
            &[],
        ),
        ("LoginAgent", json!({"name": "centers/acme/agents/1011"}), "FailedPrecondition", "AGENT_STATE_CONFLICT", &[]),
        (
            "StartCallback",
            json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01099999999"}),
            "NotFound",
            "RESOURCE_NOT_FOUND",
            &[],
        ),
        ("GetAgent", json!({"name": "centers/beta/agents/9999"}), "NotFound", "RESOURCE_NOT_FOUND", &[]),
        ("GetQueue", json!({"name": "centers/beta/queues/99"}), "NotFound", "RESOURCE_NOT_FOUND", &[]),
        ("GetPhoneNumber", json!({"name": "centers/beta/phoneNumbers/555"}), "NotFound", "RESOURCE_NOT_FOUND", &[]),
        ("GetExtension", json!({"name": "centers/beta/extensions/1"}), "NotFound", "RESOURCE_NOT_FOUND", &[]),
        ("DeleteQueue", json!({"name": "centers/beta/queues/1"}), "FailedPrecondition", "RESOURCE_IN_USE", &[]),
        ("DeleteAgent", json!({"name": "centers/beta/agents/1011"}), "FailedPrecondition", "AGENT_STATE_CONFLICT", &[]),
        (
            "CreateAgent",
            json!({"parent": "centers/beta", "agent": {
                "display_name": "Anna", "login_account": "anna.berg", "login_password": "Abcde#12",
                "email": "anna@example.com",
            }}),
            "AlreadyExists",
            "RESOURCE_EXISTS",
            &[],
        ),
        (
            "CreateQueue",
            json!({"parent": "centers/beta", "queue": {"display_name": "Sales"}}),
            "AlreadyExists",
            "RESOURCE_EXISTS",
            &[],
        ),
        (
            "GetUserCallSettings",
            json!({"name": "centers/beta/users/nobody/callSettings"}),
            "NotFound",
            "RESOURCE_NOT_FOUND",
            &[],
        ),
        (
            "AccessSoftphoneCredentials",
            json!({"parent": "centers/beta", "agent": "centers/beta/agents/999"}),
            "NotFound",
            "RESOURCE_NOT_FOUND",
            &[],
        ),
    ]
}

#[tokio::test]
async fn each_bad_request_is_told_what_is_wrong_and_nothing_is_sent() {
    let (gateway, simulators) = every_vendor().await;
    for (method, request, code, reason, fields) in rows() {
        simulators.iter().for_each(Simulated::forget);
        let failure = gateway.client.call(method, request.clone()).await.expect_err(method);
        let told = (format!("{:?}", failure.code), failure.reason.as_str(), failure.fields.as_slice());
        let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        assert_eq!(told, (code.to_owned(), reason, fields.as_slice()), "{method} {request}: {failure:?}");
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
    let simulator = udesk::Simulator::new(udesk_options());
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
