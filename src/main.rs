//! The command line: parses it, installs telemetry, calls the library.

mod cli;

use std::{io::Write as _, process::ExitCode, time::Duration};

use clap::Parser as _;
use switchboard::telemetry;

/// Smallest allocation that the allocator maps on its own and returns to the system when it is freed, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_THRESHOLD: std::ffi::c_int = 128 * 1024;

/// Shorter than the deadlines of most calls, and long enough to cost nothing.
const TIMER_PERIOD: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    return_large_buffers();
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
    runtime.spawn(keep_timer_awake());
    let code = runtime.block_on(command.run());
    // Tasks that still run have exceeded the drain timeout.
    runtime.shutdown_background();
    telemetry::flush();
    code
}

/// Keeps the next wake-up of the timer near. An earlier timer has to wake the thread that waits for events, which
/// costs two system calls; and each call sets three, for its deadlines.
async fn keep_timer_awake() {
    loop {
        tokio::time::sleep(TIMER_PERIOD).await;
    }
}

/// Fixes the allocator's threshold at its initial value. By default glibc raises it to the size of the largest buffer
/// that was freed, and then retains the memory of such buffers: a few large responses occupy tens of megabytes forever.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a foreign function that changes a setting, before there is another thread")]
fn return_large_buffers() {
    // SAFETY: mallopt accepts any values and only returns whether it applied them; no other thread allocates yet.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn return_large_buffers() {}
