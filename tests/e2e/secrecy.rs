//! No leaks: the whole conformance table and all bad input run with every log level on, and the outputs are searched for
//! every secret and all personal data of the inputs.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use regex::Regex;
use serde_json::{Value, json};
use switchboard::telemetry::log_filter;
use switchboard_simulators::{huawei, udesk};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    bad_input, bad_input_udesk,
    conformance::{self, ROWS},
    support::{
        APP_KEY, APP_SECRET, AUTH_TOKEN, Gateway, SID, acme, beta,
        client::Client,
        udesk as another,
        vendor::{Answer, Asked, Scripted, huawei_options, serve_router, udesk_options},
    },
};

/// The logs of this thread, which runs the test's runtime.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

/// The secrets and personal data of the inputs.
#[derive(Default)]
struct Sought {
    /// Secrets, passwords, tokens, signatures: allowed only in the responses that return them.
    credentials: BTreeSet<String>,
    /// Telephone numbers, e-mail addresses and names: allowed in responses only.
    people: BTreeSet<String>,
}

/// The outputs.
#[derive(Default)]
struct Found {
    /// With the resource names of the request, which an error may repeat.
    errors: Vec<(String, Vec<String>)>,
    answers: Vec<(String, Value)>,
    /// Lines without their values, which differ between gateways.
    metrics: BTreeSet<String>,
}

// === impl Logs ===

impl Logs {
    /// Captures the logs at these `RUST_LOG` directives.
    fn capture(directives: &str) -> (Self, DefaultGuard) {
        let logs = Self::default();
        let lines = fmt::layer().with_ansi(false).without_time().with_writer({
            let logs = logs.clone();
            move || logs.clone()
        });
        let guard =
            tracing_subscriber::registry().with(log_filter(EnvFilter::new(directives))).with(lines).set_default();
        (logs, guard)
    }

    /// The text so far, without trace IDs, which are random.
    fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        Regex::new("trace_id=\"[0-9a-f]{32}\"").unwrap().replace_all(&text, "").into_owned()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Sought ===

impl Sought {
    /// The credentials of the test tenants.
    fn new() -> Self {
        // The last two begin every password of the simulated Huawei tenant.
        let fixed = [AUTH_TOKEN, APP_SECRET, SID, APP_KEY, "token-of-the-tests", "Sip~phone", "Aa#1"];
        Self { credentials: fixed.map(str::to_owned).into(), people: BTreeSet::new() }
    }

    /// Collects the secrets and personal data of a request or response on either side.
    fn collect(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| self.collect(key, value)),
            Value::Array(items) => items.iter().for_each(|item| self.collect(key, item)),
            Value::String(text) => {
                if let Some(inner) = serde_json::from_str(text).ok().filter(Value::is_object) {
                    self.collect(key, &inner);
                }
                self.collect_text(&key.to_lowercase(), text);
            }
            Value::Number(number) => self.collect_text(key, &number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn collect_text(&mut self, key: &str, text: &str) {
        let is_password = ["password", "pwd", "secret"].iter().any(|word| key.contains(word)) && key != "page_token";
        if is_password && text.len() > 3 && text.bytes().any(|byte| byte != b'*') {
            self.credentials.insert(text.to_owned());
        }
        let named = ["name", "nickname", "agentname", "username", "accountname", "display_name", "login_account"];
        let is_name = named.contains(&key) && !text.contains('/') && text.chars().any(char::is_alphabetic);
        let is_address = text.split_once('@').is_some_and(|(_, host)| host.contains('.'));
        if text.len() > 3 && (is_name || is_address) {
            self.people.insert(text.to_owned());
        }
        let numbers = text.split(|char: char| !char.is_ascii_digit()).filter(|number| number.len() >= 7);
        self.people.extend(numbers.map(str::to_owned));
    }

    /// Collects those of a vendor request.
    fn collect_asked(&mut self, asked: &Asked) {
        self.credentials.extend(asked.query.get("Sign").cloned());
        self.collect("", &serde_json::from_str(&asked.body).unwrap_or_default());
        asked.query.iter().for_each(|(key, value)| self.collect(key, &json!(value)));
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.credentials.iter().chain(&self.people)
    }
}

// === impl Found ===

impl Found {
    /// Makes a call and stores its outcome.
    async fn call(&mut self, sought: &mut Sought, client: &Client, method: &str, request: &Value) {
        sought.collect("", request);
        match client.call(method, request.clone()).await {
            Ok(answer) => {
                sought.collect("", &answer);
                self.answers.push((method.to_owned(), answer));
            }
            Err(failure) => self.errors.push((format!("{method}: {}", failure.told), names(request))),
        }
    }

    /// Stores a gateway's metrics.
    async fn metrics(&mut self, gateway: &Gateway) {
        let (status, text) = gateway.admin("/metrics").await;
        assert_eq!(status, 200);
        self.metrics.extend(text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())));
    }

