//! How often an event is posted, read strictly: what is unknown or out of its limits is refused by its name.

use std::{fmt, time::Duration};

use serde_json::{Map, Value, json};

const KEYS: [&str; 3] = ["copies", "attempts", "retry_ms"];

/// The most copies, and the most attempts for each.
const MOST: u64 = 100;
/// The longest first pause, in milliseconds, and the longest that it grows to.
const LONGEST_MS: u64 = 60_000;

/// How an event is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// How many times, even if acknowledged.
    pub copies: u64,
    /// How many times at most each copy is tried until it is acknowledged.
    pub attempts: u64,
    /// The pause after the first attempt, in milliseconds; each further pause is twice as long.
    pub retry_ms: u64,
}

/// Why something asked of the simulator was refused: the key, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    key: String,
    expected: String,
}

// === impl Rule ===

impl Rule {
    /// Reads a rule. What is left out is as by default.
    pub fn read(given: &Value) -> Result<Self, Refused> {
        let Value::Object(given) = given else {
            return Err(Refused::new("", "a rule is a JSON object"));
        };
        check_names(given, &KEYS)?;
        let whole = |key: &str, least: u64, most: u64, otherwise: u64| match given.get(key) {
            None => Ok(otherwise),
            Some(value) => value
                .as_u64()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| Refused::new(key, format!("a whole number from {least} to {most}"))),
        };
        let Self { copies, attempts, retry_ms } = Self::default();
        Ok(Self {
            copies: whole("copies", 1, MOST, copies)?,
            attempts: whole("attempts", 1, MOST, attempts)?,
            retry_ms: whole("retry_ms", 0, LONGEST_MS, retry_ms)?,
        })
    }

    pub fn shown(self) -> Value {
        let Self { copies, attempts, retry_ms } = self;
        json!({ "copies": copies, "attempts": attempts, "retry_ms": retry_ms })
    }

    /// The pause after so many attempts.
    pub fn pause_after(self, attempts: u64) -> Duration {
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2_u64.checked_pow(doublings).unwrap_or(u64::MAX);
        Duration::from_millis(self.retry_ms.saturating_mul(factor).min(LONGEST_MS))
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self { copies: 1, attempts: 3, retry_ms: 500 }
    }
}

// === impl Refused ===

impl Refused {
    pub fn new(key: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key: key.into(), expected: expected.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.expected),
            key => write!(f, "{key}: {}", self.expected),
        }
    }
}

/// Refuses keys that are not among these.
pub(super) fn check_names(given: &Map<String, Value>, keys: &[&str]) -> Result<(), Refused> {
    match given.keys().find(|key| !keys.contains(&key.as_str())) {
        // A key is anybody's text: no more of it than a line holds.
        Some(key) => {
            let key: String = key.chars().take(40).collect();
            Err(Refused::new(key, format!("no such key; there are {}", keys.join(", "))))
        }
        None => Ok(()),
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
        assert_eq!(Rule::read(&rule.shown()), Ok(rule));
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
        fn pauses_grow_up_to_a_minute(retry_ms in 1..=LONGEST_MS, attempts in 1..=MOST) {
            let rule = Rule { retry_ms, ..Rule::default() };
            prop_assert_eq!(rule.pause_after(1), Duration::from_millis(retry_ms));
            let (this, next) = (rule.pause_after(attempts), rule.pause_after(attempts + 1));
            prop_assert_eq!(next, (this * 2).min(Duration::from_secs(60)));
        }
    }
}
