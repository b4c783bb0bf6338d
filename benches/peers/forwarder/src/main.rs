//! The least that translates a call: tonic, reqwest, serde, prost. `GetAgent` and `ListAgents` at Udesk, signed, and
//! nothing else: no limits, deadlines, retries, metrics, logs, authentication, redaction, filters, pages, and no check
//! of what it is sent. A list is one response, whatever its size.
//!
//! `forwarder --base-url URL --app-id ID --sid SID --auth-token TOKEN` prints the address that it listens on.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use contract::{
    Agent, AgentRole, AgentState, GetAgentRequest, ListAgentsRequest, ListAgentsResponse, VendorValue,
    contact_center_server::{ContactCenter, ContactCenterServer},
};
use serde::{Deserialize, de::DeserializeOwned};
use sha1::{Digest as _, Sha1};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

/// The gateway's contract.
mod contract {
    tonic::include_proto!("contactcenter.v1");
}

/// A bare forwarder of `GetAgent` and `ListAgents` to Udesk.
#[derive(Parser)]
struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Worker threads; one per core by default.
    #[arg(long)]
    workers: Option<usize>,
    /// Serve TLS with this chain of certificates.
    #[arg(long, requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key.
    #[arg(long, requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// The vendor's address. For https:// the system's certificates are trusted, or those of `SSL_CERT_FILE`.
    #[arg(long)]
    base_url: String,
    /// `AppId`.
    #[arg(long)]
    app_id: String,
    /// `Sid`.
    #[arg(long)]
    sid: String,
    /// The secret of the signature.
    #[arg(long)]
    auth_token: String,
}

/// The service.
struct Forwarder {
    http: reqwest::Client,
    base_url: String,
    app_id: String,
    sid: String,
    auth_token: String,
}

/// Udesk's response.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<T> {
    err_code: String,
    #[serde(default)]
    err_desc: String,
    result: Option<T>,
}

/// Udesk's list of agents.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Records {
    agent_list: Vec<Record>,
}

/// Udesk's agent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Record {
    agent_id: String,
    work_id: String,
    name: String,
    mobile: String,
    email: String,
    role: String,
    queues: Vec<String>,
    extensions: Vec<String>,
    def_sp_number: String,
    state: i64,
    state_des: String,
    reason_code: i64,
    reason_code_des: String,
    ext_state: i64,
    enable: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = options.workers {
        runtime.worker_threads(workers);
    }
    runtime.enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let Options { listen, tls_certificate, tls_key, base_url, app_id, sid, auth_token, .. } = options;
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut server = Server::builder();
    if let (Some(certificate), Some(key)) = (tls_certificate, tls_key) {
        let identity = Identity::from_pem(fs::read(certificate)?, fs::read(key)?);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    let http = reqwest::Client::builder().no_proxy().http1_only().build()?;
    let forwarder = Forwarder { http, base_url, app_id, sid, auth_token };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server.add_service(ContactCenterServer::new(forwarder)).serve_with_incoming(incoming).await?;
    Ok(())
}

// === impl Forwarder ===

#[tonic::async_trait]
impl ContactCenter for Forwarder {
    async fn get_agent(&self, request: Request<GetAgentRequest>) -> Result<Response<Agent>, Status> {
        let name = request.into_inner().name;
        let mut segments = name.split('/');
        let (Some("centers"), Some(center), Some("agents"), Some(id), None) =
            (segments.next(), segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(Status::invalid_argument("name: expected centers/{center}/agents/{agent}"));
        };
        let record: Record = self.get(&format!("/ccapi/v2/agents/{id}")).await?;
        Ok(Response::new(record.into_agent(center, id)))
    }

    async fn list_agents(&self, request: Request<ListAgentsRequest>) -> Result<Response<ListAgentsResponse>, Status> {
        let parent = request.into_inner().parent;
        let Some(center) = parent.strip_prefix("centers/") else {
            return Err(Status::invalid_argument("parent: expected centers/{center}"));
        };
        let Records { agent_list } = self.get("/ccapi/v2/agents").await?;
        let agents = agent_list.into_iter().map(|mut record| {
            let id = std::mem::take(&mut record.agent_id);
            record.into_agent(center, id.split('@').next().unwrap_or_default())
        });
        Ok(Response::new(ListAgentsResponse { agents: agents.collect(), ..ListAgentsResponse::default() }))
    }
}

impl Forwarder {
    /// A signed request and the `Result` of its response.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Status> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string();
        let query = [
            ("AppId", self.app_id.as_str()),
            ("Timestamp", &timestamp),
            ("Sign", &self.sign(&timestamp)),
            ("Sid", &self.sid),
        ];
        let url = format!("{}{path}", self.base_url);
        let response = self.http.get(url).query(&query).send().await.map_err(unavailable)?;
        match response.json().await.map_err(unavailable)? {
            Envelope { err_code, result: Some(result), .. } if err_code == "000000" => Ok(result),
            Envelope { err_code, err_desc, .. } => Err(Status::unknown(format!("{err_code}: {err_desc}"))),
        }
    }

    /// The signature, in lower-case hexadecimal digits.
    fn sign(&self, timestamp: &str) -> String {
        let digest =
            Sha1::new().chain_update(&self.sid).chain_update(&self.auth_token).chain_update(timestamp).finalize();
        digest.iter().fold(String::with_capacity(40), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

// === impl Record ===

impl Record {
    fn into_agent(self, center: &str, id: &str) -> Agent {
        let role = match self.role.as_str() {
            "agent" => AgentRole::Agent,
            "leader" => AgentRole::Leader,
            _ => AgentRole::Unspecified,
        };
        let state = match self.state {
            0 => AgentState::Ready,
            1 => AgentState::NotReady,
            4 => AgentState::Offline,
            _ => AgentState::Unspecified,
        };
        let value = |code: i64, description| Some(VendorValue { code: code.to_string(), description });
        let queue = |id: &String| format!("centers/{center}/queues/{}", id.split('@').next().unwrap_or_default());
        Agent {
            name: format!("centers/{center}/agents/{id}"),
            display_name: self.name,
            employee_number: self.work_id,
            mobile_number: self.mobile,
            email: self.email,
            role: role.into(),
            enabled: Some(self.enable),
            state: state.into(),
            vendor_state: value(self.state, self.state_des),
            state_reason: value(self.reason_code, self.reason_code_des),
            vendor_extension_state: value(self.ext_state, String::new()),
            queues: self.queues.iter().map(queue).collect(),
            extensions: self.extensions.iter().map(|id| format!("centers/{center}/extensions/{id}")).collect(),
            default_phone_number: format!("centers/{center}/phoneNumbers/{}", self.def_sp_number),
            ..Agent::default()
        }
    }
}

fn unavailable(error: reqwest::Error) -> Status {
    // Without the URL, which has a signature.
    Status::unavailable(error.without_url().to_string())
}
