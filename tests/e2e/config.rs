//! The configuration as an operator meets it: the example, every key, and any text at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    sync::LazyLock,
    time::Duration,
};

use proptest::prelude::*;
use secrecy::ExposeSecret;
use switchboard::config::{
    self, AgentStates, Config, ConfigErrors, HUAWEI_OPERATIONS, Huawei, TimestampUnit, Udesk, Vendor,
};

static EXAMPLE: LazyLock<String> = LazyLock::new(config::example);

/// The example's two centers with the keys that each needs.
const BARE: &str = r#"
    [centers.acme]
    vendor = "udesk"
    base_url = "https://acme.example.com"
    app_id = "app"
    sid = "sid"
    auth_token = "token"

    [centers.beta]
    vendor = "huawei"
    base_url = "https://beta.example.com"
    app_key = "key"
    app_secret = "secret"
"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, "gateway.toml", &|_| None)
}

/// Parses the example, or a text made from it, with a value for each variable and both files.
fn parse_example(text: &str) -> Result<Config, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("beta"), "from-the-file\n").unwrap();
    fs::write(folder.path().join("nats"), credentials()).unwrap();
    let text = text.replace("/run/secrets", folder.path().to_str().unwrap());
    Config::parse(&text, "gateway.toml", &|name| Some(format!("value-of-{name}")))
}

/// The content of a `.creds` file: any JWT, and the seed of a user's key, made of zeros: prefix, key and checksum in
/// Base32.
fn credentials() -> String {
    let mut seed = [0; 36];
    seed[0] = (18 << 3) | (20 << 3 >> 5);
    let checksum = seed[..34].iter().fold(0_u16, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ if crc >> 15 == 1 { 0x1021 } else { 0 })
    });
    seed[34..].copy_from_slice(&checksum.to_le_bytes());
    let bit = |place: usize| seed.get(place / 8).map_or(0, |byte| (byte >> (7 - place % 8)) & 1);
    let digit = |place: usize| (0..5).fold(0, |digit, offset| digit << 1 | bit(place * 5 + offset));
    let seed: String =
        (0..58).map(|place| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(digit(place))])).collect();
    format!(
        "-----BEGIN NATS USER JWT-----\neyJ0.e30.c2ln\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// The example with every commented-out table and key in force: a comment has a space after its `#`.
fn whole_example() -> String {
    let in_force = |line: &'static str| {
        let is_meant = |rest: &&str| rest.starts_with(|first: char| !first.is_whitespace());
        line.strip_prefix('#').filter(is_meant).unwrap_or(line)
    };
    EXAMPLE.lines().map(in_force).collect::<Vec<_>>().join("\n")
}

fn udesk(config: &Config) -> &Udesk {
    let Vendor::Udesk(udesk) = &config.centers["acme"].vendor else { panic!("acme is a Udesk center") };
    udesk
}

fn huawei(config: &Config) -> &Huawei {
    let Vendor::Huawei(huawei) = &config.centers["beta"].vendor else { panic!("beta is a Huawei center") };
    huawei
}

#[test]
fn the_generated_documents_are_current() {
    for (file, generated) in
        [("docs/gateway.example.toml", config::example()), ("docs/configuration.md", config::reference())]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let difference = difference(&committed, &generated);
        assert!(
            difference.is_empty(),
            "{file} differs from src/config. To rewrite it: UPDATE_DOCS=1 cargo test --test e2e generated_documents\n{difference}"
        );
    }
}

/// The lines between the first and the last that differ; empty if none does.
fn difference(committed: &str, generated: &str) -> String {
    let (mut old, mut new) = (committed.lines(), generated.lines());
    while old.clone().next() == new.clone().next() && old.next().is_some() {
        new.next();
    }
    while old.clone().next_back() == new.clone().next_back() && old.next_back().is_some() {
        new.next_back();
    }
    old.map(|line| format!("-{line}\n")).chain(new.map(|line| format!("+{line}\n"))).collect()
}

