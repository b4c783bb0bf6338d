//! A change of several vendor calls, one of which fails.

use crate::error::{Error, ErrorReason};

/// At most this many IDs, and bytes of them, in an error: no more than a status keeps of a text, or it would cut an ID.
const REPORTED_IDS: usize = 50;
const REPORTED_BYTES: usize = 256;

/// The error of a change, one call of which failed with `error`: `applied` items of the request were changed before,
/// `failed` were in that call, `rest` were not sent. IDs are in the order of the request.
///
/// When the first call fails, its error is returned unchanged: nothing was applied.
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
    let message = format!(
        "{applied} were changed, then a vendor request failed ({}); the same request can be sent again",
        error.message()
    );
    error
        .explained(ErrorReason::PartiallyApplied, message)
        .with("appliedCount", applied.to_string())
        .with("unknownCount", unknown.to_string())
        .with("remaining", remaining)
        .with("causeReason", cause)
}

/// The first IDs, up to both limits.
fn listed<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let mut list = String::new();
    for id in ids.take(REPORTED_IDS) {
        if list.len() + id.len() + 1 > REPORTED_BYTES {
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

    fn reported(reason: ErrorReason, applied: usize, rest: &[String]) -> (Code, Vec<String>) {
        let error = failure(Error::new(reason, "no"), applied, &ids(50..52), rest.iter());
        let cx = Context::new("AddQueueAgents", "trace".into(), Instant::now() + Duration::from_secs(1));
        let status = error.into_status(&cx);
        assert!(status.details().len() < 4096);
        let info = status.get_details_error_info().unwrap();
        let keys = ["appliedCount", "unknownCount", "remaining", "causeReason"];
        (status.code(), keys.iter().filter_map(|key| info.metadata.get(*key).cloned()).collect())
    }

    #[tokio::test]
    async fn applied_and_remaining_ids_are_reported() {
        let rest = ids(52..54);
        let (code, reported_) = reported(ErrorReason::VendorRejected, 50, &rest);
        assert_eq!(code, Code::Aborted);
        assert_eq!(reported_, ["50", "0", "50,51,52,53", "VENDOR_REJECTED"]);
        let (_, reported_) = reported(ErrorReason::VendorOutcomeUnknown, 50, &rest);
        assert_eq!(reported_, ["50", "2", "50,51,52,53", "VENDOR_OUTCOME_UNKNOWN"]);
    }

    #[tokio::test]
    async fn the_error_of_a_failed_first_call_is_unchanged() {
        let (code, reported) = reported(ErrorReason::VendorRejected, 0, &ids(0..3));
        assert_eq!((code, reported), (Code::InvalidArgument, Vec::new()));
    }

    #[tokio::test]
    async fn the_remaining_ids_are_bounded() {
        let rest = ids(100_000..100_450);
        let (_, reported) = reported(ErrorReason::VendorRejected, 1, &rest);
        assert!(reported[2].len() <= REPORTED_BYTES && reported[2].split(',').count() <= REPORTED_IDS);
        assert!(reported[2].starts_with("50,51,100000,100001,"));
    }

    #[tokio::test]
    async fn long_ids_are_fewer_and_whole() {
        // With a comma behind it, each has 32 bytes; the first two are "50" and "51".
        let rest = vec!["x".repeat(31); 50];
        let (_, reported) = reported(ErrorReason::VendorRejected, 1, &rest);
        let whole: Vec<&str> = ["50", "51"].into_iter().chain(rest[..7].iter().map(String::as_str)).collect();
        assert_eq!(reported[2].split(',').collect::<Vec<_>>(), whole);
    }
}
