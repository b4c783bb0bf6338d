//! How often an event is posted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rule_error::{RuleError, check_keys};

const KEYS: [&str; 3] = ["copies", "attempts", "retry_ms"];

/// Most copies, and most attempts for each.
const MAX_COUNT: u64 = 100;
/// Longest pause, in milliseconds: the first one, and what it grows to.
const MAX_PAUSE_MS: u64 = 60_000;

/// How an event is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// How often the event is posted, acknowledged or not.
    pub(super) copies: u64,
    /// Most attempts for each copy until it is acknowledged.
    pub(super) attempts: u64,
    /// The pause after the first attempt, in milliseconds. Each further pause is twice as long.
    pub(super) retry_ms: u64,
}

// === impl Rule ===

impl Rule {
    /// Reads a rule strictly. An absent key has its default.
    pub(crate) fn read(given: &Value) -> Result<Self, RuleError> {
        let Value::Object(given) = given else {
            return Err(RuleError::new("", "a rule is a JSON object"));
        };
        check_keys(given, &KEYS)?;
        let whole = |key: &str, least: u64, most: u64, otherwise: u64| match given.get(key) {
            None => Ok(otherwise),
            Some(value) => value
                .as_u64()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| RuleError::new(key, format!("a whole number from {least} to {most}"))),
        };
        let Self { copies, attempts, retry_ms } = Self::default();
        Ok(Self {
            copies: whole("copies", 1, MAX_COUNT, copies)?,
            attempts: whole("attempts", 1, MAX_COUNT, attempts)?,
            retry_ms: whole("retry_ms", 0, MAX_PAUSE_MS, retry_ms)?,
        })
    }

    pub(crate) fn to_json(self) -> Value {
        let Self { copies, attempts, retry_ms } = self;
        json!({ "copies": copies, "attempts": attempts, "retry_ms": retry_ms })
    }

    /// The pause after this many attempts.
    pub(super) fn pause_after(self, attempts: u64) -> Duration {
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2_u64.checked_pow(doublings).unwrap_or(u64::MAX);
        Duration::from_millis(self.retry_ms.saturating_mul(factor).min(MAX_PAUSE_MS))
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self { copies: 1, attempts: 3, retry_ms: 500 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_out_is_as_by_default() {
        assert_eq!(Rule::read(&json!({})), Ok(Rule { copies: 1, attempts: 3, retry_ms: 500 }));
        let rule = Rule { copies: 2, attempts: 5, retry_ms: 200 };
        assert_eq!(Rule::read(&rule.to_json()), Ok(rule));
    }

    #[test]
    fn what_is_no_rule_is_refused_by_its_key() {
        for (given, text) in [
            (json!([]), "a rule is a JSON object"),
            (json!({ "copy": 2 }), "copy: no such key; there are copies, attempts, retry_ms"),
            (json!({ "copies": 0 }), "copies: a whole number from 1 to 100"),
            (json!({ "copies": "2" }), "copies: a whole number from 1 to 100"),
            (json!({ "attempts": 101 }), "attempts: a whole number from 1 to 100"),
            (json!({ "retry_ms": -1 }), "retry_ms: a whole number from 0 to 60000"),
        ] {
            assert_eq!(Rule::read(&given).unwrap_err().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn pauses_grow_up_to_a_minute(retry_ms in 1..=MAX_PAUSE_MS, attempts in 1..=MAX_COUNT) {
            let rule = Rule { retry_ms, ..Rule::default() };
            prop_assert_eq!(rule.pause_after(1), Duration::from_millis(retry_ms));
            let (this, next) = (rule.pause_after(attempts), rule.pause_after(attempts + 1));
            prop_assert_eq!(next, (this * 2).min(Duration::from_secs(60)));
        }
    }
}
