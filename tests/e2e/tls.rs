//! TLS with a vendor, over sockets: why a handshake fails is reported in the error, in the log and by `check --probe`.

use std::{fs, net::SocketAddr, path::Path, process::Command, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use crate::{
    secrecy::Logs,
    support::{APP_ID, APP_KEY, APP_SECRET, AUTH_TOKEN, Gateway, SID, install_cryptography},
};

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What a server does with a connection, instead of TLS.
const PROTOCOL_VERSION_ALERT: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

// === impl Authority ===

impl Authority {
    fn new(name: &str) -> Self {
        install_cryptography();
        let mut params = CertificateParams::new([]).unwrap();
        // By their names alone, one is no issuer of what the other signed.
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A vendor with a certificate for this host, which expires at the end of this year.
    async fn vendor(&self, host: &str, expiry: i32) -> SocketAddr {
        let acceptor = TlsAcceptor::from(Arc::new(self.server(host, expiry, None)));
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    respond(stream).await;
                }
            }
        })
        .await
    }

    /// A server's side, with the clients' authority if it requires their certificates.
    fn server(&self, host: &str, expiry: i32, clients: Option<&Self>) -> ServerConfig {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(expiry, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate: CertificateDer<'static> = params.signed_by(&key, &self.issuer).unwrap().into();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(clients.pem.as_bytes()).unwrap()).unwrap();
                config.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
            }
        };
        config.with_single_cert(vec![certificate], key).unwrap()
    }
}

async fn serve<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

/// A server that responds to a connection's first bytes with these, and closes it.
async fn raw(response: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(response).await;
    })
    .await
}

async fn respond(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let body = json!({"ErrCode": "000000", "Result": {"SpNumbers": []}}).to_string();
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A `ServerHello` of TLS 1.1.
fn tls_1_1() -> &'static [u8] {
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    hello.leak()
}

fn acme(address: SocketAddr) -> String {
    format!(
        "[centers.acme]\nvendor = 'udesk'\nbase_url = 'https://{address}'\napp_id = '{APP_ID}'\nsid = '{SID}'\n\
         auth_token = '{AUTH_TOKEN}'\n"
    )
}

fn beta(token: SocketAddr) -> String {
    format!(
        "[centers.beta]\nvendor = 'huawei'\nbase_url = 'https://127.0.0.1:1'\ntoken_base_url = 'https://{token}'\n\
         app_key = '{APP_KEY}'\napp_secret = '{APP_SECRET}'\n"
    )
}

/// The output of `check --probe` by a program that trusts this authority.
async fn probe(authority: &Authority, centers: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let listen = "[listen]\ngrpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n";
    fs::write(place("ca.pem"), &authority.pem).unwrap();
    fs::write(place("gateway.toml"), format!("{listen}{centers}")).unwrap();
    let (config, ca) = (place("gateway.toml"), place("ca.pem"));
    let run = move |config: &Path, ca: &Path| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        check.args(["check", "--probe", "--config"]).arg(config).env("SSL_CERT_FILE", ca).env_remove("SSL_CERT_DIR");
        check.output().unwrap()
    };
    let output = tokio::task::spawn_blocking(move || run(&config, &ca)).await.unwrap();
    let reported = String::from_utf8(output.stdout).unwrap();
    assert!(
        !reported.contains("127.0.0.1") && !reported.contains(AUTH_TOKEN) && !reported.contains(APP_SECRET),
        "{reported}"
    );
    reported
}

#[tokio::test]
async fn a_probe_says_what_is_wrong_with_a_certificate() {
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let good = trusted.vendor("127.0.0.1", 2090).await;
    let reported = probe(&trusted, &acme(good)).await;
    assert!(reported.contains("centers.acme: the vendor responds"), "{reported}");
    for (address, cause) in [
        (trusted.vendor("127.0.0.1", 2023).await, "has expired"),
        (trusted.vendor("vendor.example.com", 2090).await, "is for another host"),
        (other.vendor("127.0.0.1", 2090).await, "is from an unknown authority"),
    ] {
        for (centers, id) in [(acme(address), "acme"), (beta(address), "beta")] {
            let reported = probe(&trusted, &centers).await;
            let expected = format!(
                "centers.{id}: CENTER_MISCONFIGURED: no connection to the vendor: the vendor's TLS certificate {cause}"
            );
            assert!(reported.contains(&expected), "{reported}");
        }
    }
}

