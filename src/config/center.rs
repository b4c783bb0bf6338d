//! `[centers.<id>]` and the tables below it.

use std::{collections::BTreeMap, time::Duration};

use url::Url;

use super::{
    key::{Key, Rule, Section, Shape, table},
    measure::{POSITIVE, duration, size},
    origin::origin,
    table::{Recorded, Table},
    value::{MOST, boolean, fraction, name, whole},
    vendor::Vendor,
};
use crate::name::is_center_id;

const CENTER_ID: &str = "expected a center id of 1 to 63 characters: lowercase letters, digits and hyphens, a letter \
                         first, no hyphen last";

table! {
    /// One tenant of one vendor. The id is a DNS label in lowercase that begins with a letter.
    #[derive(Debug, Clone)]
    pub struct Center {
        /// The tenant's vendor.
        vendor: Vendor = Vendor::rule();
        /// The name that callers see.
        display_name: String = name().or("the id", |table| Some(table.name().to_owned()), "Acme");
        /// Scheme and host of the vendor's API. The gateway adds the path.
        base_url: Url = origin().required("https://<id>.example.com");
        /// Accept `http://` URLs: the vendor's credentials then travel in clear.
        allow_plaintext: bool = boolean().default(false);
        /// `AccessSoftphoneCredentials` returns passwords. Otherwise the gateway refuses it with `ACCESS_DENIED`.
        expose_credentials: bool = boolean().default(false);
        /// `[centers.<id>.limits]`.
        limits: Limits = Limits::rule();
        /// `[centers.<id>.retry]`.
        retry: Retry = Retry::rule();
        /// `[centers.<id>.breaker]`.
        breaker: Breaker = Breaker::rule();
    }
}

table! {
    /// Limits of the requests to the vendor.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Limits {
        /// Requests in flight.
        concurrency: usize = whole(1..=MOST).default(256);
        /// Calls that wait for a permit. The next one fails at once with `CENTER_OVERLOADED`.
        queue: usize = whole(0..=MOST).default(4096);
        /// Requests a second; 0 is no limit.
        rate: u32 = whole(0..=MOST).default(0);
        /// The largest response body that the gateway reads.
        max_response_size: usize = size().default("8MiB");
        /// The largest response body that the gateway reads of an operation that returns a whole list; at least
        /// `max_response_size`.
        max_list_size: usize = size().default("64MiB");
    }
}

table! {
    /// Retries of requests that are safe to send again.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Retry {
        /// How many times the gateway sends one request at most, retries included.
        attempts: u32 = whole(1..=10).default(3);
        /// Retries as a share of the calls; one retry a second is free.
        budget: f64 = fraction().default(0.1);
    }
}

table! {
    /// The circuit breaker of each family of operations. While it is open, calls fail at once and nothing is sent.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Breaker {
        /// Failures in a row that open it.
        consecutive_failures: u32 = whole(1..=MOST).default(7);
        /// How long it stays open at first: a random time between half of this and all of it. At most `max_penalty`.
        min_penalty: Duration = duration(POSITIVE).default("1s");
        /// How long it stays open at most: each failed probe doubles the time.
        max_penalty: Duration = duration(POSITIVE).default("60s");
    }
    check |table| {
        table.in_order(("min_penalty", min_penalty), ("max_penalty", max_penalty));
    }
}

/// `[centers]`, whose keys are ids.
pub(super) fn centers() -> Rule<BTreeMap<String, Center>> {
    let center = Key { name: "<id>", doc: "", shape: Center::rule().shape };
    Rule {
        shape: Shape::Table { about: "", keys: vec![center], is_optional: false },
        read: Box::new(|table, name| table.nested(name, read_centers)),
    }
}

