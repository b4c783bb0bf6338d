//! The sandbox: the gateway with a simulator of each vendor, in one process, on loopback.
//!
//! The simulators are built from the vendors' documents and share no code with the adapters, so that a mistake does not
//! cancel itself out. Their credentials are made up anew at every start.

pub mod faults;
pub mod huawei;
pub mod udesk;

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{clock::Clock, config::Config, gateway, server::Gateway, store::Stores};

/// ID of the Udesk center.
pub const UDESK_CENTER: &str = "acme";
/// ID of the Huawei center.
pub const HUAWEI_CENTER: &str = "beta";
/// What stands in for the path segment that somebody enters in Huawei's console. It guards nothing on loopback.
pub const HUAWEI_CALLBACK_SECRET: &str = "from-the-console";

/// The sandbox's addresses.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The contract.
    pub grpc: SocketAddr,
    /// Vendor callbacks.
    pub http: SocketAddr,
    /// Metrics and probes.
    pub admin: SocketAddr,
}

/// A bound sandbox.
pub struct Sandbox {
    /// The gateway.
    pub gateway: Gateway,
    /// The simulator behind [`UDESK_CENTER`].
    pub udesk: Arc<udesk::Simulator>,
    /// The simulator behind [`HUAWEI_CENTER`].
    pub huawei: Arc<huawei::Simulator>,
    /// Where the Udesk simulator listens; its own routes are under `/simulator`.
    pub udesk_address: SocketAddr,
    /// Where the Huawei simulator listens; its own routes are under `/simulator`.
    pub huawei_address: SocketAddr,
}

/// What the simulators ask for.
pub struct Credentials {
    /// Udesk's application ID.
    pub app_id: String,
    /// Udesk's account.
    pub sid: String,
    /// Udesk's secret.
    pub auth_token: SecretString,
    /// Huawei's key.
    pub app_key: String,
    /// Huawei's secret.
    pub app_secret: SecretString,
}

// === impl Sandbox ===

impl Sandbox {
    /// Starts the simulators and binds the gateway's addresses. The Udesk simulator lives by itself, and what happens in it
    /// is told by these templates.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn bind(
        addresses: Addresses,
        event_templates: udesk::EventTemplates,
    ) -> Result<Self, gateway::StartError> {
        let credentials = Credentials::random();
        let life = Some(udesk::LIFE_PERIOD);
        let udesk = udesk::Simulator::new(udesk::Options { event_templates, life, ..udesk_options(&credentials) });
        let huawei = huawei::Simulator::new(huawei_options(&credentials));
        let udesk_address = serve_on_loopback(udesk.router()).await?;
        let huawei_address = serve_on_loopback(huawei.router()).await?;
        let config = configuration(addresses, &credentials, udesk_address, huawei_address)?;
        let clock = Clock::system();
        let stores = Stores::in_memory(&config, &clock).map_err(gateway::StartError::Stores)?;
        let gateway = gateway::bind(config, clock, stores).await?;
        Ok(Self { gateway, udesk, huawei, udesk_address, huawei_address })
    }
}

/// A simulated Udesk tenant with these credentials, filled with data.
pub fn udesk_options(credentials: &Credentials) -> udesk::Options {
    udesk::Options::new(credentials.app_id.as_str(), credentials.sid.as_str(), credentials.auth_token.clone())
}

/// A simulated Huawei tenant with these credentials, filled with data.
pub fn huawei_options(credentials: &Credentials) -> huawei::Options {
    huawei::Options {
        app_key: credentials.app_key.clone(),
        app_secret: credentials.app_secret.clone(),
        tokens: huawei::Tokens::default(),
        quirks: huawei::Quirks::default(),
        tenant: huawei::Tenant::Seeded,
        clock: {
            let clock = Clock::system();
            Arc::new(move || clock.now())
        },
    }
}

async fn serve_on_loopback(router: Router) -> Result<SocketAddr, gateway::StartError> {
    let bound = async {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(faults::serve(listener, router).into_future());
        io::Result::Ok(address)
    };
    bound.await.map_err(|error| {
        let address = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        gateway::StartError::Server(crate::server::ServerError::Bind { key: "simulator", address, error })
    })
}

/// The gateway's configuration, read like any other.
fn configuration(
    addresses: Addresses,
    credentials: &Credentials,
    udesk: SocketAddr,
    huawei: SocketAddr,
) -> Result<Config, gateway::StartError> {
    let Addresses { grpc, http, admin } = addresses;
    let Credentials { app_id, sid, auth_token, app_key, app_secret } = credentials;
    let text = format!(
        r#"
        [listen]
        grpc = "{grpc}"
        http = "{http}"
        admin = "{admin}"
        [events]
        retention_size = "64MiB"
        [centers.{UDESK_CENTER}]
        vendor = "udesk"
        display_name = "Acme (simulated Udesk tenant)"
        base_url = "http://{udesk}"
        allow_plaintext = true
        app_id = "{app_id}"
        sid = "{sid}"
        auth_token = {{ env = "AUTH_TOKEN" }}
        expose_credentials = true
        [centers.{HUAWEI_CENTER}]
        vendor = "huawei"
        display_name = "Beta (simulated Huawei tenant)"
        base_url = "http://{huawei}"
        allow_plaintext = true
        app_key = "{app_key}"
        app_secret = {{ env = "APP_SECRET" }}
        callback_secret = "{HUAWEI_CALLBACK_SECRET}"
        expose_credentials = true
        "#
    );
    let lookup = |name: &str| match name {
        "AUTH_TOKEN" => Some(auth_token.expose_secret().to_owned()),
        "APP_SECRET" => Some(app_secret.expose_secret().to_owned()),
        _ => None,
    };
    Config::parse(&text, "sandbox", &lookup).map_err(gateway::StartError::Config)
}

// === impl Credentials ===

impl Credentials {
    /// Credentials nobody had before.
    pub fn random() -> Self {
        let random = || Uuid::new_v4().simple().to_string();
        Self {
            app_id: Uuid::new_v4().to_string(),
            sid: random(),
            auth_token: random().into(),
            app_key: random(),
            app_secret: random().into(),
        }
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}
