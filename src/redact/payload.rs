//! Takes secrets out of texts.
//!
//! Three kinds are known: the values of a center's secrets, wherever they stand; the last part of an ingress address,
//! which is all that protects it; and, in text that is no JSON, what follows a secret's name. Each becomes `***`.

use std::ops::Range;

use url::form_urlencoded;

use super::{MASK, is_secret};

/// What an ingress address has in its path.
const CALLBACKS: &str = "callbacks";

/// What is taken out.
pub struct Redactor {
    /// The values in every spelling; longest first, because a secret may be part of another.
    values: Vec<String>,
}

// === impl Redactor ===

impl Redactor {
    /// Knows the values of these secrets.
    pub fn new(secrets: &[&str]) -> Self {
        let mut values: Vec<String> =
            secrets.iter().filter(|secret| !secret.is_empty()).flat_map(|secret| spellings(secret)).collect();
        values.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values }
    }

    /// Whether a known value or an ingress address may be in a text.
    pub fn finds(&self, text: &str) -> bool {
        text.contains(CALLBACKS) || self.values.iter().any(|value| text.contains(value.as_str()))
    }

    /// Text without known values and ingress addresses; `None` when it has none.
    pub fn values(&self, text: &str) -> Option<String> {
        let mut cleaned: Option<String> = None;
        for value in &self.values {
            let text = cleaned.as_deref().unwrap_or(text);
            // Most texts are shorter than any secret.
            if text.len() >= value.len() && text.contains(value.as_str()) {
                cleaned = Some(text.replace(value.as_str(), MASK));
            }
        }
        hide(cleaned.as_deref().unwrap_or(text), addresses).or(cleaned)
    }

    /// Text of no known format without secrets; `None` when it has none.
    pub fn text(&self, text: &str) -> Option<String> {
        let cleaned = hide(text, named);
        self.values(cleaned.as_deref().unwrap_or(text)).or(cleaned)
    }

    /// Bytes that are no text, without secrets.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let text = one_char_each(bytes);
        let cleaned = self.text(&text).unwrap_or(text);
        // Nothing is put in but asterisks.
        cleaned.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect()
    }
}

/// A secret as it is, as it stands within JSON, within a form, and within bytes that are no text.
fn spellings(secret: &str) -> [String; 4] {
    let json = serde_json::to_string(secret).unwrap_or_default();
    [
        secret.to_owned(),
        json.get(1..json.len().saturating_sub(1)).filter(|json| !json.is_empty()).unwrap_or(secret).to_owned(),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        one_char_each(secret.as_bytes()),
    ]
}

/// Every byte as the character of its number.
fn one_char_each(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Puts `***` in the place of every part that `next` finds at or after a position.
fn hide(text: &str, next: fn(&str, usize) -> Option<Range<usize>>) -> Option<String> {
    let mut hidden = String::new();
    let mut copied = 0;
    while let Some(part) = next(text, copied) {
        hidden.extend([&text[copied..part.start], MASK]);
        copied = part.end;
    }
    if copied == 0 {
        return None;
    }
    hidden.push_str(&text[copied..]);
    Some(hidden)
}

/// The next `{nonce}.{mac}` of `/callbacks/{center}/{nonce}.{mac}`, whichever way its slashes are written.
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

/// How many bytes at the beginning are so.
fn run(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

/// The next value that stands behind a secret's name and `=`, `:` or the end of a tag.
fn named(text: &str, mut from: usize) -> Option<Range<usize>> {
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

/// Where a value is over that begins at `start`: a text in quotes, an object or a list, or up to what parts values.
fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let escapes = run_of(&bytes[start..], |byte| byte == b'\\');
    match bytes.get(start + escapes) {
        Some(quote @ (b'"' | b'\'')) => end_of_quoted(bytes, start + escapes + 1, *quote, escapes),
        Some(b'{' | b'[') => end_of_nested(bytes, start),
        _ => end_of_bare(bytes, start),
    }
}

/// Where a text in quotes is over. Within JSON text in JSON text, each quote has as many backslashes as the first.
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

/// Where what is opened has been closed as often.
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

/// Where a value without quotes is over. A comma within it does not part it from anything unless a name follows.
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
    fn known_values_are_hidden_in_every_spelling() {
        assert_eq!(text("a tok-123 b tok-123"), "a *** b ***");
        assert_eq!(text(r#"{"a":"s3cr\"t"}"#), r#"{"a":"***"}"#);
        assert_eq!(text("a=s3cr%22t&b=1"), "a=***&b=1");
        assert_eq!(Redactor::new(&["tok", "tok-long", ""]).values("tok-long tok").as_deref(), Some("*** ***"));
        assert_eq!(Redactor::new(&["\u{e9}cole"]).bytes(b"\xff \xc3\xa9cole"), b"\xff ***");
    }

    #[test]
    fn the_last_part_of_an_ingress_address_is_hidden() {
        for (address, hidden) in [
            ("https://gw.example/callbacks/acme/n0nce.m4c", "https://gw.example/callbacks/acme/***"),
            ("/callbacks/acme/n_-0.m4c= and more", "/callbacks/acme/*** and more"),
            (r"https:\/\/gw.example\/callbacks\/acme\/n.m", r"https:\/\/gw.example\/callbacks\/acme\/***"),
            ("cb=https%3A%2F%2Fgw%2Fcallbacks%2Facme%2Fn.m%3Fa", "cb=https%3A%2F%2Fgw%2Fcallbacks%2Facme%2F***%3Fa"),
            ("/callbacks/a/n.m?x=/callbacks/b/n.m", "/callbacks/a/***?x=/callbacks/b/***"),
        ] {
            assert_eq!(text(address), hidden);
        }
        for other in
            ["/callbacks/", "/callbacks/acme", "/callbacks/acme/", "/callbacks/acme/list", "callbacks callbacks"]
        {
            assert_eq!(text(other), other);
        }
    }

    #[test]
    fn what_follows_a_secrets_name_is_hidden() {
        for (given, hidden) in [
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
            assert_eq!(text(given), hidden);
        }
    }

    proptest! {
        #[test]
        fn nothing_known_survives_in_any_text(before in "\\PC{0,40}", after in "\\PC{0,40}") {
            let cleaned = text(&format!("{before}tok-123{after}"));
            prop_assert!(!cleaned.contains("tok-123"));
            let cleaned = text(&format!("{before} /callbacks/acme/aaaa.bbbb {after}"));
            prop_assert!(!cleaned.contains("aaaa.bbbb"));
        }

        #[test]
        fn any_text_ends(text in "[a-z{}\\[\\]=:,\"'\\\\& <>]{0,30}(pwd|token)[a-z{}\\[\\]=:,\"'\\\\& <>]{0,40}") {
            let redactor = Redactor::new(&["tok-123"]);
            let once = redactor.text(&text).unwrap_or(text);
            prop_assert!(!once.contains("tok-123"));
        }

        #[test]
        fn bytes_without_secrets_stay(bytes in proptest::collection::vec(128_u8.., 0..60)) {
            prop_assert_eq!(Redactor::new(&["tok-123"]).bytes(&bytes), bytes);
        }
    }
}
