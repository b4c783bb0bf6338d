//! `request_id`: a call that is repeated is made once.
//!
//! Before the first byte goes to a vendor the call is noted on disk; when it ends, its answer is. A repeat with the same
//! content gets that answer and calls nobody; one that comes while the first still runs waits for it; one with other
//! content is refused. A definite refusal did nothing, so it is not kept and a repeat runs again. When the gateway ended
//! between noting and answering, nobody can know what became of the call, and a repeat is told just that.
//!
//! What is kept is not readable from the file alone: only hashes of the ID and the content are stored, and the answer is
//! sealed with a key that is derived from the ID, because it may hold a password.

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
    store::idempotency::{Begun, Hash, IdempotencyStore, KEPT_FOR},
};

/// Pauses before it is looked again whether another gateway still runs a call.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Calls that can be repeated. Cheap to clone: clones know the same calls.
#[derive(Debug, Clone)]
pub struct Idempotency(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn IdempotencyStore>,
    clock: Clock,
    /// The store's key, read once.
    key: OnceCell<hmac::Key>,
    running: Mutex<HashMap<Hash, Running>>,
    /// Calls run here, so that an orderly end waits for them.
    tasks: TaskTracker,
}

#[derive(Debug, Clone)]
struct Running {
    content: Hash,
    ended: watch::Receiver<()>,
}

/// The one run of a call, until it is dropped.
struct RunGuard {
    shared: Arc<Shared>,
    call: Hash,
    _ended: watch::Sender<()>,
}

/// What became of a call, and the task that notes it, if it ran.
struct Ended<A> {
    result: Result<A>,
    noting: Option<JoinHandle<()>>,
}

/// Whose call it is: an ID is good for one caller, center and method.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Who calls; empty while callers are not told apart.
    pub caller: &'a str,
    /// ID of the center.
    pub center: &'a str,
    /// Name of the method.
    pub method: &'a str,
}

// === impl Idempotency ===

impl Idempotency {
    /// Calls kept in this store. `tasks` is where they run.
    pub fn new(store: Arc<dyn IdempotencyStore>, clock: Clock, tasks: TaskTracker) -> Self {
        Self(Arc::new(Shared { store, clock, key: OnceCell::new(), running: Mutex::default(), tasks }))
    }

    /// Runs a call once for all who send it with this ID. `content` is the request without the ID.
    ///
    /// # Errors
    /// What the call fails with; `REQUEST_ID_REUSED` for an ID of another call; `STORAGE_UNAVAILABLE` when the call could
    /// not be noted, and then nothing is sent; `VENDOR_OUTCOME_UNKNOWN` for a call whose end was never noted.
    pub async fn once<A, F>(
        &self,
        cx: &Context,
        scope: Scope<'_>,
        request_id: &str,
        content: &impl Message,
        run: impl FnOnce(Context) -> F,
    ) -> Result<A>
    where
        A: Message + Default + 'static,
        F: Future<Output = Result<A>> + Send + 'static,
    {
        let key = timeout_at(cx.deadline(), self.0.key()).await.map_err(|_| detached::too_late(cx))??;
        let call = hash(key, &["call", scope.caller, scope.center, scope.method, request_id], &[]);
        let content = hash(key, &["content"], &content.encode_to_vec());
        let seal = hash(key, &["seal", request_id], &[]);

        let guard = self.guard(cx, call, content).await?;
        let Ended { result, noting } =
            detached::run(&self.0.tasks, cx, |cx| guard.run(cx.clone(), content, seal, run(cx))).await?;
        // What is known is told in time, noted or not.
        if let Some(noting) = noting {
            let _ = timeout_at(cx.deadline(), noting).await;
        }
        result
    }

