//! A center's events as they come, read, understood and encoded once for all who watch.
//!
//! While somebody watches, one task follows the end of the log and keeps the newest events, encoded, in a window of
//! bounded size. Watchers take from it what lies after their positions. Whoever has fallen behind the window, or begins
//! before it, reads the log for itself until it has caught up: nobody is waited for, and nothing is queued for anybody.

use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;

use super::cursor::Cursor;
use crate::proto::EncodedWatchEventsResponse;
use crate::{
    adapter::Adapter,
    clock::Clock,
    error::Result,
    name::CenterName,
    proto::v1::{self, WatchEventsResponse, watch_events_response},
    store::event_log::{EventLog, Reader, Record},
};

/// The newest events that are kept encoded: how many, and how many bytes.
const WINDOW: usize = 4096;
const WINDOW_BYTES: usize = 4 << 20;
/// Most events that a watcher takes at once.
const TAKEN: usize = 64;

/// One center's events.
pub struct Feed {
    center: String,
    log: Arc<dyn EventLog>,
    adapter: Arc<dyn Adapter>,
    clock: Clock,
    /// While somebody watches.
    live: Mutex<Option<Arc<Live>>>,
}

/// An event in the bytes it is sent in, and what watchers choose by.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its place in the log.
    pub sequence: u64,
    /// When it was received.
    pub received: SystemTime,
    /// Its `EventType`.
    pub event_type: i32,
    /// The whole item of the stream.
    pub encoded: EncodedWatchEventsResponse,
}

/// The end of the log, followed.
#[derive(Debug)]
struct Live {
    /// Which log it is.
    log: u64,
    window: Mutex<Window>,
    /// Position of the newest event in the window; gone when the log cannot be followed any more.
    newest: Mutex<Option<watch::Sender<u64>>>,
}

#[derive(Debug)]
struct Window {
    /// The position right before the first event that is kept.
    after: u64,
    items: VecDeque<Item>,
    bytes: usize,
}

/// Tells followers of the end of following.
struct End(Arc<Live>);

/// One watcher's hold on the end of the log.
#[derive(Debug)]
pub struct Follower {
    live: Arc<Live>,
    newest: watch::Receiver<u64>,
}

/// What lies after a position.
#[derive(Debug)]
pub enum Next {
    /// These events, at least one.
    Items(VecDeque<Item>),
    /// Nothing yet.
    Nothing,
    /// More than is kept here: it is in the log.
    Behind,
}

// === impl Feed ===

impl Feed {
    /// The events of a center, which nobody watches yet.
    pub fn new(center: String, log: Arc<dyn EventLog>, adapter: Arc<dyn Adapter>, clock: Clock) -> Self {
        Self { center, log, adapter, clock, live: Mutex::default() }
    }

    /// Where the events are kept.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The time, for heartbeats.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// ID of the center.
    pub fn center(&self) -> &str {
        &self.center
    }

