//! Latency and cost of the delivery to watchers while events are posted at a steady rate.

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
/// Watchers per connection: the gateway allows 200 concurrent streams on one.
const WATCHERS_PER_CONNECTION: u64 = 50;
/// The flow-control windows of a stream and of a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Timeout of the watchers after the last post.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The load of a measurement.
pub(crate) struct Load {
    /// Events a second.
    pub rate: u64,
    /// Its duration.
    pub time: Duration,
    /// Watchers beside the timed one.
    pub watchers: u64,
}

/// The results of a measurement.
pub(crate) struct Streamed {
    /// From the post to the delivery to the timed watcher.
    pub latencies: Latencies,
    /// Events posted and acknowledged.
    pub posted: u64,
    /// Watchers that received all of them.
    pub complete: u64,
    /// CPU time of the gateway.
    pub cpu: Duration,
    /// The duration of the measurement.
    pub elapsed: Duration,
}

/// The time of each post, by the event's call ID.
type Posted = Arc<Mutex<HashMap<String, Instant>>>;

/// Splits a stream into messages by their length prefixes, without decoding them.
#[derive(Default)]
struct Messages {
    /// The received part of the next message's prefix.
    prefix: Vec<u8>,
    /// The missing bytes of the message.
    rest: usize,
}

/// Opens the streams, posts the events, and waits for their delivery.
pub(crate) async fn stream(gateway: &Process, addresses: &Addresses, load: &Load) -> Result<Streamed> {
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
            let (caught_up_sender, is_caught_up) = oneshot::channel();
            caught_up.push(is_caught_up);
            counting.spawn(count(sender.clone(), events, caught_up_sender));
        }
    }
    for is_caught_up in caught_up {
        is_caught_up.await.map_err(|_| "a stream did not begin")?;
    }
    let posted = Posted::default();
    let (caught_up_sender, is_caught_up) = oneshot::channel();
    let timed = tokio::spawn(watch(grpc.to_owned(), events, posted.clone(), caught_up_sender));
    is_caught_up.await.map_err(|_| "a stream did not begin")?;

    let before = cpu_time(gateway)?;
    let begun = Instant::now();
    post_all(http, load, &posted).await?;
    let latencies =
        timeout(DELIVERY_TIMEOUT, timed).await.map_err(|_| "the timed watcher did not receive all")???;
    let mut complete = 0;
    let all = async {
        while let Some(ended) = counting.join_next().await {
            complete += u64::from(ended?? == events);
        }
        Result::Ok(())
    };
    // The count shows watchers that do not receive all events in time.
    timeout(DELIVERY_TIMEOUT, all).await.unwrap_or(Ok(()))?;
    let (cpu, elapsed) = (cpu_time(gateway)?.saturating_sub(before), begun.elapsed());
    Ok(Streamed { latencies, posted: events, complete, cpu, elapsed })
}

/// Posts at a steady rate: a late event does not delay the schedule of the next ones.
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
                // Latency excludes the timer's granularity, but includes the wait for a busy connection.
                let begun = if is_late { due } else { Instant::now() };
                let body = body(event.into());
                posted.lock().await.insert(format!("{event:032x}"), begun);
                let status = poster.post(&body).await?;
                if status != 200 {
                    return Err(format!("a post got status {status}").into());
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

/// Watches with a generated client and returns the latency of each event.
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
            Item::Heartbeat(_) => signal_once(&mut caught_up),
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

/// Counts the events of one stream up to this number.
async fn count(sender: h2::client::SendRequest<Bytes>, events: u64, caught_up: oneshot::Sender<()>) -> Result<u64> {
    let head = http::Request::post("http://gateway/contactcenter.v1.ContactCenter/WatchEvents")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut body) = sender.ready().await?.send_request(head, false)?;
    let message = request().encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len())?.to_be_bytes());
    framed.extend(message);
    body.send_data(framed.into(), true)?;
    let mut items = response.await?.into_body();
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
                signal_once(&mut caught_up);
            }
        });
    }
    Ok(counted)
}

/// Signals once that a stream has caught up.
fn signal_once(caught_up: &mut Option<oneshot::Sender<()>>) {
    if let Some(caught_up_sender) = caught_up.take() {
        // The receiver may have been dropped.
        let _ = caught_up_sender.send(());
    }
}

fn request() -> WatchEventsRequest {
    WatchEventsRequest { parent: "centers/beta".to_owned(), ..WatchEventsRequest::default() }
}

// === impl Messages ===

impl Messages {
    /// Calls `on_message` with the length of each message that begins in this chunk.
    fn read(&mut self, mut chunk: Bytes, mut on_message: impl FnMut(usize)) {
        while chunk.has_remaining() {
            let skipped = self.rest.min(chunk.len());
            chunk.advance(skipped);
            self.rest -= skipped;
            let more = chunk.split_to(chunk.len().min(5 - self.prefix.len()));
            self.prefix.extend_from_slice(&more);
            if let Some(length) = self.prefix.get(1..5).and_then(|length| <[u8; 4]>::try_from(length).ok()) {
                self.rest = u32::from_be_bytes(length) as usize;
                self.prefix.clear();
                on_message(self.rest);
            }
        }
    }
}
