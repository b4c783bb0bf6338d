//! Formats that Huawei imposes (B3.5 to B3.22), enforced before anything is sent.

use crate::check::Check;

/// A field and the pattern its whole value must match, as `Capabilities.field_formats` tells them.
pub(super) const FIELD_FORMATS: &[(&str, &str)] = &[
    ("ListAgentsRequest.queue", QUEUE),
    ("GetAgentRequest.name", AGENT),
    ("Agent.name", AGENT),
    ("Agent.display_name", "[^\"\\[\\]'&()=;<>,]{1,20}"),
    ("Agent.email", r"[!-~]{1,64}@[!-~]{1,255}"),
    ("Agent.mobile_number", PHONE_PATTERN),
    ("Agent.login_account", r"[0-9A-Za-z@._-]{6,50}"),
    ("Agent.login_password", r"[!-~]{8}"),
    ("DeleteAgentRequest.name", AGENT),
    ("LoginAgentRequest.name", AGENT),
    ("LoginAgentRequest.phone_number", PHONE_PATTERN),
    ("LogoutAgentRequest.name", AGENT),
    ("AddAgentQueuesRequest.agent", AGENT),
    ("AddAgentQueuesRequest.queues", QUEUE),
    ("SetAgentQueuesRequest.agent", AGENT),
    ("SetAgentQueuesRequest.queues", QUEUE),
    ("RemoveAgentQueuesRequest.agent", AGENT),
    ("RemoveAgentQueuesRequest.queues", QUEUE),
    ("GetQueueRequest.name", QUEUE),
    ("Queue.name", QUEUE),
    ("Queue.display_name", "[^`~!#$%^&*()+=|{}':;,<>/?\u{2026}\\n\\r\\t]{1,100}"),
    ("DeleteQueueRequest.name", QUEUE),
    ("AddQueueAgentsRequest.queue", QUEUE),
    ("AddQueueAgentsRequest.agents", AGENT),
    ("AccessSoftphoneCredentialsRequest.agent", AGENT),
    ("UserCallSettings.caller_ids", r"[!-+\--~]{1,15}"),
    ("UserCallSettings.default_caller_id", r"[!-+\--~]{0,15}"),
    ("UserCallSettings.extension_numbers", r"[!-+\--~]{1,15}"),
    ("UserCallSettings.default_extension_number", r"[!-+\--~]{0,15}"),
];

/// `workNo`: 101 to 59999, in newer tenants up to 999999.
const AGENT: &str = r"centers/[^/]+/agents/[1-9][0-9]{2,5}";
/// `skillId`: a number.
const QUEUE: &str = r"centers/[^/]+/queues/[1-9][0-9]{0,8}";

/// `phone`.
const PHONE_PATTERN: &str = r"[ -~]{0,25}";

/// Longest `phone` (B3.5).
const PHONE: usize = 25;
/// Longest number of agentsettings (document 002).
const SETTINGS_NUMBER: usize = 15;
/// Longest `userName`: characters when an agent is created, bytes when it is changed (B3.5, B3.6).
const USER_NAME: usize = 20;
/// Longest `name` of a queue, in bytes (B3.13).
const SKILL_NAME: usize = 100;
/// Longest wait in a queue, in seconds (B3.13).
const MAX_WAIT_TIME: i64 = 60_000;

/// What a queue's name may not hold (B3.13).
const NOT_IN_SKILL_NAMES: &str = "`~!#$%^&*()+=|{}':;,<>/?\u{2026}\n\r\t";

