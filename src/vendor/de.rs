//! Lenient types for vendors' JSON: numbers as text, text as numbers, and several spellings of an absent value.
//!
//! Each type accepts every form that a vendor's document or its examples show. No type fails on an unknown value,
//! because a new value must not fail a call.

use std::fmt;

use prost_types::Duration;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::{
    body::{ITEM_TOO_LARGE, LIST_TOO_LONG, shown_cause},
    http::Mismatch,
};

/// Text; a number or a boolean is its text, and null is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(pub String);

/// Longest duration that `google.protobuf.Duration` carries, in seconds.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// At most this much memory for one list's items, in bytes, without what they own.
const MAX_LIST_BYTES: usize = 32 << 20;

/// The largest item of a list whose items are read one by one, in bytes.
const MAX_ITEM_BYTES: usize = 1 << 20;

/// A whole number, also as text; `None` for null, the empty text and anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Integer(pub Option<i64>);

/// A boolean, also as text or 0 and 1; `None` for null, the empty text and anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flag(pub Option<bool>);

/// A list; null and the empty text are the empty list, and a single object is a list of one. An item that is null is
/// the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List<T>(pub Vec<T>);

/// A list whose items are read later, one by one; null and the empty text are the empty list, and a single object is a
/// list of one. An item is at most 1 MiB; one that is null is read by [`item`].
#[derive(Debug, Clone, Default)]
pub(crate) struct RawList<'a>(pub Vec<&'a RawValue>);

/// Any JSON; its value is ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Anything;

/// An object; null, the empty text and an empty list are its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Object<T>(pub T);

/// Reads an item of a [`RawList`]; null is the default.
pub(crate) fn item<T: for<'de> Deserialize<'de> + Default>(json: &[u8]) -> Result<T, Mismatch> {
    Ok(serde_json::from_slice::<Option<T>>(json)?.unwrap_or_default())
}

/// An error without the values that its text may quote. `what` is the shape that was expected.
pub(crate) fn without_values<E: de::Error>(error: &impl fmt::Display, what: &'static str) -> E {
    E::custom(shown_cause(error).unwrap_or(what))
}

/// The memory that a value owns, in bytes.
pub(crate) fn weight_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size_of::<Value>() + weight_of_value(item)).sum(),
        Value::Object(fields) => {
            let weight =
                |(name, value): (&String, &Value)| 2 * size_of::<Value>() + name.len() + weight_of_value(value);
            fields.iter().map(weight).sum()
        }
    }
}

// === impl Text ===

impl Text {
    /// The text.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or nothing")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Ok(Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Text, E> {
        Ok(Text(value))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    // Vendors send an empty list or object for an absent value.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Text, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

// === impl Integer ===

impl Integer {
    /// These seconds as a duration; `None` for more than a duration can carry.
    pub(crate) fn seconds(self) -> Option<Duration> {
        let seconds = self.0.filter(|seconds| seconds.unsigned_abs() <= MAX_DURATION_SECONDS.unsigned_abs())?;
        Some(Duration { seconds, nanos: 0 })
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|text| Self(text.trim().parse().ok()))
    }
}

// === impl Flag ===

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Ok(Self(match text.trim() {
            "1" => Some(true),
            "0" => Some(false),
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }))
    }
}

// === impl List ===

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list, one object or nothing")
            }

            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<List<T>, E> {
                match value {
                    "" => Ok(List::default()),
                    _ => Err(E::invalid_type(de::Unexpected::Other("text"), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element::<Option<T>>()? {
                    if (list.len() + 1).saturating_mul(size_of::<T>()) > MAX_LIST_BYTES {
                        return Err(de::Error::custom(LIST_TOO_LONG));
                    }
                    list.push(item.unwrap_or_default());
                }
                Ok(List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<List<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(fields)).map(|one| List(vec![one]))
            }
        }

        deserializer.deserialize_any(ListVisitor(std::marker::PhantomData))
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The items of a list, null included.
struct RawItems<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for RawItems<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for ItemsVisitor<'a> {
            type Value = RawItems<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawItems<'a>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                    if size_of_val(list.as_slice()) > MAX_LIST_BYTES {
                        return Err(de::Error::custom(LIST_TOO_LONG));
                    }
                }
                Ok(RawItems(list))
            }
        }

        deserializer.deserialize_seq(ItemsVisitor(std::marker::PhantomData))
    }
}

// === impl RawList ===

