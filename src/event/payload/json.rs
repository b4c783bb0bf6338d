//! JSON as a redacted `google.protobuf.Value`.

use std::{borrow::Cow, cell::Cell, fmt};

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    body::{self, Exact},
    redact::{Redactor, is_secret},
};

/// Deepest level that stays structured. One level of JSON is up to three levels of a message, and clients decode 100.
const MAX_DEPTH: u8 = 20;

/// After this many values objects and lists become text: an object with one member needs hundreds of bytes of memory.
const MAX_VALUES: u32 = 20_000;

/// Deepest JSON text within JSON text that is parsed. Deeper text is redacted as unstructured text.
const MAX_NESTED_TEXTS: u8 = 4;

/// A reader of one JSON text.
pub(super) struct Json<'s> {
    redactor: &'s Redactor,
    /// In how many JSON texts this text is nested.
    nested_texts: u8,
    /// Whether the text contains no known secret. Then no verbatim part of it contains one.
    is_clean: Cell<bool>,
    /// Whether something was redacted.
    redacted: Cell<bool>,
    values: Cell<u32>,
}

/// A deserializer seed for a value at a depth.
#[derive(Clone, Copy)]
struct Level<'j, 's> {
    json: &'j Json<'s>,
    depth: u8,
}

/// A member's name, and whether the text contains it verbatim, without escapes.
struct Name<'de> {
    name: Cow<'de, str>,
    is_verbatim: bool,
}

/// A value as JSON.
struct JsonValue<'a>(&'a Value);

/// An object as JSON.
struct JsonObject<'a>(&'a Struct);

// === impl Json ===

impl<'s> Json<'s> {
    /// A reader of a text that is not nested.
    pub(super) fn new(redactor: &'s Redactor) -> Self {
        Self::nested(redactor, 0)
    }

    fn nested(redactor: &'s Redactor, nested_texts: u8) -> Self {
        Self { redactor, nested_texts, is_clean: Cell::new(false), redacted: Cell::new(false), values: Cell::new(0) }
    }

    /// The redacted value of a text; `None` when it is no JSON.
    pub(super) fn read(&self, text: &str) -> Option<Value> {
        let text = body::repair(text, Exact::Double).text;
        self.is_clean.set(!self.redactor.finds(&text));
        let mut json = serde_json::Deserializer::from_str(&text);
        let value = Level { json: self, depth: 0 }.deserialize(&mut json).ok()?;
        json.end().ok()?;
        Some(value)
    }

    /// The redacted text. `read` searched a verbatim text already, together with the JSON around it.
    fn text(&self, text: Cow<'_, str>, is_verbatim: bool) -> String {
        if is_verbatim && self.is_clean.get() && !may_be_structured(&text) {
            return text.into_owned();
        }
        let redacted = redact(self.redactor, &text, self.nested_texts);
        self.redacted.set(self.redacted.get() || redacted.is_some());
        redacted.unwrap_or_else(|| text.into_owned())
    }
}

/// The redacted text of a value; `None` when it has no secrets.
pub(super) fn redact(redactor: &Redactor, text: &str, nested_texts: u8) -> Option<String> {
    if !may_be_structured(text) {
        return redactor.values(text);
    }
    let json = Json::nested(redactor, nested_texts + 1);
    match (nested_texts < MAX_NESTED_TEXTS).then(|| json.read(text)).flatten() {
        Some(value) => json.redacted.get().then(|| text_of(&value)),
        None => redactor.text(text),
    }
}

/// Whether a text may be JSON or a Java map's text.
fn may_be_structured(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// The redacted object of a JSON text.
pub(super) fn object_in(text: &str, redactor: &Redactor) -> Option<Struct> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    match Json::new(redactor).read(text)?.kind? {
        Kind::StructValue(object) => Some(object),
        _ => None,
    }
}

/// A value as JSON text.
pub(super) fn text_of(value: &Value) -> String {
    // Serializing text keys to a String does not fail.
    serde_json::to_string(&JsonValue(value)).unwrap_or_default()
}

/// An object as JSON text.
pub(super) fn text_of_object(object: &Struct) -> String {
    serde_json::to_string(&JsonObject(object)).unwrap_or_default()
}

// === impl Level ===

impl Level<'_, '_> {
    fn nested(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// A scalar as itself, an object or a list as its JSON text.
    fn as_text<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with(['{', '[']) {
            let redacted = self.json.redactor.text(raw);
            self.json.redacted.set(self.json.redacted.get() || redacted.is_some());
            return Ok(value(Kind::StringValue(redacted.unwrap_or_else(|| raw.to_owned()))));
        }
        // The error's text quotes the value.
        serde_json::Deserializer::from_str(raw).deserialize_any(self).map_err(|_| D::Error::custom("no value"))
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = self.json.values.get();
        self.json.values.set(values.saturating_add(1));
        if self.depth < MAX_DEPTH && values < MAX_VALUES {
            deserializer.deserialize_any(self)
        } else {
            self.as_text(deserializer)
        }
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(value(Kind::NullValue(0)))
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(value(Kind::BoolValue(bool)))
    }

    #[expect(clippy::cast_precision_loss, reason = "the repair made all larger integers text")]
    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(integer as f64)))
    }

    #[expect(clippy::cast_precision_loss, reason = "the repair made all larger integers text")]
    fn visit_u64<E>(self, integer: u64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(integer as f64)))
    }

    fn visit_f64<E>(self, double: f64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(double)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value, E> {
        Ok(value(Kind::StringValue(self.json.text(Cow::Borrowed(text), true))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(value(Kind::StringValue(self.json.text(Cow::Borrowed(text), false))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.nested())? {
            values.push(value);
        }
        Ok(value(Kind::ListValue(ListValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Struct::default();
        while let Some(Name { name, is_verbatim }) = members.next_key()? {
            if is_secret(&name) {
                self.json.redacted.set(true);
                members.next_value::<IgnoredAny>()?;
            } else {
                let value = members.next_value_seed(self.nested())?;
                object.fields.insert(self.json.text(name, is_verbatim), value);
            }
        }
        Ok(value(Kind::StructValue(object)))
    }
}

// === impl Name ===

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name { name: Cow::Borrowed(name), is_verbatim: true })
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name { name: Cow::Owned(name.to_owned()), is_verbatim: false })
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

// === impl JsonValue ===

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(bool)) => serializer.serialize_bool(*bool),
            Some(Kind::NumberValue(double)) => match exact_integer(*double) {
                Some(integer) => serializer.serialize_i64(integer),
                None => serializer.serialize_f64(*double),
            },
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::ListValue(list)) => serializer.collect_seq(list.values.iter().map(JsonValue)),
            Some(Kind::StructValue(object)) => JsonObject(object).serialize(serializer),
        }
    }
}

/// The integer value of a double, if doubles of its size represent integers exactly.
fn exact_integer(double: f64) -> Option<i64> {
    // The text of a double without a fraction has no point.
    if double.abs() <= 9_007_199_254_740_992.0 { double.to_string().parse().ok() } else { None }
}

// === impl JsonObject ===

impl Serialize for JsonObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.fields.iter().map(|(key, value)| (key, JsonValue(value))))
    }
}
