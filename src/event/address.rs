//! Callback addresses: where vendors post events.
//!
//! Vendors sign nothing that they post, so the address itself is the secret:
//! `{callback_base_url}/callbacks/{center}/{nonce}.{mac}`. The mac makes that only a gateway with the key can make one; the
//! nonce, which is kept before anybody hears of the address, makes that one can be given up. Every gateway with the same
//! key and store takes the same addresses.
//!
//! An address that is given up is taken for [`GRACE`] longer, because vendors post for a while what happened before.

mod records;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;
use url::{Host, Url};

use self::records::{AddressRecords, Status};
use crate::{
    clock::Clock,
    config,
    error::{Error, ErrorReason, Result},
    store::kv::KeyValueStore,
};

/// How long an address is taken after it was given up.
pub const GRACE: Duration = Duration::from_secs(10 * 60);
/// Name of the key that is made where none is configured.
const KEY: &str = "secret.callback";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 16;
/// Lengths of a nonce and of a whole segment in base64.
const NONCE_TEXT: usize = 22;
const SEGMENT_TEXT: usize = NONCE_TEXT + 1 + 43;

/// The addresses that this gateway gives out and takes. Cheap to clone.
#[derive(Clone)]
pub struct Addresses(Arc<Shared>);

struct Shared {
    /// Ends with `/`.
    base: Url,
    configured: Option<SecretString>,
    key: OnceCell<hmac::Key>,
    facts: AddressRecords,
}

/// An address for a vendor and for nobody else.
pub struct Address {
    uri: String,
    nonce: Nonce,
}

/// What tells one address of a center from another.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

// === impl Addresses ===

impl Addresses {
    /// Addresses below the configured one, whose facts are kept in this store. Without a configured key, one is made and
    /// kept there, too.
    pub fn new(events: &config::Events, state: Arc<dyn KeyValueStore>, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            base: events.callback_base_url.clone(),
            configured: events.callback_key.clone(),
            key: OnceCell::new(),
            facts: AddressRecords::new(state, clock),
        }))
    }

    /// Makes an address for a subscription, whose ID is not known before the vendor made it. It is taken from now on, so
    /// that what is posted before the vendor answers is not lost. `vendor` is where the vendor is.
    ///
    /// # Errors
    /// `CENTER_MISCONFIGURED` when the vendor cannot reach it; `STORAGE_UNAVAILABLE`: the vendor must not be told.
    pub async fn mint(&self, center: &str, subscription: Option<&str>, vendor: &Url) -> Result<Address> {
        let Shared { base, facts, .. } = &*self.0;
        if is_loopback(base) && !is_loopback(vendor) {
            return Err(Error::new(
                ErrorReason::CenterMisconfigured,
                "the vendor could not post to the gateway: events.callback_base_url is this machine's own loopback \
                 address; whoever runs the gateway must set it to one that the vendor reaches. Nothing was sent",
            ));
        }
        let key = self.0.key().await?;
        facts.sweep(center).await?;
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("the system provides no randomness"))?;
        let nonce = Nonce(BASE64.encode(bytes));
        facts.put(center, &nonce, Status::Pending, subscription).await?;
        let mac = BASE64.encode(hmac::sign(key, &signed_text(center, &nonce.0)));
        let base = base.as_str().trim_end_matches('/');
        Ok(Address { uri: format!("{base}/callbacks/{center}/{}.{mac}", nonce.0), nonce })
    }

    /// The vendor posts the events of this subscription there.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: it is taken, but not known to be the subscription's.
    pub async fn adopt(&self, center: &str, nonce: &Nonce, subscription: &str) -> Result<()> {
        match self.0.facts.get(center, nonce).await? {
            Some(fact) if fact.status == Status::Adopted && fact.is_of(subscription) => Ok(()),
            _ => self.0.facts.put(center, nonce, Status::Adopted, Some(subscription)).await,
        }
    }

    /// The vendor refused it: nobody posts there.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn discard(&self, center: &str, nonce: &Nonce) -> Result<()> {
        self.0.facts.remove(center, nonce).await
    }

    /// The addresses that the next change of a subscription makes useless. Ask before the vendor is: what is adopted
    /// after that may come from another gateway, whose change the vendor may take last. For the same reason one that is
    /// pending counts only when it is older than [`GRACE`].
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn of(&self, center: &str, subscription: &str) -> Result<Vec<Nonce>> {
        let mut facts = self.0.facts.of(center, subscription).await?;
        facts.retain(|(_, fact)| match fact.status {
            Status::Adopted => true,
            Status::Pending => self.0.facts.is_older(fact, GRACE),
            Status::Retired => false,
        });
        Ok(facts.into_iter().map(|(nonce, _)| nonce).collect())
    }

    /// The vendor posts to these no longer. They are taken for [`GRACE`] from now.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: some are taken until they are retired again.
    pub async fn retire(&self, center: &str, nonces: &[Nonce]) -> Result<()> {
        for nonce in nonces {
            if let Some(fact) = self.0.facts.get(center, nonce).await?
                && fact.status != Status::Retired
            {
                self.0.facts.put(center, nonce, Status::Retired, fact.subscription.as_deref()).await?;
            }
        }
        Ok(())
    }

    /// The subscription is gone: all its addresses are retired.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`, as for [`Addresses::retire`].
    pub async fn retire_all(&self, center: &str, subscription: &str) -> Result<()> {
        let facts = self.0.facts.of(center, subscription).await?;
        let nonces: Vec<Nonce> = facts.into_iter().map(|(nonce, _)| nonce).collect();
        self.retire(center, &nonces).await
    }

    /// Whether what is posted to `/callbacks/{center}/{segment}` is taken. Nothing tells why it is not.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: nobody knows.
    pub async fn verify(&self, center: &str, segment: &str) -> Result<bool> {
        match self.0.authentic(center, segment).await? {
            Some(nonce) => self.0.facts.is_taken(center, nonce).await,
            None => Ok(false),
        }
    }

    /// Whether an address that a vendor holds is one of this center's at this gateway, whatever host stands before it.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: nobody knows, so it must not be shown.
    pub async fn recognize(&self, center: &str, callback_uri: &str) -> Result<Option<Nonce>> {
        let path = callback_uri.split(['?', '#']).next().unwrap_or_default();
        let segment = path.rsplit('/').next().unwrap_or_default();
        let nonce = self.0.authentic(center, segment).await?;
        Ok(nonce.map(|nonce| Nonce(nonce.to_owned())))
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Addresses")
    }
}

