//! No leaks: the whole conformance table and all bad input run with every log level on, and the outputs are searched
//! for every secret and all personal data of the inputs.

mod search;

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, LazyLock, Mutex},
};

use regex::Regex;
use serde_json::{Value, json};
use switchboard::telemetry::log_filter;
use switchboard_simulators::udesk;
use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub(crate) use self::search::Logs;
use self::search::{Found, Sought, leak};
use crate::{
    bad_input,
    conformance::{self, ROWS},
    support::{
        APP_KEY, APP_SECRET, AUTH_TOKEN, Gateway, SID, acme, beta,
        client::Client,
        udesk as another,
        vendor::{Asked, Response, Scripted, serve_router, udesk_options},
        vendors::{VENDORS, Vendor, every_vendor_and},
    },
};

#[tokio::test]
async fn the_conformance_table_leaks_nothing() {
    let (logs, _guard) = Logs::capture("trace");
    let (mut sought, mut found) = (Sought::new(), Found::default());
    for (vendor, name) in ROWS {
        let example = conformance::example(vendor, name);
        example.exchanges.iter().for_each(|exchange| sought.collect("", &exchange.response));
        let (gateway, scripted) = conformance::recorded(vendor, &example).await;
        found.call(&mut sought, &gateway.client, &example.method, &example.request).await;
        found.metrics(&gateway).await;
        scripted.asked().iter().for_each(|asked| sought.collect_asked(asked));
        if let Some(gateway) = conformance::simulated(vendor, &example).await {
            found.call(&mut sought, &gateway.client, &example.method, &example.request).await;
            found.metrics(&gateway).await;
        }
    }
    assert!(sought.credentials.len() > 50 && sought.people.len() > 50, "too few values were searched for");
    assert!(sought.credentials.contains("Abcde#12") && sought.people.contains("18789998765"));
    assert!(sought.people.contains("oskar.nyman@example.com") && sought.people.contains("Oskar Nyman"));
    let logs = logs.text();
    assert!(logs.contains("TRACE") || logs.contains("DEBUG switchboard::http"), "the logs were on");
    found.search(&sought, &logs);
}

#[tokio::test]
async fn bad_input_leaks_nothing() {
    let (logs, _guard) = Logs::capture("trace");
    let (mut sought, mut found) = (Sought::new(), Found::default());
    let other = another("other", serve_router(udesk::Simulator::new(udesk_options()).router()).await);
    let (gateway, _simulators) = every_vendor_and(&other).await;
    for Vendor { center, .. } in VENDORS {
        let request = json!({"parent": format!("centers/{center}")});
        found.call(&mut sought, &gateway.client, "AccessSoftphoneCredentials", &request).await;
    }
    let mut errors = 0;
    for (method, request) in bad_input::requests() {
        found.call(&mut sought, &gateway.client, method, &request).await;
        errors += 1;
    }
    assert_eq!(found.errors.len(), errors);
    found.metrics(&gateway).await;
    let logs = logs.text();
    assert_eq!(logs.matches("call failed").count(), errors, "every failure is logged");
    found.search(&sought, &logs);
}

/// A vendor's echo is not passed on, and an unexpected response is not logged.
#[tokio::test]
async fn a_vendor_that_echoes_the_request_leaks_nothing() {
    let (logs, _guard) = Logs::capture("trace");
    let (mut sought, mut found) = (Sought::new(), Found::default());
    let request = json!({
        "parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100",
        "variables": {"note": "call 13911112222 or mara@example.com"},
    });
    let text = format!("13800000000 of mara sent {SID} {AUTH_TOKEN} 7cb509c2cba42f294779f23d6a33a64030fd5890");
    for response in [
        Response::json(&json!({"code": "200022", "message": text})),
        Response::json(&json!({"code": text, "message": text})),
        Response::json(&json!({"code": "000000", "results": {"unexpected": [text]}})),
        Response::text(500, &text),
        Response::text(200, &format!("<html>{text}</html>")),
    ] {
        let vendor = Scripted::start([response]).await;
        let gateway = Gateway::start(&acme(vendor.address)).await;
        found.call(&mut sought, &gateway.client, "StartCallback", &request).await;
        found.metrics(&gateway).await;
        vendor.asked().iter().for_each(|asked| sought.collect_asked(asked));
    }
    assert!(found.errors.len() >= 4, "{}", found.errors.len());
    sought.credentials.insert("7cb509c2cba42f294779f23d6a33a64030fd5890".to_owned());
    found.search(&sought, &logs.text());
}

/// A vendor that echoes its callback addresses wherever it can: in lists, in errors, in place of results.
#[derive(Clone, Default)]
struct EchoingVendor(Arc<Mutex<Vec<String>>>);

