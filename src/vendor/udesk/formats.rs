//! Formats that Udesk requires (section "Data Format Conventions"), enforced before anything is sent.

use crate::check::Check;

/// A field and the pattern its whole value must match, as `Capabilities.field_formats` lists them, in the contract's
/// order. The pattern of a list applies to each item.
pub(super) const FIELD_FORMATS: &[(&str, &str)] = &[
    ("ListAgentsRequest.queue", QUEUE),
    ("GetAgentRequest.name", AGENT),
    ("CreateAgentRequest.agent_id", r"[0-9]{1,32}"),
    ("CreateAgentRequest.agent.employee_number", WORK_ID),
    ("UpdateAgentRequest.agent.name", AGENT),
    ("UpdateAgentRequest.agent.employee_number", WORK_ID),
    ("LoginAgentRequest.name", AGENT),
    ("LoginAgentRequest.employee_number", WORK_ID),
    ("LoginAgentRequest.queues", QUEUE),
    ("LogoutAgentRequest.name", AGENT),
    ("BindAgentExtensionsRequest.agent", AGENT),
    ("BindAgentExtensionsRequest.extensions", EXTENSION),
    ("UnbindAgentExtensionsRequest.agent", AGENT),
    ("UnbindAgentExtensionsRequest.extensions", EXTENSION),
    ("AddAgentQueuesRequest.agent", AGENT),
    ("AddAgentQueuesRequest.queues", QUEUE),
    ("SetAgentQueuesRequest.agent", AGENT),
    ("SetAgentQueuesRequest.queues", QUEUE),
    ("RemoveAgentQueuesRequest.agent", AGENT),
    ("RemoveAgentQueuesRequest.queues", QUEUE),
    ("GetExtensionRequest.name", EXTENSION),
    ("CreateExtensionRequest.extension_id", r"1[0-9]{3}"),
    ("DeleteExtensionRequest.name", EXTENSION),
    ("GetQueueRequest.name", QUEUE),
    ("CreateQueueRequest.queue_id", r"9[0-9]{3}"),
    ("UpdateQueueRequest.queue.name", QUEUE),
    ("DeleteQueueRequest.name", QUEUE),
    ("AddQueueAgentsRequest.queue", QUEUE),
    ("AddQueueAgentsRequest.agents", AGENT),
    ("AccessSoftphoneCredentialsRequest.agent", AGENT),
    ("StartCallbackRequest.customer_number", PSTN),
    ("StartCallbackRequest.entry_number", PSTN),
    ("StartCallbackRequest.caller_id", PSTN),
    ("UpdateSubscriptionRequest.subscription.name", SUBSCRIPTION),
    ("DeleteSubscriptionRequest.name", SUBSCRIPTION),
];

const AGENT: &str = r"centers/[^/]+/agents/[0-9]{1,32}";
const EXTENSION: &str = r"centers/[^/]+/extensions/[0-9]{1,32}";
const QUEUE: &str = r"centers/[^/]+/queues/[0-9]{1,32}";
const SUBSCRIPTION: &str = r"centers/[^/]+/subscriptions/[0-9]{1,32}";
const WORK_ID: &str = r"[0-9A-Za-z_]{1,32}";
/// The document knows landline, mobile, international and agents' SIP numbers. There are others, such as 4001234567 and
/// 95588, and Udesk decides about them.
const PSTN: &str = r"[0-9]{3,32}";

/// Checks of Udesk's formats.
pub(super) trait Formats {
    /// `AgentId`, `QueueId` or an extension in a name: digits, up to 32 (C20, C22, C27).
    fn digits(&mut self, field: impl Into<String>, id: &str);
    /// `WorkId`: letters, digits and underscore, up to 32.
    fn work_id(&mut self, field: &str, id: &str);
    /// A queue ID that the caller chooses (C20).
    fn chosen_queue_id(&mut self, field: &str, id: &str);
    /// An extension ID that the caller chooses: narrower than existing IDs (C22).
    fn chosen_extension(&mut self, field: &str, id: &str);
    /// The ID of a subscription to change. A placeholder ID is read-only (C46).
    fn subscription_id(&mut self, field: &str, id: &str);
    /// A number on the public network: 3 to 32 digits.
    fn pstn(&mut self, field: &str, number: &str);
}

impl Formats for Check {
    fn digits(&mut self, field: impl Into<String>, id: &str) {
        if !(1..=32).contains(&id.len()) || !all_digits(id) {
            self.invalid(field, "Udesk requires an ID of 1 to 32 digits");
        }
    }

    fn work_id(&mut self, field: &str, id: &str) {
        let word = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !(1..=32).contains(&id.len()) || !word {
            self.invalid(field, "Udesk requires 1 to 32 letters, digits and underscores");
        }
    }

    fn chosen_queue_id(&mut self, field: &str, id: &str) {
        if !is_chosen(id, '9') {
            self.invalid(field, "Udesk requires 9 followed by three digits");
        }
    }

