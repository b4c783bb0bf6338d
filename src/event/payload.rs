//! What a vendor posted, read once: its fields for whoever decodes it, and all of it for `Event.vendor_payload`.
//!
//! Reading never fails. A body is, in this order, a JSON object, other JSON, `k=v&k=v`, a Java map's text
//! (`{k=v, k=v}`), any text, or bytes; [`Posted`] holds something for each.
//!
//! # What becomes of a body
//!
//! - Secrets leave it while it is read (`redactor`): members by their names, known values and ingress addresses by
//!   themselves.
//! - Integers that a double does not hold become text with all their digits; of a member that comes twice the last
//!   counts (`json`).
//! - The contract's clients refuse messages nested deeper than 100 or larger than 4 MiB. So what is deep becomes its
//!   JSON text, and what is large becomes one text, cut at [`LARGEST`].

mod fields;
mod json;
mod repair;
mod text;
mod timestamp;

#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use prost_types::{Struct, Value, value::Kind};

use self::json::Json;
pub use self::{fields::Fields, text::FreeText, timestamp::parse_timestamp};
use crate::{error::truncate, redact::Redactor};

/// Largest payload, in bytes of its encoding: a client takes messages of 4 MiB, and the event is more than its payload.
pub const LARGEST: usize = 3 << 20;

/// Where a body stands that is no JSON object.
const BODY: &str = "body";
/// Says how [`BODY`] is written, if it is not simply there.
const ENCODING: &str = "body_encoding";
/// Says that [`BODY`] is not all of it.
const TRUNCATED: &str = "body_truncated";

/// Left for the members beside [`BODY`] and for lengths.
const MARGIN: usize = 1 << 10;

/// The encoding of a JSON value is at most this many times as long as its text: `0,` becomes eleven bytes.
const GROWTH: usize = 6;

/// The body of a callback, without its secrets. It holds people's data, so it has no `Debug`.
pub struct Posted {
    /// What can be looked up.
    fields: Struct,
    /// What is shown, where that is something else.
    payload: Option<Struct>,
}

// === impl Posted ===

impl Posted {
    /// Reads a body. Wherever one of `secrets` stands, `***` stands afterwards.
    pub fn read(body: &[u8], secrets: &[&str]) -> Self {
        Self::read_as(body, secrets, None)
    }

    /// As [`Posted::read`], for a vendor whose Java maps hold what people write.
    pub fn read_around(free: &FreeText, body: &[u8], secrets: &[&str]) -> Self {
        Self::read_as(body, secrets, Some(free))
    }

    fn read_as(body: &[u8], secrets: &[&str], free: Option<&FreeText>) -> Self {
        let redactor = Redactor::new(secrets);
        // What can be read in it is read, whatever it is shown as.
        let decoded = String::from_utf8_lossy(body);
        let trimmed = decoded.trim_start_matches('\u{feff}').trim();
        let json = |text: &str| Json::new(&redactor).read(text)?.kind;
        let mut posted = match json(trimmed).or_else(|| json(&repair::repaired(trimmed)?)) {
            Some(Kind::StructValue(fields)) => Self::object(fields, body.len()),
            Some(other) => Self::other_json(other, &redactor),
            None => {
                let (fields, cleaned) = text::read(trimmed, &decoded, free, &redactor);
                Self { fields, payload: Some(text_body(cleaned)) }
            }
        };
        if std::str::from_utf8(body).is_err() {
            posted.payload = Some(bytes_body(&redactor.bytes(body)));
        }
        posted
    }

    /// The fields for lookups: those of the body, and of the objects that stand in it under one of these names, be it as
    /// JSON or as JSON text.
    pub fn fields<'a>(&'a self, inner: &[&str]) -> Fields<'a> {
        Fields::new(&self.fields, inner)
    }

    /// What the vendor posted, for `Event.vendor_payload`.
    pub fn into_payload(self) -> Struct {
        self.payload.unwrap_or(self.fields)
    }

    fn object(fields: Struct, posted: usize) -> Self {
        let large = posted > LARGEST / GROWTH && fields.encoded_len() > LARGEST;
        let payload = large.then(|| text_body(json::text_of_object(&fields)));
        Self { fields, payload }
    }

    /// JSON that is no object. Text may hold an object all the same: some senders encode twice.
    fn other_json(kind: Kind, redactor: &Redactor) -> Self {
        let fields = match &kind {
            Kind::StringValue(text) => json::object_in(text, redactor).unwrap_or_default(),
            _ => Struct::default(),
        };
        let value = Value { kind: Some(kind) };
        let payload = if value.encoded_len() + MARGIN > LARGEST {
            text_body(json::text_of(&value))
        } else {
            Struct { fields: [(BODY.to_owned(), value)].into() }
        };
        Self { fields, payload: Some(payload) }
    }
}

/// A payload of one text.
fn text_body(mut text: String) -> Struct {
    let truncated = text.len() > LARGEST - MARGIN;
    truncate(&mut text, LARGEST - MARGIN);
    body(text, None, truncated)
}

/// A payload of bytes that are no text.
fn bytes_body(bytes: &[u8]) -> Struct {
    let most = (LARGEST - MARGIN) / 4 * 3;
    let kept = &bytes[..bytes.len().min(most)];
    body(STANDARD.encode(kept), Some("base64"), kept.len() < bytes.len())
}

fn body(text: String, encoding: Option<&str>, truncated: bool) -> Struct {
    let member = |name: &str, kind| (name.to_owned(), Value { kind: Some(kind) });
    let mut fields = vec![member(BODY, Kind::StringValue(text))];
    fields.extend(encoding.map(|encoding| member(ENCODING, Kind::StringValue(encoding.to_owned()))));
    fields.extend(truncated.then(|| member(TRUNCATED, Kind::BoolValue(true))));
    Struct { fields: fields.into_iter().collect() }
}
