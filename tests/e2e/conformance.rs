//! The conformance table: one row per vendor operation and document example.
//!
//! A row is a line here and an example in `tests/conformance`: a request of the contract, what the vendor must be
//! asked, field by field, what the vendor's document returns, and the contract's response. Each row runs twice: against
//! the recorded responses, and against the vendor's simulator: playing the document's tenant, or one of its own with a
//! quirk.

mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::PathBuf,
};

use axum::Router;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use switchboard_simulators::{huawei, udesk};

pub(crate) use self::rows::ROWS;
use crate::support::{
    APP_KEY, APP_SECRET, AUTH_TOKEN, Gateway, SID,
    vendor::{Asked, Response, Scripted, huawei_options, serve_router, udesk_options},
    vendors::VENDORS,
};

/// What the table needs to know of a vendor.
struct Play {
    vendor: &'static str,
    /// What the vendor returns before the first exchange, and how it must be asked for it.
    first: fn() -> Vec<Response>,
    check_first: fn(&Asked),
    /// Checks the credentials in a request, and removes from its query what no two requests share.
    check_credentials: fn(&mut Asked),
    /// The simulator of the document's tenant, or of its own with these quirks.
    simulate: fn(Option<&[String]>) -> Router,
    /// Method and path of every operation, by the vendor's page in `docs`. `{id}` stands for a number.
    documented: fn() -> BTreeSet<String>,
}

const PLAYS: &[Play] = &[
    Play {
        vendor: "udesk",
        first: Vec::new,
        check_first: |_| {},
        check_credentials: check_signature,
        simulate: udesk_tenant,
        documented: udesk_operations,
    },
    Play {
        vendor: "huawei",
        first: || vec![Response::token()],
        check_first: check_token,
        check_credentials: |asked| {
            assert_eq!(asked.headers["authorization"], "Bearer token-of-the-tests");
            assert_eq!(asked.headers["x-app-key"], APP_KEY);
        },
        simulate: huawei_tenant,
        documented: huawei_operations,
    },
];

/// An example, as its file holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    /// Where it is from.
    #[serde(rename = "source")]
    _source: String,
    pub method: String,
    pub request: Value,
    pub exchanges: Vec<Exchange>,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
    /// Why the simulator cannot give the same response, where it cannot.
    #[serde(default)]
    not_simulated: Option<String>,
    /// The simulator's own tenant, where the document's is not the one.
    #[serde(default)]
    simulated: Option<Seeded>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seeded {
    quirks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    asked: ExpectedAsk,
    /// Null is no body at all.
    pub response: Value,
    #[serde(default = "ok")]
    status: u16,
}

fn ok() -> u16 {
    200
}

/// What the vendor must be asked. `"(uuid)"` stands for a fresh UUID.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedAsk {
    method: String,
    path: String,
    /// Without what the signature adds, which is checked apart.
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    content_type: Option<String>,
    /// JSON; absent where the request has none.
    #[serde(default)]
    body: Option<Value>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

