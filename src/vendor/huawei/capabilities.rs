//! The capabilities of a Huawei center.

use super::{NAME, formats::FIELD_FORMATS};
use crate::{
    capability::{self, Row},
    proto::v1,
};

/// In the contract's order.
const ROWS: &[Row] = &[
    Row::native("ListPhoneNumbers")
        .never_fills(&["phone_numbers.is_default"])
        .limited("only the first 200 access codes can be read; the list has no default caller ID"),
    Row::derived("GetPhoneNumber", "searches the first 200 access codes that contain the number")
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
        .limited("agents without a business account are not listed; incomplete_reason counts them"),
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
        .limited("vendor_data accepts agentType (4, 5, 11, 99; default 4) and ccRoleId (2, 3, 4; default 2)"),
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
        .limited("display_name has at most 20 bytes; vendor_data accepts agentType and ccRoleId"),
    Row::native("DeleteAgent").limited("an agent without a business account cannot be deleted"),
    Row::native("LoginAgent")
        .refuses(&["initial_state", "employee_number", "queues", "vendor_data"])
        .limited("only agents who answer on an ordinary phone; phone_number defaults to the agent's mobile_number"),
    Row::native("LogoutAgent").limited("only agents who answer on an ordinary phone"),
    Row::derived("AddAgentQueues", "one vendor call for each queue, in the order of the request; all weights are 1"),
    Row::derived("SetAgentQueues", "one vendor call for each queue that is added, then for each that is released"),
    Row::derived("RemoveAgentQueues", "one vendor call for each queue, in the order of the request"),
    Row::native("ListExtensions").never_fills(&[
        "extensions.protocol",
        "extensions.agent",
        "extensions.initial_password",
    ]),
    Row::derived("GetExtension", "reads the list of extensions up to the number").never_fills(&[
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
            "vendor_data accepts mediaTypeId (default 5), maxWaitNum, maxAgentWrapupTime, description and skillParam",
        ),
    Row::native("UpdateQueue")
        .refuses(&["queue.display_name", "queue.strategy", "queue.wait_music"])
        .never_fills(&["strategy", "wait_music"])
        .limited("vendor_data accepts maxWaitNum, maxAgentWrapupTime, description and skillParam"),
    Row::native("DeleteQueue"),
    Row::native("AddQueueAgents").limited("50 agents a vendor call, in the order of the request; all weights are 1"),
    Row::native("GetSoftphoneConfig"),
    Row::native("AccessSoftphoneCredentials")
        .never_fills(&["credentials.protocol"])
        .limited("agents first, then softphone numbers; Huawei does not say which agent has which number"),
    Row::native("GetUserCallSettings"),
    Row::native("UpdateUserCallSettings")
        .refuses(&["user_call_settings.vendor_data"])
        .limited("the record is read, merged and written back whole"),
    Row::native("WatchEvents")
        .limited("requires callback_secret in the center's configuration, and its address in Huawei's console"),
];

/// Fields of an agent that Huawei does not return.
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

/// All capabilities. The caller fills in the name.
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
