//! The processes that are killed and restarted: one gateway with an embedded log, or two gateways and the server of
//! their shared log.

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

/// Timeout of a gateway's start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The addresses of a running gateway.
#[derive(Clone)]
pub struct GatewayAddresses {
    pub http: String,
    pub grpc: String,
}

/// The addresses of all running gateways: a gateway has new ports after each start.
#[derive(Clone)]
pub struct RunningGateways(watch::Receiver<Vec<GatewayAddresses>>);

/// One gateway with an embedded log, or two gateways and the server of their shared log.
pub struct World {
    gateways: Vec<Gateway>,
    shared: Option<Server>,
    running: watch::Sender<Vec<GatewayAddresses>>,
    /// How long a gateway takes to start.
    start: Duration,
    /// Kills while a gateway started.
    pub early: u64,
    /// Kills of the server of the shared log.
    pub servers: u64,
}

/// One gateway, and what it needs to start again.
struct Gateway {
    folder: PathBuf,
    tables: String,
    /// While it runs.
    running: Option<(Process, GatewayAddresses)>,
}

// === impl RunningGateways ===

impl RunningGateways {
    /// Waits for a running gateway; selects another one each turn if there are several.
    pub async fn any(&mut self, turn: usize) -> Result<GatewayAddresses> {
        let running = timeout(START_TIMEOUT, self.0.wait_for(|running| !running.is_empty()));
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
        let world = Self { gateways, shared, running: watch::channel(Vec::new()).0, start, early: 0, servers: 0 };
        world.publish();
        Ok(world)
    }

    /// The addresses of the running gateways.
    pub fn running(&self) -> RunningGateways {
        RunningGateways(self.running.subscribe())
    }

    /// Kills a gateway with SIGKILL and restarts it, sometimes with another kill before it serves. Sometimes kills the
    /// server of the shared log, too.
    pub async fn kill_and_restart(&mut self, random: &mut fastrand::Rng) -> Result<()> {
        if let Some(server) = &mut self.shared
            && random.u8(..4) == 0
        {
            server.kill();
            sleep(self.start.mul_f64(random.f64())).await;
            server.restart().await;
            self.servers += 1;
            return Ok(());
        }
        let struck = random.usize(..self.gateways.len());
        self.gateways[struck].kill()?;
        self.publish();
        if random.u8(..4) == 0 {
            let delay = self.start.mul_f64(random.f64());
            // On a timeout the start is dropped, which kills the process; a started one is killed, too.
            match timeout(delay, self.gateways[struck].start()).await {
                Ok(started) => started?,
                Err(_) => self.early += 1,
            }
            self.gateways[struck].kill()?;
        }
        self.gateways[struck].start().await?;
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let running = self.gateways.iter().filter_map(|gateway| Some(gateway.running.as_ref()?.1.clone()));
        self.running.send_replace(running.collect());
    }
}

// === impl Gateway ===

impl Gateway {
    fn new(folder: PathBuf, tables: String) -> Self {
        Self { folder, tables, running: None }
    }

    async fn start(&mut self) -> Result<()> {
        let (process, addresses) = Process::gateway(&self.folder, &self.tables).await?;
        let gateway =
            GatewayAddresses { http: addresses.of("http")?.to_owned(), grpc: addresses.of("grpc")?.to_owned() };
        self.running = Some((process, gateway));
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), |(mut process, _)| process.kill())
    }
}
