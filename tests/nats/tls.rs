//! Encrypted connections. `openssl` makes the certificates.

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

/// An authority `ca.pem`, and the server's certificate and key, which it signed.
fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(folder.path(), &format!("{make} -subj /CN=authority -keyout ca.key -out ca.pem"));
    let of_server = "-subj /CN=server -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    openssl(folder.path(), &format!("{make} -CA ca.pem -CAkey ca.key {of_server} -keyout server.key -out server.pem"));
    folder
}

#[tokio::test]
async fn a_server_is_trusted_when_its_authority_is() {
    let certificates = certificates();
    let place = certificates.path();
    let server = Server::start_with(&format!(
        "max_payload: 2MB\njetstream {{ store_dir: STORE, sync_interval: always }}\n\
         tls {{ cert_file: {:?}, key_file: {:?} }}",
        place.join("server.pem"),
        place.join("server.key")
    ))
    .await;
    let url = server.url().replace("nats://", "tls://");
    let refusal = connect_with(&Nats { url: url.as_str().into(), ..nats(&server) }, &events()).await.unwrap_err();
    assert_eq!(refusal.to_string(), "nats.url: the server's TLS certificate is not trusted");

    let config = place.join("gateway.toml");
    let text = format!(
        "[listen]\ngrpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n[nats]\nurl = '{url}'\n\
         [events]\ncallback_key = 'key'\n[centers.acme]\nvendor = 'udesk'\nbase_url = 'https://acme.example.com'\n\
         app_id = 'app'\nsid = 'sid'\nauth_token = 'token'\n"
    );
    fs::write(&config, text).unwrap();
    // Whom a program trusts is the machine's, but for this variable, which is read once.
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["serve", "--config"])
        .arg(&config)
        .env("SSL_CERT_FILE", place.join("ca.pem"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends when it cannot connect, and so do its lines.
    let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines();
    let is_up = lines.any(|line| line.unwrap().contains("\"message\":\"serving\""));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert!(is_up);
}

#[tokio::test]
async fn one_encrypted_url_asks_for_encryption_everywhere() {
    let server = Server::start().await;
    let url = format!("{},{}", server.url(), server.url().replace("nats://", "tls://"));
    let plain = Nats { url: url.as_str().into(), ..nats(&server) };
    let refusal = connect_with(&plain, &events()).await.unwrap_err().to_string();
    assert_eq!(refusal, "nats.url: the server's TLS certificate is not trusted");
}
