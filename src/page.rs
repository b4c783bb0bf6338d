//! Pagination over any vendor's paging.
//!
//! A page token contains the position of the next page and a hash of the arguments it was issued for: with other
//! arguments, or for another center or method, it is rejected. For a vendor without pagination the position is the last
//! ID of the page, not an offset. So a list that changes between pages repeats no item and skips no item that stays.

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
/// First byte of a token: its version.
const TOKEN_VERSION: u8 = 1;
/// Longest valid token: the gateway issues none that is longer.
const MAX_TOKEN_LENGTH: usize = 1024;

/// The requested page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most items of the page; 1 to 500.
    pub size: usize,
    after: Option<String>,
    arguments: [u8; HASH_BYTES],
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
        let after = match page_token {
            "" => None,
            token => Some(decode(token, arguments)?),
        };
        Ok(Self { size, after, arguments })
    }

    /// The position right before the page; `None` for the first page.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
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
        let mut bytes = Vec::with_capacity(1 + HASH_BYTES + after.len());
        bytes.push(TOKEN_VERSION);
        bytes.extend(self.arguments);
        bytes.extend(after.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Cuts the page out of a complete list, ordered by ID with digits as numbers. Returns the page's items and
    /// `next_page_token`.
    pub fn cut<T>(&self, items: Vec<T>, id: impl Fn(&T) -> &str) -> (Vec<T>, String) {
        self.cut_by(items, id, compare_ids)
    }

    /// Cuts the page out of a complete list, ordered by the bytes of the names.
    pub fn cut_by_name<T>(&self, items: Vec<T>, name: impl Fn(&T) -> &str) -> (Vec<T>, String) {
        self.cut_by(items, name, str::cmp)
    }

    fn cut_by<T>(
        &self,
        mut items: Vec<T>,
        id: impl Fn(&T) -> &str,
        compare: impl Fn(&str, &str) -> Ordering,
    ) -> (Vec<T>, String) {
        if let Some(after) = self.after() {
            items.retain(|item| compare(id(item), after) == Ordering::Greater);
        }
        items.sort_by(|left, right| compare(id(left), id(right)));
        let more = items.len() > self.size;
        items.truncate(self.size);
        let next = match items.last() {
            Some(last) if more => self.token(id(last)),
            _ => String::new(),
        };
        (items, next)
    }
}

/// Orders shorter IDs first, then by bytes, so that digits are ordered as numbers.
fn compare_ids(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn hash(method: &str, arguments: &impl Message) -> [u8; HASH_BYTES] {
    let mut hasher = Sha256::new();
    hasher.update(method.as_bytes());
    hasher.update([0]);
    hasher.update(arguments.encode_to_vec());
    let digest = hasher.finalize();
    let mut short = [0; HASH_BYTES];
    short.copy_from_slice(&digest[..HASH_BYTES]);
    short
}

fn malformed() -> Error {
    Error::new(
        ErrorReason::TokenInvalid,
        "page_token was not issued by this gateway; pass next_page_token of the previous response unchanged",
    )
}

fn decode(token: &str, arguments: [u8; HASH_BYTES]) -> Result<String> {
    if token.len() > MAX_TOKEN_LENGTH {
        return Err(malformed());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed())?;
    let (version, rest) = bytes.split_first().ok_or_else(malformed)?;
    let (issued_for, after) = rest.split_at_checked(HASH_BYTES).ok_or_else(malformed)?;
    if *version != TOKEN_VERSION || after.is_empty() {
        return Err(malformed());
    }
    if issued_for != arguments {
        return Err(Error::new(
            ErrorReason::TokenInvalid,
            "page_token was issued for other arguments; only page_size may change between pages",
        ));
    }
    String::from_utf8(after.to_vec()).map_err(|_| malformed())
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
    fn digits_are_ordered_as_numbers() {
        let (items, next) = page(10, "").cut(vec!["9415", "355", "1001"], |id| id);
        assert_eq!((items, next.as_str()), (vec!["355", "1001", "9415"], ""));
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_an_error(text in "\\PC{0,64}") {
            let _ = Page::read("ListQueues", &request("centers/acme"), 0, &text);
        }

        #[test]
        fn a_changing_list_repeats_no_item_and_skips_no_item_that_stays(
            stays in proptest::collection::btree_set(0u32..200, 0..40),
            comes_and_goes in proptest::collection::vec((0u32..200, any::<bool>()), 0..40),
            size in 1i32..7,
        ) {
            let mut seen = Vec::new();
            let mut token = String::new();
            let mut changes = comes_and_goes.iter();
            loop {
                let mut now = stays.clone();
                now.extend(changes.by_ref().take(5).filter(|(_, there)| *there).map(|(id, _)| *id));
                let items = now.iter().map(u32::to_string).collect();
                let (items, next) = page(size, &token).cut(items, |id: &String| id);
                seen.extend(items);
                if next.is_empty() {
                    break;
                }
                token = next;
            }
            let unique: std::collections::BTreeSet<_> = seen.iter().collect();
            prop_assert_eq!(unique.len(), seen.len());
            prop_assert!(stays.iter().all(|id| seen.contains(&id.to_string())));
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
