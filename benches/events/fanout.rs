//! How fast, and at what cost, events reach those who watch while they are posted at a steady rate.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes};
use prost::Message as _;
use switchboard::proto::v1::{
    WatchEventsRequest, contact_center_client::ContactCenterClient, watch_events_response::Item,
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    body::{self, body},
    figures::{Latencies, cpu_time},
    poster::Poster,
    support::{Addresses, Process, Result, endpoint},
};

/// Connections that the events are posted over.
const POSTERS: u64 = 32;
/// Watchers that share one connection: the gateway lets 200 calls run at once on one.
const WATCHERS_PER_CONNECTION: u64 = 50;
/// What a watcher lets come before it has been read, and a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Longest that watchers are waited for once everything is posted.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a gateway is asked for.
pub struct Load {
    /// Events a second.
    pub rate: u64,
    /// For how long.
    pub time: Duration,
    /// Watchers beside the one whose deliveries are timed.
    pub watchers: u64,
}

/// What came of it.
pub struct Streamed {
    /// From the post to the delivery to one watcher.
    pub latencies: Latencies,
    /// Events posted and acknowledged.
    pub posted: u64,
    /// Watchers that received each of them.
    pub complete: u64,
    /// CPU time of the gateway meanwhile.
    pub cpu: Duration,
    /// How long it took.
    pub elapsed: Duration,
}

/// When each event was posted, by its call's ID.
type Posted = Arc<Mutex<HashMap<String, Instant>>>;

/// Counts the messages of a stream by their lengths, and looks into none.
#[derive(Default)]
struct Messages {
    /// The prefix of the next message, as far as it is there.
    prefix: Vec<u8>,
    /// Bytes of the message that are still to come.
    rest: usize,
}

/// Opens the streams, posts, and waits until everything has arrived.
pub async fn stream(gateway: &Process, addresses: &Addresses, load: &Load) -> Result<Streamed> {
    let events = load.rate * load.time.as_secs();
    let (http, grpc) = (addresses.of("http")?, addresses.of("grpc")?);
    let mut counting = JoinSet::new();
    let mut caught_up = Vec::new();
    let mut left = load.watchers;
    while left > 0 {
        let here = left.min(WATCHERS_PER_CONNECTION);
        left -= here;
        let sender = handshake(grpc).await?;
        for _ in 0..here {
            let (told, is_caught_up) = oneshot::channel();
            caught_up.push(is_caught_up);
            counting.spawn(count(sender.clone(), events, told));
        }
    }
    for is_caught_up in caught_up {
        is_caught_up.await.map_err(|_| "a stream did not begin")?;
    }
    let posted = Posted::default();
    let (told, is_caught_up) = oneshot::channel();
    let timed = tokio::spawn(watch(grpc.to_owned(), events, posted.clone(), told));
    is_caught_up.await.map_err(|_| "a stream did not begin")?;

    let before = cpu_time(gateway)?;
    let begun = Instant::now();
    post_all(http, load, &posted).await?;
    let latencies = timeout(PATIENCE, timed).await.map_err(|_| "the timed watcher did not receive all")???;
    let mut complete = 0;
    let all = async {
        while let Some(ended) = counting.join_next().await {
            complete += u64::from(ended?? == events);
        }
        Result::Ok(())
    };
    // Those that do not receive all in time are told by the count.
    timeout(PATIENCE, all).await.unwrap_or(Ok(()))?;
    let (cpu, elapsed) = (cpu_time(gateway)?.saturating_sub(before), begun.elapsed());
    Ok(Streamed { latencies, posted: events, complete, cpu, elapsed })
}