/// A field of Huawei's own format.
pub(super) trait Formats {
    /// `workNo` in a name.
    fn agent_id(&mut self, field: impl Into<String>, id: &str);
    /// `skillId` in a name.
    fn queue_id(&mut self, field: impl Into<String>, id: &str);
    /// `userAccount` of a new agent.
    fn account(&mut self, field: &str, account: &str);
    /// `password` of a new agent.
    fn password(&mut self, field: &str, password: &str);
    /// `userName` of a new agent.
    fn new_user_name(&mut self, field: &str, name: &str);
    /// `userName` of an agent that is there.
    fn user_name(&mut self, field: &str, name: &str);
    /// `email`.
    fn ascii_email(&mut self, field: &str, email: &str);
    /// `phone`.
    fn phone(&mut self, field: &str, phone: &str);
    /// `name` of a queue.
    fn skill_name(&mut self, field: &str, name: &str);
    /// `maxWaitTime`, in seconds.
    fn wait_time(&mut self, field: &str, seconds: i64);
    /// A number of agentsettings; `fewest` characters.
    fn settings_number(&mut self, field: impl Into<String>, number: &str, fewest: usize);
}

impl Formats for Check {
    fn agent_id(&mut self, field: impl Into<String>, id: &str) {
        if !(3..=6).contains(&id.len()) || !is_number(id) {
            self.invalid(field, "Huawei numbers agents from 101 to 999999");
        }
    }

    fn queue_id(&mut self, field: impl Into<String>, id: &str) {
        if !(1..=9).contains(&id.len()) || !is_number(id) {
            self.invalid(field, "Huawei takes a number of 1 to 9 digits");
        }
    }

    fn account(&mut self, field: &str, account: &str) {
        let alphabet = account.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte));
        if !(6..=50).contains(&account.len()) || !alphabet {
            self.invalid(field, "Huawei takes 6 to 50 letters, digits, \"@\", \".\", \"-\" and \"_\"");
        }
    }

    fn password(&mut self, field: &str, password: &str) {
        let has = |class: fn(&u8) -> bool| password.as_bytes().iter().any(class);
        let classes = [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit, u8::is_ascii_punctuation];
        let fits = password.len() == 8 && password.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits || !classes.into_iter().all(has) {
            self.invalid(
                field,
                "Huawei takes exactly 8 characters: upper case, lower case, digit and special, no space",
            );
        }
    }

    fn new_user_name(&mut self, field: &str, name: &str) {
        let length = name.chars().count();
        if !(1..=USER_NAME).contains(&length) || name.contains(|char| "\"[]'&()=;<>,".contains(char)) {
            self.invalid(field, "Huawei takes 1 to 20 characters, none of \" [ ] ' & ( ) = ; < > ,");
        }
    }

    fn user_name(&mut self, field: &str, name: &str) {
        if !(1..=USER_NAME).contains(&name.len()) || name.contains(|char| "\"[]=;<>".contains(char)) {
            self.invalid(field, "Huawei takes 1 to 20 bytes when it changes a name, none of \" [ ] = ; < >");
        }
    }

    fn ascii_email(&mut self, field: &str, email: &str) {
        // The contract has checked the rest of it.
        if email.is_empty() || !email.is_ascii() {
            self.invalid(field, "Huawei takes an e-mail address in ASCII, and none can be left out");
        }
    }

    fn phone(&mut self, field: &str, phone: &str) {
        if phone.len() > PHONE || !phone.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            self.invalid(field, "Huawei takes at most 25 characters of a dial format");
        }
    }

    fn skill_name(&mut self, field: &str, name: &str) {
        if !(1..=SKILL_NAME).contains(&name.len()) || name.contains(|char| NOT_IN_SKILL_NAMES.contains(char)) {
            self.invalid(field, "Huawei takes 1 to 100 bytes without punctuation other than \" @ [ ] \\ - _ and .");
        }
    }

    fn wait_time(&mut self, field: &str, seconds: i64) {
        if seconds > MAX_WAIT_TIME {
            self.invalid(field, "Huawei takes at most 60000 s");
        }
    }

    fn settings_number(&mut self, field: impl Into<String>, number: &str, fewest: usize) {
        // Where the vendor lists numbers in one text, a comma parts them.
        let fits = number.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        if !fits || !(fewest..=SETTINGS_NUMBER).contains(&number.len()) {
            self.invalid(field, format!("Huawei takes {fewest} to {SETTINGS_NUMBER} characters of a dial format"));
        }
    }
}

