//! Lists that a vendor returns whole: read once per walk, and once for all calls that ask at the same time.
//!
//! A walk is the calls from the first page of a list to the last. Its first page reads the list. The list is kept until
//! a minute after its last page, and the page token names it. When it is gone by then, the next page reads it again and
//! continues after the last ID. All kept lists have a bounded size together; those that were used last stay.
//!
//! moka bounds the memory. Its clock cannot be injected, so each entry contains its time by the gateway's clock.

mod turn;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moka::{future::Cache, policy::EvictionPolicy};
use prost::Message;
use tokio::time::sleep;

use self::turn::{Subject, Turns, Value};
use crate::{
    clock::Clock,
    context::Context,
    error::{Error, Result},
    page::{Page, compare_ids},
};

/// Most memory of all kept lists, in bytes.
const MAX_KEPT_BYTES: u64 = 96 << 20;
/// How long a list is kept after its last page.
const KEPT: Duration = Duration::from_mins(1);
/// How long a read of a whole tenant is reused for single resources.
const RECENT: Duration = Duration::from_secs(1);
/// How often lists whose time is over are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Memory of an entry without its list, in bytes.
const ENTRY_BYTES: usize = 256;

/// The kept lists of all centers. Clones share them.
#[derive(Clone)]
pub struct Lists(Arc<Shared>);

struct Shared {
    entries: Cache<Key, Arc<Entry>>,
    turns: Turns,
    clock: Clock,
    is_swept: AtomicBool,
}

/// What an entry is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// A walk: the list's ID, and the hash of the arguments.
    Walk(u64, [u8; 32]),
    /// Single resources of a center.
    Recent(Subject),
}

struct Entry {
    value: Value,
    weight: usize,
    /// How often the center had been changed when the read began.
    changes: u64,
    /// When it is removed, by the gateway's clock.
    until: Mutex<Duration>,
}

/// Knows its memory.
pub(crate) trait Weigh: Send + Sync + 'static {
    /// Its memory in bytes, with what it owns.
    fn weight(&self) -> usize;
}

/// An item of a list that is kept.
pub(crate) trait Kept: Weigh {
    /// The ID that orders the list.
    fn id(&self) -> &str;
}

/// A whole list, ordered by ID with digits as numbers.
pub(crate) struct WholeList<T> {
    id: u64,
    items: Vec<T>,
    weight: usize,
    total_size: i32,
    incomplete_reason: String,
}

/// A resource of a list that is small enough to be kept as the contract shows it.
#[derive(Clone)]
pub(crate) struct Listed<R> {
    id: String,
    resource: R,
}

/// One page of a list.
pub(crate) struct ListPage<T> {
    list: Arc<WholeList<T>>,
    range: Range<usize>,
    /// The token of the next page; empty on the last one.
    pub(crate) next_page_token: String,
}

// === impl Lists ===

impl Lists {
    /// No lists yet.
    pub fn new(clock: Clock) -> Self {
        let weight = |_: &Key, entry: &Arc<Entry>| u32::try_from(entry.weight).unwrap_or(u32::MAX);
        let entries =
            Cache::builder().max_capacity(MAX_KEPT_BYTES).eviction_policy(EvictionPolicy::lru()).weigher(weight);
        let entries = entries.build();
        Self(Arc::new(Shared { entries, turns: Turns::default(), clock, is_swept: AtomicBool::new(false) }))
    }

    /// One page of a list. The first page of a walk reads the list; a further one only when it is not kept any more.
    ///
    /// # Errors
    /// Those of `read`; `DEADLINE_BEFORE_SEND` when the deadline passes while another call reads the same list.
    pub(crate) async fn page<T: Kept>(
        &self,
        cx: &Context,
        page: &Page,
        read: impl Future<Output = Result<WholeList<T>>>,
    ) -> Result<ListPage<T>> {
        self.page_after(cx, page, page.after(), |list, last| page.token_in(list, last), read).await
    }

