//! The pages of Huawei's lists, and what callers learn of a list that is not whole.

use std::fmt::Display;

use crate::{
    error::Error,
    name::ResourceName,
    vendor::{
        nameless,
        slices::{Incomplete, Paging},
    },
};

/// At most this many items per response (B3.8, B3.11, B3.16, B3.17, B3.21).
pub(super) const LARGEST: usize = 100;

/// Lists whose requests contain the offset of the first item.
pub(super) const OFFSETS: Paging = Paging { is_numbered: false, largest: LARGEST, largest_offset: usize::MAX };

/// Lists whose requests contain the number of a page, from 0 on.
pub(super) const NUMBERED: Paging = Paging { is_numbered: true, ..OFFSETS };

/// The reasons of a list of these items; empty when it is whole.
pub(super) fn reason(items: &str, incomplete: impl IntoIterator<Item = Incomplete>) -> String {
    let reasons: Vec<String> = incomplete.into_iter().map(|incomplete| incomplete.reason("Huawei", items)).collect();
    reasons.join("; ")
}

/// The same for a list of which `nameless` items are left out.
pub(super) fn reason_with(nameless: usize, items: &str, incomplete: Option<Incomplete>) -> String {
    nameless::joined([nameless::reason("Huawei", nameless, items), reason(items, incomplete)])
}

/// A resource that is not in a list of these items. The cause is that the list is not whole.
pub(super) fn not_found<N: ResourceName + Display>(name: &N, items: &str, incomplete: Option<Incomplete>) -> Error {
    let error = Error::not_found(N::KIND, name);
    if incomplete.is_some() { error.with("cause", reason(items, incomplete)) } else { error }
}
