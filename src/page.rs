//! Pagination over any vendor's paging.
//!
//! A page token contains the position of the next page and a hash of the arguments it was issued for: with other
//! arguments, or for another center or method, it is rejected. For a vendor without pagination the position is the last
//! ID of the page, not an offset. So a list that changes between pages repeats no item and skips no item that stays.
//! Such a token also names the list that [`crate::lists`] keeps.

use std::{cmp::Ordering, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, ErrorReason, Result},
    proto::v1,
};

/// Default page size.
const DEFAULT_PAGE_SIZE: usize = 50;
/// Largest page size.
const MAX_PAGE_SIZE: usize = 500;

/// Bytes of the arguments' hash in a token.
const HASH_BYTES: usize = 8;
/// First byte of a token: whether it names a list.
const WITHOUT_LIST: u8 = 1;
const WITH_LIST: u8 = 2;
/// Longest valid token: the gateway issues none that is longer.
const MAX_TOKEN_LENGTH: usize = 1024;

/// The requested page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most items of the page; 1 to 500.
    pub size: usize,
    position: Option<Position>,
    /// Hash of the arguments.
    arguments: [u8; 32],
}

/// The position in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    after: String,
    /// The ID of a kept list.
    list: Option<u64>,
}

/// A request for one page of a list.
pub trait Paged: Message {
    /// Takes `page_size` and `page_token` out of the request. The remaining fields are the arguments.
    fn take_page(&mut self) -> (i32, String);
}

macro_rules! paged {
    ($($request:ident)*) => {
        $(impl Paged for v1::$request {
            fn take_page(&mut self) -> (i32, String) {
                (std::mem::take(&mut self.page_size), std::mem::take(&mut self.page_token))
            }
        })*
    };
}

paged! {
    ListCentersRequest ListPhoneNumbersRequest ListAgentsRequest ListExtensionsRequest ListQueuesRequest
    AccessSoftphoneCredentialsRequest ListSubscriptionsRequest
}

impl Page {
    /// Takes the page out of a request whose `page_size` is not negative.
    ///
    /// # Errors
    /// `TOKEN_INVALID` for a token that is malformed or was issued for other arguments.
    pub fn take(method: &str, request: &mut impl Paged) -> Result<Self> {
        let (page_size, page_token) = request.take_page();
        Self::read(method, request, page_size, &page_token)
    }

    fn read(method: &str, arguments: &impl Message, page_size: i32, page_token: &str) -> Result<Self> {
        let arguments = hash(method, arguments);
        let size = match usize::try_from(page_size) {
            Ok(0) | Err(_) => DEFAULT_PAGE_SIZE,
            Ok(size) => size.min(MAX_PAGE_SIZE),
        };
        let position = match page_token {
            "" => None,
            token => Some(decode(token, &arguments)?),
        };
        Ok(Self { size, position, arguments })
    }

    /// The position right before the page; `None` for the first page.
    pub fn after(&self) -> Option<&str> {
        self.position.as_ref().map(|position| position.after.as_str())
    }

    /// The kept list that the token names.
    pub fn list(&self) -> Option<u64> {
        self.position.as_ref()?.list
    }

    /// Hash of the method and the arguments.
    pub fn arguments(&self) -> [u8; 32] {
        self.arguments
    }

    /// The position of the page's first item, for a vendor with pagination.
    ///
    /// # Errors
    /// `TOKEN_INVALID` when the token contains no such position.
    pub fn position<P: FromStr + Default>(&self) -> Result<P> {
        self.after().map_or_else(|| Ok(P::default()), |text| text.parse().map_err(|_| malformed()))
    }

    /// The token of the page that begins right after this position.
    pub fn token(&self, after: &str) -> String {
        self.encode(&[WITHOUT_LIST], &[], after)
    }

    /// The token of the page that begins right after this ID in a kept list.
    pub fn token_in(&self, list: u64, after: &str) -> String {
        self.encode(&[WITH_LIST], &list.to_be_bytes(), after)
    }

    fn encode(&self, version: &[u8], list: &[u8], after: &str) -> String {
        URL_SAFE_NO_PAD.encode([version, &self.arguments[..HASH_BYTES], list, after.as_bytes()].concat())
    }

