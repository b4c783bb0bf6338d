//! JSON as `google.protobuf.Value`, without secrets.

use std::{borrow::Cow, cell::Cell, fmt};

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, value::RawValue};

use crate::redact::{Redactor, is_secret};

/// Deepest level that is kept as such. A level of JSON is up to three of a message, of which clients read 100.
const DEEPEST: u8 = 20;

/// After so many values objects and lists stay text: an object of one member takes hundreds of bytes of memory.
const MOST: u32 = 20_000;

/// JSON text in text in text: what is deeper is cleaned as text of no format.
const TEXTS: u8 = 4;

/// Largest integer that a double holds exactly together with all smaller ones.
const EXACT: u64 = 1 << 53;

/// One reading of a text.
pub struct Json<'s> {
    redactor: &'s Redactor,
    /// How many texts it stands in.
    within: u8,
    /// Whether the text as a whole has nothing to hide, and so no part of it that stands there as it reads.
    plain: Cell<bool>,
    /// Whether something was taken out.
    cleaned: Cell<bool>,
    values: Cell<u32>,
}

/// A value at a depth.
#[derive(Clone, Copy)]
struct Level<'j, 's> {
    json: &'j Json<'s>,
    depth: u8,
}

/// A member's name, and whether it stands in the text as it reads.
struct Name<'de> {
    name: Cow<'de, str>,
    stands: bool,
}

/// A value as JSON.
struct AsJson<'a>(&'a Value);

/// An object as JSON.
struct AsObject<'a>(&'a Struct);

// === impl Json ===

impl<'s> Json<'s> {
    /// To read a text that stands by itself.
    pub fn new(redactor: &'s Redactor) -> Self {
        Self::within(redactor, 0)
    }

    fn within(redactor: &'s Redactor, within: u8) -> Self {
        Self { redactor, within, plain: Cell::new(false), cleaned: Cell::new(false), values: Cell::new(0) }
    }

    /// The value of a text, secrets removed; `None` when it is no JSON.
    pub fn read(&self, text: &str) -> Option<Value> {
        self.plain.set(!self.redactor.finds(text));
        let text = with_large_numbers_quoted(text);
        let mut json = serde_json::Deserializer::from_str(&text);
        let value = Level { json: self, depth: 0 }.deserialize(&mut json).ok()?;
        json.end().ok()?;
        Some(value)
    }

    /// A text without secrets. One that `stands` in the JSON as it reads has been searched with all of it.
    fn text(&self, text: Cow<'_, str>, stands: bool) -> String {
        if stands && self.plain.get() && !holds_more(&text) {
            return text.into_owned();
        }
        let cleaned = clean(self.redactor, &text, self.within);
        self.cleaned.set(self.cleaned.get() || cleaned.is_some());
        cleaned.unwrap_or_else(|| text.into_owned())
    }
}

/// Text that stands in a value, without secrets; `None` when there are none.
pub fn clean(redactor: &Redactor, text: &str, within: u8) -> Option<String> {
    if !holds_more(text) {
        return redactor.values(text);
    }
    let json = Json::within(redactor, within + 1);
    match (within < TEXTS).then(|| json.read(text)).flatten() {
        Some(value) => json.cleaned.get().then(|| text_of(&value)),
        None => redactor.text(text),
    }
}

/// Whether a text may be JSON or a Java map's text.
fn holds_more(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// The object that a text holds.
pub fn object_in(text: &str, redactor: &Redactor) -> Option<Struct> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    match Json::new(redactor).read(text)?.kind? {
        Kind::StructValue(object) => Some(object),
        _ => None,
    }
}

/// A value as JSON text.
pub fn text_of(value: &Value) -> String {
    // Writing into memory what has text for keys does not fail.
    serde_json::to_string(&AsJson(value)).unwrap_or_default()
}

/// An object as JSON text.
pub fn text_of_object(object: &Struct) -> String {
    serde_json::to_string(&AsObject(object)).unwrap_or_default()
}

/// The text with numbers in quotes that a double does not hold: integers beyond 2^53, and what would be infinite.
fn with_large_numbers_quoted(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut quoted = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_text(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let end = at + bytes[at..].iter().take_while(is_part).count();
                if !fits(&text[at..end]) {
                    quoted.extend([&text[copied..at], "\"", &text[at..end], "\""]);
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if quoted.is_empty() {
        return Cow::Borrowed(text);
    }
    quoted.push_str(&text[copied..]);
    Cow::Owned(quoted)
}

/// Where a text in quotes is over that begins at `at`.
fn after_text(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether a double holds a number. What is no number is not answered for.
fn fits(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // A leading zero is no JSON, and stays none.
        return digits.len() < 16
            || digits.starts_with('0')
            || digits.parse().is_ok_and(|integer: u64| integer <= EXACT);
    }
    number.parse().is_ok_and(f64::is_finite) || number.parse::<f64>().is_err()
}

// === impl Level ===

impl Level<'_, '_> {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// A value of which only texts, numbers and the like are taken apart.
    fn flat<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with(['{', '[']) {
            let cleaned = self.json.redactor.text(raw);
            self.json.cleaned.set(self.json.cleaned.get() || cleaned.is_some());
            return Ok(value(Kind::StringValue(cleaned.unwrap_or_else(|| raw.to_owned()))));
        }
        // The error's text would quote what it read.
        serde_json::Deserializer::from_str(raw).deserialize_any(self).map_err(|_| D::Error::custom("no value"))
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = self.json.values.get();
        self.json.values.set(values.saturating_add(1));
        if self.depth < DEEPEST && values < MOST { deserializer.deserialize_any(self) } else { self.flat(deserializer) }
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

    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(number(integer.into()))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Value, E> {
        Ok(number(integer.into()))
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
        while let Some(value) = items.next_element_seed(self.below())? {
            values.push(value);
        }
        Ok(value(Kind::ListValue(ListValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Struct::default();
        while let Some(Name { name, stands }) = members.next_key()? {
            if is_secret(&name) {
                self.json.cleaned.set(true);
                members.next_value::<IgnoredAny>()?;
            } else {
                let value = members.next_value_seed(self.below())?;
                object.fields.insert(self.json.text(name, stands), value);
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
                Ok(Name { name: Cow::Borrowed(name), stands: true })
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name { name: Cow::Owned(name.to_owned()), stands: false })
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

fn number(number: Number) -> Value {
    let integer = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
    value(match number.as_f64() {
        Some(double) if integer.is_none_or(|integer| integer <= EXACT) => Kind::NumberValue(double),
        _ => Kind::StringValue(number.to_string()),
    })
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

// === impl AsJson ===

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(bool)) => serializer.serialize_bool(*bool),
            Some(Kind::NumberValue(double)) => match whole(*double) {
                Some(integer) => serializer.serialize_i64(integer),
                None => serializer.serialize_f64(*double),
            },
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::ListValue(list)) => serializer.collect_seq(list.values.iter().map(AsJson)),
            Some(Kind::StructValue(object)) => AsObject(object).serialize(serializer),
        }
    }
}

/// The integer that a double is, if it holds integers as exactly.
fn whole(double: f64) -> Option<i64> {
    // The text of a whole double has no fraction.
    if double.abs() <= 9_007_199_254_740_992.0 { double.to_string().parse().ok() } else { None }
}

// === impl AsObject ===

impl Serialize for AsObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.fields.iter().map(|(key, value)| (key, AsJson(value))))
    }
}
