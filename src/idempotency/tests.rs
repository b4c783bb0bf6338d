use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::SystemTime,
};

use async_trait::async_trait;

use super::*;
use crate::{clock::Source, proto::v1::StartCallbackResponse, store::sqlite::Database};

/// A clock that the test sets.
#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

impl Source for ManualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + self.0.load(Ordering::Acquire))
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

struct Fixture {
    idempotency: Idempotency,
    database: Database,
    clock: ManualClock,
    runs: Arc<AtomicUsize>,
}

fn fixture() -> Fixture {
    let (database, clock) = (Database::in_memory().unwrap(), ManualClock::default());
    let store = Arc::new(database.clone());
    let idempotency = Idempotency::new(store, Clock::from_source(clock.clone()), TaskTracker::new());
    Fixture { idempotency, database, clock, runs: Arc::default() }
}

impl Fixture {
    async fn call(&self, caller: &str, content: &str) -> Result<StartCallbackResponse> {
        let cx = Context::new("StartCallback", String::new(), Instant::now() + Duration::from_secs(5));
        let scope = Scope { caller, center: "acme", method: "StartCallback" };
        let content = StartCallbackResponse { call_id: content.to_owned() };
        let runs = self.runs.clone();
        let run = async move |_| {
            let run = runs.fetch_add(1, Ordering::AcqRel) + 1;
            Ok(StartCallbackResponse { call_id: run.to_string() })
        };
        self.idempotency.run(&cx, scope, "id", &content, run).await
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::Acquire)
    }
}

#[tokio::test]
async fn an_interrupted_call_has_an_unknown_outcome_and_does_not_run_again() {
    let fixture = fixture();
    // The state that a gateway leaves when it is killed between sending and recording.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &fixture.database.key().await.unwrap());
    let call = hash(&key, &["call", "", "acme", "StartCallback", "id"], &[]);
    let content = hash(&key, &["content"], &StartCallbackResponse { call_id: "a".into() }.encode_to_vec());
    let now = fixture.clock.now();
    fixture.database.begin(call, content, now, now - RETENTION).await.unwrap();

    let error = fixture.call("", "a").await.unwrap_err();
    assert_eq!((error.reason(), fixture.runs()), (ErrorReason::VendorOutcomeUnknown, 0));
}

#[tokio::test]
async fn a_call_that_cannot_be_recorded_does_not_run() {
    let fixture = fixture();
    // The key exists; only the call cannot be recorded.
    fixture.database.key().await.unwrap();
    fixture.database.refuse_writes().await;
    let error = fixture.call("", "a").await.unwrap_err();
    assert_eq!((error.reason(), fixture.runs()), (ErrorReason::StorageUnavailable, 0));
}

/// A store that reports its first calls as running at another gateway.
#[derive(Debug)]
struct RunningElsewhere(Database, AtomicUsize);

#[async_trait]
impl IdempotencyStore for RunningElsewhere {
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<CallState> {
        match self.1.load(Ordering::Acquire) {
            0 => self.0.begin(call, content, now, expired).await,
            left => {
                self.1.store(left - 1, Ordering::Release);
                Ok(CallState::Running)
            }
        }
    }

    async fn complete(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        self.0.complete(call, sealed).await
    }

    async fn discard(&self, call: Hash) -> Result<()> {
        self.0.discard(call).await
    }

