//! Whether anything of a request may have left.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// Whether anything of one request may have left, agreed on by who sends it and who waits for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Departure(Arc<AtomicU8>);
/// Calls a request off when its caller goes away before it left.
pub(super) struct CallOff(pub(super) Departure);

/// Bits of [`Departure`].
const LEFT: u8 = 1;
const CALLED_OFF: u8 = 2;

// === impl Departure ===

impl Departure {
    /// Notes that the request leaves now. `false` when it was called off.
    pub(super) fn leave(&self) -> bool {
        let leave = |state| (state & CALLED_OFF == 0).then_some(state | LEFT);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, leave).is_ok()
    }

    /// Notes that certainly nothing came of it: no connection was made, or the vendor refused our credentials.
    pub(super) fn came_back(&self) {
        self.0.fetch_and(!LEFT, Ordering::AcqRel);
    }

    /// From now on nothing leaves. Says whether something may have left already.
    pub(super) fn call_off(&self) -> bool {
        self.0.fetch_or(CALLED_OFF, Ordering::AcqRel) & LEFT != 0
    }
}

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.call_off();
    }
}
