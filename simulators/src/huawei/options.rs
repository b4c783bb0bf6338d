//! How a simulator is set up.

use std::{fmt, time::Duration};

use secrecy::SecretString;

use super::quirks::Quirks;
use crate::clock::{self, Clock};

/// How a [`Simulator`] is set up.
pub struct Options {
    /// The app key that `tokenByAkSk` takes, and that `X-APP-Key` must repeat.
    pub app_key: String,
    /// The secret that belongs to the app key.
    pub app_secret: SecretString,
    /// How long access tokens live.
    pub tokens: Tokens,
    /// Deviations from the documents that were seen, or are to be feared.
    pub quirks: Quirks,
    /// The call center that the simulator starts with, and that a reset brings back.
    pub tenant: Tenant,
    /// The time by which tokens expire and locked accounts open.
    pub clock: Clock,
}

/// The call center that a simulator starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tenant {
    /// A small invented call center: queues, a dozen agents, softphones, access codes, call settings.
    #[default]
    Seeded,
    /// What the vendor's pages show: their example requests are answered with their example answers. `queryPhone`
    /// answers in the shape of document 001's example, not of its table.
    Document,
    /// A call center with addresses and nothing else.
    Empty,
}

/// How long access tokens live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The longest life that `X-Token-Expire` may ask for. The document's figure, 3,600 s, is the default.
    pub max_lifetime: Duration,
    /// The life of a token for which no `X-Token-Expire` was sent; the document names none, only a sample of 600 s.
    pub default_lifetime: Duration,
    /// Whether a new token ends the ones before. The document does not say; by default it does not.
    pub one_live_token: bool,
}

// === impl Options ===

impl Options {
    /// The defaults: tokens without limits, no quirks, the seeded tenant, this machine's clock.
    #[must_use]
    pub fn new(app_key: impl Into<String>, app_secret: SecretString) -> Self {
        Self {
            app_key: app_key.into(),
            app_secret,
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            tenant: Tenant::default(),
            clock: clock::system(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("tokens", &self.tokens)
            .field("quirks", &self.quirks)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

// === impl Tokens ===

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            max_lifetime: Duration::from_hours(1),
            default_lifetime: Duration::from_mins(10),
            one_live_token: false,
        }
    }
}
