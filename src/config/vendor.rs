//! The vendors, each with its own keys of `[centers.<id>]`.

use super::{
    huawei::Huawei,
    key::{Rule, Section, Shape, Variant},
    table::{Recorded, Table},
    udesk::Udesk,
    value::choice,
};

/// A center's vendor, and the keys that only this vendor has.
#[derive(Debug, Clone)]
pub enum Vendor {
    /// `vendor = "udesk"`.
    Udesk(Udesk),
    /// `vendor = "huawei"`.
    Huawei(Huawei),
}

type Read = fn(&mut Table<'_>) -> Result<Vendor, Recorded>;

/// One row per vendor: its name in the file, a center's id for the example, its table.
const VENDORS: &[(Variant, Read)] = &[
    (Variant::new::<Udesk>("udesk", "acme"), |table| Udesk::read(table).map(Vendor::Udesk)),
    (Variant::new::<Huawei>("huawei", "beta"), |table| Huawei::read(table).map(Vendor::Huawei)),
];

// === impl Vendor ===

impl Vendor {
    /// The key `vendor`, and that vendor's keys beside it.
    pub(super) fn rule() -> Rule<Self> {
        Rule { shape: Shape::Variants(VENDORS.iter().map(|(vendor, _)| vendor).collect()), read: Box::new(read) }
    }
}

fn read(table: &mut Table<'_>, name: &'static str) -> Result<Vendor, Recorded> {
    let choices = VENDORS.iter().map(|row| (row.0.name, row)).collect();
    let chosen = choice(choices).require(table, name);
    for (vendor, _) in VENDORS {
        let keys = (vendor.keys)().into_iter().map(|key| key.name);
        match chosen {
            Ok(_) => table.belong_to(&format!("{name} = \"{}\"", vendor.name), keys),
            Err(Recorded) => table.know(keys),
        }
    }
    let (_, read) = chosen?;
    read(table)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{VENDORS, Variant};
    use crate::config::{
        tests::{ACME, BETA, parse, refusal},
        value::one_of,
    };

    #[test]
    fn the_other_vendors_keys_are_named_as_such() {
        let huawei = r#"unknown key: it belongs to vendor = "huawei""#;
        refused(ACME, "app_secret = 'x'", &format!("acme.app_secret: {huawei}"));
        refused(ACME, "paths = {}", &format!("acme.paths: {huawei}"));
        refused(BETA, "sid = 'x'", r#"beta.sid: unknown key: it belongs to vendor = "udesk""#);
        refused(ACME, "base_urll = 'x'", "acme.base_urll: unknown key; did you mean `base_url`?");
    }

    /// The error of a key that resembles no other lists the known keys.
    #[test]
    fn the_list_of_vendor_keys_is_what_the_readers_ask_for() {
        let known = |vendor: &Variant| -> BTreeSet<String> {
            let refusal = refusal(&format!("[centers.a]\nvendor = '{}'\nzzzzzzzzzzzzzzzz = 1", vendor.name));
            let (_, keys) = refusal.split_once("unknown key; known keys: ").unwrap();
            keys.lines().next().unwrap().split(", ").map(str::to_owned).collect()
        };
        let own =
            |vendor: &Variant| -> BTreeSet<String> { (vendor.keys)().iter().map(|key| key.name.to_owned()).collect() };
        for (vendor, _) in VENDORS {
            for (other, _) in VENDORS {
                assert_eq!(&known(vendor) - &known(other), &own(vendor) - &own(other));
            }
        }
    }

    #[test]
    fn an_unknown_vendor_does_not_make_its_keys_unknown() {
        let names = one_of(&VENDORS.iter().map(|(vendor, _)| vendor.name).collect::<Vec<_>>());
        let text = ACME.replace("\"udesk\"", "\"udsk\"");
        let expected = format!("gateway.toml: centers.acme.vendor: expected {names}; did you mean \"udesk\"?");
        assert_eq!(refusal(&text), expected);
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
    fn a_code_has_one_agent_state() {
        let expected =
            "a code, or a list of distinct codes: whole numbers, or strings of 1 to 32 printable ASCII characters";
        for bad in ["true", "[[1]]", "''", "['a b']", "[5, '5']", "'\u{e9}'"] {
            let refusal = refusal(&format!("{ACME}[centers.acme.agent_states]\nbusy = {bad}"));
            assert!(
                refusal.starts_with(&format!("gateway.toml: centers.acme.agent_states.busy: expected {expected}")),
                "{refusal}"
            );
        }
        let shared = |lines: &str| refusal(&format!("{ACME}[centers.acme.agent_states]\n{lines}"));
        let refusal = "gateway.toml: centers.acme.agent_states.busy: expected other codes than those of";
        assert_eq!(shared("busy = [3, 1]"), format!("{refusal} `not_ready`"));
        assert_eq!(shared("busy = 3\nready = [2, '3']"), format!("{refusal} `ready`"));
        assert!(parse(&format!("{ACME}[centers.acme.agent_states]\nready = [1]\nnot_ready = []")).is_ok());
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
             query, a fragment, \"//\", \"/./\" or \"/../\"",
        );
    }

    #[track_caller]
    fn refused(center: &str, line: &str, expected: &str) {
        assert_eq!(refusal(&format!("{center}{line}")), format!("gateway.toml: centers.{expected}"));
    }
}
