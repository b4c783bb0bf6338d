//! One `WatchEvents` stream: where it stands, and what it is sent next.

use crate::proto::EncodedWatchEventsResponse;
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
    proto::v1::{WatchEventsResponse, WatchHeartbeat, watch_events_response},
    store::event_log::{Extent, Reader, Record},
    telemetry::WatchMetrics,
};

/// Where a stream begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// With what comes from now on.
    Live,
    /// Right after a cursor, as a client kept it.
    Cursor(String),
    /// With the first event that was received at this time or later.
    Time(SystemTime),
}

/// What a stream is asked for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where it begins.
    pub start: Start,
    /// `EventType`s; all when empty.
    pub event_types: Vec<i32>,
    /// Silence after which a heartbeat is sent.
    pub heartbeat: Duration,
    /// When the caller wants it to end.
    pub deadline: Option<Instant>,
}

/// What a stream holds of its gateway for as long as it is open.
#[derive(Debug)]
pub struct WatcherPermit {
    draining: Draining,
    metrics: WatchMetrics,
    _place: OwnedSemaphorePermit,
}

/// A stream.
pub struct Watch {
    feed: Arc<Feed>,
    follower: Follower,
    seat: WatcherPermit,
    terms: Terms,
    /// Sequence of the last event that was sent or passed over.
    position: u64,
    /// Whether it begins with whatever is oldest, should old events leave before the first one is read.
    may_skip: bool,
    /// What comes next.
    batch: VecDeque<Item>,
    /// While it reads the log for itself.
    past: Option<Box<dyn Reader>>,
    /// Sequence of the newest event when it began.
    newest: u64,
    /// Whether the client was told that it has caught up with that.
    caught_up: bool,
    /// When the client must hear of us.
    heartbeat_at: Instant,
}

enum Turn {
    Heartbeat,
    Page(Vec<Record>),
    Changed,
}

// === impl WatcherPermit ===

impl WatcherPermit {
    /// A place among those who watch, counted from now on, until the gateway is about to end.
    pub fn new(draining: Draining, metrics: WatchMetrics, place: OwnedSemaphorePermit) -> Self {
        Self { draining, metrics, _place: place }
    }
}

// === impl Watch ===

impl Watch {
    /// Begins a stream.
    ///
    /// # Errors
    /// `TOKEN_INVALID` and `CURSOR_EXPIRED` for a cursor that leads nowhere; `STORAGE_UNAVAILABLE`.
    pub async fn begin(feed: Arc<Feed>, terms: Terms, seat: WatcherPermit) -> Result<Self> {
        let cursor = match &terms.start {
            Start::Cursor(text) => Some(Cursor::read(feed.center(), text).ok_or_else(unreadable)?),
            Start::Live | Start::Time(_) => None,
        };
        let follower = feed.follow().await?;
        // What was kept until now, also by other gateways, whether or not it was read here yet.
        let extent = feed.log().extent(feed.center()).await?;
        let (position, may_skip) = match (cursor, &terms.start) {
            (Some(cursor), _) => {
                let is_gone = cursor.position < extent.oldest && !cursor.may_skip;
                if cursor.log != extent.log || cursor.position > extent.newest || is_gone {
                    return Err(expired(&feed, extent));
                }
                (cursor.position.max(extent.oldest), cursor.may_skip)
            }
            (None, Start::Time(time)) => (feed.log().seek(feed.center(), *time).await?, true),
            (None, _) => (extent.newest, false),
        };
        let heartbeat_at = Instant::now() + terms.heartbeat;
        Ok(Self {
            feed,
            follower,
            seat,
            terms,
            position,
            may_skip,
            batch: VecDeque::new(),
            past: None,
            newest: extent.newest,
            caught_up: false,
            heartbeat_at,
        })
    }

