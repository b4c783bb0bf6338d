//! A change that takes several vendor calls and fails half-way.

use crate::error::{Error, ErrorReason};

/// Most IDs that are told, and most bytes of them.
const TOLD_IDS: usize = 50;
const TOLD_BYTES: usize = 512;

/// What came of a change, one call of which failed with `error`: so many of the request's items were changed before it,
/// `failed` were in that call, `rest` were not tried. IDs are in the order of the request.
///
/// A first call that fails is that failure itself: nothing was changed before it.
pub(super) fn failure<'a>(
    error: Error,
    applied: usize,
    failed: &'a [String],
    rest: impl Iterator<Item = &'a String>,
) -> Error {
    if applied == 0 {
        return error;
    }
    let unknown = match error.reason() {
        ErrorReason::VendorOutcomeUnknown | ErrorReason::VendorCodeUnmapped => failed.len(),
        _ => 0,
    };
    let remaining = listed(failed.iter().chain(rest));
    let cause = error.reason().as_str_name();
    let message =
        format!("{applied} were changed, then the vendor failed ({}); the request can be repeated", error.message());
    error
        .explained(ErrorReason::PartiallyApplied, message)
        .with("appliedCount", applied.to_string())
        .with("unknownCount", unknown.to_string())
        .with("remaining", remaining)
        .with("causeReason", cause)
}

/// The first IDs, as many as are told.
fn listed<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let mut list = String::new();
    for id in ids.take(TOLD_IDS) {
        if list.len() + id.len() + 1 > TOLD_BYTES {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(id);
    }
    list
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::context::Context;

    fn ids(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|id| id.to_string()).collect()
    }

    fn told(reason: ErrorReason, applied: usize, rest: &[String]) -> (Code, Vec<String>) {
        let error = failure(Error::new(reason, "no"), applied, &ids(50..52), rest.iter());
        let cx = Context::new("AddQueueAgents", "trace".into(), Instant::now() + Duration::from_secs(1));
        let status = error.into_status(&cx);
        assert!(status.details().len() < 4096);
        let info = status.get_details_error_info().unwrap();
        let keys = ["appliedCount", "unknownCount", "remaining", "causeReason"];
        (status.code(), keys.iter().filter_map(|key| info.metadata.get(*key).cloned()).collect())
    }

    #[tokio::test]
    async fn what_was_done_and_what_was_not_is_told() {
        let rest = ids(52..54);
        let (code, told_) = told(ErrorReason::VendorRejected, 50, &rest);
        assert_eq!(code, Code::Aborted);
        assert_eq!(told_, ["50", "0", "50,51,52,53", "VENDOR_REJECTED"]);
        let (_, told_) = told(ErrorReason::VendorOutcomeUnknown, 50, &rest);
        assert_eq!(told_, ["50", "2", "50,51,52,53", "VENDOR_OUTCOME_UNKNOWN"]);
    }

    #[tokio::test]
    async fn what_failed_first_is_that_failure() {
        let (code, told) = told(ErrorReason::VendorRejected, 0, &ids(0..3));
        assert_eq!((code, told), (Code::InvalidArgument, Vec::new()));
    }

    #[tokio::test]
    async fn what_remains_is_bounded() {
        let rest = ids(100_000..100_450);
        let (_, told) = told(ErrorReason::VendorRejected, 1, &rest);
        assert!(told[2].len() <= TOLD_BYTES && told[2].split(',').count() <= TOLD_IDS);
        assert!(told[2].starts_with("50,51,100000,100001,"));
    }
}
