//! Looking fields up whose names and places are not documented.

use std::borrow::Cow;

use prost_types::{Struct, Value, value::Kind};

use super::json;
use crate::{error::truncate, proto::v1::VendorValue, redact::Redactor};

/// Longest ID, number or code, in bytes. What is longer is none.
const LONGEST: usize = 256;

/// Longest name that can be looked up.
const LONGEST_NAME: usize = 64;

/// The fields of a body, by names in lower case without underscores.
///
/// Names are tried in their order, each in the body first and then in the objects within it. Numbers and booleans are
/// their text, a list of one is what it holds, and null, the empty text and the text `null` are no value.
pub struct Fields<'a> {
    /// Sorted by name, and of equal names by object.
    fields: Vec<Field<'a>>,
    /// How many objects there are within the body.
    within: usize,
}

struct Field<'a> {
    name: String,
    /// 0 in the body.
    object: usize,
    value: Cow<'a, Value>,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The fields of an object and of the objects in its members of these names.
    pub(super) fn new(body: &'a Struct, inner: &[&str]) -> Self {
        let mut fields = Self { fields: Vec::with_capacity(body.fields.len()), within: 0 };
        fields.add(body.fields.iter().map(|(name, value)| (name, Cow::Borrowed(value))));
        let mut outer: Vec<usize> =
            (0..fields.fields.len()).filter(|at| inner.contains(&&*fields.fields[*at].name)).collect();
        outer.sort_by_key(|at| inner.iter().position(|name| *name == fields.fields[*at].name));
        for at in outer {
            match &fields.fields[at].value {
                Cow::Borrowed(Value { kind: Some(Kind::StructValue(object)) }) => {
                    fields.within += 1;
                    fields.add(object.fields.iter().map(|(name, value)| (name, Cow::Borrowed(value))));
                }
                Cow::Borrowed(Value { kind: Some(Kind::StringValue(text)) }) => {
                    // What it is read from has no secrets any more.
                    if let Some(object) = json::object_in(text, &Redactor::new(&[])) {
                        fields.within += 1;
                        fields.add(object.fields.into_iter().map(|(name, value)| (name, Cow::Owned(value))));
                    }
                }
                _ => {}
            }
        }
        // Stable: of names that are equal here, the one that sorts first as it is written comes first.
        fields.fields.sort_by(|a, b| a.name.cmp(&b.name));
        fields
    }

    /// Adds the members of the object that was found last.
    fn add<N: AsRef<str>>(&mut self, members: impl Iterator<Item = (N, Cow<'a, Value>)>) {
        let object = self.within;
        let members = members.filter(|(name, _)| name.as_ref().len() <= LONGEST_NAME);
        self.fields.extend(members.map(|(name, value)| Field { name: plain(name.as_ref()), object, value }));
    }

    /// Whether there is a field of this name, whatever it holds.
    pub fn has(&self, name: &str) -> bool {
        !self.named(name).is_empty()
    }

    /// Every text of these fields.
    pub fn texts(&self, names: &[&str]) -> impl Iterator<Item = Cow<'_, str>> {
        names.iter().flat_map(|name| self.named(name)).filter_map(|field| text(&field.value))
    }

    /// As [`Fields::texts`], and of a list of several every text in it.
    pub fn each_text(&self, names: &[&str]) -> impl Iterator<Item = Cow<'_, str>> {
        let values = names.iter().flat_map(|name| self.named(name)).flat_map(|field| match &field.value.kind {
            Some(Kind::ListValue(list)) => list.values.as_slice(),
            _ => std::slice::from_ref(&*field.value),
        });
        values.filter_map(text)
    }

    /// An ID, a number or a code: the first text of at most 256 bytes.
    pub fn short(&self, names: &[&str]) -> Option<String> {
        self.long(names, LONGEST)
    }

    /// As [`Fields::short`], in the objects within the body alone if there are any.
    pub fn innermost(&self, names: &[&str]) -> Option<String> {
        let fields =
            names.iter().flat_map(|name| self.named(name)).filter(|field| self.within == 0 || field.object > 0);
        fields.filter_map(|field| text(&field.value)).find(|text| text.len() <= LONGEST).map(Cow::into_owned)
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

    fn named(&self, name: &str) -> &[Field<'a>] {
        let start = self.fields.partition_point(|field| field.name.as_str() < name);
        let count = self.fields[start..].iter().take_while(|field| field.name == name).count();
        &self.fields[start..start + count]
    }
}

/// A name as it is looked up.
fn plain(name: &str) -> String {
    let mut name = name.to_ascii_lowercase();
    name.retain(|char| char != '_');
    name
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