impl<'de: 'a, 'a> Deserialize<'de> for RawList<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let items = match raw.get() {
            "null" | "\"\"" => Vec::new(),
            // The error's text quotes the input.
            json if json.starts_with('[') => {
                serde_json::from_str::<RawItems<'_>>(json).map_err(|error| without_values(&error, "not a list"))?.0
            }
            json if json.starts_with('{') => vec![raw],
            _ => return Err(de::Error::custom("not a list, one object or nothing")),
        };
        if items.iter().any(|item: &&RawValue| item.get().len() > MAX_ITEM_BYTES) {
            return Err(de::Error::custom(ITEM_TOO_LARGE));
        }
        Ok(Self(items))
    }
}

// === impl Anything ===

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

// === impl Object ===

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or nothing")
            }

            fn visit_unit<E>(self) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Object<T>, E> {
                match value {
                    "" => Ok(Object::default()),
                    _ => Err(E::invalid_type(de::Unexpected::Other("text"), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Object<T>, A::Error> {
                match items.next_element::<IgnoredAny>()? {
                    None => Ok(Object::default()),
                    Some(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_any(ObjectVisitor(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn text_has_many_forms() {
        for (json, text) in [
            ("\"a\"", "a"),
            ("7", "7"),
            ("-7", "-7"),
            ("1125397061153369092", "1125397061153369092"),
            ("true", "true"),
            ("null", ""),
            ("[]", ""),
            ("{}", ""),
        ] {
            assert_eq!(read::<Text>(json).0, text, "{json}");
        }
    }

    #[test]
    fn numbers_and_booleans_come_as_text_too() {
        for (json, number) in [("7", Some(7)), ("\"7\"", Some(7)), ("\"\"", None), ("null", None), ("\"x\"", None)] {
            assert_eq!(read::<Integer>(json).0, number, "{json}");
        }
        for (json, flag) in [
            ("true", Some(true)),
            ("\"False\"", Some(false)),
            ("1", Some(true)),
            ("\"0\"", Some(false)),
            ("null", None),
            ("\"\"", None),
            ("2", None),
        ] {
            assert_eq!(read::<Flag>(json).0, flag, "{json}");
        }
    }

    #[test]
    fn a_list_may_be_absent_or_one_object() {
        #[derive(Debug, Default, PartialEq, Deserialize)]
        struct Item {
            id: Text,
        }
        let one = List(vec![Item { id: Text("1".into()) }]);
        assert_eq!(read::<List<Item>>("[{\"id\":1}]"), one);
        assert_eq!(read::<List<Item>>("{\"id\":\"1\"}"), one);
        assert_eq!(read::<List<Item>>("[null]"), List(vec![Item::default()]));
        for nothing in ["null", "\"\"", "[]"] {
            assert_eq!(read::<List<Item>>(nothing), List::default());
            assert_eq!(read::<Object<Item>>(nothing), Object::default());
        }
        assert!(serde_json::from_str::<List<Item>>("\"no\"").is_err());
        assert!(serde_json::from_str::<Object<Item>>("[1]").is_err());
    }

    #[test]
    fn a_list_that_is_read_later_has_the_same_forms() {
        for (json, items) in [("null", 0), ("\"\"", 0), ("[]", 0), ("{\"id\":1}", 1), (" [1, \"a\", null, {}] ", 4)] {
            assert_eq!(serde_json::from_str::<RawList<'_>>(json).unwrap().0.len(), items, "{json}");
        }
        assert_eq!(item::<Text>(b" null ").unwrap(), Text::default());
        for odd in ["1", "\"no\"", "true"] {
            assert!(serde_json::from_str::<RawList<'_>>(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn an_item_of_a_list_that_is_read_later_has_a_largest_size() {
        let list = |size: usize| format!("[1,\"{}\"]", "x".repeat(size.saturating_sub(2)));
        assert!(serde_json::from_str::<RawList<'_>>(&list(MAX_ITEM_BYTES)).is_ok());
        let error = serde_json::from_str::<RawList<'_>>(&list(MAX_ITEM_BYTES + 1)).unwrap_err();
        assert_eq!(shown_cause(&error), Some(ITEM_TOO_LARGE));
    }

    proptest! {
        #[test]
        fn text_reads_any_json(json in "[\\[\\]{}\",:0-9a-z ]{0,40}") {
            if serde_json::from_str::<serde_json::Value>(&json).is_ok() {
                prop_assert!(serde_json::from_str::<Text>(&json).is_ok());
                prop_assert!(serde_json::from_str::<Integer>(&json).is_ok());
                prop_assert!(serde_json::from_str::<Flag>(&json).is_ok());
            }
        }
    }
}
