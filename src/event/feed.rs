//! A center's live events, decoded and encoded once for all watchers.
//!
//! While a center has watchers, one task follows the tail of the log and holds the newest encoded events in a window of
//! bounded size. Each watcher reads the events after its position from the window. A watcher whose position is before
//! the window reads the log itself until it reaches the window. So a slow watcher neither delays the others nor has a
//! queue.

use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;

use super::cursor::Cursor;
use crate::{
    adapter::Adapter,
    clock::Clock,
    error::Result,
    name::CenterName,
    proto::{
        EncodedWatchEventsResponse,
        v1::{self, WatchEventsResponse, watch_events_response},
    },
    store::event_log::{EventLog, Reader, Record},
};

/// Bounds of the window: items, and bytes of their encodings.
const MAX_WINDOW_ITEMS: usize = 4096;
const MAX_WINDOW_BYTES: usize = 4 << 20;
/// Most events that a watcher reads at once.
const MAX_BATCH_ITEMS: usize = 64;

/// One center's events.
pub struct Feed {
    center: String,
    log: Arc<dyn EventLog>,
    adapter: Arc<dyn Adapter>,
    clock: Clock,
    /// `Some` while the center has watchers.
    tail: Mutex<Option<Arc<LogTail>>>,
}

/// An encoded event and the fields that watchers filter by.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its sequence in the log.
    pub sequence: u64,
    /// When it was received.
    pub received: SystemTime,
    /// Its `EventType`.
    pub event_type: i32,
    /// The encoded stream item.
    pub encoded: EncodedWatchEventsResponse,
}

/// The tail of a log that a task follows.
#[derive(Debug)]
struct LogTail {
    /// ID of the log.
    log: u64,
    window: Mutex<Window>,
    /// Sequence of the newest event in the window; `None` after the task ended.
    newest: Mutex<Option<watch::Sender<u64>>>,
}

#[derive(Debug)]
struct Window {
    /// The position right before the first item.
    after: u64,
    items: VecDeque<Item>,
    bytes: usize,
}

/// Closes the followers' channel when the task ends.
struct CloseOnDrop(Arc<LogTail>);

/// One watcher's handle of the log tail.
#[derive(Debug)]
pub struct Follower {
    tail: Arc<LogTail>,
    newest: watch::Receiver<u64>,
}

/// The items of the window after a position.
#[derive(Debug)]
pub enum Next {
    /// At least one item.
    Items(VecDeque<Item>),
    /// The window has no item after the position.
    Empty,
    /// The position is before the window: the watcher must read the log.
    Behind,
}

// === impl Feed ===

impl Feed {
    /// The feed of a center without watchers.
    pub fn new(center: String, log: Arc<dyn EventLog>, adapter: Arc<dyn Adapter>, clock: Clock) -> Self {
        Self { center, log, adapter, clock, tail: Mutex::default() }
    }

    /// The log that stores the events.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The clock of heartbeats.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// ID of the center.
    pub fn center(&self) -> &str {
        &self.center
    }

