//! Who watches: streams that go on right after the last cursor whenever they break.

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
    world::{Place, Places},
};

/// Silence after which a heartbeat is sent, in seconds; and silence that is a fault.
const HEARTBEAT: i64 = 1;
const SILENCE: Duration = Duration::from_secs(15);
/// What a slow watcher lets come before it has been read.
const WINDOW: u32 = 1 << 16;
/// Longest pause of a slow watcher, and how many events it reads between two, on average.
const PAUSE: Duration = Duration::from_millis(200);
const BETWEEN: usize = 200;

/// How somebody watches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Everything, as it comes.
    Live,
    /// Only calls that ended.
    HungUp,
    /// Everything, with pauses, so that it falls behind.
    Slow,
}

/// An event that was delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivered {
    pub event_id: String,
    /// Its call's ID.
    pub number: u64,
    pub received: SystemTime,
}

/// One who watches.
pub struct Watcher {
    places: Places,
    manner: Manner,
    random: fastrand::Rng,
    cursor: Option<String>,
    /// In the order they came.
    pub delivered: Vec<Delivered>,
    /// Streams that were begun.
    pub streams: u64,
}

type Items = Streaming<WatchEventsResponse>;

// === impl Watcher ===

impl Watcher {
    /// One who watches from now on.
    pub fn new(places: Places, manner: Manner, random: fastrand::Rng) -> Self {
        Self { places, manner, random, cursor: None, delivered: Vec::new(), streams: 0 }
    }

    /// Watches until it stands at the last cursor, once that is known, and hears that nothing comes after it.
    pub async fn run(mut self, begun: oneshot::Sender<()>, last: watch::Receiver<Option<String>>) -> Result<Self> {
        let mut begun = Some(begun);
        let mut turn = 0;
        loop {
            turn += 1;
            let place = self.places.any(turn).await?;
            let Some(mut items) = self.open(&place).await? else {
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

    /// Goes on where it was; `None` when the gateway is gone again.
    async fn open(&self, place: &Place) -> Result<Option<Items>> {
        let event_types = if self.manner == Manner::HungUp { vec![EventType::CallHungUp.into()] } else { Vec::new() };
        let start = self.cursor.clone().map(Start::Cursor);
        open(place, WatchEventsRequest { event_types, start, ..request() }).await
    }
}

/// The whole log from its beginning, and the cursor at its end.
pub async fn log(places: &mut Places) -> Result<(Vec<Delivered>, String)> {
    let start = Some(Start::StartTime(Timestamp::default()));
    let place = places.any(0).await?;
    let request = WatchEventsRequest { start, heartbeat_interval: None, ..request() };
    let mut items = open(&place, request).await?.ok_or("the log cannot be read")?;
    let mut events = Vec::new();
    while let Some((item, cursor)) = next(&mut items).await? {
        match item {
            Item::Event(event) => events.push(Delivered::of(event)?),
            // It says that nothing is left.
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

async fn open(place: &Place, request: WatchEventsRequest) -> Result<Option<Items>> {
    let endpoint = endpoint(&place.grpc)?.initial_stream_window_size(WINDOW);
    let Ok(channel) = endpoint.connect().await else { return Ok(None) };
    match ContactCenterClient::new(channel).watch_events(request).await {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) => broken(&status).map(|()| None),
    }
}

/// What comes next; `None` when the stream broke, which it may.
async fn next(items: &mut Items) -> Result<Option<(Item, String)>> {
    match timeout(SILENCE, items.message()).await.map_err(|_| "a stream was silent")? {
        Ok(Some(WatchEventsResponse { cursor, item })) => {
            Ok(Some((item.ok_or("neither event nor heartbeat")?, cursor)))
        }
        Ok(None) => Err("a stream ended without a status".into()),
        Err(status) => broken(&status).map(|()| None),
    }
}

/// Whether a stream may end like this: it broke, or one may go on elsewhere or later.
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
