//! Calls with a `request_id`, in a bucket that all gateways share.
//!
//! An entry names the gateway that runs the call. While another gateway may still run it, a second call waits; after
//! that its outcome is unknown.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message as _;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::{sleep, timeout};

use super::{
    Cause, JetStream,
    bucket::{Bucket, Entry},
    connection::Failure,
    hex,
};
use crate::{
    error::Result,
    store::idempotency::{CallState, Hash, IdempotencyStore},
};

/// The bucket's name.
pub(super) const BUCKET: &str = "switchboard_request_ids";

/// The entry of the key in the bucket `switchboard_state`.
const KEY: &str = "request_id.key";

/// After this time no gateway runs a call any more: it runs for at most a minute, and then its completion is recorded.
const MAX_RUN: Duration = Duration::from_secs(90);
/// How long to retry the record of a completion. Servers restart, or elect a leader, in less.
const RECORD_TIMEOUT: Duration = Duration::from_secs(25);
const PAUSE: Duration = Duration::from_millis(100);

/// Most attempts to record a call while others record it, too.
const MAX_ATTEMPTS: usize = 8;
/// Most calls in [`Calls::unconfirmed`], and in [`Calls::running`].
const MAX_UNCONFIRMED: usize = 10_000;
const MAX_RUNNING: usize = 10_000;

/// The calls of all gateways, and this gateway's ID.
#[derive(Debug)]
pub(super) struct Calls {
    bucket: Bucket,
    gateway: [u8; 16],
    /// Calls that may have been recorded and did not run: JetStream's reply did not arrive.
    unconfirmed: Mutex<HashSet<Hash>>,
    /// The entries of the calls that this gateway runs, in case that the bucket is lost.
    running: Mutex<HashMap<Hash, Call>>,
    /// The bucket of [`KEY`].
    state: Bucket,
    /// The key that this gateway hashes with.
    key: OnceLock<Hash>,
    /// The bucket has another key: it was lost, and a gateway that started then generated one. Two gateways with
    /// different keys would run a call twice, so this one begins none.
    is_key_replaced: AtomicBool,
}

/// The value of an entry.
#[derive(Clone, PartialEq, prost::Message)]
struct Call {
    /// Keyed hash of the request.
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
    /// When it began, in seconds since 1970.
    #[prost(uint64, tag = "2")]
    began: u64,
    /// ID of the gateway that runs it.
    #[prost(bytes = "vec", tag = "3")]
    gateway: Vec<u8>,
    /// Its sealed response, once it has completed.
    #[prost(bytes = "vec", optional, tag = "4")]
    sealed: Option<Vec<u8>>,
}

// === impl Calls ===

impl Calls {
    pub(super) fn new(bucket: Bucket, state: Bucket) -> Result<Self, Cause> {
        let mut gateway = [0; 16];
        SystemRandom::new().fill(&mut gateway).map_err(|_| Cause::NoRandomness)?;
        Ok(Self {
            bucket,
            gateway,
            unconfirmed: Mutex::default(),
            running: Mutex::default(),
            state,
            key: OnceLock::new(),
            is_key_replaced: AtomicBool::new(false),
        })
    }

    /// The key of the store; generated if there is none.
    async fn key(&self) -> Result<Hash, Failure> {
        let mut fresh = Hash::default();
        SystemRandom::new().fill(&mut fresh).map_err(|_| Failure::Malformed)?;
        let key = self.create_key(&fresh).await?;
        Ok(*self.key.get_or_init(|| key))
    }

    /// Writes the key back to a bucket that was lost. Returns whether this gateway's key is that of the store.
    pub(super) async fn confirm_key(&self) -> Result<bool, Failure> {
        let Some(key) = self.key.get() else { return Ok(true) };
        let is_same = self.create_key(key).await? == *key;
        self.is_key_replaced.store(!is_same, Ordering::Release);
        Ok(is_same)
    }

    /// Creates the entry of the key. Returns the existing key if there is one.
    async fn create_key(&self, key: &Hash) -> Result<Hash, Failure> {
        match self.state.create(KEY, Bytes::copy_from_slice(key)).await? {
            None => Ok(*key),
            Some(existing) => Hash::try_from(existing.value.as_ref()).map_err(|_| Failure::Malformed),
        }
    }

    async fn begin(&self, call: Hash, content: Hash, now: u64, expired: u64) -> Result<CallState, Failure> {
        if self.is_key_replaced.load(Ordering::Acquire) {
            return Err(Failure::Gone);
        }
        let was_unconfirmed = self.unconfirmed().remove(&call);
        let state = self.record(call, content, now, expired, was_unconfirmed).await;
        if state == Err(Failure::Timeout) || (was_unconfirmed && state.is_err()) {
            let mut unconfirmed = self.unconfirmed();
            if unconfirmed.len() < MAX_UNCONFIRMED {
                unconfirmed.insert(call);
            }
        }
        state
    }