    /// Follows the tail of the log. All followers share one task.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn follow(self: &Arc<Self>) -> Result<Follower> {
        if let Some(follower) = self.join(None) {
            return Ok(follower);
        }
        let extent = self.log.extent(&self.center).await?;
        let reader = self.log.read(&self.center, extent.newest).await?;
        let (newest, receiver) = watch::channel(extent.newest);
        let window = Window { after: extent.newest, items: VecDeque::new(), bytes: 0 };
        let tail =
            Arc::new(LogTail { log: extent.log, window: Mutex::new(window), newest: Mutex::new(Some(newest.clone())) });
        let follower = Follower { tail: tail.clone(), newest: receiver };
        // Another watcher may have set a tail meanwhile.
        if let Some(other) = self.join(Some(&tail)) {
            return Ok(other);
        }
        tokio::spawn(self.clone().run(tail, newest, reader));
        Ok(follower)
    }

    /// Joins the current tail. When there is none, sets `new` as the current tail.
    fn join(&self, new: Option<&Arc<LogTail>>) -> Option<Follower> {
        let mut slot = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let joined = slot.as_ref().and_then(LogTail::join);
        if joined.is_none() {
            *slot = new.cloned();
        }
        joined
    }

    /// Follows the log until the last watcher stops.
    async fn run(self: Arc<Self>, tail: Arc<LogTail>, newest: watch::Sender<u64>, mut reader: Box<dyn Reader>) {
        // Also a panic closes the followers' channel.
        let _close = CloseOnDrop(tail.clone());
        loop {
            let page = tokio::select! {
                page = reader.next() => page,
                () = newest.closed() => {
                    if self.stop_if_unfollowed(&tail, &newest) {
                        return;
                    }
                    continue;
                }
            };
            let Ok(page) = page else { return };
            let items: Vec<Item> = page.iter().map(|record| self.item(tail.log, record)).collect();
            let Some(last) = items.last().map(|last| last.sequence) else { continue };
            tail.window.lock().unwrap_or_else(PoisonError::into_inner).push(items);
            newest.send_replace(last);
        }
    }

    /// Clears the current tail when it has no followers. Says whether the task must stop.
    fn stop_if_unfollowed(&self, tail: &Arc<LogTail>, newest: &watch::Sender<u64>) -> bool {
        let mut slot = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let unfollowed = newest.receiver_count() == 0;
        if unfollowed && slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, tail)) {
            *slot = None;
        }
        unfollowed
    }

    /// The stream item of a record.
    pub fn item(&self, log: u64, record: &Record) -> Item {
        let Record { sequence, received, body } = record;
        let event = v1::Event {
            event_id: format!("{log:016x}-{sequence}"),
            center: CenterName::new(self.center.as_str()).to_string(),
            receive_time: Some((*received).into()),
            ..self.decode(*sequence, body)
        };
        let event_type = event.r#type;
        let cursor = Cursor { log, position: *sequence, may_skip: false }.encode(&self.center);
        let response = WatchEventsResponse { cursor, item: Some(watch_events_response::Item::Event(event)) };
        Item {
            sequence: *sequence,
            received: *received,
            event_type,
            encoded: EncodedWatchEventsResponse::from(&response),
        }
    }

    /// Decodes a body. A panic of the adapter must not block the events after this one.
    fn decode(&self, sequence: u64, body: &[u8]) -> v1::Event {
        let decode = AssertUnwindSafe(|| self.adapter.read_event(&self.center, body));
        std::panic::catch_unwind(decode).unwrap_or_else(|_| {
            tracing::error!(
                center = self.center,
                sequence,
                "decoding an event panicked; the event is sent without its payload"
            );
            v1::Event { r#type: v1::EventType::Vendor.into(), ..v1::Event::default() }
        })
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("center", &self.center).finish_non_exhaustive()
    }
}

// === impl LogTail ===

impl LogTail {
    fn join(self: &Arc<Self>) -> Option<Follower> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.subscribe();
        Some(Follower { tail: self.clone(), newest })
    }
}

// === impl CloseOnDrop ===

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

// === impl Window ===

impl Window {
    fn push(&mut self, items: Vec<Item>) {
        for item in items {
            let last = self.items.back().map_or(self.after, |last| last.sequence);
            if item.sequence != last + 1 {
                // The events between expired before they were read. A watcher that waits for them learns it from the
                // log.
                *self = Self { after: item.sequence - 1, items: VecDeque::new(), bytes: 0 };
            }
            self.bytes += item.size();
            self.items.push_back(item);
            while self.items.len() > MAX_WINDOW_ITEMS || self.bytes > MAX_WINDOW_BYTES && self.items.len() > 1 {
                let Some(evicted) = self.items.pop_front() else { break };
                self.bytes -= evicted.size();
                self.after = evicted.sequence;
            }
        }
    }

    fn after(&self, position: u64) -> Next {
        if position < self.after {
            return Next::Behind;
        }
        let first = self.items.partition_point(|item| item.sequence <= position);
        let items: VecDeque<Item> = self.items.range(first..).take(MAX_BATCH_ITEMS).cloned().collect();
        if items.is_empty() { Next::Empty } else { Next::Items(items) }
    }
}

// === impl Item ===

impl Item {
    fn size(&self) -> usize {
        prost::Message::encoded_len(&self.encoded) + size_of::<Self>()
    }
}

// === impl Follower ===

impl Follower {
    /// ID of the followed log.
    pub fn log(&self) -> u64 {
        self.tail.log
    }

    /// The items of the window after a position.
    pub fn after(&mut self, position: u64) -> Next {
        // Marked as seen before the window is read, so that `changed` reports items that arrive meanwhile.
        self.newest.borrow_and_update();
        self.tail.window.lock().unwrap_or_else(PoisonError::into_inner).after(position)
    }

