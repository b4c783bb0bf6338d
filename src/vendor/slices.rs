//! Lists that the vendor returns in pages of its own size.
//!
//! A vendor may ignore the position of a page, return smaller pages than requested, count more items than it returns,
//! or count those of the page alone. Every walk ends, and [`Incomplete`] says why items are missing.

use std::{
    collections::HashSet,
    fmt::{self, Display, Formatter},
    str::FromStr,
};

use sha2::{Digest as _, Sha256};

use crate::{
    error::Result,
    vendor::de::{Integer, List},
};

/// At most this many requests in one walk.
const MOST_REQUESTS: usize = 1000;

/// Page sizes of vendors are usually multiples of this.
const COMMON_MULTIPLE: usize = 10;

/// An item of a list.
pub(crate) trait Item {
    /// Distinguishes the item from all others of its list; empty if the vendor omits it.
    fn key(&self) -> String;
}

/// How a vendor divides a list into pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging {
    /// Whether a request contains the number of a page, from 0 on, in place of the offset of its first item.
    pub(crate) is_numbered: bool,
    /// The largest page.
    pub(crate) largest: usize,
    /// The largest offset that the vendor accepts.
    pub(crate) largest_offset: usize,
}

/// The items of one response.
pub(crate) struct Batch<T> {
    /// The items.
    pub(crate) items: List<T>,
    /// The total, where the vendor counts.
    pub(crate) total: Integer,
}

/// Where a slice begins, as a page token contains it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    offset: usize,
    before: Option<Before>,
}

/// What stands before a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Before {
    /// The first item of the first slice, and that of the last one. A vendor that ignores the position returns the
    /// first again; a vendor that bounds it returns the last.
    marks: [Mark; 2],
    pages: PageSizes,
}

/// An item at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    offset: usize,
    /// Hash of its key.
    item: u64,
}

/// What is known of the sizes of the vendor's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PageSizes {
    /// The largest page worth requesting.
    cap: usize,
    /// The largest page that the vendor has returned: it honors a limit up to here.
    proven: usize,
}

/// Part of a list.
pub(crate) struct Slice<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// The total; `None` where the vendor does not count.
    pub(crate) total: Option<usize>,
    /// The position of the next item, if there is one.
    pub(crate) next: Option<Position>,
    /// Why items are missing.
    pub(crate) incomplete: Option<Incomplete>,
}

/// Why items of a list are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incomplete {
    /// The vendor counts more items than it returned.
    Counted { total: usize, given: usize },
    /// The vendor returned the same items again in place of those after the given ones.
    Repeated { given: usize },
    /// The vendor does not accept the position of the items after the given ones.
    Unreachable { given: usize },
    /// The vendor returned page after page.
    Endless { given: usize },
    /// The vendor documents no request for the other pages.
    OtherPages { current: i64, last: i64 },
}

/// The requests for one slice.
struct Walk<T> {
    paging: Paging,
    /// The items with their offsets.
    items: Vec<(usize, T)>,
    seen: HashSet<String>,
    /// The offset of the next request.
    at: usize,
    /// The size of the caller's page, where pages of that size fit the vendor's.
    size: usize,
    pages: PageSizes,
    total: Option<usize>,
    /// Whether the list ends here by the total alone, which may be that of the page: another request shows it.
    is_unconfirmed: bool,
    /// Whether a response had more items than requested.
    is_oversized: bool,
    /// Whether no items follow.
    is_at_end: bool,
    incomplete: Option<Incomplete>,
}

// === impl Paging ===

impl Paging {
    /// Before the first page.
    fn unknown(self) -> PageSizes {
        PageSizes { cap: self.largest, proven: 0 }
    }
}

// === impl Position ===

