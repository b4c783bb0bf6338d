//! Callback addresses: the URLs to which vendors send events.
//!
//! Vendors do not sign callbacks, so the address itself is the secret:
//! `{callback_base_url}/callbacks/{center}/{nonce}.{mac}`. The MAC proves that a gateway with the key minted the
//! address. The nonce makes an address revocable: its record is stored before the vendor receives the address. All
//! gateways with the same key and store accept the same addresses.
//!
//! A retired address is accepted for [`GRACE`] longer, because vendors deliver earlier events for a while.

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
use url::Url;

use self::records::{AddressRecords, Status};
use crate::{
    clock::Clock,
    config::{self, is_loopback},
    error::{Error, ErrorReason, Result},
    store::kv::KeyValueStore,
};

/// How long a retired address is accepted.
pub const GRACE: Duration = Duration::from_mins(10);
/// Store key of the MAC key that a gateway generates when none is configured.
const KEY_NAME: &str = "secret.callback";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 16;
/// Length of a segment: 22 characters of base64, a dot, 43 characters.
const SEGMENT_LENGTH: usize = 22 + 1 + 43;

/// The addresses that this gateway mints and verifies. Cheap to clone.
#[derive(Clone)]
pub struct Addresses(Arc<Shared>);

struct Shared {
    /// Ends with `/`.
    base: Url,
    configured_key: Option<SecretString>,
    key: OnceCell<hmac::Key>,
    records: AddressRecords,
}

/// A minted address. Only the vendor may receive it.
pub struct Address {
    uri: String,
    nonce: Nonce,
}

/// The unique part of an address within its center.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

// === impl Addresses ===

