//! Fields that a change writes back as they were read, because the vendor's operation requires the whole resource.

use serde_json::Value;

use crate::error::{Error, ErrorReason, Result};

/// The fields that cannot be written back: a character of them was replaced by U+FFFD when they were read, or the
/// vendor lost it before.
#[derive(Debug, Default)]
pub(super) struct WrittenBack {
    unreadable: Vec<String>,
}

// === impl WrittenBack ===

impl WrittenBack {
    /// Checks a value that is written back as this field of the request.
    pub(super) fn value(&mut self, field: impl Into<String>, value: &Value) {
        self.check(field.into(), is_unreadable_value(value));
    }

    /// Checks a text that is written back as this field of the request.
    pub(super) fn text(&mut self, field: impl Into<String>, text: &str) {
        self.check(field.into(), is_unreadable(text));
    }

    /// Refuses the change if a field would lose a character.
    ///
    /// # Errors
    /// `VENDOR_RESPONSE_INVALID` with the fields. Nothing must be written then.
    pub(super) fn done(self) -> Result<()> {
        if self.unreadable.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the vendor returned {} with a character that is not readable (U+FFFD); nothing was written, because the \
             vendor requires the whole resource: set each of these fields in the request, too",
            self.unreadable.join(", ")
        );
        let error = Error::new(ErrorReason::VendorResponseInvalid, message)
            .with("cause", "a field that must be written back is not readable");
        Err(self.unreadable.into_iter().fold(error, |error, field| error.violating(field, "set it explicitly")))
    }

    /// The last part of a field may be a name that was read, too.
    fn check(&mut self, field: String, is_value_unreadable: bool) {
        if (is_value_unreadable || is_unreadable(&field)) && !self.unreadable.contains(&field) {
            self.unreadable.push(field);
        }
    }
}

/// Whether a text that was read has lost a character.
pub(super) fn is_unreadable(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

/// The same for a value and everything in it.
fn is_unreadable_value(value: &Value) -> bool {
    match value {
        Value::String(text) => is_unreadable(text),
        Value::Array(items) => items.iter().any(is_unreadable_value),
        Value::Object(members) => members.iter().any(|(name, value)| is_unreadable(name) || is_unreadable_value(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
