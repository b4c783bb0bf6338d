//! The built program: its standard error, its signals, its file descriptors.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use switchboard_simulators::udesk;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket, time::timeout};

use crate::support::{
    acme,
    client::Client,
    http_client, install_cryptography,
    vendor::{serve_router, udesk_options},
};

/// Longer than anything here may last.
const LONG: Duration = Duration::from_secs(120);

/// A gateway in a process of its own, which ends with the test.
struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Process {
    /// Starts `switchboard serve` in a shell, after these commands of the shell, with these further lines of
    /// `[listen]`.
    fn start(before: &str, listen: &str, centers: &str) -> Self {
        install_cryptography();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gateway.toml");
        let text = format!(
            "[listen]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{listen}\n\
             [storage]\npath = {:?}\n{centers}",
            folder.path().join("switchboard.db").to_str().unwrap()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{before}\nexec \"$0\" serve --config \"$1\"")])
            .args([env!("CARGO_BIN_EXE_switchboard"), config.to_str().unwrap()])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, stderr, grpc: unknown, http: unknown, admin: unknown, _folder: folder };
        let serving = process.line("serving");
        let address = |key: &str| serving[key].as_str().unwrap().parse().unwrap();
        (process.grpc, process.http, process.admin) = (address("grpc"), address("http"), address("admin"));
        process
    }

    /// The next line of the log with this message.
    fn line(&mut self, message: &str) -> Value {
        let mut text = String::new();
        loop {
            text.clear();
            assert!(self.stderr.read_line(&mut text).unwrap() > 0, "the process ended before it logged {message:?}");
            let line: Value = serde_json::from_str(&text).unwrap_or_default();
            if line["message"].as_str().is_some_and(|found| found.starts_with(message)) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    async fn admin(&self, path: &str) -> (u16, String) {
        let response = http_client().get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A center whose vendor nobody calls.
fn unused() -> String {
    acme(SocketAddr::from(([127, 0, 0, 1], 9)))
}

#[tokio::test]
async fn a_standard_error_that_nobody_reads_stops_nothing() {
    let mut process = Process::start("", "", &unused());
    let client = Client::connect(process.grpc).await;
    // More lines than the pipe and the writer's queue hold.
    let calls = async {
        for _ in 0..60 {
            let failing = || client.call("GetCenter", json!({"name": "centers/absent"}));
            for failed in join_all((0..100).map(|_| failing())).await {
                assert_eq!(failed.unwrap_err().reason, "CENTER_NOT_FOUND");
            }
        }
    };
    timeout(LONG, calls).await.expect("calls go on");
    assert_eq!(timeout(LONG, process.admin("/healthz")).await.expect("probes go on").0, 200);
    let (_, metrics) = process.admin("/metrics").await;
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("switchboard_log_lines_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{dropped:?}");

    // The end does not wait for the reader either.
    process.signal("TERM");
    let child = &mut process.child;
    let ended = async {
        while child.try_wait().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, ended).await.expect("the process ends");
}

#[tokio::test]
async fn a_hangup_is_logged_and_changes_nothing() {
    let mut process = Process::start("", "", &unused());
    for _ in 0..2 {
        process.signal("HUP");
        assert_eq!(process.line("SIGHUP changes nothing")["level"], "WARN");
    }
    assert_eq!(process.admin("/readyz").await.0, 200);
    // It still drains, and its last lines are written.
    process.signal("TERM");
    process.line("draining");
    let mut rest = String::new();
    process.stderr.read_to_string(&mut rest).unwrap();
    assert!(process.child.wait().unwrap().success(), "{rest}");
}

#[tokio::test]
async fn as_many_connections_as_the_descriptors_permit_are_no_warning() {
    let mut process = Process::start("ulimit -S -n 256; ulimit -H -n 256", "max_connections = 96", &unused());
    // It handles signals once it serves.
    Client::connect(process.grpc).await.call("GetCenter", json!({"name": "centers/acme"})).await.unwrap();
    process.signal("TERM");
    let mut rest = String::new();
    process.stderr.read_to_string(&mut rest).unwrap();
    assert!(process.child.wait().unwrap().success() && rest.contains("draining"), "{rest}");
    assert!(!rest.contains("descriptors"), "{rest}");
}

/// From several addresses, so that the share of one address does not hide the limit of all.
#[tokio::test]
async fn unfinished_requests_leave_file_descriptors_to_calls_and_probes() {
    let vendor = udesk::Simulator::new(udesk_options());
    let center = acme(serve_router(vendor.router()).await);
    let mut process = Process::start("ulimit -S -n 200; ulimit -H -n 256", "", &center);
    // The soft limit was raised to the hard one.
    let warning = process.line("listen.max_connections exceeds");
    assert_eq!((warning["descriptors"].as_u64(), warning["connections"].as_u64()), (Some(256), Some(96)));
    let client = Client::connect(process.grpc).await;
    let mut unfinished = Vec::new();
    for index in 0..360_u16 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 2 + u8::try_from(index / 2 % 12).unwrap()], 0))).unwrap();
        let target = if index % 2 == 0 { process.http } else { process.grpc };
        let mut stream = socket.connect(target).await.unwrap();
        let _ = stream.write_all(b"P").await;
        unfinished.push(stream);
    }
    let served = async {
        for _ in 0..3 {
            let agent = client.call("GetAgent", json!({"name": "centers/acme/agents/1001"})).await.unwrap();
            assert_eq!(agent["display_name"], "Mara Lindholm");
            assert_eq!(process.admin("/healthz").await.0, 200);
            assert_eq!(process.admin("/metrics").await.0, 200);
        }
    };
    timeout(LONG, served).await.expect("calls and probes go on");
}
