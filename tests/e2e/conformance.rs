//! The conformance table: one row per vendor operation and document example.
//!
//! A row is a line here and an example in `tests/conformance`: a request of the contract, what the vendor must be asked,
//! field by field, what the vendor's document answers, and the contract's answer. Each row runs twice: against the
//! recorded answers, and against the vendor's simulator playing the document's tenant.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde::Deserialize;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use switchboard::sandbox::{huawei, udesk};

use crate::support::{
    APP_KEY, APP_SECRET, AUTH_TOKEN, Gateway, SID, acme, beta,
    vendor::{Answer, Asked, Scripted, huawei_options, serve_router, udesk_options},
};

/// Every row: the vendor, and the example's name.
const ROWS: &[(&str, &str)] = &[
    ("udesk", "01_list_phone_numbers"),
    ("udesk", "06_list_agents"),
    ("udesk", "06_list_agents_filtered"),
    ("udesk", "11_list_queues"),
    ("udesk", "12_create_queue"),
    ("udesk", "22_login_agent"),
    ("udesk", "22_login_agent_with_everything"),
    ("udesk", "23_logout_agent"),
    ("udesk", "24_start_callback"),
    ("udesk", "24_start_callback_with_everything"),
    ("udesk", "25_get_agent"),
    ("udesk", "26_list_agents_of_queue"),
    ("huawei", "000_get_softphone_config"),
    ("huawei", "000_access_softphone_credentials"),
    ("huawei", "001_list_extensions"),
    ("huawei", "002_get_user_call_settings"),
];

/// An example, as its file holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    /// Where it is from.
    #[serde(rename = "source")]
    _source: String,
    method: String,
    request: Value,
    exchanges: Vec<Exchange>,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
    /// Why the simulator cannot answer the same, where it cannot.
    #[serde(default)]
    not_simulated: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    asked: ExpectedAsk,
    answer: Value,
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

fn example(vendor: &str, name: &str) -> Example {
    let path = folder().join(vendor).join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The outcome of a call in the form of the examples.
async fn outcome(gateway: &Gateway, example: &Example) -> Value {
    match gateway.client.call(&example.method, example.request.clone()).await {
        Ok(answer) => json!({"result": answer}),
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
    for vendor in ["udesk", "huawei"] {
        for file in fs::read_dir(folder().join(vendor)).unwrap() {
            files.insert(format!("{vendor}/{}", file.unwrap().file_name().into_string().unwrap()));
        }
    }
    assert_eq!(rows, files);
}

#[tokio::test]
async fn each_row_against_the_recorded_answers() {
    for (vendor, name) in ROWS {
        let example = example(vendor, name);
        let is_huawei = *vendor == "huawei";
        let token = is_huawei.then(Answer::token);
        let answers = example.exchanges.iter().map(|exchange| Answer::status(exchange.status, &exchange.answer));
        let scripted = Scripted::start(token.into_iter().chain(answers)).await;
        let centers = if is_huawei { beta(scripted.address) } else { acme(scripted.address) };
        let gateway = Gateway::start(&centers).await;

        assert_eq!(outcome(&gateway, &example).await, expected(&example), "{vendor}/{name}");

        let mut asked = scripted.asked();
        if is_huawei {
            check_token(&asked.remove(0));
        }
        assert_eq!(asked.len(), example.exchanges.len(), "{vendor}/{name}: {asked:?}");
        for (asked, exchange) in asked.into_iter().zip(&example.exchanges) {
            check(vendor, name, asked, &exchange.asked);
        }
    }
}

#[tokio::test]
async fn each_row_against_the_simulated_tenant_of_the_document() {
    for (vendor, name) in ROWS {
        let example = example(vendor, name);
        if example.not_simulated.is_some() {
            continue;
        }
        let router = if *vendor == "huawei" {
            huawei::Simulator::new(huawei::Options { tenant: huawei::Tenant::Document, ..huawei_options() }).router()
        } else {
            udesk::Simulator::new(udesk::Options { tenant: udesk::Tenant::Document, ..udesk_options() }).router()
        };
        let address = serve_router(router).await;
        let gateway = Gateway::start(&if *vendor == "huawei" { beta(address) } else { acme(address) }).await;
        assert_eq!(outcome(&gateway, &example).await, expected(&example), "{vendor}/{name}");
    }
}

/// Compares a request with what it must be. Nothing may be there that is not expected.
fn check(vendor: &str, name: &str, mut asked: Asked, expected: &ExpectedAsk) {
    let place = format!("{vendor}/{name}");
    assert_eq!((&asked.method, &asked.path), (&expected.method, &expected.path), "{place}");
    if vendor == "udesk" {
        check_signature(&mut asked.query);
    } else {
        assert_eq!(asked.headers["authorization"], "Bearer token-of-the-tests", "{place}");
        assert_eq!(asked.headers["x-app-key"], APP_KEY, "{place}");
    }
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
fn check_signature(query: &mut BTreeMap<String, String>) {
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