    /// Waits until no other run of this call is under way.
    async fn guard(&self, cx: &Context, call: Hash, content: Hash) -> Result<RunGuard> {
        loop {
            let mut running = match self.0.enter(call, content) {
                Ok(guard) => return Ok(guard),
                Err(running) => running,
            };
            if running.content != content {
                return Err(reused());
            }
            // An error means that the run ended.
            if timeout_at(cx.deadline(), running.ended.changed()).await.is_err() {
                return Err(still_runs());
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

    fn enter(self: &Arc<Self>, call: Hash, content: Hash) -> Result<RunGuard, Running> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = running.get(&call) {
            return Err(other.clone());
        }
        let (sender, ended) = watch::channel(());
        running.insert(call, Running { content, ended });
        Ok(RunGuard { shared: self.clone(), call, _ended: sender })
    }
}

// === impl RunGuard ===

impl RunGuard {
    async fn run<A: Message + Default>(
        self,
        cx: Context,
        content: Hash,
        seal: Hash,
        call: impl Future<Output = Result<A>>,
    ) -> Result<Ended<A>> {
        let known = match self.begin(&cx, content).await? {
            Begun::Fresh => None,
            Begun::Finished(sealed) => Some(opened(&seal, sealed)),
            Begun::Running => Some(Err(still_runs())),
            Begun::Unfinished => Some(Err(outcome_unknown("the gateway ended while the first call ran"))),
            Begun::Other => Some(Err(reused())),
        };
        if let Some(result) = known {
            return Ok(Ended { result, noting: None });
        }
        let result = call.await;
        let outcome = match &result {
            Ok(answer) => Some(sealed(&seal, 0, &answer.encode_to_vec())),
            Err(error) if is_kept(error) => {
                let status = error.clone().for_a_repeat().into_status(&cx);
                Some(sealed(&seal, 1, status.details()))
            }
            Err(_) => None,
        };
        // The guard goes with it, so a repeat here begins after it.
        let tasks = self.shared.tasks.clone();
        let noting = Some(tasks.spawn(self.note(cx, outcome)));
        Ok(Ended { result, noting })
    }

    /// Keeps the sealed outcome, or forgets a call that did nothing.
    async fn note(self, cx: Context, outcome: Option<Result<Vec<u8>>>) {
        let store = &self.shared.store;
        let noted = match outcome {
            Some(Ok(sealed)) => store.finish(self.call, sealed).await,
            Some(Err(error)) => Err(error),
            None => store.forget(self.call).await,
        };
        if noted.is_err() {
            // The call's own outcome stands; a repeat is told that nobody knows.
            tracing::error!(method = cx.method(), trace_id = cx.trace_id(), "the outcome of a call could not be kept");
        }
    }

    /// Notes the call. While another gateway runs it, looks again until shortly before the caller's deadline.
    async fn begin(&self, cx: &Context, content: Hash) -> Result<Begun> {
        let mut pause = FIRST_PAUSE;
        loop {
            let now = self.shared.clock.now();
            let begun = self.shared.store.begin(self.call, content, now, now - KEPT_FOR).await?;
            if begun != Begun::Running || Instant::now() + pause >= cx.deadline() {
                return Ok(begun);
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.call);
    }
}

/// Whether something may have been done, so that a repeat must not run again.
fn is_kept(error: &Error) -> bool {
    matches!(
        error.reason(),
        ErrorReason::VendorOutcomeUnknown | ErrorReason::VendorCodeUnmapped | ErrorReason::PartiallyApplied
    )
}

fn reused() -> Error {
    Error::new(
        ErrorReason::RequestIdReused,
        "this request_id was used with another request within 24 hours; take a fresh UUID",
    )
}

fn still_runs() -> Error {
    outcome_unknown("an earlier call with this request_id still runs").past_deadline()
}

fn outcome_unknown(cause: &'static str) -> Error {
    Error::new(
        ErrorReason::VendorOutcomeUnknown,
        "the request may have been sent but its outcome is not known; look whether it was done before making a new one",
    )
    .with("cause", cause)
}

/// Texts are hashed with their lengths, so that no two lists of texts are one.
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

/// Kind and bytes of an answer, sealed: nonce, then ciphertext.
fn sealed(key: &Hash, kind: u8, answer: &[u8]) -> Result<Vec<u8>> {
    let failed = |_| Error::internal("an answer could not be sealed");
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(failed)?;
    let mut text = Vec::with_capacity(1 + answer.len() + AES_256_GCM.tag_len());
    text.push(kind);
    text.extend_from_slice(answer);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(failed)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text).map_err(failed)?;
    Ok([nonce.as_slice(), &text].concat())
}

fn opened<A: Message + Default>(key: &Hash, sealed: Vec<u8>) -> Result<A> {
    let unreadable = || outcome_unknown("the answer that was kept cannot be read");
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(unreadable)?;
    let mut text = text.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| unreadable())?);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    match key.open_in_place(nonce, Aad::empty(), &mut text).map_err(|_| unreadable())? {
        [0, answer @ ..] => A::decode(&*answer).map_err(|_| unreadable()),
        [1, status @ ..] => Err(Error::told_before(status.to_vec()).ok_or_else(unreadable)?),
        _ => Err(unreadable()),
    }
}
