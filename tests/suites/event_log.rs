//! The tests of every [`EventLog`] implementation.
//!
//! A test target implements [`World`] for its log and runs `event_log_tests!(world)`.

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use switchboard::{
    config::Events,
    store::{
        event_log::{Appended, EventLog, PAGE_BYTES, PAGE_RECORDS, Reader, Record},
        fingerprint::{Fingerprint, SHORT_WINDOW},
    },
};
use tokio::{task::JoinSet, time::timeout};
use url::Url;

/// Creates logs and controls their time.
pub trait World: Sync {
    /// An empty log of the centers `acme` and `beta`.
    async fn log(&self, events: &Events) -> Arc<dyn EventLog>;
    /// Lets at least this much time pass.
    async fn pass(&self, time: Duration);
}

/// Timeout of what must happen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A configuration that removes no event of a test and detects duplicates.
pub fn events() -> Events {
    Events {
        callback_base_url: Url::parse("http://127.0.0.1/").unwrap(),
        callback_key: None,
        retention: Duration::from_secs(72 * 3600),
        retention_size: 64 << 20,
        duplicate_window: Duration::from_secs(600),
    }
}

/// A body with a message ID.
fn identified(number: usize) -> Bytes {
    format!(r#"{{"MsgId":"{number}"}}"#).into()
}

/// A body without a message ID and a timestamp.
fn plain(number: usize) -> Bytes {
    format!("READY {number}").into()
}

async fn post(log: &dyn EventLog, center: &str, body: Bytes) -> Appended {
    let fingerprint = Fingerprint::of(&body);
    log.append(center, body, fingerprint).await.unwrap()
}

/// Appends these to `acme` concurrently.
async fn post_all(log: &Arc<dyn EventLog>, bodies: Vec<Bytes>) {
    let mut posts = JoinSet::new();
    for body in bodies {
        let log = log.clone();
        posts.spawn(async move { post(&*log, "acme", body).await });
    }
    assert!(posts.join_all().await.iter().all(|outcome| *outcome == Appended::Stored));
}

/// Reads at least `count` records.
async fn read(reader: &mut dyn Reader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let page = timeout(TIMEOUT, reader.next()).await.expect("there are more").unwrap();
        assert!(!page.is_empty());
        records.extend(page);
    }
    records
}

async fn read_from(log: &dyn EventLog, center: &str, after: u64, count: usize) -> Vec<Record> {
    read(&mut *log.read(center, after).await.unwrap(), count).await
}

fn bodies(records: &[Record]) -> Vec<Bytes> {
    records.iter().map(|record| record.body.clone()).collect()
}

/// Whether the records have exactly these sequences, in order.
fn are(records: &[Record], sequences: RangeInclusive<u64>) -> bool {
    records.iter().map(|record| record.sequence).eq(sequences)
}

pub async fn records_are_read_in_the_order_of_their_appends(world: impl World) {
    let log = world.log(&events()).await;
    let posted: Vec<Bytes> =
        (0..10).map(|number| if number % 2 == 0 { identified(number) } else { plain(number) }).collect();
    for body in &posted {
        assert_eq!(post(&*log, "acme", body.clone()).await, Appended::Stored);
        world.pass(Duration::from_millis(2)).await;
    }
    let records = read_from(&*log, "acme", 0, 10).await;
    assert_eq!(bodies(&records), posted);
    assert!(are(&records, 1..=10), "{records:?}");
    assert!(records.is_sorted_by_key(|record| record.received));
    assert!(records[0].received < records[9].received);
}

pub async fn any_bytes_are_a_body(world: impl World) {
    let log = world.log(&events()).await;
    let posted = [Bytes::new(), Bytes::from_static(b"\0\r\n\xff\xfe"), Bytes::from_static("客服".as_bytes())];
    for body in &posted {
        post(&*log, "acme", body.clone()).await;
    }
    assert_eq!(bodies(&read_from(&*log, "acme", 0, 3).await), posted);
}

