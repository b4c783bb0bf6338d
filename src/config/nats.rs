//! `[nats]`: the store that several gateways share.

use secrecy::SecretString;
use url::Url;

use super::{
    key::{Kind, table},
    secret::{file, read},
    value::whole,
};

/// JetStream replicates a stream to at most this many servers.
const MOST_REPLICAS: i64 = 5;

table! {
    /// NATS JetStream, 2.11 or newer, in which several gateways share events, outcomes of `request_id`s and
    /// subscription IDs. Without this table the gateway keeps them in `storage.path`.
    #[derive(Debug, Clone)]
    pub struct Nats {
        /// The servers of one cluster, separated by commas. A URL may hold a user and a password, or a token.
        url: SecretString = servers().required("nats://127.0.0.1:4222");
        /// The content of a `.creds` file.
        credentials: Option<SecretString> = credentials().optional("none", file("/run/secrets/nats"));
        /// How many servers store each stream.
        replicas: usize = whole(1..=MOST_REPLICAS).default(1);
    }
}

/// The servers of one cluster. A secret: user and password, or a token, may be part of a URL.
fn servers() -> Kind<SecretString> {
    const URL: &str = r#"a URL such as "nats://127.0.0.1:4222", or several of one cluster, separated by commas"#;
    Kind::new(URL, |table, value| {
        let text = read(table.document(), value)?;
        if !text.split(',').all(is_server) {
            return Err(format!("expected {URL}"));
        }
        let mut logins: Vec<&str> = text.split(',').filter_map(login).collect();
        logins.dedup();
        match logins.len() {
            0 | 1 => Ok(text.into()),
            _ => Err("expected the same user and password, or token, in every URL".to_owned()),
        }
    })
}

/// The part of a URL before its host.
fn login(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("//")?;
    Some(rest.rsplit_once('@')?.0)
}

/// Scheme and host, and optionally a user, a password and a port.
fn is_server(text: &str) -> bool {
    let rest = text.strip_prefix("nats://").or_else(|| text.strip_prefix("tls://"));
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control() && character != '\\';
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && rest.chars().all(is_plain)) else {
        return false;
    };
    let url = Url::parse(text).ok();
    let is_whole = |url: Url| {
        let host = url.host_str().is_some_and(|host| !host.is_empty());
        host && matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none()
    };
    !rest.starts_with('/') && url.is_some_and(is_whole)
}

/// What `nsc` writes for a user: a JWT and the seed that signs.
fn credentials() -> Kind<SecretString> {
    const CREDENTIALS: &str = "the content of a .creds file: a user's JWT and the seed of its key";
    Kind::new(CREDENTIALS, |table, value| {
        // A file's last line break is no part of a secret, but it is part of this format.
        let text = read(table.document(), value)? + "\n";
        match async_nats::ConnectOptions::with_credentials(&text) {
            Ok(_) => Ok(text.into()),
            Err(_) => Err(format!("expected {CREDENTIALS}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use crate::config::tests::{ACME, parse, refusal};

    const KEY: &str = "[events]\ncallback_key = 'key-of-all-gateways'\n";

    #[test]
    fn a_url_is_enough() {
        let config = parse(&format!("{KEY}[nats]\nurl = 'nats://127.0.0.1:4222'\n{ACME}")).unwrap();
        let nats = config.nats.unwrap();
        assert_eq!((nats.url.expose_secret(), nats.replicas), ("nats://127.0.0.1:4222", 1));
        assert!(nats.credentials.is_none());
        assert!(parse(ACME).unwrap().nats.is_none());
    }

    #[test]
    fn a_url_names_servers_and_nothing_else() {
        for url in [
            "nats://a",
            "tls://a:4222",
            "nats://me:pass@a:4222",
            "nats://t0ken@a",
            "nats://a:1,nats://[::1]:2,tls://c/",
            "nats://me:pass@a,nats://me:pass@b",
            "nats://me:pass@a,nats://b",
        ] {
            assert!(parse(&format!("{KEY}[nats]\nurl = '{url}'\n{ACME}")).is_ok(), "{url}");
        }
        for url in [
            "a:4222",
            "nats:a",
            "nats://",
            "nats:///a",
            "http://a",
            "ws://a",
            "nats://a/b",
            "nats://a?b",
            "nats://a#b",
            "nats://a b",
            "nats://a,",
            "nats://a,b",
            "nats://me:pass@",
            "nats://a:99999",
        ] {
            let expected = "nats.url: expected a URL such as \"nats://127.0.0.1:4222\", or several of one cluster, \
                            separated by commas";
            refused(&format!("{KEY}[nats]\nurl = '{url}'"), expected);
        }
        for url in ["nats://me:one@a,nats://me:two@b", "nats://t0ken@a,nats://b,nats://me:pass@c"] {
            let expected = "nats.url: expected the same user and password, or token, in every URL";
            refused(&format!("{KEY}[nats]\nurl = '{url}'"), expected);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let missing = "nats.url: missing: expected a URL such as \"nats://127.0.0.1:4222\", or several of one \
                       cluster, separated by commas";
        refused(&format!("{KEY}[nats]"), missing);
        let replicas = "nats.replicas: expected a whole number from 1 to 5";
        for wrong in ["0", "6"] {
            refused(&format!("{KEY}[nats]\nurl = 'nats://a'\nreplicas = {wrong}"), replicas);
        }
        let credentials =
            "nats.credentials: expected the content of a .creds file: a user's JWT and the seed of its key";
        refused(&format!("{KEY}[nats]\nurl = 'nats://a'\ncredentials = 'x'"), credentials);
    }

    #[test]
    fn gateways_that_share_a_store_share_the_key_of_callback_addresses() {
        let expected = "events.callback_key: missing: expected a secret: a string, { env = \"NAME\" } or { file = \
                        \"PATH\" }; gateways that share [nats] need the same one";
        refused("[nats]\nurl = 'nats://a'", expected);
    }

    #[test]
    fn a_password_is_never_printed() {
        let marker = "m4rk3r";
        let config = parse(&format!("{KEY}[nats]\nurl = 'nats://me:{marker}@a'\n{ACME}")).unwrap();
        let mut printed = format!("{config:?} {config:#?}");
        for (key, value) in [
            ("url", format!("'http://me:{marker}@a'")),
            ("url", format!("'nats://me:{marker}@a b'")),
            ("url", format!("'nats://me:{marker}@a,b'")),
            ("url", format!("['nats://me:{marker}@a']")),
            ("url", format!("'nats://{marker}@a,nats://me:{marker}@b'")),
            ("credentials", format!("'{marker}'")),
        ] {
            printed += &refusal(&format!("{KEY}[nats]\n{key} = {value}\n{ACME}"));
        }
        assert!(!printed.contains(marker), "{printed}");
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        assert_eq!(refusal(&format!("{text}\n{ACME}")), format!("gateway.toml: {expected}"));
    }
}
