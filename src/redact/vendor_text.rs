//! Redaction of a vendor's text.

use serde_json::Value;

use super::{MASK, is_secret};
use crate::error::truncate;

/// Longest redacted text, in bytes.
const MAX_TEXT_BYTES: usize = 256;
/// A run of this many digits may be a phone number.
const MIN_NUMBER_DIGITS: usize = 5;
/// A word of this many letters and digits may be a token or a signature.
const MIN_WORD_CHARS: usize = 24;
/// A word of this many letters of both cases, digits, `-` and `_` may be a token: 16 bytes in base64.
const MIN_TOKEN_CHARS: usize = 22;
/// A part of a callback address of this length may be its secret.
const MIN_PART_CHARS: usize = 8;

/// The content of a request's member, by the member's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Anything,
    Secret,
    /// A callback address, which only the vendor and its receiver may know.
    Address,
}

// === impl Content ===

impl Content {
    fn of(name: &str) -> Self {
        match name {
            _ if is_secret(name) => Self::Secret,
            _ if name.eq_ignore_ascii_case("callback") => Self::Address,
            _ => Self::Anything,
        }
    }
}

/// The text with secrets and numbers masked and without control characters, truncated to 256 bytes.
pub(crate) fn vendor_text(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    // Longest first: a secret may be part of another.
    let mut secrets: Vec<&str> = secrets.iter().copied().filter(|secret| !secret.is_empty()).collect();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, MASK);
    }
    let text = without_tokens(&text);
    let mut shown = String::with_capacity(text.len().min(MAX_TEXT_BYTES));
    for word in text.split_inclusive(|char: char| !char.is_alphanumeric()) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, end)) if !end.is_alphanumeric() => (&word[..at], Some(end)),
            _ => (word, None),
        };
        if word.chars().count() >= MIN_WORD_CHARS || has_number(word) {
            shown.push_str(MASK);
        } else {
            shown.push_str(word);
        }
        shown.extend(end.map(|end| if end.is_control() { ' ' } else { end }));
        if shown.len() > MAX_TEXT_BYTES {
            break;
        }
    }
    truncate(&mut shown, MAX_TEXT_BYTES);
    shown.truncate(shown.trim_end().len());
    shown
}

fn has_number(word: &str) -> bool {
    word.split(|char: char| !char.is_numeric()).any(|digits| digits.chars().count() >= MIN_NUMBER_DIGITS)
}

/// The text with base64 tokens masked. A token may contain `-` and `_`, and a vendor may truncate it.
fn without_tokens(text: &str) -> String {
    let is_cut = |char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '_'));
    let mut masked = String::with_capacity(text.len());
    for run in text.split_inclusive(is_cut) {
        let word = run.trim_end_matches(is_cut);
        let is_mixed =
            word.bytes().any(|byte| byte.is_ascii_uppercase()) && word.bytes().any(|byte| byte.is_ascii_lowercase());
        if word.len() >= MIN_TOKEN_CHARS && is_mixed {
            masked.push_str(MASK);
            masked.push_str(&run[word.len()..]);
        } else {
            masked.push_str(run);
        }
    }
    masked
}

/// The secrets in the JSON body of a request, by the names of their members. A vendor may echo them in its refusal.
pub(crate) fn secrets_in(body: &[u8]) -> Vec<String> {
    fn collect(value: Value, content: Content, secrets: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.into_iter().for_each(|(name, member)| {
                let content = match content {
                    Content::Anything => Content::of(&name),
                    content => content,
                };
                collect(member, content, secrets);
            }),
            Value::Array(items) => items.into_iter().for_each(|item| collect(item, content, secrets)),
            Value::String(text) => match content {
                Content::Anything => {}
                Content::Secret => secrets.push(text),
                Content::Address => {
                    secrets.extend(secret_parts(&text).map(str::to_owned));
                    secrets.push(text);
                }
            },
            _ => {}
        }
    }
    let mut secrets = Vec::new();
    collect(serde_json::from_slice(body).unwrap_or_default(), Content::Anything, &mut secrets);
    secrets
}

/// The long parts of an address behind its host, each a secret by itself. A vendor may echo one of them, or all of them
/// escaped.
fn secret_parts(uri: &str) -> impl Iterator<Item = &str> {
    let behind_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = behind_scheme.find(['/', '?', '#']).map_or("", |at| &behind_scheme[at..]);
    let is_cut = |char: char| !(char.is_alphanumeric() || matches!(char, '-' | '_'));
    path.split(is_cut).filter(|part| part.chars().count() >= MIN_PART_CHARS)
}

