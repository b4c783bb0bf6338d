//! Latency at a healthy center, with and without a center whose vendor hangs.
//!
//! `cargo bench --bench load [-- CALLERS [SECONDS [PERIOD_MS]]]` starts two simulated Udesk tenants and one
//! gateway as processes. One tenant responds after 20 ms, the other never. Half of the callers call `GetAgent` at the
//! healthy center, first alone and then while the other half calls the hanging one. Each caller makes one call at a
//! time and begins one every period, two seconds by default, or as soon as the previous one has ended. It prints the
//! latency at the healthy center, the errors at the hanging one, and the gateway's memory and threads. Linux only,
//! because those come from `/proc`.

#[path = "support/reason.rs"]
mod reason;
#[path = "support/simulator.rs"]
mod simulator;
mod support;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    ops::Range,
    process::ExitCode,
    time::{Duration, Instant},
};

use reason::reason;
use serde_json::json;
use simulator::Simulator;
use support::{Process, Result, endpoint};
use switchboard::proto::v1::{GetAgentRequest, contact_center_client::ContactCenterClient};
use tokio::task::JoinSet;
use tonic::{Request, transport::Channel};

/// Default number of callers, and seconds of a phase.
const CALLERS: u64 = 2_000;
const SECONDS: u64 = 10;
/// Callers per connection: the gateway allows 200 concurrent streams on one.
const CALLERS_PER_CONNECTION: u64 = 100;
/// Default period of a caller, in milliseconds.
const PERIOD_MS: u64 = 2_000;
const DEADLINE: Duration = Duration::from_secs(5);
/// Response time of the healthy vendor, in milliseconds.
const HEALTHY_MS: u64 = 20;

/// The results of one center's callers.
#[derive(Default)]
struct Seen {
    /// Latencies of successful calls.
    latencies: Vec<Duration>,
    /// How often each reason occurred, and its longest latency.
    failures: BTreeMap<String, (u64, Duration)>,
}

fn main() -> ExitCode {
    support::run(run)
}

fn run(arguments: &[u64]) -> Result<()> {
    let callers = arguments.first().copied().unwrap_or(CALLERS);
    let phase = Duration::from_secs(arguments.get(1).copied().unwrap_or(SECONDS));
    let period = Duration::from_millis(arguments.get(2).copied().unwrap_or(PERIOD_MS));
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "two providers of cryptography")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(callers / 2, phase, period))
}

async fn measure(half: u64, phase: Duration, period: Duration) -> Result<()> {
    let (healthy, sick) = (Simulator::start("udesk")?, Simulator::start("udesk")?);
    healthy.fail(&json!({ "operation": "*", "latency_ms": HEALTHY_MS })).await?;
    sick.fail(&json!({ "operation": "*", "latency_ms": 600_000 })).await?;
    let folder = tempfile::tempdir()?;
    let centers = format!("{}{}", healthy.center("healthy"), sick.center("sick"));
    let (gateway, addresses) = Process::gateway(folder.path(), &centers).await?;
    let address = addresses.of("grpc")?;

    let build = if cfg!(debug_assertions) { "debug build, which says nothing" } else { "release build" };
    println!(
        "machine      {} processors; switchboard {}, {build}",
        std::thread::available_parallelism()?,
        env!("CARGO_PKG_VERSION")
    );
    println!(
        "callers      {half} at the healthy center, {half} at the sick one; a call every {} ms, deadline {} s",
        period.as_millis(),
        DEADLINE.as_secs()
    );
    println!(
        "vendors      the healthy one responds after {HEALTHY_MS} ms, the sick one never; {} s a phase",
        phase.as_secs()
    );

    // Opens connections and fills caches.
    call(address, "healthy", half, period, period).await?;
    println!("idle         {}", resources(&gateway)?);
    let alone = call(address, "healthy", half, phase, period).await?;
    println!("without      {}", alone.shown());
    println!("             {}", resources(&gateway)?);
    let (beside, hanging) =
        tokio::join!(call(address, "healthy", half, phase, period), call(address, "sick", half, phase, period));
    let (beside, hanging) = (beside?, hanging?);
    println!("with         {}", beside.shown());
    println!("             {}", resources(&gateway)?);
    println!("sick         {}", hanging.shown());
    Ok(())
}

/// Calls a center for a while.
async fn call(address: &str, center: &str, callers: u64, phase: Duration, period: Duration) -> Result<Seen> {
    let mut channels = Vec::new();
    for _ in 0..callers.div_ceil(CALLERS_PER_CONNECTION) {
        channels.push(endpoint(address)?.connect().await?);
    }
    let begin = tokio::time::Instant::now();
    let end = begin + phase;
    let mut running = JoinSet::new();
    for (place, channel) in (0..callers).zip(channels.iter().cycle()) {
        // Spread over the period, so that callers are not in step.
        let wait = period.mul_f64(fraction(place, callers));
        let first = begin + wait;
        running.spawn(caller(channel.clone(), center.to_owned(), first..end, period));
    }
    let mut seen = Seen::default();
    while let Some(ended) = running.join_next().await {
        seen.add(ended?);
    }
    Ok(seen)
}

async fn caller(channel: Channel, center: String, time: Range<tokio::time::Instant>, period: Duration) -> Seen {
    let mut client = ContactCenterClient::new(channel);
    let mut seen = Seen::default();
    let mut next = time.start;
    while next < time.end {
        tokio::time::sleep_until(next).await;
        let name = format!("centers/{center}/agents/1001");
        let mut request = Request::new(GetAgentRequest { name, ..GetAgentRequest::default() });
        request.set_timeout(DEADLINE);
        let start = Instant::now();
        match client.get_agent(request).await {
            Ok(_) => seen.latencies.push(start.elapsed()),
            Err(status) => {
                let reason =
                    reason(&status).unwrap_or_else(|| format!("{:?} (said by the client itself)", status.code()));
                seen.failed(reason, 1, start.elapsed());
            }
        }
        next = (next + period).max(tokio::time::Instant::now());
    }
    seen
}

/// Memory and threads of a process, from the kernel.
fn resources(process: &Process) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id()))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("the kernel tells no such figure")?;
        Ok(line.trim_start_matches(':').split_whitespace().next().unwrap_or_default().parse()?)
    };
    let [now, most] = [field("VmRSS")?, field("VmHWM")?].map(mebibytes);
    Ok(format!("{now:.1} MiB resident, {most:.1} MiB at most, {} threads", field("Threads")?))
}

#[expect(clippy::cast_precision_loss, reason = "for people, to one decimal place")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "callers are a few thousand")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

// === impl Seen ===

impl Seen {
    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        for (reason, (times, longest)) in other.failures {
            self.failed(reason, times, longest);
        }
    }

    fn failed(&mut self, reason: String, times: u64, longest: Duration) {
        let (all, most) = self.failures.entry(reason).or_default();
        *all += times;
        *most = longest.max(*most);
    }

    fn shown(&self) -> String {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let mut shown = format!("{} succeeded", latencies.len());
        for (name, share) in [("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)] {
            // The nearest rank: the smallest value that so many percent do not exceed.
            let rank = (latencies.len() * share).div_ceil(100).max(1);
            if let Some(latency) = latencies.get(rank - 1) {
                let _ = write!(shown, ", {name} {:.1} ms", latency.as_secs_f64() * 1e3);
            }
        }
        for (reason, (times, longest)) in &self.failures {
            let _ = write!(shown, "; {times} x {reason} within {:.1} s", longest.as_secs_f64());
        }
        shown
    }
}