    /// Panics at the first leak.
    fn search(self, sought: &Sought, logs: &str) {
        let leak = leak(logs, sought.all().map(String::as_str));
        let line = leak.and_then(|text| logs.lines().find(|line| line.contains(text)));
        assert!(leak.is_none(), "{leak:?} is in the logs: {line:?}");
        let metrics = self.metrics.into_iter().collect::<Vec<_>>().join("\n");
        let strange = |(error, mut own): (String, Vec<String>)| {
            own.sort_by_key(|name| std::cmp::Reverse(name.len()));
            own.iter().fold(error, |error, name| error.replace(name, ""))
        };
        let errors: Vec<String> = self.errors.into_iter().map(strange).collect();
        for text in sought.all() {
            for error in &errors {
                assert!(!error.contains(text.as_str()), "{text:?} is in {error}");
            }
            assert!(!metrics.contains(text.as_str()), "{text:?} is in the metrics");
        }
        for (method, mut answer) in self.answers {
            if method == "AccessSoftphoneCredentials" {
                continue;
            }
            let fields = answer.as_object_mut().unwrap();
            match method.as_str() {
                "CreateExtension" => fields.remove("initial_password"),
                "CreateAgent" => fields.remove("provisioned_extensions"),
                _ => None,
            };
            let answer = answer.to_string();
            for text in &sought.credentials {
                assert!(!answer.contains(text.as_str()), "{text:?} is in the answer of {method}: {answer}");
            }
        }
    }
}

/// The resource names in a request, including that of a callback's entry number.
fn names(request: &Value) -> Vec<String> {
    match request {
        Value::Object(members) => {
            let number = members.get("entry_number").and_then(Value::as_str);
            let number = number.map(|number| format!("phoneNumbers/{number}"));
            members.values().flat_map(names).chain(number).collect()
        }
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::String(text) if text.starts_with("centers/") => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// The first leak in the logs.
fn leak<'a>(logs: &'a str, mut texts: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Secrets have one of these forms or follow one of these words.
    const FORMS: &str = r"(?i-u)://|bearer|sign=|authorization|\b[0-9a-f]{40}\b|\b1[3-9][0-9]{9}\b";
    let form = || Regex::new(FORMS).unwrap().find(logs).map(|found| found.as_str());
    texts.find(|text| logs.contains(text)).or_else(form)
}

#[tokio::test]
async fn the_conformance_table_leaks_nothing() {
    let (logs, _guard) = Logs::capture("trace");
    let (mut sought, mut found) = (Sought::new(), Found::default());
    for (vendor, name) in ROWS {
        let example = conformance::example(vendor, name);
        example.exchanges.iter().for_each(|exchange| sought.collect("", &exchange.answer));
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
    let address = serve_router(udesk::Simulator::new(udesk_options()).router()).await;
    let beta = beta(serve_router(huawei::Simulator::new(huawei_options()).router()).await);
    let gateway = Gateway::start(&format!("{}{}{beta}", acme(address), another("other", address))).await;
    for center in ["acme", "beta"] {
        let request = json!({"parent": format!("centers/{center}")});
        found.call(&mut sought, &gateway.client, "AccessSoftphoneCredentials", &request).await;
    }
    let mut errors = 0;
    for (method, request) in
        bad_input::rows().into_iter().map(|(method, request, ..)| (method, request)).chain(bad_input_udesk::requests())
    {
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
    for answer in [
        Answer::json(&json!({"code": "200022", "message": text})),
        Answer::json(&json!({"code": text, "message": text})),
        Answer::json(&json!({"code": "000000", "results": {"unexpected": [text]}})),
        Answer::text(500, &text),
        Answer::text(200, &format!("<html>{text}</html>")),
    ] {
        let vendor = Scripted::start([answer]).await;
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
    fn answer(&self, method: &str, body: &str) -> (u16, String) {
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
            let (status, body) = vendor.answer(method.as_str(), &body);
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
    assert_eq!((found.answers.len(), found.errors.len()), (shown, 7), "{:?}", found.errors);
    for (method, answer) in &found.answers {
        assert!(!answer.to_string().to_lowercase().contains("callback"), "{method}: {answer}");
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

/// Libraries log nothing below a warning, whatever `RUST_LOG` says: they would log URLs and headers.
#[test]
fn libraries_log_only_warnings_whatever_the_directives() {
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
    let udesk = Scripted::start([Answer::json(&rung), Answer::json(&refused), Answer::text(302, "")]).await;
    let huawei =
        Scripted::start([Answer::token(), Answer::text(401, ""), Answer::token(), Answer::text(500, "x")]).await;
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
    assert_eq!((udesk.asked().len(), found.answers.len(), found.errors.len()), (3, 2, 3));
    let logs = Regex::new("\"trace_id\":\"[0-9a-f]{32}\"").unwrap().replace_all(&logs(), "").into_owned();
    let logs = Regex::new("\"timestamp\":\"[^\"]*\"").unwrap().replace_all(&logs, "").into_owned();
    assert!(logs.contains("vendor answered"), "the logs were on: {logs}");
    found.search(&sought, &logs);
}
