//! What is killed and started again: the gateway, with its log in its own database.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use crate::{
    poster::CENTER,
    support::{Process, Result},
};

/// Longest that a gateway is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a gateway can be reached.
#[derive(Clone)]
pub struct Place {
    pub http: String,
    pub grpc: String,
}

/// Where the gateways that run can be reached: each has new ports after each start.
#[derive(Clone)]
pub struct Places(watch::Receiver<Vec<Place>>);

/// One gateway, and what it keeps.
pub struct World {
    folder: PathBuf,
    gateway: Process,
    places: watch::Sender<Vec<Place>>,
    /// How long it takes to start.
    start: Duration,
    /// Kills while it started.
    pub early: u64,
}

// === impl Places ===

impl Places {
    /// One that runs, as soon as there is one; another one each turn, if there are several.
    pub async fn any(&mut self, turn: usize) -> Result<Place> {
        let running = timeout(PATIENCE, self.0.wait_for(|running| !running.is_empty()));
        let running = running.await.map_err(|_| "no gateway runs")?.map_err(|_| "all has ended")?;
        Ok(running[turn % running.len()].clone())
    }
}

// === impl World ===

impl World {
    /// Starts it, with its files in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let begun = Instant::now();
        let (gateway, place) = gateway(folder).await?;
        let (places, _) = watch::channel(vec![place]);
        Ok(Self { folder: folder.to_owned(), gateway, places, start: begun.elapsed(), early: 0 })
    }

    /// Where it can be reached.
    pub fn places(&self) -> Places {
        Places(self.places.subscribe())
    }

    /// Ends it as a power cut would, and starts it again; now and then it dies once more before it serves.
    pub async fn strike(&mut self, random: &mut fastrand::Rng) -> Result<()> {
        self.gateway.kill()?;
        self.places.send_replace(Vec::new());
        if random.u8(..4) == 0 {
            let delay = self.start.mul_f64(random.f64());
            // What has not started by then is dropped, and so killed; so is what has.
            match timeout(delay, gateway(&self.folder)).await {
                Ok(started) => drop(started?),
                Err(_) => self.early += 1,
            }
        }
        let (gateway, place) = gateway(&self.folder).await?;
        self.gateway = gateway;
        self.places.send_replace(vec![place]);
        Ok(())
    }
}

async fn gateway(folder: &Path) -> Result<(Process, Place)> {
    let (gateway, addresses) = Process::gateway(folder, CENTER).await?;
    Ok((gateway, Place { http: addresses.of("http")?.to_owned(), grpc: addresses.of("grpc")?.to_owned() }))
}
