use std::future::ready;

use proptest::prelude::*;

use super::*;

const LARGEST: usize = 100;

/// A vendor with a list of this length.
#[derive(Debug, Clone, Copy)]
struct Vendor {
    length: usize,
    is_numbered: bool,
    /// It returns no larger page.
    cap: usize,
    /// The number of a page counts pages of its own size, in place of the requested size.
    counts_own_pages: bool,
    ignores: Ignores,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ignores {
    Nothing,
    Position,
    PositionAndSize,
}

#[derive(Debug, Clone, Copy)]
enum Counts {
    Nothing,
    All,
    /// This many more than it has.
    Above(usize),
    /// The items of the page alone.
    Page,
    /// The same number for every page and every list.
    Constant(usize),
}

impl Item for usize {
    fn key(&self) -> String {
        self.to_string()
    }
}

impl Vendor {
    const GOOD: Self = Self {
        length: 0,
        is_numbered: false,
        cap: LARGEST,
        counts_own_pages: false,
        ignores: Ignores::Nothing,
        counts: Counts::All,
    };

    fn paging(&self) -> Paging {
        Paging { is_numbered: self.is_numbered, largest: LARGEST, largest_offset: usize::MAX }
    }

    fn response(&self, at: usize, limit: usize) -> Batch<usize> {
        assert!((1..=LARGEST).contains(&limit));
        let length = limit.min(self.cap);
        let begin = match self.ignores {
            Ignores::Nothing if self.is_numbered && self.counts_own_pages => at * length,
            Ignores::Nothing if self.is_numbered => at * limit,
            Ignores::Nothing => at,
            Ignores::Position | Ignores::PositionAndSize => 0,
        };
        let end = if self.ignores == Ignores::PositionAndSize { self.length } else { begin + length };
        let items: Vec<usize> = (begin..end.min(self.length).max(begin)).collect();
        let total = match self.counts {
            Counts::Nothing => None,
            Counts::All => Some(self.length),
            Counts::Above(more) => Some(self.length + more),
            Counts::Page => Some(items.len()),
            Counts::Constant(total) => Some(total),
        };
        Batch { items: List(items), total: Integer(total.map(|total| i64::try_from(total).unwrap())) }
    }

    fn read(&self, position: Position, size: usize) -> Slice<usize> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ask = |at, limit| ready(Ok(self.response(at, limit)));
        runtime.block_on(Slice::read(self.paging(), position, size, ask)).unwrap()
    }

    /// Whether its total cannot be told from one of the whole list: its pages are smaller than requested, of a size
    /// that is not round, and the total agrees with what was read; or it returns a round page whatever is requested,
    /// and counts it.
    fn hides_its_end(&self) -> bool {
        let is_round = self.cap.is_multiple_of(COMMON_MULTIPLE);
        matches!(self.counts, Counts::Page | Counts::Constant(_))
            && self.cap < LARGEST
            && (!is_round || self.ignores == Ignores::Position)
    }

    /// Every page, as a caller reads them, and the reasons.
    fn pages(&self, sizes: &[usize]) -> (Vec<usize>, Vec<Incomplete>) {
        let (mut items, mut reasons, mut position) = (Vec::new(), Vec::new(), Position::default());
        for page in 0.. {
            assert!(page <= self.length + 2, "pages without an end");
            let slice = self.read(position, sizes[page % sizes.len()]);
            items.extend(slice.items);
            reasons.extend(slice.incomplete);
            let Some(next) = slice.next else { break };
            // A token contains it as text.
            assert_eq!(next.to_string().parse(), Ok(next));
            position = next;
        }
        (items, reasons)
    }
}

fn vendors() -> impl Strategy<Value = Vendor> {
    let counts = prop_oneof![Just(Counts::Nothing), Just(Counts::All), (1usize..300).prop_map(Counts::Above)];
    vendors_that_count(counts)
}

fn vendors_that_count(counts: impl Strategy<Value = Counts>) -> impl Strategy<Value = Vendor> {
    let ignores = prop_oneof![
        3 => Just(Ignores::Nothing),
        1 => Just(Ignores::Position),
        1 => Just(Ignores::PositionAndSize),
    ];
    let cap = prop_oneof![1 => 1usize..=LARGEST, 1 => Just(LARGEST)];
    (0usize..320, any::<bool>(), cap, any::<bool>(), ignores, counts).prop_map(
        |(length, is_numbered, cap, counts_own_pages, ignores, counts)| Vendor {
            length,
            is_numbered,
            cap,
            counts_own_pages,
            ignores,
            counts,
        },
    )
}

