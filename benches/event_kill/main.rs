//! Whether an event is ever lost, delivered twice, or made up, when the gateway dies.
//!
//! `cargo bench --bench event_kill [-- KILLS [SEED]]` starts the gateway as a process of its own. While some post, each event
//! until it is acknowledged, and others watch, each going on right after its last cursor, it ends the gateway with SIGKILL at
//! random points, also while it starts, and starts it again on the same storage. Then the whole log is read. It fails if
//!
//! - an event that was acknowledged is not in the log, or is in it twice, also where its post was repeated because the
//!   answer was lost,
//! - something is in the log that was not posted,
//! - a watcher was sent anything but the log in its order, each event once: one takes everything as it comes, one only
//!   one type of event, one falls behind and reads the log,
//! - no kill struck a post that was under way: then nothing was shown.
//!
//! The seed is printed; the same seed kills at the same delays.

#[path = "../support/poster.rs"]
mod poster;
mod posting;
#[path = "../support/reason.rs"]
mod reason;
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

/// Kills when the command line does not say.
const KILLS: u64 = 20;
const POSTERS: usize = 16;
const WATCHERS: [(&str, Manner); 3] = [("live", Manner::Live), ("of one type", Manner::HungUp), ("slow", Manner::Slow)];
/// Longest that the gateway lives between two kills, and once in a while.
const LIFE: Duration = Duration::from_millis(60);
const LONG_LIFE: Duration = Duration::from_millis(500);
/// Longest that posters and watchers are waited for at the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// One who watches, and how.
type Watching = (&'static str, Manner, JoinHandle<Result<Watcher>>);

fn main() -> ExitCode {
    match support::arguments().and_then(|arguments| arguments.map_or(Ok(()), |arguments| run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[u64]) -> Result<()> {
    let kills = arguments.first().copied().unwrap_or(KILLS);
    let seed = arguments.get(1).copied().unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    println!("kills        {kills}, {POSTERS} posters; replay with: cargo bench --bench event_kill -- {kills} {seed}");
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(rehearse(kills, seed, folder.path()));
    if result.is_err() {
        eprintln!("the gateway's storage is kept in {}", folder.keep().display());
    }
    result
}

async fn rehearse(kills: u64, seed: u64, folder: &Path) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let mut world = World::start(folder).await?;
    let (last, ended) = watch::channel(None);
    let watching = watch_all(&world, &mut random, &ended).await?;
    let (stop, stopped) = watch::channel(false);
    let posting: Vec<_> = (0..POSTERS)
        .map(|first| Ok(tokio::spawn(post(world.places(), u64::try_from(first)?, POSTERS, stopped.clone()))))
        .collect::<Result<_>>()?;

    for kill in 1..=kills {
        let longest = if random.u8(..8) == 0 { LONG_LIFE } else { LIFE };
        let life = longest.mul_f64(random.f64());
        sleep(life).await;
        let context = |error| format!("kill {kill}, {} us after the start: {error}", life.as_micros());
        world.strike(&mut random).await.map_err(context)?;
        if watching.iter().any(|(_, _, task)| task.is_finished()) || posting.iter().any(JoinHandle::is_finished) {
            // It tells why below.
            break;
        }
    }
    stop.send_replace(true);
    let mut posted: Vec<Posted> = Vec::new();
    for poster in posting {
        posted.extend(timeout(PATIENCE, poster).await.map_err(|_| "a post is never acknowledged")???);
    }
    let (log, cursor) = log(&mut world.places()).await?;
    let repeated = verify_log(&log, &posted)?;
    last.send_replace(Some(cursor));
    for (name, manner, watcher) in watching {
        let context = |error| format!("the watcher {name}: {error}");
        let watcher = timeout(PATIENCE, watcher).await.map_err(|_| context("does not come to the end".into()))??;
        let Watcher { delivered, streams, .. } = watcher.map_err(context)?;
        verify_delivered(&log, manner, &delivered).map_err(context)?;
        println!("watcher      {name}: {} events over {streams} streams", delivered.len());
    }
    report(kills, &world, &posted, &log, repeated, begun.elapsed())
}

/// Begins to watch, in each manner, and waits until the streams are there.
async fn watch_all(
    world: &World,
    random: &mut fastrand::Rng,
    ended: &watch::Receiver<Option<String>>,
) -> Result<Vec<Watching>> {
    let mut watching = Vec::new();
    for (name, manner) in WATCHERS {
        let (begun, is_begun) = oneshot::channel();
        let watcher = Watcher::new(world.places(), manner, random.fork());
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
    repeated: usize,
    elapsed: Duration,
) -> Result<()> {
    let lost = posted.iter().filter(|posted| posted.lost).count();
    println!("kills        {} more while the gateway started", world.early);
    println!("events       {} posted and acknowledged, {} in the log", posted.len(), log.len());
    println!(
        "lost answers {lost}; {repeated} of them to events that had been kept, so that the repeat made no second one"
    );
    println!(
        "time         {:.1} s, {} ms a kill",
        elapsed.as_secs_f64(),
        elapsed.as_millis() / u128::from(kills.max(1))
    );
    if lost == 0 && kills > 0 {
        return Err("no kill struck a post that was under way".into());
    }
    println!("result       every event that was acknowledged came to each watcher once, in order; nothing else came");
    Ok(())
}
