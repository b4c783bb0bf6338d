//! Redaction of secrets in texts.
//!
//! Three kinds become `***`: the values of a center's secrets, anywhere; the last segment of a callback address, which
//! alone protects it; and, in text that is no JSON, the value behind a secret's name.

use std::ops::Range;

use url::form_urlencoded;

use super::{MASK, is_secret};

/// Path segment of every callback address.
const CALLBACKS: &str = "callbacks";

/// Redacts the secrets of one center.
pub(crate) struct Redactor {
    /// The values in every encoding; longest first, because a secret may be part of another.
    values: Vec<String>,
}

// === impl Redactor ===

impl Redactor {
    /// A redactor of these secrets.
    pub(crate) fn new(secrets: &[&str]) -> Self {
        let mut values: Vec<String> =
            secrets.iter().filter(|secret| !secret.is_empty()).flat_map(|secret| encodings(secret)).collect();
        values.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values }
    }

    /// Whether a text may contain a known value or a callback address.
    pub(crate) fn finds(&self, text: &str) -> bool {
        text.contains(CALLBACKS) || self.values.iter().any(|value| text.contains(value.as_str()))
    }

    /// The text with known values and callback addresses masked; `None` when it has none.
    pub(crate) fn values(&self, text: &str) -> Option<String> {
        let mut redacted: Option<String> = None;
        for value in &self.values {
            let text = redacted.as_deref().unwrap_or(text);
            // Most texts are shorter than any secret.
            if text.len() >= value.len() && text.contains(value.as_str()) {
                redacted = Some(text.replace(value.as_str(), MASK));
            }
        }
        mask(redacted.as_deref().unwrap_or(text), addresses).or(redacted)
    }

    /// The unstructured text with all secrets masked; `None` when it has none.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        let redacted = mask(text, values_behind_secret_names);
        self.values(redacted.as_deref().unwrap_or(text)).or(redacted)
    }

    /// Bytes that are no text, with all secrets masked.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let text = one_char_each(bytes);
        let redacted = self.text(&text).unwrap_or(text);
        // Masking adds only asterisks.
        redacted.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect()
    }
}

/// A secret verbatim, and encoded as in JSON, in a form, and in bytes that are no text.
fn encodings(secret: &str) -> [String; 4] {
    let json = serde_json::to_string(secret).unwrap_or_default();
    [
        secret.to_owned(),
        json.get(1..json.len().saturating_sub(1)).filter(|json| !json.is_empty()).unwrap_or(secret).to_owned(),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        one_char_each(secret.as_bytes()),
    ]
}

