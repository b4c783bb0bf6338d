//! `switchboard simulate`.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use axum::Router;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use switchboard_simulators::{faults, huawei, udesk};
use tokio::net::TcpListener;

use super::{Failed, credentials::Credentials, shutdown};

#[derive(Debug, Args)]
#[command(after_long_help = "Credentials come from the environment. Absent ones are random and printed:
  Udesk   UDESK_APP_ID, UDESK_SID, UDESK_AUTH_TOKEN
  Huawei  HUAWEI_APP_KEY, HUAWEI_APP_SECRET

Quirks select the other statement where the vendor's document contradicts itself. The error about an unknown quirk lists \
them all.

The simulator's own routes, for GET unless noted:
  /simulator/requests   requests received
  /simulator/state      resources held
  /simulator/callbacks  customers called, and how often (Udesk)
  /simulator/deliveries outcome of each delivery of an event (Udesk); POST sets how often an event is posted
  /simulator/events     POST: dispatch one event (Udesk)
  /simulator/faults     rules of fault injection; POST adds one, DELETE clears them
  /simulator/reset      POST: restore the start
  /simulator/tokens/revoke  POST: revoke every token (Huawei)

Fault injection makes it fail while it runs, by rules in JSON. \"operation\" names the operation, e.g. \"callback2ivr\" or \
\"queryPhone\", or \"*\" for all; \"matching\" selects requests that contain a text; \"times\" and \"probability\" (with a \
\"seed\") limit how many. The effect is one or more of latency_ms, jitter_ms, status (with body, retry_after), throttle, \
rate, reset (before, during, after), garbage (html, truncated, not-utf8, deep, duplicate-keys, wrong-types, huge, gzip), \
drip_ms, clock_skew_s, revoke_token, partial. docs/faults.md explains every key.
  curl -d '{\"operation\": \"callback2ivr\", \"times\": 1, \"reset\": \"after\"}' http://ADDR/simulator/faults

Events of Udesk are posted to the callback addresses of subscriptions, and retried until HTTP 200 acknowledges them. \
\"copies\" is how often each event is posted; \"attempts\" and \"retry_ms\" are the attempts for each copy and the first, \
growing pause between them. Payloads are the simulator's own, because Udesk documents none; --event-templates replaces them.
  curl -d '{\"copies\": 2, \"attempts\": 5, \"retry_ms\": 200}' http://ADDR/simulator/deliveries
  curl -d '{\"event\": \"dtmf_gather_succ\", \"fields\": {\"Digits\": \"42\"}}' http://ADDR/simulator/events")]
pub struct Arguments {
    /// The vendor to simulate
    vendor: Vendor,
    /// Address to listen on; port 0 selects a free one
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Deviation from the default responses, e.g. text-numbers; may be repeated
    #[arg(long, value_name = "NAME")]
    quirk: Vec<String>,
    /// Background traffic while a subscription exists: events of calls and agents' states (Udesk)
    #[arg(long = "life")]
    background_traffic: bool,
    /// Payloads of events: DIR/<event name>.json replaces the simulator's own (Udesk)
    #[arg(long, value_name = "DIR")]
    event_templates: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Vendor {
    /// Udesk ccapi/v2
    Udesk,
    /// Huawei Cloud AICC
    Huawei,
}

/// Runs one simulator until it is interrupted.
pub async fn run(arguments: Arguments) -> Result<(), Failed> {
    let (credentials, any_random) = credentials();
    let router = router(&arguments, &credentials)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| Failed::running(format!("cannot listen on {}: {}", arguments.listen, error.kind())))?;
    let address = listener.local_addr().map_err(|error| Failed::running(error.kind()))?;
    print_welcome(arguments.vendor, address, &credentials, any_random);
    tokio::select! {
        served = faults::serve(listener, router) => served.map_err(|error| Failed::running(error.kind())),
        // Without draining: a fault may delay a request for minutes.
        () = shutdown() => Ok(()),
    }
}

