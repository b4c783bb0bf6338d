//! The gateway with a simulator of each vendor, in one process, on loopback unless told otherwise.
//!
//! Every start has random credentials.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::Router;
use secrecy::ExposeSecret as _;
use switchboard::{clock::Clock, config::Config, gateway, server::Gateway, store::Stores};
use switchboard_simulators::{faults, huawei, udesk};
use tokio::net::TcpListener;

use super::{
    super::{Failed, credentials::Credentials},
    reachable,
};

/// ID of the Udesk center.
pub const UDESK_CENTER: &str = "acme";
/// ID of the Huawei center.
pub const HUAWEI_CENTER: &str = "beta";
/// The path segment that an operator would enter in Huawei's console. On loopback it protects nothing.
const HUAWEI_CALLBACK_SECRET: &str = "from-the-console";

/// Where the sandbox listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The contract.
    pub grpc: Listen,
    /// Vendor callbacks.
    pub http: Listen,
    /// Metrics and probes.
    pub admin: Listen,
    /// The Udesk simulator.
    pub udesk: Listen,
    /// The Huawei simulator.
    pub huawei: Listen,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// The address that was asked for.
    pub given: Option<SocketAddr>,
    /// The port on loopback when none was asked for; a free one if that is in use.
    pub port: u16,
}

/// A bound sandbox.
pub struct Sandbox {
    /// The gateway.
    pub gateway: Gateway,
    /// Where the Udesk simulator listens; its own routes are under `/simulator`.
    pub udesk: SocketAddr,
    /// Where the Huawei simulator listens; its own routes are under `/simulator`.
    pub huawei: SocketAddr,
}

// === impl Sandbox ===

impl Sandbox {
    /// Starts the simulators, the Udesk one with background traffic, and binds the gateway's addresses.
    pub async fn bind(addresses: Addresses, event_templates: udesk::EventTemplates) -> Result<Self, Failed> {
        let credentials = Credentials::random();
        let background_traffic = Some(udesk::BACKGROUND_TRAFFIC_PERIOD);
        let udesk =
            udesk::Simulator::new(udesk::Options { event_templates, background_traffic, ..credentials.udesk() });
        let huawei = huawei::Simulator::new(credentials.huawei());
        let udesk = serve(addresses.udesk, udesk.router()).await?;
        let huawei = serve(addresses.huawei, huawei.router()).await?;
        let gateway = [addresses.grpc.address().await, addresses.http.address().await, addresses.admin.address().await];
        let config = configuration(gateway, &credentials, reachable(udesk), reachable(huawei))?;
        let clock = Clock::system();
        let stores = Stores::in_memory(&config, &clock).map_err(Failed::running)?;
        let gateway = gateway::bind(config, clock, stores).await.map_err(Failed::running)?;
        Ok(Self { gateway, udesk, huawei })
    }
}

// === impl Listen ===

impl Listen {
    async fn bind(self) -> io::Result<TcpListener> {
        match self.given {
            Some(address) => TcpListener::bind(address).await,
            None => match TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
                }
                bound => bound,
            },
        }
    }

    /// The address for the gateway, which binds it by itself.
    async fn address(self) -> SocketAddr {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        match self.given {
            Some(address) => address,
            None => match self.bind().await.and_then(|listener| listener.local_addr()) {
                Ok(address) if address.port() == self.port => address,
                Ok(_) | Err(_) => any_port,
            },
        }
    }
}

async fn serve(listen: Listen, router: Router) -> Result<SocketAddr, Failed> {
    let bound = async {
        let listener = listen.bind().await?;
        let address = listener.local_addr()?;
        tokio::spawn(faults::serve(listener, router).into_future());
        io::Result::Ok(address)
    };
    bound.await.map_err(|error| {
        let cause = if error.kind() == io::ErrorKind::AddrInUse { "the address is in use" } else { "not possible" };
        let address = listen.given.map_or_else(|| "loopback".to_owned(), |address| address.to_string());
        Failed::running(format!("a simulator cannot listen on {address}: {cause}"))
    })
}

/// The gateway's configuration, read like any other.
fn configuration(
    [grpc, http, admin]: [SocketAddr; 3],
    credentials: &Credentials,
    udesk: SocketAddr,
    huawei: SocketAddr,
) -> Result<Config, Failed> {
    let Credentials { app_id, sid, auth_token, app_key, app_secret } = credentials;
    let text = format!(
        r#"
        [listen]
        grpc = "{grpc}"
        http = "{http}"
        admin = "{admin}"
        # `--grpc` was refused before without `--allow-unauthenticated`.
        allow_unauthenticated = true
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
    Config::parse(&text, "sandbox", &lookup).map_err(Failed::running)
}