impl EchoingVendor {
    fn response(&self, method: &str, body: &str) -> (u16, String) {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let asked = body.get("subscriptions").map_or(&body, |list| &list[0]);
        let mut addresses = self.0.lock().unwrap();
        addresses.extend(asked["callback"].as_str().map(str::to_owned));
        let address = addresses.last().cloned().unwrap_or_default();
        let ok = |result: Value| json!({"ErrCode": "000000", "ErrDesc": address, "Result": result}).to_string();
        let refusal = json!({"ErrCode": "000001", "ErrDesc": format!("{address} and {address:?}"), "Result": address});
        let name = "Wallboard North";
        let listed = json!([{"subid": 7, "name": name, "callback": address, "events": ["begin"], "enable": true}]);
        match (method, asked["name"].as_str()) {
            ("GET", _) => (200, ok(listed)),
            ("POST", Some("Wallboard North")) => (200, ok(json!({"sub_succ": [{"subid": 7, "name": name}]}))),
            ("PUT", Some("Wallboard North")) => (200, ok(json!(address))),
            (_, Some("Wallboard East")) => (200, format!("<html>{address}</html>")),
            (_, Some("Wallboard South")) => (500, refusal.to_string()),
            ("DELETE", _) => (500, address),
            _ => (200, refusal.to_string()),
        }
    }
}

#[tokio::test]
async fn an_ingress_address_stays_between_the_gateway_and_the_vendor() {
    let (logs, _guard) = Logs::capture("trace");
    let (mut sought, mut found) = (Sought::new(), Found::default());
    let vendor = EchoingVendor::default();
    let router = axum::Router::new().fallback({
        let vendor = vendor.clone();
        move |method: axum::http::Method, body: String| async move {
            let (status, body) = vendor.response(method.as_str(), &body);
            (axum::http::StatusCode::from_u16(status).unwrap(), body)
        }
    });
    let gateway = Gateway::start(&acme(serve_router(router).await)).await;
    let create = |name: &str, id: &str| {
        let subscription = json!({"display_name": name, "event_types": ["EVENT_TYPE_CALL_HUNG_UP"]});
        json!({"parent": "centers/acme", "subscription": subscription, "request_id": id})
    };
    let update = |name: &str, mask: &str| {
        let subscription = json!({"name": "centers/acme/subscriptions/7", "display_name": name});
        json!({"subscription": subscription, "update_mask": mask})
    };
    let id = "6f9619ff-8b86-4d11-b42d-00c04fc964ff";
    let mut calls = vec![
        ("CreateSubscription", create("Wallboard North", id)),
        ("CreateSubscription", create("Wallboard North", id)),
        ("ListSubscriptions", json!({"parent": "centers/acme"})),
        ("GetSubscription", json!({"name": "centers/acme/subscriptions/7"})),
        ("UpdateSubscription", update("Wallboard North", "callbackUri")),
        ("UpdateSubscription", update("Wallboard North", "displayName")),
        ("DeleteSubscription", json!({"name": "centers/acme/subscriptions/7"})),
    ];
    let (shown, failing) = (calls.len() - 1, ["Wallboard West", "Wallboard East", "Wallboard South"]);
    calls.extend(failing.map(|name| ("CreateSubscription", create(name, ""))));
    calls.extend(failing.map(|name| ("UpdateSubscription", update(name, "displayName,callbackUri"))));
    for (method, request) in calls {
        found.call(&mut sought, &gateway.client, method, &request).await;
    }
    found.metrics(&gateway).await;
    assert_eq!((found.responses.len(), found.errors.len()), (shown, 7), "{:?}", found.errors);
    for (method, response) in &found.responses {
        assert!(!response.to_string().to_lowercase().contains("callback"), "{method}: {response}");
    }
    // The whole address, its secret segment, both halves, its beginning and its end.
    let addresses = vendor.0.lock().unwrap().clone();
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 8, "each is issued once");
    for address in &addresses {
        let segment = address.rsplit('/').next().unwrap();
        let (nonce, mac) = segment.split_once('.').unwrap();
        let parts = [address.as_str(), segment, nonce, mac, &nonce[..12], &mac[..12], &mac[31..]];
        sought.credentials.extend(parts.map(str::to_owned));
    }
    found.search(&sought, &logs.text());
}

/// A search that finds nothing proves nothing.
#[test]
fn the_search_finds_leaks() {
    let (logs, _guard) = Logs::capture("trace");
    tracing::trace!(target: "switchboard::test", "to 13800000000");
    let logs = logs.text();
    for (logs, leaked) in [(logs.as_str(), "13800000000"), ("GET http://vendor", "://"), ("Bearer x", "Bearer")] {
        assert_eq!(leak(logs, ["nothing"].into_iter()), Some(leaked));
        assert_eq!(leak(logs, [leaked].into_iter()), Some(leaked));
    }
    assert_eq!(leak("nothing to see", ["something"].into_iter()), None);
}

