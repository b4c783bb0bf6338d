//! The size of responses: clients of gRPC reject a message above 4 MiB, and their error has no details.

use prost::{
    Message,
    encoding::{DecodeContext, decode_key, skip_field},
};

use crate::error::{Error, ErrorReason, Result};

/// Largest response, which is what clients accept by default.
const MAX_RESPONSE_SIZE: usize = 4 << 20;

/// The response of a method, if callers can receive it.
///
/// # Errors
/// `VENDOR_RESPONSE_INVALID` for a read. A write was done, so it is `VENDOR_OUTCOME_UNKNOWN`: callers do not send it
/// again.
pub(super) fn bounded<A: Message>(method: &str, response: A) -> Result<A> {
    if response.encoded_len() <= MAX_RESPONSE_SIZE {
        return Ok(response);
    }
    let error = if !is_read(method) {
        Error::new(
            ErrorReason::VendorOutcomeUnknown,
            "the vendor accepted the request, but the response is larger than 4 MiB: do not send the request again; read \
             the outcome instead",
        )
    } else if is_paged(method) && largest_item(&response.encode_to_vec()) < MAX_RESPONSE_SIZE / 2 {
        Error::new(
            ErrorReason::VendorResponseInvalid,
            "the response is larger than 4 MiB; request less with a smaller page_size",
        )
        .violating("page_size", "a smaller page has room in a response of 4 MiB")
    } else {
        Error::new(
            ErrorReason::VendorResponseInvalid,
            "the response is larger than 4 MiB: the vendor's values are too large",
        )
    };
    Err(error.with("cause", "the response is larger than 4 MiB"))
}

/// As the contract's names say.
fn is_read(method: &str) -> bool {
    ["Get", "List", "Access"].iter().any(|verb| method.starts_with(verb))
}

fn is_paged(method: &str) -> bool {
    method.starts_with("List") || method == "AccessSoftphoneCredentials"
}

/// The size of the largest field of an encoded message: of an item, where the message is a list.
fn largest_item(mut message: &[u8]) -> usize {
    let mut largest = 0;
    while !message.is_empty() {
        let before = message.len();
        let skipped = decode_key(&mut message)
            .and_then(|(tag, wire_type)| skip_field(wire_type, tag, &mut message, DecodeContext::default()));
        if skipped.is_err() {
            break;
        }
        largest = largest.max(before - message.len());
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{Agent, ListAgentsResponse};

    fn agent(size: usize) -> Agent {
        Agent { display_name: "n".repeat(size), ..Agent::default() }
    }

    fn list(count: usize, size: usize) -> ListAgentsResponse {
        ListAgentsResponse { agents: vec![agent(size); count], ..ListAgentsResponse::default() }
    }

    fn reason<A: Message>(method: &str, response: A) -> Option<(ErrorReason, bool)> {
        let error = bounded(method, response).err()?;
        Some((error.reason(), error.violations().iter().any(|violation| violation.field == "page_size")))
    }

    #[test]
    fn a_response_has_4_mib_and_not_a_byte_more() {
        let overhead = agent(4 << 20).encoded_len() - (4 << 20);
        let largest = agent((4 << 20) - overhead);
        assert_eq!(largest.encoded_len(), 4_194_304);
        for method in ["GetAgent", "CreateAgent", "ListAgents"] {
            assert_eq!(reason(method, largest.clone()), None, "{method}");
        }
        let larger = agent((4 << 20) - overhead + 1);
        assert_eq!(reason("GetAgent", larger.clone()), Some((ErrorReason::VendorResponseInvalid, false)));
        for method in ["CreateAgent", "UpdateAgent", "StartCallback"] {
            assert_eq!(reason(method, larger.clone()), Some((ErrorReason::VendorOutcomeUnknown, false)), "{method}");
        }
    }

    #[test]
    fn a_smaller_page_is_the_remedy_where_it_is_one() {
        for method in ["ListAgents", "AccessSoftphoneCredentials"] {
            assert_eq!(reason(method, list(5, 1 << 20)), Some((ErrorReason::VendorResponseInvalid, true)), "{method}");
        }
        assert_eq!(reason("ListAgents", list(1, 5 << 20)), Some((ErrorReason::VendorResponseInvalid, false)));
        assert_eq!(reason("ListAgents", list(3, 1 << 20)), None);
    }
}
