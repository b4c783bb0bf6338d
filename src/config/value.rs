//! Single values: from a TOML value to a checked Rust one. A message names a value's type, never the value.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;

use super::table::{Parsed, nearest};

/// Completes "expected ..." for an id or key that the vendor issued.
pub(super) const IDENTIFIER: &str = "printable ASCII, not empty, without a space at either end";

const ADDRESS: &str = r#"an IP address and port such as "127.0.0.1:8080""#;
const NAME: &str = "a string that is not empty and has no control characters";
const PATH: &str = "a path that is not empty";

/// The most that any count may be: a semaphore or a queue of this size is no limit any more.
pub(super) const MOST: u32 = 1_000_000;

/// A TOML type with its article.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The same parser for a key without a default.
pub(super) fn some<'d, T>(
    parse: impl FnOnce(&DeValue<'d>) -> Parsed<T>,
) -> impl FnOnce(&DeValue<'d>) -> Parsed<Option<T>> {
    |value| parse(value).map(Some)
}

pub(super) fn boolean(value: &DeValue<'_>) -> Parsed<bool> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        other => Err(mistyped("true or false", other)),
    }
}

/// A whole number within the range.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl FnOnce(&DeValue<'_>) -> Parsed<T>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = value else {
            return Err(mistyped(&expected, value));
        };
        i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("expected {expected}"))
    }
}

/// A number from 0 to 1.
pub(super) fn fraction(value: &DeValue<'_>) -> Parsed<f64> {
    const EXPECTED: &str = "a number from 0 to 1";
    let text = match value {
        DeValue::Float(float) => float.as_str(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        other => return Err(mistyped(EXPECTED, other)),
    };
    text.parse().ok().filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| format!("expected {EXPECTED}"))
}

pub(super) fn address(value: &DeValue<'_>) -> Parsed<SocketAddr> {
    string(value, ADDRESS)?.parse().map_err(|_| format!("expected {ADDRESS}"))
}

/// Text for people.
pub(super) fn name(value: &DeValue<'_>) -> Parsed<String> {
    checked(value, NAME, |text| !text.is_empty() && !text.contains(char::is_control))
}

/// An id or key that the vendor issued: it goes into headers and signatures.
pub(super) fn identifier(value: &DeValue<'_>) -> Parsed<String> {
    checked(value, IDENTIFIER, |text| {
        !text.is_empty() && text.trim() == text && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
    })
}

/// A path of the file system.
pub(super) fn path(value: &DeValue<'_>) -> Parsed<PathBuf> {
    checked(value, PATH, |text| !text.is_empty() && !text.contains('\0')).map(PathBuf::from)
}

/// One of the names in `choices`.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&DeValue<'_>) -> Parsed<T> {
    move |value| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let expected = one_of(&names);
        let text = string(value, &expected)?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            match nearest(text, &names) {
                Some(near) => format!("expected {expected}; did you mean \"{near}\"?"),
                None => format!("expected {expected}"),
            }
        })
    }
}

/// Completes "expected ..." for a choice.
pub(super) fn one_of(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ")
}

fn mistyped(expected: &str, value: &DeValue<'_>) -> String {
    format!("expected {expected}, found {}", type_name(value))
}

pub(super) fn string<'v>(value: &'v DeValue<'_>, expected: &str) -> Parsed<&'v str> {
    match value {
        DeValue::String(text) => Ok(text),
        other => Err(mistyped(expected, other)),
    }
}

pub(super) fn checked(value: &DeValue<'_>, expected: &str, is_valid: impl Fn(&str) -> bool) -> Parsed<String> {
    let text = string(value, expected)?;
    if is_valid(text) { Ok(text.to_owned()) } else { Err(format!("expected {expected}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    fn toml(text: &str) -> DeValue<'_> {
        DeValue::parse(text).unwrap().into_inner()
    }

    #[test]
    fn a_number_outside_its_range_is_refused() {
        assert_eq!(whole(1..=10_u32)(&toml("10")), Ok(10));
        assert_eq!(whole(1..=10_u32)(&toml("0xA")), Ok(10));
        for wrong in ["0", "11", "-1", "99999999999999999999"] {
            assert_eq!(whole(1..=10_u32)(&toml(wrong)).unwrap_err(), "expected a whole number from 1 to 10");
        }
        assert_eq!(fraction(&toml("0.25")), Ok(0.25));
        assert_eq!(fraction(&toml("1")), Ok(1.0));
        for wrong in ["-0.1", "1.1", "nan", "inf", "2"] {
            assert_eq!(fraction(&toml(wrong)).unwrap_err(), "expected a number from 0 to 1");
        }
    }

    #[test]
    fn a_wrong_type_is_named() {
        let found = |value| name(&toml(value)).unwrap_err();
        assert!(found("1").ends_with(", found an integer"));
        assert!(found("1.0").ends_with(", found a float"));
        assert!(found("true").ends_with(", found a boolean"));
        assert!(found("1979-05-27").ends_with(", found a date or time"));
        assert!(found("[]").ends_with(", found an array"));
        assert!(found("{}").ends_with(", found a table"));
        assert_eq!(boolean(&toml("'x'")).unwrap_err(), "expected true or false, found a string");
    }

    #[test]
    fn texts_are_checked() {
        assert_eq!(identifier(&text("my app")), Ok("my app".to_owned()));
        for wrong in ["", " a", "a ", "é", "a\n"] {
            assert!(identifier(&text(wrong)).is_err(), "{wrong:?}");
        }
        for wrong in ["", "a\u{7}"] {
            assert!(name(&text(wrong)).is_err(), "{wrong:?}");
        }
        assert!(path(&text("")).is_err());
        assert!(address(&text("localhost:8080")).is_err());
    }

    #[test]
    fn a_choice_says_what_is_allowed_and_what_was_meant() {
        let parse = |value| choice(&[("udesk", 1), ("huawei", 2)])(&text(value));
        assert_eq!(parse("huawei"), Ok(2));
        assert_eq!(parse("uDesk").unwrap_err(), r#"expected "udesk" or "huawei"; did you mean "udesk"?"#);
        assert_eq!(parse("genesys").unwrap_err(), r#"expected "udesk" or "huawei""#);
    }
}
