//! The capabilities of a Udesk center.

use super::{NAME, events::EVENTS, formats::FIELD_FORMATS};
use crate::{
    capability::{self, Row},
    proto::v1,
};

/// Fields that Udesk has for no agent.
const NEVER_OF_AN_AGENT: &[&str] = &["login_account", "login_password", "provisioned_extensions"];

/// In the contract's order.
const ROWS: &[Row] = &[
    Row::native("ListPhoneNumbers").never_fills(&["phone_numbers.vendor_data"]),
    Row::derived("GetPhoneNumber", "found in the list of all numbers").never_fills(&["vendor_data"]),
    Row::native("SetDefaultPhoneNumber").limited("the list of numbers is read first and must contain the number"),
    Row::native("ClearDefaultPhoneNumber"),
    Row::native("ListAgents")
        .never_fills(&["agents.login_account", "agents.login_password", "agents.provisioned_extensions"])
        .limited(
            "state accepts the states that have a code in the center's agent_states; all defaults but OFFLINE are hints of Udesk's document; vendor_state accepts any code",
        ),
    Row::native("GetAgent").never_fills(NEVER_OF_AN_AGENT).limited("only ListAgents returns wrap-up times"),
    Row::native("CreateAgent")
        .refuses(&["agent.login_account", "agent.login_password"])
        .requires(&["agent_id", "agent.employee_number"])
        .never_fills(&[
            "state",
            "vendor_state",
            "state_reason",
            "vendor_extension_state",
            "queues",
            "default_phone_number",
            "login_account",
            "login_password",
        ])
        .limited(
            "the response contains what was sent and what Udesk created; vendor_data accepts only AssistantAccessRight",
        ),
    Row::native("UpdateAgent")
        .refuses(&["agent.login_account"])
        .never_fills(NEVER_OF_AN_AGENT)
        .limited("an agent can be disabled only while OFFLINE; vendor_data accepts only AssistantAccessRight"),
    Row::native("LoginAgent")
        .refuses(&["phone_number"])
        .limited(
            "initial_state is sent by the center's agent_states, whose defaults are hints of Udesk's document; vendor_data.state accepts the number",
        ),
    Row::native("LogoutAgent"),
    Row::native("BindAgentExtensions"),
    Row::native("UnbindAgentExtensions"),
    Row::native("AddAgentQueues"),
    Row::native("SetAgentQueues"),
    Row::native("RemoveAgentQueues"),
    Row::derived("ListExtensions", "only extensions bound to an agent are visible").never_fills(&[
        "extensions.state",
        "extensions.description",
        "extensions.initial_password",
    ]),
    Row::derived("GetExtension", "only extensions bound to an agent are visible").never_fills(&[
        "state",
        "description",
        "initial_password",
    ]),
    Row::native("CreateExtension").refuses(&["extension.vendor_data"]).never_fills(&["agent", "state", "description"]),
    Row::native("DeleteExtension"),
    Row::native("ListQueues"),
    Row::derived("GetQueue", "found in the list of all queues"),
    Row::native("CreateQueue")
        .refuses(&["queue.strategy", "queue.wait_timeout", "queue.vendor_data"])
        .requires(&["queue.display_name"])
        .never_fills(&["strategy", "wait_timeout", "vendor_data"]),
    Row::native("UpdateQueue")
        .refuses(&["queue.vendor_data"])
        .limited("the queue is read, merged and written whole: a concurrent change made elsewhere may be lost"),
    Row::native("DeleteQueue"),
    Row::native("AddQueueAgents"),
    Row::derived("AccessSoftphoneCredentials", "only passwords that Udesk returns with an agent")
        .never_fills(&["credentials.agent_login_password"]),
    Row::native("StartCallback"),
    Row::native("ListSubscriptions").limited(
        "Udesk lists no IDs: a subscription that the gateway did not create has a placeholder ID and is read-only",
    ),
    Row::derived("GetSubscription", "found in the list of all subscriptions"),
    Row::native("CreateSubscription").limited("enabled = false sends a second request"),
    Row::native("UpdateSubscription").limited(
        "a subscription whose ID the gateway does not know can only be replaced whole, with every path in update_mask",
    ),
    Row::native("DeleteSubscription"),
    Row::native("WatchEvents").limited("streams what Udesk posts to subscriptions without a callback_uri"),
];

/// All capabilities. The caller fills in the name.
pub(super) fn capabilities() -> v1::Capabilities {
    let strategies = [v1::QueueStrategy::RoundRobin, v1::QueueStrategy::FewestCalls, v1::QueueStrategy::LongestIdle];
    v1::Capabilities {
        name: String::new(),
        vendor: NAME.to_owned(),
        methods: capability::methods(ROWS),
        event_types: EVENTS.iter().map(|(event, _)| (*event).into()).collect(),
        queue_strategies: strategies.map(Into::into).to_vec(),
        field_formats: capability::formats(FIELD_FORMATS),
    }
}
