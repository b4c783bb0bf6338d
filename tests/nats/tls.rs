//! TLS connections. `openssl` generates the certificates.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use switchboard::config::Nats;

use crate::{
    event_log::events,
    server::Server,
    stores::{connect_with, nats},
};

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let made = made.expect("openssl is missing");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A certificate authority `ca.pem`, and the server's key and certificate, signed by it.
fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(folder.path(), &format!("{make} -subj /CN=authority -keyout ca.key -out ca.pem"));
    let of_server = "-subj /CN=server -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    openssl(folder.path(), &format!("{make} -CA ca.pem -CAkey ca.key {of_server} -keyout server.key -out server.pem"));
    folder
}

#[tokio::test]
async fn a_server_with_a_trusted_authority_is_trusted() {
    let certificates = certificates();
    let folder = certificates.path();
    let server = Server::start_with(&format!(
        "max_payload: 2MB\njetstream {{ store_dir: STORE, sync_interval: always }}\n\
         tls {{ cert_file: {:?}, key_file: {:?} }}",
        folder.join("server.pem"),
        folder.join("server.key")
    ))
    .await;
    let url = server.url().replace("nats://", "tls://");
    let error = connect_with(&Nats { url: url.as_str().into(), ..nats(&server) }, &events()).await.unwrap_err();
    assert_eq!(error.to_string(), "nats.url: the server's TLS certificate is not trusted");

    let config = folder.join("gateway.toml");
    let text = format!(
        "[listen]\ngrpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n[nats]\nurl = '{url}'\n\
         [events]\ncallback_key = 'key-of-all-gateways'\n[centers.acme]\nvendor = 'udesk'\nbase_url = 'https://acme.example.com'\n\
         app_id = 'app'\nsid = 'sid'\nauth_token = 'token'\n"
    );
    fs::write(&config, text).unwrap();
    // The variable replaces the system's trust store; a process reads it once.
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["serve", "--config"])
        .arg(&config)
        .env("SSL_CERT_FILE", folder.join("ca.pem"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // If it cannot connect, it exits and its output ends.
    let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines();
    let is_up = lines.any(|line| line.unwrap().contains("\"message\":\"serving\""));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert!(is_up);
}

#[tokio::test]
async fn one_tls_url_requires_tls_for_every_server() {
    let server = Server::start().await;
    let url = format!("{},{}", server.url(), server.url().replace("nats://", "tls://"));
    let plain = Nats { url: url.as_str().into(), ..nats(&server) };
    let error = connect_with(&plain, &events()).await.unwrap_err().to_string();
    assert_eq!(error, "nats.url: the server's TLS certificate is not trusted");
}