#[test]
fn the_example_is_valid() {
    let config = parse_example(&EXAMPLE).unwrap();
    assert_eq!(udesk(&config).auth_token.expose_secret(), "value-of-ACME_AUTH_TOKEN");
    let beta = huawei(&config);
    assert_eq!(beta.app_secret.expose_secret(), "from-the-file");
    assert_eq!(beta.token_base_url, config.centers["beta"].base_url);
    assert!(config.events.callback_key.is_none());
    assert!(beta.callback_secret.is_none());
    assert!(beta.paths.is_empty());
}

#[test]
fn the_example_is_valid_with_its_optional_keys() {
    let config = parse_example(&whole_example()).unwrap();
    let key = config.events.callback_key.as_ref().unwrap();
    assert_eq!(key.expose_secret(), "value-of-CALLBACK_KEY");
    let nats = config.nats.as_ref().unwrap();
    assert_eq!((nats.url.expose_secret(), nats.replicas), ("nats://127.0.0.1:4222", 1));
    assert_eq!(nats.credentials.as_ref().unwrap().expose_secret(), credentials());
    let beta = huawei(&config);
    assert_eq!(beta.token_base_url.as_str(), "https://service.besclouds.com:28070/");
    let secret = beta.callback_secret.as_ref().unwrap();
    assert_eq!(secret.expose_secret(), "value-of-BETA_CALLBACK_SECRET");
    assert_eq!(beta.paths["querySysInfo"], "/apiaccess/CC-Mangemant/v1/querySysInfo");
}

#[test]
fn the_example_shows_the_defaults() {
    let example = parse_example(&EXAMPLE).unwrap();
    let bare = parse(BARE).unwrap();
    assert_eq!(bare.listen, example.listen);
    assert_eq!(bare.deadline, example.deadline);
    assert_eq!(bare.storage, example.storage);
    assert_eq!(format!("{:?}", bare.events), format!("{:?}", example.events));
    let (center, example_center) = (&bare.centers["acme"], &example.centers["acme"]);
    assert_eq!(center.display_name, "acme");
    assert_eq!(center.limits, example_center.limits);
    assert_eq!(center.retry, example_center.retry);
    assert_eq!(center.breaker, example_center.breaker);
    assert_eq!(udesk(&bare).timestamp_unit, udesk(&example).timestamp_unit);
    assert_eq!(udesk(&bare).agent_states, udesk(&example).agent_states);
    assert_eq!(udesk(&bare).agent_states, AgentStates::default());
    assert_eq!(center.expose_credentials, example_center.expose_credentials);
    assert_eq!(center.allow_plaintext, example_center.allow_plaintext);
    assert_eq!(huawei(&bare).token_lifetime, huawei(&example).token_lifetime);
    assert_eq!(huawei(&bare).token_retry_on_403, huawei(&example).token_retry_on_403);
    assert!(!bare.centers["beta"].expose_credentials);
}

/// The error of a key that resembles no other lists the table's known keys.
#[test]
fn the_example_and_the_reader_know_the_same_keys() {
    const STRANGER: &str = "zzzzzzzzzzzzzzzz";
    let mut document: toml::Table = whole_example().parse().unwrap();
    let mut shown = BTreeMap::<String, BTreeSet<String>>::new();
    visit(&mut document, "", &mut |path, table| {
        shown.entry(kind(path)).or_default().extend(table.keys().cloned());
        table.insert(STRANGER.to_owned(), true.into());
    });
    // The example shows one operation.
    let operations = HUAWEI_OPERATIONS.iter().map(|&operation| operation.to_owned()).collect();
    shown.insert("centers.*.paths".to_owned(), operations);

    let errors = parse_example(&document.to_string()).unwrap_err();
    let mut known = BTreeMap::<String, BTreeSet<String>>::new();
    for error in &errors {
        let path = error.key.strip_suffix(STRANGER).unwrap().trim_end_matches('.');
        let keys = error.message.strip_prefix("unknown key; known keys: ").unwrap();
        known.entry(kind(path)).or_default().extend(keys.split(", ").map(str::to_owned));
    }
    assert_eq!(known, shown);
}

