//! Bad input to each method of a Udesk center: what is required, what has a format of the vendor's, what is not there
//! or is another center's, and what is there already.

use serde_json::{Value, json};
use switchboard_simulators::udesk;

use super::{INVALID, Row};
use crate::support::{
    Gateway, acme,
    client::Failure,
    udesk as another,
    vendor::{serve_router, udesk_options},
};

/// A request that reaches nobody: the method, the request, and the fields that are named.
type Refused = (&'static str, Value, &'static [&'static str]);

/// A request that the vendor or its lists refuse: code, reason, and the resource that is named.
type Rejected = (&'static str, Value, &'static str, &'static str, &'static str);

const AGENT: &str = "centers/acme/agents/1001";
const QUEUE: &str = "centers/acme/queues/9001";
const EXTENSION: &str = "centers/acme/extensions/1101";
const CALLBACK: &str = "https://crm.example.com/hooks";

/// Udesk's own formats and limits, and what it does not have, in the form of the other vendors' rows.
pub(super) fn rows() -> Vec<Row> {
    vec![
        (
            "StartCallback",
            json!({"parent": "centers/acme", "customer_number": "+8613800000000", "entry_number": "12"}),
            INVALID,
            "FIELD_INVALID",
            &["customer_number", "entry_number"],
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
    ]
}

/// What is missing.
fn missing() -> Vec<Refused> {
    let parent = || json!({"parent": "centers/acme"});
    vec![
        ("ListPhoneNumbers", json!({}), &["parent"]),
        ("GetPhoneNumber", json!({}), &["name"]),
        ("SetDefaultPhoneNumber", json!({}), &["name"]),
        ("ClearDefaultPhoneNumber", json!({}), &["parent"]),
        ("ListAgents", json!({}), &["parent"]),
        ("GetAgent", json!({}), &["name"]),
        ("CreateAgent", json!({}), &["parent", "agent"]),
        ("CreateAgent", json!({"parent": "centers/acme", "agent": {}}), &["agent_id", "agent.employee_number"]),
        ("UpdateAgent", json!({}), &["agent", "agent.name", "update_mask"]),
        ("LoginAgent", json!({}), &["name"]),
        ("LogoutAgent", json!({}), &["name"]),
        ("BindAgentExtensions", json!({}), &["agent", "extensions"]),
        ("UnbindAgentExtensions", json!({}), &["agent", "extensions"]),
        ("AddAgentQueues", json!({}), &["agent", "queues"]),
        ("SetAgentQueues", json!({}), &["agent", "queues"]),
        ("RemoveAgentQueues", json!({}), &["agent", "queues"]),
        ("ListExtensions", json!({}), &["parent"]),
        ("GetExtension", json!({}), &["name"]),
        ("CreateExtension", json!({}), &["parent", "extension_id", "extension"]),
        ("CreateExtension", parent(), &["extension_id", "extension"]),
        ("DeleteExtension", json!({}), &["name"]),
        ("ListQueues", json!({}), &["parent"]),
        ("GetQueue", json!({}), &["name"]),
        ("CreateQueue", json!({}), &["parent", "queue"]),
        ("CreateQueue", json!({"parent": "centers/acme", "queue": {}}), &["queue.display_name"]),
        ("UpdateQueue", json!({}), &["queue", "queue.name", "update_mask"]),
        ("DeleteQueue", json!({}), &["name"]),
        ("AddQueueAgents", json!({}), &["queue", "agents"]),
        ("AccessSoftphoneCredentials", json!({}), &["parent"]),
        ("StartCallback", parent(), &["customer_number", "entry_number"]),
        ("ListSubscriptions", json!({}), &["parent"]),
        ("GetSubscription", json!({}), &["name"]),
        (
            "CreateSubscription",
            json!({"parent": "centers/acme", "subscription": {}}),
            &["subscription.display_name", "subscription.event_types"],
        ),
        ("UpdateSubscription", json!({}), &["subscription", "subscription.name", "update_mask"]),
        ("DeleteSubscription", json!({}), &["name"]),
    ]
}

/// What the contract accepts and Udesk does not.
fn of_a_wrong_format() -> Vec<Refused> {
    let (agent, queue, line) = ("centers/acme/agents/mara", "centers/acme/queues/sales", "centers/acme/extensions/x1");
    let stand_in = "centers/acme/subscriptions/~0123456789abcdef";
    let no_digits = "centers/acme/subscriptions/crm";
    let long = "9".repeat(33);
    vec![
        ("CreateAgent", new_agent("mara", json!({"employee_number": "E1"})), &["agent_id"]),
        ("CreateAgent", new_agent("2001", json!({"employee_number": "E-1"})), &["agent.employee_number"]),
        ("CreateAgent", new_agent(&long, json!({"employee_number": "E1"})), &["agent_id"]),
        ("CreateAgent", new_agent("2001", json!({"employee_number": "E1", "email": "x"})), &["agent.email"]),
        (
            "CreateAgent",
            new_agent("2001", json!({"employee_number": "E1", "inbound_wrap_up_duration": "1.5s"})),
            &["agent.inbound_wrap_up_duration"],
        ),
        (
            "CreateAgent",
            new_agent("2001", json!({"employee_number": "E1", "vendor_data": {"AssistantAccessRight": "x"}})),
            &["agent.vendor_data.AssistantAccessRight"],
        ),
        ("UpdateAgent", json!({"agent": {"name": agent, "display_name": "x"}}), &["agent.name"]),
        ("UpdateAgent", json!({"agent": {"name": AGENT}, "update_mask": "employeeNumber"}), &["agent.employee_number"]),
        ("LoginAgent", json!({"name": agent, "employee_number": "a-b"}), &["name", "employee_number"]),
        ("LogoutAgent", json!({"name": agent}), &["name"]),
        ("BindAgentExtensions", json!({"agent": agent, "extensions": [line]}), &["agent", "extensions[0]"]),
        ("UnbindAgentExtensions", json!({"agent": AGENT, "extensions": [EXTENSION, line]}), &["extensions[1]"]),
        ("AddAgentQueues", json!({"agent": agent, "queues": [queue]}), &["agent", "queues[0]"]),
        ("SetAgentQueues", json!({"agent": agent, "queues": [queue]}), &["agent", "queues[0]"]),
        ("RemoveAgentQueues", json!({"agent": AGENT, "queues": [QUEUE, queue]}), &["queues[1]"]),
        ("GetExtension", json!({"name": line}), &["name"]),
        ("CreateExtension", new_extension("8001"), &["extension_id"]),
        ("CreateExtension", new_extension("10010"), &["extension_id"]),
        ("DeleteExtension", json!({"name": line}), &["name"]),
        ("GetQueue", json!({"name": queue}), &["name"]),
        ("CreateQueue", new_queue("8001", "Night"), &["queue_id"]),
        ("UpdateQueue", json!({"queue": {"name": queue, "wait_music": "x"}}), &["queue.name"]),
        ("UpdateQueue", json!({"queue": {"name": QUEUE}, "update_mask": "displayName"}), &["queue.display_name"]),
        ("DeleteQueue", json!({"name": queue}), &["name"]),
        ("AddQueueAgents", json!({"queue": queue, "agents": [agent]}), &["queue", "agents[0]"]),
        ("AccessSoftphoneCredentials", json!({"parent": "centers/acme", "agent": agent}), &["agent"]),
        (
            "StartCallback",
            json!({"parent": "centers/acme", "customer_number": "1", "entry_number": "+8613800000000", "caller_id": "x"}),
            &["customer_number", "entry_number", "caller_id"],
        ),
        ("UpdateSubscription", json!({"subscription": {"name": stand_in, "enabled": true}}), &["subscription.name"]),
        ("UpdateSubscription", json!({"subscription": {"name": no_digits, "enabled": true}}), &["subscription.name"]),
        ("DeleteSubscription", json!({"name": stand_in}), &["name"]),
        ("DeleteSubscription", json!({"name": no_digits}), &["name"]),
        (
            "CreateSubscription",
            new_subscription("crm", json!({"vendor_event_types": ["begin", "begin", "general_hangup", ""]})),
            &[
                "subscription.vendor_event_types[1]",
                "subscription.vendor_event_types[2]",
                "subscription.vendor_event_types[3]",
            ],
        ),
    ]
}

/// What Udesk has no place for.
fn unsupported() -> Vec<Refused> {
    vec![
        (
            "CreateAgent",
            new_agent("2001", json!({"employee_number": "E1", "login_account": "a", "vendor_data": {"NickName": "x"}})),
            &["agent.login_account", "agent.vendor_data.NickName"],
        ),
        ("UpdateAgent", json!({"agent": {"name": AGENT, "vendor_data": {"AppId": "x"}}}), &["agent.vendor_data.AppId"]),
        ("UpdateQueue", json!({"queue": {"name": QUEUE, "vendor_data": {"x": 1}}}), &["queue.vendor_data"]),
        (
            "CreateSubscription",
            new_subscription("crm", json!({"event_types": ["EVENT_TYPE_CALL_STATE_CHANGED"], "callback_uri": ""})),
            &["subscription.event_types[0]"],
        ),
    ]
}

/// What belongs to another center.
fn of_another_center() -> Vec<Refused> {
    let (agent, queue, line) =
        ("centers/other/agents/1001", "centers/other/queues/9001", "centers/other/extensions/1101");
    vec![
        ("ListAgents", json!({"parent": "centers/acme", "queue": queue}), &["queue"]),
        ("LoginAgent", json!({"name": AGENT, "queues": [queue]}), &["queues[0]"]),
        ("BindAgentExtensions", json!({"agent": AGENT, "extensions": [line]}), &["extensions[0]"]),
        ("UnbindAgentExtensions", json!({"agent": AGENT, "extensions": [EXTENSION, line]}), &["extensions[1]"]),
        ("AddAgentQueues", json!({"agent": AGENT, "queues": [queue]}), &["queues[0]"]),
        ("SetAgentQueues", json!({"agent": agent, "queues": [QUEUE]}), &["queues[0]"]),
        ("RemoveAgentQueues", json!({"agent": AGENT, "queues": [queue]}), &["queues[0]"]),
        ("AddQueueAgents", json!({"queue": QUEUE, "agents": [AGENT, agent]}), &["agents[1]"]),
        ("AccessSoftphoneCredentials", json!({"parent": "centers/acme", "agent": agent}), &["agent"]),
    ]
}

/// What is not there.
fn of_nobody() -> Vec<Rejected> {
    let not_found =
        |method, request, resource| -> Rejected { (method, request, "NotFound", "RESOURCE_NOT_FOUND", resource) };
    let (agent, queue) = ("centers/acme/agents/7777", "centers/acme/queues/9999");
    let (line, number) = ("centers/acme/extensions/1999", "centers/acme/phoneNumbers/01099999999");
    let subscription = "centers/acme/subscriptions/999";
    vec![
        not_found("GetPhoneNumber", json!({"name": number}), number),
        not_found("SetDefaultPhoneNumber", json!({"name": number}), number),
        not_found("GetAgent", json!({"name": agent}), agent),
        not_found("UpdateAgent", json!({"agent": {"name": agent, "display_name": "x"}}), agent),
        not_found("LoginAgent", json!({"name": agent}), agent),
        not_found("LogoutAgent", json!({"name": agent}), agent),
        not_found("BindAgentExtensions", json!({"agent": agent, "extensions": [EXTENSION]}), agent),
        not_found("BindAgentExtensions", json!({"agent": "centers/acme/agents/1011", "extensions": [line]}), line),
        not_found("UnbindAgentExtensions", json!({"agent": agent, "extensions": [EXTENSION]}), agent),
        not_found("UnbindAgentExtensions", json!({"agent": AGENT, "extensions": [EXTENSION, line]}), line),
        not_found("AddAgentQueues", json!({"agent": agent, "queues": [QUEUE]}), agent),
        not_found("AddAgentQueues", json!({"agent": AGENT, "queues": [QUEUE, queue]}), queue),
        not_found("SetAgentQueues", json!({"agent": agent, "queues": [QUEUE]}), agent),
        not_found("SetAgentQueues", json!({"agent": AGENT, "queues": [queue]}), queue),
        not_found("RemoveAgentQueues", json!({"agent": agent, "queues": [QUEUE]}), agent),
        not_found("RemoveAgentQueues", json!({"agent": AGENT, "queues": [queue]}), queue),
        not_found("GetExtension", json!({"name": line}), line),
        not_found("DeleteExtension", json!({"name": line}), line),
        not_found("GetQueue", json!({"name": queue}), queue),
        not_found("UpdateQueue", json!({"queue": {"name": queue, "display_name": "x"}}), queue),
        not_found("DeleteQueue", json!({"name": queue}), queue),
        not_found("AddQueueAgents", json!({"queue": queue, "agents": [AGENT]}), queue),
        not_found("AddQueueAgents", json!({"queue": QUEUE, "agents": [AGENT, agent]}), agent),
        not_found("AccessSoftphoneCredentials", json!({"parent": "centers/acme", "agent": agent}), agent),
        not_found("GetSubscription", json!({"name": subscription}), subscription),
        not_found("UpdateSubscription", json!({"subscription": {"name": subscription, "enabled": true}}), subscription),
        not_found("DeleteSubscription", json!({"name": subscription}), subscription),
    ]
}

/// What is there already, or in use, or in the wrong state.
fn in_the_way() -> Vec<Rejected> {
    let exists =
        |method, request, resource| -> Rejected { (method, request, "AlreadyExists", "RESOURCE_EXISTS", resource) };
    let in_use = |method, name: &'static str| -> Rejected {
        (method, json!({"name": name}), "FailedPrecondition", "RESOURCE_IN_USE", name)
    };
    let disable = json!({"agent": {"name": AGENT, "enabled": false}});
    vec![
        exists("CreateAgent", new_agent("1001", json!({"employee_number": "E1"})), AGENT),
        exists("CreateExtension", new_extension("1101"), EXTENSION),
        exists("CreateQueue", new_queue("9001", "Night"), QUEUE),
        exists("CreateQueue", new_queue("", "Sales"), "centers/acme"),
        exists("UpdateQueue", json!({"queue": {"name": QUEUE, "display_name": "Billing"}}), QUEUE),
        in_use("DeleteQueue", QUEUE),
        in_use("DeleteExtension", EXTENSION),
        ("UpdateAgent", disable, "FailedPrecondition", "AGENT_STATE_CONFLICT", AGENT),
        (
            "LoginAgent",
            json!({"name": "centers/acme/agents/1011"}),
            "FailedPrecondition",
            "AGENT_STATE_CONFLICT",
            "centers/acme/agents/1011",
        ),
        ("CreateSubscription", new_subscription("wallboard", json!({})), "InvalidArgument", "VENDOR_REJECTED", ""),
        (
            "BindAgentExtensions",
            json!({"agent": "centers/acme/agents/1011", "extensions": [EXTENSION]}),
            "InvalidArgument",
            "VENDOR_REJECTED",
            "",
        ),
    ]
}

/// Every bad request of this file.
pub(crate) fn requests() -> impl Iterator<Item = (&'static str, Value)> {
    let refused = [missing(), of_a_wrong_format(), unsupported(), of_another_center()];
    let refused = refused.into_iter().flatten().map(|(method, request, _)| (method, request));
    refused.chain([of_nobody(), in_the_way()].into_iter().flatten().map(|(method, request, ..)| (method, request)))
}

fn new_agent(id: &str, agent: Value) -> Value {
    json!({"parent": "centers/acme", "agent_id": id, "agent": agent})
}

fn new_extension(id: &str) -> Value {
    json!({"parent": "centers/acme", "extension_id": id, "extension": {"protocol": "EXTENSION_PROTOCOL_SIP"}})
}

fn new_queue(id: &str, name: &str) -> Value {
    json!({"parent": "centers/acme", "queue_id": id, "queue": {"display_name": name}})
}

/// A subscription with these fields beside, or instead of, what it needs.
fn new_subscription(name: &str, fields: Value) -> Value {
    let mut subscription = json!({
        "display_name": name, "callback_uri": CALLBACK, "event_types": ["EVENT_TYPE_CALL_HUNG_UP"],
    });
    for (field, value) in fields.as_object().unwrap() {
        subscription[field] = value.clone();
    }
    json!({"parent": "centers/acme", "subscription": subscription})
}

struct Desk {
    gateway: Gateway,
    simulator: std::sync::Arc<udesk::Simulator>,
}

impl Desk {
    async fn open() -> Self {
        let simulator = udesk::Simulator::new(udesk_options());
        let address = serve_router(simulator.router()).await;
        let gateway = Gateway::start(&format!("{}{}", acme(address), another("other", address))).await;
        Self { gateway, simulator }
    }

    async fn refused(&self, method: &str, request: &Value) -> Failure {
        self.simulator.forget_requests();
        self.gateway.client.call(method, request.clone()).await.expect_err(&format!("{method} took {request}"))
    }
}

#[tokio::test]
async fn what_breaks_a_rule_is_named_field_by_field_and_not_sent() {
    let desk = Desk::open().await;
    for (reason, rows) in [
        ("FIELD_INVALID", missing()),
        ("FIELD_INVALID", of_a_wrong_format()),
        ("FIELD_UNSUPPORTED", unsupported()),
        ("FIELD_INVALID", of_another_center()),
    ] {
        for (method, request, fields) in rows {
            let failure = desk.refused(method, &request).await;
            assert_eq!(format!("{:?}", failure.code), "InvalidArgument", "{method} {request}");
            assert_eq!(failure.reason, reason, "{method} {request}: {failure:?}");
            assert_eq!(failure.fields, fields, "{method} {request}");
            assert!(desk.simulator.requests().is_empty(), "{method} {request} reached the vendor");
        }
    }
}

#[tokio::test]
async fn what_the_vendor_refuses_is_named_and_changes_nothing() {
    let desk = Desk::open().await;
    let state = async || {
        let agents = json!({"parent": "centers/acme", "view": "VIEW_FULL"});
        let agents = desk.gateway.client.call("ListAgents", agents.clone()).await.unwrap();
        let queues = desk.gateway.client.call("ListQueues", json!({"parent": "centers/acme"})).await.unwrap();
        (
            agents,
            queues,
            desk.gateway.client.call("ListSubscriptions", json!({"parent": "centers/acme"})).await.unwrap(),
        )
    };
    let before = state().await;
    for (method, request, code, reason, resource) in of_nobody().into_iter().chain(in_the_way()) {
        let failure = desk.refused(method, &request).await;
        let reported = (format!("{:?}", failure.code), failure.reason.as_str());
        assert_eq!(reported, (code.to_owned(), reason), "{method} {request}: {failure:?}");
        let named = failure.resource.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
        assert_eq!(named, resource, "{method} {request}: {failure:?}");
        assert!(!desk.simulator.requests().is_empty(), "{method} {request}");
    }
    assert_eq!(state().await, before);
}

/// An unknown center is the same to every method; what a method of another vendor does is not asked.
#[tokio::test]
async fn a_center_that_is_not_there_is_reported_before_anything_else() {
    let desk = Desk::open().await;
    for (method, request, ..) in of_nobody().into_iter().chain(in_the_way()) {
        let elsewhere = request.to_string().replace("centers/acme", "centers/nobody");
        let failure = desk.refused(method, &serde_json::from_str(&elsewhere).unwrap()).await;
        assert_eq!(failure.reason, "CENTER_NOT_FOUND", "{method}: {failure:?}");
        assert!(desk.simulator.requests().is_empty());
    }
}