    /// Waits for items that are newer than at the last call of `after`. `false` when the task ended.
    pub async fn changed(&mut self) -> bool {
        self.newest.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn item(sequence: u64, payload: usize) -> Item {
        let cursor = "x".repeat(payload);
        let encoded = EncodedWatchEventsResponse::from(&WatchEventsResponse { cursor, item: None });
        Item { sequence, received: UNIX_EPOCH, event_type: 0, encoded }
    }

    fn window(after: u64) -> Window {
        Window { after, items: VecDeque::new(), bytes: 0 }
    }

    fn sequences(next: Next) -> Vec<u64> {
        match next {
            Next::Items(items) => items.into_iter().map(|item| item.sequence).collect(),
            Next::Empty => Vec::new(),
            Next::Behind => panic!("behind"),
        }
    }

    #[test]
    fn a_window_returns_the_items_after_a_position() {
        let mut window = window(7);
        assert!(matches!(window.after(7), Next::Empty));
        window.push((8..=10).map(|sequence| item(sequence, 1)).collect());
        assert_eq!(sequences(window.after(7)), [8, 9, 10]);
        assert_eq!(sequences(window.after(9)), [10]);
        assert!(matches!(window.after(10), Next::Empty));
        assert!(matches!(window.after(6), Next::Behind));
        // Another gateway that read the same log first may have issued this position.
        assert!(matches!(window.after(11), Next::Empty));
    }

    #[test]
    fn a_gap_in_the_log_restarts_the_window_after_the_gap() {
        let mut window = window(0);
        window.push(vec![item(1, 1), item(5, 1)]);
        assert!(matches!(window.after(1), Next::Behind));
        assert_eq!(sequences(window.after(4)), [5]);
    }

    #[test]
    fn a_window_is_bounded_in_bytes_and_retains_the_newest_items() {
        let mut window = window(0);
        window.push((1..=100).map(|sequence| item(sequence, 100_000)).collect());
        assert!(window.bytes <= MAX_WINDOW_BYTES && window.items.len() > 30);
        assert_eq!(sequences(window.after(99)), [100]);
        window.push(vec![item(101, MAX_WINDOW_BYTES * 2)]);
        assert_eq!((window.items.len(), window.after), (1, 100), "an item larger than the window is retained alone");
    }

    proptest! {
        #[test]
        fn a_reader_of_the_window_receives_every_item_or_behind(
            pages in proptest::collection::vec(1_usize..200, 1..60), start in 0_u64..4000,
        ) {
            let mut window = window(0);
            let (mut newest, mut position) = (0, None);
            for page in pages {
                let first = newest + 1;
                newest += page as u64;
                window.push((first..=newest).map(|sequence| item(sequence, 1)).collect());
                prop_assert!(window.items.len() <= MAX_WINDOW_ITEMS);
                let from = position.unwrap_or_else(|| start.min(newest));
                if let Next::Items(items) = window.after(from) {
                    let read: Vec<u64> = items.into_iter().map(|item| item.sequence).collect();
                    prop_assert_eq!(&read, &(from + 1..=from + read.len() as u64).collect::<Vec<_>>());
                    position = read.last().copied();
                }
            }
        }
    }

    #[test]
    fn a_watcher_gets_a_bounded_batch_at_once() {
        let mut window = window(0);
        window.push((1..=200).map(|sequence| item(sequence, 1)).collect());
        assert_eq!(sequences(window.after(0)), (1..=64).collect::<Vec<_>>());
        assert_eq!(sequences(window.after(190)), (191..=200).collect::<Vec<_>>());
    }

    #[test]
    fn a_window_keeps_the_newest_4096() {
        let mut window = window(0);
        window.push((1..=4096).map(|sequence| item(sequence, 1)).collect());
        assert_eq!((window.items.len(), window.after), (4096, 0));
        window.push(vec![item(4097, 1)]);
        assert_eq!((window.items.len(), window.after), (4096, 1));
        assert_eq!(window.bytes, window.items.iter().map(Item::size).sum::<usize>());
    }

    #[test]
    fn a_window_of_just_its_bytes_is_kept_whole() {
        let half = MAX_WINDOW_BYTES / 2;
        let fixed = item(1, half - 1000).size() - (half - 1000);
        let mut window = window(0);
        window.push(vec![item(1, half - fixed), item(2, half - fixed)]);
        assert_eq!((window.bytes, window.items.len()), (MAX_WINDOW_BYTES, 2));
        window.push(vec![item(3, 0)]);
        assert_eq!((window.after, window.items.len()), (1, 2));
    }

    #[tokio::test]
    async fn a_task_stops_without_followers_and_leaves_another_tail_alone() {
        let feed = super::super::watch::tests::Fixture::new([]).feed;
        let follower = feed.follow().await.unwrap();
        let tail = follower.tail.clone();
        let newest = tail.newest.lock().unwrap().clone().unwrap();
        let is_current = || feed.tail.lock().unwrap().as_ref().is_some_and(|current| Arc::ptr_eq(current, &tail));
        // A watcher that joined after the last one stopped.
        assert!(!feed.stop_if_unfollowed(&tail, &newest) && is_current());
        drop(follower);
        // A tail that is not the current one any more.
        let other = LogTail { log: 1, window: Mutex::new(window(0)), newest: Mutex::new(None) };
        assert!(feed.stop_if_unfollowed(&Arc::new(other), &newest) && is_current());
        assert!(feed.stop_if_unfollowed(&tail, &newest) && !is_current());
    }
}
