//! Errors of the simulators' own routes: a rule or event that is refused.

use std::fmt;

use serde_json::{Map, Value};

/// Longest part of an unknown key that an error quotes, in characters.
const QUOTED_KEY: usize = 40;

/// Why a rule was refused: the key, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    key: String,
    expected: String,
}

// === impl RuleError ===

impl RuleError {
    /// An error about a key; an empty key means the rule as a whole.
    pub(crate) fn new(key: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key: key.into(), expected: expected.into() }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.expected),
            key => write!(f, "{key}: {}", self.expected),
        }
    }
}

impl std::error::Error for RuleError {}

/// Reads a body as JSON. The error has the place and nothing of the text.
pub(crate) fn parse(body: &[u8]) -> Result<Value, RuleError> {
    serde_json::from_slice(body)
        .map_err(|error| RuleError::new("", format!("not JSON at line {}, column {}", error.line(), error.column())))
}

/// Refuses a key that is not one of `known`.
pub(crate) fn check_keys(object: &Map<String, Value>, known: &[&str]) -> Result<(), RuleError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let key: String = key.chars().take(QUOTED_KEY).collect();
            Err(RuleError::new(key, format!("no such key; there are {}", known.join(", "))))
        }
        None => Ok(()),
    }
}
