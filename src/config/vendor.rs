//! The keys of `[centers.<id>]` that belong to one vendor.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::measure::duration;
use super::origin::{origin, url_path};
use super::secret::{SECRET, path_segment, secret};
use super::table::Table;
use super::value::{IDENTIFIER, boolean, choice, identifier, one_of, some};
use super::{HUAWEI_OPERATIONS, Huawei, TimestampUnit, Udesk, Vendor};

/// Whose keys a center has.
#[derive(Clone, Copy)]
enum VendorName {
    Udesk,
    Huawei,
}

/// Each vendor by its name in the file, and the keys that it has and the others may not have.
const VENDORS: [(&str, VendorName, &[&str]); 2] = [
    ("udesk", VendorName::Udesk, &["app_id", "auth_token", "sid", "timestamp_unit"]),
    (
        "huawei",
        VendorName::Huawei,
        &[
            "app_key",
            "app_secret",
            "callback_secret",
            "paths",
            "token_base_url",
            "token_lifetime",
            "token_retry_on_403",
        ],
    ),
];

/// Reads `vendor` and that vendor's keys. What all centers have comes from the caller.
pub(super) fn vendor(
    table: &mut Table<'_>,
    base_url: Option<&Url>,
    accept_http: bool,
    expose_credentials: Option<bool>,
) -> Option<Vendor> {
    let names = VENDORS.map(|(name, vendor, _)| (name, vendor));
    let expected = one_of(&VENDORS.map(|(name, ..)| name));
    match table.required("vendor", &expected, choice(&names)) {
        Some(VendorName::Udesk) => udesk(table, expose_credentials).map(Vendor::Udesk),
        Some(VendorName::Huawei) => huawei(table, base_url, accept_http, expose_credentials).map(Vendor::Huawei),
        None => {
            table.know(VENDORS.iter().flat_map(|(_, _, keys)| keys.iter().copied()));
            None
        }
    }
}

/// The message for a key of another vendor.
pub(super) fn misplaced(key: &str) -> Option<String> {
    let (owner, ..) = VENDORS.iter().find(|(_, _, keys)| keys.contains(&key))?;
    Some(format!("unknown key: it belongs to vendor = \"{owner}\""))
}

fn udesk(table: &mut Table<'_>, expose_credentials: Option<bool>) -> Option<Udesk> {
    let units = [("ms", TimestampUnit::Milliseconds), ("s", TimestampUnit::Seconds)];
    let app_id = table.required("app_id", IDENTIFIER, identifier);
    let sid = table.required("sid", IDENTIFIER, identifier);
    let auth_token = table.required("auth_token", SECRET, secret(table.document()));
    let timestamp_unit = table.or("timestamp_unit", TimestampUnit::Milliseconds, choice(&units));
    Some(Udesk {
        app_id: app_id?,
        sid: sid?,
        auth_token: auth_token?,
        timestamp_unit: timestamp_unit?,
        expose_credentials: expose_credentials?,
    })
}

fn huawei(
    table: &mut Table<'_>,
    base_url: Option<&Url>,
    accept_http: bool,
    expose_credentials: Option<bool>,
) -> Option<Huawei> {
    let token_base_url = table.or("token_base_url", None, some(origin(accept_http)));
    let app_key = table.required("app_key", IDENTIFIER, identifier);
    let app_secret = table.required("app_secret", SECRET, secret(table.document()));
    let token_lifetime = table.or("token_lifetime", Duration::from_hours(1), |value| {
        let lifetime = duration(Duration::from_secs(1)..=Duration::from_hours(1))(value)?;
        if lifetime.subsec_millis() > 0 { Err("expected whole seconds".to_owned()) } else { Ok(lifetime) }
    });
    let token_retry_on_403 = table.or("token_retry_on_403", false, boolean);
    let callback_secret = table.or("callback_secret", None, some(path_segment(table.document())));
    let paths = table.table("paths").and_then(paths);
    Some(Huawei {
        token_base_url: token_base_url?.or_else(|| base_url.cloned())?,
        app_key: app_key?,
        app_secret: app_secret?,
        token_lifetime: token_lifetime?,
        token_retry_on_403: token_retry_on_403?,
        expose_credentials: expose_credentials?,
        callback_secret: callback_secret?,
        paths: paths?,
    })
}

