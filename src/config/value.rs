//! What scalar keys accept: switches, numbers, addresses, names, paths of files, choices.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use toml::{Spanned, de::DeValue};

use super::{
    key::Kind,
    table::{Parsed, mistyped, nearest},
};

/// The most that any count may be: a semaphore or a queue of this size is no limit any more.
pub(super) const MOST: i64 = 1_000_000;

pub(super) fn boolean() -> Kind<bool> {
    const EXPECTED: &str = "true or false";
    Kind::new(EXPECTED, |_, value| value.as_bool().ok_or_else(|| mistyped(EXPECTED, value)))
}

/// A whole number within the range.
pub(super) fn whole<T: TryFrom<i64> + 'static>(range: RangeInclusive<i64>) -> Kind<T> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    Kind::new(expected.clone(), move |_, value| {
        let Some(integer) = value.as_integer() else {
            return Err(mistyped(&expected, value));
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        number
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("expected {expected}"))
    })
}

pub(super) fn fraction() -> Kind<f64> {
    const EXPECTED: &str = "a number from 0 to 1";
    Kind::new(EXPECTED, |_, value| {
        let text = match value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            other => return Err(mistyped(EXPECTED, other)),
        };
        text.parse().ok().filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| format!("expected {EXPECTED}"))
    })
}

pub(super) fn address() -> Kind<SocketAddr> {
    text(r#"an IP address and port such as "127.0.0.1:8080""#, |text| text.parse().ok())
}

/// Text for people.
pub(super) fn name() -> Kind<String> {
    text("a string that is not empty and has no control characters", |text| {
        (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
    })
}

/// An id or key that the vendor issued: it goes into headers and signatures.
pub(super) fn identifier() -> Kind<String> {
    text("printable ASCII, not empty, without a space at either end", |text| {
        let is_printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        (!text.is_empty() && text.trim() == text && text.bytes().all(is_printable)).then(|| text.to_owned())
    })
}

/// Codes that the vendor uses: one, or a list of distinct ones.
pub(super) fn codes() -> Kind<Vec<String>> {
    const EXPECTED: &str =
        "a code, or a list of distinct codes: whole numbers, or strings of 1 to 32 printable ASCII characters";
    Kind::new(EXPECTED, |_, value| {
        let values: Vec<&DeValue<'_>> = match value {
            DeValue::Array(values) => values.iter().map(Spanned::get_ref).collect(),
            one => vec![one],
        };
        let mut codes = Vec::with_capacity(values.len());
        for value in values {
            let code = match value {
                DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
                DeValue::String(text) => text,
                other => return Err(mistyped(EXPECTED, other)),
            };
            let is_code = (1..=32).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_code || codes.iter().any(|known| known == code) {
                return Err(format!("expected {EXPECTED}"));
            }
            codes.push(code.to_owned());
        }
        Ok(codes)
    })
}

/// A path of the file system.
pub(super) fn path() -> Kind<PathBuf> {
    text("a path that is not empty", |text| (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text)))
}

/// One of the names in `choices`.
pub(super) fn choice<T: Copy + 'static>(choices: Vec<(&'static str, T)>) -> Kind<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let expected = one_of(&names);
    Kind::new(expected.clone(), move |_, value| {
        let text = string(value, &expected)?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            match nearest(text, &names) {
                Some(near) => format!("expected {expected}; did you mean \"{near}\"?"),
                None => format!("expected {expected}"),
            }
        })
    })
}

/// Completes "expected ..." for a choice.
pub(super) fn one_of<N: Display>(names: &[N]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ")
}

/// A string that `parse` accepts.
pub(super) fn text<T: 'static>(expected: &'static str, parse: fn(&str) -> Option<T>) -> Kind<T> {
    Kind::new(expected, move |_, value| parse(string(value, expected)?).ok_or_else(|| format!("expected {expected}")))
}

pub(super) fn string<'v>(value: &'v DeValue<'_>, expected: &str) -> Parsed<&'v str> {
    value.as_str().ok_or_else(|| mistyped(expected, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{read_key, read_text};

    #[test]
    fn a_number_outside_its_range_is_refused() {
        let whole = |text: &str| read_key(&whole::<u32>(1..=10), &format!("key = {text}"));
        assert_eq!(whole("10"), Ok(10));
        assert_eq!(whole("0xA"), Ok(10));
        for wrong in ["0", "11", "-1", "99999999999999999999"] {
            assert_eq!(whole(wrong).unwrap_err(), "expected a whole number from 1 to 10");
        }
        let fraction = |text: &str| read_key(&fraction(), &format!("key = {text}"));
        assert_eq!(fraction("0.25"), Ok(0.25));
        assert_eq!(fraction("1"), Ok(1.0));
        for wrong in ["-0.1", "1.1", "nan", "inf", "2"] {
            assert_eq!(fraction(wrong).unwrap_err(), "expected a number from 0 to 1");
        }
    }

    #[test]
    fn a_wrong_type_is_named() {
        let found = |value| read_key(&name(), &format!("key = {value}")).unwrap_err();
        assert!(found("1").ends_with(", found an integer"));
        assert!(found("1.0").ends_with(", found a float"));
        assert!(found("true").ends_with(", found a boolean"));
        assert!(found("1979-05-27").ends_with(", found a date or time"));
        assert!(found("[]").ends_with(", found an array"));
        assert!(found("{}").ends_with(", found a table"));
        assert_eq!(read_text(&boolean(), "x").unwrap_err(), "expected true or false, found a string");
    }

    #[test]
    fn texts_are_checked() {
        assert_eq!(read_text(&identifier(), "my app"), Ok("my app".to_owned()));
        for wrong in ["", " a", "a ", "é", "a\n"] {
            assert!(read_text(&identifier(), wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["", "a\u{7}"] {
            assert!(read_text(&name(), wrong).is_err(), "{wrong:?}");
        }
        assert!(read_text(&path(), "").is_err());
        assert!(read_text(&address(), "localhost:8080").is_err());
    }

    #[test]
    fn a_choice_says_what_is_allowed_and_what_was_meant() {
        let parse = |value| read_text(&choice(vec![("udesk", 1), ("huawei", 2)]), value);
        assert_eq!(parse("huawei"), Ok(2));
        assert_eq!(parse("uDesk").unwrap_err(), r#"expected "udesk" or "huawei"; did you mean "udesk"?"#);
        assert_eq!(parse("genesys").unwrap_err(), r#"expected "udesk" or "huawei""#);
    }
}