fn router(arguments: &Arguments, credentials: &Credentials) -> Result<Router, Failed> {
    let quirks = arguments.quirk.iter();
    Ok(match arguments.vendor {
        Vendor::Udesk => {
            let quirks: Result<udesk::Quirks, _> = quirks.map(|name| name.parse::<udesk::Quirk>()).collect();
            let quirks = quirks.map_err(Failed::configuration)?;
            let options = udesk::Options {
                quirks,
                background_traffic: arguments.background_traffic.then_some(udesk::BACKGROUND_TRAFFIC_PERIOD),
                event_templates: event_templates(arguments.event_templates.as_deref())?,
                ..credentials.udesk()
            };
            udesk::Simulator::new(options).router()
        }
        Vendor::Huawei if arguments.background_traffic || arguments.event_templates.is_some() => {
            return Err(Failed::configuration("--life and --event-templates are only for udesk"));
        }
        Vendor::Huawei => {
            let quirks: Result<huawei::Quirks, _> = quirks.map(|name| name.parse::<huawei::Quirk>()).collect();
            let quirks = quirks.map_err(Failed::configuration)?;
            huawei::Simulator::new(huawei::Options { quirks, ..credentials.huawei() }).router()
        }
    })
}

/// The payloads in a directory; without one, the simulator's own.
pub(super) fn event_templates(directory: Option<&Path>) -> Result<udesk::EventTemplates, Failed> {
    match directory {
        Some(directory) => udesk::EventTemplates::read(directory).map_err(Failed::configuration),
        None => Ok(udesk::EventTemplates::default()),
    }
}

/// Credentials from the environment, random where absent, and whether any is random.
fn credentials() -> (Credentials, bool) {
    let Credentials { app_id, sid, auth_token, app_key, app_secret } = Credentials::random();
    let mut any_random = false;
    let mut given = |name: &str, random: String| match env::var(name) {
        Ok(value) if !trimmed(&value).is_empty() => trimmed(&value).to_owned(),
        _ => {
            any_random = true;
            random
        }
    };
    let secret = |secret: SecretString| secret.expose_secret().to_owned();
    let credentials = Credentials {
        app_id: given("UDESK_APP_ID", app_id),
        sid: given("UDESK_SID", sid),
        auth_token: given("UDESK_AUTH_TOKEN", secret(auth_token)).into(),
        app_key: given("HUAWEI_APP_KEY", app_key),
        app_secret: given("HUAWEI_APP_SECRET", secret(app_secret)).into(),
    };
    (credentials, any_random)
}

/// A credential without a byte order mark and line breaks: as a gateway reads it from the same variable.
fn trimmed(value: &str) -> &str {
    value.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])
}

/// Prints the configuration of a gateway. A secret from the environment is printed as the variable's name.
fn print_welcome(vendor: Vendor, address: SocketAddr, credentials: &Credentials, any_random: bool) {
    let program = env::args().next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    let address = super::sandbox::reachable(address);
    println!("# {program} simulates a vendor at http://{address}. For a gateway's configuration:");
    let secret = |name: &str, secret: &SecretString| {
        let given = env::var(name).is_ok_and(|value| !trimmed(&value).is_empty());
        if given || !any_random { format!("{{ env = \"{name}\" }}") } else { format!("\"{}\"", secret.expose_secret()) }
    };
    match vendor {
        Vendor::Udesk => {
            println!("[centers.acme]\nvendor = \"udesk\"\nbase_url = \"http://{address}\"\nallow_plaintext = true");
            println!("app_id = \"{}\"\nsid = \"{}\"", credentials.app_id, credentials.sid);
            println!("auth_token = {}", secret("UDESK_AUTH_TOKEN", &credentials.auth_token));
        }
        Vendor::Huawei => {
            println!("[centers.beta]\nvendor = \"huawei\"\nbase_url = \"http://{address}\"\nallow_plaintext = true");
            println!("app_key = \"{}\"", credentials.app_key);
            println!("app_secret = {}", secret("HUAWEI_APP_SECRET", &credentials.app_secret));
        }
    }
}
