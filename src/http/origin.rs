//! A vendor's address, to which each request adds its path and query.

use bytes::Bytes;
use http::{
    Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use url::Url;

use crate::error::{Error, Result};

/// Scheme, host and port of a vendor, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    scheme: Scheme,
    authority: Authority,
}

// === impl Origin ===

impl Origin {
    /// The origin of a URL.
    ///
    /// # Errors
    /// When the URL has no host.
    pub(crate) fn of(url: &Url) -> Result<Self> {
        match (url.scheme().parse(), url.authority().parse()) {
            (Ok(scheme), Ok(authority)) => Ok(Self { scheme, authority }),
            _ => Err(Error::internal("the address of a vendor is not an absolute URI")),
        }
    }

    /// The URI of a path and a query, which are percent-encoded.
    ///
    /// # Errors
    /// When they are not percent-encoded, or too long.
    pub(crate) fn uri(&self, path_and_query: impl Into<Bytes>) -> Result<Uri> {
        let build = || -> Result<Uri, http::Error> {
            let mut parts = Parts::default();
            parts.scheme = Some(self.scheme.clone());
            parts.authority = Some(self.authority.clone());
            parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path_and_query.into())?);
            Ok(Uri::from_parts(parts)?)
        };
        build().map_err(|_| Error::internal("the path and query of a vendor request are no URI"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_the_origin_and_the_path_and_query() {
        for (url, expected) in [
            ("https://acme.example.com", "https://acme.example.com/a%20b?c=%26+d"),
            ("https://ACME.example.com:443/", "https://acme.example.com/a%20b?c=%26+d"),
            ("http://[::1]:8080", "http://[::1]:8080/a%20b?c=%26+d"),
            ("https://müller.example", "https://xn--mller-kva.example/a%20b?c=%26+d"),
        ] {
            let origin = Origin::of(&Url::parse(url).unwrap()).unwrap();
            assert_eq!(origin.uri("/a%20b?c=%26+d").unwrap().to_string(), expected, "{url}");
        }
    }

    #[test]
    fn what_is_not_percent_encoded_is_no_uri() {
        let origin = Origin::of(&Url::parse("https://acme.example.com").unwrap()).unwrap();
        for wrong in ["/a b", "/a\u{7f}", "a", "/a?b c"] {
            assert!(origin.uri(wrong).is_err(), "{wrong:?}");
        }
        assert!(Origin::of(&Url::parse("data:,no-host").unwrap()).is_err());
    }
}
