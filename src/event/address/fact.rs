//! What is kept of an address: everything but the mac, which whoever has the key can make again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::GRACE;
use crate::error::{Error, ErrorReason, Result};

/// What is known of an address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fact {
    pub state: State,
    /// Since when, in milliseconds since 1970.
    since: u64,
    /// The vendor's ID of the subscription that posts there, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The vendor is being told of it, or nobody knows whether it took it.
    Pending,
    /// The vendor posts there.
    Adopted,
    /// The vendor posts there no longer.
    Retired,
}

impl Fact {
    pub fn new(state: State, since: u64, subscription: Option<&str>) -> Self {
        Self { state, since, subscription: subscription.map(str::to_owned) }
    }

    /// # Errors
    /// `STORAGE_UNAVAILABLE` for what this version of the gateway cannot read.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| unreadable())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether what is posted there is taken at this time.
    pub fn is_taken(&self, now: u64) -> bool {
        self.state != State::Retired || !self.is_older_than(GRACE, now)
    }

    pub fn is_of(&self, subscription: &str) -> bool {
        self.subscription.as_deref() == Some(subscription)
    }

    /// Whether it has been so for longer than this.
    pub fn is_older_than(&self, age: Duration, now: u64) -> bool {
        u128::from(now.saturating_sub(self.since)) > age.as_millis()
    }
}

/// The key of an address's fact.
pub(super) fn key(center: &str, nonce: &str) -> String {
    format!("address.{center}.{nonce}")
}

pub(super) fn unreadable() -> Error {
    tracing::error!(what = "callback addresses", "a fact in the storage is not of the expected shape");
    Error::new(ErrorReason::StorageUnavailable, "the gateway cannot read what its storage holds of callback addresses")
}
