//! What operators see: metrics from the start, searchable log lines, and secrets that are rotated.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use switchboard_simulators::{huawei, udesk};
use tempfile::TempDir;

use crate::support::{
    APP_SECRET, AUTH_TOKEN, Gateway, acme, beta,
    client::Client,
    udesk as another,
    vendor::{Response, Scripted, huawei_options, serve_router, udesk_options},
};

/// The built program, which logs JSON lines to a file.
struct Program {
    process: Child,
    client: Client,
    folder: TempDir,
}

impl Program {
    /// A gateway with these centers.
    async fn serve(centers: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, log) = (folder.path().join("gateway.toml"), folder.path().join("log"));
        let text =
            format!("[listen]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{centers}");
        fs::write(&config, text).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["serve", "--config", config.to_str().unwrap()])
            .current_dir(folder.path())
            .env("RUST_LOG", "switchboard=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let serving = line_of(&folder, "serving").await;
        let client = Client::connect(serving["grpc"].as_str().unwrap().parse().unwrap()).await;
        Self { process, client, folder }
    }

    /// Calls a method that fails, and returns its log line.
    async fn failure(&self, method: &str, request: Value) -> Value {
        let failure = self.client.call(method, request).await.unwrap_err();
        let trace_id = &failure.metadata["traceId"];
        let is_it = |line: &Value| line["message"] == "call failed" && line["trace_id"] == **trace_id;
        line_with(&self.folder, is_it).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The whole lines of the log.
fn lines(folder: &TempDir) -> Vec<Value> {
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn line_of(folder: &TempDir, message: &str) -> Value {
    line_with(folder, |line| line["message"] == message).await
}

/// Waits for a line.
async fn line_with(folder: &TempDir, is_it: impl Fn(&Value) -> bool) -> Value {
    let find = async {
        loop {
            match lines(folder).into_iter().find(&is_it) {
                Some(line) => return line,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), find).await.expect("a line of the log")
}

/// The names and labels of all series.
async fn series(gateway: &Gateway) -> BTreeSet<String> {
    let (_, text) = gateway.admin("/metrics").await;
    let names = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn the_log_line_of_a_failed_call_has_what_a_search_needs() {
    let refused = json!({"code": "200022", "message": "no route"});
    let udesk = Scripted::start([
        Response::json(&refused),
        Response::json(&json!({"ErrCode": "200020", "ErrDesc": "Authentication error"})),
        Response::text(200, "<html>"),
    ])
    .await;
    let program = Program::serve(&acme(udesk.address)).await;
    let call = json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"});
    let line = program.failure("StartCallback", call).await;
    assert_eq!(
        [&line["level"], &line["method"], &line["center"], &line["code"], &line["reason"], &line["vendor_code"]],
        ["INFO", "StartCallback", "acme", "FAILED_PRECONDITION", "ROUTE_INVALID", "200022"]
    );
    assert_eq!(line["vendor_status"], 200);
    assert!(line["took_ms"].is_u64(), "{line}");
    assert!(line.get("cause").is_none(), "{line}");

    // The operator's turn.
    let agent = || json!({"name": "centers/acme/agents/1001"});
    let line = program.failure("GetAgent", agent()).await;
    assert_eq!([&line["level"], &line["reason"]], ["WARN", "VENDOR_AUTH_FAILED"], "{line}");
    let line = program.failure("GetAgent", agent()).await;
    assert_eq!([&line["level"], &line["reason"], &line["code"]], ["WARN", "VENDOR_RESPONSE_INVALID", "INTERNAL"]);
    assert_eq!((&line["method"], &line["center"]), (&json!("GetAgent"), &json!("acme")));
    assert_eq!(line["vendor_status"], 200);
    assert!(line["took_ms"].is_u64(), "{line}");
    assert!(line["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{line}");
    // The caller's turn.
    let line = program.failure("GetAgent", json!({"name": "centers/nowhere/agents/1"})).await;
    assert_eq!([&line["level"], &line["reason"], &line["code"]], ["INFO", "CENTER_NOT_FOUND", "NOT_FOUND"]);
    assert!(["vendor_code", "vendor_status", "cause", "center"].iter().all(|key| line.get(key).is_none()), "{line}");
    assert!(line["took_ms"].is_u64(), "{line}");

    let responded = line_of(&program.folder, "vendor responded").await;
    assert!(responded["took_ms"].is_u64(), "{responded}");
}

/// A rate over a series that appears with its first failure misses that failure.
#[tokio::test]
async fn every_series_exists_from_the_start() {
    // The port of a vendor that is gone.
    let gone = Scripted::start([Response::Reset]).await.address;
    let broken = Scripted::start([Response::Reset, Response::text(200, "<html>"), Response::text(503, "")]).await;
    let huawei = Scripted::start([Response::text(401, ""), Response::token(), Response::text(500, "x")]).await;
    let centers = format!("{}{}{}", acme(broken.address), another("gone", gone), beta(huawei.address));
    let gateway = Gateway::start(&centers).await;
    let start = series(&gateway).await;
    for expected in [
        "grpc_server_handled_total{grpc_code=\"INTERNAL\",grpc_method=\"GetAgent\",grpc_service=\"contactcenter.v1.ContactCenter\",grpc_type=\"unary\"}",
        "switchboard_breaker_open{center=\"acme\",family=\"ccapi\"}",
        "switchboard_call_errors_total{center=\"beta\",reason=\"VENDOR_AUTH_FAILED\"}",
        "switchboard_vendor_requests_total{center=\"acme\",operation=\"GET /agents/{id}\",outcome=\"broken\"}",
        "switchboard_vendor_requests_total{center=\"beta\",operation=\"POST tokenByAkSk\",outcome=\"refused\"}",
        "switchboard_token_fetches_total{center=\"beta\",outcome=\"failed\"}",
        "switchboard_token_expiry_timestamp_seconds{center=\"beta\"}",
        "switchboard_events_posted_total{center=\"acme\",outcome=\"kept\"}",
        "switchboard_events_posted_total{center=\"beta\",outcome=\"overloaded\"}",
        "switchboard_vendor_clock_offset_seconds{center=\"acme\"}",
        "switchboard_watchers{center=\"beta\"}",
        "switchboard_storage_bytes",
        "switchboard_storage_errors_total",
        concat!("switchboard_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
    ] {
        assert!(start.contains(expected), "{expected}\n{start:#?}");
    }
    if cfg!(target_os = "linux") {
        assert!(start.contains("process_open_fds") && start.contains("process_resident_memory_bytes"));
    }
    for center in ["acme", "gone"] {
        for id in ["1001", "x"] {
            let name = format!("centers/{center}/agents/{id}");
            gateway.client.call("GetAgent", json!({"name": name})).await.unwrap_err();
        }
    }
    for _ in 0..2 {
        gateway.client.call("GetSoftphoneConfig", json!({"name": "centers/beta/softphoneConfig"})).await.unwrap_err();
    }
    gateway.client.call("GetCenter", json!({"name": "centers/nowhere"})).await.unwrap_err();
    let end = series(&gateway).await;
    assert_eq!(end.difference(&start).collect::<Vec<_>>(), Vec::<&String>::new());
    let (_, text) = gateway.admin("/metrics").await;
    for line in [
        "switchboard_call_errors_total{center=\"acme\",reason=\"FIELD_INVALID\"} 1",
        "switchboard_call_errors_total{center=\"\",reason=\"CENTER_NOT_FOUND\"} 1",
        "switchboard_token_fetches_total{center=\"beta\",outcome=\"failed\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let bytes = text.lines().find_map(|line| line.strip_prefix("switchboard_storage_bytes ")).unwrap();
    assert!(bytes.parse::<u64>().unwrap() > 4096, "{bytes}");
}

/// A file with a secret that the vendor refuses is read again, and the call succeeds without a restart.
#[tokio::test]
async fn a_rotated_secret_file_is_read_again_when_the_vendor_refuses_the_old_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (token, secret) = (folder.path().join("token"), folder.path().join("secret"));
    let from_file = |center: String, secret: &str, file: &std::path::Path| {
        center.replace(&format!("\"{secret}\""), &format!("{{ file = {:?} }}", file.to_str().unwrap()))
    };
    let acme = acme(serve_router(udesk::Simulator::new(udesk_options()).router()).await);
    let beta = beta(serve_router(huawei::Simulator::new(huawei_options()).router()).await);
    let centers = from_file(acme, AUTH_TOKEN, &token) + &from_file(beta, APP_SECRET, &secret);
    fs::write(&token, "before the rotation").unwrap();
    fs::write(&secret, "before the rotation").unwrap();
    let gateway = Gateway::start(&centers).await;
    let agent = || gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/1001"}));
    assert_eq!(agent().await.unwrap_err().reason, "VENDOR_AUTH_FAILED");
    fs::write(&token, format!("{AUTH_TOKEN}\n")).unwrap();
    fs::write(&secret, format!("{APP_SECRET}\n")).unwrap();
    agent().await.unwrap();
    gateway.client.call("GetSoftphoneConfig", json!({"name": "centers/beta/softphoneConfig"})).await.unwrap();
    // A file that is no secret any more changes nothing.
    fs::write(&token, "").unwrap();
    agent().await.unwrap();
}

/// The address of somebody else's subscription may hold a secret, which a read must not show.
#[tokio::test]
async fn user_information_and_query_of_a_foreign_callback_address_are_masked() {
    let gateway = Gateway::start(&acme(serve_router(udesk::Simulator::new(udesk_options()).router()).await)).await;
    let uri = "https://crm:pa55word@crm.example.com/calls?key=t0ken";
    let events = json!(["EVENT_TYPE_CALL_QUEUED"]);
    let subscription = json!({"display_name": "crm", "callback_uri": uri, "event_types": events, "enabled": true});
    let create = json!({"parent": "centers/acme", "subscription": subscription});
    let created = gateway.client.call("CreateSubscription", create).await.unwrap();
    let name = created["name"].as_str().unwrap();
    let masked = "https://***@crm.example.com/calls?***";
    let read = || gateway.client.call("GetSubscription", json!({"name": name}));
    let renamed = json!({"subscription": {"name": name, "display_name": "CRM"}, "update_mask": "displayName"});
    let renamed = gateway.client.call("UpdateSubscription", renamed).await.unwrap();
    let listed = gateway.client.call("ListSubscriptions", json!({"parent": "centers/acme"})).await.unwrap();
    for shown in [&created, &renamed, &read().await.unwrap(), &listed["subscriptions"][0]] {
        assert_eq!(shown["callback_uri"], masked, "{shown}");
    }
    // What was read cannot be written back: the vendor would post to the mask.
    let written = json!({"name": name, "display_name": "crm", "callback_uri": masked, "event_types": events});
    let refused = gateway.client.call("UpdateSubscription", json!({"subscription": written})).await.unwrap_err();
    assert_eq!(
        (refused.reason.as_str(), refused.fields),
        ("FIELD_INVALID", vec!["subscription.callback_uri".to_owned()])
    );
}