    async fn record(
        &self,
        call: Hash,
        content: Hash,
        now: u64,
        expired: u64,
        unconfirmed: bool,
    ) -> Result<CallState, Failure> {
        let key = hex(&call);
        let new = Call { content: content.to_vec(), began: now, gateway: self.gateway.to_vec(), sealed: None };
        let value = Bytes::from(new.encode_to_vec());
        for _ in 0..MAX_ATTEMPTS {
            let Some(entry) = self.bucket.create(&key, value.clone()).await? else {
                self.remember(call, new);
                return Ok(CallState::New);
            };
            let recorded = decode(&entry)?;
            // This gateway does not run the call now: the caller holds its in-flight guard.
            let is_ours = recorded.gateway == self.gateway;
            if recorded.began < expired || (unconfirmed && is_ours && recorded.sealed.is_none()) {
                if self.bucket.update(&key, value.clone(), entry.revision).await? {
                    self.remember(call, new);
                    return Ok(CallState::New);
                }
                continue;
            }
            let may_run = !is_ours && now.saturating_sub(recorded.began) < MAX_RUN.as_secs();
            return Ok(match recorded.sealed {
                _ if recorded.content != content => CallState::ContentMismatch,
                Some(sealed) => CallState::Completed(sealed),
                None if may_run => CallState::Running,
                None => CallState::Interrupted,
            });
        }
        Err(Failure::Contended)
    }

    /// Records the completion of a call that this gateway began: its sealed response, or `None` to discard it.
    async fn complete(&self, call: Hash, sealed: Option<Vec<u8>>) -> Result<(), Failure> {
        let key = hex(&call);
        let begun = self.running().remove(&call);
        let mut last = Failure::Timeout;
        let recording = async {
            loop {
                match self.try_to_complete(&key, begun.as_ref(), sealed.as_deref()).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => last = Failure::Contended,
                    Err(failure @ (Failure::Gone | Failure::TooLarge | Failure::Malformed)) => return Err(failure),
                    Err(failure) => last = failure,
                }
                sleep(PAUSE).await;
            }
        };
        let recorded = timeout(RECORD_TIMEOUT, recording).await;
        recorded.unwrap_or(Err(last))
    }

    /// Reads the entry and updates it at its revision: an earlier attempt without a reply may have been carried out,
    /// and another call may have begun since. `false` when the entry changed in between, or is missing: a new leader
    /// may not have applied every write yet. A bucket that was lost has no entry: the call's own is created, unless
    /// another gateway began the call again.
    async fn try_to_complete(&self, key: &str, begun: Option<&Call>, sealed: Option<&[u8]>) -> Result<bool, Failure> {
        let Some(entry) = self.bucket.get(key).await? else {
            let (Some(sealed), Some(begun)) = (sealed, begun) else { return Ok(sealed.is_none()) };
            let completed = Call { sealed: Some(sealed.to_vec()), ..begun.clone() };
            return Ok(self.bucket.create(key, completed.encode_to_vec().into()).await?.is_none());
        };
        let recorded = decode(&entry)?;
        match sealed {
            None if recorded.gateway != self.gateway => Ok(true),
            Some(_) if recorded.gateway != self.gateway => Err(Failure::Gone),
            _ if recorded.sealed.is_some() => Ok(true),
            None => self.bucket.remove_at(key, entry.revision).await,
            Some(sealed) => {
                let completed = Call { sealed: Some(sealed.to_vec()), ..recorded };
                self.bucket.update(key, completed.encode_to_vec().into(), entry.revision).await
            }
        }
    }

    /// Remembers a call that this gateway runs. One that panicked never completes, and is forgotten when there are
    /// many.
    fn remember(&self, call: Hash, entry: Call) {
        let mut running = self.running();
        if running.len() >= MAX_RUNNING {
            running.retain(|_, other| entry.began.saturating_sub(other.began) < MAX_RUN.as_secs());
        }
        if running.len() < MAX_RUNNING {
            running.insert(call, entry);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Hash, Call>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unconfirmed(&self) -> MutexGuard<'_, HashSet<Hash>> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl JetStream ===

#[async_trait]
impl IdempotencyStore for JetStream {
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<CallState> {
        Ok(self.0.calls.begin(call, content, seconds(now), seconds(expired)).await?)
    }

    async fn complete(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        Ok(self.0.calls.complete(call, Some(sealed)).await?)
    }

    async fn discard(&self, call: Hash) -> Result<()> {
        Ok(self.0.calls.complete(call, None).await?)
    }

    async fn key(&self) -> Result<Hash> {
        Ok(self.0.calls.key().await?)
    }
}

fn decode(entry: &Entry) -> Result<Call, Failure> {
    Call::decode(entry.value.clone()).map_err(|_| Failure::Malformed)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
