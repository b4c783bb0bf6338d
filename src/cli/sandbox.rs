//! `switchboard sandbox`.

mod centers;

use std::{env, net::SocketAddr, path::PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use self::centers::{Addresses, Listen, Sandbox, SimulatedCenter};
use super::{
    Failed, addresses, shutdown,
    simulate::reachable,
    simulated::{VENDORS, Vendor},
};

#[derive(Debug, Args)]
#[command(after_long_help = after_help())]
pub(super) struct Arguments {
    /// Address of the gRPC contract [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR")]
    grpc: Option<SocketAddr>,
    /// Address of vendor callbacks [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address of /metrics, /healthz and /readyz [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    simulators: SimulatorAddresses,
    /// Serve callers at a --grpc address outside loopback, although the gateway does not authenticate them
    #[arg(long)]
    allow_unauthenticated: bool,
    /// Payloads of simulated events: DIR/<event name>.json replaces the simulator's own
    #[arg(long, value_name = "DIR")]
    event_templates: Option<PathBuf>,
}

/// The addresses of the simulators, in the order of [`VENDORS`]: one option per vendor.
#[derive(Debug)]
struct SimulatorAddresses(Vec<Option<SocketAddr>>);

/// A rule to paste.
const OUTAGE: &str = r#"{"operation": "*", "times": 3, "status": 503}"#;

// === impl SimulatorAddresses ===

impl Args for SimulatorAddresses {
    fn augment_args(command: Command) -> Command {
        VENDORS.iter().fold(command, |command, Vendor { name, title, center: (center, _), port, .. }| {
            let help = format!("Address of the {title} simulator of center {center} [default: 127.0.0.1:{port}]");
            command
                .arg(Arg::new(*name).long(*name).value_name("ADDR").value_parser(value_parser!(SocketAddr)).help(help))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SimulatorAddresses {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(VENDORS.iter().map(|vendor| matches.get_one(vendor.name).copied()).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn after_help() -> String {
    let options = VENDORS.iter().map(|vendor| format!("--{}", vendor.name)).collect::<Vec<_>>().join(", ");
    let lively = VENDORS.iter().filter(|vendor| vendor.has_events).map(|vendor| {
        let center = vendor.center.0;
        format!("\n\nCenter {center} has background traffic while a subscription exists: events of calls and agents' states.")
    });
    format!(
        "A default port that is in use is replaced by a free one; port 0 always selects a free one. The simulators \
         require no password for their own routes: keep their addresses ({options}) on loopback or in a test network.{}",
        lively.collect::<String>()
    )
}

/// Runs the sandbox until it is interrupted.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let Arguments { grpc, http, admin, simulators, allow_unauthenticated, event_templates } = arguments;
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
        simulators: VENDORS.iter().zip(simulators.0).map(|(vendor, given)| listen(given, vendor.port)).collect(),
    };
    let sandbox = Sandbox::bind(listeners, event_templates.as_deref()).await?;
    let (grpc, http, admin) = addresses(&sandbox.gateway)?;
    print_welcome(reachable(grpc), reachable(http), reachable(admin));
    print_simulators(&sandbox.centers);
    sandbox.gateway.run(shutdown()).await.map_err(Failed::running)
}

fn print_welcome(grpc: SocketAddr, http: SocketAddr, admin: SocketAddr) {
    let centers = VENDORS.iter().map(|vendor| format!("{} (simulated {})", vendor.center.0, vendor.title));
    let centers = centers.collect::<Vec<_>>().join(", ");
    println!("The sandbox is ready. Centers: {centers}. Ctrl-C stops it.");
    println!();
    println!("  gRPC       {grpc}   contactcenter.v1.ContactCenter, reflection, health");
    println!("  callbacks  {http}");
    println!("  admin      http://{admin}/metrics, /healthz, /readyz");
    println!();
    println!("Calls to paste (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3):");
    println!();
    println!("  grpcurl -plaintext {grpc} describe contactcenter.v1.ContactCenter");
    println!("  grpcurl -plaintext {grpc} contactcenter.v1.ContactCenter/ListCenters");
    for (method, request) in VENDORS.iter().flat_map(|vendor| vendor.calls) {
        println!("  grpcurl -plaintext -d '{request}' {grpc} contactcenter.v1.ContactCenter/{method}");
    }
    // As it was started, because it need not be on the PATH.
    let program = env::args().next().filter(|program| !program.contains(char::is_whitespace));
    let program = program.unwrap_or_else(|| "switchboard".to_owned());
    for vendor in VENDORS.iter().filter(|vendor| vendor.has_events) {
        let center = vendor.center.0;
        println!();
        println!("Events of {center}, one JSON object per line, until Ctrl-C:");
        println!();
        println!("  {program} events tail --center {center} --grpc {grpc}");
    }
}

fn print_simulators(centers: &[SimulatedCenter]) {
    println!();
    println!("Each simulator shows its requests and its state, and fails on demand (docs/faults.md has every fault):");
    println!();
    for SimulatedCenter { vendor, address } in centers {
        let center = vendor.center.0;
        println!("  {center}  http://{}/simulator/faults, /simulator/requests, /simulator/state", reachable(*address));
    }
    if let Some(SimulatedCenter { vendor, address }) = centers.first() {
        let (center, address) = (vendor.center.0, reachable(*address));
        println!();
        println!("Fail the next three requests to {center}, and end the outage:");
        println!();
        println!("  curl -d '{OUTAGE}' http://{address}/simulator/faults");
        println!("  curl -X DELETE http://{address}/simulator/faults");
    }
}
