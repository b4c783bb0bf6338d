//! What is killed and started again: a gateway with its log in its own database, or two that share one, and the server
//! that keeps it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    poster::CENTER,
    server::Server,
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

/// What runs: one gateway with its own database, or two that share a log, and the server that keeps it.
pub struct World {
    gateways: Vec<Gateway>,
    shared: Option<Server>,
    places: watch::Sender<Vec<Place>>,
    /// How long a gateway takes to start.
    start: Duration,
    /// Kills while a gateway started.
    pub early: u64,
    /// Kills of the server that keeps what is shared.
    pub servers: u64,
}

/// One gateway, and what it needs to start again.
struct Gateway {
    folder: PathBuf,
    tables: String,
    /// While it runs.
    running: Option<(Process, Place)>,
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
    /// Starts one gateway, with its files in `folder`.
    pub async fn alone(folder: &Path) -> Result<Self> {
        Self::of(vec![Gateway::new(folder.to_owned(), CENTER.to_owned())], None).await
    }

    /// Starts two gateways that share a log, with their files in `folder`.
    pub async fn shared(folder: &Path) -> Result<Self> {
        let server = Server::start().await;
        let tables =
            format!("[events]\ncallback_key = \"key-of-both-gateways\"\n[nats]\nurl = \"{}\"\n{CENTER}", server.url());
        let mut gateways = Vec::new();
        for name in ["one", "two"] {
            let folder = folder.join(name);
            fs::create_dir(&folder)?;
            gateways.push(Gateway::new(folder, tables.clone()));
        }
        Self::of(gateways, Some(server)).await
    }

    async fn of(mut gateways: Vec<Gateway>, shared: Option<Server>) -> Result<Self> {
        let begun = Instant::now();
        for gateway in &mut gateways {
            gateway.start().await?;
        }
        let start = begun.elapsed() / u32::try_from(gateways.len())?;
        let world = Self { gateways, shared, places: watch::channel(Vec::new()).0, start, early: 0, servers: 0 };
        world.tell();
        Ok(world)
    }

    /// Where they can be reached.
    pub fn places(&self) -> Places {
        Places(self.places.subscribe())
    }

    /// Ends one of them as a power cut would, and starts it again; now and then it dies once more before it serves. Where
    /// there is a server that keeps what is shared, that is struck, too.
    pub async fn strike(&mut self, random: &mut fastrand::Rng) -> Result<()> {
        if let Some(server) = &mut self.shared
            && random.u8(..4) == 0
        {
            server.kill();
            sleep(self.start.mul_f64(random.f64())).await;
            server.start_again().await;
            self.servers += 1;
            return Ok(());
        }
        let struck = random.usize(..self.gateways.len());
        self.gateways[struck].kill()?;
        self.tell();
        if random.u8(..4) == 0 {
            let delay = self.start.mul_f64(random.f64());
            // What has not started by then is dropped, and so killed; so is what has.
            match timeout(delay, self.gateways[struck].start()).await {
                Ok(started) => started?,
                Err(_) => self.early += 1,
            }
            self.gateways[struck].kill()?;
        }
        self.gateways[struck].start().await?;
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let running = self.gateways.iter().filter_map(|gateway| Some(gateway.running.as_ref()?.1.clone()));
        self.places.send_replace(running.collect());
    }
}

// === impl Gateway ===

impl Gateway {
    fn new(folder: PathBuf, tables: String) -> Self {
        Self { folder, tables, running: None }
    }

    async fn start(&mut self) -> Result<()> {
        let (process, addresses) = Process::gateway(&self.folder, &self.tables).await?;
        let place = Place { http: addresses.of("http")?.to_owned(), grpc: addresses.of("grpc")?.to_owned() };
        self.running = Some((process, place));
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), |(mut process, _)| process.kill())
    }
}
