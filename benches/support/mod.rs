//! The gateway as a process.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, ExitCode, Stdio},
};

use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// An address with a free port.
pub(crate) const ANY: &str = "127.0.0.1:0";

/// The standard error of a gateway.
pub(crate) type Log = BufReader<ChildStderr>;

/// A process that is killed on drop.
pub(crate) struct Process(pub Child);

/// The addresses that a gateway logged at its start.
pub(crate) struct Addresses(Value);

/// Runs a benchmark with the integers on the command line, and prints why it failed. Nothing runs when cargo runs it as
/// a test.
pub(crate) fn run(bench: impl FnOnce(&[u64]) -> Result<()>) -> ExitCode {
    match arguments().and_then(|arguments| arguments.map_or(Ok(()), |arguments| bench(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// cargo adds `--bench`; `cargo test --benches` does not.
fn arguments() -> Result<Option<Vec<u64>>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(None);
    }
    let numbers = arguments.iter().filter(|argument| !argument.starts_with("--"));
    numbers
        .map(|number| number.parse())
        .collect::<std::result::Result<_, _>>()
        .map(Some)
        .map_err(|_| "the arguments are whole numbers".into())
}

// === impl Process ===

impl Process {
    /// Starts the gateway with these centers, on free ports and with its files in `folder`.
    pub(crate) async fn gateway(folder: &Path, centers: &str) -> Result<(Self, Addresses)> {
        // Drains the log, so that it does not fill the pipe.
        Self::gateway_with_log(folder, centers, |mut log| drop(std::io::copy(&mut log, &mut std::io::sink()))).await
    }

    /// The same, with a reader of its log that runs in a thread of its own.
    pub(crate) async fn gateway_with_log(
        folder: &Path,
        centers: &str,
        read: impl FnOnce(Log) + Send + 'static,
    ) -> Result<(Self, Addresses)> {
        let config = folder.join("gateway.toml");
        let storage = folder.join("switchboard.db");
        let listen = format!("[listen]\ngrpc = \"{ANY}\"\nhttp = \"{ANY}\"\nadmin = \"{ANY}\"\n");
        fs::write(&config, format!("{listen}[storage]\npath = {:?}\n{centers}", storage.display().to_string()))?;
        let mut process = Self(switchboard().arg("serve").arg("--config").arg(&config).stderr(Stdio::piped()).spawn()?);
        let mut log = BufReader::new(process.0.stderr.take().ok_or("no standard error")?);
        let serving = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains("\"serving\"") {
                line.clear();
                if log.read_line(&mut line)? == 0 {
                    return Err("the gateway ended".into());
                }
            }
            std::thread::spawn(move || read(log));
            Result::Ok(line)
        });
        let serving = serde_json::from_str(&serving.await??).map_err(|_| "the gateway's log is no JSON")?;
        Ok((process, Addresses(serving)))
    }

    /// Kills it with SIGKILL and waits until it has exited.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.kill();
    }
}

// === impl Addresses ===

impl Addresses {
    /// The address of `grpc`, `http` or `admin`.
    pub(crate) fn of(&self, listener: &str) -> Result<&str> {
        self.0[listener].as_str().ok_or_else(|| "the gateway does not say where it listens".into())
    }
}

/// The endpoint of a gRPC address.
pub(crate) fn endpoint(address: &str) -> Result<Endpoint> {
    Ok(Channel::from_shared(format!("http://{address}"))?)
}

/// The program, with standard input and output closed.
pub(crate) fn switchboard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