pub async fn equal_bodies_within_their_window_are_one_event(world: impl World) {
    let log = world.log(&events()).await;
    for body in [identified(1), plain(1)] {
        assert_eq!(post(&*log, "acme", body.clone()).await, Appended::Stored);
        assert_eq!(post(&*log, "acme", body.clone()).await, Appended::Duplicate);
        assert_eq!(post(&*log, "acme", body.clone()).await, Appended::Duplicate);
    }
    assert_eq!(log.extent("acme").await.unwrap().newest, 2);
    // The next event follows without a gap.
    post(&*log, "acme", plain(2)).await;
    assert!(are(&read_from(&*log, "acme", 0, 3).await, 1..=3));
}

pub async fn equal_bodies_are_two_events_after_their_window(world: impl World) {
    let window = Duration::from_millis(200);
    let log = world.log(&Events { duplicate_window: window, ..events() }).await;
    for body in [identified(1), plain(1)] {
        assert_eq!(post(&*log, "acme", body.clone()).await, Appended::Stored);
        let mut tries = 0;
        loop {
            world.pass(window + Duration::from_millis(1)).await;
            if post(&*log, "acme", body.clone()).await == Appended::Stored {
                break;
            }
            // A server prunes its window periodically.
            tries += 1;
            assert!(tries < 50, "still a duplicate");
        }
    }
    assert_eq!(log.extent("acme").await.unwrap().newest, 4);
}

pub async fn the_window_is_short_for_a_body_that_is_not_identified(world: impl World) {
    let log = world.log(&events()).await;
    for body in [identified(1), plain(1)] {
        post(&*log, "acme", body).await;
    }
    world.pass(SHORT_WINDOW + Duration::from_millis(10)).await;
    assert_eq!(post(&*log, "acme", plain(1)).await, Appended::Stored);
    assert_eq!(post(&*log, "acme", plain(1)).await, Appended::Duplicate, "within the window of the second");
    assert_eq!(post(&*log, "acme", identified(1)).await, Appended::Duplicate);
}

pub async fn without_a_window_nothing_is_a_duplicate(world: impl World) {
    let log = world.log(&Events { duplicate_window: Duration::ZERO, ..events() }).await;
    for body in [identified(1), plain(1)] {
        assert_eq!(post(&*log, "acme", body.clone()).await, Appended::Stored);
        assert_eq!(post(&*log, "acme", body.clone()).await, Appended::Stored);
    }
}

pub async fn each_center_has_its_own_log(world: impl World) {
    let log = world.log(&events()).await;
    assert_eq!(post(&*log, "acme", identified(1)).await, Appended::Stored);
    assert_eq!(post(&*log, "beta", identified(1)).await, Appended::Stored, "another center's event");
    assert_eq!(post(&*log, "beta", identified(2)).await, Appended::Stored);
    assert_eq!(bodies(&read_from(&*log, "acme", 0, 1).await), [identified(1)]);
    assert_eq!(bodies(&read_from(&*log, "beta", 0, 2).await), [identified(1), identified(2)]);
    assert_eq!(log.extent("acme").await.unwrap().newest, 1);
}

pub async fn the_extent_grows_with_the_log(world: impl World) {
    let log = world.log(&events()).await;
    let empty = log.extent("acme").await.unwrap();
    assert_eq!((empty.oldest, empty.newest), (0, 0));
    for number in 0..3 {
        post(&*log, "acme", plain(number)).await;
    }
    let full = log.extent("acme").await.unwrap();
    assert_eq!((full.log, full.oldest, full.newest), (empty.log, 0, 3));
}

pub async fn seek_finds_the_position_of_a_time(world: impl World) {
    let log = world.log(&events()).await;
    let begin = UNIX_EPOCH;
    assert_eq!(log.seek("acme", begin).await.unwrap(), 0, "nothing is there yet");
    for number in 0..6 {
        post(&*log, "acme", plain(number)).await;
        if number % 2 == 0 {
            world.pass(Duration::from_millis(5)).await;
        }
    }
    let records = read_from(&*log, "acme", 0, 6).await;
    let mut times = vec![begin, begin - Duration::from_secs(1)];
    for record in &records {
        times.extend([record.received - Duration::from_nanos(1), record.received]);
    }
    for time in times {
        let expected = records.iter().find(|record| record.received >= time).unwrap().sequence - 1;
        assert_eq!(log.seek("acme", time).await.unwrap(), expected);
    }
    let last = records[5].received;
    for later in [last + Duration::from_nanos(1), last + Duration::from_secs(400 * 365 * 24 * 3600)] {
        assert_eq!(log.seek("acme", later).await.unwrap(), 6, "the newest");
    }
}