    /// The items of the stream. It ends with an error, or when the client goes away.
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
            if let Some(item) = self.chosen() {
                self.heartbeat_at = Instant::now() + self.terms.heartbeat;
                self.seat.metrics.delivered();
                return Ok(item);
            }
            if self.seat.draining.is_draining() {
                return Err(draining());
            }
            if self.terms.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::too_late());
            }
            // Also while events pass by that were not asked for.
            if Instant::now() >= self.heartbeat_at {
                return Ok(self.heartbeat());
            }
            match self.follower.after(self.position) {
                Next::Items(items) => {
                    self.past = None;
                    self.batch = items;
                }
                Next::Nothing if !self.caught_up && self.position >= self.newest => return Ok(self.heartbeat()),
                Next::Nothing => {
                    self.past = None;
                    if let Turn::Heartbeat = self.turn().await? {
                        return Ok(self.heartbeat());
                    }
                }
                Next::Behind => {
                    if self.past.is_none() {
                        self.past = Some(self.feed.log().read(self.feed.center(), self.position).await?);
                    }
                    match self.turn().await? {
                        // All that it waits for may be gone.
                        Turn::Heartbeat => {
                            self.unbroken().await?;
                            return Ok(self.heartbeat());
                        }
                        Turn::Page(page) => self.batch = self.read(&page).await?,
                        Turn::Changed => {}
                    }
                }
            }
        }
    }

    /// The next event of the batch that was asked for.
    fn chosen(&mut self) -> Option<EncodedWatchEventsResponse> {
        while let Some(item) = self.batch.pop_front() {
            self.position = item.sequence;
            self.may_skip = false;
            let types = &self.terms.event_types;
            let is_wanted = types.is_empty() || types.contains(&item.event_type);
            // A log that several gateways share is in the order of its server's clock, not of ours.
            let is_early = matches!(self.terms.start, Start::Time(time) if item.received < time);
            if is_wanted && !is_early {
                return Some(item.encoded);
            }
        }
        None
    }

    /// Waits for whatever comes first: something to read, a heartbeat that is due, or the end.
    async fn turn(&mut self) -> Result<Turn> {
        let (deadline, end) = (self.terms.deadline, self.terms.deadline.unwrap_or(self.heartbeat_at));
        let read = async {
            match &mut self.past {
                Some(past) => past.next().await.map(Turn::Page),
                None if self.follower.changed().await => Ok(Turn::Changed),
                None => Err(unfollowed()),
            }
        };
        tokio::select! {
            biased;
            () = self.seat.draining.begun() => Err(draining()),
            turn = read => turn,
            () = sleep_until(self.heartbeat_at) => Ok(Turn::Heartbeat),
            () = sleep_until(end), if deadline.is_some() => Err(Error::too_late()),
        }
    }

    /// What is sent of a page of the log, unless something before it is gone.
    async fn read(&mut self, page: &[Record]) -> Result<VecDeque<Item>> {
        if page.first().is_some_and(|first| first.sequence > self.position + 1) {
            self.unbroken().await?;
        }
        Ok(page.iter().map(|record| self.feed.item(self.follower.log(), record)).collect())
    }

    /// Fails when what comes right after its position is gone.
    async fn unbroken(&mut self) -> Result<()> {
        if self.may_skip {
            return Ok(());
        }
        let extent = self.feed.log().extent(self.feed.center()).await?;
        if extent.oldest > self.position { Err(expired(&self.feed, extent)) } else { Ok(()) }
    }

    fn heartbeat(&mut self) -> EncodedWatchEventsResponse {
        self.caught_up = self.caught_up || self.position >= self.newest;
        self.heartbeat_at = Instant::now() + self.terms.heartbeat;
        let cursor = Cursor { log: self.follower.log(), position: self.position, may_skip: self.may_skip };
        let item = Some(watch_events_response::Item::Heartbeat(WatchHeartbeat {
            send_time: Some(self.feed.clock().now().into()),
        }));
        EncodedWatchEventsResponse::from(&WatchEventsResponse { cursor: cursor.text(self.feed.center()), item })
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("feed", &self.feed).field("position", &self.position).finish_non_exhaustive()
    }
}

fn unreadable() -> Error {
    Error::new(
        ErrorReason::TokenInvalid,
        "cursor was not issued by WatchEvents for this center; start without a cursor, or with start_time",
    )
}

fn expired(feed: &Feed, extent: Extent) -> Error {
    let oldest = Cursor { log: extent.log, position: extent.oldest, may_skip: true };
    Error::new(
        ErrorReason::CursorExpired,
        "events after this cursor have expired; resume from oldestCursor and look up what was missed",
    )
    .with("oldestCursor", oldest.text(feed.center()))
}

fn draining() -> Error {
    Error::new(
        ErrorReason::GatewayDraining,
        "this gateway is shutting down; nothing is lost: resume from the last cursor, at another gateway or after the restart",
    )
    .retry_after(Duration::ZERO)
}

fn unfollowed() -> Error {
    Error::new(
        ErrorReason::StorageUnavailable,
        "the event log is not readable at the moment; nothing is lost: resume from the last cursor",
    )
    .retry_after(Duration::from_secs(1))
}