fn read_centers(table: &mut Table<'_>) -> Result<BTreeMap<String, Center>, Recorded> {
    let mut centers = Vec::new();
    for id in table.keys() {
        if !is_center_id(id) {
            table.refuse_key(id, CENTER_ID);
        }
        centers.push(table.nested(id, Center::read).map(|center| (id.to_owned(), center)));
    }
    if centers.is_empty() {
        return Err(table.refuse_self("at least one center is needed: [centers.<id>]"));
    }
    centers.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{ACME, BETA, parse, refusal};

    #[test]
    fn at_least_one_center_is_needed() {
        let expected = "gateway.toml: centers: at least one center is needed: [centers.<id>]";
        assert_eq!(refusal(""), expected);
        assert_eq!(refusal("[centers]"), expected);
    }

    #[test]
    fn a_center_id_is_a_dns_label() {
        let longest = format!("a{}z", "0-".repeat(30) + "0");
        assert_eq!(longest.len(), 63);
        for id in ["a", "acme", "acme-2", &longest] {
            assert!(parse(&ACME.replace("acme]", &format!("{id}]"))).is_ok(), "{id}");
        }
        for id in ["2acme", "-acme", "acme-", "Acme", "ac_me", "'ac me'", "''", &format!("{longest}z")] {
            let refusal = refusal(&ACME.replace("acme]", &format!("{id}]")));
            assert!(refusal.contains(": expected a center id of 1 to 63 characters"), "{refusal}");
            assert_eq!(refusal.lines().count(), 1);
        }
    }

    #[test]
    fn a_missing_key_is_refused_with_what_it_accepts() {
        for (center, id, keys) in [
            (ACME, "acme", ["vendor", "base_url", "app_id", "sid", "auth_token"].as_slice()),
            (BETA, "beta", &["vendor", "base_url", "app_key", "app_secret"]),
        ] {
            for key in keys {
                let line = center.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
                let refusal = refusal(&center.replace(line, ""));
                let expected = format!("gateway.toml: centers.{id}.{key}: missing: expected ");
                assert!(refusal.starts_with(&expected), "{refusal}");
                assert_eq!(refusal.lines().count(), 1, "{refusal}");
            }
        }
    }

    #[test]
    fn plain_http_requires_allow_plaintext() {
        let expected = "expected an https:// URL; http:// needs allow_plaintext = true";
        let text = ACME.replace("https://", "http://");
        refused(&text, "", &format!("acme.base_url: {expected}"));
        assert!(parse(&format!("{text}allow_plaintext = true")).is_ok());
        refused(BETA, "token_base_url = 'http://b.example'", &format!("beta.token_base_url: {expected}"));
        assert!(parse(&format!("{BETA}token_base_url = 'http://b.example'\nallow_plaintext = true")).is_ok());
        // Where `allow_plaintext` is itself in error, that is the one error.
        refused(&text, "allow_plaintext = 'yes'", "acme.allow_plaintext: expected true or false, found a string");
    }

    #[test]
    fn limits_have_their_ranges() {
        let counts = "expected a whole number from 1 to 1000000";
        refused(ACME, "limits.concurrency = 0", &format!("acme.limits.concurrency: {counts}"));
        refused(ACME, "breaker.consecutive_failures = 0", &format!("acme.breaker.consecutive_failures: {counts}"));
        refused(ACME, "retry.attempts = 0", "acme.retry.attempts: expected a whole number from 1 to 10");
        refused(ACME, "retry.attempts = 11", "acme.retry.attempts: expected a whole number from 1 to 10");
        refused(ACME, "retry.budget = 1.5", "acme.retry.budget: expected a number from 0 to 1");
        refused(
            ACME,
            "breaker.min_penalty = '2m'",
            "acme.breaker.min_penalty: expected a duration that is at most `max_penalty`",
        );
        assert!(parse(&format!("{ACME}limits = {{ queue = 0, rate = 0 }}")).is_ok());
    }

    #[track_caller]
    fn refused(center: &str, line: &str, expected: &str) {
        assert_eq!(refusal(&format!("{center}{line}")), format!("gateway.toml: centers.{expected}"));
    }
}
