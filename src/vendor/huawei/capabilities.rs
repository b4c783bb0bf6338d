//! What a Huawei center can do.

use super::{NAME, formats::FIELD_FORMATS};
use crate::{
    capability::{self, Row},
    proto::v1,
};

/// In the contract's order.
const ROWS: &[Row] = &[
    Row::native("ListPhoneNumbers")
        .never_fills(&["phone_numbers.is_default"])
        .limited("Huawei gives the first 200 access codes only, and no default caller ID"),
    Row::derived("GetPhoneNumber", "looks among the first 200 access codes that contain the number")
        .never_fills(&["is_default"]),
    Row::native("ListAgents")
        .refuses(&["role", "enabled", "state", "vendor_state"])
        .never_fills(&[
            "agents.employee_number",
            "agents.role",
            "agents.enabled",
            "agents.inbound_wrap_up_duration",
            "agents.outbound_wrap_up_duration",
            "agents.provision_extensions",
            "agents.login_password",
            "agents.state",
            "agents.vendor_state",
            "agents.state_reason",
            "agents.vendor_extension_state",
            "agents.default_phone_number",
            "agents.provisioned_extensions",
        ])
        .limited("agents without a business account are not listed; incomplete_reason tells how many there are"),
    Row::native("GetAgent").never_fills(NOT_OF_AGENTS),
    Row::native("CreateAgent")
        .refuses(&[
            "agent_id",
            "agent.employee_number",
            "agent.role",
            "agent.enabled",
            "agent.inbound_wrap_up_duration",
            "agent.outbound_wrap_up_duration",
            "agent.provision_extensions",
        ])
        .requires(&["agent.display_name", "agent.email", "agent.login_account", "agent.login_password"])
        .never_fills(NOT_OF_AGENTS)
        .limited("vendor_data takes agentType (4, 5, 11, 99; 4 when absent) and ccRoleId (2, 3, 4; 2 when absent)"),
    Row::native("UpdateAgent")
        .refuses(&[
            "agent.employee_number",
            "agent.role",
            "agent.enabled",
            "agent.inbound_wrap_up_duration",
            "agent.outbound_wrap_up_duration",
            "agent.login_account",
        ])
        .never_fills(NOT_OF_AGENTS)
        .limited("a changed display_name has at most 20 bytes; vendor_data takes agentType and ccRoleId"),
    Row::native("DeleteAgent").limited("an agent without a business account cannot be deleted"),
    Row::native("LoginAgent")
        .refuses(&["initial_state", "employee_number", "queues", "vendor_data"])
        .limited("only agents who answer on an ordinary phone; without phone_number, on the agent's mobile_number"),
    Row::native("LogoutAgent").limited("only agents who answer on an ordinary phone"),
    Row::derived("AddAgentQueues", "one vendor call for each queue, in the order of the request; all weights are 1"),
    Row::derived("SetAgentQueues", "one vendor call for each queue that is added, then for each that is released"),
    Row::derived("RemoveAgentQueues", "one vendor call for each queue, in the order of the request"),
    Row::native("ListExtensions").never_fills(&[
        "extensions.protocol",
        "extensions.agent",
        "extensions.initial_password",
    ]),
    Row::derived("GetExtension", "reads the list until the number is found").never_fills(&[
        "protocol",
        "agent",
        "initial_password",
    ]),
    Row::native("ListQueues").never_fills(&["queues.strategy", "queues.wait_music"]),
    Row::native("GetQueue").never_fills(&["strategy", "wait_music"]),
    Row::native("CreateQueue")
        .refuses(&["queue_id", "queue.strategy", "queue.wait_music"])
        .requires(&["queue.display_name"])
        .never_fills(&["strategy", "wait_music"])
        .limited(
            "vendor_data takes mediaTypeId (5 when absent), maxWaitNum, maxAgentWrapupTime, description and skillParam",
        ),
    Row::native("UpdateQueue")
        .refuses(&["queue.display_name", "queue.strategy", "queue.wait_music"])
        .never_fills(&["strategy", "wait_music"])
        .limited("vendor_data takes maxWaitNum, maxAgentWrapupTime, description and skillParam"),
    Row::native("DeleteQueue"),
    Row::native("AddQueueAgents").limited("50 agents a vendor call, in the order of the request; all weights are 1"),
    Row::native("GetSoftphoneConfig"),
    Row::native("AccessSoftphoneCredentials")
        .never_fills(&["credentials.protocol"])
        .limited("agents first, then softphone numbers; Huawei does not say which number is which agent's"),
    Row::native("GetUserCallSettings"),
    Row::native("UpdateUserCallSettings")
        .refuses(&["user_call_settings.vendor_data"])
        .limited("the record is read, merged and written back whole"),
    Row::native("WatchEvents")
        .limited("needs callback_secret in the center's configuration, and its address in Huawei's console"),
];

/// Fields of an agent that Huawei does not tell.
const NOT_OF_AGENTS: &[&str] = &[
    "employee_number",
    "role",
    "enabled",
    "inbound_wrap_up_duration",
    "outbound_wrap_up_duration",
    "provision_extensions",
    "login_password",
    "state",
    "vendor_state",
    "state_reason",
    "vendor_extension_state",
    "default_phone_number",
    "provisioned_extensions",
];

/// Everything in one answer; the caller fills in the name.
pub(super) fn capabilities() -> v1::Capabilities {
    v1::Capabilities {
        name: String::new(),
        vendor: NAME.to_owned(),
        methods: capability::methods(ROWS),
        event_types: Vec::new(),
        queue_strategies: Vec::new(),
        field_formats: capability::formats(FIELD_FORMATS),
    }
}