/// Libraries log nothing below a warning, regardless of `RUST_LOG`: they would log URLs and headers.
#[test]
fn libraries_log_only_warnings_regardless_of_the_directives() {
    for directives in ["trace", "reqwest=trace,hyper=trace,h2=debug", "switchboards=trace,switchboard=trace,debug"] {
        let (logs, _guard) = Logs::capture(directives);
        for target in [1, 2, 3, 4] {
            match target {
                1 => tracing::info!(target: "reqwest::connect", "leak"),
                2 => tracing::debug!(target: "hyper_util::client", "leak"),
                3 => tracing::trace!(target: "h2::codec", "leak"),
                _ => tracing::trace!(target: "switchboards", "leak"),
            }
        }
        tracing::warn!(target: "h2::proto", "logged");
        if directives != "reqwest=trace,hyper=trace,h2=debug" {
            tracing::trace!(target: "switchboard", "logged");
            tracing::trace!(target: "switchboard::http", "logged");
            assert_eq!(logs.text().matches("logged").count(), 3, "{directives}: {}", logs.text());
        }
        assert!(logs.text().contains("logged") && !logs.text().contains("leak"), "{directives}: {}", logs.text());
    }
}

/// The built program with every log level on, including the logs of its other threads.
#[tokio::test]
async fn the_program_itself_leaks_nothing() {
    let rung = json!({"code": "000000", "results": "c9d52506-c41b-431f-5fa0-b701a81a2da6"});
    let refused = json!({"code": "200022", "message": "13800000000 of mara@example.com has no route"});
    let udesk = Scripted::start([Response::json(&rung), Response::json(&refused), Response::text(302, "")]).await;
    let huawei =
        Scripted::start([Response::token(), Response::text(401, ""), Response::token(), Response::text(500, "x")])
            .await;
    let folder = tempfile::tempdir().unwrap();
    let (config, log) = (folder.path().join("gateway.toml"), folder.path().join("log"));
    let storage = folder.path().join("switchboard.db");
    let text = format!(
        "[listen]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[storage]\npath = {:?}\n{}{}",
        storage.to_str().unwrap(),
        acme(udesk.address),
        beta(huawei.address)
    );
    std::fs::write(&config, text).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["serve", "--config", config.to_str().unwrap()])
        .env("RUST_LOG", "trace,reqwest=trace,hyper_util=trace,h2=trace")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let logs = || std::fs::read_to_string(&log).unwrap();
    let serving = async {
        loop {
            let line = logs().lines().find(|line| line.contains("\"serving\"")).map(str::to_owned);
            match line.and_then(|line| serde_json::from_str::<Value>(&line).ok()) {
                Some(line) => return line["grpc"].as_str().unwrap().parse::<SocketAddr>().unwrap(),
                None => tokio::task::yield_now().await,
            }
        }
    };
    let address = tokio::time::timeout(std::time::Duration::from_secs(20), serving).await.unwrap();
    let client = Client::connect(address).await;
    let (mut sought, mut found) = (Sought::new(), Found::default());
    let call = |id: &str| {
        json!({
            "parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100",
            "request_id": id,
        })
    };
    for request in [
        call("6f9619ff-8b86-4d11-b42d-00c04fc964ff"),
        call("6f9619ff-8b86-4d11-b42d-00c04fc964ff"),
        call("7f9619ff-8b86-4d11-b42d-00c04fc964ff"),
        call("8f9619ff-8b86-4d11-b42d-00c04fc964ff"),
    ] {
        found.call(&mut sought, &client, "StartCallback", &request).await;
    }
    let config = json!({"name": "centers/beta/softphoneConfig"});
    found.call(&mut sought, &client, "GetSoftphoneConfig", &config).await;
    program.kill().unwrap();
    program.wait().unwrap();
    udesk.asked().iter().chain(&huawei.asked()).for_each(|asked| sought.collect_asked(asked));
    assert_eq!((udesk.asked().len(), found.responses.len(), found.errors.len()), (3, 2, 3));
    let logs = Regex::new("\"trace_id\":\"[0-9a-f]{32}\"").unwrap().replace_all(&logs(), "").into_owned();
    let logs = Regex::new("\"timestamp\":\"[^\"]*\"").unwrap().replace_all(&logs, "").into_owned();
    assert!(logs.contains("vendor responded"), "the logs were on: {logs}");
    found.search(&sought, &logs);
}
