//! Bad input to a Huawei center: its own formats and limits, and what it does not have.

use serde_json::json;

use super::{INVALID, Row};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    vec![
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
