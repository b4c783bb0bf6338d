//! Slices of lists that the vendor returns in pages of its own size.

use crate::{
    error::Result,
    vendor::de::{Integer, List},
};

/// At most this many items per answer (B3.8, B3.11, B3.16, B3.17, B3.21).
pub(super) const LARGEST: usize = 100;

/// The items of one answer.
pub(super) struct Batch<T> {
    /// The items.
    pub(super) items: List<T>,
    /// The total, where the vendor counts.
    pub(super) total: Integer,
}

/// Part of a list.
pub(super) struct Slice<T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// The total; `None` where the vendor does not count.
    pub(super) total: Option<usize>,
    /// The offset of the next item, if there is one.
    pub(super) next_offset: Option<usize>,
}

// === impl Slice ===

impl<T> Slice<T> {
    /// Up to `size` items from `offset` on. `ask(at, limit)` requests up to `limit` items from `at` on.
    pub(super) async fn by_offset<F>(offset: usize, size: usize, mut ask: impl FnMut(usize, usize) -> F) -> Result<Self>
    where
        F: Future<Output = Result<Batch<T>>>,
    {
        let mut slice = Self { items: Vec::new(), total: None, next_offset: None };
        loop {
            let (at, limit) = (offset + slice.items.len(), (size - slice.items.len()).min(LARGEST));
            let more = slice.extend(ask(at, limit).await?, offset, limit);
            if !more || slice.items.len() >= size {
                return Ok(slice.cut(offset, size, more));
            }
        }
    }

    /// The same from a vendor that numbers pages from 0. `ask(number, size)` requests one page.
    pub(super) async fn by_page<F>(offset: usize, size: usize, mut ask: impl FnMut(usize, usize) -> F) -> Result<Self>
    where
        F: Future<Output = Result<Batch<T>>>,
    {
        // The caller's page size where it fits the vendor's pages; else the vendor's largest, cut to the requested
        // slice.
        let limit = if size <= LARGEST && offset.is_multiple_of(size) { size } else { LARGEST };
        let (mut number, begin) = (offset / limit, offset - offset % limit);
        let wanted = (offset - begin).saturating_add(size);
        let mut slice = Self { items: Vec::new(), total: None, next_offset: None };
        loop {
            let more = slice.extend(ask(number, limit).await?, begin, limit);
            number += 1;
            if !more || slice.items.len() >= wanted {
                let mut slice = slice.cut(begin, wanted, more);
                slice.items.drain(..slice.items.len().min(offset - begin));
                return Ok(slice);
            }
        }
    }

    /// Appends an answer and returns whether more items may follow.
    fn extend(&mut self, batch: Batch<T>, begin: usize, limit: usize) -> bool {
        let got = batch.items.0.len();
        self.items.extend(batch.items);
        self.total = batch.total.0.and_then(|total| usize::try_from(total).ok());
        // Without the vendor's count, the answer's length decides.
        got > 0 && self.total.map_or(got >= limit, |total| begin + self.items.len() < total)
    }

    fn cut(mut self, begin: usize, wanted: usize, more: bool) -> Self {
        let more = more || self.items.len() > wanted;
        self.items.truncate(wanted);
        self.next_offset = more.then_some(begin + self.items.len());
        self
    }

    /// The total, as the contract reports it.
    pub(super) fn total_size(&self) -> i32 {
        self.total.map_or(0, |total| i32::try_from(total).unwrap_or(i32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use proptest::prelude::*;

    use super::*;

    fn batch(length: usize, counts: bool, at: usize, limit: usize) -> Batch<usize> {
        assert!((1..=LARGEST).contains(&limit));
        let items = (at..length.min(at + limit).max(at)).collect();
        let total = counts.then(|| i64::try_from(length).unwrap());
        Batch { items: List(items), total: Integer(total) }
    }

    proptest! {
        #[test]
        fn every_slice_is_what_was_asked_for(
            length in 0usize..450, offset in 0usize..450, size in 1usize..=500, counts: bool, by_page: bool,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let slice = runtime.block_on(async {
                if by_page {
                    let ask = |number: usize, limit| ready(Ok(batch(length, counts, number * limit, limit)));
                    Slice::by_page(offset, size, ask).await
                } else {
                    Slice::by_offset(offset, size, |at, limit| ready(Ok(batch(length, counts, at, limit)))).await
                }
            });
            let slice = slice.unwrap();
            let end = (offset + size).min(length);
            prop_assert_eq!(&slice.items, &(offset..end.max(offset)).collect::<Vec<_>>());
            prop_assert_eq!(slice.total_size(), if counts { i32::try_from(length).unwrap() } else { 0 });
            if end < length {
                prop_assert_eq!(slice.next_offset, Some(end));
            } else if counts {
                prop_assert_eq!(slice.next_offset, None);
            }
        }
    }
}
