//! Bytes that a vendor sent, as text: the one place that reads the body of a response and of a callback.
//!
//! [`decode`] removes the content codings (`Content-Encoding`) and the charset (`Content-Type`); [`repair()`] then
//! makes JSON of text that is almost JSON. Both are bounded: a body is decoded up to the size cap of its reader, and
//! [`MAX_GROWTH`] bounds the memory of its values.

pub(crate) mod charset;
pub(crate) mod coding;
mod label;
mod repair;

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, de::IgnoredAny};

pub(crate) use self::{
    label::{Labels, labelled, unlabelled},
    repair::{Exact, repair},
};

/// The content codings that [`decode`] removes.
pub(crate) const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("gzip, deflate");

/// Most memory that the values of a response may need, as a multiple of its largest size. The items of a whole list are
/// read one by one.
const MAX_GROWTH: usize = 16;
/// As much is always allowed, in bytes.
const MIN_MEMORY: usize = 1 << 20;
/// The error of an item that is too large. It names no value, so it may be shown.
pub(crate) const ITEM_TOO_LARGE: &str = "an item of a list in the response is larger than 1 MiB";
/// The error of a list whose items need more than 32 MiB. It names no value, so it may be shown.
pub(crate) const LIST_TOO_LONG: &str = "a list in the response has more items than fit in 32 MiB; request less";

/// Why a body is not readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is larger than the cap when its content codings are removed.
    TooLarge,
    /// `Content-Encoding` names a content coding other than gzip and deflate.
    UnknownCoding,
    /// It is not in the content coding that `Content-Encoding` names, or incomplete.
    Corrupt,
    /// `Content-Type` names a charset that is unknown, or that the body is not in.
    Charset,
    /// Its values need more memory than [`MAX_GROWTH`] allows.
    TooManyValues,
}

/// What bounds a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `max_response_size`, in bytes.
    Response(usize),
    /// `max_list_size`, in bytes.
    List(usize),
}

/// The text of a body, in UTF-8, of at most `max` bytes. A body without a charset that is no UTF-8 remains as it is.
///
/// # Errors
/// When the body is in an unknown coding or charset, or too large.
pub(crate) fn decode<'a>(labels: &Labels, body: &'a [u8], max: usize) -> Result<Cow<'a, [u8]>, Unreadable> {
    match coding::decode(labels.codings(), body, max)? {
        Cow::Borrowed(body) => charset::decode(labels.charset(), body, max),
        Cow::Owned(body) => charset::decode(labels.charset(), &body, max).map(|text| Cow::Owned(text.into_owned())),
    }
}

/// The body of a response, decoded and repaired. In JSON, a few bytes that are no text become U+FFFD: one odd name must
/// not fail a list, nor leave the outcome of a write unknown.
///
/// # Errors
/// As [`decode`]; and when the response has too many values for `max`.
pub(crate) fn of_response(headers: &HeaderMap, body: Bytes, bound: Bound) -> Result<Bytes, Unreadable> {
    let (labels, max) = (Labels::of(headers), bound.size());
    let body = in_place(&body, coding::decode(labels.codings(), &body, max)?);
    let decoded = charset::decode(labels.charset(), &body, max).map(|text| in_place(&body, text));
    match &decoded {
        Ok(body) => {
            if let Ok(text) = std::str::from_utf8(body) {
                return repaired(body, Cow::Borrowed(text), bound);
            }
        }
        Err(Unreadable::Charset) => {}
        Err(other) => return Err(*other),
    }
    match charset::with_replacements(labels.charset(), &body) {
        Some(text) if is_valid_json(&text) => repaired(&body, Cow::Owned(text), bound),
        _ => decoded,
    }
}

/// A text repaired, in place where it is part of `body`.
fn repaired(body: &Bytes, text: Cow<'_, str>, bound: Bound) -> Result<Bytes, Unreadable> {
    if !is_json(text.as_bytes()) {
        return Ok(in_place(body, into_bytes(text)));
    }
    let repaired = repair(&text, Exact::Integer64);
    if repaired.memory > bound.memory() {
        return Err(Unreadable::TooManyValues);
    }
    match repaired.text {
        Cow::Owned(text) => Ok(text.into()),
        Cow::Borrowed(_) => Ok(in_place(body, into_bytes(text))),
    }
}

/// Deserializes a body. Its UTF-8 is checked once, and not string by string.
///
/// # Errors
/// As `serde_json`.
pub(crate) fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        // It may be in a string that is ignored.
        Err(_) => serde_json::from_slice(body),
    }
}

/// Whether a text is JSON once it is repaired: then every replacement is in a string.
fn is_valid_json(text: &str) -> bool {
    is_json(text.as_bytes()) && serde_json::from_str::<IgnoredAny>(&repair(text, Exact::Integer64).text).is_ok()
}

/// Whether a text is JSON of an object or a list, if it is JSON.
fn is_json(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{") || body.trim_ascii_start().starts_with(b"[")
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// A part of a body without a copy.
fn in_place(body: &Bytes, part: Cow<'_, [u8]>) -> Bytes {
    match part {
        Cow::Borrowed(part) => body.slice_ref(part),
        Cow::Owned(part) => part.into(),
    }
}

// === impl Bound ===

impl Bound {
    /// The largest size, in bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Response(max) | Self::List(max) => max,
        }
    }

    fn memory(self) -> usize {
        self.size().saturating_mul(MAX_GROWTH).max(MIN_MEMORY)
    }
}

// === impl Unreadable ===

impl Unreadable {
    /// What is wrong, and what to do.
    pub(crate) fn cause(self, bound: Bound) -> &'static str {
        match self {
            Self::TooLarge if matches!(bound, Bound::List(_)) => "the decompressed response exceeds max_list_size",
            Self::TooLarge => "the decompressed response exceeds max_response_size",
            Self::UnknownCoding => "the response has a Content-Encoding other than gzip and deflate",
            Self::Corrupt => "the response is not in the content coding that its Content-Encoding names, or incomplete",
            Self::Charset => "the response is not in the charset that its Content-Type names",
            Self::TooManyValues if matches!(bound, Bound::List(_)) => {
                "the response has more values than max_list_size allows; request less, or raise max_list_size"
            }
            Self::TooManyValues => {
                "the response has more values than max_response_size allows; request less, or raise max_response_size"
            }
        }
    }
}

/// The cause of an error that is safe to show: it says that a list is too long, or an item too large.
pub(crate) fn shown_cause(error: &impl fmt::Display) -> Option<&'static str> {
    let text = error.to_string();
    [LIST_TOO_LONG, ITEM_TOO_LARGE].into_iter().find(|cause| text.starts_with(cause))
}
