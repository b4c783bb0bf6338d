//! A poster: one event after the other, each until it is acknowledged.

use std::time::{Duration, SystemTime};

use switchboard::clock::Clock;
use tokio::{sync::watch, time::sleep};

use crate::{poster::Poster, support::Result, world::RunningGateways};

/// Pause before a retry.
const PAUSE: Duration = Duration::from_millis(5);

/// An event that was posted and acknowledged.
pub(crate) struct Posted {
    /// Its number, which is its call's ID.
    pub number: u64,
    /// Whether the response to an earlier attempt was lost.
    pub lost: bool,
    /// When the acknowledged attempt began, in microseconds.
    pub begun: SystemTime,
}

/// The body of this number; every fourth is the event of a call that ended.
pub(crate) fn body(number: u64) -> String {
    let released = if is_hung_up(number) { r#","releaseReason":"513""# } else { "" };
    format!(r#"{{"callSerialNo":"{number}","uuid":"u-{number}","serviceNo":"1001"{released}}}"#)
}

/// Whether the event of this number is the event of a call that ended.
pub(crate) fn is_hung_up(number: u64) -> bool {
    number.is_multiple_of(4)
}

/// Posts until stopped; then finishes the last event. The numbers are `first` and every `step` after it.
pub(crate) async fn post(
    mut running: RunningGateways,
    first: u64,
    step: usize,
    stopped: watch::Receiver<bool>,
) -> Result<Vec<Posted>> {
    let mut all = Vec::new();
    let mut connection = None;
    let mut turn = usize::try_from(first)?;
    for number in (first..).step_by(step) {
        if *stopped.borrow() {
            break;
        }
        let body = body(number);
        let mut lost = false;
        loop {
            let mut poster = match connection.take() {
                Some(open) => open,
                None => match Poster::connect(&running.any(turn).await?.http).await {
                    Ok(open) => open,
                    // It was just killed.
                    Err(_) => {
                        turn += 1;
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let begun = micros(Clock::system().now());
            match poster.post(body.as_bytes()).await {
                Ok(200) => {
                    all.push(Posted { number, lost, begun });
                    connection = Some(poster);
                    break;
                }
                // The response asks for a retry.
                Ok(503) => {
                    connection = Some(poster);
                    sleep(PAUSE).await;
                }
                Ok(status) => return Err(format!("post {number} got status {status}").into()),
                Err(_) => {
                    lost = true;
                    turn += 1;
                }
            }
        }
    }
    Ok(all)
}

/// Truncates to microseconds, the precision of the gateway's times.
fn micros(time: SystemTime) -> SystemTime {
    let nanos = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos() % 1000;
    time - Duration::from_nanos(nanos.into())
}
