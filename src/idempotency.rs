//! Idempotency by `request_id`: a call runs at most once per ID.
//!
//! The call is recorded on disk before the first byte goes to a vendor, and its response when it completes. A second
//! call with the same ID and content gets a replay of that response; nothing is sent. While the first call runs, the
//! second one waits. The same ID with other content is rejected. A definite error had no effect, so it is not stored
//! and the call may run again. If the gateway ended between the two records, the outcome is unknown, and the second
//! call fails with `VENDOR_OUTCOME_UNKNOWN`.
//!
//! The file alone reveals nothing: it contains only keyed hashes of the ID and the content. The response may contain a
//! password, so it is sealed with a key that is derived from the ID.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prost::Message;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use tokio::{
    sync::{OnceCell, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    context::Context,
    detached,
    error::{Error, ErrorReason, Result},
    store::idempotency::{CallState, Hash, IdempotencyStore, RETENTION},
};

/// Backoff between two checks whether another gateway still runs a call.
const MIN_BACKOFF: Duration = Duration::from_millis(20);
const MAX_BACKOFF: Duration = Duration::from_millis(250);

/// Runs calls at most once per `request_id`. Cheap to clone: clones share their state.
#[derive(Debug, Clone)]
pub struct Idempotency(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn IdempotencyStore>,
    clock: Clock,
    /// The store's key, read once.
    key: OnceCell<hmac::Key>,
    /// The calls that this gateway runs.
    in_flight: Mutex<HashMap<Hash, InFlight>>,
    /// Where calls run, so that a drain waits for them.
    tasks: TaskTracker,
}

#[derive(Debug, Clone)]
struct InFlight {
    content: Hash,
    completed: watch::Receiver<()>,
}

/// Marks a call as in flight until it is dropped.
struct InFlightGuard {
    shared: Arc<Shared>,
    call: Hash,
    _completed: watch::Sender<()>,
}

/// The result of a call, and the task that records it, if the call ran.
struct Completed<A> {
    result: Result<A>,
    recording: Option<JoinHandle<()>>,
}

/// The scope of an ID: one caller, center and method.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The caller; empty while the gateway does not identify callers.
    pub caller: &'a str,
    /// ID of the center.
    pub center: &'a str,
    /// Name of the method.
    pub method: &'a str,
}

// === impl Idempotency ===

impl Idempotency {
    /// Records calls in this store and runs them in `tasks`.
    pub fn new(store: Arc<dyn IdempotencyStore>, clock: Clock, tasks: TaskTracker) -> Self {
        Self(Arc::new(Shared { store, clock, key: OnceCell::new(), in_flight: Mutex::default(), tasks }))
    }

    /// Runs a call unless it ran with this ID before; then replays its response. `content` is the request without the
    /// ID.
    ///
    /// # Errors
    /// The call's error; `REQUEST_ID_REUSED` for the ID of a call with other content; `STORAGE_UNAVAILABLE` when the
    /// call could not be recorded, and then nothing is sent; `VENDOR_OUTCOME_UNKNOWN` for a call whose completion was
    /// never recorded.
    pub async fn run<A, F>(
        &self,
        cx: &Context,
        scope: Scope<'_>,
        request_id: &str,
        content: &impl Message,
        method: impl FnOnce(Context) -> F,
    ) -> Result<A>
    where
        A: Message + Default + 'static,
        F: Future<Output = Result<A>> + Send + 'static,
    {
        let key = timeout_at(cx.deadline(), self.0.key()).await.map_err(|_| detached::deadline_before_send(cx))??;
        let call = hash(key, &["call", scope.caller, scope.center, scope.method, request_id], &[]);
        let content = hash(key, &["content"], &content.encode_to_vec());
        let sealing_key = hash(key, &["seal", request_id], &[]);

        let guard = self.acquire(cx, call, content).await?;
        let Completed { result, recording } =
            detached::run(&self.0.tasks, cx, |cx| guard.run(cx.clone(), content, sealing_key, method(cx))).await?;
        // At the deadline the result is returned, recorded or not.
        if let Some(recording) = recording {
            let _ = timeout_at(cx.deadline(), recording).await;
        }
        result
    }

