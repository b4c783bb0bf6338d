//! Reads the keys of a rule strictly: an error names the key that is unknown, out of its limits or not allowed beside
//! another.

use std::ops::RangeInclusive;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::{
    fault::{Ending, Reset},
    garbage::Garbage,
    vendor::Vendor,
};
use crate::rule_error::{RuleError, check_keys};

/// Longest pause, in milliseconds: ten minutes.
pub(super) const MAX_PAUSE_MS: u64 = 600_000;
/// Longest `matching`, in bytes.
pub(super) const MAX_MATCHING: usize = 256;
/// Largest skew of a clock, in seconds: a year.
const MAX_SKEW_S: u64 = 31_536_000;
/// Longest `body`, in bytes.
const MAX_BODY: usize = 65_536;

/// Every key, in the order of `docs/faults.md`.
const KEYS: [&str; 19] = [
    "operation",
    "matching",
    "times",
    "probability",
    "seed",
    "latency_ms",
    "jitter_ms",
    "processed",
    "status",
    "body",
    "retry_after",
    "throttle",
    "rate",
    "reset",
    "garbage",
    "drip_ms",
    "clock_skew_s",
    "revoke_token",
    "partial",
];

/// The keys that have an effect. A rule has at least one of them.
const EFFECTS: [&str; 11] = [
    "latency_ms",
    "jitter_ms",
    "status",
    "throttle",
    "rate",
    "reset",
    "garbage",
    "drip_ms",
    "clock_skew_s",
    "revoke_token",
    "partial",
];
/// The keys that decide how a request ends. A rule has at most one of them.
const ENDINGS: [&str; 5] = ["status", "throttle", "rate", "reset", "garbage"];

/// A rule's keys.
pub(super) struct Keys<'a>(&'a Map<String, Value>);

// === impl Keys ===

