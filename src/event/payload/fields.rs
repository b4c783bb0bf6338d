//! Looking fields up whose names and places are not documented.

use std::borrow::Cow;

use prost_types::{Struct, Value, value::Kind};

use super::{json, scrub::Scrub};
use crate::{error::truncate, proto::v1::VendorValue};

/// Longest ID, number or code, in bytes. What is longer is none.
const LONGEST: usize = 256;

/// Longest name that can be looked up.
const LONGEST_NAME: usize = 64;

/// The fields of a body, by names in lower case without underscores.
///
/// Names are tried in their order, each in the body first and then in the objects within it. Numbers and booleans are
/// their text, a list of one is what it holds, and null, the empty text and the text `null` are no value.
pub struct Fields<'a> {
    /// The body, then the objects within it.
    objects: Vec<Object<'a>>,
}

/// The fields of one object, sorted by their names.
struct Object<'a>(Vec<(String, Cow<'a, Value>)>);

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The fields of an object and of the objects in its members of these names.
    pub(super) fn new(body: &'a Struct, inner: &[&str]) -> Self {
        let body = Object::new(body.fields.iter().map(|(name, value)| (name, Cow::Borrowed(value))));
        let within: Vec<Object<'a>> =
            inner.iter().flat_map(|name| body.named(name)).filter_map(|(_, value)| Object::within(value)).collect();
        let mut objects = vec![body];
        objects.extend(within);
        Self { objects }
    }

    /// Whether there is a field of this name, whatever it holds.
    pub fn has(&self, name: &str) -> bool {
        self.objects.iter().any(|object| !object.named(name).is_empty())
    }

    /// Every text of these fields.
    pub fn texts(&self, names: &[&str]) -> impl Iterator<Item = Cow<'_, str>> {
        texts(&self.objects, names)
    }

    /// An ID, a number or a code: the first text of at most 256 bytes.
    pub fn short(&self, names: &[&str]) -> Option<String> {
        self.long(names, LONGEST)
    }

    /// As [`Fields::short`], in the objects within the body alone if there are any.
    pub fn innermost(&self, names: &[&str]) -> Option<String> {
        let objects = if self.objects.len() > 1 { &self.objects[1..] } else { &self.objects[..] };
        texts(objects, names).find(|text| text.len() <= LONGEST).map(Cow::into_owned)
    }

    /// What is of no use in part: the first text of at most so many bytes.
    pub fn long(&self, names: &[&str], most: usize) -> Option<String> {
        self.texts(names).find(|text| text.len() <= most).map(Cow::into_owned)
    }

    /// Words: the first text, cut to so many bytes.
    pub fn cut(&self, names: &[&str], most: usize) -> Option<String> {
        let mut text = self.texts(names).next()?.into_owned();
        truncate(&mut text, most);
        Some(text)
    }

    /// A code and the vendor's text for it.
    pub fn value(&self, codes: &[&str], descriptions: &[&str]) -> Option<VendorValue> {
        let code = self.short(codes).unwrap_or_default();
        let description = self.cut(descriptions, LONGEST).unwrap_or_default();
        (!code.is_empty() || !description.is_empty()).then_some(VendorValue { code, description })
    }
}

fn texts<'f>(objects: &'f [Object<'_>], names: &[&str]) -> impl Iterator<Item = Cow<'f, str>> {
    names
        .iter()
        .flat_map(move |name| objects.iter().flat_map(|object| object.named(name)))
        .filter_map(|(_, value)| text(value))
}

// === impl Object ===

impl<'a> Object<'a> {
    fn new<N: AsRef<str>>(members: impl Iterator<Item = (N, Cow<'a, Value>)>) -> Self {
        let mut fields: Vec<_> = members
            .filter(|(name, _)| name.as_ref().len() <= LONGEST_NAME)
            .map(|(name, value)| (plain(name.as_ref()), value))
            .collect();
        // Stable: of equal names, the one that sorts first as it is written comes first.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(fields)
    }

    /// The object that a value is, or that its text holds.
    fn within(value: &Cow<'a, Value>) -> Option<Self> {
        match (&value.kind, value) {
            (Some(Kind::StringValue(text)), _) => {
                // What it is read from has no secrets any more.
                let object = json::object_in(text, &Scrub::new(&[]))?;
                Some(Self::new(object.fields.into_iter().map(|(name, value)| (name, Cow::Owned(value)))))
            }
            (_, Cow::Borrowed(Value { kind: Some(Kind::StructValue(object)) })) => {
                Some(Self::new(object.fields.iter().map(|(name, value)| (name, Cow::Borrowed(value)))))
            }
            _ => None,
        }
    }

    fn named(&self, name: &str) -> &[(String, Cow<'a, Value>)] {
        let start = self.0.partition_point(|(known, _)| known.as_str() < name);
        let count = self.0[start..].iter().take_while(|(known, _)| known == name).count();
        &self.0[start..start + count]
    }
}

/// A name as it is looked up.
fn plain(name: &str) -> String {
    name.chars().filter(|char| *char != '_').map(|char| char.to_ascii_lowercase()).collect()
}

/// A value as text, if it has one.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.trim()).filter(|text| !matches!(*text, "" | "null")).map(Cow::Borrowed),
        Kind::NumberValue(number) => Some(Cow::Owned(number.to_string())),
        Kind::BoolValue(bool) => Some(Cow::Borrowed(if *bool { "true" } else { "false" })),
        Kind::ListValue(list) if list.values.len() == 1 => text(&list.values[0]),
        Kind::NullValue(_) | Kind::ListValue(_) | Kind::StructValue(_) => None,
    }
}
