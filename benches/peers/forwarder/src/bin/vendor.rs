//! A vendor that costs next to nothing: one thread, HTTP/1.1 with keep-alive, responses from memory. It checks no
//! signature, and answers `GET /ccapi/v2/agents/{id}` with one agent and `GET /ccapi/v2/agents` with all of them, as
//! Udesk's document shows them.
//!
//! `vendor --agents 10000` prints the address that it listens on, and one where `GET /counts` says what it answered.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use clap::Parser;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

const FIRST_ID: u64 = 100_001;

/// A stub of Udesk's agents.
#[derive(Parser)]
struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many agents the list has.
    #[arg(long, default_value_t = 100)]
    agents: u64,
    /// Serve TLS with this chain of certificates.
    #[arg(long, requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key.
    #[arg(long, requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

/// What was answered, beside `/counts` itself.
#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
}

struct Vendor {
    list: Bytes,
    counts: Counts,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let Options { listen, agents, tls_certificate, tls_key } = options;
    let tls = match (tls_certificate, tls_key) {
        (Some(certificate), Some(key)) => Some(acceptor(&certificate, &key)?),
        _ => None,
    };
    let vendor = Arc::new(Vendor { list: list(agents).into(), counts: Counts::default() });
    let listener = TcpListener::bind(listen).await?;
    let admin = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    println!("counts at {}", admin.local_addr()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                vendor.counts.connections.fetch_add(1, Relaxed);
                let (vendor, tls) = (Arc::clone(&vendor), tls.clone());
                tokio::spawn(async move {
                    // A peer that goes away needs no answer.
                    let _ = match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => converse(stream, |path| vendor.respond(path)).await,
                            Err(error) => Err(error),
                        },
                        None => converse(stream, |path| vendor.respond(path)).await,
                    };
                });
            }
            accepted = admin.accept() => {
                let (stream, _) = accepted?;
                let vendor = Arc::clone(&vendor);
                tokio::spawn(async move { converse(stream, |_| (vendor.counts.json().into(), None)).await });
            }
        }
    }
}

fn acceptor(certificate: &PathBuf, key: &PathBuf) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_slice_iter(&fs::read(certificate)?).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(key)?)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Requests one after the other, each without a body or with a chunked one that is empty, as Envoy sends it. A response
/// is a head with its body, or a head and a long body.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    respond: impl Fn(&str) -> (Vec<u8>, Option<Bytes>),
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    while read_until(&mut stream, &mut buffer, 0).await? {
        let mut end = find(&buffer, b"\r\n\r\n").map_or(0, |start| start + 4);
        if find(&buffer[..end].to_ascii_lowercase(), b"transfer-encoding: chunked").is_some() {
            // The last chunk: "0", and the empty line.
            if !read_until(&mut stream, &mut buffer, end).await? || !buffer[end..].starts_with(b"0\r\n\r\n") {
                return Ok(());
            }
            end += 5;
        }
        let target = buffer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let (head, body) = respond(std::str::from_utf8(path).unwrap_or_default());
        buffer.drain(..end);
        stream.write_all(&head).await?;
        if let Some(body) = body {
            stream.write_all(&body).await?;
        }
        stream.flush().await?;
    }
    Ok(())
}

/// Whether an empty line came, after so many bytes of the buffer. Otherwise the peer has gone, or says too much.
async fn read_until<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>, from: usize) -> std::io::Result<bool> {
    while find(&buffer[from..], b"\r\n\r\n").is_none() {
        if buffer.len() > 16 * 1024 || stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

// === impl Vendor ===

impl Vendor {
    fn respond(&self, path: &str) -> (Vec<u8>, Option<Bytes>) {
        let (head, body) = if path == "/ccapi/v2/agents" {
            (head("200 OK", self.list.len()), Some(self.list.clone()))
        } else if let Some(id) = path.strip_prefix("/ccapi/v2/agents/") {
            let agent = agent(id);
            let mut response = head("200 OK", ENVELOPE.0.len() + agent.len() + ENVELOPE.1.len());
            for part in [ENVELOPE.0, &agent, ENVELOPE.1] {
                response.extend_from_slice(part.as_bytes());
            }
            (response, None)
        } else {
            (head("404 Not Found", 0), None)
        };
        let size = head.len() + body.as_ref().map_or(0, Bytes::len);
        self.counts.requests.fetch_add(1, Relaxed);
        self.counts.bytes.fetch_add(size as u64, Relaxed);
        (head, body)
    }
}

// === impl Counts ===

impl Counts {
    fn json(&self) -> Vec<u8> {
        let Self { connections, requests, bytes } = self;
        let json = format!(
            r#"{{"connections":{},"requests":{},"bytes":{}}}"#,
            connections.load(Relaxed),
            requests.load(Relaxed),
            bytes.load(Relaxed)
        );
        let mut response = head("200 OK", json.len());
        response.extend_from_slice(json.as_bytes());
        response
    }
}

const ENVELOPE: (&str, &str) = (r#"{"ErrCode":"000000","ErrDesc":"OK","Result":"#, "}");

fn head(status: &str, length: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut response = Vec::with_capacity(1024);
    response.extend_from_slice(head.as_bytes());
    response
}

/// The whole answer of operation 6.
fn list(agents: u64) -> Vec<u8> {
    let ids = FIRST_ID..FIRST_ID + agents;
    let agents_json: Vec<String> = ids.map(listed_agent).collect();
    let page = format!(r#"{{"CurrPage":1,"PageSize":{agents},"Total":{agents},"TotalPage":1,"AgentList":["#);
    [ENVELOPE.0, &page, &agents_json.join(","), "]}", ENVELOPE.1].concat().into_bytes()
}

/// An agent, as in the example of operation 6.
fn listed_agent(id: u64) -> String {
    format!(
        concat!(
            r#"{{"AppId":"7859ff65-0e6a-4340-6cae-a6e3c39a6012","AgentId":"{id}","WorkId":"W{id}","#,
            r#""Name":"Agent {id}","Mobile":"13277665543","Email":"agent-{id}@example.com","Role":"agent","#,
            r#""Queues":["9003@7859ff65-0e6a-4340-6cae-a6e3c39a6012"],"QueuesNames":null,"#,
            r#""Extensions":["1145","1146"],"DefSpNumber":"057126200670","State":4,"ExtState":0,"#,
            r#""WrapUpTime":0,"OutWrapUpTime":0,"Enable":true,"ExtenInfos":null}}"#
        ),
        id = id
    )
}

/// An agent, as in the example of operation 25.
fn agent(id: &str) -> String {
    format!(
        concat!(
            r#"{{"AppId":"7859ff65-0e6a-4340-6cae-a6e3c39a6012","AgentId":"{id}@7859ff65-0e6a","WorkId":"W{id}","#,
            r#""Name":"Agent {id}","NickName":"agent-{id}","Mobile":"13277665543","Email":"agent-{id}@example.com","#,
            r#""Role":"agent","Queues":["9003@7859ff65-0e6a","9004@7859ff65-0e6a"],"QueuesNames":["A","B"],"#,
            r#""Extensions":["1145"],"DefSpNumber":"057126200670","State":4,"StateDes":"offline","ReasonCode":0,"#,
            r#""ReasonCodeDes":"","ExtState":0,"Enable":true,"#,
            r#""ExtenInfos":[{{"Number":"","Extension":"1145","Password":"x","SignalType":"voip"}}]}}"#
        ),
        id = id
    )
}