/// Each table of the configuration but `centers`, whose keys are ids; the tables of a secret are values.
fn visit(table: &mut toml::Table, path: &str, see: &mut dyn FnMut(&str, &mut toml::Table)) {
    for (key, value) in table.iter_mut() {
        if let toml::Value::Table(inner) = value
            && !inner.contains_key("env")
            && !inner.contains_key("file")
        {
            visit(inner, format!("{path}.{key}").trim_start_matches('.'), see);
        }
    }
    if path != "centers" {
        see(path, table);
    }
}

/// The tables of all centers are of the same kinds.
fn kind(path: &str) -> String {
    let mut parts: Vec<_> = path.split('.').collect();
    if let ["centers", id, ..] = parts.as_mut_slice() {
        *id = "*";
    }
    parts.join(".")
}

#[test]
fn every_key_of_the_gateway_is_read() {
    let text = r#"
        [listen]
        grpc = "0.0.0.0:1"
        http = "0.0.0.0:2"
        admin = "[::1]:3"
        allow_unauthenticated = true
        max_connections = 4
        max_streams_per_connection = 5
        max_request_size = "6KiB"
        drain_timeout = "7s"
        [deadline]
        default = "8s"
        max = "9s"
        [storage]
        path = "data/gateway.db"
        [events]
        callback_base_url = "https://gateway.example.com"
        callback_key = "key-of-16-bytes."
        retention = "10h"
        retention_size = "11MiB"
        duplicate_window = "12m"
        [nats]
        url = "nats://127.0.0.1:13,tls://127.0.0.1:14"
        replicas = 5
    "#;
    let Config { listen, deadline, storage, events, nats, centers: _ } = parse(&format!("{text}{BARE}")).unwrap();
    assert_eq!(listen.grpc.to_string(), "0.0.0.0:1");
    assert_eq!(listen.http.to_string(), "0.0.0.0:2");
    assert_eq!(listen.admin.to_string(), "[::1]:3");
    assert!(listen.allow_unauthenticated);
    assert_eq!(listen.max_connections, 4);
    assert_eq!(listen.max_streams_per_connection, 5);
    assert_eq!(listen.max_request_size, 6 << 10);
    assert_eq!(listen.drain_timeout, Duration::from_secs(7));
    assert_eq!(deadline.default, Duration::from_secs(8));
    assert_eq!(deadline.max, Duration::from_secs(9));
    assert_eq!(storage.path.to_str(), Some("data/gateway.db"));
    assert_eq!(events.callback_base_url.as_str(), "https://gateway.example.com/");
    assert_eq!(events.callback_key.unwrap().expose_secret(), "key-of-16-bytes.");
    assert_eq!(events.retention, Duration::from_hours(10));
    assert_eq!(events.retention_size, 11 << 20);
    assert_eq!(events.duplicate_window, Duration::from_mins(12));
    let nats = nats.unwrap();
    assert_eq!(nats.url.expose_secret(), "nats://127.0.0.1:13,tls://127.0.0.1:14");
    assert!(nats.credentials.is_none());
    assert_eq!(nats.replicas, 5);
}

