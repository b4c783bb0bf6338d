//! Faults that begin and end in the simulators.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use crate::{simulator::Simulator, support::Result};

/// How long a fault lasts, and a simulator is healthy, in milliseconds.
const PERIOD_MS: std::ops::Range<u64> = 500..8_000;

/// Lets the simulators fail in turn until stopped, then lets them be healthy.
pub(crate) async fn switch(
    simulators: Vec<Simulator>,
    mut random: fastrand::Rng,
    stopped: watch::Receiver<bool>,
) -> Result<()> {
    while !*stopped.borrow() {
        let simulator = &simulators[random.usize(..simulators.len())];
        simulator.fail(&rule(&mut random)).await?;
        sleep(Duration::from_millis(random.u64(PERIOD_MS))).await;
        if random.bool() {
            recover(simulator).await?;
            sleep(Duration::from_millis(random.u64(PERIOD_MS))).await;
        }
        // Rules add up until they are cleared.
        if random.u8(..8) == 0 {
            for simulator in &simulators {
                recover(simulator).await?;
            }
        }
    }
    for simulator in &simulators {
        recover(simulator).await?;
    }
    Ok(())
}

async fn recover(simulator: &Simulator) -> Result<()> {
    match simulator.client.delete(format!("{}/simulator/faults", simulator.address)).send().await {
        Ok(response) if response.status() == 204 => Ok(()),
        _ => Err("the simulator does not clear its faults".into()),
    }
}

/// A rule of `docs/faults.md`.
fn rule(random: &mut fastrand::Rng) -> Value {
    let garbage = ["html", "truncated", "not-utf8", "deep", "duplicate-keys", "wrong-types", "huge", "gzip"];
    let faults = [
        json!({ "latency_ms": 200, "jitter_ms": 3_000 }),
        json!({ "latency_ms": 600_000 }),
        json!({ "latency_ms": 600_000, "processed": true }),
        json!({ "status": 500 }),
        json!({ "status": 502, "body": "<h1>Bad Gateway</h1>", "processed": true }),
        json!({ "status": 503, "retry_after": 1 }),
        json!({ "status": 418 }),
        json!({ "throttle": true }),
        json!({ "rate": 20 }),
        json!({ "reset": "before" }),
        json!({ "reset": "during" }),
        json!({ "reset": "after" }),
        json!({ "garbage": garbage[random.usize(..garbage.len())] }),
        json!({ "drip_ms": 20 }),
        json!({ "clock_skew_s": 7200 }),
    ];
    let mut rule = faults[random.usize(..faults.len())].clone();
    rule["operation"] = "*".into();
    rule["probability"] = random.f64().into();
    rule["seed"] = random.u32(..).into();
    rule
}
