//! The command line: parses it, installs telemetry, calls the library.

mod cli;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use switchboard::telemetry;

fn main() -> ExitCode {
    let command = cli::Cli::parse();
    // A panic message may contain request data: log the location only.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place = location, "panicked");
    }));
    telemetry::install_logging();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::error!("another cryptography provider is installed");
        telemetry::flush();
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(telemetry::stderr(), "switchboard: cannot start threads: {}", error.kind());
            telemetry::flush();
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command.run());
    // Tasks that still run have exceeded the drain timeout.
    runtime.shutdown_background();
    telemetry::flush();
    code
}