    fn chosen_extension(&mut self, field: &str, id: &str) {
        if !is_chosen(id, '1') {
            self.invalid(field, "Udesk requires 1 followed by three digits");
        }
    }

    fn subscription_id(&mut self, field: &str, id: &str) {
        if id.starts_with('~') {
            self.invalid(field, "the ID of this subscription is unknown, so the subscription is read-only");
        } else {
            self.digits(field, id);
        }
    }

    fn pstn(&mut self, field: &str, number: &str) {
        if !is_pstn(number) {
            self.invalid(field, "Udesk requires 3 to 32 digits");
        }
    }
}

/// A number on the public network.
pub(super) fn is_pstn(number: &str) -> bool {
    (3..=32).contains(&number.len()) && all_digits(number)
}

fn is_chosen(id: &str, first: char) -> bool {
    id.len() == 4 && id.starts_with(first) && all_digits(id)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(check: impl FnOnce(&mut Check)) -> bool {
        let mut violations = Check::new();
        check(&mut violations);
        violations.done().is_ok()
    }

    /// The check of a field, and the collection where its value is a resource name.
    fn check_of(field: &str) -> (fn(&mut Check, &str), Option<&'static str>) {
        let digits: fn(&mut Check, &str) = |check, id| check.digits("f", id);
        let (message, field) = field.split_once('.').unwrap();
        match field {
            "customer_number" | "entry_number" | "caller_id" => (|check, number| check.pstn("f", number), None),
            "employee_number" | "agent.employee_number" => (|check, id| check.work_id("f", id), None),
            "agent_id" => (digits, None),
            "extension_id" => (|check, id| check.chosen_extension("f", id), None),
            "queue_id" => (|check, id| check.chosen_queue_id("f", id), None),
            "agent" | "agents" | "agent.name" => (digits, Some("agents")),
            "queue" | "queues" | "queue.name" => (digits, Some("queues")),
            "extensions" => (digits, Some("extensions")),
            "subscription.name" => (|check, id| check.subscription_id("f", id), Some("subscriptions")),
            "name" if message.contains("Subscription") => {
                (|check, id| check.subscription_id("f", id), Some("subscriptions"))
            }
            "name" if message.contains("Extension") => (digits, Some("extensions")),
            "name" if message.contains("Queue") => (digits, Some("queues")),
            "name" if message.contains("Agent") => (digits, Some("agents")),
            other => panic!("no check is known for {other}"),
        }
    }

    /// Boundary values of the formats.
    const VALUES: [&str; 38] = [
        "",
        "0",
        "1",
        "2",
        "12",
        "99",
        "100",
        "1000",
        "1999",
        "2000",
        "8001",
        "9000",
        "9999",
        "10000",
        "19999",
        "99990",
        "181154",
        "123456",
        "0123456",
        "012345",
        "01067654637",
        "13676546374",
        "136765463745",
        "0086057126200670",
        "93000077121002",
        "83000077121002",
        "02863208944",
        "+8657126200670",
        "1367654637a",
        "12345678901234567890123456789012",
        "123456789012345678901234567890123",
        "01234567890123456789012345678901",
        "012345678901234567890123456789012",
        "w_199",
        "a-b",
        "a b",
        "~0123456789abcdef",
        "\u{661}3676546374",
    ];

    #[test]
    fn the_published_patterns_are_the_enforced_ones() {
        for (field, pattern) in FIELD_FORMATS {
            let reported = regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            let (check, collection) = check_of(field);
            let is_reported = |value: &str| match collection {
                Some(collection) => reported.is_match(&format!("centers/acme/{collection}/{value}")),
                None => reported.is_match(value),
            };
            for value in VALUES {
                assert_eq!(is_reported(value), accepts(|violations| check(violations, value)), "{field}: {value}");
            }
            assert!(
                VALUES.iter().any(|value| is_reported(value)) && !VALUES.iter().all(|value| is_reported(value)),
                "{field}"
            );
        }
    }

    #[test]
    fn formats_are_of_fields_that_there_are() {
        use prost_reflect::{DescriptorPool, Kind};
        let pool = DescriptorPool::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
        for (path, _) in FIELD_FORMATS {
            let mut parts = path.split('.');
            let mut message = pool.get_message_by_name(&format!("contactcenter.v1.{}", parts.next().unwrap()));
            for part in parts {
                let field = message.unwrap().get_field_by_name(part).unwrap_or_else(|| panic!("{path}"));
                message = match field.kind() {
                    Kind::Message(message) => Some(message),
                    _ => None,
                };
            }
            assert!(message.is_none(), "{path} is no plain field");
        }
    }

    #[test]
    fn numbers_as_the_document_writes_them() {
        for good in ["01067654637", "13676546374", "0086057126200670", "93000077121002", "02863208944"] {
            assert!(accepts(|check| check.pstn("f", good)), "{good}");
        }
        // Forms that it does not know.
        for good in ["4001234567", "95588", "8008207788", "110"] {
            assert!(accepts(|check| check.pstn("f", good)), "{good}");
        }
        assert!(!accepts(|check| check.pstn("f", "+8657126200670")));
    }
}
