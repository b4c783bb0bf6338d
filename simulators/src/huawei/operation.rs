//! An operation as data: the types of the table in `operations`, and the call that an operation receives.

use std::time::SystemTime;

use http::Method;
use serde_json::Value;

use super::{
    envelope::{Outcome, Payload, Style},
    quirks::Quirks,
    state::Center,
};

/// One operation at one path.
pub(super) struct Operation {
    /// The first part of the path, with the slash at its end.
    pub(super) prefix: &'static str,
    /// The rest of the path, which names the operation.
    pub(super) name: &'static str,
    pub(super) app_key: AppKey,
    /// The member in which the operation's table wraps the fields, if it does.
    pub(super) wrapper: Option<&'static str>,
    pub(super) style: Style,
    /// The text beside return code "0".
    pub(super) success: &'static str,
    pub(super) handler: Handler,
}

/// Whether `X-APP-Key` is required. If it is sent, it must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AppKey {
    Optional,
    Mandatory,
}

/// What runs once API Fabric accepted the request.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// `tokenByAkSk`, which API Fabric serves itself.
    IssueToken,
    /// A `GET`, without a body.
    Get(Get),
    /// A `POST`, with a JSON body.
    Post(Post),
}

/// Handles a `GET`.
pub(super) type Get = fn(&Center, &Quirks) -> Payload;

/// Handles a `POST`.
pub(super) type Post = fn(&mut Center, Call<'_>) -> Outcome;

/// What a handler knows of a request.
pub(super) struct Call<'a> {
    /// The fields, without wrapper.
    pub(super) body: Value,
    pub(super) quirks: &'a Quirks,
    pub(super) now: SystemTime,
}

// === impl Operation ===

impl Operation {
    pub(super) fn method(&self) -> &Method {
        match self.handler {
            Handler::Get(_) => &Method::GET,
            Handler::IssueToken | Handler::Post(_) => &Method::POST,
        }
    }

    /// Whether `path` is this operation's.
    pub(super) fn has_path(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix) == Some(self.name)
    }

    /// The operation with its fields wrapped in this member.
    pub(super) const fn wrapped(self, member: &'static str) -> Self {
        Self { wrapper: Some(member), ..self }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }
}
