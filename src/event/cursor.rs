//! Opaque positions of a stream: which log, and how far it was read.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// A position in a center's log, as clients keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Which log.
    pub log: u64,
    /// Sequence of the last record that was read.
    pub position: u64,
    /// Whether to begin with the oldest record that is kept, when what comes right after the position is gone. So a
    /// position that was the oldest one when it was given out leads somewhere however fast old records leave.
    pub may_skip: bool,
}

/// First byte of a cursor: its layout.
const STRICT: u8 = 1;
const MAY_SKIP: u8 = 2;
/// Bytes of the check: enough that no other center's cursor and no misspelling passes.
const CHECK_BYTES: usize = 4;
const BYTES: usize = 1 + 8 + 8 + CHECK_BYTES;

// === impl Cursor ===

impl Cursor {
    /// As text for this center's clients.
    pub fn text(self, center: &str) -> String {
        let mut bytes = [0; BYTES];
        bytes[0] = if self.may_skip { MAY_SKIP } else { STRICT };
        bytes[1..9].copy_from_slice(&self.log.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.position.to_be_bytes());
        let (said, checked) = bytes.split_at_mut(17);
        checked.copy_from_slice(&check(center, said));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text; `None` when it cannot be read or is of another center.
    pub fn read(center: &str, text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        // A text of another length is none of ours.
        if text.len() != BYTES.div_ceil(3) * 4 || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(BYTES) {
            return None;
        }
        let (said, checked) = bytes.split_first_chunk::<17>()?;
        let may_skip = match said[0] {
            STRICT => false,
            MAY_SKIP => true,
            _ => return None,
        };
        if check(center, said) != checked {
            return None;
        }
        let number = |at: usize| said[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Some(Self { log: number(1), position: number(9), may_skip })
    }
}

fn check(center: &str, said: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new().chain_update(said).chain_update(center).finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_at_its_center_only(
            log in any::<u64>(), position in any::<u64>(), may_skip in any::<bool>()
        ) {
            let cursor = Cursor { log, position, may_skip };
            let text = cursor.text("acme");
            prop_assert_eq!(Cursor::read("acme", &text), Some(cursor));
            prop_assert_eq!(Cursor::read("beta", &text), None);
            prop_assert_eq!(text.len(), 28);
        }

        #[test]
        fn a_cursor_that_was_changed_is_none(position in any::<u64>(), at in 0..28_usize, to in "[A-Za-z0-9_-]") {
            let text = Cursor { log: 1, position, may_skip: false }.text("acme");
            let mut changed = text.clone();
            changed.replace_range(at..=at, &to);
            prop_assert_eq!(Cursor::read("acme", &changed).is_some(), changed == text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            prop_assert_eq!(Cursor::read("acme", &text), None);
        }
    }
}
