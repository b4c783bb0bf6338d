//! Targets over the readers of a body's bytes.

use std::{borrow::Cow, io::Write as _};

use bytes::Bytes;
use encoding_rs::GB18030;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

use crate::body::{self, Bound, Exact, Labels, Unreadable, charset, coding};

/// Cap of a decoded body.
const MAX: usize = 1 << 16;

/// A body in any content coding.
pub fn content_codings(body: &[u8]) {
    for codings in [&[][..], &["gzip"], &["deflate"], &["gzip", "deflate"], &["br"]] {
        let codings: Vec<String> = codings.iter().map(|coding| (*coding).to_owned()).collect();
        match coding::decode(&codings, body, MAX) {
            Ok(Cow::Borrowed(same)) => assert_eq!(same, body, "a body without a coding is the same"),
            Ok(Cow::Owned(decoded)) => assert!(decoded.len() <= MAX, "the cap bounds every body"),
            Err(Unreadable::TooLarge) => assert!(!codings.is_empty() || body.starts_with(b"\x1f\x8b")),
            Err(_) => {}
        }
    }
    if body.is_empty() || body.len() > MAX {
        return;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec does not fail.
    let encoded =
        [gzip.write_all(body).and_then(|()| gzip.finish()), zlib.write_all(body).and_then(|()| zlib.finish())];
    for (coding, encoded) in ["gzip", "deflate"].into_iter().zip(encoded) {
        let Ok(encoded) = encoded else { unreachable!("a Vec accepts all") };
        let codings = [coding.to_owned()];
        assert_eq!(coding::decode(&codings, &encoded, body.len()).as_deref(), Ok(body), "{coding} is removed");
        assert_eq!(coding::decode(&codings, &encoded, body.len() - 1), Err(Unreadable::TooLarge));
    }
}

/// A label, a line break, and a body in that charset.
pub fn charsets(input: &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (label, body) = (String::from_utf8_lossy(&input[..at]), input.get(at + 1..).unwrap_or_default());
    match charset::decode(&label, body, MAX) {
        Ok(Cow::Borrowed(part)) => assert!(body.ends_with(part), "all but a byte order mark"),
        Ok(Cow::Owned(text)) => assert!(text.len() <= MAX && std::str::from_utf8(&text).is_ok(), "text is UTF-8"),
        Err(_) => {}
    }
    if let Ok(text) = std::str::from_utf8(body) {
        // In a string of JSON, so that its first character is ASCII.
        let text = format!("[\"{text}");
        if text.len() <= MAX {
            let decoded = |label, body: &[u8]| charset::decode(label, body, MAX).map(Cow::into_owned);
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(decoded("", &utf16).as_deref(), Ok(text.as_bytes()));
            // Editions of GB 18030 differ in the characters for private use.
            if !text.contains(|character| matches!(character, '\u{e000}'..='\u{f8ff}')) {
                assert_eq!(decoded("gb18030", &GB18030.encode(&text).0).as_deref(), Ok(text.as_bytes()));
            }
        }
    }

    if let Ok(text) = std::str::from_utf8(body) {
        odd_byte(text);
    }

    let mut headers = HeaderMap::new();
    if let Ok(content_type) = HeaderValue::from_bytes(&[b"text/plain; charset=", &input[..at]].concat()) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    let labels = Labels::of(&headers);
    let kept = body::labelled(&labels, body);
    let (read, same) = body::unlabelled(&kept);
    let content_type = labels.content_type.replace('\t', " ");
    assert!(same == body && content_type.starts_with(&read.content_type), "a body keeps its labels");
    let _ = body::of_response(&headers, Bytes::copy_from_slice(body), Bound::Response(MAX));
}

/// A response in which one byte of a string is no text remains readable.
fn odd_byte(text: &str) {
    if text.contains(char::REPLACEMENT_CHARACTER) || text.len() > MAX / 8 {
        return;
    }
    let (before, after) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let json = |text: &str| Value::from(text).to_string();
    let (before, after) = (json(before), json(after));
    let body = [b"[", &before.as_bytes()[..before.len() - 1], b"\xff", &after.as_bytes()[1..], b"]"].concat();
    let read = body::of_response(&HeaderMap::new(), body.into(), Bound::Response(MAX));
    let Ok(read) = read else { unreachable!("one odd byte does not fail a response") };
    let expected = text.split_at(text.floor_char_boundary(text.len() / 2));
    let expected = Value::from(vec![format!("{}\u{fffd}{}", expected.0, expected.1)]);
    assert_eq!(serde_json::from_slice::<Value>(&read).ok(), Some(expected), "only that byte is replaced");
}

/// Text that may be JSON.
pub fn json_repairs(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    for exact in [Exact::Integer64, Exact::Double] {
        let repaired = body::repair(text, exact);
        assert!(repaired.text.len() <= 6 * text.len(), "a character becomes an escape at most");
        let again = body::repair(&repaired.text, exact);
        assert!(again.text == repaired.text && again.memory == repaired.memory, "a repaired text needs no repair");
        let Ok(before) = serde_json::from_str::<Value>(text) else { continue };
        let Ok(after) = serde_json::from_str::<Value>(&repaired.text) else { unreachable!("JSON remains JSON") };
        if matches!(repaired.text, Cow::Borrowed(_)) {
            assert_eq!(before, after);
        }
        assert!(values(&after) * size_of::<Value>() <= repaired.memory, "the estimate holds");
    }
}

/// How many values a value has, itself included.
fn values(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(values).sum::<usize>() + 1,
        Value::Object(members) => members.values().map(values).sum::<usize>() + 1,
        _ => 1,
    }
}
