//! The return codes of the document's table.

use axum::http::StatusCode;

use super::quirks::{Quirk, Quirks};

/// A return code that the simulator uses.
///
/// Where the table has two codes with one meaning, this is the older one, `1xxxxx` (C13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    number: &'static str,
    text: &'static str,
    /// The HTTP status of the document's general list, sent only with [`Quirk::HttpStatuses`].
    status: StatusCode,
    /// Number and text of the newer code with this meaning.
    second: Option<(&'static str, &'static str)>,
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    code: Code,
    detail: &'static str,
}

/// A well-formed value that is not allowed. Also the code of failures for which none is documented (C62).
pub(super) const INVALID_PARAMETER: Code =
    code("000001", "Invalid parameter", StatusCode::BAD_REQUEST).or("200002", "Parameter error");
/// A header, method or path that belongs to no operation.
pub(super) const INCORRECT_REQUEST: Code = code("000036", "Incorrect request", StatusCode::BAD_REQUEST);
/// The same code for a caller that does not accept JSON.
pub(super) const NOT_ACCEPTABLE: Code = code("000036", "Incorrect request", StatusCode::NOT_ACCEPTABLE);
pub(super) const PARAMETER_EMPTY: Code = code("100001", "Parameter is empty", StatusCode::BAD_REQUEST);
pub(super) const ACCOUNT_NOT_FOUND: Code = code("100003", "Account not found", StatusCode::UNAUTHORIZED);
pub(super) const NUMBER_NOT_FOUND: Code = code("100005", "Relay number not found", StatusCode::NOT_FOUND);
pub(super) const NAME_EXISTS: Code =
    code("100006", "Name already exists", StatusCode::UNPROCESSABLE_ENTITY).or("200019", "This name already exists");
pub(super) const NUMBER_EXISTS: Code = code("100015", "Number exists", StatusCode::UNPROCESSABLE_ENTITY);
pub(super) const APP_ID_EMPTY: Code = code("100017", "App ID is empty", StatusCode::BAD_REQUEST);
pub(super) const NOT_FOUND: Code =
    code("100018", "No records found", StatusCode::NOT_FOUND).or("200004", "No related records found");
pub(super) const PARSING_FAILED: Code = code("100019", "Parsing failed", StatusCode::BAD_REQUEST);
pub(super) const INVALID_STATE: Code = code("100021", "Invalid agent status", StatusCode::BAD_REQUEST);
pub(super) const APP_NOT_FOUND: Code = code("200001", "This app does not exist", StatusCode::NOT_FOUND);
/// An unknown or repeated name, or a value of the wrong type.
pub(super) const PARAMETER_ERROR: Code = code("200002", "Parameter error", StatusCode::BAD_REQUEST);
pub(super) const AUTHENTICATION_ERROR: Code = code("200020", "Authentication error", StatusCode::UNAUTHORIZED);

// === impl Code ===

impl Code {
    const fn or(mut self, number: &'static str, text: &'static str) -> Self {
        self.second = Some((number, text));
        self
    }

    /// A failure with this code. `detail` distinguishes failures with one code; it never quotes the request.
    pub(super) const fn because(self, detail: &'static str) -> Failure {
        Failure { code: self, detail }
    }
}

// === impl Failure ===

impl Failure {
    /// The HTTP status of the document's general list.
    pub(super) fn status(self) -> StatusCode {
        self.code.status
    }

    /// Return code and text.
    pub(super) fn code_and_text(self, quirks: Quirks) -> (&'static str, String) {
        let (number, text) = match self.code.second {
            Some(second) if quirks.contains(Quirk::SecondGenerationCodes) => second,
            _ => (self.code.number, self.code.text),
        };
        let text = if self.detail.is_empty() { text.to_owned() } else { format!("{text}: {}", self.detail) };
        (number, text)
    }
}

const fn code(number: &'static str, text: &'static str, status: StatusCode) -> Code {
    Code { number, text, status, second: None }
}