/// Posts at a steady rate, from when on each event is due whatever became of those before.
async fn post_all(http: &str, load: &Load, posted: &Posted) -> Result<()> {
    let events = load.rate * load.time.as_secs();
    let step = Duration::from_secs(1) / u32::try_from(load.rate)?;
    let mut connected = Vec::new();
    for _ in 0..POSTERS {
        connected.push(Poster::connect(http).await?);
    }
    let first = Instant::now() + step;
    let mut running = JoinSet::new();
    for (place, mut poster) in (0..).zip(connected) {
        let posted = posted.clone();
        running.spawn(async move {
            for event in (place..events).step_by(usize::try_from(POSTERS)?) {
                let due = first + step * u32::try_from(event)?;
                let is_late = Instant::now() > due;
                sleep_until(due).await;
                // The timer's own grain is not the gateway's; a connection that is still busy is.
                let begun = if is_late { due } else { Instant::now() };
                let body = body(event.into());
                posted.lock().await.insert(format!("{event:032x}"), begun);
                let status = poster.post(&body).await?;
                if status != 200 {
                    return Err(format!("a post was answered {status}").into());
                }
            }
            Result::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// Watches as a client of the contract does, and tells how long each event took.
async fn watch(grpc: String, events: u64, posted: Posted, caught_up: oneshot::Sender<()>) -> Result<Latencies> {
    let mut client = ContactCenterClient::new(endpoint(&grpc)?.connect().await?);
    let mut items = client.watch_events(request()).await?.into_inner();
    let mut caught_up = Some(caught_up);
    let mut latencies = Latencies::default();
    while latencies.count() < usize::try_from(events)? {
        let item = items.message().await?.and_then(|response| response.item).ok_or("the stream ended")?;
        let now = Instant::now();
        match item {
            Item::Event(event) => {
                let call = event.call.ok_or("an event of no call")?.call_id;
                let begun = posted.lock().await.remove(&call).ok_or("an event that was not posted, or twice")?;
                latencies.push(now - begun);
            }
            Item::Heartbeat(_) => tell_once(&mut caught_up),
        }
    }
    Ok(latencies)
}

async fn handshake(grpc: &str) -> Result<h2::client::SendRequest<Bytes>> {
    let stream = TcpStream::connect(grpc).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(stream)
        .await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Counts the events of one stream until there are so many.
async fn count(sender: h2::client::SendRequest<Bytes>, events: u64, caught_up: oneshot::Sender<()>) -> Result<u64> {
    let head = http::Request::post("http://gateway/contactcenter.v1.ContactCenter/WatchEvents")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (answer, mut body) = sender.ready().await?.send_request(head, false)?;
    let message = request().encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len())?.to_be_bytes());
    framed.extend(message);
    body.send_data(framed.into(), true)?;
    let mut items = answer.await?.into_body();
    let mut caught_up = Some(caught_up);
    let mut messages = Messages::default();
    let mut counted = 0;
    while counted < events {
        let Some(chunk) = items.data().await.transpose()? else { break };
        items.flow_control().release_capacity(chunk.len())?;
        messages.read(chunk, |length| {
            // A heartbeat has no payload.
            if length > body::LENGTH {
                counted += 1;
            } else {
                tell_once(&mut caught_up);
            }
        });
    }
    Ok(counted)
}

/// Tells, the first time, that a stream has begun.
fn tell_once(caught_up: &mut Option<oneshot::Sender<()>>) {
    if let Some(told) = caught_up.take() {
        // Whoever wanted to know may have given up.
        let _ = told.send(());
    }
}

fn request() -> WatchEventsRequest {
    WatchEventsRequest { parent: "centers/beta".to_owned(), ..WatchEventsRequest::default() }
}

// === impl Messages ===

impl Messages {
    /// Tells the length of each message that begins in this chunk.
    fn read(&mut self, mut chunk: Bytes, mut tell: impl FnMut(usize)) {
        while chunk.has_remaining() {
            let skipped = self.rest.min(chunk.len());
            chunk.advance(skipped);
            self.rest -= skipped;
            let more = chunk.split_to(chunk.len().min(5 - self.prefix.len()));
            self.prefix.extend_from_slice(&more);
            if let Some(length) = self.prefix.get(1..5).and_then(|length| <[u8; 4]>::try_from(length).ok()) {
                self.rest = u32::from_be_bytes(length) as usize;
                self.prefix.clear();
                tell(self.rest);
            }
        }
    }
}