    /// The same for a position of the caller's own: the page after the ID `after`, whose next token is `token(list,
    /// last)`.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub(crate) async fn page_after<T: Kept>(
        &self,
        cx: &Context,
        page: &Page,
        after: Option<&str>,
        token: impl FnOnce(u64, &str) -> String,
        read: impl Future<Output = Result<WholeList<T>>>,
    ) -> Result<ListPage<T>> {
        let kept = match page.list() {
            Some(id) => self.kept::<WholeList<T>>(&Key::Walk(id, page.arguments())).await,
            None => None,
        };
        let (list, is_kept) = match kept {
            Some(list) => (list, true),
            None => {
                let read = async move { read.await.map(Arc::new) };
                (self.in_turn(subject(cx, cx.method(), page.arguments()), cx, read).await?, false)
            }
        };
        let is_before = |item: &T| after.is_some_and(|after| compare_ids(item.id(), after).is_le());
        let start = list.items.partition_point(is_before);
        let range = start..list.items.len().min(start.saturating_add(page.size));
        let next_page_token = match list.items[range.clone()].last() {
            Some(item) if range.end < list.items.len() => token(list.id, item.id()),
            _ => String::new(),
        };
        if !is_kept && !next_page_token.is_empty() {
            let (key, until) = (Key::Walk(list.id, page.arguments()), self.0.clock.steady() + KEPT);
            self.keep(key, list.clone(), list.weight, until, 0).await;
        }
        Ok(ListPage { list, range, next_page_token })
    }

    /// What a list of a center, or this part of it, says about single resources. One read serves the calls of a second,
    /// unless the center is changed through the gateway meanwhile: `changes` counts its changes.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub(crate) async fn recent<T: Weigh>(
        &self,
        cx: &Context,
        list: &'static str,
        part: [usize; 2],
        changes: impl Fn() -> u64,
        read: impl Future<Output = Result<T>>,
    ) -> Result<Arc<T>> {
        let mut arguments = [0; 32];
        arguments[..8].copy_from_slice(&part[0].to_be_bytes());
        arguments[8..16].copy_from_slice(&part[1].to_be_bytes());
        let subject = subject(cx, list, arguments);
        let key = Key::Recent(subject.clone());
        if let Some(recent) = self.recently_read(&key, changes()).await {
            return Ok(recent);
        }
        let read = async {
            // Another call may have read it while this one waited for its turn.
            if let Some(recent) = self.recently_read(&key, changes()).await {
                return Ok(recent);
            }
            let (changes, until) = (changes(), self.0.clock.steady() + RECENT);
            let value = Arc::new(read.await?);
            self.keep(key.clone(), value.clone(), value.weight(), until, changes).await;
            Ok(value)
        };
        self.in_turn(subject, cx, read).await
    }

    async fn in_turn<T: Send + Sync + 'static>(
        &self,
        subject: Subject,
        cx: &Context,
        read: impl Future<Output = Result<Arc<T>>>,
    ) -> Result<Arc<T>> {
        let turn = self.0.turns.of(subject);
        // A read of several requests is a large future.
        let read = Box::pin(async move { Ok(read.await? as Value) });
        let value = turn.read(cx.deadline(), read).await?;
        value.downcast().map_err(|_| Error::internal("a list has two types"))
    }

    /// A list of a walk, for another minute.
    async fn kept<T: Send + Sync + 'static>(&self, key: &Key) -> Option<Arc<T>> {
        let entry = self.0.entries.get(key).await?;
        let now = self.0.clock.steady();
        let mut until = entry.until.lock().unwrap_or_else(PoisonError::into_inner);
        if *until <= now {
            return None;
        }
        *until = now + KEPT;
        entry.value.clone().downcast().ok()
    }

    async fn recently_read<T: Send + Sync + 'static>(&self, key: &Key, changes: u64) -> Option<Arc<T>> {
        let entry = self.0.entries.get(key).await?;
        let is_recent = entry.changes == changes && self.0.clock.steady() < entry.until();
        entry.value.clone().downcast().ok().filter(|_| is_recent)
    }

    async fn keep(&self, key: Key, value: Value, weight: usize, until: Duration, changes: u64) {
        let entry = Entry { value, weight: weight + ENTRY_BYTES, changes, until: Mutex::new(until) };
        self.0.entries.insert(key, Arc::new(entry)).await;
        // Otherwise moka applies its bound later.
        self.0.entries.run_pending_tasks().await;
        if !self.0.is_swept.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lists")
    }
}

