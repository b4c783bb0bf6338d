//! What the gateway's process holds.

use std::{fs, time::Instant};

use crate::support::Result;

/// The first minute's samples are not compared: caches fill and connections open.
const WARM_UP: usize = 60;
/// How much the medians of the first and the last quarter may differ: in percent, and in KiB or descriptors.
const GROWTH_PERCENT: u64 = 10;
const GROWTH_KIB: u64 = 4096;
const GROWTH_DESCRIPTORS: u64 = 32;

/// About one sample per second; none while the store is down.
pub(crate) struct Samples {
    process: u32,
    begun: Instant,
    memory_kib: Vec<u64>,
    descriptors: Vec<u64>,
}

impl Samples {
    /// Samples of a process.
    pub(crate) fn new(process: u32) -> Result<Self> {
        let mut samples = Self { process, begun: Instant::now(), memory_kib: Vec::new(), descriptors: Vec::new() };
        samples.take()?;
        Ok(samples)
    }

    /// Takes a sample; gives a line after each 60.
    pub(crate) fn take(&mut self) -> Result<Option<String>> {
        let folder = format!("/proc/{}", self.process);
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the gateway ended")?;
        self.memory_kib.push(resident.trim().trim_end_matches(" kB").parse()?);
        self.descriptors.push(u64::try_from(fs::read_dir(format!("{folder}/fd"))?.count())?);
        let taken = self.memory_kib.len() - 1;
        Ok((taken > 0 && taken.is_multiple_of(60)).then(|| {
            let (memory, descriptors) = (last_60(&self.memory_kib), last_60(&self.descriptors));
            let (mib, most_mib) = (mib(median(memory)), mib(most(memory)));
            format!(
                "minute {:>5.1} memory {mib:.1} MiB, at most {most_mib:.1}; descriptors {}, at most {}",
                self.begun.elapsed().as_secs_f64() / 60.0,
                median(descriptors),
                most(descriptors)
            )
        }))
    }

    /// Compares the beginning, after the first minute, with the end.
    pub(crate) fn verdict(&self) -> Result<String> {
        let (memory, descriptors) = (quarters(&self.memory_kib)?, quarters(&self.descriptors)?);
        let text = format!(
            "memory       {:.1} MiB in the first quarter after a minute, {:.1} MiB in the last one, medians\n\
             descriptors  {} in the first quarter, {} in the last one",
            mib(memory.0),
            mib(memory.1),
            descriptors.0,
            descriptors.1
        );
        let grows = |(first, last): (u64, u64), least: u64| last > first + (first * GROWTH_PERCENT / 100).max(least);
        if grows(memory, GROWTH_KIB) || grows(descriptors, GROWTH_DESCRIPTORS) {
            return Err(format!("memory or descriptors grow:\n{text}").into());
        }
        Ok(text)
    }
}

/// The medians of the first and the last quarter.
fn quarters(samples: &[u64]) -> Result<(u64, u64)> {
    let steady = samples.get(WARM_UP..).filter(|steady| steady.len() >= 4).ok_or("it was too short to compare")?;
    let quarter = steady.len() / 4;
    Ok((median(&steady[..quarter]), median(&steady[steady.len() - quarter..])))
}

fn last_60(samples: &[u64]) -> &[u64] {
    &samples[samples.len().saturating_sub(60)..]
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn most(samples: &[u64]) -> u64 {
    samples.iter().copied().max().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "printed with one digit after the point")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
