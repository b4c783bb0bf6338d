//! Texts of a status, cut to its size.

use std::borrow::Cow;

use tonic::Status;

use super::MAX_FIELD_BYTES;

/// Truncates text to at most `bytes` at a character boundary.
pub(crate) fn truncate(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
}

/// Truncates text and marks that it did.
pub(super) fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        truncate(text, bytes - '\u{2026}'.len_utf8());
        text.push('\u{2026}');
    }
}

/// The path of a field as messages show it.
pub(super) fn shown(field: &str) -> Cow<'_, str> {
    if field.len() <= MAX_FIELD_BYTES {
        return Cow::Borrowed(field);
    }
    let mut field = field.to_owned();
    cut(&mut field, MAX_FIELD_BYTES);
    Cow::Owned(field)
}

/// The size of a status in headers: its message is percent-encoded, its details are in base64.
pub(super) fn header_bytes(status: &Status) -> usize {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
    let message: usize = status.message().bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum();
    message + status.details().len().div_ceil(3) * 4
}
