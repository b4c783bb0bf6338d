//! Lookup of fields whose names and levels the vendor does not document.

use std::borrow::Cow;

use prost_types::{Struct, Value, value::Kind};

use super::json;
use crate::{error::truncate, proto::v1::VendorValue, redact::Redactor};

/// Longest ID, number or code, in bytes.
const MAX_ID_BYTES: usize = 256;

/// Longest name that is indexed, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The fields of a body by normalized names: in lower case, without underscores.
///
/// A lookup tries the names in their order, each in the body first and then in the inner objects. Numbers and booleans
/// are text, a list with one item is that item, and null, the empty text and the text `null` are absent.
pub(crate) struct Fields<'a> {
    /// Sorted by name, and of equal names by object.
    fields: Vec<Field<'a>>,
    /// Count of the inner objects.
    inner_objects: usize,
}

struct Field<'a> {
    name: String,
    /// 0 for the body, otherwise the number of the inner object.
    object: usize,
    value: Cow<'a, Value>,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The fields of an object and of the objects in its members of these names.
    pub(super) fn new(body: &'a Struct, inner: &[&str]) -> Self {
        let mut fields = Self { fields: Vec::with_capacity(body.fields.len()), inner_objects: 0 };
        fields.add(body.fields.iter().map(|(name, value)| (name, Cow::Borrowed(value))));
        let mut outer: Vec<usize> =
            (0..fields.fields.len()).filter(|at| inner.contains(&&*fields.fields[*at].name)).collect();
        outer.sort_by_key(|at| inner.iter().position(|name| *name == fields.fields[*at].name));
        for at in outer {
            match &fields.fields[at].value {
                Cow::Borrowed(Value { kind: Some(Kind::StructValue(object)) }) => {
                    fields.inner_objects += 1;
                    fields.add(object.fields.iter().map(|(name, value)| (name, Cow::Borrowed(value))));
                }
                Cow::Borrowed(Value { kind: Some(Kind::StringValue(text)) }) => {
                    // The text is already redacted.
                    if let Some(object) = json::object_in(text, &Redactor::new(&[])) {
                        fields.inner_objects += 1;
                        fields.add(object.fields.into_iter().map(|(name, value)| (name, Cow::Owned(value))));
                    }
                }
                _ => {}
            }
        }
        // The sort is stable: among equal normalized names the original name that sorts first comes first.
        fields.fields.sort_by(|a, b| a.name.cmp(&b.name));
        fields
    }

    /// Adds the members of the last inner object.
    fn add<N: AsRef<str>>(&mut self, members: impl Iterator<Item = (N, Cow<'a, Value>)>) {
        let object = self.inner_objects;
        let members = members.filter(|(name, _)| name.as_ref().len() <= MAX_NAME_BYTES);
        self.fields.extend(members.map(|(name, value)| Field { name: normalized(name.as_ref()), object, value }));
    }

    /// Whether a field of this name exists, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.named(name).is_empty()
    }

    /// The texts of these fields.
    pub(crate) fn texts(&self, names: &[&str]) -> impl Iterator<Item = Cow<'_, str>> {
        names.iter().flat_map(|name| self.named(name)).filter_map(|field| text(&field.value))
    }

    /// The texts of these fields, including every text of a list.
    pub(crate) fn each_text(&self, names: &[&str]) -> impl Iterator<Item = Cow<'_, str>> {
        let values = names.iter().flat_map(|name| self.named(name)).flat_map(|field| match &field.value.kind {
            Some(Kind::ListValue(list)) => list.values.as_slice(),
            _ => std::slice::from_ref(&*field.value),
        });
        values.filter_map(text)
    }

    /// The first text of at most 256 bytes, for an ID, a number or a code.
    pub(crate) fn short(&self, names: &[&str]) -> Option<String> {
        self.long(names, MAX_ID_BYTES)
    }

    /// As [`Fields::short`], but only in the inner objects if there are any.
    pub(crate) fn innermost(&self, names: &[&str]) -> Option<String> {
        let fields =
            names.iter().flat_map(|name| self.named(name)).filter(|field| self.inner_objects == 0 || field.object > 0);
        fields.filter_map(|field| text(&field.value)).find(|text| text.len() <= MAX_ID_BYTES).map(Cow::into_owned)
    }

    /// The first text of at most `max_bytes`, for values that must not be truncated.
    pub(crate) fn long(&self, names: &[&str], max_bytes: usize) -> Option<String> {
        self.texts(names).find(|text| text.len() <= max_bytes).map(Cow::into_owned)
    }

    /// The first text, truncated to `max_bytes`.
    pub(crate) fn cut(&self, names: &[&str], max_bytes: usize) -> Option<String> {
        let mut text = self.texts(names).next()?.into_owned();
        truncate(&mut text, max_bytes);
        Some(text)
    }

    /// A code and the vendor's description of it.
    pub(crate) fn value(&self, codes: &[&str], descriptions: &[&str]) -> Option<VendorValue> {
        let code = self.short(codes).unwrap_or_default();
        let description = self.cut(descriptions, MAX_ID_BYTES).unwrap_or_default();
        (!code.is_empty() || !description.is_empty()).then_some(VendorValue { code, description })
    }

    fn named(&self, name: &str) -> &[Field<'a>] {
        let start = self.fields.partition_point(|field| field.name.as_str() < name);
        let count = self.fields[start..].iter().take_while(|field| field.name == name).count();
        &self.fields[start..start + count]
    }
}

/// A name in lower case without underscores.
fn normalized(name: &str) -> String {
    let mut name = name.to_ascii_lowercase();
    name.retain(|char| char != '_');
    name
}

/// A value as text; `None` for absent values, objects and longer lists.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.trim()).filter(|text| !matches!(*text, "" | "null")).map(Cow::Borrowed),
        Kind::NumberValue(number) => Some(Cow::Owned(number.to_string())),
        Kind::BoolValue(bool) => Some(Cow::Borrowed(if *bool { "true" } else { "false" })),
        Kind::ListValue(list) if list.values.len() == 1 => text(&list.values[0]),
        Kind::NullValue(_) | Kind::ListValue(_) | Kind::StructValue(_) => None,
    }
}
