//! `[centers.<id>]` and the tables below it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::measure::{POSITIVE, duration, size};
use super::origin::{ORIGIN, origin};
use super::table::Table;
use super::value::{MOST, boolean, fraction, name, whole};
use super::vendor::{misplaced, vendor};
use super::{Breaker, Center, Limits, Retry};

const CENTER_ID: &str = "expected a center id of 1 to 63 characters: lowercase letters, digits and hyphens, a letter \
                         first, no hyphen last";

pub(super) fn centers(mut table: Table<'_>) -> Option<BTreeMap<String, Center>> {
    let mut centers = Some(BTreeMap::new());
    for id in table.keys() {
        if !is_center_id(id) {
            table.refuse_key(id, CENTER_ID);
        }
        let center = table.table(id).and_then(|table| center(id, table));
        centers = centers.zip(center).map(|(mut centers, center)| {
            centers.insert(id.to_owned(), center);
            centers
        });
    }
    if centers.as_ref().is_some_and(BTreeMap::is_empty) {
        table.refuse_self("at least one center is needed: [centers.<id>]");
    }
    centers
}

fn center(id: &str, mut table: Table<'_>) -> Option<Center> {
    let display_name = table.or("display_name", id.to_owned(), name);
    let allow_plaintext = table.or("allow_plaintext", false, boolean);
    // Where `allow_plaintext` itself is in error, http is not refused on top of that.
    let accept_http = allow_plaintext.unwrap_or(true);
    let base_url = table.required("base_url", ORIGIN, origin(accept_http));
    let limits = table.table("limits").and_then(limits);
    let retry = table.table("retry").and_then(retry);
    let breaker = table.table("breaker").and_then(breaker);
    let expose_credentials = table.or("expose_credentials", false, boolean);
    let vendor = vendor(&mut table, base_url.as_ref(), accept_http, expose_credentials);
    table.finish_with(misplaced);
    allow_plaintext?;
    Some(Center {
        display_name: display_name?,
        base_url: base_url?,
        limits: limits?,
        retry: retry?,
        breaker: breaker?,
        vendor: vendor?,
    })
}

fn limits(mut table: Table<'_>) -> Option<Limits> {
    let concurrency = table.or("concurrency", 256, whole(1..=MOST as usize));
    let queue = table.or("queue", 4096, whole(0..=MOST as usize));
    let rate = table.or("rate", 0, whole(0..=MOST));
    let max_response_size = table.or("max_response_size", 8 << 20, size);
    table.finish();
    Some(Limits { concurrency: concurrency?, queue: queue?, rate: rate?, max_response_size: max_response_size? })
}

fn retry(mut table: Table<'_>) -> Option<Retry> {
    let attempts = table.or("attempts", 3, whole(1..=10));
    let budget = table.or("budget", 0.1, fraction);
    table.finish();
    Some(Retry { attempts: attempts?, budget: budget? })
}

fn breaker(mut table: Table<'_>) -> Option<Breaker> {
    let consecutive_failures = table.or("consecutive_failures", 7, whole(1..=MOST));
    let min_penalty = table.or("min_penalty", Duration::from_secs(1), duration(POSITIVE));
    let max_penalty = table.or("max_penalty", Duration::from_mins(1), duration(POSITIVE));
    table.in_order(("min_penalty", min_penalty), ("max_penalty", max_penalty));
    table.finish();
    Some(Breaker { consecutive_failures: consecutive_failures?, min_penalty: min_penalty?, max_penalty: max_penalty? })
}

/// `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`
fn is_center_id(id: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    id.len() <= 63
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && !id.ends_with('-')
        && id.bytes().all(is_inner)
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
    fn a_required_key_is_asked_for_with_what_it_takes() {
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
    fn plain_http_needs_the_operators_word() {
        let expected = "expected an https:// URL; http:// needs allow_plaintext = true";
        let text = ACME.replace("https://", "http://");
        refused(&text, "", &format!("acme.base_url: {expected}"));
        assert!(parse(&format!("{text}allow_plaintext = true")).is_ok());
        refused(BETA, "token_base_url = 'http://b.example'", &format!("beta.token_base_url: {expected}"));
        assert!(parse(&format!("{BETA}token_base_url = 'http://b.example'\nallow_plaintext = true")).is_ok());
        // Where the word itself is mistyped, that is the one error.
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
