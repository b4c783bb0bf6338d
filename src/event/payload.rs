//! The body of a callback, read once: its fields for the vendor's decoder, and the whole body for
//! `Event.vendor_payload`.
//!
//! Reading never fails. [`CallbackBody`] reads a body in the first format that fits: a JSON object, other JSON, a form
//! (`k=v&k=v`), a Java map's text (`{k=v, k=v}`), any text, bytes.
//!
//! # Transformations
//!
//! - Secrets are redacted while the body is read (`redactor`): members by their names, known values and callback
//!   addresses anywhere.
//! - Malformed strings and numbers are repaired (`crate::body`). The ingress has already decoded content codings and
//!   charsets; a body that it could not decode is in base64, beside its labels.
//! - Integers that a double does not represent exactly become text with all their digits. The last of several members
//!   with one name wins (`json`).
//! - The contract's clients reject messages nested deeper than 100 levels or larger than 4 MiB. So values below a depth
//!   become their JSON text, and a large payload becomes one text, truncated to [`MAX_PAYLOAD_BYTES`].

mod fields;
mod json;
mod text;
mod timestamp;

#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use prost_types::{Struct, Value, value::Kind};

use self::json::Json;
pub(crate) use self::{fields::Fields, text::FreeText, timestamp::parse_timestamp};
use crate::{
    body::{self, Labels},
    error::truncate,
    redact::Redactor,
};

/// Largest encoded payload, in bytes. A client accepts messages of 4 MiB, and an event has more fields than its
/// payload.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 3 << 20;

/// Field of a body that is no JSON object.
const BODY_FIELD: &str = "body";
/// Field with the encoding of [`BODY_FIELD`]; absent for text.
const ENCODING_FIELD: &str = "body_encoding";
/// Fields with `Content-Encoding` and `Content-Type` of a body that could not be decoded.
const CODING_FIELD: &str = "body_content_encoding";
const TYPE_FIELD: &str = "body_content_type";
/// Field that says that [`BODY_FIELD`] is truncated.
const TRUNCATED_FIELD: &str = "body_truncated";

/// Bytes reserved for the fields beside [`BODY_FIELD`] and for length prefixes.
const RESERVED_BYTES: usize = 1 << 10;

/// The redacted body of a callback. It holds people's data, so it has no `Debug`.
pub(crate) struct CallbackBody {
    /// The fields for lookups.
    fields: Struct,
    /// The payload, where it differs from `fields`.
    payload: Option<Struct>,
}

// === impl CallbackBody ===

impl CallbackBody {
    /// Reads a body and replaces `secrets` by `***`.
    pub(crate) fn read(body: &[u8], secrets: &[&str]) -> Self {
        Self::read_body(body, secrets, None)
    }

    /// As [`CallbackBody::read`], for a vendor whose Java maps have a member of free text.
    pub(crate) fn read_with_free_text(free: &FreeText, body: &[u8], secrets: &[&str]) -> Self {
        Self::read_body(body, secrets, Some(free))
    }

    fn read_body(body: &[u8], secrets: &[&str], free: Option<&FreeText>) -> Self {
        let redactor = Redactor::new(secrets);
        let (labels, body) = body::unlabelled(body);
        // The fields of bytes that are no UTF-8 are read, too, although the payload is base64.
        let decoded = String::from_utf8_lossy(body);
        let trimmed = decoded.trim_start_matches('\u{feff}').trim();
        let json = |text: &str| Json::new(&redactor).read(text)?.kind;
        let mut callback_body = match json(trimmed) {
            Some(Kind::StructValue(fields)) => Self::object(fields),
            Some(other) => Self::other_json(other, &redactor),
            None => {
                let (fields, cleaned) = text::read(trimmed, &decoded, free, &redactor);
                Self { fields, payload: Some(text_body(cleaned)) }
            }
        };
        if std::str::from_utf8(body).is_err() {
            callback_body.payload = Some(bytes_body(&redactor.bytes(body), &labels));
        }
        callback_body
    }

    /// The fields of the body, and of its members with one of these names that are objects or JSON text of objects.
    pub(crate) fn fields<'a>(&'a self, inner: &[&str]) -> Fields<'a> {
        Fields::new(&self.fields, inner)
    }

    /// The payload for `Event.vendor_payload`.
    pub(crate) fn into_payload(self) -> Struct {
        self.payload.unwrap_or(self.fields)
    }

    fn object(fields: Struct) -> Self {
        let large = fields.encoded_len() > MAX_PAYLOAD_BYTES;
        let payload = large.then(|| text_body(json::text_of_object(&fields)));
        Self { fields, payload }
    }

    /// JSON that is no object. Some senders encode an object twice, so a string may hold an object.
    fn other_json(kind: Kind, redactor: &Redactor) -> Self {
        let fields = match &kind {
            Kind::StringValue(text) => json::object_in(text, redactor).unwrap_or_default(),
            _ => Struct::default(),
        };
        let value = Value { kind: Some(kind) };
        let payload = if value.encoded_len() + RESERVED_BYTES > MAX_PAYLOAD_BYTES {
            text_body(json::text_of(&value))
        } else {
            Struct { fields: [(BODY_FIELD.to_owned(), value)].into() }
        };
        Self { fields, payload: Some(payload) }
    }
}

/// A payload with the body as text.
fn text_body(mut text: String) -> Struct {
    let truncated = text.len() > MAX_PAYLOAD_BYTES - RESERVED_BYTES;
    truncate(&mut text, MAX_PAYLOAD_BYTES - RESERVED_BYTES);
    text_field(text, None, truncated)
}

/// A payload with the body in base64, and what its sender says about it when the gateway could not decode it.
fn bytes_body(bytes: &[u8], labels: &Labels) -> Struct {
    let max = (MAX_PAYLOAD_BYTES - RESERVED_BYTES) / 4 * 3;
    let head = &bytes[..bytes.len().min(max)];
    let mut payload = text_field(STANDARD.encode(head), Some("base64"), head.len() < bytes.len());
    for (name, label) in [(CODING_FIELD, &labels.content_encoding), (TYPE_FIELD, &labels.content_type)] {
        if !label.is_empty() {
            payload.fields.insert(name.to_owned(), Value { kind: Some(Kind::StringValue(label.clone())) });
        }
    }
    payload
}

fn text_field(text: String, encoding: Option<&str>, truncated: bool) -> Struct {
    let member = |name: &str, kind| (name.to_owned(), Value { kind: Some(kind) });
    let mut fields = vec![member(BODY_FIELD, Kind::StringValue(text))];
    fields.extend(encoding.map(|encoding| member(ENCODING_FIELD, Kind::StringValue(encoding.to_owned()))));
    fields.extend(truncated.then(|| member(TRUNCATED_FIELD, Kind::BoolValue(true))));
    Struct { fields: fields.into_iter().collect() }
}
