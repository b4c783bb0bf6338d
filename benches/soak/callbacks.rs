//! Callbacks of a vendor, and the watcher that must receive each acknowledged one.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use switchboard::{
    clock::Clock,
    proto::v1::{
        WatchEventsRequest, contact_center_client::ContactCenterClient, watch_events_request::Start,
        watch_events_response::Item,
    },
};
use tokio::{sync::watch, time::sleep};
use tonic::Code;

use crate::{
    poster::Poster,
    support::{Result, endpoint},
};

/// Between two callbacks, and before a retry.
const PAUSE: Duration = Duration::from_millis(20);
/// Callbacks that one connection carries.
const PER_CONNECTION: u64 = 500;

/// What was posted and delivered.
#[derive(Clone, Default)]
pub(crate) struct Callbacks(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Acknowledged and not delivered.
    missing: HashSet<u64>,
    /// Delivered before the acknowledgement arrived.
    early: HashSet<u64>,
    acknowledged: u64,
    retries: u64,
    streams: u64,
}

impl Callbacks {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self, number: u64) {
        let mut state = self.state();
        state.acknowledged += 1;
        if !state.early.remove(&number) {
            state.missing.insert(number);
        }
    }

    fn delivered(&self, number: u64) {
        let mut state = self.state();
        if !state.missing.remove(&number) {
            state.early.insert(number);
        }
    }

    /// Delivered without an acknowledgement of its own. Once the poster has stopped, these were delivered twice, or
    /// never acknowledged.
    pub(crate) fn unexpected(&self) -> usize {
        self.state().early.len()
    }

    /// Waits until nothing is missing.
    pub(crate) async fn all_delivered(&self) {
        while !self.state().missing.is_empty() {
            sleep(PAUSE).await;
        }
    }
}

impl fmt::Display for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(
            f,
            "{} callbacks acknowledged after {} retries, {} on their way over {} streams",
            state.acknowledged,
            state.retries,
            state.missing.len(),
            state.streams
        )
    }
}

/// Posts callbacks until stopped, each until it is acknowledged.
pub(crate) async fn post(http: String, callbacks: Callbacks, stopped: watch::Receiver<bool>) -> Result<()> {
    let mut connection = None;
    for number in 0_u64.. {
        if *stopped.borrow() {
            break;
        }
        let body = format!(r#"{{"callSerialNo":"{number}","uuid":"u-{number}","serviceNo":"1001"}}"#);
        loop {
            let mut poster = match connection.take() {
                Some(poster) => poster,
                None => Poster::connect(&http).await?,
            };
            match poster.post(body.as_bytes()).await {
                Ok(200) => {
                    connection = (number % PER_CONNECTION != 0).then_some(poster);
                    break;
                }
                Ok(503) => connection = Some(poster),
                Ok(status) => return Err(format!("a callback got status {status}").into()),
                Err(_) => {}
            }
            callbacks.state().retries += 1;
            sleep(PAUSE).await;
        }
        callbacks.acknowledged(number);
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Watches, and resumes after the last cursor whenever the stream ends.
pub(crate) async fn watch(grpc: String, callbacks: Callbacks) -> Result<()> {
    let mut client = ContactCenterClient::new(endpoint(&grpc)?.connect_lazy());
    let mut start = Some(Start::StartTime(Clock::system().now().into()));
    loop {
        let request = WatchEventsRequest { parent: "centers/beta".into(), start: start.clone(), ..Default::default() };
        let response = match client.watch_events(request).await {
            Ok(response) => response,
            Err(status) if status.code() == Code::Unavailable => {
                sleep(PAUSE).await;
                continue;
            }
            Err(status) => return Err(status.into()),
        };
        callbacks.state().streams += 1;
        let mut items = response.into_inner();
        loop {
            let response = match items.message().await {
                Ok(Some(response)) => response,
                Ok(None) => break,
                Err(status) if status.code() == Code::Unavailable => break,
                Err(status) => return Err(status.into()),
            };
            if let Some(Item::Event(event)) = response.item {
                callbacks.delivered(event.call.ok_or("an event of no call")?.call_id.parse()?);
            }
            start = Some(Start::Cursor(response.cursor));
        }
    }
}
