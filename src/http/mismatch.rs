//! Why a payload does not have the documented shape.

use crate::body;

/// Where a payload is not as documented, without its values: the text of serde's own error quotes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    line: usize,
    column: usize,
    /// Text that says more, and is safe to show.
    cause: Option<&'static str>,
}

// === impl Mismatch ===

impl Mismatch {
    /// What is wrong, for the error's metadata.
    pub(super) fn cause(&self) -> String {
        match self.cause {
            Some(cause) => cause.to_owned(),
            None => format!("does not match the documented shape at {}", self.place()),
        }
    }

    pub(super) fn place(&self) -> String {
        format!("line {}, column {} of the payload", self.line, self.column)
    }
}

#[expect(clippy::disallowed_types, reason = "the one place that takes what is safe to show out of it")]
impl From<serde_json::Error> for Mismatch {
    fn from(error: serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column(), cause: body::shown_cause(&error) }
    }
}
