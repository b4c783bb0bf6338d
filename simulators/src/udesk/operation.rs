//! An operation as data: the types of the table in `operations`.

use serde_json::Value;

use super::{call::Call, codes::Failure, state::State};

/// One operation of the document.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    /// The document's number, 1 to 26.
    pub(super) number: u8,
    pub(super) method: &'static str,
    /// The whole path. `{id}` as the last segment stands for one or more digits.
    pub(super) path: &'static str,
    /// `AppId`, or `app_id` in 23 and 24 (C4).
    pub(super) app_id: &'static str,
    /// Query parameters beside the application ID, `Sid`, `Timestamp` and `Sign`.
    pub(super) parameters: &'static [Parameter],
    pub(super) content_type: ContentType,
    pub(super) fields: &'static [Field],
    pub(super) envelope: Envelope,
    /// The text beside code 000000: `OK`, in 06 an empty text (C12).
    pub(super) success: &'static str,
    pub(super) result: ResultType,
    pub(super) run: Handler,
}

/// Runs an operation, after every check of its row.
pub(super) type Handler = fn(&mut State, &Call<'_>) -> Result<Value, Failure>;

/// A query parameter.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
}

/// What `Content-Type` must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentType {
    /// Anything or absent: a `GET` has no body.
    Unchecked,
    /// Anything but absent: there is no body (C8).
    Any,
    /// `application/json`, with or without `charset=utf-8` (C9).
    Json,
}

/// A field of a body.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// The type of a field, in the words of the document's tables.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    Texts,
    /// `IsCreateExtension`: 0 or 1, a boolean, or a boolean as text (C31).
    Switch,
    /// `variables`: JSON text, or the array itself (C53).
    TextOrArray,
    /// An array of objects with these fields, or one such object (C41).
    Objects(&'static [Field]),
}

/// The three forms of a response (C10).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Envelope {
    /// `ErrCode`, `ErrDesc`, `Result`.
    A,
    /// `ErrCode`, `ErrDesc`, `msg_id`, `results`, `data`.
    B,
    /// `code`, `message`, `results`.
    C,
}

/// What the operation's `Result` is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ResultType {
    /// What both table and example show.
    Agreed,
    /// A string in the table, an object or array in the example (C38).
    TextInTable,
    /// An object whose keys are names that the caller chose (C45).
    ByName,
}

// === impl Operation ===

impl Operation {
    /// The ID in `path`, `""` if this operation's path has none; `None` if `path` is not this operation's.
    pub(super) fn id_in<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some(prefix) = self.path.strip_suffix("{id}") else {
            return (path == self.path).then_some("");
        };
        let id = path.strip_prefix(prefix)?;
        (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
    }

    pub(super) const fn app_id(mut self, spelling: &'static str) -> Self {
        self.app_id = spelling;
        self
    }

    pub(super) const fn parameters(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(super) const fn body(mut self, fields: &'static [Field]) -> Self {
        self.content_type = ContentType::Json;
        self.fields = fields;
        self
    }

    pub(super) const fn success(mut self, text: &'static str) -> Self {
        self.success = text;
        self
    }

    pub(super) const fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = envelope;
        self
    }

    pub(super) const fn result(mut self, result: ResultType) -> Self {
        self.result = result;
        self
    }
}

// === impl Field ===

impl Field {
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}
