//! Simulated vendors as processes, and their admin routes.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::support::{ANY, Process, Result, switchboard};

/// A simulated tenant.
pub(crate) struct Simulator {
    _process: Process,
    /// Its address.
    pub address: String,
    /// Its center's configuration, without the table's name.
    center: String,
    /// A client for its admin routes under `/simulator`.
    pub client: reqwest::Client,
}

// === impl Simulator ===

impl Simulator {
    /// Starts one of this vendor.
    pub(crate) fn start(vendor: &str) -> Result<Self> {
        let mut process =
            Process(switchboard().args(["simulate", vendor, "--listen", ANY]).stdout(Stdio::piped()).spawn()?);
        let mut center = String::new();
        for line in BufReader::new(process.0.stdout.take().ok_or("no standard output")?).lines() {
            let line = line?;
            if !line.starts_with(['#', '[']) {
                center.push_str(&line);
                center.push('\n');
            }
            // The secret is the last of the lines.
            if line.starts_with("auth_token") || line.starts_with("app_secret") {
                let address =
                    center.split('"').find(|text| text.starts_with("http://")).ok_or("no address")?.to_owned();
                let client = reqwest::Client::builder().no_proxy().build().map_err(|_| "no HTTP client")?;
                return Ok(Self { _process: process, address, center, client });
            }
        }
        Err("the simulator ended".into())
    }

    /// The configuration table of its center.
    pub(crate) fn center(&self, id: &str) -> String {
        format!("[centers.{id}]\n{}", self.center)
    }

    /// Adds a fault rule.
    pub(crate) async fn fail(&self, rule: &Value) -> Result<()> {
        let request = self.client.post(format!("{}/simulator/faults", self.address)).body(rule.to_string());
        match request.send().await {
            Ok(response) if response.status() == 201 => Ok(()),
            Ok(response) => Err(response.text().await.unwrap_or_default().into()),
            Err(_) => Err("the simulator does not respond".into()),
        }
    }
}
