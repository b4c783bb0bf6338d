//! The rate of acknowledged events.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{body::body, figures::Latencies, poster::Poster, support::Result};

/// The results of all posters.
#[derive(Default)]
pub struct Ingested {
    /// From the post to its 200.
    pub latencies: Latencies,
    /// Other responses, by status.
    pub refused: BTreeMap<u16, u64>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Posts for this time; each poster posts one event after the other.
pub async fn ingest(http: &str, posters: u64, time: Duration) -> Result<Ingested> {
    let mut connected = Vec::new();
    for _ in 0..posters {
        connected.push(Poster::connect(http).await?);
    }
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for poster in connected {
        running.spawn(post(poster, begun + time));
    }
    let mut all = Ingested::default();
    while let Some(ended) = running.join_next().await {
        let Ingested { latencies, refused, elapsed: _ } = ended??;
        all.latencies.extend(latencies);
        for (status, times) in refused {
            *all.refused.entry(status).or_default() += times;
        }
    }
    all.elapsed = begun.elapsed();
    Ok(all)
}

async fn post(mut poster: Poster, end: Instant) -> Result<Ingested> {
    let mut seen = Ingested::default();
    let mut random = fastrand::Rng::new();
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(seen);
        }
        match poster.post(&body(random.u128(..))).await? {
            200 => seen.latencies.push(begun.elapsed()),
            other => *seen.refused.entry(other).or_default() += 1,
        }
    }
}
