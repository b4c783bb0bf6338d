//! Streams that are lost while the gateway runs: deleted, or gone with a server's volume.
//!
//! The requests of the store notice it first and wait for a moment; without requests a check does. A lost stream is
//! created again, empty. Its creation time identifies the log, so cursors of the lost one expire. Until all streams are
//! there, the gateway is not ready.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{connection::Connection, stream};

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
    pub(super) fn spawn(connection: Connection, streams: Vec<Config>) -> Self {
        Self(tokio::spawn(keep(connection, streams)).abort_handle())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep(connection: Connection, streams: Vec<Config>) {
    let presence = connection.presence();
    loop {
        let _ = timeout(CHECK_INTERVAL, presence.suspected()).await;
        // Without a connection nothing is known.
        if connection.connected().await.is_err() {
            continue;
        }
        let mut failed = None;
        for wanted in &streams {
            match stream::restore(connection.context(), wanted).await {
                Ok(false) => {}
                Ok(true) => {
                    let stream = &wanted.name;
                    tracing::error!(
                        stream,
                        "a stream of NATS was lost with its content and is created again; its cursors expire"
                    );
                }
                Err(cause) => failed = Some(cause),
            }
        }
        presence.set_missing(failed.is_some());
        match failed {
            None => sleep(PAUSE).await,
            Some(cause) => {
                tracing::error!(cause = super::JetStreamError(cause).to_string(), "a stream of NATS is missing");
                sleep(FAILURE_PAUSE).await;
                // A request may be the next to notice, or not.
                presence.check_again();
            }
        }
    }
}
