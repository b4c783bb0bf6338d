//! One `WatchEvents` stream: its position and its next item.

#[cfg(test)]
pub(super) mod tests;

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{Stream, stream};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

use super::{
    cursor::Cursor,
    feed::{Feed, Follower, Item, Next},
};
use crate::{
    drain::Draining,
    error::{Error, ErrorReason, Result},
    proto::{
        EncodedWatchEventsResponse,
        v1::{WatchEventsResponse, WatchHeartbeat, watch_events_response},
    },
    store::event_log::{Extent, Reader, Record},
    telemetry::WatchMetrics,
};

/// Where a stream starts.
#[derive(Debug, Clone)]
pub enum Start {
    /// With the first event that the gateway receives after the call.
    Live,
    /// Right after a cursor that a client stored.
    Cursor(String),
    /// With the first event that was received at this time or later.
    Time(SystemTime),
}

/// The options of a stream.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Where the stream starts.
    pub start: Start,
    /// `EventType`s; all when empty.
    pub event_types: Vec<i32>,
    /// Time without an item after which the stream sends a heartbeat.
    pub heartbeat_interval: Duration,
    /// The caller's own deadline.
    pub deadline: Option<Instant>,
}

/// Permit of one open stream.
#[derive(Debug)]
pub struct WatcherPermit {
    draining: Draining,
    metrics: WatchMetrics,
    _permit: OwnedSemaphorePermit,
}

/// An open stream.
pub struct Watch {
    feed: Arc<Feed>,
    follower: Follower,
    permit: WatcherPermit,
    options: WatchOptions,
    /// Sequence of the last event that the stream sent or filtered out.
    position: u64,
    /// Whether the stream starts with the oldest stored event when the event right after `position` expired.
    may_skip: bool,
    /// Items that were read and not yet sent.
    batch: VecDeque<Item>,
    /// Reader of the log, while `position` is before the feed's window.
    log_reader: Option<Box<dyn Reader>>,
    /// Sequence of the newest event when the stream started.
    newest_at_start: u64,
    /// Whether the stream sent the heartbeat that reports `newest_at_start` as reached.
    caught_up: bool,
    /// When the next heartbeat is due.
    next_heartbeat: Instant,
}

enum Wakeup {
    Heartbeat,
    Page(Vec<Record>),
    Changed,
}

// === impl WatcherPermit ===

impl WatcherPermit {
    /// The permit of a stream that ends when the gateway drains. The metrics count the stream until the permit is
    /// dropped.
    pub fn new(draining: Draining, metrics: WatchMetrics, permit: OwnedSemaphorePermit) -> Self {
        Self { draining, metrics, _permit: permit }
    }
}

// === impl Watch ===

impl Watch {
    /// Starts a stream.
    ///
    /// # Errors
    /// `TOKEN_INVALID` for a cursor of another center or none at all; `CURSOR_EXPIRED`; `STORAGE_UNAVAILABLE`.
    pub async fn start(feed: Arc<Feed>, options: WatchOptions, permit: WatcherPermit) -> Result<Self> {
        let cursor = match &options.start {
            Start::Cursor(text) => Some(Cursor::decode(feed.center(), text).ok_or_else(invalid_cursor)?),
            Start::Live | Start::Time(_) => None,
        };
        let follower = feed.follow().await?;
        // The extent includes events that other gateways appended and that this gateway has not read yet.
        let extent = feed.log().extent(feed.center()).await?;
        let (position, may_skip) = match (cursor, &options.start) {
            (Some(cursor), _) => {
                let is_expired = cursor.position < extent.oldest && !cursor.may_skip;
                if cursor.log != extent.log || cursor.position > extent.newest || is_expired {
                    return Err(cursor_expired(&feed, extent));
                }
                (cursor.position.max(extent.oldest), cursor.may_skip)
            }
            (None, Start::Time(time)) => (feed.log().seek(feed.center(), *time).await?, true),
            (None, _) => (extent.newest, false),
        };
        let next_heartbeat = Instant::now() + options.heartbeat_interval;
        Ok(Self {
            feed,
            follower,
            permit,
            options,
            position,
            may_skip,
            batch: VecDeque::new(),
            log_reader: None,
            newest_at_start: extent.newest,
            caught_up: false,
            next_heartbeat,
        })
    }