pub(crate) fn example(vendor: &str, name: &str) -> Example {
    let path = folder().join(vendor).join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The outcome of a call in the form of the examples.
async fn outcome(gateway: &Gateway, example: &Example) -> Value {
    match gateway.client.call(&example.method, example.request.clone()).await {
        Ok(response) => json!({"result": response}),
        Err(failure) => json!({"error": {
            "code": format!("{:?}", failure.code), "reason": failure.reason, "fields": failure.fields,
            "vendor_code": failure.metadata.get("vendorCode"),
        }}),
    }
}

fn expected(example: &Example) -> Value {
    match (&example.result, &example.error) {
        (Some(result), None) => json!({"result": result}),
        (None, Some(error)) => json!({"error": error}),
        _ => panic!("an example has a result or an error"),
    }
}

#[test]
fn every_example_is_a_row() {
    let rows: BTreeSet<String> = ROWS.iter().map(|(vendor, name)| format!("{vendor}/{name}.json")).collect();
    assert_eq!(rows.len(), ROWS.len(), "no row is there twice");
    let mut files = BTreeSet::new();
    for vendor in fs::read_dir(folder()).unwrap() {
        let vendor = vendor.unwrap().file_name().into_string().unwrap();
        for file in fs::read_dir(folder().join(&vendor)).unwrap() {
            files.insert(format!("{vendor}/{}", file.unwrap().file_name().into_string().unwrap()));
        }
    }
    assert_eq!(rows, files);
}

/// A gateway before a vendor that gives an example's recorded responses.
pub(crate) async fn recorded(vendor: &str, example: &Example) -> (Gateway, Scripted) {
    let script = example.exchanges.iter().map(|exchange| match &exchange.response {
        Value::Null => Response::text(exchange.status, ""),
        response => Response::status(exchange.status, response),
    });
    let scripted = Scripted::start((play(vendor).first)().into_iter().chain(script)).await;
    (before(vendor, scripted.address).await, scripted)
}

/// A gateway before the simulator of an example's tenant; `None` where the simulator cannot give the same response.
pub(crate) async fn simulated(vendor: &str, example: &Example) -> Option<Gateway> {
    if example.not_simulated.is_some() {
        return None;
    }
    let quirks = example.simulated.as_ref().map(|simulated| simulated.quirks.as_slice());
    Some(before(vendor, serve_router((play(vendor).simulate)(quirks)).await).await)
}

/// A gateway before a vendor at this address.
async fn before(vendor: &str, address: SocketAddr) -> Gateway {
    let vendor = VENDORS.iter().find(|known| known.name == vendor).unwrap_or_else(|| panic!("no vendor {vendor}"));
    Gateway::start(&(vendor.config)(vendor.center, address)).await
}

fn play(vendor: &str) -> &'static Play {
    PLAYS.iter().find(|play| play.vendor == vendor).unwrap_or_else(|| panic!("nothing plays {vendor}"))
}

#[tokio::test]
async fn each_row_against_the_recorded_responses() {
    for (vendor, name) in ROWS {
        let example = example(vendor, name);
        let (gateway, scripted) = recorded(vendor, &example).await;

        assert_eq!(outcome(&gateway, &example).await, expected(&example), "{vendor}/{name}");

        let mut asked = scripted.asked();
        let first = asked.drain(..(play(vendor).first)().len()).collect::<Vec<_>>();
        first.iter().for_each(play(vendor).check_first);
        assert_eq!(asked.len(), example.exchanges.len(), "{vendor}/{name}: {asked:?}");
        for (asked, exchange) in asked.into_iter().zip(&example.exchanges) {
            check(vendor, name, asked, &exchange.asked);
        }
    }
}

#[tokio::test]
async fn each_row_against_the_simulator() {
    for (vendor, name) in ROWS {
        let example = example(vendor, name);
        if let Some(gateway) = simulated(vendor, &example).await {
            assert_eq!(outcome(&gateway, &example).await, expected(&example), "{vendor}/{name}");
        }
    }
}

/// The document's tenant, or one of the simulator's own with these quirks.
fn udesk_tenant(quirks: Option<&[String]>) -> Router {
    let options = match quirks {
        None => udesk::Options { tenant: udesk::Tenant::Document, ..udesk_options() },
        Some(quirks) => {
            let quirks = quirks.iter().map(|name| name.parse::<udesk::Quirk>().unwrap());
            udesk::Options { quirks: quirks.collect(), ..udesk_options() }
        }
    };
    udesk::Simulator::new(options).router()
}

/// The same for Huawei.
fn huawei_tenant(quirks: Option<&[String]>) -> Router {
    let options = match quirks {
        None => huawei::Options { tenant: huawei::Tenant::Document, ..huawei_options() },
        Some(quirks) => huawei::Options { quirks: quirks.join(",").parse().unwrap(), ..huawei_options() },
    };
    huawei::Simulator::new(options).router()
}

#[test]
fn every_quirk_of_the_simulator_has_a_row() {
    let played: BTreeSet<String> = ROWS
        .iter()
        .filter_map(|(vendor, name)| example(vendor, name).simulated)
        .flat_map(|simulated| simulated.quirks)
        .collect();
    let missing: Vec<_> = udesk::Quirk::ALL.iter().filter(|quirk| !played.contains(quirk.name())).collect();
    // Five agents in full are no example to read: the adapter's own tests play it.
    assert_eq!(missing, [&udesk::Quirk::Pages]);
}

/// Every documented operation has a row that asks it, and no row asks another.
#[test]
fn every_operation_has_a_row() {
    for play in PLAYS {
        let mut asked = BTreeSet::new();
        for (vendor, name) in ROWS.iter().filter(|(vendor, _)| *vendor == play.vendor) {
            for Exchange { asked: ExpectedAsk { method, path, .. }, .. } in example(vendor, name).exchanges {
                let is_number = |step: &str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
                let steps = path.split('/').map(|step| if is_number(step) { "{id}" } else { step });
                asked.insert(format!("{method} {}", steps.collect::<Vec<_>>().join("/")));
            }
        }
        assert_eq!(asked, (play.documented)(), "{}", play.vendor);
    }
}