#[tokio::test]
async fn a_failed_handshake_is_reported_in_the_error_and_in_the_log() {
    let untrusted = Authority::new("trusted").vendor("127.0.0.1", 2090).await;
    let version = "neither TLS 1.2 nor TLS 1.3";
    for (address, cause) in [
        (untrusted, "unknown authority"),
        (raw(PROTOCOL_VERSION_ALERT).await, version),
        (raw(tls_1_1()).await, version),
        (raw(PLAIN_HTTP).await, "does not speak TLS"),
    ] {
        let (logs, _guard) = Logs::capture("switchboard=info");
        let gateway = Gateway::start(&acme(address)).await;
        // More than the circuit breaker counts.
        for _ in 0..10 {
            let request = json!({"name": "centers/acme/agents/7"});
            let failure = gateway.client.call("GetAgent", request).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "CENTER_MISCONFIGURED"));
            assert!(failure.message.contains(cause) && failure.metadata["cause"].contains(cause), "{failure:?}");
            assert_eq!(failure.metadata["sent"], "false");
        }
        assert!(logs.text().contains(cause), "{}", logs.text());
    }
}

#[tokio::test]
async fn a_connection_that_ends_within_the_handshake_may_be_tried_again() {
    let gateway = Gateway::start(&acme(raw(b"").await)).await;
    let failure = gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/7"})).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "VENDOR_UNAVAILABLE"));
    assert_eq!(failure.metadata["sent"], "false");
    assert_eq!(failure.metadata["cause"], "the connection was closed during the handshake");
}

/// The vendor accepts a connection and says nothing, so the handshake does not end before the deadline.
#[tokio::test]
async fn nothing_is_sent_for_a_deadline_that_passes_while_connecting() {
    let vendor = serve(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = Gateway::start(&acme(vendor)).await;
    let calls = [
        ("GetAgent", json!({"name": "centers/acme/agents/31"})),
        ("DeleteQueue", json!({"name": "centers/acme/queues/9001"})),
        (
            "StartCallback",
            json!({
                "parent": "centers/acme", "customer_number": "13900000007", "entry_number": "01055500100",
                "request_id": "5b9b1d0c-6d0c-4a3a-9a55-3a8d7c1a2f15",
            }),
        ),
    ];
    for (method, request) in calls {
        let failure = gateway.client.call_bare(method, request, Duration::from_millis(800)).await.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason.as_str()),
            (Code::DeadlineExceeded, "DEADLINE_BEFORE_SEND"),
            "{method}"
        );
        assert_eq!(failure.metadata["sent"], "false", "{method}");
    }
}

#[tokio::test]
async fn a_probe_says_why_there_is_no_connection() {
    let authority = Authority::new("trusted");
    let closed = raw(b"").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = listener.local_addr().unwrap();
    drop(listener);
    // A label of 64 characters is no name, so no server is asked.
    let unresolved = |centers: String| {
        let name = format!("{}.example", "a".repeat(64));
        centers.replace(&refused.to_string(), &name).replace("https:", "http:") + "allow_plaintext = true\n"
    };
    for (id, center) in [("acme", acme as fn(SocketAddr) -> String), ("beta", beta)] {
        for (centers, cause) in [
            (center(refused), "connection refused"),
            (center(closed), "the connection was closed during the handshake"),
            (unresolved(center(refused)), "the host name does not resolve"),
        ] {
            let printed = probe(&authority, &centers).await;
            let line = printed.lines().find(|line| line.starts_with(&format!("centers.{id}: "))).unwrap();
            assert!(line.contains("VENDOR_UNAVAILABLE") && line.ends_with(&format!(": {cause}")), "{line}");
            assert!(!line.contains("aaaa"), "{line}");
        }
    }
}

/// A vendor that requires a client certificate says so after the handshake of TLS 1.3, instead of a response.
#[tokio::test]
async fn a_vendor_that_requires_a_client_certificate_is_an_operator_s_matter() {
    let authority = Authority::new("trusted");
    let config = authority.server("127.0.0.1", 2090, Some(&authority));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let vendor = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move { drop(acceptor.accept(stream).await) }
    })
    .await;
    let printed = probe(&authority, &acme(vendor)).await;
    let cause = "centers.acme: CENTER_MISCONFIGURED: no connection to the vendor: the vendor's server requires a client \
                 certificate";
    assert!(printed.contains(cause), "{printed}");
}

/// A request that was sent over TLS may have been processed, however the connection ends.
#[tokio::test]
async fn tls_that_breaks_after_the_handshake_does_not_mean_that_nothing_was_sent() {
    let authority = Authority::new("trusted");
    let acceptor = TlsAcceptor::from(Arc::new(authority.server("127.0.0.1", 2090, None)));
    let vendor = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read_u8().await;
            // A record that is not encrypted with the connection's key.
            let (mut stream, _) = stream.into_inner();
            let _ = stream.write_all(&[[0x17, 3, 3, 0, 32].as_slice(), &[7; 32]].concat()).await;
            let _ = stream.read(&mut [0; 4096]).await;
        }
    })
    .await;
    let printed = probe(&authority, &acme(vendor)).await;
    assert!(printed.contains("centers.acme: VENDOR_UNAVAILABLE: the connection to the vendor broke"), "{printed}");
}