impl Display for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.offset)?;
        let Some(Before { marks, pages: PageSizes { cap, proven } }) = self.before else { return Ok(()) };
        for Mark { offset, item } in marks {
            write!(f, ".{offset}.{item}")?;
        }
        write!(f, ".{cap}.{proven}")
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().map_err(|_| ());
        let mark = |offset, item: &str| Ok(Mark { offset: number(offset)?, item: item.parse().map_err(|_| ())? });
        match text.split('.').collect::<Vec<_>>()[..] {
            [offset] => Ok(Self { offset: number(offset)?, before: None }),
            [offset, first, first_item, last, last_item, cap, proven] => {
                let marks = [mark(first, first_item)?, mark(last, last_item)?];
                let pages = PageSizes { cap: number(cap)?, proven: number(proven)? };
                Ok(Self { offset: number(offset)?, before: Some(Before { marks, pages }) })
            }
            _ => Err(()),
        }
    }
}

// === impl Slice ===

impl<T: Item> Slice<T> {
    /// Up to `size` items from a position on. `ask(at, limit)` requests up to `limit` items from `at` on: an offset, or
    /// the number of a page of that size.
    pub(crate) async fn read<F>(
        paging: Paging,
        position: Position,
        size: usize,
        ask: impl Fn(usize, usize) -> F,
    ) -> Result<Self>
    where
        F: Future<Output = Result<Batch<T>>>,
    {
        let Position { offset, before } = position;
        let pages = before.map_or(paging.unknown(), |before| before.pages);
        let walk = Walk::start(paging, offset, size, pages).run(offset.saturating_add(size), |_| false, &ask).await?;
        let head = before.map(|before| before.marks[0]);
        let mut marks = before.map(|before| before.marks).into_iter().flatten();
        // An item of an earlier slice stands here: the list has changed since, or the vendor returns the same items
        // at any position.
        let Some(mark) = marks.find(|mark| walk.contains_elsewhere(*mark)) else {
            return Ok(walk.into_slice(offset, size, head));
        };
        let there =
            Walk::start(paging, mark.offset, 1, pages).run(mark.offset.saturating_add(1), |_| false, &ask).await?;
        if !walk.begins_as(&there) {
            return Ok(walk.into_slice(offset, size, head));
        }
        if walk.is_oversized {
            // It ignores the size, too, and returns the whole list.
            let mut walk = Walk::start(paging, 0, paging.largest, pages);
            walk.is_oversized = true;
            let mut whole = walk.run(paging.largest, |_| false, &ask).await?;
            whole.is_at_end = true;
            let head = whole.first();
            return Ok(whole.into_slice(offset, size, head));
        }
        let incomplete = Some(Incomplete::Repeated { given: offset });
        Ok(Self { items: Vec::new(), total: walk.total, next: None, incomplete })
    }

    /// The whole list.
    pub(crate) async fn all<F>(paging: Paging, ask: impl Fn(usize, usize) -> F) -> Result<Self>
    where
        F: Future<Output = Result<Batch<T>>>,
    {
        Self::read(paging, Position::default(), usize::MAX, ask).await
    }

    /// The list up to the first item that matches, and that item.
    pub(crate) async fn find<F>(
        paging: Paging,
        matches: impl Fn(&T) -> bool,
        ask: impl Fn(usize, usize) -> F,
    ) -> Result<(Option<T>, Option<Incomplete>)>
    where
        F: Future<Output = Result<Batch<T>>>,
    {
        let walk = Walk::start(paging, 0, usize::MAX, paging.unknown()).run(usize::MAX, &matches, &ask).await?;
        Ok((walk.items.into_iter().map(|(_, item)| item).find(matches), walk.incomplete))
    }
}

impl<T> Slice<T> {
    /// The total, as the contract reports it.
    pub(crate) fn total_size(&self) -> i32 {
        self.total.map_or(0, |total| i32::try_from(total).unwrap_or(i32::MAX))
    }
}

// === impl Incomplete ===