/// Every byte as the character with its code point.
fn one_char_each(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Replaces every range that `next` finds by `***`; `None` when there is none.
fn mask(text: &str, next: fn(&str, usize) -> Option<Range<usize>>) -> Option<String> {
    let mut masked = String::new();
    let mut copied = 0;
    while let Some(part) = next(text, copied) {
        masked.extend([&text[copied..part.start], MASK]);
        copied = part.end;
    }
    if copied == 0 {
        return None;
    }
    masked.push_str(&text[copied..]);
    Some(masked)
}

/// The range of the next `{nonce}.{mac}` of `/callbacks/{center}/{nonce}.{mac}`, with plain or escaped slashes.
fn addresses(text: &str, mut from: usize) -> Option<Range<usize>> {
    loop {
        let center = from + text.get(from..)?.find(CALLBACKS)? + CALLBACKS.len();
        from = center;
        let rest = &text[center..];
        let Some(slash) = slash(rest) else { continue };
        let center_end = slash + run(&rest[slash..], |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let Some(second) = self::slash(&rest[center_end..]) else { continue };
        let start = center_end + second;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~=".contains(&byte);
        let end = start + run(&rest[start..], is_part);
        if rest[start..end].trim_matches('.').contains('.') {
            return Some(center + start..center + end);
        }
    }
}

/// Length of a slash: `/`, `\/` or `%2F`.
fn slash(text: &str) -> Option<usize> {
    let escapes = run(text, |byte| byte == b'\\');
    let rest = &text.as_bytes()[escapes..];
    match rest {
        [b'/', ..] => Some(escapes + 1),
        [b'%', b'2', b'F' | b'f', ..] => Some(escapes + 3),
        _ => None,
    }
}

/// Count of the leading bytes that match.
fn run(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

/// The range of the next value behind a secret's name and `=`, `:` or the end of a tag.
fn values_behind_secret_names(text: &str, mut from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    loop {
        let start = from + bytes.get(from..)?.iter().position(|byte| is_word(*byte))?;
        let end = start + run_of(&bytes[start..], is_word);
        from = end;
        if !is_secret(&text[start..end]) {
            continue;
        }
        let closed = end + run_of(&bytes[end..], |byte| b"\"'\\ \t\r\n".contains(&byte));
        if !matches!(bytes.get(closed), Some(b'=' | b':' | b'>')) {
            from = closed;
            continue;
        }
        let value = closed + 1 + run_of(&bytes[closed + 1..], |byte| byte.is_ascii_whitespace());
        let value_end = end_of_value(bytes, value);
        from = value_end.max(end);
        if value < value_end {
            return Some(value..value_end);
        }
    }
}

fn run_of(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(**byte)).count()
}

/// The end of the value at `start`: a quoted string, an object, a list, or a bare value up to a delimiter.
fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let escapes = run_of(&bytes[start..], |byte| byte == b'\\');
    match bytes.get(start + escapes) {
        Some(quote @ (b'"' | b'\'')) => end_of_quoted(bytes, start + escapes + 1, *quote, escapes),
        Some(b'{' | b'[') => end_of_nested(bytes, start),
        _ => end_of_bare(bytes, start),
    }
}

/// The end of a quoted string. In nested JSON text every closing quote has as many backslashes as the opening one.
fn end_of_quoted(bytes: &[u8], start: usize, quote: u8, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        if byte == b'\\' {
            backslashes += 1;
        } else {
            if byte == quote && backslashes >= escapes && (backslashes - escapes).is_multiple_of(2 * (escapes + 1)) {
                return at + 1;
            }
            backslashes = 0;
        }
    }
    bytes.len()
}

/// The end of an object or a list: the bracket that balances the first.
fn end_of_nested(bytes: &[u8], start: usize) -> usize {
    let mut open = 0_usize;
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at + 1;
        }
    }
    bytes.len()
}

/// The end of a value without quotes. A comma ends it only where a name follows.
fn end_of_bare(bytes: &[u8], start: usize) -> usize {
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'&' | b';' | b'}' | b']' | b')' | b'<' | b'\r' | b'\n' | b'"' => return at,
            b',' if is_before_a_name(&bytes[at + 1..]) => return at,
            _ => {}
        }
    }
    bytes.len()
}

