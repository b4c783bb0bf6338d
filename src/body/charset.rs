//! Charsets (RFC 9110 8.3.2), by their labels in the WHATWG Encoding Standard.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{Unreadable, into_bytes};

/// The text of a body in UTF-8, without a byte order mark. `label` is the charset of `Content-Type`; empty when it
/// names none.
///
/// A byte order mark decides before the label. A body without either is UTF-8, or the UTF-16 that its first character
/// shows (RFC 4627 3). A body without a label that is no text remains as it is.
pub(crate) fn decode<'a>(label: &str, body: &'a [u8], max: usize) -> Result<Cow<'a, [u8]>, Unreadable> {
    let encoding = match Encoding::for_bom(body) {
        // The byte order mark of UTF-32, which begins with that of UTF-16.
        Some(_) if body.starts_with(b"\xff\xfe\0\0") => return Err(Unreadable::Charset),
        Some((encoding, length)) if encoding == UTF_8 => return Ok(Cow::Borrowed(&body[length..])),
        Some((encoding, _)) => encoding,
        None => match of_label(label).map(|encoding| of_first_character(encoding, body)) {
            Some(encoding) if encoding == UTF_8 => return Ok(Cow::Borrowed(body)),
            // The default of many servers, regardless of what they send: valid UTF-8 is not Latin-1.
            Some(encoding) if encoding == WINDOWS_1252 && is_utf8(body) => return Ok(Cow::Borrowed(body)),
            Some(encoding) => encoding,
            None if is_utf8(body) => return Ok(Cow::Borrowed(body)),
            None => return Err(Unreadable::Charset),
        },
    };
    match encoding.decode_with_bom_removal(body) {
        (text, _) if text.len() > max => Err(Unreadable::TooLarge),
        (text, is_malformed) if !is_malformed || has_only_truncated_characters(&text) => Ok(into_bytes(text)),
        _ if is_utf8(body) => Ok(Cow::Borrowed(body)),
        _ => Err(Unreadable::Charset),
    }
}

/// The text of bytes of which some are malformed, with U+FFFD in their place: in UTF-8 or in the charset of the label
/// or the byte order mark, whichever leaves fewer. No other charset is guessed: that would turn names into other names.
pub(crate) fn with_replacements(label: &str, body: &[u8]) -> String {
    let (marked, body) = match Encoding::for_bom(body) {
        Some((encoding, length)) => (Some(encoding), &body[length..]),
        None => (of_label(label), body),
    };
    let marked = marked.filter(|encoding| *encoding != UTF_8);
    let marked = marked.map(|encoding| encoding.decode_without_bom_handling(body).0);
    let texts = marked.into_iter().chain([String::from_utf8_lossy(body)]);
    let best = texts.min_by_key(|text| text.matches(char::REPLACEMENT_CHARACTER).count());
    best.map(Cow::into_owned).unwrap_or_default()
}

/// Whether every replacement character is the last one of a string in JSON, or in JSON within a string.
fn has_only_truncated_characters(text: &str) -> bool {
    text.match_indices(char::REPLACEMENT_CHARACTER)
        .all(|(at, replacement)| text[at + replacement.len()..].starts_with(['"', '\\']))
}

fn is_utf8(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok()
}

/// The encoding of a label; UTF-8 where there is none.
fn of_label(label: &str) -> Option<&'static Encoding> {
    if label.is_empty() { Some(UTF_8) } else { Encoding::for_label(label.as_bytes()) }
}

