//! What a valid configuration leaves open to others.

use std::fmt;

use url::{Host, Url};

use super::Config;

/// A key whose value is valid and dangerous. Its text repeats no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// The key's dotted path.
    pub key: &'static str,
    /// The danger, and how to avoid it.
    pub message: &'static str,
}

impl Config {
    /// The dangers of this configuration.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if !self.listen.admin.ip().to_canonical().is_loopback() {
            warnings.push(Warning {
                key: "listen.admin",
                message: "not a loopback address: metrics and probes are served to everyone who reaches it; keep it off \
                          public networks",
            });
        }
        let base = &self.events.callback_base_url;
        if base.scheme() == "http" && !is_loopback(base) {
            warnings.push(Warning {
                key: "events.callback_base_url",
                message: "an http:// URL: callback addresses, which are secrets, and the events of customers travel in \
                          clear; use an https:// URL and a proxy that terminates TLS",
            });
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{ACME, parse};

    #[test]
    fn a_valid_and_dangerous_value_is_warned_of() {
        let keys = |text: &str| -> Vec<&str> {
            parse(&format!("{text}\n{ACME}")).unwrap().warnings().iter().map(|warning| warning.key).collect()
        };
        assert!(keys("").is_empty());
        for address in ["0.0.0.0:9090", "[::]:9090", "192.0.2.7:9090"] {
            assert_eq!(keys(&format!("[listen]\nadmin = '{address}'")), ["listen.admin"], "{address}");
        }
        for address in ["127.8.9.10:9090", "[::1]:9090", "[::ffff:127.0.0.1]:9090"] {
            assert!(keys(&format!("[listen]\nadmin = '{address}'")).is_empty(), "{address}");
        }
        for url in ["http://gateway.example.com", "http://192.0.2.7:8080/gw", "http://notlocalhost"] {
            assert_eq!(keys(&format!("[events]\ncallback_base_url = '{url}'")), ["events.callback_base_url"], "{url}");
        }
        for url in ["https://gateway.example.com", "http://127.0.0.1:8080", "http://[::1]:1", "http://a.localhost."] {
            assert!(keys(&format!("[events]\ncallback_base_url = '{url}'")).is_empty(), "{url}");
        }
    }
}