#[test]
fn every_key_of_a_center_is_read() {
    let acme = r#"
        display_name = "Acme Inc."
        timestamp_unit = "s"
        agent_states = { offline = 6, not_ready = [7, "away"], ready = "8", busy = ["9", 10], wrap_up = ["acw"] }
        expose_credentials = true
        limits = { concurrency = 13, queue = 14, rate = 15, max_response_size = "16KiB", max_list_size = "16MiB" }
        retry = { attempts = 2, budget = 0.5 }
        breaker = { consecutive_failures = 17, min_penalty = "18s", max_penalty = "19s" }

        [centers.beta]"#;
    let beta = r#"
        token_base_url = "http://beta.example.com:28070"
        allow_plaintext = true
        token_lifetime = "20m"
        token_retry_on_403 = true
        expose_credentials = true
        callback_secret = "in-the-console-16"
        paths = { "agentsettings/query" = "/q" }
    "#;
    let config = parse(&format!("{}{beta}", BARE.replace("[centers.beta]", acme))).unwrap();
    let center = &config.centers["acme"];
    assert_eq!(center.display_name, "Acme Inc.");
    assert_eq!(center.base_url.as_str(), "https://acme.example.com/");
    assert_eq!(center.limits.concurrency, 13);
    assert_eq!(center.limits.queue, 14);
    assert_eq!(center.limits.rate, 15);
    assert_eq!(center.limits.max_response_size, 16 << 10);
    assert_eq!(center.limits.max_list_size, 16 << 20);
    assert_eq!(center.retry.attempts, 2);
    assert_eq!(center.retry.budget.to_bits(), 0.5_f64.to_bits());
    assert_eq!(center.breaker.consecutive_failures, 17);
    assert_eq!(center.breaker.min_penalty, Duration::from_secs(18));
    assert_eq!(center.breaker.max_penalty, Duration::from_secs(19));
    let udesk = udesk(&config);
    assert_eq!(udesk.app_id, "app");
    assert_eq!(udesk.sid, "sid");
    assert_eq!(udesk.auth_token.expose_secret(), "token");
    assert_eq!(udesk.timestamp_unit, TimestampUnit::Seconds);
    let codes = |codes: &[&str]| codes.iter().map(|&code| code.to_owned()).collect();
    let states = AgentStates {
        offline: codes(&["6"]),
        not_ready: codes(&["7", "away"]),
        ready: codes(&["8"]),
        busy: codes(&["9", "10"]),
        wrap_up: codes(&["acw"]),
    };
    assert_eq!(udesk.agent_states, states);
    assert!(center.expose_credentials);
    let huawei = huawei(&config);
    assert_eq!(huawei.token_base_url.as_str(), "http://beta.example.com:28070/");
    assert_eq!(huawei.app_key, "key");
    assert_eq!(huawei.app_secret.expose_secret(), "secret");
    assert_eq!(huawei.token_lifetime, Duration::from_mins(20));
    assert!(huawei.token_retry_on_403);
    assert!(config.centers["beta"].expose_credentials);
    assert_eq!(huawei.callback_secret.as_ref().unwrap().expose_secret(), "in-the-console-16");
    let path = ("agentsettings/query".to_owned(), "/q".to_owned());
    assert_eq!(huawei.paths, BTreeMap::from([path]));
}

/// A value pasted at the wrong key could be a secret: no error repeats it, and each has one line.
#[test]
fn a_wrong_value_is_never_repeated() {
    const PASTED: &str = "m4rk3r~s3cr3t";
    let example = whole_example();
    let mut refused = 0;
    for line in example.lines() {
        let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains('#')) else {
            continue;
        };
        let text = example.replace(line, &format!("{key} = \"{PASTED}\\n\\u2603\""));
        if let Err(errors) = parse_example(&text) {
            refused += 1;
            let shown = errors.to_string();
            assert!(!format!("{shown}{errors:?}").contains(PASTED), "{text}\n{shown}");
            assert_eq!(shown.lines().count(), errors.iter().count(), "{shown}");
        }
    }
    assert!(refused > 30, "only {refused} keys were refused");
}

proptest! {
    #[test]
    fn any_text_has_an_outcome(text in "(?s).*") {
        prop_assert!(parse(&text).is_err());
    }

    #[test]
    fn any_change_to_the_example_has_an_outcome(
        from in any::<prop::sample::Index>(),
        length in 0..40_usize,
        inserted in r#"[\[\]{}="'#.,a-c\\ \n0-9é-]{0,6}"#,
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        let from = from.index(text.len());
        let to = (from + length).min(text.len());
        text.splice(from..to, inserted.chars());
        if let Err(errors) = parse_example(&text.into_iter().collect::<String>()) {
            prop_assert!(errors.iter().count() > 0);
        }
    }
}
