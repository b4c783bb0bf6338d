//! What a sender says about its body: `Content-Encoding` and `Content-Type`.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

/// What a labelled body begins with in the event log. No text begins so.
const MARK: &[u8] = b"\xff\xffbody\n";

/// Longest label, in bytes.
const MAX_LABEL_BYTES: usize = 128;

/// The labels of a body; empty when its sender names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// `Content-Encoding`.
    pub content_encoding: String,
    /// `Content-Type`.
    pub content_type: String,
    codings: Vec<String>,
    charset: String,
}

// === impl Labels ===

impl Labels {
    /// The labels in the headers of a message.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let value = |name: HeaderName| {
            let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
            values.collect::<Vec<_>>().join(", ")
        };
        Self::new(value(CONTENT_ENCODING), value(CONTENT_TYPE))
    }

    fn new(content_encoding: String, content_type: String) -> Self {
        let codings = content_encoding.split(',').map(|coding| coding.trim().to_ascii_lowercase());
        let codings = codings.filter(|coding| !matches!(coding.as_str(), "" | "identity")).collect();
        let charset = charset(&content_type).to_ascii_lowercase();
        Self { content_encoding, content_type, codings, charset }
    }

    /// The content codings in the order in which the sender applied them, in lower case.
    pub(super) fn codings(&self) -> &[String] {
        &self.codings
    }

    /// The charset, in lower case.
    pub(super) fn charset(&self) -> &str {
        &self.charset
    }
}

/// The charset of a `Content-Type`: a token or a quoted string (RFC 9110 8.3.1).
fn charset(content_type: &str) -> &str {
    let parameters = content_type.split([';', ',']).skip(1);
    let charset = parameters.filter_map(|parameter| parameter.split_once('=')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']).trim())
    });
    charset.unwrap_or_default()
}

/// A body that could not be decoded, with its labels, for the event log.
pub(crate) fn labelled(labels: &Labels, body: &[u8]) -> Bytes {
    let line = |label: &str| {
        // A tab is white space in a header.
        let spaced = label.bytes().map(|byte| if byte == b'\t' { b' ' } else { byte });
        let printable = spaced.filter(|byte| (b' '..=b'~').contains(byte));
        printable.take(MAX_LABEL_BYTES).chain([b'\n']).collect::<Vec<_>>()
    };
    [MARK, &line(&labels.content_encoding), &line(&labels.content_type), body].concat().into()
}

/// A body of the event log without its labels.
pub(crate) fn unlabelled(body: &[u8]) -> (Labels, &[u8]) {
    let parts = || {
        let mut parts = body.strip_prefix(MARK)?.splitn(3, |byte| *byte == b'\n');
        let mut label = || {
            let label = std::str::from_utf8(parts.next()?).ok()?;
            (label.len() <= MAX_LABEL_BYTES).then(|| label.to_owned())
        };
        let labels = Labels::new(label()?, label()?);
        Some((labels, parts.next()?))
    };
    parts().unwrap_or((Labels::default(), body))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn labels(content_encoding: &str, content_type: &str) -> Labels {
        Labels::new(content_encoding.to_owned(), content_type.to_owned())
    }

    #[test]
    fn labels_are_read_in_every_spelling() {
        for (content_type, charset) in [
            ("application/json", ""),
            ("application/json; charset=GBK", "gbk"),
            ("text/plain;a=b;CharSet = \"UTF-8\" ", "utf-8"),
            ("application/json;charset='gb2312'", "gb2312"),
            ("charset=utf-8", ""),
            ("application/json;charset", ""),
        ] {
            assert_eq!(labels("", content_type).charset(), charset, "{content_type}");
        }
        assert_eq!(labels(" , GZip,identity , Deflate", "").codings(), ["gzip", "deflate"]);
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("deflate"));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Labels::of(&headers).codings(), ["deflate", "gzip"]);
    }

    #[test]
    fn labels_stay_with_a_body() {
        let body = b"\xff\n\n";
        for (labels, expected) in [
            (labels("br", "text/plain; charset=x"), labels("br", "text/plain; charset=x")),
            (labels("a\nb\u{e9}", ""), labels("ab", "")),
            (labels("", "text/plain;\tcharset=x"), labels("", "text/plain; charset=x")),
            (labels(&"x".repeat(500), "t"), labels(&"x".repeat(128), "t")),
        ] {
            assert_eq!(unlabelled(&labelled(&labels, body)), (expected, &body[..]));
        }
        for other in [
            &b"{}"[..],
            b"\xff\xffbody\n",
            b"\xff\xffbody\nbr\ntext",
            &[b"\xff\xffbody\n", &[b'x'; 200][..], b"\n\n"].concat(),
        ] {
            assert_eq!(unlabelled(other), (Labels::default(), other));
        }
    }
}