fn paths(mut table: Table<'_>) -> Option<BTreeMap<String, String>> {
    let read: Vec<_> = HUAWEI_OPERATIONS
        .iter()
        .map(|operation| Some((*operation, table.or(operation, None, some(url_path))?)))
        .collect();
    table.finish();
    let paths: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    Some(paths.into_iter().filter_map(|(operation, path)| Some((operation.to_owned(), path?))).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::VENDORS;
    use crate::config::tests::{ACME, BETA, parse, refusal};

    #[test]
    fn the_other_vendors_keys_are_named_as_such() {
        let huawei = r#"unknown key: it belongs to vendor = "huawei""#;
        refused(ACME, "app_secret = 'x'", &format!("acme.app_secret: {huawei}"));
        refused(ACME, "paths = {}", &format!("acme.paths: {huawei}"));
        refused(BETA, "sid = 'x'", r#"beta.sid: unknown key: it belongs to vendor = "udesk""#);
        refused(ACME, "base_urll = 'x'", "acme.base_urll: unknown key; did you mean `base_url`?");
    }

    /// A key that is near to none makes a center say which keys it knows.
    #[test]
    fn the_list_of_vendor_keys_is_what_the_readers_ask_for() {
        let known = |center: &str| -> BTreeSet<String> {
            let refusal = refusal(&format!("{center}zzzzzzzzzzzzzzzz = 1"));
            let (_, keys) = refusal.split_once("unknown key; known keys: ").unwrap();
            keys.split(", ").map(str::to_owned).collect()
        };
        let (acme, beta) = (known(ACME), known(BETA));
        for (owner, _, keys) in VENDORS {
            let own = if owner == "udesk" { &acme - &beta } else { &beta - &acme };
            assert_eq!(own, keys.iter().map(|&key| key.to_owned()).collect());
        }
    }

    #[test]
    fn an_unknown_vendor_does_not_make_its_keys_unknown() {
        let expected = r#"vendor: expected "udesk" or "huawei"; did you mean "udesk"?"#;
        let text = ACME.replace("\"udesk\"", "\"udsk\"");
        assert_eq!(refusal(&text), format!("gateway.toml: centers.acme.{expected}"));
    }

    #[test]
    fn a_token_lives_whole_seconds_up_to_an_hour() {
        let range = r#"beta.token_lifetime: expected a duration from "1s" to "1h""#;
        refused(BETA, "token_lifetime = '3601s'", range);
        refused(BETA, "token_lifetime = '999ms'", range);
        refused(BETA, "token_lifetime = '1500ms'", "beta.token_lifetime: expected whole seconds");
        assert!(parse(&format!("{BETA}token_lifetime = '1s'")).is_ok());
    }

    #[test]
    fn the_timestamp_unit_is_one_of_two() {
        let expected = r#"acme.timestamp_unit: expected "ms" or "s"; did you mean "ms"?"#;
        refused(ACME, "timestamp_unit = 'us'", expected);
    }

    #[test]
    fn a_path_belongs_to_a_known_operation() {
        refused(
            BETA,
            "paths.'agentsettings/qury' = '/q'",
            r#"beta.paths."agentsettings/qury": unknown key; did you mean `agentsettings/query`?"#,
        );
        refused(
            BETA,
            "paths.'skill/querySkills' = 'v1'",
            "beta.paths.\"skill/querySkills\": expected an absolute path such as \"/apiaccess/v1/query\", without a \
             query, a fragment or \"//\"",
        );
    }

    #[track_caller]
    fn refused(center: &str, line: &str, expected: &str) {
        assert_eq!(refusal(&format!("{center}{line}")), format!("gateway.toml: centers.{expected}"));
    }
}