    /// The items of the stream. It ends with an error, or when the client cancels it.
    pub fn items(self) -> impl Stream<Item = Result<EncodedWatchEventsResponse>> + Send {
        stream::unfold(Some(self), async |watch| {
            let mut watch = watch?;
            match watch.next().await {
                Ok(item) => Some((Ok(item), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<EncodedWatchEventsResponse> {
        loop {
            if let Some(item) = self.next_match() {
                self.next_heartbeat = Instant::now() + self.options.heartbeat_interval;
                self.permit.metrics.delivered();
                return Ok(item);
            }
            if self.permit.draining.is_draining() {
                return Err(draining());
            }
            if self.options.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::deadline_before_send());
            }
            // A heartbeat is due also while the stream filters events out.
            if Instant::now() >= self.next_heartbeat {
                return Ok(self.heartbeat());
            }
            match self.follower.after(self.position) {
                Next::Items(items) => {
                    self.log_reader = None;
                    self.batch = items;
                }
                Next::Empty if !self.caught_up && self.position >= self.newest_at_start => {
                    return Ok(self.heartbeat());
                }
                Next::Empty => {
                    self.log_reader = None;
                    if let Wakeup::Heartbeat = self.wait().await? {
                        return Ok(self.heartbeat());
                    }
                }
                Next::Behind => {
                    if self.log_reader.is_none() {
                        self.log_reader = Some(self.feed.log().read(self.feed.center(), self.position).await?);
                    }
                    match self.wait().await? {
                        // The events after the position may have expired.
                        Wakeup::Heartbeat => {
                            self.reject_gap().await?;
                            return Ok(self.heartbeat());
                        }
                        Wakeup::Page(page) => self.batch = self.encode(&page).await?,
                        Wakeup::Changed => {}
                    }
                }
            }
        }
    }

    /// The next event of the batch that matches the options.
    fn next_match(&mut self) -> Option<EncodedWatchEventsResponse> {
        while let Some(item) = self.batch.pop_front() {
            self.position = item.sequence;
            self.may_skip = false;
            let types = &self.options.event_types;
            let has_type = types.is_empty() || types.contains(&item.event_type);
            // A log that several gateways share is in the order of its server's clock, not of this gateway's.
            let is_before_start = matches!(self.options.start, Start::Time(time) if item.received < time);
            if has_type && !is_before_start {
                return Some(item.encoded);
            }
        }
        None
    }

    /// Waits for a page of the log, a change of the window, the next heartbeat, the drain or the deadline.
    async fn wait(&mut self) -> Result<Wakeup> {
        let (deadline, end) = (self.options.deadline, self.options.deadline.unwrap_or(self.next_heartbeat));
        let read = async {
            match &mut self.log_reader {
                Some(reader) => reader.next().await.map(Wakeup::Page),
                None if self.follower.changed().await => Ok(Wakeup::Changed),
                None => Err(log_unavailable()),
            }
        };
        tokio::select! {
            biased;
            () = self.permit.draining.begun() => Err(draining()),
            wakeup = read => wakeup,
            () = sleep_until(self.next_heartbeat) => Ok(Wakeup::Heartbeat),
            () = sleep_until(end), if deadline.is_some() => Err(Error::deadline_before_send()),
        }
    }

    /// Encodes a page of the log. Fails when events between the position and the page expired.
    async fn encode(&mut self, page: &[Record]) -> Result<VecDeque<Item>> {
        if page.first().is_some_and(|first| first.sequence > self.position + 1) {
            self.reject_gap().await?;
        }
        Ok(page.iter().map(|record| self.feed.item(self.follower.log(), record)).collect())
    }

    /// Fails when the event right after the position expired.
    async fn reject_gap(&mut self) -> Result<()> {
        if self.may_skip {
            return Ok(());
        }
        let extent = self.feed.log().extent(self.feed.center()).await?;
        if extent.oldest > self.position { Err(cursor_expired(&self.feed, extent)) } else { Ok(()) }
    }

    fn heartbeat(&mut self) -> EncodedWatchEventsResponse {
        self.caught_up = self.caught_up || self.position >= self.newest_at_start;
        self.next_heartbeat = Instant::now() + self.options.heartbeat_interval;
        let cursor = Cursor { log: self.follower.log(), position: self.position, may_skip: self.may_skip };
        let item = Some(watch_events_response::Item::Heartbeat(WatchHeartbeat {
            send_time: Some(self.feed.clock().now().into()),
        }));
        EncodedWatchEventsResponse::from(&WatchEventsResponse { cursor: cursor.encode(self.feed.center()), item })
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("feed", &self.feed).field("position", &self.position).finish_non_exhaustive()
    }
}

fn invalid_cursor() -> Error {
    Error::new(
        ErrorReason::TokenInvalid,
        "cursor was not issued by WatchEvents for this center; start without a cursor, or with start_time",
    )
}

fn cursor_expired(feed: &Feed, extent: Extent) -> Error {
    let oldest = Cursor { log: extent.log, position: extent.oldest, may_skip: true };
    Error::new(
        ErrorReason::CursorExpired,
        "events after this cursor have expired; resume from oldestCursor and look up what was missed",
    )
    .with("oldestCursor", oldest.encode(feed.center()))
}

fn draining() -> Error {
    Error::new(
        ErrorReason::GatewayDraining,
        "this gateway is shutting down; nothing is lost: resume from the last cursor, at another gateway or after the restart",
    )
    .retry_after(Duration::ZERO)
}

fn log_unavailable() -> Error {
    Error::new(
        ErrorReason::StorageUnavailable,
        "the event log is not readable at the moment; nothing is lost: resume from the last cursor",
    )
    .retry_after(Duration::from_secs(1))
}