    /// Cuts the page out of a complete list, ordered by the bytes of the names. Returns the page's items and
    /// `next_page_token`.
    pub fn cut_by_name<T>(&self, mut items: Vec<T>, name: impl Fn(&T) -> &str) -> (Vec<T>, String) {
        if let Some(after) = self.after() {
            items.retain(|item| name(item) > after);
        }
        items.sort_by(|left, right| name(left).cmp(name(right)));
        let more = items.len() > self.size;
        items.truncate(self.size);
        let next = match items.last() {
            Some(last) if more => self.token(name(last)),
            _ => String::new(),
        };
        (items, next)
    }
}

/// Orders shorter IDs first, then by bytes, so that digits are ordered as numbers.
pub(crate) fn compare_ids(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn hash(method: &str, arguments: &impl Message) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(method.as_bytes());
    hasher.update([0]);
    hasher.update(arguments.encode_to_vec());
    hasher.finalize().into()
}

fn malformed() -> Error {
    Error::new(
        ErrorReason::TokenInvalid,
        "page_token was not issued by this gateway; pass next_page_token of the previous response unchanged",
    )
}

fn decode(token: &str, arguments: &[u8; 32]) -> Result<Position> {
    if token.len() > MAX_TOKEN_LENGTH {
        return Err(malformed());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed())?;
    let (version, rest) = bytes.split_first().ok_or_else(malformed)?;
    let (issued_for, rest) = rest.split_at_checked(HASH_BYTES).ok_or_else(malformed)?;
    let (list, after) = match *version {
        WITHOUT_LIST => (None, rest),
        WITH_LIST => rest
            .split_first_chunk()
            .map(|(list, rest)| (Some(u64::from_be_bytes(*list)), rest))
            .ok_or_else(malformed)?,
        _ => return Err(malformed()),
    };
    if after.is_empty() {
        return Err(malformed());
    }
    if *issued_for != arguments[..HASH_BYTES] {
        return Err(Error::new(
            ErrorReason::TokenInvalid,
            "page_token was issued for other arguments; only page_size may change between pages",
        ));
    }
    let after = String::from_utf8(after.to_vec()).map_err(|_| malformed())?;
    Ok(Position { after, list })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::v1::ListQueuesRequest;

    fn request(parent: &str) -> ListQueuesRequest {
        ListQueuesRequest { parent: parent.to_owned(), ..Default::default() }
    }

    fn page(size: i32, token: &str) -> Page {
        Page::read("ListQueues", &request("centers/acme"), size, token).unwrap()
    }

    #[test]
    fn sizes_are_bounded() {
        for (requested, expected) in [(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)] {
            assert_eq!(page(requested, "").size, expected);
        }
    }

    #[test]
    fn a_token_for_other_arguments_is_rejected() {
        let token = page(1, "").token("9001");
        assert_eq!(page(7, &token).after(), Some("9001"));
        for (method, parent) in [("ListAgents", "centers/acme"), ("ListQueues", "centers/beta")] {
            let error = Page::read(method, &request(parent), 1, &token).unwrap_err();
            assert_eq!(error.reason(), ErrorReason::TokenInvalid);
        }
    }

    #[test]
    fn a_token_names_a_list_or_none() {
        let first = page(1, "");
        for (token, list) in [(first.token("9001"), None), (first.token_in(7, "9001"), Some(7))] {
            let next = page(1, &token);
            assert_eq!((next.after(), next.list()), (Some("9001"), list));
        }
        assert_eq!((first.after(), first.list()), (None, None));
    }

    #[test]
    fn digits_are_ordered_as_numbers() {
        let mut ids = ["9415", "355", "1001"];
        ids.sort_by(|left, right| compare_ids(left, right));
        assert_eq!(ids, ["355", "1001", "9415"]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_an_error(text in "\\PC{0,64}") {
            let _ = Page::read("ListQueues", &request("centers/acme"), 0, &text);
        }
    }

    #[test]
    fn a_token_longer_than_any_that_was_made_is_not_read() {
        let token = |length: usize| page(1, "").token(&"x".repeat(length));
        let open = |token: &str| Page::read("ListQueues", &request("centers/acme"), 1, token);
        // 9 bytes stand before the position, and three bytes are four letters.
        assert_eq!(token(759).len(), 1024);
        assert!(open(&token(759)).is_ok());
        assert_eq!(open(&token(760)).unwrap_err().reason(), ErrorReason::TokenInvalid);
    }
}
