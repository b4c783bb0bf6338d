//! Makes a vendor's text safe to show.

use serde_json::Value;

use crate::{error::truncate, vendor_data::is_secret};

/// Longest text that is shown, in bytes.
const LONGEST: usize = 256;
/// A run of this many digits may be somebody's number.
const DIGITS: usize = 5;
/// A word of this many letters and digits may be a token or a signature.
const WORD: usize = 24;

/// The text without secrets, control characters and numbers, cut to 256 bytes.
pub fn vendor_text(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    // Longest first: a secret may be part of another.
    let mut secrets: Vec<&str> = secrets.iter().copied().filter(|secret| !secret.is_empty()).collect();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for word in text.split_inclusive(|char: char| !char.is_alphanumeric()) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, end)) if !end.is_alphanumeric() => (&word[..at], Some(end)),
            _ => (word, None),
        };
        if word.chars().count() >= WORD || has_number(word) {
            shown.push_str("***");
        } else {
            shown.push_str(word);
        }
        shown.extend(end.map(|end| if end.is_control() { ' ' } else { end }));
        if shown.len() > LONGEST {
            break;
        }
    }
    truncate(&mut shown, LONGEST);
    shown.truncate(shown.trim_end().len());
    shown
}

fn has_number(word: &str) -> bool {
    word.split(|char: char| !char.is_numeric()).any(|digits| digits.chars().count() >= DIGITS)
}

/// The secrets in the JSON body of a request, by the names of their members: a vendor may repeat them in its refusal.
pub fn secrets_in(body: &[u8]) -> Vec<String> {
    fn collect(value: Value, secret: bool, secrets: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                members.into_iter().for_each(|(name, member)| collect(member, secret || is_secret(&name), secrets));
            }
            Value::Array(items) => items.into_iter().for_each(|item| collect(item, secret, secrets)),
            Value::String(text) if secret => secrets.push(text),
            _ => {}
        }
    }
    let mut secrets = Vec::new();
    collect(serde_json::from_slice(body).unwrap_or_default(), false, &mut secrets);
    secrets
}

/// A vendor's return code as it is shown: letters, digits, `-` and `_`, at most 16. Codes of either vendor are short
/// numbers; anything longer is no code.
pub fn vendor_code(code: &str) -> String {
    let plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain && code.len() <= 16 { code.to_owned() } else { "(unreadable)".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_secrets_are_masked() {
        assert_eq!(vendor_text("number 13676546374 of 9415 is busy\n", &[]), "number *** of 9415 is busy");
        assert_eq!(vendor_text("bad sign a1b2c3 for sid-0001", &["a1b2c3", "sid-0001"]), "bad sign *** for ***");
        assert_eq!(vendor_text("tok tok-long", &["tok", "tok-long"]), "*** ***");
        assert_eq!(vendor_text("call +\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}", &[]), "call +***");
        assert_eq!(vendor_text("Sign 7cb509c2cba42f294779f23d6a33a64030fd5890 expired", &[]), "Sign *** expired");
    }

    #[test]
    fn the_secrets_of_a_request_are_known_by_their_names() {
        let body = br#"{"requestParam":{"userName":"Karl","password":"Abcde#12","more":[{"sipPwd":"x"}]}}"#;
        assert_eq!(secrets_in(body), ["x", "Abcde#12"]);
        assert_eq!(secrets_in(b"no JSON"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn never_a_secret_a_number_or_more_than_256_bytes(before in "\\PC{0,300}", after in "\\PC{0,300}") {
            let shown = vendor_text(&format!("{before}s3cr3t-value{after}13800000000"), &["s3cr3t-value"]);
            prop_assert!(shown.len() <= LONGEST);
            prop_assert!(!shown.contains("s3cr3t-value"));
            prop_assert!(!shown.contains("13800000000"));
            let longest_run = shown.split(|char: char| !char.is_ascii_digit()).map(str::len).max();
            prop_assert!(longest_run < Some(DIGITS));
        }
    }
}
