//! Parts of lists that the vendor gives in pages of its own size.

use crate::{
    error::Result,
    vendor::de::{Integer, List},
};

/// Most items of one answer (B3.8, B3.11, B3.16, B3.17, B3.21).
pub(super) const LARGEST: usize = 100;

/// What one answer holds.
pub(super) struct Batch<T> {
    /// The items.
    pub(super) items: List<T>,
    /// How many there are in all, where the vendor counts them.
    pub(super) total: Integer,
}

/// Part of a list.
pub(super) struct Slice<T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// How many there are in all; `None` where the vendor does not count them.
    pub(super) total: Option<usize>,
    /// Where the next items begin, if there are any.
    pub(super) next_offset: Option<usize>,
}

// === impl Slice ===

impl<T> Slice<T> {
    /// Up to `size` items from `offset` on. `ask(at, limit)` asks for up to `limit` items from `at` on.
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

    /// The same from a vendor that counts pages, from 0. `ask(number, size)` asks for one.
    pub(super) async fn by_page<F>(offset: usize, size: usize, mut ask: impl FnMut(usize, usize) -> F) -> Result<Self>
    where
        F: Future<Output = Result<Batch<T>>>,
    {
        // The caller's pages where they are the vendor's too, else the vendor's largest and what is too much of them.
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

    /// Takes an answer in. Says whether there is more to ask for.
    fn extend(&mut self, batch: Batch<T>, begin: usize, limit: usize) -> bool {
        let got = batch.items.0.len();
        self.items.extend(batch.items);
        self.total = batch.total.0.and_then(|total| usize::try_from(total).ok());
        // A vendor that does not count leaves only the length of the answer to go by.
        got > 0 && self.total.map_or(got >= limit, |total| begin + self.items.len() < total)
    }

    fn cut(mut self, begin: usize, wanted: usize, more: bool) -> Self {
        let more = more || self.items.len() > wanted;
        self.items.truncate(wanted);
        self.next_offset = more.then_some(begin + self.items.len());
        self
    }

    /// How many there are in all, as the contract tells it.
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