fn page(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// From headings such as `### 05 PUT /agents/{id}`.
fn udesk_operations() -> BTreeSet<String> {
    let heading = Regex::new(r"(?m)^### \d\d (\S+) (\S+)$").unwrap();
    let number = Regex::new(r"\{\w+\}").unwrap();
    let operation =
        |found: regex::Captures<'_>| format!("{} /ccapi/v2{}", &found[1], number.replace(&found[2], "{id}"));
    heading.captures_iter(&page("udesk.md")).map(operation).collect()
}

/// From rows such as `` | `POST R/skill/createSkill`, `modifySkill` | ``, but for the token, which every call needs.
fn huawei_operations() -> BTreeSet<String> {
    let mut operations = BTreeSet::new();
    for row in page("huawei.md").lines().filter(|line| line.starts_with("| `POST ") || line.starts_with("| `GET ")) {
        let mut last = String::new();
        for name in row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2) {
            last = match (name.split_once(' '), last.rsplit_once('/')) {
                (Some((method, path)), _) => {
                    let path = path.replacen("M/", "/apiaccess/CC-Management/v1/", usize::from(path.starts_with('M')));
                    let path =
                        path.replacen("R/", "/apiaccess/rest/cc-management/v1/", usize::from(path.starts_with('R')));
                    format!("{method} {path}")
                }
                (None, Some((family, _))) => format!("{family}/{name}"),
                (None, None) => panic!("{name} is of no family"),
            };
            operations.insert(last.clone());
        }
    }
    assert!(operations.remove("POST /apigovernance/api/oauth/tokenByAkSk"), "{operations:?}");
    operations
}

/// Compares a request with what it must be. Nothing may be there that is not expected.
fn check(vendor: &str, name: &str, mut asked: Asked, expected: &ExpectedAsk) {
    let place = format!("{vendor}/{name}");
    assert_eq!((&asked.method, &asked.path), (&expected.method, &expected.path), "{place}");
    (play(vendor).check_credentials)(&mut asked);
    for (key, value) in &expected.query {
        if value == "(uuid)" {
            let given = asked.query.get_mut(key).unwrap_or_else(|| panic!("{place}: no {key}"));
            assert!(uuid::Uuid::try_parse(given).is_ok(), "{place}: {key} is {given}");
            given.clone_from(value);
        }
    }
    assert_eq!(asked.query, expected.query, "{place}");
    assert_eq!(asked.headers["accept"], "application/json", "{place}");
    assert_eq!(asked.headers.get("content-type"), expected.content_type.as_ref(), "{place}");
    let body = (!asked.body.is_empty()).then(|| serde_json::from_str::<Value>(&asked.body).unwrap());
    assert_eq!(body, expected.body, "{place}");
}

/// `Sign = SHA1(Sid + AuthToken + Timestamp)` in lower-case hex, over milliseconds.
fn check_signature(Asked { query, .. }: &mut Asked) {
    let timestamp = query.remove("Timestamp").unwrap();
    assert!(timestamp.len() == 13 && timestamp.bytes().all(|byte| byte.is_ascii_digit()), "{timestamp}");
    let digest = Sha1::digest(format!("{SID}{AUTH_TOKEN}{timestamp}"));
    let hex = digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(query.remove("Sign").unwrap(), hex);
    assert_eq!(query.remove("Sid").unwrap(), SID);
}

/// `POST tokenByAkSk` (Huawei, section A).
fn check_token(asked: &Asked) {
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/apigovernance/api/oauth/tokenByAkSk"));
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["x-token-expire"], "3600");
    assert!(!asked.headers.contains_key("authorization"));
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body, json!({"app_key": APP_KEY, "app_secret": APP_SECRET}));
}

#[test]
fn a_printed_example_that_is_no_json_is_no_example() {
    // Udesk 26 as the document prints it lacks three commas (C55).
    let printed = r#"[{"AgentId": "355@7859ff65-0e6a", "Queues": ["2@7859ff65-0e6a"] "QueuesNames": ["A"]}]"#;
    assert!(serde_json::from_str::<Value>(printed).is_err());
}
