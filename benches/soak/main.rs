//! Runs everything at once for a long time, with vendors that fail at random.
//!
//! `cargo bench --bench soak [-- MINUTES [SEED]]` starts a nats-server, a simulated tenant of each vendor and the
//! gateway as processes. Callers make reads and writes with random deadlines, a vendor posts callbacks, and a watcher
//! follows them. Meanwhile faults begin and end in the simulators, peers connect and do not go on, the reader of the
//! gateway's log is slow, and the nats-server is killed and restarted. It fails if
//!
//! - a response arrives after the deadline of its call,
//! - an acknowledged callback does not reach the watcher, or reaches it twice,
//! - memory or file descriptors grow after the first minute.
//!
//! The seed is printed; the same seed selects the same faults in the same order. Linux only: memory and descriptors
//! come from `/proc`.

mod callbacks;
mod calls;
mod faults;
mod peers;
#[path = "../support/poster.rs"]
#[expect(dead_code, reason = "its center has a vendor here")]
mod poster;
mod samples;
#[path = "../../tests/nats/server.rs"]
#[expect(dead_code, clippy::expect_used, clippy::unwrap_used, reason = "made for tests, which need more of it")]
mod server;
#[path = "../support/simulator.rs"]
mod simulator;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the log has a reader of its own here")]
mod support;

use std::{
    io::Read as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use self::{
    callbacks::Callbacks,
    calls::Calls,
    samples::Samples,
    server::Server,
    simulator::Simulator,
    support::{Log, Process, Result},
};

/// Default duration, in minutes.
const MINUTES: u64 = 30;
/// The first minute is not compared.
const MIN_MINUTES: u64 = 2;
/// The vendors, and the centers that the simulators' configurations become.
const CENTERS: [(&str, &str); 2] = [("udesk", "acme"), ("huawei", "beta")];
/// The secret in the path of the poster's requests, for the last center.
const CALLBACK_SECRET: &str = "callback_secret = \"console-secret-9f3a\"\n";
/// Callers of each center.
const CALLERS: usize = 6;
/// The slow reader of the gateway's log: bytes, and the pause before the next ones.
const LOG_BYTES: usize = 512;
const LOG_PAUSE: Duration = Duration::from_millis(250);
/// Between two kills of the nats-server, and how long it is down, in milliseconds.
const STORE_UP_MS: std::ops::Range<u64> = 30_000..90_000;
const STORE_DOWN_MS: std::ops::Range<u64> = 200..5_000;
/// How long the watcher may need at the end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long after its deadline a response may arrive at a busy machine.
const MAX_LATENESS: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    support::run(run)
}

fn run(arguments: &[u64]) -> Result<()> {
    let minutes = arguments.first().copied().unwrap_or(MINUTES);
    if minutes < MIN_MINUTES {
        return Err(format!("the first argument is at least {MIN_MINUTES} minutes").into());
    }
    let seed = arguments.get(1).copied().unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    println!("soak         {minutes} minutes; replay with: cargo bench --bench soak -- {minutes} {seed}");
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "two providers of cryptography")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(soak(minutes, fastrand::Rng::with_seed(seed)))
}

async fn soak(minutes: u64, mut random: fastrand::Rng) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut store = Server::start_quick().await;
    let mut simulators = Vec::new();
    let mut tables = format!("[events]\ncallback_key = \"key-of-the-gateways\"\n[nats]\nurl = \"{}\"\n", store.url());
    for (vendor, center) in CENTERS {
        let simulator = Simulator::start(vendor)?;
        tables += &simulator.center(center);
        simulators.push(simulator);
    }
    tables += CALLBACK_SECRET;
    let (gateway, addresses) = Process::gateway_with_log(folder.path(), &tables, read_slowly).await?;
    let (grpc, http) = (addresses.of("grpc")?.to_owned(), addresses.of("http")?.to_owned());

    let (stop, stopped) = watch::channel(false);
    let (calls, callbacks) = (Calls::default(), Callbacks::default());
    let mut running = JoinSet::new();
    for (_, center) in CENTERS {
        for _ in 0..CALLERS {
            running.spawn(calls::call(grpc.clone(), center, calls.clone(), random.fork(), stopped.clone()));
        }
    }
    running.spawn(callbacks::post(http.clone(), callbacks.clone(), stopped.clone()));
    let mut watching = tokio::spawn(callbacks::watch(grpc.clone(), callbacks.clone()));
    running.spawn(peers::connect([grpc, http], random.fork(), stopped.clone()));
    running.spawn(faults::switch(simulators, random.fork(), stopped.clone()));

    let mut samples = Samples::new(gateway.0.id())?;
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut next_kill = Instant::now() + milliseconds(&mut random, STORE_UP_MS);
    let mut kills = 0;
    while Instant::now() < end {
        sleep(Duration::from_secs(1)).await;
        if let Some(minute) = samples.take()? {
            println!("{minute}; {calls}; {callbacks}");
        }
        if let Some(ended) = running.try_join_next() {
            return ended?.and(Err("a part of the load ended early".into()));
        }
        if watching.is_finished() {
            return watching.await?.and(Err("the watcher ended early".into()));
        }
        if next_kill < Instant::now() {
            store.kill();
            sleep(milliseconds(&mut random, STORE_DOWN_MS)).await;
            store.restart().await;
            next_kill = Instant::now() + milliseconds(&mut random, STORE_UP_MS);
            kills += 1;
        }
    }
    stop.send_replace(true);
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let delivered = tokio::select! {
        ended = &mut watching => return ended?.and(Err("the watcher ended early".into())),
        delivered = timeout(FINISH_TIMEOUT, callbacks.all_delivered()) => delivered,
    };
    watching.abort();
    println!("store        {kills} kills");
    println!("calls        {calls}");
    println!("callbacks    {callbacks}");
    delivered.map_err(|_| "an acknowledged callback did not reach the watcher")?;
    let unexpected = callbacks.unexpected();
    if unexpected > 0 {
        return Err(format!("{unexpected} callbacks were delivered twice, or delivered and never acknowledged").into());
    }
    let lateness = calls.lateness();
    println!("deadlines    the latest response came {} ms after its deadline", lateness.as_millis());
    if lateness > MAX_LATENESS {
        return Err("a response came after its deadline".into());
    }
    println!("{}", samples.verdict()?);
    Ok(())
}

/// A reader that is slower than the gateway writes.
#[expect(clippy::disallowed_methods, reason = "it has a thread of its own")]
fn read_slowly(mut log: Log) {
    let mut bytes = [0; LOG_BYTES];
    while let Ok(1..) = log.read(&mut bytes) {
        std::thread::sleep(LOG_PAUSE);
    }
}

fn milliseconds(random: &mut fastrand::Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}