    async fn key(&self) -> Result<Hash> {
        self.0.key().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_until_its_deadline_while_another_gateway_runs_it() {
    for (checks, expected) in [(10, Ok("1")), (usize::MAX, Err(ErrorReason::VendorOutcomeUnknown))] {
        let database = Database::in_memory().unwrap();
        database.key().await.unwrap();
        let store = Arc::new(RunningElsewhere(database.clone(), AtomicUsize::new(checks)));
        let clock = Clock::from_source(ManualClock::default());
        let idempotency = Idempotency::new(store, clock, TaskTracker::new());
        let fixture = Fixture { idempotency, database, ..fixture() };
        let start = Instant::now();
        let outcome = fixture.call("", "a").await;
        assert_eq!(outcome.as_ref().map(|response| response.call_id.as_str()).map_err(Error::reason), expected);
        assert!(start.elapsed() <= Duration::from_secs(5), "before the deadline");
        assert_eq!(fixture.runs(), usize::from(expected.is_ok()));
    }
}

/// A store that completes calls slowly, as while its servers restart.
#[derive(Debug)]
struct SlowStore(Database);

const DELAY: Duration = Duration::from_secs(12);

#[async_trait]
impl IdempotencyStore for SlowStore {
    async fn begin(&self, call: Hash, content: Hash, now: SystemTime, expired: SystemTime) -> Result<CallState> {
        self.0.begin(call, content, now, expired).await
    }

    async fn complete(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        sleep(DELAY).await;
        self.0.complete(call, sealed).await
    }

    async fn discard(&self, call: Hash) -> Result<()> {
        sleep(DELAY).await;
        self.0.discard(call).await
    }

    async fn key(&self) -> Result<Hash> {
        self.0.key().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_returns_by_its_deadline_and_a_second_one_waits_for_the_record() {
    let fixture = fixture();
    let store = Arc::new(SlowStore(fixture.database.clone()));
    let tasks = TaskTracker::new();
    let idempotency = Idempotency::new(store, Clock::from_source(ManualClock::default()), tasks.clone());
    let fixture = Fixture { idempotency, ..fixture };
    let start = Instant::now();
    assert_eq!(fixture.call("", "a").await.unwrap().call_id, "1");
    assert!(start.elapsed() <= Duration::from_secs(5), "before the deadline");

    let early = fixture.call("", "a").await.unwrap_err();
    assert_eq!(early.reason(), ErrorReason::VendorOutcomeUnknown, "it is not recorded yet");
    assert_eq!(fixture.call("", "a").await.unwrap().call_id, "1");
    assert!(start.elapsed() >= DELAY, "not before it was recorded");
    assert_eq!(fixture.runs(), 1);

    assert_eq!(fixture.call("other", "a").await.unwrap().call_id, "2");
    // A drain waits for the records that are left.
    tasks.close();
    tasks.wait().await;
    assert_eq!(start.elapsed().as_secs(), 2 * DELAY.as_secs());
}

#[tokio::test]
async fn a_response_is_retained_for_a_day() {
    let fixture = fixture();
    assert_eq!(fixture.call("", "a").await.unwrap().call_id, "1");
    fixture.clock.0.store(RETENTION.as_secs(), Ordering::Release);
    assert_eq!(fixture.call("", "a").await.unwrap().call_id, "1");
    fixture.clock.0.store(RETENTION.as_secs() + 1, Ordering::Release);
    assert_eq!(fixture.call("", "b").await.unwrap().call_id, "2");
}

#[tokio::test]
async fn callers_do_not_share_ids() {
    let fixture = fixture();
    assert_eq!(fixture.call("one", "a").await.unwrap().call_id, "1");
    assert_eq!(fixture.call("other", "b").await.unwrap().call_id, "2");
    assert_eq!(fixture.call("one", "b").await.unwrap_err().reason(), ErrorReason::RequestIdReused);
}

#[test]
fn a_sealed_response_opens_only_with_its_own_key() {
    let response = StartCallbackResponse { call_id: "c9d52506".into() };
    let (key, other) = ([1; 32], [2; 32]);
    let text = seal(&key, 0, &response.encode_to_vec()).unwrap();
    assert_eq!(open::<StartCallbackResponse>(&key, text.clone()).unwrap(), response);
    assert!(open::<StartCallbackResponse>(&other, text.clone()).is_err());
    assert!(open::<StartCallbackResponse>(&key, text[..text.len() - 1].to_vec()).is_err());
    assert!(open::<StartCallbackResponse>(&key, Vec::new()).is_err());
    assert_ne!(text, seal(&key, 0, &response.encode_to_vec()).unwrap(), "each nonce is new");
}

#[tokio::test]
async fn a_call_that_has_ended_takes_no_memory() {
    let fixture = fixture();
    for caller in 0..100 {
        fixture.call(&caller.to_string(), "a").await.unwrap();
    }
    assert!(fixture.idempotency.0.in_flight.lock().unwrap().is_empty());
}
