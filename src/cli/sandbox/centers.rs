//! The gateway with a simulator of each vendor, in one process, on loopback unless the options say otherwise.
//!
//! Every start has random credentials.

use std::{
    fmt::Write as _,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use axum::Router;
use switchboard::{clock::Clock, config::Config, gateway, server::Gateway, store::Stores};
use switchboard_simulators::faults;
use tokio::net::TcpListener;

use super::{
    super::{
        Failed,
        simulated::{Credentials, Setup, VENDORS, Vendor},
    },
    reachable,
};

/// Where the sandbox listens.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    /// The contract.
    pub grpc: Listen,
    /// Vendor callbacks.
    pub http: Listen,
    /// Metrics and probes.
    pub admin: Listen,
    /// The simulators, in the order of [`VENDORS`].
    pub simulators: Vec<Listen>,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listen {
    /// The requested address.
    pub given: Option<SocketAddr>,
    /// The port on loopback without a requested address; a free one if that is in use.
    pub port: u16,
}

/// A bound sandbox.
pub(super) struct Sandbox {
    /// The gateway.
    pub gateway: Gateway,
    /// The simulated centers.
    pub centers: Vec<SimulatedCenter>,
}

/// A simulated center.
pub(super) struct SimulatedCenter {
    /// Its vendor.
    pub vendor: &'static Vendor,
    /// Where its simulator listens; the simulator's own routes are under `/simulator`.
    pub address: SocketAddr,
}

// === impl Sandbox ===

impl Sandbox {
    /// Starts the simulators, with background traffic where they have events, and binds the gateway's addresses.
    pub(super) async fn bind(addresses: Addresses, event_templates: Option<&Path>) -> Result<Self, Failed> {
        let mut prepared = Vec::new();
        for vendor in VENDORS {
            let credentials = Credentials::random(vendor);
            let event_templates = event_templates.filter(|_| vendor.has_events);
            let setup = Setup { quirks: &[], background_traffic: vendor.has_events, event_templates };
            prepared.push((vendor, (vendor.router)(&credentials, &setup)?, credentials));
        }
        let (mut centers, mut configured) = (Vec::new(), Vec::new());
        for ((vendor, router, credentials), listen) in prepared.into_iter().zip(addresses.simulators) {
            let address = serve(listen, router).await?;
            centers.push(SimulatedCenter { vendor, address });
            configured.push((vendor, reachable(address), credentials));
        }
        let gateway = [addresses.grpc.address().await, addresses.http.address().await, addresses.admin.address().await];
        let config = configuration(gateway, &configured)?;
        let clock = Clock::system();
        let stores = Stores::in_memory(&config, &clock).map_err(Failed::running)?;
        let gateway = gateway::bind(config, clock, stores).await.map_err(Failed::running)?;
        Ok(Self { gateway, centers })
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
    centers: &[(&Vendor, SocketAddr, Credentials)],
) -> Result<Config, Failed> {
    let mut text = format!(
        r#"
        [listen]
        grpc = "{grpc}"
        http = "{http}"
        admin = "{admin}"
        # `--grpc` was refused before without `--allow-unauthenticated`.
        allow_unauthenticated = true
        [events]
        retention_size = "64MiB"
        "#
    );
    for (vendor, address, credentials) in centers {
        let Vendor { title, center: (_, display_name), sandbox_keys, .. } = vendor;
        text.push('\n');
        text +=
            &vendor.configuration(*address, credentials, |secret, _| format!("{{ env = \"{}\" }}", secret.variable));
        let _ = writeln!(
            text,
            "display_name = \"{display_name} (simulated {title} tenant)\"\n{sandbox_keys}expose_credentials = true"
        );
    }
    let lookup = |name: &str| centers.iter().find_map(|(_, _, credentials)| credentials.of_variable(name));
    Config::parse(&text, "sandbox", &lookup).map_err(Failed::running)
}
