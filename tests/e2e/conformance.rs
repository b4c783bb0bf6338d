//! The conformance table: one row per vendor operation and document example.
//!
//! A row is a line here and an example in `tests/conformance`: a request of the contract, what the vendor must be asked,
//! field by field, what the vendor's document answers, and the contract's answer. Each row runs twice: against the
//! recorded answers, and against the vendor's simulator: playing the document's tenant, or one of its own with a quirk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::PathBuf,
};

use axum::Router;
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use switchboard_simulators::{huawei, udesk};

use crate::{
    house::tables::udesk_operations,
    support::{
        APP_KEY, APP_SECRET, AUTH_TOKEN, Gateway, SID,
        vendor::{Answer, Asked, Scripted, huawei_options, serve_router, udesk_options},
        vendors::{VENDORS, Vendor},
    },
};

/// Every row: the vendor, and the example's name.
pub const ROWS: &[(&str, &str)] = &[
    ("udesk", "00_error_form"),
    ("udesk", "01_get_phone_number"),
    ("udesk", "01_list_phone_numbers"),
    ("udesk", "02_set_default_phone_number"),
    ("udesk", "02_set_default_phone_number_of_nobody"),
    ("udesk", "03_clear_default_phone_number"),
    ("udesk", "04_create_agent"),
    ("udesk", "04_create_agent_with_everything"),
    ("udesk", "05_disable_a_signed_in_agent"),
    ("udesk", "05_update_agent"),
    ("udesk", "05_update_agent_with_everything"),
    ("udesk", "06_access_softphone_credentials"),
    ("udesk", "06_get_extension"),
    ("udesk", "06_list_agents"),
    ("udesk", "06_list_agents_filtered"),
    ("udesk", "06_list_extensions"),
    ("udesk", "07_bind_agent_extensions"),
    ("udesk", "08_unbind_agent_extensions"),
    ("udesk", "09_delete_a_bound_extension"),
    ("udesk", "09_delete_extension"),
    ("udesk", "10_create_extension"),
    ("udesk", "11_get_queue"),
    ("udesk", "11_list_queues"),
    ("udesk", "12_create_queue"),
    ("udesk", "12_create_queue_without_an_id"),
    ("udesk", "13_update_queue"),
    ("udesk", "13_update_queue_strategy"),
    ("udesk", "14_delete_a_queue_with_agents"),
    ("udesk", "14_delete_queue"),
    ("udesk", "15_add_queue_agents"),
    ("udesk", "16_add_agent_queues"),
    ("udesk", "16_set_agent_queues"),
    ("udesk", "17_remove_agent_queues"),
    ("udesk", "18_create_subscription"),
    ("udesk", "18_create_subscription_disabled"),
    ("udesk", "18_create_subscription_refused"),
    ("udesk", "18_create_subscription_to_everything"),
    ("udesk", "19_update_subscription"),
    ("udesk", "20_delete_subscription"),
    ("udesk", "21_get_subscription"),
    ("udesk", "21_list_subscriptions"),
    ("udesk", "22_login_agent"),
    ("udesk", "22_login_agent_with_everything"),
    ("udesk", "23_logout_agent"),
    ("udesk", "24_start_callback"),
    ("udesk", "24_start_callback_with_everything"),
    ("udesk", "25_access_softphone_credentials_of_agent"),
    ("udesk", "25_get_agent"),
    ("udesk", "26_list_agents_of_queue"),
    ("udesk", "c06_empty_bodies"),
    ("udesk", "c06_http_statuses"),
    ("udesk", "c10_number_codes"),
    ("udesk", "c13_second_generation_codes"),
    ("udesk", "c14_nulls"),
    ("udesk", "c18_suffixed_ids"),
    ("udesk", "c21_assigned_queue_ids"),
    ("udesk", "c25_unknown_enums"),
    ("udesk", "c30_exten_infos_strings"),
    ("udesk", "c33_text_booleans"),
    ("udesk", "c33_text_numbers"),
    ("udesk", "c35_pages"),
    ("udesk", "c38_result_as_text"),
    ("udesk", "c42_sub_succ_object"),
    ("udesk", "c46_subscriptions_with_ids"),
    ("udesk", "c55_wrapped_queue_agents"),
    ("udesk", "c56_extra_fields"),
    ("huawei", "000_get_softphone_config"),
    ("huawei", "000_access_softphone_credentials"),
    ("huawei", "001_list_extensions"),
    ("huawei", "002_get_user_call_settings"),
    ("huawei", "000_get_agent_without_account"),
    ("huawei", "001_get_extension"),
    ("huawei", "b3_05_create_agent"),
    ("huawei", "b3_05_create_agent_refused"),
    ("huawei", "b3_06_update_agent"),
    ("huawei", "b3_07_delete_agent"),
    ("huawei", "b3_08_get_agent"),
    ("huawei", "b3_08_list_agents"),
    ("huawei", "b3_09_add_queue_agents"),
    ("huawei", "b3_09_add_agent_queues"),
    ("huawei", "b3_09_add_agent_queues_half_way"),
    ("huawei", "b3_10_remove_agent_queues"),
    ("huawei", "b3_10_set_agent_queues"),
    ("huawei", "b3_11_list_agents_of_queue"),
    ("huawei", "b3_13_create_queue"),
    ("huawei", "b3_13_create_queue_without_id"),
    ("huawei", "b3_14_update_queue"),
    ("huawei", "b3_15_delete_queue"),
    ("huawei", "b3_15_delete_queue_with_agents"),
    ("huawei", "b3_16_list_queues"),
    ("huawei", "b3_16_get_queue"),
    ("huawei", "b3_16_get_queue_not_there"),
    ("huawei", "b3_17_list_phone_numbers"),
    ("huawei", "b3_17_list_phone_numbers_older"),
    ("huawei", "b3_17_get_phone_number"),
    ("huawei", "b3_20_login_agent"),
    ("huawei", "b3_20_logout_agent"),
    ("huawei", "b3_22_update_user_call_settings"),
    ("huawei", "b3_22_create_user_call_settings"),
];