// === impl Shared ===

impl Shared {
    /// Removes the entries whose time is over. Returns whether there are others.
    async fn remove_expired(&self) -> bool {
        let now = self.clock.steady();
        for (key, entry) in &self.entries {
            if entry.until() <= now {
                self.entries.invalidate(&*key).await;
            }
        }
        // moka removes what it has invalidated or has no room for when it is asked to.
        self.entries.run_pending_tasks().await;
        self.entries.entry_count() > 0
    }
}

/// Removes expired lists until none is left.
async fn sweep(shared: Weak<Shared>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.remove_expired().await {
            continue;
        }
        shared.is_swept.store(false, Ordering::Release);
        // A list may have been kept meanwhile.
        shared.entries.run_pending_tasks().await;
        if shared.entries.entry_count() == 0 || shared.is_swept.swap(true, Ordering::AcqRel) {
            return;
        }
    }
}

fn subject(cx: &Context, list: &'static str, arguments: [u8; 32]) -> Subject {
    let center = cx.center().map(|center| center.id.clone()).unwrap_or_default();
    Subject { center, list, arguments }
}

// === impl Entry ===

impl Entry {
    fn until(&self) -> Duration {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl WholeList ===

impl<T: Kept> WholeList<T> {
    /// A list with its total and the reason why it is incomplete.
    pub(crate) fn new(mut items: Vec<T>, total_size: i32, incomplete_reason: String) -> Self {
        items.sort_by(|left, right| compare_ids(left.id(), right.id()));
        let weight = items.iter().map(T::weight).sum();
        let id = fastrand::u64(1..);
        Self { id, items, weight, total_size, incomplete_reason }
    }
}

impl<T: Kept> WholeList<T> {
    /// The list, whose items are parts of a buffer of this size.
    pub(crate) fn within(mut self, bytes: usize) -> Self {
        self.weight = self.weight.max(bytes);
        self
    }

    /// A list that counts its own items.
    pub(crate) fn counted(items: Vec<T>, incomplete_reason: String) -> Self {
        let total_size = i32::try_from(items.len()).unwrap_or(i32::MAX);
        Self::new(items, total_size, incomplete_reason)
    }

    /// The item with this ID.
    pub(crate) fn find(&self, id: &str) -> Option<&T> {
        let place = self.items.binary_search_by(|item| compare_ids(item.id(), id)).ok()?;
        self.items.get(place)
    }

    /// Why items are missing; empty when none is.
    pub(crate) fn incomplete_reason(&self) -> &str {
        &self.incomplete_reason
    }
}

impl<T: Kept> Weigh for WholeList<T> {
    fn weight(&self) -> usize {
        self.weight
    }
}

impl<T: Kept> Default for WholeList<T> {
    fn default() -> Self {
        Self::new(Vec::new(), 0, String::new())
    }
}

// === impl Listed ===

impl<R> Listed<R> {
    /// A resource by its ID.
    pub(crate) fn new(id: String, resource: R) -> Self {
        Self { id, resource }
    }
}

impl<R: Message + 'static> Weigh for Listed<R> {
    fn weight(&self) -> usize {
        // Its texts, and as much again for what the allocator adds.
        size_of::<Self>() + self.id.len() + 2 * self.resource.encoded_len()
    }
}

impl<R: Message + 'static> Kept for Listed<R> {
    fn id(&self) -> &str {
        &self.id
    }
}

// === impl ListPage ===

impl<T> ListPage<T> {
    /// The items of the page.
    pub(crate) fn items(&self) -> &[T] {
        &self.list.items[self.range.clone()]
    }

    /// The total, as the contract reports it.
    pub(crate) fn total_size(&self) -> i32 {
        self.list.total_size
    }

    /// Why items are missing; empty when none is.
    pub(crate) fn incomplete_reason(&self) -> String {
        self.list.incomplete_reason.clone()
    }
}

impl<R: Clone> ListPage<Listed<R>> {
    /// The resources of the page.
    pub(crate) fn resources(&self) -> Vec<R> {
        self.items().iter().map(|listed| listed.resource.clone()).collect()
    }
}
