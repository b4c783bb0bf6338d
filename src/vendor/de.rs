//! Reading what vendors really send: numbers as text, text as numbers, and many spellings of nothing.
//!
//! Each type reads every form that a vendor's document or its examples show for one meaning. None of them fails on a
//! value it does not know: a new value of a vendor must not fail a call.

use std::fmt;

use prost_types::Duration;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Text; a number or a boolean is its text, and null is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub String);

/// Longest duration that `google.protobuf.Duration` carries, in seconds.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// Most memory of one list's items, in bytes, without what they own.
const MAX_LIST_BYTES: usize = 32 << 20;
/// The error of a longer list. It names no value, so it may be shown.
const LIST_TOO_LONG: &str = "a list in the response has more items than fit in 32 MiB; request less";

/// A whole number, also as text; `None` for null, the empty text and anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Integer(pub Option<i64>);

/// A boolean, also as text or 0 and 1; `None` for null, the empty text and anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub Option<bool>);

/// A list; null and the empty text are the empty list, and a single object is a list of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

/// Any JSON at all, not looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Anything;

/// An object; null, the empty text and an empty list are its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

/// The cause of an error that is safe to show: it says that a list is too long.
pub fn shown_cause(error: &impl fmt::Display) -> Option<&'static str> {
    error.to_string().starts_with(LIST_TOO_LONG).then_some(LIST_TOO_LONG)
}

/// An error without the values that its text may quote. `what` is the shape that was expected.
pub fn without_values<E: de::Error>(error: &impl fmt::Display, what: &'static str) -> E {
    E::custom(shown_cause(error).unwrap_or(what))
}

// === impl Text ===

impl Text {
    /// The text.
    pub fn into_string(self) -> String {
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

    // Vendors write an empty list or object for nothing.
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
    pub fn seconds(self) -> Option<Duration> {
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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
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
                while let Some(item) = items.next_element()? {
                    if (list.len() + 1).saturating_mul(size_of::<T>()) > MAX_LIST_BYTES {
                        return Err(de::Error::custom(LIST_TOO_LONG));
                    }
                    list.push(item);
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
    fn text_is_whatever_says_it() {
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
    fn a_list_may_be_nothing_or_one() {
        #[derive(Debug, Default, PartialEq, Deserialize)]
        struct Item {
            id: Text,
        }
        let one = List(vec![Item { id: Text("1".into()) }]);
        assert_eq!(read::<List<Item>>("[{\"id\":1}]"), one);
        assert_eq!(read::<List<Item>>("{\"id\":\"1\"}"), one);
        for nothing in ["null", "\"\"", "[]"] {
            assert_eq!(read::<List<Item>>(nothing), List::default());
            assert_eq!(read::<Object<Item>>(nothing), Object::default());
        }
        assert!(serde_json::from_str::<List<Item>>("\"no\"").is_err());
        assert!(serde_json::from_str::<Object<Item>>("[1]").is_err());
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
