//! Streams that are lost while the gateway runs: deleted, or gone with a server's volume.
//!
//! A request that finds no stream is retried for up to 2 s, and causes a check; without requests there is one every 10
//! s. A lost stream is created again, empty. Its creation time identifies the log, so cursors of the lost one expire.
//! The key of `request_id`s is written back. While a stream cannot be created, the gateway is not ready.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::stream::Config;
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{
    connection::Connection,
    idempotency::Calls,
    stream::{self, Restored},
};

/// How often the streams are checked where no request finds one missing.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The pause after a check, so that many requests cause one.
const PAUSE: Duration = Duration::from_millis(100);
/// The pause after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// The task that keeps the streams; it ends when this is dropped.
pub(super) struct Keeper(AbortHandle);

// === impl Keeper ===

impl Keeper {
    /// Keeps these streams.
    pub(super) fn spawn(connection: Connection, streams: Vec<Config>, calls: Arc<Calls>) -> Self {
        Self(tokio::spawn(keep(connection, streams, calls)).abort_handle())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep(connection: Connection, streams: Vec<Config>, calls: Arc<Calls>) {
    let presence = connection.presence();
    loop {
        let _ = timeout(CHECK_INTERVAL, presence.suspected()).await;
        // Without a connection the state of the streams is unknown.
        if connection.connected().await.is_err() {
            if presence.is_missing() {
                presence.suspect();
            }
            continue;
        }
        match check(&connection, &streams, &calls).await {
            Some(true) => {
                presence.set_missing(false);
                sleep(PAUSE).await;
            }
            outcome => {
                if outcome == Some(false) {
                    presence.set_missing(true);
                }
                sleep(FAILURE_PAUSE).await;
                // Without requests the next check would wait for its interval.
                presence.suspect();
            }
        }
    }
}

/// Creates the streams that do not exist. Returns whether all that the gateway needs is there; `None` when the servers
/// do not say.
async fn check(connection: &Connection, streams: &[Config], calls: &Calls) -> Option<bool> {
    let mut is_complete = Some(true);
    for wanted in streams {
        match stream::restore(connection.context(), wanted).await {
            Ok(Restored::Present) => {}
            Ok(Restored::Created) => {
                let stream = &wanted.name;
                tracing::error!(
                    stream,
                    "a stream of NATS was lost with its content, and was created again, empty: docs/events.md says what that means"
                );
            }
            Ok(Restored::Missing(cause)) => {
                is_complete = Some(false);
                let cause = super::JetStreamError(cause).to_string();
                tracing::error!(cause, "a lost stream of NATS cannot be created again");
            }
            Err(cause) => {
                is_complete = is_complete.filter(|is_complete| !is_complete);
                let cause = super::JetStreamError(cause).to_string();
                tracing::warn!(cause, "the streams of NATS could not be checked");
            }
        }
    }
    if is_complete != Some(true) {
        return is_complete;
    }
    match calls.confirm_key().await {
        Ok(true) => Some(true),
        Ok(false) => {
            tracing::error!(
                "the key of request_ids was lost and another gateway has a new one: restart this gateway; until then it \
                 rejects calls with a request_id"
            );
            Some(false)
        }
        Err(failure) => {
            tracing::warn!(cause = failure.cause(), "the key of request_ids could not be checked");
            None
        }
    }
}
