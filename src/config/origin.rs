//! Addresses of vendors and of the gateway, and paths below them.

use toml::de::DeValue;
use url::Url;

use super::{
    key::Kind,
    table::Parsed,
    value::{string, text},
};

/// Completes "expected ..." for a vendor's address.
const ORIGIN: &str = r#"an https:// URL of scheme and host such as "https://acme.example.com""#;

const URL: &str = r#"a URL such as "https://gateway.example.com""#;

/// Completes "expected ..." for a path below a vendor's host.
pub(super) const URL_PATH: &str =
    r#"an absolute path such as "/apiaccess/v1/query", without a query, a fragment, "//", "/./" or "/../""#;

/// A vendor's address: scheme and host, with `http` only if `allow_plaintext` is set in the same table.
pub(super) fn origin() -> Kind<Url> {
    Kind::new(ORIGIN, |table, value| {
        let url = absolute(string(value, ORIGIN)?, ORIGIN)?;
        if url.path() != "/" {
            return Err("expected scheme and host alone, without a path".to_owned());
        }
        // Where `allow_plaintext` is itself in error, that is the one error.
        let is_https_only = matches!(table.peek("allow_plaintext"), None | Some(DeValue::Boolean(false)));
        if url.scheme() == "http" && is_https_only {
            return Err("expected an https:// URL; http:// needs allow_plaintext = true".to_owned());
        }
        Ok(url)
    })
}

/// The base of other addresses. Its path ends with `/`, so that [`Url::join`] appends to it.
pub(super) fn base_url() -> Kind<Url> {
    Kind::new(URL, |_, value| {
        let mut url = absolute(string(value, URL)?, URL)?;
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(url)
    })
}

/// A path below a vendor's host. "//" is refused because what follows it at the start would be another host.
pub(super) fn url_path() -> Kind<String> {
    text(URL_PATH, |text| {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\".contains(&byte);
        let is_path = text.starts_with('/') && !text.contains("//") && text.bytes().all(is_plain);
        (is_path && is_literal(text)).then(|| text.to_owned())
    })
}

/// Whether every client and server reads a path as it stands: no segment is `.` or `..`, whose removal leads elsewhere,
/// also percent-encoded, and each `%` begins an octet that is not itself a separator or a control character.
fn is_literal(path: &str) -> bool {
    let are_octets_plain = path.split('%').skip(1).all(|part| {
        let octet = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let octet = octet.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        octet.is_some_and(|octet| !octet.is_ascii_control() && !b"/\\".contains(&octet))
    });
    let decoded = path.replace("%2e", ".").replace("%2E", ".");
    are_octets_plain && !decoded.split('/').any(|segment| segment == "." || segment == "..")
}

/// `Url::parse` repairs much that is no URL (spaces, backslashes, missing or extra slashes): here those are errors.
fn absolute(text: &str, expected: &str) -> Parsed<Url> {
    let is_odd = |character: char| character.is_whitespace() || character.is_control() || character == '\\';
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).filter(|authority| !authority.is_empty());
    let (Some(authority), false, Ok(url)) = (authority, text.contains(is_odd), Url::parse(text)) else {
        return Err(format!("expected {expected}"));
    };
    // The path as it was written: `Url::parse` has removed the segments that lead elsewhere.
    let path = rest.and_then(|rest| rest.strip_prefix(authority)).and_then(|path| path.split(['?', '#']).next());
    if path.is_some_and(|path| path.contains("//") || !is_literal(path)) {
        return Err(r#"expected a URL whose path has no "//", "/./" or "/../", also percent-encoded"#.to_owned());
    }
    if authority.contains('@') {
        return Err("expected a URL without user information".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected a URL without a query or a fragment".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{read_key, read_text};

    #[test]
    fn an_origin_is_scheme_and_host_alone() {
        let parse =
            |value: &str| read_key(&origin(), &format!("key = {}\nallow_plaintext = true", toml::Value::from(value)));
        assert_eq!(parse("https://acme.example.com").unwrap().as_str(), "https://acme.example.com/");
        assert_eq!(parse("http://[::1]:8080/").unwrap().as_str(), "http://[::1]:8080/");
        for (wrong, message) in [
            ("https://acme.example.com/ccapi", "expected scheme and host alone, without a path"),
            ("https://acme.example.com?a=b", "expected a URL without a query or a fragment"),
            ("https://acme.example.com#", "expected a URL without a query or a fragment"),
            ("https://me:secret@acme.example.com", "expected a URL without user information"),
            ("https://@acme.example.com", "expected a URL without user information"),
        ] {
            assert_eq!(parse(wrong).unwrap_err(), message, "{wrong}");
        }
        let repaired =
            ["https:acme", "https:///acme", "https:\\\\acme", "https://ac me", " https://acme", "https://a\tb"];
        let no_url = ["", "acme.example.com", "/path", "ftp://acme.example.com", "https://", "https://a:99999"];
        for path in ["/..", "/.", "/a/../..", "//", "/%2e%2E/"] {
            let message = r#"expected a URL whose path has no "//", "/./" or "/../", also percent-encoded"#;
            let wrong = format!("https://acme.example.com{path}");
            assert_eq!(parse(&wrong).unwrap_err(), message, "{wrong}");
            assert_eq!(read_text(&base_url(), &wrong).unwrap_err(), message, "{wrong}");
        }
        for wrong in repaired.into_iter().chain(no_url) {
            assert_eq!(parse(wrong).unwrap_err(), format!("expected {ORIGIN}"), "{wrong:?}");
        }
    }

    #[test]
    fn a_base_url_may_have_a_path_and_can_be_joined() {
        let parse = |value| read_text(&base_url(), value).unwrap();
        assert_eq!(parse("http://127.0.0.1:8080").as_str(), "http://127.0.0.1:8080/");
        assert_eq!(
            parse("https://a.example/gw").join("callbacks/x").unwrap().as_str(),
            "https://a.example/gw/callbacks/x"
        );
    }

    #[test]
    fn a_path_is_absolute_and_cannot_name_a_host() {
        assert_eq!(read_text(&url_path(), "/a/b%20c"), Ok("/a/b%20c".to_owned()));
        for right in ["/a/b.c", "/...", "/.well-known/..a", "/a%2Db", "/a/%2e%2e%2e", "/%E4%BD%A0"] {
            assert_eq!(read_text(&url_path(), right), Ok(right.to_owned()));
        }
        for wrong in [
            "",
            "a",
            "//host/a",
            "/a//b",
            "/a?b",
            "/a#b",
            "/a b",
            "/\\host",
            "/../x",
            "/a/./b",
            "/a/..",
            "/.",
            "/a/%2e%2E/b",
            "/.%2e",
            "/%2e",
            "/a%2fb",
            "/a%5Cb",
            "/a%0d",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%+1",
        ] {
            assert!(read_text(&url_path(), wrong).is_err(), "{wrong:?}");
        }
    }
}
