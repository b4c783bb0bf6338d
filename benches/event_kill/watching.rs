//! A watcher: a stream that resumes after its last cursor whenever it breaks.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;
use switchboard::proto::v1::{
    Event, EventType, WatchEventsRequest, WatchEventsResponse, contact_center_client::ContactCenterClient,
    watch_events_request::Start, watch_events_response::Item,
};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tonic::{Status, Streaming};

use crate::{
    reason::reason,
    support::{Result, endpoint},
    world::{GatewayAddresses, RunningGateways},
};

/// The heartbeat interval in seconds, and the silence that is an error.
const HEARTBEAT: i64 = 1;
const SILENCE: Duration = Duration::from_secs(15);
/// The flow-control window of a watcher.
const WINDOW: u32 = 1 << 16;
/// Longest pause of a slow watcher, and the average number of events between two pauses.
const PAUSE: Duration = Duration::from_millis(200);
const BETWEEN: usize = 200;

/// How a watcher reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All events, live.
    Live,
    /// Only calls that ended.
    HungUp,
    /// All events, with pauses, so that it falls behind.
    Slow,
}

/// An event that was delivered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub event_id: String,
    /// Its call's ID.
    pub number: u64,
    pub received: SystemTime,
}

/// A watcher.
pub(crate) struct Watcher {
    running: RunningGateways,
    manner: Manner,
    random: fastrand::Rng,
    cursor: Option<String>,
    /// The received events, in order.
    pub delivered: Vec<Delivered>,
    /// How many streams it opened.
    pub streams: u64,
}

type Items = Streaming<WatchEventsResponse>;

// === impl Watcher ===

impl Watcher {
    /// A watcher from now on.
    pub(crate) fn new(running: RunningGateways, manner: Manner, random: fastrand::Rng) -> Self {
        Self { running, manner, random, cursor: None, delivered: Vec::new(), streams: 0 }
    }

    /// Watches until it has caught up with the last cursor, once that is known.
    pub(crate) async fn run(
        mut self,
        begun: oneshot::Sender<()>,
        last: watch::Receiver<Option<String>>,
    ) -> Result<Self> {
        let mut begun = Some(begun);
        let mut turn = 0;
        loop {
            turn += 1;
            let gateway = self.running.any(turn).await?;
            let Some(mut items) = self.open(&gateway).await? else {
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            self.streams += 1;
            while let Some((item, cursor)) = next(&mut items).await? {
                let is_last = last.borrow().is_some() && *last.borrow() == self.cursor;
                self.cursor = Some(cursor);
                match item {
                    Item::Event(event) if is_last => {
                        return Err(format!("{} came after the last event", event.event_id).into());
                    }
                    Item::Event(event) => self.delivered.push(Delivered::of(event)?),
                    Item::Heartbeat(_) if is_last => return Ok(self),
                    Item::Heartbeat(_) => drop(begun.take().map(|begun| begun.send(()).is_ok())),
                }
                if self.manner == Manner::Slow && last.borrow().is_none() && self.random.usize(..BETWEEN) == 0 {
                    sleep(PAUSE.mul_f64(self.random.f64())).await;
                }
            }
        }
    }

    /// Resumes at its cursor; `None` when the gateway was killed again.
    async fn open(&self, gateway: &GatewayAddresses) -> Result<Option<Items>> {
        let event_types = if self.manner == Manner::HungUp { vec![EventType::CallHungUp.into()] } else { Vec::new() };
        let start = self.cursor.clone().map(Start::Cursor);
        open(gateway, WatchEventsRequest { event_types, start, ..request() }).await
    }
}

/// Reads the whole log. Returns its events and the cursor at its end.
pub(crate) async fn log(running: &mut RunningGateways) -> Result<(Vec<Delivered>, String)> {
    let start = Some(Start::StartTime(Timestamp::default()));
    let gateway = running.any(0).await?;
    let request = WatchEventsRequest { start, heartbeat_interval: None, ..request() };
    let mut items = open(&gateway, request).await?.ok_or("the log cannot be read")?;
    let mut events = Vec::new();
    while let Some((item, cursor)) = next(&mut items).await? {
        match item {
            Item::Event(event) => events.push(Delivered::of(event)?),
            // A heartbeat: no event is left.
            Item::Heartbeat(_) => return Ok((events, cursor)),
        }
    }
    Err("the log broke off".into())
}

fn request() -> WatchEventsRequest {
    WatchEventsRequest {
        parent: "centers/beta".to_owned(),
        heartbeat_interval: Some(prost_types::Duration { seconds: HEARTBEAT, nanos: 0 }),
        ..WatchEventsRequest::default()
    }
}

async fn open(gateway: &GatewayAddresses, request: WatchEventsRequest) -> Result<Option<Items>> {
    let endpoint = endpoint(&gateway.grpc)?.initial_stream_window_size(WINDOW);
    let Ok(channel) = endpoint.connect().await else { return Ok(None) };
    match ContactCenterClient::new(channel).watch_events(request).await {
        Ok(response) => Ok(Some(response.into_inner())),
        Err(status) => broken(&status).map(|()| None),
    }
}

/// The next item; `None` when the stream broke, which is allowed.
async fn next(items: &mut Items) -> Result<Option<(Item, String)>> {
    match timeout(SILENCE, items.message()).await.map_err(|_| "a stream was silent")? {
        Ok(Some(WatchEventsResponse { cursor, item })) => {
            Ok(Some((item.ok_or("neither event nor heartbeat")?, cursor)))
        }
        Ok(None) => Err("a stream ended without a status".into()),
        Err(status) => broken(&status).map(|()| None),
    }
}

/// Checks that a stream may end with this status: it broke, or the watcher may resume elsewhere or later.
fn broken(status: &Status) -> Result<()> {
    match reason(status).as_deref() {
        None | Some("GATEWAY_DRAINING" | "STORAGE_UNAVAILABLE") => Ok(()),
        Some(reason) => Err(format!("a stream ended with {reason}: {}", status.message()).into()),
    }
}

// === impl Delivered ===

impl Delivered {
    fn of(event: Event) -> Result<Self> {
        let number = event.call.ok_or("an event of no call")?.call_id.parse()?;
        let received = event.receive_time.ok_or("an event without a time")?.try_into()?;
        Ok(Self { event_id: event.event_id, number, received })
    }
}
