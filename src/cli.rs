//! The commands.

#![expect(clippy::doc_markdown, reason = "these comments are the help that people read in a terminal")]

mod events;
#[cfg(feature = "sandbox")]
mod sandbox;
#[cfg(feature = "sandbox")]
mod simulate;
#[cfg(feature = "sandbox")]
mod simulated;

use std::{fmt, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use switchboard::{
    clock::Clock,
    config::{Config, Warning},
    error::{Error, ErrorReason},
    gateway,
    store::{Stores, StoresError},
    telemetry,
};

/// Exit codes: a failure while running, and bad usage or configuration. Clap exits with 2 for bad usage, too.
const FAILED: u8 = 1;
const MISCONFIGURED: u8 = 2;

/// Longest time for a vendor to respond to a probe. A token request ends earlier and says so.
const PROBE_TIMEOUT: Duration = Duration::from_secs(11);

/// One gRPC contract for every contact center
///
/// Switchboard serves contactcenter.v1.ContactCenter and translates each call to the REST backend of the center it
/// names.
///
#[cfg_attr(feature = "sandbox", doc = "Try it at once, without any account:   switchboard sandbox\n\n")]
/// Exit codes: 0 success, 1 failure while running, 2 bad usage or configuration. RUST_LOG sets the log level, e.g.
/// RUST_LOG=switchboard=debug. Logs never contain secrets, phone numbers or names.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, max_term_width = 120, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the centers of a configuration file
    ///
    /// Runs until SIGTERM or Ctrl-C, then drains: calls in progress finish within listen.drain_timeout. A second signal
    /// exits at once. SIGHUP is logged and changes nothing.
    Serve(ConfigFile),
    /// Serve a simulated center of each vendor on loopback
    ///
    /// Requires no configuration and no account: the vendors' simulators run in the same process, each with a small
    /// center. Prints grpcurl calls to paste. Sandbox state is discarded on exit.
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Arguments),
    /// Validate a configuration file without starting
    ///
    /// Reports all errors at once, each with file, key and what is expected.
    Check(Check),
    /// Read the events of a running gateway's center
    #[command(subcommand)]
    Events(events::Command),
    /// Run the simulator of one vendor alone
    ///
    /// Prints the lines that a gateway's configuration needs for it.
    #[cfg(feature = "sandbox")]
    Simulate(simulate::Arguments),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// TOML configuration; docs/gateway.example.toml has every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Also test the storage, and send one harmless read to each center's vendor with the configured credentials
    #[arg(long)]
    probe: bool,
}

// === impl Cli ===

impl Cli {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Serve(file) => serve(file).await,
            #[cfg(feature = "sandbox")]
            Command::Sandbox(arguments) => sandbox::run(arguments).await,
            Command::Check(check) => self::check(check).await,
            Command::Events(command) => events::run(command).await,
            #[cfg(feature = "sandbox")]
            Command::Simulate(arguments) => simulate::run(arguments).await,
        };
        result.map_or_else(Failed::report, |()| ExitCode::SUCCESS)
    }
}

/// Why a command failed.
struct Failed {
    code: u8,
    message: String,
}

impl Failed {
    fn running(message: impl fmt::Display) -> Self {
        Self { code: FAILED, message: message.to_string() }
    }

    fn configuration(message: impl fmt::Display) -> Self {
        Self { code: MISCONFIGURED, message: message.to_string() }
    }

    fn report(self) -> ExitCode {
        for line in self.message.lines() {
            let _ = writeln!(telemetry::stderr(), "switchboard: {line}");
        }
        ExitCode::from(self.code)
    }
}

async fn serve(file: ConfigFile) -> Result<(), Failed> {
    let config = load(&file)?;
    let warnings = config.warnings();
    let clock = Clock::system();
    let stores = Stores::open(&config, &clock).await.map_err(|error| match error {
        // An unreachable server is no mistake in the file.
        StoresError::JetStream(_) => Failed::running(error),
        StoresError::Database(_) | StoresError::EventLog(_) => Failed::configuration(error),
    })?;
    let gateway = gateway::bind(config, clock, stores).await.map_err(Failed::running)?;
    let (grpc, http, admin) = addresses(&gateway)?;
    for Warning { key, message } in warnings {
        tracing::warn!(key, "{message}");
    }
    ignore_hangups();
    // Signals are handled before the line that says so to a supervisor.
    let shutdown = shutdown();
    tracing::info!(%grpc, %http, %admin, "serving");
    gateway.run(shutdown).await.map_err(Failed::running)
}