impl Addresses {
    /// Addresses below the configured base URL, with their records in this store. Without a configured key, a gateway
    /// generates one and stores it, too.
    pub fn new(events: &config::Events, store: Arc<dyn KeyValueStore>, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            base: events.callback_base_url.clone(),
            configured_key: events.callback_key.clone(),
            key: OnceCell::new(),
            records: AddressRecords::new(store, clock),
        }))
    }

    /// Mints a pending address. `subscription` is `None` until the vendor assigns an ID. The address is accepted
    /// immediately, so that callbacks before the vendor's response are not lost. `vendor` is the vendor's base URL.
    ///
    /// # Errors
    /// `CENTER_MISCONFIGURED` when the vendor cannot reach the address; `STORAGE_UNAVAILABLE`: do not send the address.
    pub async fn mint(&self, center: &str, subscription: Option<&str>, vendor: &Url) -> Result<Address> {
        let Shared { base, records, .. } = &*self.0;
        if is_loopback(base) && !is_loopback(vendor) {
            return Err(Error::new(
                ErrorReason::CenterMisconfigured,
                "the vendor cannot send callbacks to the gateway: events.callback_base_url is a loopback address; the \
                 operator must set it to an address that the vendor reaches. Nothing was sent",
            ));
        }
        let key = self.0.key().await?;
        records.remove_expired(center).await?;
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("the system provides no randomness"))?;
        let nonce = Nonce(BASE64.encode(bytes));
        records.put(center, &nonce, Status::Pending, subscription).await?;
        let mac = BASE64.encode(hmac::sign(key, &mac_input(center, &nonce.0)));
        let base = base.as_str().trim_end_matches('/');
        Ok(Address { uri: format!("{base}/callbacks/{center}/{}.{mac}", nonce.0), nonce })
    }

    /// Records that the vendor sends this subscription's events to the address.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: the address is accepted, but not recorded as the subscription's.
    pub async fn adopt(&self, center: &str, nonce: &Nonce, subscription: &str) -> Result<()> {
        match self.0.records.get(center, nonce).await? {
            Some(record) if record.status == Status::Adopted && record.belongs_to(subscription) => Ok(()),
            _ => self.0.records.put(center, nonce, Status::Adopted, Some(subscription)).await,
        }
    }

    /// Removes an address that the vendor refused.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn discard(&self, center: &str, nonce: &Nonce) -> Result<()> {
        self.0.records.remove(center, nonce).await
    }

    /// The addresses that the next change of a subscription replaces. Call it before the request to the vendor: another
    /// gateway may adopt an address later, and the vendor may apply that gateway's change last. For the same reason a
    /// pending address is included only when it is older than [`GRACE`].
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn replaceable(&self, center: &str, subscription: &str) -> Result<Vec<Nonce>> {
        let mut records = self.0.records.of_subscription(center, subscription).await?;
        records.retain(|(_, record)| match record.status {
            Status::Adopted => true,
            Status::Pending => self.0.records.is_older(record, GRACE),
            Status::Retired => false,
        });
        Ok(records.into_iter().map(|(nonce, _)| nonce).collect())
    }

    /// Retires addresses: they are accepted for [`GRACE`] from now on, and rejected afterwards. Retiring an address
    /// again does not prolong that.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: some addresses stay accepted until they are retired again.
    pub async fn retire(&self, center: &str, nonces: &[Nonce]) -> Result<()> {
        for nonce in nonces {
            if let Some(record) = self.0.records.get(center, nonce).await?
                && record.status != Status::Retired
            {
                self.0.records.put(center, nonce, Status::Retired, record.subscription.as_deref()).await?;
            }
        }
        Ok(())
    }

    /// Retires all addresses of a deleted subscription.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`, as for [`Addresses::retire`].
    pub async fn retire_all(&self, center: &str, subscription: &str) -> Result<()> {
        let records = self.0.records.of_subscription(center, subscription).await?;
        let nonces: Vec<Nonce> = records.into_iter().map(|(nonce, _)| nonce).collect();
        self.retire(center, &nonces).await
    }

    /// Whether callbacks to `/callbacks/{center}/{segment}` are accepted. All reasons for `false` look alike.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: unknown.
    pub async fn verify(&self, center: &str, segment: &str) -> Result<bool> {
        match self.0.verified_nonce(center, segment).await? {
            Some(nonce) => self.0.records.is_accepted(center, nonce).await,
            None => Ok(false),
        }
    }

    /// The nonce of a vendor's callback URI when a gateway with this key minted it for this center. The host does not
    /// count.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`: unknown, so do not show the URI.
    pub async fn recognize(&self, center: &str, callback_uri: &str) -> Result<Option<Nonce>> {
        let path = callback_uri.split(['?', '#']).next().unwrap_or_default();
        let segment = path.rsplit('/').next().unwrap_or_default();
        let nonce = self.0.verified_nonce(center, segment).await?;
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
        let load = async || {
            let bytes = match &self.configured_key {
                Some(key) => key.expose_secret().as_bytes().to_vec(),
                None => self.stored_key().await?,
            };
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        };
        self.key.get_or_try_init(load).await
    }

    /// The key that the first gateway generated.
    async fn stored_key(&self) -> Result<Vec<u8>> {
        let key = match self.records.store.get(KEY_NAME).await? {
            Some(key) => key,
            None => {
                let mut generated = [0; KEY_BYTES];
                SystemRandom::new()
                    .fill(&mut generated)
                    .map_err(|_| Error::internal("the system provides no randomness"))?;
                self.records.store.create(KEY_NAME, generated.to_vec()).await?
            }
        };
        if key.len() == KEY_BYTES { Ok(key) } else { Err(records::unreadable()) }
    }

    /// The nonce of an address's last segment, if its MAC is valid. Reads only the key from the store.
    async fn verified_nonce<'a>(&self, center: &str, segment: &'a str) -> Result<Option<&'a str>> {
        let Some((nonce, mac)) = parse_segment(segment) else { return Ok(None) };
        let is_valid = hmac::verify(self.key().await?, &mac_input(center, nonce), &mac).is_ok();
        Ok(is_valid.then_some(nonce))
    }
}

// === impl Address ===

impl Address {
    /// The address and its nonce.
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

/// Nonce and MAC of an address's last segment, if the segment has their format.
fn parse_segment(segment: &str) -> Option<(&str, [u8; 32])> {
    // The length is compared first, so that a long segment costs no decoding.
    let (nonce, mac) = (segment.len() == SEGMENT_LENGTH).then(|| segment.split_once('.')).flatten()?;
    let mut bytes = [0; NONCE_BYTES];
    let is_nonce = BASE64.decode_slice(nonce, &mut bytes) == Ok(NONCE_BYTES);
    let mac: [u8; 32] = BASE64.decode(mac).ok()?.try_into().ok()?;
    is_nonce.then_some((nonce, mac))
}

/// The input of the MAC: purpose, center and nonce, each with its length, so that different lists never have the same
/// bytes.
fn mac_input(center: &str, nonce: &str) -> Vec<u8> {
    let texts = ["callback address", center, nonce];
    texts.iter().flat_map(|text| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()).collect()
}
