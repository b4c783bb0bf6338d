//! The gateway and simulated vendors as processes of their own, and the simulators' admin routes.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt as _;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// An address with a port that is free.
const ANY: &str = "127.0.0.1:0";

/// A process that ends with this one.
pub struct Process(pub Child);

/// A simulated Udesk tenant.
pub struct Simulator {
    _process: Process,
    /// Where it listens.
    pub address: String,
    /// The lines of a configuration that lead to it, without the table's name.
    center: String,
    /// For its own routes, under `/simulator`.
    pub client: reqwest::Client,
}

/// The whole numbers on the command line; `None` where nobody asked for a measurement.
///
/// cargo adds `--bench`; `cargo test --benches` does not.
pub fn arguments() -> Result<Option<Vec<u64>>> {
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

/// The reason of an error of the contract; `None` for what the gateway did not say, such as a connection that broke.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

// === impl Process ===

impl Process {
    /// Starts the gateway with these centers, on free ports and with its files in `folder`. Answers a connection to it.
    pub async fn gateway(folder: &Path, centers: &str) -> Result<(Self, String)> {
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
            // Whatever else it logs must not fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
            Result::Ok(line)
        });
        let serving: Value = serde_json::from_str(&serving.await??).map_err(|_| "the gateway's log is no JSON")?;
        let address = serving["grpc"].as_str().ok_or("the gateway does not say where it listens")?;
        Ok((process, format!("http://{address}")))
    }

    /// Ends it as a power cut would: SIGKILL. Answers when it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

/// A connection to the gateway.
pub async fn connect(address: &str) -> Result<Channel> {
    Ok(Channel::from_shared(address.to_owned())?.connect().await?)
}

// === impl Simulator ===

impl Simulator {
    /// Starts one.
    pub fn start() -> Result<Self> {
        let mut process =
            Process(switchboard().args(["simulate", "udesk", "--listen", ANY]).stdout(Stdio::piped()).spawn()?);
        let mut center = String::new();
        for line in BufReader::new(process.0.stdout.take().ok_or("no standard output")?).lines() {
            let line = line?;
            if !line.starts_with(['#', '[']) {
                center.push_str(&line);
                center.push('\n');
            }
            // The secret is the last of the lines.
            if line.starts_with("auth_token") {
                let address =
                    center.split('"').find(|text| text.starts_with("http://")).ok_or("no address")?.to_owned();
                let client = reqwest::Client::builder().no_proxy().build().map_err(|_| "no HTTP client")?;
                return Ok(Self { _process: process, address, center, client });
            }
        }
        Err("the simulator ended".into())
    }

    /// The table of a configuration that leads to it.
    pub fn center(&self, id: &str) -> String {
        format!("[centers.{id}]\n{}", self.center)
    }

    /// Adds a rule of faults.
    pub async fn fail(&self, rule: &Value) -> Result<()> {
        let request = self.client.post(format!("{}/simulator/faults", self.address)).body(rule.to_string());
        match request.send().await {
            Ok(response) if response.status() == 201 => Ok(()),
            Ok(response) => Err(response.text().await.unwrap_or_default().into()),
            Err(_) => Err("the simulator does not answer".into()),
        }
    }
}

fn switchboard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
