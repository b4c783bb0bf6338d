//! `switchboard simulate`.

use std::{
    env,
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use switchboard_simulators::faults;
use tokio::net::TcpListener;

use super::{
    Failed, shutdown,
    simulated::{Credentials, Setup, VENDORS, Vendor, quoted},
};

#[derive(Debug, Args)]
#[command(after_long_help = after_help())]
pub(super) struct Arguments {
    /// The vendor to simulate
    #[arg(value_parser = vendors())]
    vendor: &'static Vendor,
    /// Address to listen on; port 0 selects a free one
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Deviation from the default responses, e.g. text-numbers; may be repeated
    #[arg(long, value_name = "NAME")]
    quirk: Vec<String>,
    /// Background traffic while a subscription exists: events of calls and agents' states
    #[arg(long = "life")]
    background_traffic: bool,
    /// Payloads of events: DIR/<event name>.json replaces the simulator's own
    #[arg(long, value_name = "DIR")]
    event_templates: Option<PathBuf>,
}

/// Routes of every simulator, and what they are for.
const ROUTES: &[(&str, &str)] = &[
    ("/simulator/requests", "requests received"),
    ("/simulator/state", "resources held"),
    ("/simulator/faults", "rules of fault injection; POST adds one, DELETE clears them"),
    ("/simulator/reset", "POST: restore the start"),
];

const FAULTS: &str = r#"Fault injection makes it fail while it runs, by rules in JSON. "operation" names the operation, e.g. "callback2ivr" or "queryPhone", or "*" for all; "matching" selects requests that contain a text; "times" and "probability" (with a "seed") limit how many. The effect is one or more of latency_ms, jitter_ms, status (with body, retry_after), throttle, rate, reset (before, during, after), garbage (html, truncated, not-utf8, deep, duplicate-keys, wrong-types, huge, gzip), drip_ms, clock_skew_s, revoke_token, partial. docs/faults.md explains every key.
  curl -d '{"operation": "callback2ivr", "times": 1, "reset": "after"}' http://ADDR/simulator/faults"#;

const EVENTS: &str = r#"Events are posted to the callback addresses of subscriptions, and retried until HTTP 200 acknowledges them. "copies" is how often each event is posted; "attempts" and "retry_ms" are the attempts for each copy and the first, growing pause between them. Payloads are the simulator's own, because the vendor documents none; --event-templates replaces them.
  curl -d '{"copies": 2, "attempts": 5, "retry_ms": 200}' http://ADDR/simulator/deliveries
  curl -d '{"event": "dtmf_gather_succ", "fields": {"Digits": "42"}}' http://ADDR/simulator/events"#;

/// The names of vendors on the command line.
fn vendors() -> impl TypedValueParser<Value = &'static Vendor> {
    let names = VENDORS.iter().map(|vendor| PossibleValue::new(vendor.name).help(vendor.product));
    PossibleValuesParser::new(names)
        .try_map(|name| VENDORS.iter().find(|vendor| vendor.name == name).ok_or("no such vendor"))
}

/// The titles of the vendors whose simulators post events.
fn with_events() -> String {
    let titles = VENDORS.iter().filter(|vendor| vendor.has_events).map(|vendor| vendor.title);
    titles.collect::<Vec<_>>().join(", ")
}

fn after_help() -> String {
    let mut help = "Credentials come from the environment. Absent ones are random and printed:\n".to_owned();
    for Vendor { title, credentials, .. } in VENDORS {
        let variables: Vec<&str> = credentials.iter().map(|credential| credential.variable).collect();
        let _ = writeln!(help, "  {title:<8}{}", variables.join(", "));
    }
    help += "\nQuirks select the other statement where the vendor's document contradicts itself. The error about an unknown \
             quirk lists them all.\n\nThe simulator's own routes, for GET unless noted:\n";
    for (route, what) in ROUTES {
        let _ = writeln!(help, "  {route:<26}{what}");
    }
    for Vendor { title, routes, .. } in VENDORS {
        for (route, what) in *routes {
            let _ = writeln!(help, "  {route:<26}{what} ({title})");
        }
    }
    let titles = with_events();
    let _ = write!(help, "\n{FAULTS}\n\nEvents, --life and --event-templates are only for {titles}. {EVENTS}");
    help
}

/// Runs one simulator until it is interrupted.
pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let Arguments { vendor, listen, quirk, background_traffic, event_templates } = arguments;
    if !vendor.has_events && (background_traffic || event_templates.is_some()) {
        let message =
            format!("{} posts no events: --life and --event-templates are only for {}", vendor.title, with_events());
        return Err(Failed::configuration(message));
    }
    let credentials = Credentials::from_environment(vendor);
    let setup = Setup { quirks: &quirk, background_traffic, event_templates: event_templates.as_deref() };
    let router = (vendor.router)(&credentials, &setup)?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failed::running(format!("cannot listen on {listen}: {}", error.kind())))?;
    let address = listener.local_addr().map_err(|error| Failed::running(error.kind()))?;
    print_welcome(vendor, address, &credentials);
    tokio::select! {
        served = faults::serve(listener, router) => served.map_err(|error| Failed::running(error.kind())),
        // Without draining: a fault may delay a request for minutes.
        () = shutdown() => Ok(()),
    }
}

/// Prints the configuration of a gateway. A secret from the environment is printed as the variable's name.
fn print_welcome(vendor: &Vendor, address: SocketAddr, credentials: &Credentials) {
    let program = env::args().next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    let address = reachable(address);
    println!("# {program} simulates a vendor at http://{address}. For a gateway's configuration:");
    let lines = vendor.configuration(address, credentials, |secret, value| match secret.given() {
        Some(_) => format!("{{ env = \"{}\" }}", secret.variable),
        None => quoted(value),
    });
    print!("{lines}");
}

/// An address to connect to from this machine, for a bound one.
pub(super) fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound {
        SocketAddr::V4(address) if address.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        address => address,
    }
}