    /// Waits until this gateway does not run the call.
    async fn acquire(&self, cx: &Context, call: Hash, content: Hash) -> Result<InFlightGuard> {
        loop {
            let mut other = match self.0.try_acquire(call, content) {
                Ok(guard) => return Ok(guard),
                Err(other) => other,
            };
            if other.content != content {
                return Err(request_id_reused());
            }
            // `changed` fails when the guard is dropped: the call is complete.
            if timeout_at(cx.deadline(), other.completed.changed()).await.is_err() {
                return Err(still_running());
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    async fn key(&self) -> Result<&hmac::Key> {
        let read = async || self.store.key().await.map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key));
        self.key.get_or_try_init(read).await
    }

    fn try_acquire(self: &Arc<Self>, call: Hash, content: Hash) -> Result<InFlightGuard, InFlight> {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = in_flight.get(&call) {
            return Err(other.clone());
        }
        let (sender, completed) = watch::channel(());
        in_flight.insert(call, InFlight { content, completed });
        Ok(InFlightGuard { shared: self.clone(), call, _completed: sender })
    }
}

// === impl InFlightGuard ===

impl InFlightGuard {
    async fn run<A: Message + Default>(
        self,
        cx: Context,
        content: Hash,
        sealing_key: Hash,
        call: impl Future<Output = Result<A>>,
    ) -> Result<Completed<A>> {
        let replay = match self.begin(&cx, content).await? {
            CallState::New => None,
            CallState::Completed(sealed) => Some(open(&sealing_key, sealed)),
            CallState::Running => Some(Err(still_running())),
            CallState::Interrupted => Some(Err(outcome_unknown("the gateway ended while the first call ran"))),
            CallState::ContentMismatch => Some(Err(request_id_reused())),
        };
        if let Some(result) = replay {
            return Ok(Completed { result, recording: None });
        }
        let result = call.await;
        let outcome = match &result {
            Ok(response) => Some(seal(&sealing_key, 0, &response.encode_to_vec())),
            Err(error) if may_have_had_an_effect(error) => {
                let status = error.clone().for_replay().into_status(&cx);
                Some(seal(&sealing_key, 1, status.details()))
            }
            Err(_) => None,
        };
        // The task holds the guard, so a second call at this gateway begins after the record.
        let tasks = self.shared.tasks.clone();
        let recording = Some(tasks.spawn(self.record(cx, outcome)));
        Ok(Completed { result, recording })
    }

    /// Stores the sealed outcome, or discards a call that had no effect.
    async fn record(self, cx: Context, outcome: Option<Result<Vec<u8>>>) {
        let store = &self.shared.store;
        let recorded = match outcome {
            Some(Ok(sealed)) => store.complete(self.call, sealed).await,
            Some(Err(error)) => Err(error),
            None => store.discard(self.call).await,
        };
        if recorded.is_err() {
            // This call returns its own outcome; a second one fails with an unknown outcome.
            tracing::error!(method = cx.method(), trace_id = cx.trace_id(), "the outcome of a call was not stored");
        }
    }

    /// Records the call. While another gateway runs it, checks again until shortly before the caller's deadline.
    async fn begin(&self, cx: &Context, content: Hash) -> Result<CallState> {
        let mut backoff = MIN_BACKOFF;
        loop {
            let now = self.shared.clock.now();
            let state = self.shared.store.begin(self.call, content, now, now - RETENTION).await?;
            if state != CallState::Running || Instant::now() + backoff >= cx.deadline() {
                return Ok(state);
            }
            sleep(backoff).await;
            backoff = MAX_BACKOFF.min(backoff * 2);
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.call);
    }
}

/// Whether the failed call may have had an effect, so that it must not run again.
fn may_have_had_an_effect(error: &Error) -> bool {
    matches!(
        error.reason(),
        ErrorReason::VendorOutcomeUnknown | ErrorReason::VendorCodeUnmapped | ErrorReason::PartiallyApplied
    )
}

fn request_id_reused() -> Error {
    Error::new(
        ErrorReason::RequestIdReused,
        "this request_id was used with another request within 24 hours; use a new UUID",
    )
}

fn still_running() -> Error {
    outcome_unknown("an earlier call with this request_id is still running").past_deadline()
}

fn outcome_unknown(cause: &'static str) -> Error {
    Error::new(
        ErrorReason::VendorOutcomeUnknown,
        "the request may have been sent but its outcome is unknown; check before you retry with a new request_id",
    )
    .with("cause", cause)
}

/// A keyed hash. It includes the length of each text, so that different lists of texts have different hashes.
fn hash(key: &hmac::Key, texts: &[&str], bytes: &[u8]) -> Hash {
    let mut context = hmac::Context::with_key(key);
    for text in texts {
        context.update(&(text.len() as u64).to_le_bytes());
        context.update(text.as_bytes());
    }
    context.update(bytes);
    let mut hash = Hash::default();
    hash.copy_from_slice(context.sign().as_ref());
    hash
}

/// Encrypts the kind and the bytes of a response: nonce, then ciphertext.
fn seal(key: &Hash, kind: u8, response: &[u8]) -> Result<Vec<u8>> {
    let failed = |_| Error::internal("a response could not be sealed");
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(failed)?;
    let mut text = Vec::with_capacity(1 + response.len() + AES_256_GCM.tag_len());
    text.push(kind);
    text.extend_from_slice(response);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(failed)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text).map_err(failed)?;
    Ok([nonce.as_slice(), &text].concat())
}

/// Decrypts what [`seal`] encrypted.
fn open<A: Message + Default>(key: &Hash, sealed: Vec<u8>) -> Result<A> {
    let unreadable = || outcome_unknown("the stored response is unreadable");
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(unreadable)?;
    let mut text = text.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| unreadable())?);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    match key.open_in_place(nonce, Aad::empty(), &mut text).map_err(|_| unreadable())? {
        [0, response @ ..] => A::decode(&*response).map_err(|_| unreadable()),
        [1, status @ ..] => Err(Error::from_replay(status.to_vec()).ok_or_else(unreadable)?),
        _ => Err(unreadable()),
    }
}
