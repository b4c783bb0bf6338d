//! Items of a list that no resource name identifies: their ID is missing, or longer than the contract allows.

use crate::{
    error::{Error, ErrorReason},
    name::ResourceName,
};

/// Removes the items that no name identifies, and counts them.
pub(super) fn remove<N: ResourceName, T>(items: &mut Vec<T>, id: impl Fn(&T) -> &str) -> usize {
    let before = items.len();
    items.retain(|item| N::identifies(id(item)));
    before - items.len()
}

/// The reason, as the contract reports it, for a vendor and what it lists; empty when no item was removed.
pub(super) fn reason(vendor: &str, nameless: usize, items: &str) -> String {
    match nameless {
        0 => String::new(),
        _ => format!("{vendor} returned no ID that can be a name for {nameless} of the {items}; they are left out"),
    }
}

/// Several reasons as one.
pub(super) fn joined(reasons: impl IntoIterator<Item = String>) -> String {
    reasons.into_iter().filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The error of a write that the vendor accepted without the ID that the contract returns. `message` says that the
/// request must not be repeated.
pub(super) fn written(message: &'static str) -> Error {
    Error::new(ErrorReason::VendorOutcomeUnknown, message).with("cause", "the vendor reported success without an ID")
}