pub async fn reading_begins_right_after_any_position(world: impl World) {
    let log = world.log(&events()).await;
    for number in 0..5 {
        post(&*log, "acme", plain(number)).await;
    }
    for after in 0..5 {
        let records = read_from(&*log, "acme", after, 5 - usize::try_from(after).unwrap()).await;
        assert!(are(&records, after + 1..=5), "{records:?}");
    }
    let mut reader = log.read("acme", 5).await.unwrap();
    post(&*log, "acme", plain(5)).await;
    assert!(are(&read(&mut *reader, 1).await, 6..=6));
}

pub async fn a_reader_at_the_end_waits_and_is_cancel_safe(world: impl World) {
    let log = world.log(&events()).await;
    let mut reader = log.read("acme", 0).await.unwrap();
    assert!(timeout(Duration::from_millis(50), reader.next()).await.is_err(), "nothing is there");
    post(&*log, "acme", plain(0)).await;
    assert_eq!(bodies(&read(&mut *reader, 1).await), [plain(0)]);

    // Cancelled again and again while events arrive.
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            for number in 1..=200 {
                post(&*log, "acme", plain(number)).await;
            }
        }
    });
    let mut records = Vec::new();
    for step in 0_u64.. {
        if records.len() == 200 {
            break;
        }
        assert!(step < 100_000, "{} of 200 came", records.len());
        if let Ok(page) = timeout(Duration::from_micros(step % 7 * 300), reader.next()).await {
            records.extend(page.unwrap());
        }
    }
    writer.await.unwrap();
    assert!(are(&records, 2..=201), "{records:?}");
    assert_eq!(bodies(&records), (1..=200).map(plain).collect::<Vec<_>>());
}

pub async fn a_waiting_reader_is_woken(world: impl World) {
    let log = world.log(&events()).await;
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let mut reader = log.read("acme", 0).await.unwrap();
        readers.spawn(async move { bodies(&read(&mut *reader, 1).await) });
    }
    tokio::task::yield_now().await;
    post(&*log, "acme", plain(0)).await;
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), [plain(0)]);
    }
}

pub async fn a_large_record_is_stored_whole_and_is_a_page_of_its_own(world: impl World) {
    let log = world.log(&events()).await;
    let mut large = vec![b'x'; 1 << 20];
    fastrand::Rng::with_seed(1).fill(&mut large);
    let posted = [plain(0), Bytes::from(large), plain(1)];
    for body in &posted {
        post(&*log, "acme", body.clone()).await;
    }
    let mut reader = log.read("acme", 0).await.unwrap();
    for body in &posted {
        let page = timeout(TIMEOUT, reader.next()).await.unwrap().unwrap();
        assert!(bodies(&page) == [body], "one record of {} bytes", body.len());
    }
}

pub async fn a_page_is_bounded(world: impl World) {
    let log = world.log(&events()).await;
    let count = 2 * PAGE_RECORDS + 10;
    let wide = PAGE_BYTES / 10;
    let many = (0..count).map(plain).collect();
    post_all(&log, many).await;
    post_all(&log, (0..25).map(|number| format!("{number:0wide$}").into()).collect()).await;
    let mut reader = log.read("acme", 0).await.unwrap();
    let (mut records, mut pages) = (Vec::new(), Vec::new());
    while records.len() < count + 25 {
        let page = timeout(TIMEOUT, reader.next()).await.unwrap().unwrap();
        let bytes: usize = page.iter().map(|record| record.body.len()).sum();
        assert!(page.len() <= PAGE_RECORDS && bytes <= PAGE_BYTES, "{} records, {bytes} bytes", page.len());
        pages.push(page.len());
        records.extend(page);
    }
    assert!(pages.len() < 20, "pages are well filled: {pages:?}");
    assert!(are(&records, 1..=records.len() as u64), "without a gap");
}