impl<'a> Keys<'a> {
    pub(super) fn new(rule: &'a Map<String, Value>) -> Self {
        Self(rule)
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn check_names(&self) -> Result<(), RuleError> {
        check_keys(self.0, &KEYS)
    }

    /// Checks which keys are allowed together, and that the vendor's simulator supports them.
    pub(super) fn check_combinations(&self, vendor: &Vendor) -> Result<(), RuleError> {
        if !EFFECTS.iter().any(|key| self.has(key)) {
            return Err(RuleError::new("", format!("the rule has no effect: add one of {}", EFFECTS.join(", "))));
        }
        let endings: Vec<&str> = ENDINGS.into_iter().filter(|key| self.has(key)).collect();
        if let [first, second, ..] = endings[..] {
            return Err(RuleError::new(second, format!("not beside {first}: a request ends in one way")));
        }
        for (key, companions) in [
            ("body", &["status"][..]),
            ("retry_after", &["status", "throttle", "rate"]),
            ("processed", &["status", "latency_ms", "jitter_ms"]),
            ("seed", &["probability", "jitter_ms"]),
        ] {
            if self.has(key) && !companions.iter().any(|other| self.has(other)) {
                return Err(RuleError::new(key, format!("only beside {}", companions.join(" or "))));
            }
        }
        let resets_before = self.0.get("reset").is_some_and(|reset| reset == "before");
        if self.has("processed") && (resets_before || self.has("throttle") || self.has("rate")) {
            return Err(RuleError::new("processed", "not where the operation does not run"));
        }
        if self.has("drip_ms") && self.has("reset") {
            return Err(RuleError::new("drip_ms", "not beside reset"));
        }
        for (key, is_supported) in [("revoke_token", vendor.has_tokens), ("partial", vendor.has_batches)] {
            if self.has(key) && !is_supported {
                return Err(RuleError::new(key, "this vendor's simulator does not support it"));
            }
        }
        Ok(())
    }

    pub(super) fn operations(&self, vendor: &Vendor) -> Result<Option<Vec<usize>>, RuleError> {
        let refused =
            |what: &str| RuleError::new("operation", format!("{what}; it is * for all, or {}", vendor.naming));
        let name = match self.0.get("operation") {
            None => return Err(refused("missing")),
            Some(Value::String(name)) => name,
            Some(_) => return Err(refused("a text")),
        };
        if name == "*" {
            return Ok(None);
        }
        let found = (vendor.find)(name);
        if found.is_empty() { Err(refused("no such operation")) } else { Ok(Some(found)) }
    }

    pub(super) fn ending(&self) -> Result<Ending, RuleError> {
        let retry_after = self.integer("retry_after", 0..=86_400)?;
        if let Some(status) = self.integer("status", 200..=599)? {
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            let status = status.ok_or_else(|| RuleError::new("status", "an HTTP status"))?;
            let body = self.text("body", MAX_BODY)?.unwrap_or_default();
            return Ok(Ending::Status { status, body, retry_after });
        }
        if self.flag("throttle")? || self.has("rate") {
            return Ok(Ending::Throttle { retry_after: retry_after.unwrap_or(1) });
        }
        if let Some(reset) = self.one_of("reset", &Reset::NAMES)? {
            return Ok(Ending::Reset(reset));
        }
        Ok(self.one_of("garbage", &Garbage::NAMES)?.map_or(Ending::Regular, Ending::Garbage))
    }

    pub(super) fn skew(&self) -> Result<i64, RuleError> {
        match self.0.get("clock_skew_s") {
            None => Ok(0),
            Some(value) => value.as_i64().filter(|skew| skew.unsigned_abs() <= MAX_SKEW_S).ok_or_else(|| {
                RuleError::new("clock_skew_s", format!("a whole number from -{MAX_SKEW_S} to {MAX_SKEW_S}"))
            }),
        }
    }

    pub(super) fn probability(&self) -> Result<f64, RuleError> {
        match self.0.get("probability") {
            None => Ok(1.0),
            Some(value) => value
                .as_f64()
                .filter(|probability| (0.0..=1.0).contains(probability))
                .ok_or_else(|| RuleError::new("probability", "a number from 0 to 1")),
        }
    }

    pub(super) fn integer(&self, key: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, RuleError> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(RuleError::new(key, format!("a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    pub(super) fn text(&self, key: &str, max: usize) -> Result<Option<String>, RuleError> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        match value.as_str().filter(|text| (1..=max).contains(&text.len())) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(RuleError::new(key, format!("a text of 1 to {max} bytes"))),
        }
    }

    /// A key that is `true` or absent.
    pub(super) fn flag(&self, key: &str) -> Result<bool, RuleError> {
        match self.0.get(key) {
            None => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(_) => Err(RuleError::new(key, "true, or absent")),
        }
    }

    fn one_of<T: Copy>(&self, key: &str, values: &[(&str, T)]) -> Result<Option<T>, RuleError> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        match values.iter().find(|(name, _)| value == name) {
            Some((_, found)) => Ok(Some(*found)),
            None => {
                let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
                Err(RuleError::new(key, format!("one of {}", names.join(", "))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{rule::Rule, testing::vendor},
        *,
    };

    fn refused(rule: &Value) -> String {
        Rule::read(rule, &vendor()).err().unwrap_or_else(|| panic!("{rule} was accepted")).to_string()
    }

    #[test]
    fn what_is_refused_is_named_by_its_key() {
        for (rule, key) in [
            (json!({ "status": 503 }), "operation: missing"),
            (json!({ "operation": "wrte", "status": 503 }), "operation: no such operation; it is * for all, or read"),
            (json!({ "operation": 24, "status": 503 }), "operation: a text"),
            (json!({ "operation": "*" }), "the rule has no effect"),
            (json!({ "operation": "*", "seed": 1, "status": 503 }), "seed: only beside probability"),
            (json!({ "operation": "*", "latency": 5 }), "latency: no such key; there are operation, matching"),
            (json!({ "operation": "*", "latency_ms": 600_001 }), "latency_ms: a whole number from 0 to 600000"),
            (json!({ "operation": "*", "latency_ms": -1 }), "latency_ms: "),
            (json!({ "operation": "*", "latency_ms": "5" }), "latency_ms: "),
            (json!({ "operation": "*", "latency_ms": 600_000, "jitter_ms": 1 }), "jitter_ms: with latency_ms"),
            (json!({ "operation": "*", "times": 0, "status": 503 }), "times: "),
            (json!({ "operation": "*", "probability": 1.5, "status": 503 }), "probability: a number from 0 to 1"),
            (json!({ "operation": "*", "matching": "", "status": 503 }), "matching: a text of 1 to 256 bytes"),
            (json!({ "operation": "*", "status": 199 }), "status: a whole number from 200 to 599"),
            (json!({ "operation": "*", "body": "x", "latency_ms": 1 }), "body: only beside status"),
            (json!({ "operation": "*", "retry_after": 1, "reset": "before" }), "retry_after: only beside status"),
            (json!({ "operation": "*", "throttle": false }), "throttle: true, or absent"),
            (json!({ "operation": "*", "rate": 0 }), "rate: "),
            (json!({ "operation": "*", "reset": "soon" }), "reset: one of before, during, after"),
            (json!({ "operation": "*", "garbage": "noise" }), "garbage: one of html, truncated, not-utf8, deep"),
            (json!({ "operation": "*", "status": 503, "reset": "before" }), "reset: not beside status"),
            (json!({ "operation": "*", "processed": true, "garbage": "html" }), "processed: only beside"),
            (
                json!({ "operation": "*", "processed": true, "latency_ms": 1, "reset": "before" }),
                "processed: not where",
            ),
            (json!({ "operation": "*", "drip_ms": 5, "reset": "during" }), "drip_ms: not beside reset"),
            (json!({ "operation": "*", "clock_skew_s": 31_536_001 }), "clock_skew_s: a whole number from -31536000"),
            (json!({ "operation": "*", "partial": 0 }), "partial: "),
        ] {
            let text = refused(&rule);
            assert!(text.starts_with(key), "{rule}: {text}");
        }
    }

    #[test]
    fn a_vendor_without_tokens_or_batches_refuses_rules_about_them() {
        let vendor = Vendor { has_tokens: false, has_batches: false, ..vendor() };
        for key in ["revoke_token", "partial"] {
            let rule = json!({ "operation": "*", key: 1 });
            let text = Rule::read(&rule, &vendor).err().unwrap().to_string();
            assert!(text.starts_with(&format!("{key}: this vendor")), "{text}");
        }
    }

    #[test]
    fn every_effect_and_ending_is_a_key() {
        assert!(EFFECTS.iter().chain(&ENDINGS).all(|key| KEYS.contains(key)));
        assert!(ENDINGS.iter().all(|key| EFFECTS.contains(key)));
    }
}