impl Incomplete {
    /// The reason, as the contract reports it, for a vendor and what it lists.
    pub(crate) fn reason(self, vendor: &str, items: &str) -> String {
        match self {
            Self::Counted { total, given } => format!("{vendor} counts {total} {items} and returned {given}"),
            Self::Repeated { given } => {
                format!("{vendor} returned the same {items} again in place of those after the first {given}")
            }
            Self::Unreachable { given } => format!("{vendor} returns only the first {given} {items}"),
            Self::Endless { given } => {
                format!("{vendor} returned no end of its {items}; the gateway read the first {given}")
            }
            Self::OtherPages { current, last } => {
                format!("{vendor} returned page {current} of {last} and documents no way to request the others")
            }
        }
    }
}

// === impl Walk ===

impl<T: Item> Walk<T> {
    /// A walk whose first request contains the item at `offset`.
    fn start(paging: Paging, offset: usize, size: usize, pages: PageSizes) -> Self {
        let pages = PageSizes { cap: pages.cap.clamp(1, paging.largest), ..pages };
        // A numbered page begins at a multiple of its size: the caller's where it fits the vendor's pages, else the
        // vendor's largest.
        let (at, size) = match paging.is_numbered {
            false => (offset, paging.largest),
            true if size <= pages.cap && offset.is_multiple_of(size) => (offset, size),
            true => (offset - offset % pages.cap, pages.cap),
        };
        Self {
            paging,
            items: Vec::new(),
            seen: HashSet::new(),
            at,
            size,
            pages,
            total: None,
            is_unconfirmed: false,
            is_oversized: false,
            is_at_end: false,
            incomplete: None,
        }
    }

    /// Requests pages up to `end`, to an item that matches, or to the list's end.
    async fn run<F>(
        mut self,
        end: usize,
        matches: impl Fn(&T) -> bool,
        ask: &impl Fn(usize, usize) -> F,
    ) -> Result<Self>
    where
        F: Future<Output = Result<Batch<T>>>,
    {
        for _ in 0..MOST_REQUESTS {
            if self.at > self.paging.largest_offset {
                self.finish(Some(Incomplete::Unreachable { given: self.at }));
                return Ok(self);
            }
            let cap = self.pages.cap;
            let (at, limit) = if self.paging.is_numbered {
                let limit = largest_divisor(self.at, self.size.min(cap));
                (self.at / limit, limit)
            } else {
                // At the end, the request only shows whether more items follow.
                (self.at, Some(end.saturating_sub(self.at)).filter(|left| *left > 0).map_or(cap, |left| left.min(cap)))
            };
            let known = self.items.len();
            self.accept(ask(at, limit).await?, limit);
            if self.items.len() > MOST_REQUESTS * self.paging.largest {
                break;
            }
            let is_enough = self.at > end || (self.at == end && !self.is_unconfirmed);
            if self.is_at_end || is_enough || self.items[known..].iter().any(|(_, item)| matches(item)) {
                return Ok(self);
            }
        }
        let given = self.at;
        self.finish(Some(Incomplete::Endless { given }));
        Ok(self)
    }

