//! The rate of acknowledged events, and the latency and cost of their delivery to watchers.
//!
//! `cargo bench --bench events [-- SECONDS [POSTERS [WATCHERS [RATE]]]]` starts the gateway as a process, with
//! its log on this machine's disk, and measures three times, each with a new gateway and for this many seconds:
//!
//! - ingest: all posters post, each the next event as soon as the last one is acknowledged;
//! - latency: events are posted at a steady rate while one client watches;
//! - fan-out: the same with many watchers over a few connections.
//!
//! Each event is 1 KiB of unique JSON. The clients run on the same machine; the gateway's figures do not include them.
//! Linux only, because the figures come from `/proc`.

mod body;
mod fanout;
mod figures;
mod ingest;
#[path = "../support/poster.rs"]
mod poster;
#[path = "../support/mod.rs"]
mod support;

use std::{process::ExitCode, time::Duration};

use self::{
    fanout::{Load, Streamed, stream},
    figures::{Latencies, cpu_time, machine, memory, sync_time},
    ingest::ingest,
    poster::CENTER,
    support::{Process, Result},
};

/// Defaults: seconds of a measurement, posters of the first, watchers of the last, events a second.
const SECONDS: u64 = 10;
const POSTERS: u64 = 256;
const WATCHERS: u64 = 200;
const RATE: u64 = 500;
/// Warm-up before the first measurement.
const WARM_UP: Duration = Duration::from_secs(1);
/// The goals.
const LEAST_A_SECOND: u128 = 10_000;
const MOST_MEMORY_KIB: u64 = 150 * 1024;
const MOST_LATENCY: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    support::run(run)
}

fn run(arguments: &[u64]) -> Result<()> {
    let argument = |place: usize, default| arguments.get(place).copied().unwrap_or(default);
    let time = Duration::from_secs(argument(0, SECONDS));
    let (posters, watchers, rate) = (argument(1, POSTERS), argument(2, WATCHERS), argument(3, RATE));
    println!("{}", machine()?);
    let disk = sync_time(tempfile::tempdir()?.path())?;
    println!("disk         {} us for 4 KiB and an fsync, at the median", disk.as_micros());
    println!("events       {} bytes of JSON each; {} s a measurement", body::LENGTH, time.as_secs());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let met = runtime.block_on(async {
        let ingest = measure_ingest(posters, time).await?;
        let latency = measure_stream(Load { rate, time, watchers: 0 }).await?;
        let fanout = measure_stream(Load { rate, time, watchers }).await?;
        Result::Ok(ingest && latency && fanout)
    })?;
    println!("goals        {}", if met { "met" } else { "NOT met" });
    Ok(())
}

async fn measure_ingest(posters: u64, time: Duration) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let (gateway, addresses) = Process::gateway(folder.path(), CENTER).await?;
    let http = addresses.of("http")?;
    ingest(http, posters, WARM_UP).await?;
    let before = cpu_time(&gateway)?;
    let mut seen = ingest(http, posters, time).await?;
    let cpu = cpu_time(&gateway)?.saturating_sub(before);
    let acknowledged = u32::try_from(seen.latencies.count())?;
    let rate = u128::from(acknowledged) * 1000 / seen.elapsed.as_millis().max(1);
    println!("ingest       {posters} posters over a connection each");
    println!("             {rate} events a second acknowledged after fsync (goal: at least {LEAST_A_SECOND})");
    println!("             acknowledged within: {}", shown(&mut seen.latencies));
    println!(
        "             {} us of CPU time an event; {}",
        (cpu / acknowledged.max(1)).as_micros(),
        resident(&gateway)?
    );
    if !seen.refused.is_empty() {
        println!("             refused, by status: {:?}", seen.refused);
    }
    Ok(rate >= LEAST_A_SECOND)
}

async fn measure_stream(load: Load) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let (gateway, addresses) = Process::gateway(folder.path(), CENTER).await?;
    let Streamed { mut latencies, posted, complete, cpu, elapsed } = stream(&gateway, &addresses, &load).await?;
    let cpu_share = cpu.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    if load.watchers == 0 {
        println!("latency      {} events a second, one watcher", load.rate);
    } else {
        println!("fan-out      {} events a second, {} watchers and one that is timed", load.rate, load.watchers);
        println!("             {complete} of the {} received each of the {posted} events", load.watchers);
    }
    let goal = if load.watchers == 0 { " (goal: p50 below 10 ms)" } else { "" };
    println!("             from post to delivery: {}{goal}", shown(&mut latencies));
    let goal = if load.watchers == 0 { "" } else { " (goal: below 150 MiB)" };
    println!("             {cpu_share:.0} % of a processor; {}{goal}", resident(&gateway)?);
    let [median] = latencies.percentiles([50]);
    let [_, most] = memory(&gateway)?;
    Ok(complete == load.watchers && most < MOST_MEMORY_KIB && (load.watchers > 0 || median < MOST_LATENCY))
}

fn shown(latencies: &mut Latencies) -> String {
    let [median, most, longest] = latencies.percentiles([50, 99, 100]).map(|latency| latency.as_secs_f64() * 1e3);
    format!("p50 {median:.1} ms, p99 {most:.1} ms, max {longest:.1} ms")
}

fn resident(gateway: &Process) -> Result<String> {
    let [now, most] = memory(gateway)?.map(|kib| f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0);
    Ok(format!("{now:.1} MiB resident, {most:.1} MiB at most"))
}
