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
#[command(after_long_help = "Credentials are taken from the environment, and made up and printed when absent:
  Udesk   UDESK_APP_ID, UDESK_SID, UDESK_AUTH_TOKEN
  Huawei  HUAWEI_APP_KEY, HUAWEI_APP_SECRET

Quirks make a simulator answer as the vendor's document does where it contradicts itself; an unknown one lists them all.

Its own routes, each with a GET unless it says otherwise:
  /simulator/requests   what it received
  /simulator/state      what it holds
  /simulator/callbacks  whom it rang, and how often (Udesk)
  /simulator/deliveries what became of its events (Udesk); POST says how often each is posted
  /simulator/events     POST: one event, to see it (Udesk)
  /simulator/faults     the rules by which it fails; POST adds one, DELETE clears them
  /simulator/reset      POST: everything as at the start
  /simulator/tokens/revoke  POST: every token ends (Huawei)

Faults make it fail while it runs, by rules in JSON. \"operation\" says what a rule befalls, e.g. \"callback2ivr\" or \
\"queryPhone\", or \"*\" for all; \"matching\" picks the calls that hold a text; \"times\" and \"probability\" (with a \
\"seed\") say how many of them. What happens is one or more of latency_ms, jitter_ms, status (with body, retry_after), \
throttle, rate, reset (before, during, after), garbage (html, truncated, not-utf8, deep, duplicate-keys, wrong-types, \
huge, gzip), drip_ms, clock_skew_s, revoke_token, partial. docs/faults.md explains every key.
  curl -d '{\"operation\": \"callback2ivr\", \"times\": 1, \"reset\": \"after\"}' http://ADDR/simulator/faults

Events of Udesk are posted to the callback addresses of subscriptions, and repeated until HTTP 200 acknowledges them. \
\"copies\" posts each that many times, \"attempts\" and \"retry_ms\" say how often and after what growing pause a copy is \
repeated. Their payloads are the simulator's own, because Udesk documents none; --event-templates replaces them.
  curl -d '{\"copies\": 2, \"attempts\": 5, \"retry_ms\": 200}' http://ADDR/simulator/deliveries
  curl -d '{\"event\": \"dtmf_gather_succ\", \"fields\": {\"Digits\": \"42\"}}' http://ADDR/simulator/events")]
pub struct Arguments {
    /// Whose simulator
    vendor: Vendor,
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// A contradiction of the vendor's document to play, e.g. text-numbers; may be repeated
    #[arg(long, value_name = "NAME")]
    quirk: Vec<String>,
    /// Calls and agents' states go on by themselves as long as somebody subscribes to them (Udesk)
    #[arg(long)]
    life: bool,
    /// Payloads of events: DIR/<event name>.json takes the place of the simulator's own (Udesk)
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
    let (credentials, made_up) = credentials();
    let router = router(&arguments, &credentials)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| Failed::running(format!("cannot listen on {}: {}", arguments.listen, error.kind())))?;
    let address = listener.local_addr().map_err(|error| Failed::running(error.kind()))?;
    print_welcome(arguments.vendor, address, &credentials, made_up);
    tokio::select! {
        served = faults::serve(listener, router) => served.map_err(|error| Failed::running(error.kind())),
        // Nothing in it is worth waiting for, least of all a call that a fault holds up.
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
                life: arguments.life.then_some(udesk::LIFE_PERIOD),
                event_templates: event_templates(arguments.event_templates.as_deref())?,
                ..credentials.udesk()
            };
            udesk::Simulator::new(options).router()
        }
        Vendor::Huawei if arguments.life || arguments.event_templates.is_some() => {
            return Err(Failed::configuration("--life and --event-templates are for udesk"));
        }
        Vendor::Huawei => {
            let quirks: Result<huawei::Quirks, _> = quirks.map(|name| name.parse::<huawei::Quirk>()).collect();
            let quirks = quirks.map_err(Failed::configuration)?;
            huawei::Simulator::new(huawei::Options { quirks, ..credentials.huawei() }).router()
        }
    })
}

/// The payloads in a directory, or the simulator's own.
pub(super) fn event_templates(directory: Option<&Path>) -> Result<udesk::EventTemplates, Failed> {
    match directory {
        Some(directory) => udesk::EventTemplates::read(directory).map_err(Failed::configuration),
        None => Ok(udesk::EventTemplates::default()),
    }
}

/// Credentials of the environment, made up where absent; and whether any was.
fn credentials() -> (Credentials, bool) {
    let Credentials { app_id, sid, auth_token, app_key, app_secret } = Credentials::random();
    let mut made_up = false;
    let mut given = |name: &str, otherwise: String| match env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => {
            made_up = true;
            otherwise
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
    (credentials, made_up)
}

/// The lines a gateway needs. A secret that the environment gave is not repeated.
fn print_welcome(vendor: Vendor, address: SocketAddr, credentials: &Credentials, made_up: bool) {
    let program = env::args().next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    println!("# {program} simulates a vendor at http://{address}. For a gateway's configuration:");
    let secret = |name: &str, secret: &SecretString| {
        let given = env::var(name).is_ok_and(|value| !value.is_empty());
        if given || !made_up { format!("{{ env = \"{name}\" }}") } else { format!("\"{}\"", secret.expose_secret()) }
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