    /// Follows the end of the log together with all who do.
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
        let live =
            Arc::new(Live { log: extent.log, window: Mutex::new(window), newest: Mutex::new(Some(newest.clone())) });
        let follower = Follower { live: live.clone(), newest: receiver };
        // Somebody else may have been faster.
        if let Some(other) = self.join(Some(&live)) {
            return Ok(other);
        }
        tokio::spawn(self.clone().keep(live, newest, reader));
        Ok(follower)
    }

    /// Joins those who follow already; when nobody does, `first` is to be joined from now on.
    fn join(&self, first: Option<&Arc<Live>>) -> Option<Follower> {
        let mut slot = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let joined = slot.as_ref().and_then(Live::join);
        if joined.is_none() {
            *slot = first.cloned();
        }
        joined
    }

    /// Follows the log for as long as anybody watches.
    async fn keep(self: Arc<Self>, live: Arc<Live>, newest: watch::Sender<u64>, mut reader: Box<dyn Reader>) {
        // However this ends, whoever still follows is told.
        let _end = End(live.clone());
        loop {
            let page = tokio::select! {
                page = reader.next() => page,
                () = newest.closed() => {
                    if self.leave(&live, &newest) {
                        return;
                    }
                    continue;
                }
            };
            let Ok(page) = page else { return };
            let items: Vec<Item> = page.iter().map(|record| self.item(live.log, record)).collect();
            let Some(last) = items.last().map(|last| last.sequence) else { continue };
            live.window.lock().unwrap_or_else(PoisonError::into_inner).add(items);
            newest.send_replace(last);
        }
    }

    /// Ends the following, unless somebody joined just now.
    fn leave(&self, live: &Arc<Live>, newest: &watch::Sender<u64>) -> bool {
        let mut slot = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let left = newest.receiver_count() == 0;
        if left && slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, live)) {
            *slot = None;
        }
        left
    }

    /// What is sent of a record.
    pub fn item(&self, log: u64, record: &Record) -> Item {
        let Record { sequence, received, body } = record;
        let event = v1::Event {
            event_id: format!("{log:016x}-{sequence}"),
            center: CenterName::new(self.center.as_str()).to_string(),
            receive_time: Some((*received).into()),
            ..self.read(*sequence, body)
        };
        let event_type = event.r#type;
        let cursor = Cursor { log, position: *sequence, may_skip: false }.text(&self.center);
        let response = WatchEventsResponse { cursor, item: Some(watch_events_response::Item::Event(event)) };
        Item {
            sequence: *sequence,
            received: *received,
            event_type,
            encoded: EncodedWatchEventsResponse::from(&response),
        }
    }

    /// What a body is about. A fault in finding that out must not keep all later events from everybody.
    fn read(&self, sequence: u64, body: &[u8]) -> v1::Event {
        let read = AssertUnwindSafe(|| self.adapter.read_event(&self.center, body));
        std::panic::catch_unwind(read).unwrap_or_else(|_| {
            tracing::error!(
                center = self.center,
                sequence,
                "an event could not be read; it is sent without its payload"
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

// === impl Live ===

impl Live {
    fn join(self: &Arc<Self>) -> Option<Follower> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.subscribe();
        Some(Follower { live: self.clone(), newest })
    }
}

// === impl End ===

impl Drop for End {
    fn drop(&mut self) {
        self.0.newest.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

// === impl Window ===

impl Window {
    fn add(&mut self, items: Vec<Item>) {
        for item in items {
            let last = self.items.back().map_or(self.after, |last| last.sequence);
            if item.sequence != last + 1 {
                // What lay between was too old before it was read. Whoever waits for it is to be told so by the log.
                *self = Self { after: item.sequence - 1, items: VecDeque::new(), bytes: 0 };
            }
            self.bytes += item.size();
            self.items.push_back(item);
            while self.items.len() > WINDOW || self.bytes > WINDOW_BYTES && self.items.len() > 1 {
                let Some(gone) = self.items.pop_front() else { break };
                self.bytes -= gone.size();
                self.after = gone.sequence;
            }
        }
    }

    fn after(&self, position: u64) -> Next {
        if position < self.after {
            return Next::Behind;
        }
        let first = self.items.partition_point(|item| item.sequence <= position);
        let items: VecDeque<Item> = self.items.range(first..).take(TAKEN).cloned().collect();
        if items.is_empty() { Next::Nothing } else { Next::Items(items) }
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
    /// Which log is followed.
    pub fn log(&self) -> u64 {
        self.live.log
    }

    /// What lies after a position, of what is kept encoded.
    pub fn after(&mut self, position: u64) -> Next {
        // Seen before it is looked at: what comes meanwhile is told by `changed`.
        self.newest.borrow_and_update();
        self.live.window.lock().unwrap_or_else(PoisonError::into_inner).after(position)
    }

    /// Waits until there is something newer than at the last look. `false` when the log cannot be followed any more.
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
            Next::Nothing => Vec::new(),
            Next::Behind => panic!("behind"),
        }
    }

    #[test]
    fn a_window_gives_what_lies_after_a_position() {
        let mut window = window(7);
        assert!(matches!(window.after(7), Next::Nothing));
        window.add((8..=10).map(|sequence| item(sequence, 1)).collect());
        assert_eq!(sequences(window.after(7)), [8, 9, 10]);
        assert_eq!(sequences(window.after(9)), [10]);
        assert!(matches!(window.after(10), Next::Nothing));
        assert!(matches!(window.after(6), Next::Behind));
        // As a gateway may know it that reads the same log a little faster.
        assert!(matches!(window.after(11), Next::Nothing));
    }

    #[test]
    fn what_was_gone_before_it_was_read_is_for_the_log_to_tell() {
        let mut window = window(0);
        window.add(vec![item(1, 1), item(5, 1)]);
        assert!(matches!(window.after(1), Next::Behind));
        assert_eq!(sequences(window.after(4)), [5]);
    }

    #[test]
    fn a_window_is_bounded_in_bytes_and_keeps_the_newest() {
        let mut window = window(0);
        window.add((1..=100).map(|sequence| item(sequence, 100_000)).collect());
        assert!(window.bytes <= WINDOW_BYTES && window.items.len() > 30);
        assert_eq!(sequences(window.after(99)), [100]);
        window.add(vec![item(101, WINDOW_BYTES * 2)]);
        assert_eq!((window.items.len(), window.after), (1, 100), "one that is larger than the window is kept alone");
    }

    proptest! {
        #[test]
        fn whoever_reads_on_misses_nothing_or_is_told(pages in proptest::collection::vec(1_usize..200, 1..60), late in 0_u64..4000) {
            let mut window = window(0);
            let (mut newest, mut position) = (0, None);
            for page in pages {
                let first = newest + 1;
                newest += page as u64;
                window.add((first..=newest).map(|sequence| item(sequence, 1)).collect());
                prop_assert!(window.items.len() <= WINDOW);
                let from = position.unwrap_or_else(|| late.min(newest));
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
        window.add((1..=200).map(|sequence| item(sequence, 1)).collect());
        assert_eq!(sequences(window.after(0)), (1..=64).collect::<Vec<_>>());
        assert_eq!(sequences(window.after(190)), (191..=200).collect::<Vec<_>>());
    }

    #[test]
    fn a_window_keeps_the_newest_4096() {
        let mut window = window(0);
        window.add((1..=4096).map(|sequence| item(sequence, 1)).collect());
        assert_eq!((window.items.len(), window.after), (4096, 0));
        window.add(vec![item(4097, 1)]);
        assert_eq!((window.items.len(), window.after), (4096, 1));
        assert_eq!(window.bytes, window.items.iter().map(Item::size).sum::<usize>());
    }
}