/// UTF-16 for a JSON text that is labelled as UTF-8 or not at all: its first character is ASCII, so one of its bytes is
/// zero.
fn of_first_character(encoding: &'static Encoding, body: &[u8]) -> &'static Encoding {
    match body {
        [b'{' | b'[' | b'"', 0, ..] if encoding == UTF_8 => UTF_16LE,
        [0, b'{' | b'[' | b'"', ..] if encoding == UTF_8 => UTF_16BE,
        _ => encoding,
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::GB18030;
    use proptest::prelude::*;

    use super::*;

    fn decoded(label: &str, body: &[u8]) -> Result<Vec<u8>, Unreadable> {
        decode(label, body, 1000).map(Cow::into_owned)
    }

    #[test]
    fn a_text_is_decoded_or_refused_and_never_guessed() {
        for (label, body, expected) in [
            ("gbk", &b"{\"a\":\"\xc0\xee\"}"[..], Ok("{\"a\":\"\u{674e}\"}")),
            // The sender truncated the second character.
            ("gbk", b"{\"a\":\"\xc0\xee\xcb\"}", Ok("{\"a\":\"\u{674e}\u{fffd}\"}")),
            ("gbk", b"\xff\xff", Err(Unreadable::Charset)),
            ("big5", "\u{ff}\u{674e}".as_bytes(), Ok("\u{ff}\u{674e}")),
            ("latin1", b"Jos\xe9", Ok("Jos\u{e9}")),
            ("latin1", "Jos\u{e9}".as_bytes(), Ok("Jos\u{e9}")),
            ("nonsense", b"\xe9", Err(Unreadable::Charset)),
            ("nonsense", b"text", Ok("text")),
            ("", b"\xef\xbb\xbftext", Ok("text")),
            ("", b"\xff\xfea\0", Ok("a")),
            ("gbk", b"\xfe\xff\0a", Ok("a")),
            ("", b"\0[\0]", Ok("[]")),
            ("", b"\xff\xfe\0\0a\0\0\0", Err(Unreadable::Charset)),
            ("", b"", Ok("")),
        ] {
            assert_eq!(decoded(label, body), expected.map(|text| text.as_bytes().to_vec()), "{label} {body:?}");
        }
        assert_eq!(decoded("", b"\xc0\xee"), Ok(b"\xc0\xee".to_vec()), "bytes without a label");
        assert_eq!(decode("utf-16le", b"a\0b\0", 1), Err(Unreadable::TooLarge));
    }

    #[test]
    fn malformed_bytes_are_replaced_and_another_charset_is_not_guessed() {
        for (label, body, expected) in [
            ("", &b"{\"a\":\"\xe6\x9d\"}"[..], "{\"a\":\"\u{fffd}\"}"),
            ("", b"{\"a\":\"{\\\"b\\\":\\\"\xe6\\\"}\"}", "{\"a\":\"{\\\"b\\\":\\\"\u{fffd}\\\"}\"}"),
            ("", b"{\"a\":\"\xe6x\"}", "{\"a\":\"\u{fffd}x\"}"),
            ("", b"\xef\xbb\xbf{\"a\":\"\xe6x\"}", "{\"a\":\"\u{fffd}x\"}"),
            ("utf-8", b"Jos\xe9, Zo\xeb", "Jos\u{fffd}, Zo\u{fffd}"),
            ("", "\u{674e}\u{56db}?".as_bytes(), "\u{674e}\u{56db}?"),
            ("", b"\xe6\x9d\x8e\xff\xff", "\u{674e}\u{fffd}\u{fffd}"),
            // Half a surrogate pair in UTF-8, and a text in another charset.
            ("", b"a\xed\xa0\xbdb", "a\u{fffd}\u{fffd}\u{fffd}b"),
            ("nonsense", b"\xc0\xee\xcb\xc4", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("gbk", b"\xc0\xee\xff\xcb\xc4", "\u{674e}\u{fffd}\u{56db}"),
            // UTF-8 under another label.
            ("gbk", b"\xe6\x9d\x8e\xff\xe5\x9b\x9b!", "\u{674e}\u{fffd}\u{56db}!"),
            // Half a surrogate pair in UTF-16.
            ("", b"\xfe\xff\0a\xd8\x3d\0b", "a\u{fffd}b"),
        ] {
            assert_eq!(with_replacements(label, body), expected, "{label} {body:?}");
        }
    }

    proptest! {
        // Without the characters for private use: editions of GB 18030 differ in them, so that they do not come back.
        #[test]
        fn every_text_survives_its_charset(text in "[^\u{feff}\u{e000}-\u{f8ff}]{0,60}") {
            let text = format!("{{{text}");
            prop_assert_eq!(decoded("gb18030", &GB18030.encode(&text).0), Ok(text.clone().into_bytes()));
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            prop_assert_eq!(decoded("", &units), Ok(text.into_bytes()));
        }
    }
}