fn is_before_a_name(bytes: &[u8]) -> bool {
    let bytes = &bytes[run_of(bytes, |byte| byte.is_ascii_whitespace())..];
    let word = run_of(bytes, |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    match bytes.first() {
        None | Some(b'"' | b'\'' | b'\\' | b'{' | b'[') => true,
        Some(first) => first.is_ascii_alphabetic() && matches!(bytes.get(word), Some(b'=' | b':')),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> String {
        Redactor::new(&["tok-123", "s3cr\"t"]).text(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn known_values_are_masked_in_every_encoding() {
        assert_eq!(text("a tok-123 b tok-123"), "a *** b ***");
        assert_eq!(text(r#"{"a":"s3cr\"t"}"#), r#"{"a":"***"}"#);
        assert_eq!(text("a=s3cr%22t&b=1"), "a=***&b=1");
        assert_eq!(Redactor::new(&["tok", "tok-long", ""]).values("tok-long tok").as_deref(), Some("*** ***"));
        assert_eq!(Redactor::new(&["\u{e9}cole"]).bytes(b"\xff \xc3\xa9cole"), b"\xff ***");
    }

    #[test]
    fn the_last_segment_of_a_callback_address_is_masked() {
        for (address, masked) in [
            ("https://gw.example/callbacks/acme/n0nce.m4c", "https://gw.example/callbacks/acme/***"),
            ("/callbacks/acme/n_-0.m4c= and more", "/callbacks/acme/*** and more"),
            (r"https:\/\/gw.example\/callbacks\/acme\/n.m", r"https:\/\/gw.example\/callbacks\/acme\/***"),
            ("cb=https%3A%2F%2Fgw%2Fcallbacks%2Facme%2Fn.m%3Fa", "cb=https%3A%2F%2Fgw%2Fcallbacks%2Facme%2F***%3Fa"),
            ("/callbacks/a/n.m?x=/callbacks/b/n.m", "/callbacks/a/***?x=/callbacks/b/***"),
        ] {
            assert_eq!(text(address), masked);
        }
        for other in
            ["/callbacks/", "/callbacks/acme", "/callbacks/acme/", "/callbacks/acme/list", "callbacks callbacks"]
        {
            assert_eq!(text(other), other);
        }
    }

    #[test]
    fn the_value_behind_a_secrets_name_is_masked() {
        for (given, masked) in [
            ("password=abc&x=1", "password=***&x=1"),
            ("{a=1, sipPwd=a,b, c=2}", "{a=1, sipPwd=***, c=2}"),
            (r#"{"Password": "a\"b", "x": 1"#, r#"{"Password": ***, "x": 1"#),
            (r#""{\"token\":\"a\\\"b\",\"x\":1}""#, r#""{\"token\":***,\"x\":1}""#),
            (r#"{"secret":{"a":["b"]},"x":1}"#, r#"{"secret":***,"x":1}"#),
            ("<password>abc</password><x>1</x>", "<password>***</password><x>1</x>"),
            ("Signature: a\nx: 1", "Signature: ***\nx: 1"),
            (r#"{"pwd":12345,"x":1}"#, r#"{"pwd":***,"x":1}"#),
            ("token=", "token="),
            ("no token here", "no token here"),
        ] {
            assert_eq!(text(given), masked);
        }
    }

    #[test]
    fn a_secret_s_name_and_value_are_read_whole() {
        for (given, masked) in [
            ("secret_key=abc&x=1", "secret_key=***&x=1"),
            ("token-id: abc\nx: 1", "token-id: ***\nx: 1"),
            // A value ends before the next name, also before one of several words.
            ("{pwd=a,b, my_name=2}", "{pwd=***, my_name=2}"),
            ("{pwd=a,b, my-name=2}", "{pwd=***, my-name=2}"),
            // Two backslashes are one character of the value, and no escape of the quote.
            (r#"{"pwd":"a\\","x":1"#, r#"{"pwd":***,"x":1"#),
        ] {
            assert_eq!(text(given), masked);
        }
    }

    #[test]
    fn text_without_a_secret_or_an_address_needs_no_search_of_its_parts() {
        let redactor = Redactor::new(&["tok-123"]);
        for (text, finds) in [("a tok-123 b", true), ("/callbacks/acme/n.m", true), ("token=abc", false), ("", false)] {
            assert_eq!(redactor.finds(text), finds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_known_secret_remains_in_any_text(before in "\\PC{0,40}", after in "\\PC{0,40}") {
            let redacted = text(&format!("{before}tok-123{after}"));
            prop_assert!(!redacted.contains("tok-123"));
            let redacted = text(&format!("{before} /callbacks/acme/aaaa.bbbb {after}"));
            prop_assert!(!redacted.contains("aaaa.bbbb"));
        }

        #[test]
        fn redaction_terminates_for_any_text(text in "[a-z{}\\[\\]=:,\"'\\\\& <>]{0,30}(pwd|token)[a-z{}\\[\\]=:,\"'\\\\& <>]{0,40}") {
            let redactor = Redactor::new(&["tok-123"]);
            let once = redactor.text(&text).unwrap_or(text);
            prop_assert!(!once.contains("tok-123"));
        }

        #[test]
        fn bytes_without_secrets_are_unchanged(bytes in proptest::collection::vec(128_u8.., 0..60)) {
            prop_assert_eq!(Redactor::new(&["tok-123"]).bytes(&bytes), bytes);
        }
    }
}