proptest! {
    #[test]
    fn every_slice_is_what_was_asked_for(
        length in 0usize..450, offset in 0usize..450, size in 1usize..=500, counts: bool, is_numbered: bool,
    ) {
        let counts = if counts { Counts::All } else { Counts::Nothing };
        let vendor = Vendor { length, is_numbered, counts, ..Vendor::GOOD };
        let slice = vendor.read(Position { offset, before: None }, size);
        let end = (offset + size).min(length);
        prop_assert_eq!(&slice.items, &(offset..end.max(offset)).collect::<Vec<_>>());
        prop_assert_eq!(slice.incomplete, None);
        if end < length {
            prop_assert_eq!(slice.next.map(|next| next.offset), Some(end));
        } else if matches!(counts, Counts::All) {
            prop_assert_eq!(slice.next, None);
            prop_assert_eq!(slice.total_size(), i32::try_from(length).unwrap());
        }
    }

    #[test]
    fn every_list_ends_and_says_what_is_missing(
        vendor in vendors(), sizes in proptest::collection::vec(1usize..=500, 1..4),
    ) {
        let (items, reasons) = vendor.pages(&sizes);
        let unique: HashSet<_> = items.iter().collect();
        prop_assert_eq!(unique.len(), items.len(), "an item was returned twice");
        // A short page that is returned again is all there is, unless its length is a round number.
        let is_ambiguous = vendor.ignores == Ignores::Position
            && matches!(vendor.counts, Counts::Nothing)
            && !vendor.cap.is_multiple_of(COMMON_MULTIPLE);
        if reasons.is_empty() && !is_ambiguous {
            prop_assert_eq!(items.len(), vendor.length);
        }
        if vendor.ignores == Ignores::Nothing {
            prop_assert_eq!(items, (0..vendor.length).collect::<Vec<_>>());
            let is_above = matches!(vendor.counts, Counts::Above(_));
            prop_assert_eq!(reasons.is_empty(), !is_above);
        }
    }

    #[test]
    fn a_total_that_does_not_count_the_list_hides_no_item(
        vendor in vendors_that_count(prop_oneof![
            Just(Counts::Page),
            (0usize..320).prop_map(Counts::Constant),
            (1usize..33).prop_map(|tens| Counts::Constant(tens * 10)),
        ]),
        sizes in prop_oneof![
            proptest::collection::vec(1usize..=500, 1..4),
            proptest::collection::vec((1usize..=10).prop_map(|tens| tens * 10), 1..3),
        ],
    ) {
        let (items, reasons) = vendor.pages(&sizes);
        let unique: HashSet<_> = items.iter().collect();
        prop_assert_eq!(unique.len(), items.len(), "an item was returned twice");
        if !vendor.hides_its_end() {
            prop_assert!(items.len() == vendor.length || !reasons.is_empty(), "{} of {}", items.len(), vendor.length);
        }
        let is_above = matches!(vendor.counts, Counts::Constant(total) if total > vendor.length);
        if vendor.ignores == Ignores::Nothing && !vendor.hides_its_end() {
            prop_assert_eq!(items, (0..vendor.length).collect::<Vec<_>>());
            prop_assert!(is_above || reasons.is_empty(), "{:?}", reasons);
        }
    }
}

/// The requests for the whole list, and what it returns.
fn requests(vendor: Vendor) -> (Vec<(usize, usize)>, Slice<usize>) {
    let requests = std::cell::RefCell::new(Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask = |at, limit| {
        requests.borrow_mut().push((at, limit));
        ready(Ok(vendor.response(at, limit)))
    };
    let slice = runtime.block_on(Slice::all(vendor.paging(), ask)).unwrap();
    (requests.into_inner(), slice)
}

#[test]
fn only_a_full_page_that_the_total_ends_with_is_confirmed_by_a_request() {
    for (length, cap, asked) in [
        (3, 100, &[(0, 100)][..]),
        (137, 100, &[(0, 100), (100, 100)]),
        // The third page is short of what the vendor has returned before.
        (150, 100, &[(0, 100), (100, 100)]),
        (37, 37, &[(0, 100)]),
        (100, 100, &[(0, 100), (100, 100)]),
        (200, 100, &[(0, 100), (100, 100), (200, 100)]),
        (50, 50, &[(0, 100), (50, 100)]),
    ] {
        let (requests, slice) = requests(Vendor { length, cap, ..Vendor::GOOD });
        assert_eq!(requests, asked, "{length}");
        assert_eq!((slice.items.len(), slice.total, slice.incomplete), (length, Some(length), None));
    }
    // Nothing after the last position that the vendor accepts can be read, so the total is believed.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let vendor = Vendor { length: 200, ..Vendor::GOOD };
    let paging = Paging { largest_offset: 100, ..vendor.paging() };
    let slice = runtime.block_on(Slice::all(paging, |at, limit| ready(Ok(vendor.response(at, limit))))).unwrap();
    assert_eq!((slice.items.len(), slice.incomplete), (200, None));
}

#[test]
fn a_total_of_the_page_is_not_the_total_of_the_list() {
    for counts in [Counts::Page, Counts::Constant(100), Counts::Constant(200)] {
        let (_, slice) = requests(Vendor { length: 240, counts, ..Vendor::GOOD });
        assert_eq!((slice.items.len(), slice.total, slice.incomplete), (240, None, None), "{counts:?}");
    }
    let first = Vendor { length: 240, counts: Counts::Page, ..Vendor::GOOD }.read(Position::default(), 30);
    assert_eq!((first.items.len(), first.total_size(), first.next.map(|next| next.offset)), (30, 0, Some(30)));
}

/// An item without a key, as many as the vendor likes.
struct Nameless;

impl Item for Nameless {
    fn key(&self) -> String {
        String::new()
    }
}

#[test]
fn items_without_keys_are_read_up_to_the_total() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let page = || List((0..100).map(|_| Nameless).collect());
    let ask = |_, _| ready(Ok(Batch { items: page(), total: Integer(Some(100)) }));
    let slice = runtime.block_on(Slice::<Nameless>::all(Vendor::GOOD.paging(), ask)).unwrap();
    assert_eq!((slice.items.len(), slice.incomplete), (100, None), "a repeated page cannot be recognized");
}

