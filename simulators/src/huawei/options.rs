//! How a simulator is set up.

use std::{fmt, time::Duration};

use secrecy::SecretString;

use super::quirks::Quirks;
use crate::clock::{self, Clock};

/// How a [`Simulator`](super::Simulator) is set up.
pub struct Options {
    /// The app key that `tokenByAkSk` and `X-APP-Key` require.
    pub app_key: String,
    /// The secret that belongs to the app key.
    pub app_secret: SecretString,
    /// How long access tokens are valid.
    pub tokens: Tokens,
    /// Deviations from the default responses.
    pub quirks: Quirks,
    /// The call center at the start and after a reset.
    pub tenant: Tenant,
    /// The vendor's clock, by which tokens and locks of accounts expire.
    pub clock: Clock,
}

/// The call center at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tenant {
    /// A small invented call center: queues, a dozen agents, softphones, access codes, call settings.
    #[default]
    Seeded,
    /// The examples of the vendor's pages: an example request gets its example response. `queryPhone` has the shape of
    /// document 001's example, not of its table.
    Document,
    /// A call center with addresses and nothing else.
    Empty,
}

/// How long access tokens are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The longest lifetime that `X-Token-Expire` may request. The default is the document's 3,600 s.
    pub max_lifetime: Duration,
    /// The lifetime of a token requested without `X-Token-Expire`. The document has only a sample of 600 s, the
    /// default.
    pub default_lifetime: Duration,
    /// Whether a new token revokes the earlier ones. The document does not say; by default it does not.
    pub one_live_token: bool,
}

// === impl Options ===

impl Options {
    /// The defaults: tokens as documented, no quirks, the seeded tenant, the machine's clock.
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
