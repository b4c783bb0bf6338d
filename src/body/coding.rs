//! Content codings (RFC 9110 8.4): gzip and deflate.

use std::{borrow::Cow, io::Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::{Unreadable, is_json};

/// Most codings of one body. Nobody applies two, and each costs a pass.
const MAX_CODINGS: usize = 3;

/// What a gzip member begins with. No text begins so.
const GZIP_MAGIC: &[u8] = b"\x1f\x8b\x08";

/// The body without its content codings, which `codings` names in the order in which the sender applied them. The
/// result has at most `max` bytes. gzip is also recognized where the sender does not name it.
pub fn decode<'a>(codings: &[String], body: &'a [u8], max: usize) -> Result<Cow<'a, [u8]>, Unreadable> {
    // Also the body of a response to which a proxy added the header.
    if body.is_empty() {
        return Ok(Cow::Borrowed(body));
    }
    if codings.len() > MAX_CODINGS {
        return Err(Unreadable::UnknownCoding);
    }
    let mut decoded = Cow::Borrowed(body);
    for coding in codings.iter().rev() {
        let next = match coding.as_str() {
            "gzip" | "x-gzip" => gunzip(&decoded, max),
            "deflate" => inflate(&decoded, max),
            _ => Err(Unreadable::UnknownCoding),
        };
        match next {
            Ok(next) => decoded = Cow::Owned(next),
            // Some proxies decompress a body and leave the header.
            Err(Unreadable::UnknownCoding | Unreadable::Corrupt) if is_plain(&decoded) => {}
            Err(error) => return Err(error),
        }
    }
    if codings.is_empty() && decoded.starts_with(GZIP_MAGIC) {
        decoded = Cow::Owned(gunzip(&decoded, max)?);
    }
    Ok(decoded)
}

/// Whether a body is the JSON of an object or a list: no encoded body begins and ends so.
fn is_plain(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    is_json(body) && matches!(body.trim_ascii_end().last(), Some(b'}' | b']'))
}

fn gunzip(body: &[u8], max: usize) -> Result<Vec<u8>, Unreadable> {
    read(MultiGzDecoder::new(body), max)
}

/// The zlib format (RFC 1950), or the bare one (RFC 1951) that some servers send instead.
fn inflate(body: &[u8], max: usize) -> Result<Vec<u8>, Unreadable> {
    match read(ZlibDecoder::new(body), max) {
        // The bare format has no check, and almost any bytes begin a stream.
        Err(Unreadable::Corrupt) if is_plain(body) => Err(Unreadable::Corrupt),
        Err(Unreadable::Corrupt) => read(DeflateDecoder::new(body), max),
        result => result,
    }
}

/// Reads up to `max` bytes, and one more to tell whether there are more.
fn read(source: impl Read, max: usize) -> Result<Vec<u8>, Unreadable> {
    let mut decoded = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    match source.take(limit).read_to_end(&mut decoded) {
        Ok(_) if decoded.len() > max => Err(Unreadable::TooLarge),
        Ok(_) => Ok(decoded),
        Err(_) => Err(Unreadable::Corrupt),
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    fn encode<W: std::io::Write>(mut encoder: W, body: &[u8], finish: fn(W) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
        encoder.write_all(body).unwrap();
        finish(encoder).unwrap()
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        encode(GzEncoder::new(Vec::new(), Compression::default()), body, GzEncoder::finish)
    }

    fn decoded(codings: &[&str], body: &[u8], max: usize) -> Result<Vec<u8>, Unreadable> {
        let codings: Vec<String> = codings.iter().map(|coding| (*coding).to_owned()).collect();
        decode(&codings, body, max).map(Cow::into_owned)
    }

    #[test]
    fn a_bomb_is_decoded_up_to_the_cap_only() {
        // 1 MiB per KiB of gzip, in two layers: 1 GiB.
        let bomb = gzip(&gzip(&vec![b'0'; 64 << 20]));
        assert!(bomb.len() < 2000, "{}", bomb.len());
        assert_eq!(decoded(&["gzip", "gzip"], &bomb, 1 << 20), Err(Unreadable::TooLarge));
        let zeros = gzip(&[b'0'; 1000]);
        assert_eq!(decoded(&["gzip"], &zeros, 999), Err(Unreadable::TooLarge));
        assert_eq!(decoded(&["gzip"], &zeros, 1000).map(|body| body.len()), Ok(1000));
        let members = gzip(b"").repeat(10_000);
        assert_eq!(decoded(&["gzip"], &members, 10), Ok(Vec::new()), "members without content");
    }

    #[test]
    fn a_coding_that_is_not_there_is_an_error_unless_the_body_is_json() {
        for (codings, body, expected) in [
            (&["gzip"][..], &b"hello"[..], Err(Unreadable::Corrupt)),
            (&["deflate"], b"hello", Err(Unreadable::Corrupt)),
            (&["br"], b"hello", Err(Unreadable::UnknownCoding)),
            (&["gzip"; 4], b"", Ok(&b""[..])),
            (&["gzip"; 4], b"{}", Err(Unreadable::UnknownCoding)),
            (&["deflate"], b"\xef\xbb\xbf {}", Ok(b"\xef\xbb\xbf {}")),
            (&["deflate"], b"[1,2]", Ok(b"[1,2]")),
            (&[], b"\x1f\x8b\x07", Ok(b"\x1f\x8b\x07")),
            (&[], b"\x1f\x8b\x08", Err(Unreadable::Corrupt)),
        ] {
            assert_eq!(decoded(codings, body, 100), expected.map(<[u8]>::to_vec), "{codings:?} {body:?}");
        }
    }

    proptest! {
        #[test]
        fn every_coding_is_removed(body in proptest::collection::vec(any::<u8>(), 1..300)) {
            let zlib = encode(ZlibEncoder::new(Vec::new(), Compression::default()), &body, ZlibEncoder::finish);
            let bare = encode(DeflateEncoder::new(Vec::new(), Compression::default()), &body, DeflateEncoder::finish);
            for (coding, encoded) in [("gzip", gzip(&body)), ("deflate", zlib), ("deflate", bare)] {
                prop_assert_eq!(decoded(&[coding], &encoded, 300), Ok(body.clone()));
            }
        }
    }
}