#[test]
fn a_forged_position_does_not_overflow() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for text in ["18446744073709551615", "18446744073709551615.18446744073709551615.1.18446744073709551615.1.1.1"] {
        for (is_numbered, total) in [(false, None), (false, Some(i64::MAX)), (true, None), (true, Some(2))] {
            let paging = Paging { is_numbered, ..Vendor::GOOD.paging() };
            for size in [1, 500] {
                let ask = |_, limit| {
                    assert!((1..=LARGEST).contains(&limit));
                    ready(Ok(Batch { items: List(vec![1, 2, 3]), total: Integer(total) }))
                };
                let position = text.parse().unwrap();
                let slice = runtime.block_on(Slice::<usize>::read(paging, position, size, ask)).unwrap();
                assert!(slice.items.len() <= 3);
            }
        }
    }
}

#[test]
fn a_page_that_is_returned_again_ends_the_list() {
    let vendor = Vendor { length: 260, ignores: Ignores::Position, ..Vendor::GOOD };
    for (sizes, given) in [(&[30][..], 30), (&[500], 100), (&[7, 90], 7)] {
        assert_eq!(vendor.pages(sizes), ((0..given).collect(), vec![Incomplete::Repeated { given }]));
    }
}

#[test]
fn a_short_page_that_is_returned_again_is_whole_unless_its_length_is_round() {
    for (cap, counts, reasons) in [
        (37, Counts::Nothing, vec![]),
        (40, Counts::Nothing, vec![Incomplete::Repeated { given: 40 }]),
        (37, Counts::All, vec![Incomplete::Repeated { given: 37 }]),
    ] {
        let vendor = Vendor { length: 90, cap, ignores: Ignores::Position, counts, ..Vendor::GOOD };
        assert_eq!(vendor.pages(&[500]), ((0..cap).collect(), reasons));
    }
}

#[test]
fn a_response_with_more_than_requested_is_the_whole_list() {
    let vendor = Vendor { length: 260, ignores: Ignores::PositionAndSize, counts: Counts::Nothing, ..Vendor::GOOD };
    for size in [30, 50, 500] {
        assert_eq!(vendor.pages(&[size]), ((0..260).collect(), vec![]));
    }
}

#[test]
fn an_item_that_is_inserted_before_a_page_does_not_end_the_list() {
    let before = Vendor { length: 5, ..Vendor::GOOD };
    let position = before.read(Position::default(), 1).next.unwrap();
    // The list begins with a new item now, so the item of the first page begins the second one.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let after = [9, 0, 1, 2, 3, 4];
    let ask = |at: usize, limit: usize| {
        ready(Ok(Batch { items: List(after[at..after.len().min(at + limit)].to_vec()), total: Integer(Some(6)) }))
    };
    let slice = runtime.block_on(Slice::read(before.paging(), position, 1, ask)).unwrap();
    assert_eq!((slice.items, slice.incomplete), (vec![0], None));
    assert_eq!(slice.next.map(|next| next.offset), Some(2));
}

#[test]
fn new_items_without_an_end_are_bounded() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask =
        |at: usize, limit: usize| ready(Ok(Batch { items: List((at..at + limit).collect()), total: Integer(None) }));
    let slice = runtime.block_on(Slice::<usize>::all(Vendor::GOOD.paging(), ask)).unwrap();
    assert_eq!(slice.items.len(), 100_000);
    assert_eq!(slice.incomplete, Some(Incomplete::Endless { given: 100_000 }));
}

#[test]
fn a_position_is_read_as_it_was_written() {
    for text in ["0", "150", "150.0.7.100.18446744073709551615.50.30"] {
        assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
    }
    for text in ["", "x", "1.2", "1.2.3", "1.2.3.4", "1.2.3.4.5.6", "1.2.3.4.5.6.7.8", "-1", "1..2.3"] {
        assert!(text.parse::<Position>().is_err(), "{text}");
    }
}
