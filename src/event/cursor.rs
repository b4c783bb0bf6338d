//! Cursors: opaque positions of a stream.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// A position in a center's log. Clients store it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// ID of the log.
    pub log: u64,
    /// Sequence of the last record that the stream passed.
    pub position: u64,
    /// Whether the stream resumes with the oldest stored record when the record right after the position expired. So
    /// the `oldestCursor` of an error stays usable while further records expire.
    pub may_skip: bool,
}

/// First byte of a cursor: its format.
const STRICT: u8 = 1;
const MAY_SKIP: u8 = 2;
/// Bytes of the checksum, which detects cursors of other centers and altered cursors.
const CHECKSUM_BYTES: usize = 4;
const BYTES: usize = 1 + 8 + 8 + CHECKSUM_BYTES;

// === impl Cursor ===

impl Cursor {
    /// Encodes the cursor for this center's clients.
    pub fn encode(self, center: &str) -> String {
        let mut bytes = [0; BYTES];
        bytes[0] = if self.may_skip { MAY_SKIP } else { STRICT };
        bytes[1..9].copy_from_slice(&self.log.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.position.to_be_bytes());
        let (payload, checksum_bytes) = bytes.split_at_mut(17);
        checksum_bytes.copy_from_slice(&checksum(center, payload));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes a cursor; `None` when the text is no cursor or is one of another center.
    pub fn decode(center: &str, text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        // The length is compared first, so that a long text is rejected without decoding.
        if text.len() != BYTES.div_ceil(3) * 4 || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(BYTES) {
            return None;
        }
        let (payload, checksum_bytes) = bytes.split_first_chunk::<17>()?;
        let may_skip = match payload[0] {
            STRICT => false,
            MAY_SKIP => true,
            _ => return None,
        };
        if checksum(center, payload) != checksum_bytes {
            return None;
        }
        let number = |at: usize| payload[at..].first_chunk().copied().map(u64::from_be_bytes);
        Some(Self { log: number(1)?, position: number(9)?, may_skip })
    }
}

fn checksum(center: &str, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(payload).chain_update(center).finalize();
    let mut bytes = [0; CHECKSUM_BYTES];
    bytes.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_decodes_at_its_own_center_only(
            log in any::<u64>(), position in any::<u64>(), may_skip in any::<bool>()
        ) {
            let cursor = Cursor { log, position, may_skip };
            let text = cursor.encode("acme");
            prop_assert_eq!(Cursor::decode("acme", &text), Some(cursor));
            prop_assert_eq!(Cursor::decode("beta", &text), None);
            prop_assert_eq!(text.len(), 28);
        }

        #[test]
        fn an_altered_cursor_is_rejected(position in any::<u64>(), at in 0..28_usize, to in "[A-Za-z0-9_-]") {
            let text = Cursor { log: 1, position, may_skip: false }.encode("acme");
            let mut altered = text.clone();
            altered.replace_range(at..=at, &to);
            prop_assert_eq!(Cursor::decode("acme", &altered).is_some(), altered == text);
        }

        #[test]
        fn arbitrary_text_is_rejected(text in "\\PC{0,40}") {
            prop_assert_eq!(Cursor::decode("acme", &text), None);
        }
    }
}
