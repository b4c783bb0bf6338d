use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use std::time::SystemTime;

use super::*;
use crate::{clock::Source, proto::v1::StartCallbackResponse, store::sqlite::Database};

/// The time of day, as told.
#[derive(Clone, Default)]
struct Day(Arc<AtomicU64>);

impl Source for Day {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + self.0.load(Ordering::Acquire))
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

struct Setting {
    repeats: Idempotency,
    database: Database,
    day: Day,
    runs: Arc<AtomicUsize>,
}

fn setting() -> Setting {
    let (database, day) = (Database::in_memory().unwrap(), Day::default());
    let clock = Clock::from_source(day.clone());
    let repeats = Idempotency::new(Arc::new(database.clone()), clock, TaskTracker::new());
    Setting { repeats, database, day, runs: Arc::default() }
}

impl Setting {
    async fn call(&self, caller: &str, content: &str) -> Result<StartCallbackResponse> {
        let cx = Context::new("StartCallback", String::new(), Instant::now() + Duration::from_secs(5));
        let scope = Scope { caller, center: "acme", method: "StartCallback" };
        let content = StartCallbackResponse { call_id: content.to_owned() };
        let runs = self.runs.clone();
        let run = async move |_| {
            let run = runs.fetch_add(1, Ordering::AcqRel) + 1;
            Ok(StartCallbackResponse { call_id: run.to_string() })
        };
        self.repeats.once(&cx, scope, "id", &content, run).await
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::Acquire)
    }
}

#[tokio::test]
async fn a_call_whose_end_was_never_noted_is_unknown_and_does_not_run() {
    let setting = setting();
    // As a gateway leaves it that is killed between sending and noting.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &setting.database.key().await.unwrap());
    let call = hash(&key, &["call", "", "acme", "StartCallback", "id"], &[]);
    let content = hash(&key, &["content"], &StartCallbackResponse { call_id: "a".into() }.encode_to_vec());
    let now = setting.day.now();
    setting.database.begin(call, content, now, now - KEPT_FOR).await.unwrap();

    let error = setting.call("", "a").await.unwrap_err();
    assert_eq!((error.reason(), setting.runs()), (ErrorReason::VendorOutcomeUnknown, 0));
}

#[tokio::test]
async fn what_cannot_be_noted_does_not_run() {
    let setting = setting();
    // The key is there already; only the call cannot be noted.
    setting.database.key().await.unwrap();
    setting.database.refuse_writes().await;
    let error = setting.call("", "a").await.unwrap_err();
    assert_eq!((error.reason(), setting.runs()), (ErrorReason::StorageUnavailable, 0));
}

/// A store that says of its first calls that another gateway runs them.
#[derive(Debug)]
struct Elsewhere(Database, AtomicUsize);

#[async_trait]
impl IdempotencyStore for Elsewhere {
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<Begun> {
        match self.1.load(Ordering::Acquire) {
            0 => self.0.begin(call, content, now, expired).await,
            left => {
                self.1.store(left - 1, Ordering::Release);
                Ok(Begun::Running)
            }
        }
    }

    async fn finish(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        self.0.finish(call, sealed).await
    }

    async fn forget(&self, call: Hash) -> Result<()> {
        self.0.forget(call).await
    }

    async fn key(&self) -> Result<Hash> {
        self.0.key().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_another_gateway_runs_is_waited_for_until_the_deadline() {
    for (looks, expected) in [(10, Ok("1")), (usize::MAX, Err(ErrorReason::VendorOutcomeUnknown))] {
        let database = Database::in_memory().unwrap();
        database.key().await.unwrap();
        let store = Arc::new(Elsewhere(database.clone(), AtomicUsize::new(looks)));
        let repeats = Idempotency::new(store, Clock::from_source(Day::default()), TaskTracker::new());
        let setting = Setting { repeats, database, ..setting() };
        let start = Instant::now();
        let outcome = setting.call("", "a").await;
        assert_eq!(outcome.as_ref().map(|answer| answer.call_id.as_str()).map_err(Error::reason), expected);
        assert!(start.elapsed() <= Duration::from_secs(5), "before the caller hangs up");
        assert_eq!(setting.runs(), usize::from(expected.is_ok()));
    }
}

/// A store that is slow to note an end, as when its servers start again.
#[derive(Debug)]
struct Slow(Database);

const SLOW: Duration = Duration::from_secs(12);

#[async_trait]
impl IdempotencyStore for Slow {
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<Begun> {
        self.0.begin(call, content, now, expired).await
    }

    async fn finish(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        sleep(SLOW).await;
        self.0.finish(call, sealed).await
    }

    async fn forget(&self, call: Hash) -> Result<()> {
        sleep(SLOW).await;
        self.0.forget(call).await
    }

    async fn key(&self) -> Result<Hash> {
        self.0.key().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_told_in_time_and_a_repeat_waits_until_it_is_noted() {
    let setting = setting();
    let store = Arc::new(Slow(setting.database.clone()));
    let tasks = TaskTracker::new();
    let repeats = Idempotency::new(store, Clock::from_source(Day::default()), tasks.clone());
    let setting = Setting { repeats, ..setting };
    let start = Instant::now();
    assert_eq!(setting.call("", "a").await.unwrap().call_id, "1");
    assert!(start.elapsed() <= Duration::from_secs(5), "before the caller hangs up");

    let early = setting.call("", "a").await.unwrap_err();
    assert_eq!(early.reason(), ErrorReason::VendorOutcomeUnknown, "it is not noted yet");
    assert_eq!(setting.call("", "a").await.unwrap().call_id, "1");
    assert!(start.elapsed() >= SLOW, "not before it was noted");
    assert_eq!(setting.runs(), 1);

    assert_eq!(setting.call("other", "a").await.unwrap().call_id, "2");
    // An orderly end waits for what is left to note.
    tasks.close();
    tasks.wait().await;
    assert_eq!(start.elapsed().as_secs(), 2 * SLOW.as_secs());
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let setting = setting();
    assert_eq!(setting.call("", "a").await.unwrap().call_id, "1");
    setting.day.0.store(KEPT_FOR.as_secs(), Ordering::Release);
    assert_eq!(setting.call("", "a").await.unwrap().call_id, "1");
    setting.day.0.store(KEPT_FOR.as_secs() + 1, Ordering::Release);
    assert_eq!(setting.call("", "b").await.unwrap().call_id, "2");
}

#[tokio::test]
async fn callers_do_not_share_ids() {
    let setting = setting();
    assert_eq!(setting.call("one", "a").await.unwrap().call_id, "1");
    assert_eq!(setting.call("other", "b").await.unwrap().call_id, "2");
    assert_eq!(setting.call("one", "b").await.unwrap_err().reason(), ErrorReason::RequestIdReused);
}

#[test]
fn a_sealed_answer_opens_with_its_own_key_only() {
    let answer = StartCallbackResponse { call_id: "c9d52506".into() };
    let (key, other) = ([1; 32], [2; 32]);
    let text = sealed(&key, 0, &answer.encode_to_vec()).unwrap();
    assert_eq!(opened::<StartCallbackResponse>(&key, text.clone()).unwrap(), answer);
    assert!(opened::<StartCallbackResponse>(&other, text.clone()).is_err());
    assert!(opened::<StartCallbackResponse>(&key, text[..text.len() - 1].to_vec()).is_err());
    assert!(opened::<StartCallbackResponse>(&key, Vec::new()).is_err());
    assert_ne!(text, sealed(&key, 0, &answer.encode_to_vec()).unwrap(), "no two are alike");
}
