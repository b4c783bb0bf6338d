//! Makes a vendor's text safe to show.

use serde_json::Value;

use super::{MASK, is_secret};
use crate::error::truncate;

/// Longest text that is shown, in bytes.
const LONGEST: usize = 256;
/// A run of this many digits may be somebody's number.
const DIGITS: usize = 5;
/// A word of this many letters and digits may be a token or a signature.
const WORD: usize = 24;
/// So may one of this many letters of both cases, digits, `-` and `_`: 16 bytes in base64.
const TOKEN: usize = 22;
/// A part of an address that is this long may be what makes it secret.
const PART: usize = 8;

/// What a member of a request holds, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Anything,
    Secret,
    /// Where the vendor posts: known to nobody but the vendor and whoever receives there.
    Address,
}

// === impl Holds ===

impl Holds {
    fn of(name: &str) -> Self {
        match name {
            _ if is_secret(name) => Self::Secret,
            _ if name.eq_ignore_ascii_case("callback") => Self::Address,
            _ => Self::Anything,
        }
    }
}

/// The text without secrets, control characters and numbers, cut to 256 bytes.
pub fn vendor_text(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    // Longest first: a secret may be part of another.
    let mut secrets: Vec<&str> = secrets.iter().copied().filter(|secret| !secret.is_empty()).collect();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, MASK);
    }
    let text = without_tokens(&text);
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for word in text.split_inclusive(|char: char| !char.is_alphanumeric()) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, end)) if !end.is_alphanumeric() => (&word[..at], Some(end)),
            _ => (word, None),
        };
        if word.chars().count() >= WORD || has_number(word) {
            shown.push_str(MASK);
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

/// The text without what looks like a token in base64: such a word may be cut by `-` and `_`, and a vendor may cut it off.
fn without_tokens(text: &str) -> String {
    let is_cut = |char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '_'));
    let mut kept = String::with_capacity(text.len());
    for run in text.split_inclusive(is_cut) {
        let word = run.trim_end_matches(is_cut);
        let is_mixed =
            word.bytes().any(|byte| byte.is_ascii_uppercase()) && word.bytes().any(|byte| byte.is_ascii_lowercase());
        if word.len() >= TOKEN && is_mixed {
            kept.push_str(MASK);
            kept.push_str(&run[word.len()..]);
        } else {
            kept.push_str(run);
        }
    }
    kept
}

/// The secrets in the JSON body of a request, by the names of their members: a vendor may repeat them in its refusal.
pub fn secrets_in(body: &[u8]) -> Vec<String> {
    fn collect(value: Value, holds: Holds, secrets: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.into_iter().for_each(|(name, member)| {
                let holds = match holds {
                    Holds::Anything => Holds::of(&name),
                    holds => holds,
                };
                collect(member, holds, secrets);
            }),
            Value::Array(items) => items.into_iter().for_each(|item| collect(item, holds, secrets)),
            Value::String(text) => match holds {
                Holds::Anything => {}
                Holds::Secret => secrets.push(text),
                Holds::Address => {
                    secrets.extend(secret_parts(&text).map(str::to_owned));
                    secrets.push(text);
                }
            },
            _ => {}
        }
    }
    let mut secrets = Vec::new();
    collect(serde_json::from_slice(body).unwrap_or_default(), Holds::Anything, &mut secrets);
    secrets
}

/// Parts of an address behind its host, each a secret by itself: a vendor may repeat one of them, or all of them escaped.
fn secret_parts(uri: &str) -> impl Iterator<Item = &str> {
    let behind_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = behind_scheme.find(['/', '?', '#']).map_or("", |at| &behind_scheme[at..]);
    let is_cut = |char: char| !(char.is_alphanumeric() || matches!(char, '-' | '_'));
    path.split(is_cut).filter(|part| part.chars().count() >= PART)
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

    #[test]
    fn the_address_that_a_vendor_posts_to_is_known_whole_and_in_parts() {
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
        // Also where the request did not hold it.
        assert_eq!(
            vendor_text(&format!("callback {uri}"), &[]),
            "callback https://gw.example.com/x/callbacks/acme/***.***"
        );
        assert_eq!(vendor_text("no agent-state-events-of-2024 here", &[]), "no agent-state-events-of-2024 here");
        let id = "call c9d52506-c41b-431f-5fa0-b701a81a2da6 is unknown";
        assert_eq!(vendor_text(id, &[]), "call ***-c41b-431f-5fa0-b701a81a2da6 is unknown");
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