// === impl Shared ===

impl Shared {
    async fn key(&self) -> Result<&hmac::Key> {
        let read = async || {
            let bytes = match &self.configured {
                Some(key) => key.expose_secret().as_bytes().to_vec(),
                None => self.made_key().await?,
            };
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        };
        self.key.get_or_try_init(read).await
    }

    /// The key that was made by whoever needed one first.
    async fn made_key(&self) -> Result<Vec<u8>> {
        let key = match self.facts.state.get(KEY).await? {
            Some(key) => key,
            None => {
                let mut fresh = [0; KEY_BYTES];
                SystemRandom::new()
                    .fill(&mut fresh)
                    .map_err(|_| Error::internal("the system provides no randomness"))?;
                self.facts.state.create(KEY, fresh.to_vec()).await?
            }
        };
        if key.len() == KEY_BYTES { Ok(key) } else { Err(records::unreadable()) }
    }

    /// The nonce in an address's last segment, if the mac beside it is right. Asks the store for nothing but the key.
    async fn authentic<'a>(&self, center: &str, segment: &'a str) -> Result<Option<&'a str>> {
        let Some((nonce, mac)) = parts(segment) else { return Ok(None) };
        let is_right = hmac::verify(self.key().await?, &signed_text(center, nonce), &mac).is_ok();
        Ok(is_right.then_some(nonce))
    }
}

// === impl Address ===

impl Address {
    /// The whole address, and its nonce.
    pub fn into_parts(self) -> (String, Nonce) {
        (self.uri, self.nonce)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

// === impl Nonce ===

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// Nonce and mac of an address's last segment, if it has the form of one.
fn parts(segment: &str) -> Option<(&str, [u8; 32])> {
    // The length first: whoever sends something long gets nothing done for it.
    let (nonce, mac) = (segment.len() == SEGMENT_TEXT).then(|| segment.split_once('.')).flatten()?;
    let mut bytes = [0; NONCE_BYTES];
    let is_nonce = nonce.len() == NONCE_TEXT && BASE64.decode_slice(nonce, &mut bytes) == Ok(NONCE_BYTES);
    let mac: [u8; 32] = BASE64.decode(mac).ok()?.try_into().ok()?;
    is_nonce.then_some((nonce, mac))
}

/// What a mac is made of: texts with their lengths, so that no two lists of texts are one, and for what.
fn signed_text(center: &str, nonce: &str) -> Vec<u8> {
    let texts = ["callback address", center, nonce];
    texts.iter().flat_map(|text| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()).collect()
}

/// Whether an address leads to the machine that it is used on.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}
