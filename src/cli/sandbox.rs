//! `switchboard sandbox`.

mod centers;

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use self::centers::{Addresses, HUAWEI_CENTER, Sandbox, UDESK_CENTER};
use super::{Failed, addresses, shutdown, simulate::event_templates};

#[derive(Debug, Args)]
#[command(
    after_long_help = "Center acme has background traffic while a subscription exists: events of calls and agents' states."
)]
pub struct Arguments {
    /// Address of the gRPC contract; port 0 selects a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    grpc: SocketAddr,
    /// Address of vendor callbacks
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Address of /metrics, /healthz and /readyz
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
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
    let Arguments { grpc, http, admin, event_templates: directory } = arguments;
    let templates = event_templates(directory.as_deref())?;
    let sandbox = Sandbox::bind(Addresses { grpc, http, admin }, templates).await?;
    let (grpc, http, admin) = addresses(&sandbox.gateway)?;
    print_welcome(grpc, http, admin);
    print_simulators(sandbox.udesk, sandbox.huawei);
    sandbox.gateway.run(shutdown()).await.map_err(Failed::running)
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
    println!("  switchboard events tail --center {UDESK_CENTER} --grpc {grpc}");
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