    /// Adds a response to a request for `limit` items.
    fn accept(&mut self, batch: Batch<T>, limit: usize) {
        let got = batch.items.0.len();
        let given = self.at.saturating_add(got);
        let reported = batch.total.0.and_then(|total| usize::try_from(total).ok());
        if got == 0 {
            // A total below what was returned does not count the list.
            self.total = reported.filter(|total| *total >= given || self.items.is_empty());
            let counted = reported.filter(|total| *total > given).map(|total| Incomplete::Counted { total, given });
            self.finish(counted);
            return;
        }
        let total = reported.filter(|total| *total >= given);
        let is_counted_out = total == Some(given);
        // The vendor may return no larger page, and count its items alone.
        let is_full = got == limit || (limit > self.pages.proven && got.is_multiple_of(COMMON_MULTIPLE));
        let is_honored = got >= limit || limit <= self.pages.proven;
        self.pages.proven = self.pages.proven.max(got);
        if self.paging.is_numbered && self.at > 0 && !is_honored {
            // The vendor may number pages of its own size: this one may begin elsewhere.
            self.pages.cap = got;
            return;
        }
        let (mut named, mut fresh) = (0, 0);
        let mut items = Vec::with_capacity(got);
        for (index, item) in batch.items.into_iter().enumerate() {
            let key = item.key();
            let is_named = !key.is_empty();
            let is_fresh = !is_named || self.seen.insert(key);
            named += usize::from(is_named);
            fresh += usize::from(is_named && is_fresh);
            if is_fresh {
                items.push((self.at.saturating_add(index), item));
            }
        }
        if named > 0 && fresh == 0 {
            // A vendor that returns more than requested returns all; so does one that returns less, unless it counts
            // more, or stops at a round number that it does not count.
            let is_all = match reported {
                Some(total) if total >= self.at => total == self.at,
                _ => !got.is_multiple_of(COMMON_MULTIPLE),
            };
            let is_whole = self.is_oversized || (got < limit && is_all);
            self.finish((!is_whole).then_some(Incomplete::Repeated { given: self.at }));
            return;
        }
        self.items.extend(items);
        self.is_oversized |= got > limit;
        self.total = total;
        self.at = given;
        // Items without keys cannot be recognized when the vendor returns them again.
        let is_reachable = given <= self.paging.largest_offset;
        self.is_unconfirmed = is_counted_out && is_full && !self.is_oversized && named > 0 && is_reachable;
        let is_last = is_counted_out && !self.is_unconfirmed;
        if self.paging.is_numbered && !is_honored && !is_last {
            self.pages.cap = got;
        }
        // A short page without any key shows nothing to go on from.
        self.is_at_end = is_last || (total.is_none() && named == 0 && got < limit);
    }

    /// The first item.
    fn first(&self) -> Option<Mark> {
        self.items.first().and_then(mark)
    }

    /// Whether an item is among the items, at another offset.
    fn contains_elsewhere(&self, earlier: Mark) -> bool {
        let is_same = |mark: Mark| mark.item == earlier.item && mark.offset != earlier.offset;
        self.items.iter().filter_map(mark).any(is_same)
    }

    /// Whether another walk began with the same item at another offset.
    fn begins_as(&self, other: &Self) -> bool {
        self.first()
            .zip(other.first())
            .is_some_and(|(here, there)| here.item == there.item && here.offset != there.offset)
    }

    fn finish(&mut self, incomplete: Option<Incomplete>) {
        self.is_at_end = true;
        self.incomplete = incomplete;
    }

    /// Up to `size` items from `offset` on. `head` is the first item of the list, if it is known.
    fn into_slice(self, offset: usize, size: usize, head: Option<Mark>) -> Slice<T> {
        let Self { items, at, pages, total, is_at_end, incomplete, .. } = self;
        let mut items: Vec<(usize, T)> = items.into_iter().filter(|(place, _)| *place >= offset).collect();
        let more = !is_at_end || items.len() > size;
        items.truncate(size);
        let next = items.last().map_or(at, |(place, _)| place.saturating_add(1));
        let last = items.first().and_then(mark);
        let before = last.map(|last| Before { marks: [head.unwrap_or(last), last], pages });
        let next = more.then_some(Position { offset: next, before });
        Slice { items: items.into_iter().map(|(_, item)| item).collect(), total, next, incomplete }
    }
}

/// An item at its offset, unless it has no key.
fn mark<T: Item>((offset, item): &(usize, T)) -> Option<Mark> {
    let key = item.key();
    let digest: [u8; 32] = Sha256::digest(&key).into();
    let (head, _) = digest.split_first_chunk()?;
    (!key.is_empty()).then(|| Mark { offset: *offset, item: u64::from_be_bytes(*head) })
}

/// The largest divisor of an offset that is at most `most`.
fn largest_divisor(offset: usize, most: usize) -> usize {
    (1..=most).rev().find(|divisor| offset.is_multiple_of(*divisor)).unwrap_or(1)
}

#[cfg(test)]
mod tests;
