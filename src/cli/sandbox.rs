//! `switchboard sandbox`.

mod centers;

use std::{
    env,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use clap::Args;

use self::centers::{Addresses, HUAWEI_CENTER, Listen, Sandbox, UDESK_CENTER};
use super::{Failed, addresses, shutdown, simulate::event_templates};

#[derive(Debug, Args)]
#[command(
    after_long_help = "A default port that is in use is replaced by a free one; port 0 always selects a free one. The \
                       simulators require no password for their own routes: keep --udesk and --huawei on loopback or in \
                       a test network.

Center acme has background traffic while a subscription exists: events of calls and agents' states."
)]
pub struct Arguments {
    /// Address of the gRPC contract [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR")]
    grpc: Option<SocketAddr>,
    /// Address of vendor callbacks [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address of /metrics, /healthz and /readyz [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Address of the Udesk simulator of center acme [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    udesk: Option<SocketAddr>,
    /// Address of the Huawei simulator of center beta [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDR")]
    huawei: Option<SocketAddr>,
    /// Serve callers at a --grpc address outside loopback, although the gateway does not authenticate them
    #[arg(long)]
    allow_unauthenticated: bool,
    /// Payloads of Udesk's events: DIR/<event name>.json replaces the simulator's own
    #[arg(long, value_name = "DIR")]
    event_templates: Option<PathBuf>,
}

/// Calls to paste, as methods of the service. Each succeeds on a new sandbox.
const CALLS: [(&str, &str); 7] = [
    ("ListCenters", ""),
    ("GetCapabilities", r#"{"name": "centers/acme/capabilities"}"#),
    ("ListAgents", r#"{"parent": "centers/acme", "page_size": 2}"#),
    ("LoginAgent", r#"{"name": "centers/acme/agents/1004", "initial_state": "AGENT_STATE_READY"}"#),
    ("StartCallback", r#"{"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"}"#),
    ("GetSoftphoneConfig", r#"{"name": "centers/beta/softphoneConfig"}"#),
    (
        "CreateSubscription",
        r#"{"parent": "centers/acme", "subscription": {"display_name": "live", "event_types": ["EVENT_TYPE_CALL_QUEUED", "EVENT_TYPE_CALL_HUNG_UP"]}}"#,
    ),
];

/// A rule to paste.
const OUTAGE: &str = r#"{"operation": "*", "times": 3, "status": 503}"#;

/// Runs the sandbox until it is interrupted.
pub async fn run(arguments: Arguments) -> Result<(), Failed> {
    let Arguments { grpc, http, admin, udesk, huawei, allow_unauthenticated, event_templates: directory } = arguments;
    if let Some(grpc) = grpc
        && !allow_unauthenticated
        && !grpc.ip().to_canonical().is_loopback()
    {
        let message = "--grpc: an address outside loopback requires --allow-unauthenticated, because callers are not \
                       authenticated";
        return Err(Failed::configuration(message));
    }
    let listen = |given, port| Listen { given, port };
    let listeners = Addresses {
        grpc: listen(grpc, 50051),
        http: listen(http, 8080),
        admin: listen(admin, 9090),
        udesk: listen(udesk, 8081),
        huawei: listen(huawei, 8082),
    };
    let templates = event_templates(directory.as_deref())?;
    let sandbox = Sandbox::bind(listeners, templates).await?;
    let (grpc, http, admin) = addresses(&sandbox.gateway)?;
    print_welcome(reachable(grpc), reachable(http), reachable(admin));
    print_simulators(reachable(sandbox.udesk), reachable(sandbox.huawei));
    sandbox.gateway.run(shutdown()).await.map_err(Failed::running)
}

/// An address to connect to from this machine, for a bound one.
pub(super) fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound {
        SocketAddr::V4(address) if address.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        address => address,
    }
}

fn print_welcome(grpc: SocketAddr, http: SocketAddr, admin: SocketAddr) {
    println!("The sandbox is ready. Centers: acme (simulated Udesk), beta (simulated Huawei). Ctrl-C stops it.");
    println!();
    println!("  gRPC       {grpc}   contactcenter.v1.ContactCenter, reflection, health");
    println!("  callbacks  {http}");
    println!("  admin      http://{admin}/metrics, /healthz, /readyz");
    println!();
    println!("Calls to paste (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3):");
    println!();
    println!("  grpcurl -plaintext {grpc} describe contactcenter.v1.ContactCenter");
    for (method, request) in CALLS {
        let data = if request.is_empty() { String::new() } else { format!("-d '{request}' ") };
        println!("  grpcurl -plaintext {data}{grpc} contactcenter.v1.ContactCenter/{method}");
    }
    println!();
    println!("Events of {UDESK_CENTER}, one JSON object per line, until Ctrl-C:");
    println!();
    // As it was started, because it need not be on the PATH.
    let program = env::args().next().filter(|program| !program.contains(char::is_whitespace));
    let program = program.unwrap_or_else(|| "switchboard".to_owned());
    println!("  {program} events tail --center {UDESK_CENTER} --grpc {grpc}");
}

fn print_simulators(udesk: SocketAddr, huawei: SocketAddr) {
    println!();
    println!("Each simulator shows its requests and its state, and fails on demand (docs/faults.md has every fault):");
    println!();
    for (center, address) in [(UDESK_CENTER, udesk), (HUAWEI_CENTER, huawei)] {
        println!("  {center}  http://{address}/simulator/faults, /simulator/requests, /simulator/state");
    }
    println!();
    println!("Fail the next three requests to {UDESK_CENTER}, and end the outage:");
    println!();
    println!("  curl -d '{OUTAGE}' http://{udesk}/simulator/faults");
    println!("  curl -X DELETE http://{udesk}/simulator/faults");
}
