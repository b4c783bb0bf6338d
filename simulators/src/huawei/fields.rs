//! Reads request bodies as strictly as the tables, and checks the limits on single values.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::envelope::Refusal;

/// A number that is text in a table and a number in an example: both are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// An empty text.
    Empty,
    Number(i64),
}

// === impl Count ===

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Count::Number(number)),
            Either::Text(text) if text.is_empty() => Ok(Count::Empty),
            Either::Text(text) => {
                text.parse().map(Count::Number).map_err(|_| serde::de::Error::custom("not a whole number"))
            }
        }
    }
}

/// Reads the fields of `T` with strict types. Every `T` here denies unknown fields.
pub(super) fn read<T: DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    serde_json::from_value(body).map_err(|_| Refusal::Malformed)
}

/// Checks that a text has at most `limit` characters.
pub(super) fn at_most(text: &str, limit: usize, refusal: &'static str) -> Result<(), Refusal> {
    ensure(text.chars().count() <= limit, refusal)
}

/// Returns a business failure unless `holds`.
pub(super) fn ensure(holds: bool, refusal: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::because(refusal)) }
}

/// One page of `items`.
pub(super) fn page<T>(items: impl IntoIterator<Item = T>, offset: i64, limit: i64) -> Vec<T> {
    let count = |number: i64| usize::try_from(number).unwrap_or_default();
    items.into_iter().skip(count(offset)).take(count(limit)).collect()
}

/// Checks an account's name: 6 to 50 letters, digits, `@`, `.`, `-`, `_` (B3.5).
pub(super) fn check_account(account: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "@.-_".contains(c);
    ensure(
        (6..=50).contains(&account.len()) && account.chars().all(allowed),
        "userAccount must have 6 to 50 letters, digits or @.-_",
    )
}

/// Checks an e-mail address: local part at most 64 characters, domain at most 255, its labels at most 63 (B3.5).
pub(super) fn check_email(email: &str) -> Result<(), Refusal> {
    let local_part = |local: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty()) && local.chars().all(allowed)
    };
    let label =
        |label: &str| (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let valid = email
        .split_once('@')
        .is_some_and(|(local, domain)| local_part(local) && domain.len() <= 255 && domain.split('.').all(label));
    ensure(valid, "The email is invalid")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_count_is_a_number_or_its_text() {
        let count = |value: Value| read::<Count>(value);
        assert_eq!(count(json!(3)), Ok(Count::Number(3)));
        assert_eq!(count(json!("3")), Ok(Count::Number(3)));
        assert_eq!(count(json!("-1")), Ok(Count::Number(-1)));
        assert_eq!(count(json!("")), Ok(Count::Empty));
        for wrong in [json!("3.0"), json!(3.5), json!("three"), json!(true), json!([3])] {
            assert_eq!(count(wrong), Err(Refusal::Malformed));
        }
    }

    #[test]
    fn accounts_have_6_to_50_characters_of_their_alphabet() {
        for valid in ["anna.b", "anna.berg@example.com", &"a".repeat(50)] {
            assert_eq!(check_account(valid), Ok(()), "{valid}");
        }
        for invalid in ["anna5", "anna berg", "anna+berg", "ännaberg", &"a".repeat(51)] {
            assert!(check_account(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn emails_have_a_local_part_and_a_domain() {
        let long_label = format!("a@{}.example", "b".repeat(63));
        for valid in ["a@b.example", "anna.berg+x@example.com", &long_label] {
            assert_eq!(check_email(valid), Ok(()), "{valid}");
        }
        let long_local = format!("{}@b.example", "a".repeat(65));
        let longer_label = format!("a@{}.example", "b".repeat(64));
        let long_domain = format!("a@{}example", "b.".repeat(125));
        for invalid in
            ["", "a", "@b.c", "a@", "a@b@c", "a..b@c.d", "a b@c.d", "a@b..c", &long_local, &longer_label, &long_domain]
        {
            assert!(check_email(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_page_is_cut_at_both_ends() {
        assert_eq!(page(1..=5, 1, 2), [2, 3]);
        assert_eq!(page(1..=5, 4, 100), [5]);
        assert!(page(1..=5, 5, 100).is_empty());
        assert!(page(1..=5, i64::MAX, -1).is_empty());
    }
}
