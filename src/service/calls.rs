//! Calls.

use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::CenterName,
    proto::v1::{StartCallbackRequest, StartCallbackResponse},
};

/// At most this many variables per call, and bytes per key.
const VARIABLES: usize = 50;
const KEY_BYTES: usize = 64;

pub(super) async fn start_callback(
    centers: &Centers,
    cx: &Context,
    mut request: StartCallbackRequest,
) -> Result<StartCallbackResponse> {
    let StartCallbackRequest {
        parent,
        customer_number,
        entry_number,
        caller_id: _, // the vendor validates its format
        variables,
        request_id,
    } = &request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.required("customer_number", customer_number);
    check.required("entry_number", entry_number);
    check.count("variables", variables.len(), (0, VARIABLES));
    // A key may be personal data, so the violation does not repeat it.
    if !variables.keys().all(|key| is_variable(key)) {
        check.invalid("variables", "every key matches ^[A-Za-z_]\\w{0,63}$");
    }
    check.request_id(request_id);
    check.hand_over(cx)?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    center
        .write_idempotent(cx, &request_id, request, async |adapter, cx, request| {
            adapter.start_callback(&cx, parent, request).await
        })
        .await
}

fn is_variable(key: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=KEY_BYTES).contains(&key.len()) && !key.as_bytes()[0].is_ascii_digit() && key.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_s_key_is_a_word_that_begins_with_no_digit() {
        for good in ["a", "_", "_1", "Order_No", &"k".repeat(64)] {
            assert!(is_variable(good), "{good}");
        }
        for bad in ["", "1", "1x", "order-no", "order no", "\u{e9}t\u{e9}", &"k".repeat(65)] {
            assert!(!is_variable(bad), "{bad}");
        }
    }
}
