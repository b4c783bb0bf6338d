//! Figures: measured latencies, and the kernel's figures of the gateway's process (proc(5)).

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{Process, Result};

/// The clock ticks of `/proc/PID/stat`: `USER_HZ`, 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Number and bytes of the writes that time the disk.
const SYNCS: usize = 200;
const PAGE: usize = 4096;

/// A list of latencies.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

// === impl Latencies ===

impl Latencies {
    /// Adds a latency.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Adds the latencies of another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The number of latencies.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Nearest-rank percentiles.
    pub fn percentiles<const N: usize>(&mut self, shares: [usize; N]) -> [Duration; N] {
        self.0.sort_unstable();
        shares.map(|share| {
            let rank = (self.0.len() * share).div_ceil(100).max(1);
            self.0.get(rank - 1).copied().unwrap_or_default()
        })
    }
}

/// CPU time of a process.
pub fn cpu_time(process: &Process) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.0.id()))?;
    // The second field is the name, in parentheses, and may contain any character.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks =
        |number: usize| -> Result<u32> { Ok(fields.get(number - 3).ok_or("/proc/PID/stat is short")?.parse()?) };
    Ok(TICK * (ticks(14)? + ticks(15)?))
}

/// Current and peak resident memory of a process, in KiB: `VmRSS` and `VmHWM`.
pub fn memory(process: &Process) -> Result<[u64; 2]> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id()))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("the kernel tells no such figure")?;
        Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
    };
    Ok([field("VmRSS:")?, field("VmHWM:")?])
}

/// The median time of an append and an fsync.
pub fn sync_time(folder: &Path) -> Result<Duration> {
    let mut file = File::create(folder.join("sync"))?;
    let mut latencies = Latencies::default();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[0; PAGE])?;
        file.sync_all()?;
        latencies.push(begun.elapsed());
    }
    let [median] = latencies.percentiles([50]);
    Ok(median)
}

/// Machine, system and build.
pub fn machine() -> Result<String> {
    let all = fs::read_to_string("/proc/cpuinfo")?;
    let model = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let system = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let rustc = String::from_utf8(Command::new("rustc").arg("--version").output()?.stdout)?;
    let build = if cfg!(debug_assertions) { "debug build, which says nothing" } else { "release build" };
    Ok(format!(
        "machine      {} x {model}\nsystem       Linux {}\nswitchboard  {}, {build}, {}",
        std::thread::available_parallelism()?,
        system.trim(),
        env!("CARGO_PKG_VERSION"),
        rustc.trim()
    ))
}