/// How the examples of a vendor are sent and checked.
struct Dialect {
    vendor: &'static str,
    /// What the vendor answers before the first operation.
    token: Option<fn() -> Answer>,
    /// Checks what asks for it.
    check_token: fn(&Asked),
    /// Checks what authenticates a request, and removes it from the query.
    check_authentication: fn(&mut Asked, &str),
    /// The simulator of an example's tenant: the document's, or its own.
    simulate: fn(&Example) -> Router,
}

const DIALECTS: &[Dialect] = &[
    Dialect {
        vendor: "udesk",
        token: None,
        check_token: |_| (),
        check_authentication: |asked, _| check_signature(&mut asked.query),
        simulate: |example| udesk::Simulator::new(udesk_tenant(example)).router(),
    },
    Dialect {
        vendor: "huawei",
        token: Some(Answer::token),
        check_token,
        check_authentication: |asked, place| {
            assert_eq!(asked.headers["authorization"], "Bearer token-of-the-tests", "{place}");
            assert_eq!(asked.headers["x-app-key"], APP_KEY, "{place}");
        },
        simulate: |_| {
            huawei::Simulator::new(huawei::Options { tenant: huawei::Tenant::Document, ..huawei_options() }).router()
        },
    },
];

/// An example, as its file holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
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
    /// Why the simulator cannot answer the same, where it cannot.
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
pub struct Exchange {
    asked: ExpectedAsk,
    /// Null is no body at all.
    pub answer: Value,
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

pub fn example(vendor: &str, name: &str) -> Example {
    let path = folder().join(vendor).join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dialect(vendor: &str) -> &'static Dialect {
    let mut known = DIALECTS.iter();
    known
        .find(|dialect| dialect.vendor == vendor)
        .unwrap_or_else(|| panic!("tests/e2e/conformance.rs: DIALECTS has no row of {vendor}"))
}

/// Lines of a configuration: the vendor's center at this address.
fn center(vendor: &str, address: SocketAddr) -> String {
    let known = VENDORS.iter().find(|known| known.name == vendor).unwrap();
    (known.config)(known.center, address)
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
    for Vendor { name: vendor, .. } in VENDORS {
        let folder = fs::read_dir(folder().join(vendor));
        for file in folder.unwrap_or_else(|error| panic!("tests/conformance/{vendor}: {error}")) {
            files.insert(format!("{vendor}/{}", file.unwrap().file_name().into_string().unwrap()));
        }
    }
    assert_eq!(rows, files);
}

/// A gateway before a vendor that gives an example's recorded answers.
pub async fn recorded(vendor: &str, example: &Example) -> (Gateway, Scripted) {
    let token = dialect(vendor).token.map(|token| token());
    let answers = example.exchanges.iter().map(|exchange| match &exchange.answer {
        Value::Null => Answer::text(exchange.status, ""),
        answer => Answer::status(exchange.status, answer),
    });
    let scripted = Scripted::start(token.into_iter().chain(answers)).await;
    (Gateway::start(&center(vendor, scripted.address)).await, scripted)
}

/// A gateway before the simulator of an example's tenant; `None` where the simulator cannot answer the same.
pub async fn simulated(vendor: &str, example: &Example) -> Option<Gateway> {
    if example.not_simulated.is_some() {
        return None;
    }
    let address = serve_router((dialect(vendor).simulate)(example)).await;
    Some(Gateway::start(&center(vendor, address)).await)
}

#[tokio::test]
async fn each_row_against_the_recorded_answers() {
    for (vendor, name) in ROWS {
        let example = example(vendor, name);
        let (gateway, scripted) = recorded(vendor, &example).await;

        assert_eq!(outcome(&gateway, &example).await, expected(&example), "{vendor}/{name}");

        let mut asked = scripted.asked();
        if dialect(vendor).token.is_some() {
            (dialect(vendor).check_token)(&asked.remove(0));
        }
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

fn udesk_tenant(example: &Example) -> udesk::Options {
    match &example.simulated {
        None => udesk::Options { tenant: udesk::Tenant::Document, ..udesk_options() },
        Some(Seeded { quirks }) => {
            let quirks = quirks.iter().map(|name| name.parse::<udesk::Quirk>().unwrap());
            udesk::Options { quirks: quirks.collect(), ..udesk_options() }
        }
    }
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

/// Every documented operation has a row that asks it.
#[test]
fn every_operation_has_a_row() {
    let mut asked = BTreeSet::new();
    for (vendor, name) in ROWS.iter().filter(|(vendor, _)| *vendor == "udesk") {
        for exchange in example(vendor, name).exchanges {
            let path = exchange.asked.path.trim_start_matches("/ccapi/v2");
            asked.insert(format!("{} {path}", exchange.asked.method));
        }
    }
    let documented = udesk_operations();
    let operation_of = |asked: &String| {
        let is_it = |operation: &&String| {
            let (operation, asked): (Vec<_>, Vec<_>) = (operation.split('/').collect(), asked.split('/').collect());
            let steps = operation.iter().zip(&asked);
            operation.len() == asked.len() && steps.into_iter().all(|(step, asked)| step == asked || *step == "{id}")
        };
        let exact = documented.values().find(|operation| *operation == asked);
        exact.or_else(|| documented.values().find(is_it)).unwrap_or_else(|| panic!("no operation is {asked}"))
    };
    let asked: BTreeSet<_> = asked.iter().map(operation_of).collect();
    let missing: Vec<_> = documented.values().filter(|operation| !asked.contains(operation)).collect();
    assert!(missing.is_empty(), "tests/e2e/conformance.rs: no row of ROWS asks {missing:?}");
}

/// Compares a request with what it must be. Nothing may be there that is not expected.
fn check(vendor: &str, name: &str, mut asked: Asked, expected: &ExpectedAsk) {
    let place = format!("{vendor}/{name}");
    assert_eq!((&asked.method, &asked.path), (&expected.method, &expected.path), "{place}");
    (dialect(vendor).check_authentication)(&mut asked, &place);
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