/// Digits, the first of which is not 0.
fn is_number(text: &str) -> bool {
    !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(check: impl FnOnce(&mut Check)) -> bool {
        let mut violations = Check::new();
        check(&mut violations);
        violations.done().is_ok()
    }

    #[test]
    fn agents_and_queues_have_numbers() {
        for (good, bad) in [("101", "99"), ("59999", "0101"), ("999999", "1000000"), ("1001", "10a")] {
            assert!(accepts(|check| check.agent_id("f", good)), "{good}");
            assert!(!accepts(|check| check.agent_id("f", bad)), "{bad}");
        }
        for (good, bad) in [("1", ""), ("5000", "0"), ("999999999", "1000000000"), ("3", "\u{663}")] {
            assert!(accepts(|check| check.queue_id("f", good)), "{good}");
            assert!(!accepts(|check| check.queue_id("f", bad)), "{bad}");
        }
    }

    #[test]
    fn accounts_and_passwords() {
        for good in ["anna.b", "anna.berg@example.com", "A-b_c.9@", &"a".repeat(50)] {
            assert!(accepts(|check| check.account("f", good)), "{good}");
        }
        for bad in ["", "anna5", "anna berg", "anna+berg", "\u{e4}nnaberg", &"a".repeat(51)] {
            assert!(!accepts(|check| check.account("f", bad)), "{bad}");
        }
        assert!(accepts(|check| check.password("f", "Abcde#12")));
        for bad in
            ["", "Abcd#12", "Abcdef#12", "abcde#12", "ABCDE#12", "Abcdef#g", "Abcdef12", "Abc e#12", "Abcd\u{e9}#1"]
        {
            assert!(!accepts(|check| check.password("f", bad)), "{bad}");
        }
    }

    #[test]
    fn names_of_agents_are_20_characters_at_first_and_20_bytes_later() {
        let twenty = "\u{5f20}".repeat(20);
        assert!(accepts(|check| check.new_user_name("f", &twenty)));
        assert!(!accepts(|check| check.user_name("f", &twenty)));
        for (new, changed, name) in [
            (true, true, "Anna Berg"),
            (false, true, "Anna (Lead)"),
            (false, true, "Anna, O'Hara & Co"),
            (false, false, "Anna <Lead>"),
            (false, false, ""),
            (false, false, "aaaaaaaaaaaaaaaaaaaaa"),
        ] {
            assert_eq!(accepts(|check| check.new_user_name("f", name)), new, "{name}");
            assert_eq!(accepts(|check| check.user_name("f", name)), changed, "{name}");
        }
    }

    #[test]
    fn numbers_names_of_queues_and_waits() {
        assert!(accepts(|check| check.phone("f", "")) && accepts(|check| check.phone("f", &"1".repeat(25))));
        assert!(!accepts(|check| check.phone("f", &"1".repeat(26))));
        assert!(accepts(|check| check.settings_number("f", "123456789012345", 1)));
        assert!(accepts(|check| check.settings_number("f", "", 0)));
        for bad in ["5 5", "5\n", "\u{661}"] {
            assert_eq!(accepts(|check| check.phone("f", bad)), bad == "5 5", "{bad}");
        }
        for bad in ["", "1234567890123456", "1,2", "1 2", "\u{661}"] {
            assert!(!accepts(|check| check.settings_number("f", bad, 1)), "{bad}");
        }
        for good in ["After-sales 2", "A.B_C@D", "\u{552e}\u{540e}", &"a".repeat(100)] {
            assert!(accepts(|check| check.skill_name("f", good)), "{good}");
        }
        for bad in ["", "A/B", "A\nB", "100%", "a:b", &"\u{5f20}".repeat(34), &"a".repeat(101)] {
            assert!(!accepts(|check| check.skill_name("f", bad)), "{bad}");
        }
        assert!(accepts(|check| check.wait_time("f", 60_000)) && !accepts(|check| check.wait_time("f", 60_001)));
        for (email, fits) in [("a@b.example", true), ("a@b\u{e9}.example", false), ("", false)] {
            assert_eq!(accepts(|check| check.ascii_email("f", email)), fits, "{email}");
        }
    }
}
