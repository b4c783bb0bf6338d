//! Calls that can be repeated, in a bucket that all gateways share.
//!
//! An entry says who runs the call. While it may still run elsewhere, a repeat waits for it; once it cannot run any more,
//! nobody knows what became of it.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
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
    hex,
    link::Failure,
};
use crate::{
    error::{Error, Result},
    store::idempotency::{CallState, Hash, IdempotencyStore},
};

/// The bucket's name.
pub(super) const BUCKET: &str = "switchboard_request_ids";

/// Where the key is, among the facts.
const KEY: &str = "request_id.key";

/// A call is over after this time, whoever runs it: it runs for a minute at most, and then its end is noted.
const LONGEST_RUN: Duration = Duration::from_secs(90);
/// How long it is tried to note a call's end. Servers start again, or elect one that leads, in less.
const NOTING: Duration = Duration::from_secs(25);
const PAUSE: Duration = Duration::from_millis(100);

/// How often a call is noted anew while others note it, too.
const TRIES: usize = 8;
/// Most calls of which it is not known whether they were noted.
const MOST_UNSURE: usize = 10_000;

/// The calls of all gateways, and which gateway this is.
#[derive(Debug)]
pub(super) struct Calls {
    bucket: Bucket,
    gateway: [u8; 16],
    /// Calls that may have been noted and did not run: no answer came.
    unsure: Mutex<HashSet<Hash>>,
}

/// What is kept of a call.
#[derive(Clone, PartialEq, prost::Message)]
struct Call {
    /// Keyed hash of what was asked for.
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
    /// When it began, in seconds since 1970.
    #[prost(uint64, tag = "2")]
    began: u64,
    /// Which gateway runs it.
    #[prost(bytes = "vec", tag = "3")]
    gateway: Vec<u8>,
    /// Its sealed answer, once it has ended.
    #[prost(bytes = "vec", optional, tag = "4")]
    sealed: Option<Vec<u8>>,
}

// === impl Calls ===

impl Calls {
    pub(super) fn new(bucket: Bucket) -> Result<Self, Cause> {
        let mut gateway = [0; 16];
        SystemRandom::new().fill(&mut gateway).map_err(|_| Cause::NoRandomness)?;
        Ok(Self { bucket, gateway, unsure: Mutex::default() })
    }

    async fn begin(&self, call: Hash, content: Hash, now: u64, expired: u64) -> Result<CallState, Failure> {
        let was_unsure = self.unsure().remove(&call);
        let begun = self.note(call, content, now, expired, was_unsure).await;
        if begun == Err(Failure::Silent) || (was_unsure && begun.is_err()) {
            let mut unsure = self.unsure();
            if unsure.len() < MOST_UNSURE {
                unsure.insert(call);
            }
        }
        begun
    }

    async fn note(
        &self,
        call: Hash,
        content: Hash,
        now: u64,
        expired: u64,
        unsure: bool,
    ) -> Result<CallState, Failure> {
        let key = hex(&call);
        let fresh = Call { content: content.to_vec(), began: now, gateway: self.gateway.to_vec(), sealed: None };
        let value = Bytes::from(fresh.encode_to_vec());
        for _ in 0..TRIES {
            let Some(entry) = self.bucket.create(&key, value.clone()).await? else {
                return Ok(CallState::New);
            };
            let known = opened(&entry)?;
            // Nothing of this call is under way here.
            let is_ours = known.gateway == self.gateway;
            if known.began < expired || (unsure && is_ours && known.sealed.is_none()) {
                if self.bucket.update(&key, value.clone(), entry.revision).await? {
                    return Ok(CallState::New);
                }
                continue;
            }
            let may_run = !is_ours && now.saturating_sub(known.began) < LONGEST_RUN.as_secs();
            return Ok(match known.sealed {
                _ if known.content != content => CallState::ContentMismatch,
                Some(sealed) => CallState::Completed(sealed),
                None if may_run => CallState::Running,
                None => CallState::Interrupted,
            });
        }
        Err(Failure::Contended)
    }

    /// Notes the end of a call that this gateway began: its sealed answer, or that it did nothing.
    async fn end(&self, call: Hash, sealed: Option<Vec<u8>>) -> Result<(), Failure> {
        let key = hex(&call);
        let mut last = Failure::Silent;
        let noting = async {
            loop {
                match self.try_to_end(&key, sealed.as_deref()).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => last = Failure::Contended,
                    Err(failure @ (Failure::Gone | Failure::TooLarge | Failure::Unreadable)) => return Err(failure),
                    Err(failure) => last = failure,
                }
                sleep(PAUSE).await;
            }
        };
        let noted = timeout(NOTING, noting).await;
        noted.unwrap_or(Err(last))
    }

    /// An earlier try may have been carried out without an answer, and even another call may have begun since: what is
    /// there is looked at first, and only that is changed. `false` when it changed in between, or when it is not there: who
    /// leads since a moment may not know all yet.
    async fn try_to_end(&self, key: &str, sealed: Option<&[u8]>) -> Result<bool, Failure> {
        let Some(entry) = self.bucket.get(key).await? else {
            return Ok(sealed.is_none());
        };
        let known = opened(&entry)?;
        match sealed {
            None if known.gateway != self.gateway => Ok(true),
            Some(_) if known.gateway != self.gateway => Err(Failure::Gone),
            _ if known.sealed.is_some() => Ok(true),
            None => self.bucket.remove_at(key, entry.revision).await,
            Some(sealed) => {
                let ended = Call { sealed: Some(sealed.to_vec()), ..known };
                self.bucket.update(key, ended.encode_to_vec().into(), entry.revision).await
            }
        }
    }

    fn unsure(&self) -> MutexGuard<'_, HashSet<Hash>> {
        self.unsure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl JetStream ===

#[async_trait]
impl IdempotencyStore for JetStream {
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<CallState> {
        Ok(self.0.calls.begin(call, content, seconds(now), seconds(expired)).await?)
    }

    async fn complete(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        Ok(self.0.calls.end(call, Some(sealed)).await?)
    }

    async fn discard(&self, call: Hash) -> Result<()> {
        Ok(self.0.calls.end(call, None).await?)
    }

    async fn key(&self) -> Result<Hash> {
        let mut fresh = Hash::default();
        SystemRandom::new().fill(&mut fresh).map_err(|_| Error::internal("the system provides no randomness"))?;
        let kept = self.0.state.create(KEY, Bytes::copy_from_slice(&fresh)).await?;
        let Some(kept) = kept else { return Ok(fresh) };
        Hash::try_from(kept.value.as_ref()).map_err(|_| Failure::Unreadable.into())
    }
}

fn opened(entry: &Entry) -> Result<Call, Failure> {
    Call::decode(entry.value.clone()).map_err(|_| Failure::Unreadable)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