/// A vendor's return code: at most 16 letters, digits, `-` and `_`; otherwise `(unreadable)`. The codes of all vendors
/// are short numbers.
pub(crate) fn vendor_code(code: &str) -> String {
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
    fn the_secrets_of_a_request_are_found_by_their_names() {
        let body = br#"{"requestParam":{"userName":"Karl","password":"Abcde#12","more":[{"sipPwd":"x"}]}}"#;
        assert_eq!(secrets_in(body), ["x", "Abcde#12"]);
        assert_eq!(secrets_in(b"no JSON"), Vec::<String>::new());
    }

    #[test]
    fn a_callback_address_in_a_request_is_masked_whole_and_in_parts() {
        let uri =
            "https://gw.example.com/x/callbacks/acme/q7-_Q2vD0aXk1mZ9sT4uBw.pL0-kJ9hG8fD7sA6_qW5eR4tY3uI2oP1aS0dF9gH8j";
        let body = format!(r#"{{"subscriptions":[{{"callback":"{uri}","name":"crm","events":["general_hangup"]}}]}}"#);
        let secrets = secrets_in(body.as_bytes());
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        assert!(secrets.contains(&uri) && !secrets.contains(&"crm") && !secrets.contains(&"general_hangup"));
        let segment = uri.rsplit('/').next().unwrap();
        let (nonce, mac) = segment.split_once('.').unwrap();
        for quoted in [
            uri.to_owned(),
            uri.replace('/', "\\/"),
            uri.replace('/', "%2F").replace(':', "%3A"),
            segment.to_owned(),
            format!("{mac} {nonce}"),
            format!("acme/{}", &segment[..60]),
            segment[30..].to_owned(),
        ] {
            let shown = vendor_text(&format!("the callback {quoted}, is not reachable"), &secrets);
            assert!(shown.starts_with("the callback ") && shown.ends_with(", is not reachable"), "{shown}");
            for part in [nonce, mac, &nonce[4..12], &mac[..8], &mac[20..28]] {
                assert!(!shown.contains(part), "{shown}");
            }
        }
        // An address that the request does not contain is masked, too.
        assert_eq!(
            vendor_text(&format!("callback {uri}"), &[]),
            "callback https://gw.example.com/x/callbacks/acme/***.***"
        );
        assert_eq!(vendor_text("no agent-state-events-of-2024 here", &[]), "no agent-state-events-of-2024 here");
        let id = "call c9d52506-c41b-431f-5fa0-b701a81a2da6 is unknown";
        assert_eq!(vendor_text(id, &[]), "call ***-c41b-431f-5fa0-b701a81a2da6 is unknown");
    }

    #[test]
    fn the_secret_parts_of_an_address_are_its_long_words_behind_the_host() {
        let parts = |uri| secret_parts(uri).collect::<Vec<_>>();
        let address = "https://gw-long-name.example.com/callbacks/acme/no-n_ce1.m4c-4567?key=0-_12345#1234567";
        assert_eq!(parts(address), ["callbacks", "no-n_ce1", "m4c-4567", "0-_12345"]);
        assert_eq!(parts("https://gateway.example.com"), Vec::<&str>::new());
    }

    #[test]
    fn a_return_code_is_up_to_16_letters_digits_dashes_and_underscores() {
        for good in ["", "000000", "ERR-4_711", &"7".repeat(16)] {
            assert_eq!(vendor_code(good), good);
        }
        for bad in ["4711 Karl", "4711.1", "\u{e9}", &"7".repeat(17)] {
            assert_eq!(vendor_code(bad), "(unreadable)");
        }
    }

    proptest! {
        #[test]
        fn redacted_text_has_no_secret_and_no_number_and_at_most_256_bytes(
            before in "\\PC{0,300}", after in "\\PC{0,300}",
        ) {
            let shown = vendor_text(&format!("{before}s3cr3t-value{after}13800000000"), &["s3cr3t-value"]);
            prop_assert!(shown.len() <= MAX_TEXT_BYTES);
            prop_assert!(!shown.contains("s3cr3t-value"));
            prop_assert!(!shown.contains("13800000000"));
            let longest_run = shown.split(|char: char| !char.is_ascii_digit()).map(str::len).max();
            prop_assert!(longest_run < Some(MIN_NUMBER_DIGITS));
        }
    }
}
