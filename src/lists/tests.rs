use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, AtomicUsize},
};

use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    clock::Source,
    error::ErrorReason,
    proto::v1::{ListQueuesRequest, Queue},
};

#[derive(Default)]
struct ManualClock(AtomicU64);

impl Source for Arc<ManualClock> {
    fn now(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl ManualClock {
    fn advance(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

/// The gateway's lists, and a vendor's list that is read whole.
struct Stage {
    lists: Lists,
    clock: Arc<ManualClock>,
    reads: AtomicUsize,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::<ManualClock>::default();
        Self { lists: Lists::new(Clock::from_source(clock.clone())), clock, reads: AtomicUsize::new(0) }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// One page of a list with these IDs, and the next token.
    async fn page(&self, size: i32, token: &str, ids: &[u32]) -> Result<(Vec<String>, String)> {
        let read = async {
            self.reads.fetch_add(1, Ordering::Relaxed);
            // A turn of the runtime, in which other calls arrive.
            tokio::task::yield_now().await;
            Ok(whole(ids))
        };
        let page = self.lists.page(&call(), &requested(size, token), read).await?;
        let ids = page.items().iter().map(|item| item.id().to_owned()).collect();
        Ok((ids, page.next_page_token))
    }

    /// All pages of a walk.
    async fn walk(&self, size: i32, ids: &[u32], between: impl Fn()) -> Vec<String> {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let (ids, next) = self.page(size, &token, ids).await.unwrap();
            seen.extend(ids);
            if next.is_empty() {
                return seen;
            }
            token = next;
            between();
        }
    }
}

fn call() -> Context {
    Context::new("ListQueues", String::new(), Instant::now() + Duration::from_secs(10))
}

fn requested(size: i32, token: &str) -> Page {
    let parent = "centers/acme".to_owned();
    let page_token = token.to_owned();
    let mut request = ListQueuesRequest { parent, page_size: size, page_token, ..Default::default() };
    Page::take("ListQueues", &mut request).unwrap()
}

fn whole(ids: &[u32]) -> WholeList<Listed<Queue>> {
    let queue = |id: &u32| Listed::new(id.to_string(), Queue::default());
    WholeList::counted(ids.iter().map(queue).collect(), String::new())
}

fn texts(ids: impl IntoIterator<Item = u32>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn a_walk_reads_once_and_each_first_page_anew() {
    let stage = Stage::new();
    let ids: Vec<u32> = (1..=25).rev().collect();
    assert_eq!(stage.walk(4, &ids, || {}).await, texts(1..=25));
    assert_eq!(stage.reads(), 1);
    stage.page(4, "", &ids).await.unwrap();
    assert_eq!(stage.reads(), 2);
}

#[tokio::test]
async fn a_list_is_kept_for_a_minute_after_its_last_page() {
    let stage = Stage::new();
    let (almost, minute) = (KEPT.saturating_sub(Duration::from_millis(1)), KEPT);
    let ids: Vec<u32> = (1..=9).collect();
    assert_eq!(stage.walk(2, &ids, || stage.clock.advance(almost)).await, texts(1..=9));
    assert_eq!(stage.reads(), 1);
    // Five pages, each of which reads the list again and continues after the last ID.
    assert_eq!(stage.walk(2, &ids, || stage.clock.advance(minute)).await, texts(1..=9));
    assert_eq!(stage.reads(), 1 + 5);
}

#[tokio::test]
async fn a_token_reads_only_the_list_of_its_own_arguments() {
    let stage = Stage::new();
    let (_, token) = stage.page(1, "", &[1, 2]).await.unwrap();
    let list = requested(1, &token).list().unwrap();
    let mut others = ListQueuesRequest { parent: "centers/beta".to_owned(), page_size: 1, ..Default::default() };
    let first = Page::take("ListQueues", &mut others.clone()).unwrap();
    others.page_token = first.token_in(list, "1");
    let forged = Page::take("ListQueues", &mut others).unwrap();
    let page = stage.lists.page(&call(), &forged, async { Ok(whole(&[8, 9])) }).await.unwrap();
    assert_eq!(page.items()[0].id(), "8");
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_share_a_read_that_begins_after_them() {
    let stage = Stage::new();
    let ids = [1, 2, 3];
    let pages = futures_util::future::join_all((0..200).map(|_| stage.page(2, "", &ids))).await;
    assert!(pages.into_iter().all(|page| page.unwrap().0 == texts([1, 2])));
    // The first call reads alone, for none of the others had asked when it began.
    assert_eq!(stage.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_never_gets_a_list_that_is_older_than_itself() {
    let stage = Stage::new();
    let (old, new) = tokio::join!(stage.page(5, "", &[1]), stage.page(5, "", &[1, 2]));
    assert_eq!((old.unwrap().0, new.unwrap().0), (texts([1]), texts([1, 2])));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_and_a_deadline_is_not() {
    let lists = Lists::new(Clock::system());
    for (reason, expected) in [(ErrorReason::VendorRejected, 2), (ErrorReason::VendorTimeout, 4)] {
        let reads = AtomicUsize::new(0);
        let read = || async {
            reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err::<WholeList<Listed<Queue>>, _>(Error::new(reason, "failed"))
        };
        let page = requested(1, "");
        let calls = (0..4).map(|_| async { lists.page(&call(), &page, read()).await.map(drop).unwrap_err().reason() });
        assert_eq!(futures_util::future::join_all(calls).await, [reason; 4]);
        assert_eq!(reads.into_inner(), expected, "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_its_turn_until_its_own_deadline() {
    let lists = Lists::new(Clock::system());
    let page = requested(1, "");
    let patient = call();
    let hanging = lists.page::<Listed<Queue>>(&patient, &page, std::future::pending());
    let impatient = Context::new("ListQueues", String::new(), Instant::now() + Duration::from_secs(1));
    let waiting = async {
        let begun = Instant::now();
        let error = lists.page(&impatient, &page, async { Ok(whole(&[1])) }).await.map(drop).unwrap_err();
        (error.reason(), begun.elapsed())
    };
    let outcome = tokio::select! {
        biased;
        _ = hanging => unreachable!(),
        outcome = waiting => outcome,
    };
    assert_eq!(outcome, (ErrorReason::DeadlineBeforeSend, Duration::from_secs(1)));
    // The call that hung has left, and the next one reads.
    lists.page(&call(), &page, async { Ok(whole(&[1])) }).await.unwrap();
}

#[tokio::test]
async fn kept_lists_have_a_bounded_size_together() {
    let stage = Stage::new();
    let megabyte = || Listed::new("1".repeat(1 << 20), Queue::default());
    let mut newest = String::new();
    for _ in 0..200 {
        let read = async {
            Ok(WholeList::counted(vec![Listed::new("1".to_owned(), Queue::default()), megabyte()], String::new()))
        };
        newest = stage.lists.page(&call(), &requested(1, ""), read).await.unwrap().next_page_token;
    }
    let size = stage.lists.0.entries.weighted_size();
    assert!((MAX_KEPT_BYTES / 2..=MAX_KEPT_BYTES).contains(&size), "{size}");
    // The newest one is among them.
    let read = async { Err::<WholeList<Listed<Queue>>, _>(Error::internal("it was not kept")) };
    stage.lists.page(&call(), &requested(1, &newest), read).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_a_list_returns_without_further_calls() {
    let stage = Stage::new();
    stage.page(1, "", &[1, 2]).await.unwrap();
    advance(SWEEP_INTERVAL * 2).await;
    stage.lists.0.entries.run_pending_tasks().await;
    assert_eq!(stage.lists.0.entries.entry_count(), 1, "its time is not over");
    stage.clock.advance(KEPT);
    assert_eq!(SWEEP_INTERVAL, Duration::from_secs(10));
    sleep(SWEEP_INTERVAL + Duration::from_millis(1)).await;
    assert_eq!(stage.lists.0.entries.entry_count(), 0);
    // And again for the next list.
    stage.page(1, "", &[1, 2]).await.unwrap();
    stage.clock.advance(KEPT);
    sleep(SWEEP_INTERVAL * 2).await;
    assert!(!stage.lists.0.is_swept.load(Ordering::Relaxed));
    assert_eq!(stage.lists.0.entries.entry_count(), 0);
}

#[tokio::test]
async fn one_read_serves_a_second_until_the_center_is_changed() {
    let (stage, changes) = (Stage::new(), AtomicU64::new(0));
    let read = async |part| {
        let read = async {
            stage.reads.fetch_add(1, Ordering::Relaxed);
            Ok(whole(&[1, 2]))
        };
        let changes = || changes.load(Ordering::Relaxed);
        let list = stage.lists.recent(&call(), "queues", [part, 0], changes, read).await.unwrap();
        assert_eq!(list.find("2").map(Kept::id), Some("2"));
        assert!(list.find("3").is_none());
        stage.reads()
    };
    assert_eq!((read(0).await, read(0).await), (1, 1));
    assert_eq!(read(1).await, 2, "another part");
    stage.clock.advance(RECENT.saturating_sub(Duration::from_millis(1)));
    assert_eq!(read(0).await, 2);
    stage.clock.advance(Duration::from_millis(1));
    assert_eq!((read(0).await, read(0).await), (3, 3));
    changes.store(1, Ordering::Relaxed);
    assert_eq!((read(0).await, read(0).await), (4, 4));
}

proptest! {
    #[test]
    fn a_list_that_changes_and_is_not_kept_repeats_no_item_and_skips_no_item_that_stays(
        stays in proptest::collection::btree_set(0u32..200, 0..40),
        comes_and_goes in proptest::collection::vec((0u32..200, any::<bool>()), 0..40),
        size in 1i32..7,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let seen = runtime.block_on(async {
            let stage = Stage::new();
            let (mut seen, mut token) = (Vec::new(), String::new());
            let mut changes = comes_and_goes.iter();
            loop {
                let mut now = stays.clone();
                now.extend(changes.by_ref().take(5).filter(|(_, there)| *there).map(|(id, _)| *id));
                let (ids, next) = stage.page(size, &token, &now.into_iter().collect::<Vec<_>>()).await.unwrap();
                seen.extend(ids);
                if next.is_empty() {
                    return seen;
                }
                token = next;
                stage.clock.advance(KEPT);
            }
        });
        let unique: BTreeSet<_> = seen.iter().collect();
        prop_assert_eq!(unique.len(), seen.len());
        prop_assert!(stays.iter().all(|id| seen.contains(&id.to_string())));
    }
}