async fn check(check: Check) -> Result<(), Failed> {
    let config = load(&check.file)?;
    println!("{}: valid, {} center(s)", check.file.config.display(), config.centers.len());
    for warning in config.warnings() {
        eprintln!("switchboard: warning: {}: {warning}", check.file.config.display());
    }
    if !check.probe {
        return Ok(());
    }
    let mut failed = 0;
    match Stores::probe(&config).await {
        Ok(key) => println!("{key}: the gateway can store its state there"),
        Err(error) => {
            failed += 1;
            println!("{error}");
        }
    }
    let probed = gateway::probe(&config, PROBE_TIMEOUT).await.map_err(Failed::running)?;
    for probed in &probed {
        match &probed.outcome {
            Ok(()) => println!("centers.{}: the vendor responds and accepts the credentials", probed.center),
            Err(error) => {
                failed += 1;
                println!("centers.{}: {error}{}", probed.center, probe_cause(error, probed.elapsed));
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failed::running(format!("{failed} of {} probe(s) failed", 1 + probed.len()))),
    }
}

fn load(file: &ConfigFile) -> Result<Config, Failed> {
    Config::load(&file.config).map_err(Failed::configuration)
}

/// The bound addresses: gRPC, callbacks, admin.
fn addresses(
    gateway: &switchboard::server::Gateway,
) -> Result<(std::net::SocketAddr, std::net::SocketAddr, std::net::SocketAddr), Failed> {
    let addresses = || Ok((gateway.grpc_address()?, gateway.http_address()?, gateway.admin_address()?));
    addresses().map_err(|error: std::io::Error| Failed::running(error.kind()))
}

/// Handles SIGTERM and Ctrl-C from now on: the first one completes the future, a second one exits the process.
fn shutdown() -> impl Future<Output = ()> {
    let first = interrupted();
    async {
        first.await;
        let second = interrupted();
        tokio::spawn(async {
            second.await;
            tracing::warn!("second signal, exiting at once");
            telemetry::flush();
            std::process::exit(i32::from(FAILED));
        });
    }
}

#[cfg(unix)]
fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let received = |kind| {
        let signals = signal(kind);
        async {
            match signals {
                Ok(mut signals) => drop(signals.recv().await),
                Err(_) => std::future::pending().await,
            }
        }
    };
    let (terminate, interrupt) = (received(SignalKind::terminate()), received(SignalKind::interrupt()));
    async {
        tokio::select! {
            () = terminate => {}
            () = interrupt => {}
        }
    }
}

/// The cause of a failed probe, unless the error's text names it.
fn probe_cause(error: &Error, elapsed: Duration) -> String {
    match error.cause() {
        _ if error.reason() == ErrorReason::VendorTimeout && error.vendor_http_status().is_none() => {
            format!(": no response within {} s", elapsed.as_secs())
        }
        Some(cause) if !error.message().contains(cause) => format!(": {cause}"),
        _ => String::new(),
    }
}

/// SIGHUP ends a process that does not handle it, without a drain. There is nothing to reload.
#[cfg(unix)]
fn ignore_hangups() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangups) => {
            tokio::spawn(async move {
                while hangups.recv().await.is_some() {
                    tracing::warn!("SIGHUP changes nothing: restart the gateway to read its configuration again");
                }
            });
        }
        Err(error) => tracing::warn!(kind = %error.kind(), "cannot handle SIGHUP"),
    }
}

#[cfg(not(unix))]
fn ignore_hangups() {}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_without_a_response_says_how_long_it_waited_and_any_other_why_it_failed() {
        let cause = |error: Error| probe_cause(&error, Duration::from_millis(10_040));
        let timeout = || Error::new(ErrorReason::VendorTimeout, "it is safe to retry");
        assert_eq!(cause(timeout()), ": no response within 10 s");
        let unreachable = || Error::new(ErrorReason::VendorUnavailable, "the vendor is unreachable");
        assert_eq!(cause(unreachable().with("cause", "connection refused")), ": connection refused");
        assert_eq!(cause(unreachable().with("cause", "unreachable")), "", "the message says it");
        assert_eq!(cause(unreachable()), "");
    }
}
