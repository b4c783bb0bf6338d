//! Every store does in the embedded database what it must do everywhere.

use std::{future, sync::Arc};

use switchboard::storage::Storage;

/// A database of its own, and what it holds besides: nothing.
fn store() -> impl Future<Output = (Arc<Storage>, ())> {
    future::ready((Arc::new(Storage::in_memory().unwrap()), ()))
}

mod idempotency {
    crate::idempotency::idempotency_tests!(super::store());
}