pub async fn concurrent_appends_are_each_stored_once(world: impl World) {
    let log = world.log(&events()).await;
    let mut posts = JoinSet::new();
    for number in 0..200 {
        for _ in 0..2 {
            let log = log.clone();
            let body = if number % 2 == 0 { identified(number) } else { plain(number) };
            posts.spawn(async move { post(&*log, "acme", body).await });
        }
    }
    let outcomes = posts.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Appended::Stored).count(), 200);
    let records = read_from(&*log, "acme", 0, 200).await;
    assert!(are(&records, 1..=200), "{records:?}");
    let mut bodies = bodies(&records);
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 200);
    assert_eq!(log.extent("acme").await.unwrap().newest, 200);
}

pub async fn the_oldest_records_beyond_the_size_are_removed(world: impl World) {
    let log = world.log(&Events { retention_size: 64 << 10, ..events() }).await;
    post_all(&log, (0..200).map(|number| format!("{number:01024}").into()).collect()).await;
    // A burst may be stored whole; the next append removes the excess.
    let mut newest = 200;
    let extent = loop {
        newest += 1;
        post(&*log, "acme", format!("{newest:01024}").into()).await;
        let extent = log.extent("acme").await.unwrap();
        if extent.oldest >= 100 {
            break extent;
        }
        assert!(newest < 250, "{extent:?}");
        world.pass(Duration::from_millis(100)).await;
    };
    assert!(extent.newest == newest && extent.oldest < newest, "{extent:?}");
    let count = usize::try_from(newest - extent.oldest).unwrap();
    for position in [0, extent.oldest] {
        let records = read_from(&*log, "acme", position, count).await;
        assert!(are(&records, extent.oldest + 1..=newest), "{records:?}");
    }
    assert_eq!(log.seek("acme", UNIX_EPOCH).await.unwrap(), extent.oldest);
}

pub async fn expired_records_are_removed(world: impl World) {
    // Longer than a busy machine may stall between the last event and its reader.
    let retention = Duration::from_secs(5);
    let log = world.log(&Events { retention, ..events() }).await;
    for number in 0..3 {
        post(&*log, "acme", plain(number)).await;
    }
    for _ in 0..50 {
        world.pass(retention / 5).await;
        if log.extent("acme").await.unwrap().oldest == 3 {
            break;
        }
    }
    let extent = log.extent("acme").await.unwrap();
    assert_eq!((extent.oldest, extent.newest), (3, 3));
    let mut reader = log.read("acme", 0).await.unwrap();
    post(&*log, "acme", plain(3)).await;
    assert!(are(&read(&mut *reader, 1).await, 4..=4));
}

/// One test for each of these functions, each in its own world.
macro_rules! event_log_tests {
    ($world:expr) => {
        $crate::event_log::event_log_tests!($world;
            records_are_read_in_the_order_of_their_appends
            any_bytes_are_a_body
            equal_bodies_within_their_window_are_one_event
            equal_bodies_are_two_events_after_their_window
            the_window_is_short_for_a_body_that_is_not_identified
            without_a_window_nothing_is_a_duplicate
            each_center_has_its_own_log
            the_extent_grows_with_the_log
            seek_finds_the_position_of_a_time
            reading_begins_right_after_any_position
            a_reader_at_the_end_waits_and_is_cancel_safe
            a_waiting_reader_is_woken
            a_large_record_is_stored_whole_and_is_a_page_of_its_own
            a_page_is_bounded
            concurrent_appends_are_each_stored_once
            the_oldest_records_beyond_the_size_are_removed
            expired_records_are_removed
        );
    };
    ($world:expr; $($test:ident)*) => {
        $(#[tokio::test]
        async fn $test() {
            $crate::event_log::$test($world).await;
        })*
    };
}
pub(crate) use event_log_tests;
