//! Kills the gateway and checks that no event is lost, duplicated or invented.
//!
//! `cargo bench --bench event_kill [-- [--nats] KILLS [SEED]]` starts the gateway as a process;
//! with `--nats` two gateways that share a log in a nats-server, and kills either of them or that server. Posters retry
//! each event until it is acknowledged; watchers resume after their last cursor. Meanwhile it kills the gateway with
//! SIGKILL at random times, also during its start, and restarts it on the same storage. Then it reads the whole log. It
//! fails if
//!
//! - an acknowledged event is missing in the log or is in it twice, also when its post was retried because the response
//!   was lost,
//! - the log contains an event that was not posted,
//! - a watcher received anything but the log in order, each event once: one reads all events live, one reads one type
//!   of event, one falls behind and reads the log,
//! - no kill interrupted a post: then the run proved nothing.
//!
//! The seed is printed; the same seed kills at the same delays.

#[path = "../support/poster.rs"]
mod poster;
mod posting;
#[path = "../support/reason.rs"]
mod reason;
#[path = "../../tests/nats/server.rs"]
#[expect(dead_code, clippy::expect_used, clippy::unwrap_used, reason = "made for tests, which need more of it")]
mod server;
#[path = "../support/mod.rs"]
mod support;
mod verify;
mod watching;
mod world;

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use self::{
    posting::{Posted, post},
    support::Result,
    verify::{verify_delivered, verify_log},
    watching::{Delivered, Manner, Watcher, log},
    world::World,
};

/// Default number of kills.
const KILLS: u64 = 20;
/// Selects two gateways that share a log.
const SHARED: &str = "--nats";
const POSTERS: usize = 16;
const WATCHERS: [(&str, Manner); 3] = [("live", Manner::Live), ("of one type", Manner::HungUp), ("slow", Manner::Slow)];
/// Longest time between two kills, usually and occasionally.
const MAX_UPTIME: Duration = Duration::from_millis(60);
const MAX_LONG_UPTIME: Duration = Duration::from_millis(500);
/// Timeout of posters and watchers at the end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);

/// A watcher's task, and its manner.
type Watching = (&'static str, Manner, JoinHandle<Result<Watcher>>);

fn main() -> ExitCode {
    support::run(run)
}

fn run(arguments: &[u64]) -> Result<()> {
    let kills = arguments.first().copied().unwrap_or(KILLS);
    let seed = arguments.get(1).copied().unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let is_shared = std::env::args().any(|argument| argument == SHARED);
    let how = if is_shared { format!("{SHARED} ") } else { String::new() };
    println!(
        "kills        {kills}, {POSTERS} posters; replay with: cargo bench --bench event_kill -- {how}{kills} {seed}"
    );
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(rehearse(kills, seed, is_shared, folder.path()));
    if result.is_err() {
        eprintln!("the gateway's storage stays in {}", folder.keep().display());
    }
    result
}

async fn rehearse(kills: u64, seed: u64, is_shared: bool, folder: &Path) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let mut world = if is_shared { World::shared(folder).await? } else { World::alone(folder).await? };
    let (last, ended) = watch::channel(None);
    let watching = watch_all(&world, &mut random, &ended).await?;
    let (stop, stopped) = watch::channel(false);
    let posting: Vec<_> = (0..POSTERS)
        .map(|first| Ok(tokio::spawn(post(world.running(), u64::try_from(first)?, POSTERS, stopped.clone()))))
        .collect::<Result<_>>()?;

    for kill in 1..=kills {
        let longest = if random.u8(..8) == 0 { MAX_LONG_UPTIME } else { MAX_UPTIME };
        let life = longest.mul_f64(random.f64());
        sleep(life).await;
        let context = |error| format!("kill {kill}, {} us after the start: {error}", life.as_micros());
        world.kill_and_restart(&mut random).await.map_err(context)?;
        if watching.iter().any(|(_, _, task)| task.is_finished()) || posting.iter().any(JoinHandle::is_finished) {
            // Its error is returned below.
            break;
        }
    }
    stop.send_replace(true);
    let mut posted: Vec<Posted> = Vec::new();
    for poster in posting {
        posted.extend(timeout(FINISH_TIMEOUT, poster).await.map_err(|_| "a post is never acknowledged")???);
    }
    let (log, cursor) = log(&mut world.running()).await?;
    let retried = verify_log(&log, &posted)?;
    last.send_replace(Some(cursor));
    for (name, manner, watcher) in watching {
        let context = |error| format!("the watcher {name}: {error}");
        let watcher =
            timeout(FINISH_TIMEOUT, watcher).await.map_err(|_| context("does not come to the end".into()))??;
        let Watcher { delivered, streams, .. } = watcher.map_err(context)?;
        verify_delivered(&log, manner, &delivered).map_err(context)?;
        println!("watcher      {name}: {} events over {streams} streams", delivered.len());
    }
    report(kills, &world, &posted, &log, retried, begun.elapsed())
}

/// Starts a watcher of each manner and waits until their streams have begun.
async fn watch_all(
    world: &World,
    random: &mut fastrand::Rng,
    ended: &watch::Receiver<Option<String>>,
) -> Result<Vec<Watching>> {
    let mut watching = Vec::new();
    for (name, manner) in WATCHERS {
        let (begun, is_begun) = oneshot::channel();
        let watcher = Watcher::new(world.running(), manner, random.fork());
        watching.push((name, manner, tokio::spawn(watcher.run(begun, ended.clone()))));
        is_begun.await.map_err(|_| "a stream did not begin")?;
    }
    Ok(watching)
}

fn report(
    kills: u64,
    world: &World,
    posted: &[Posted],
    log: &[Delivered],
    retried: usize,
    elapsed: Duration,
) -> Result<()> {
    let lost = posted.iter().filter(|posted| posted.lost).count();
    println!("kills        {} of the server, {} more while a gateway started", world.servers, world.early);
    println!("events       {} posted and acknowledged, {} in the log", posted.len(), log.len());
    println!("lost responses {lost}; {retried} of them to stored events, whose retry was detected as a duplicate");
    println!(
        "time         {:.1} s, {} ms a kill",
        elapsed.as_secs_f64(),
        elapsed.as_millis() / u128::from(kills.max(1))
    );
    if lost == 0 && kills > 0 {
        return Err("no kill interrupted a post".into());
    }
    println!("result       each watcher received every acknowledged event once, in order, and nothing else");
    Ok(())
}
