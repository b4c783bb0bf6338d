//! Two gateways with one store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use switchboard::{
    clock::Clock,
    context::Context,
    error::{Error, ErrorReason, Result},
    idempotency::{Idempotency, Scope},
    proto::v1::StartCallbackResponse,
    store::{
        event_log::{Appended, EventLog as _},
        fingerprint::Fingerprint,
        idempotency::{CallState, IdempotencyStore as _},
        jetstream::JetStream,
        kv::KeyValueStore as _,
    },
};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{server::Server, stores::connect};

const SCOPE: Scope<'_> = Scope { caller: "", center: "acme", method: "StartCallback" };

fn context(time: Duration) -> Context {
    Context::new("StartCallback", String::new(), Instant::now() + time)
}

fn response(call_id: &str) -> StartCallbackResponse {
    StartCallbackResponse { call_id: call_id.to_owned() }
}

/// The idempotency of one gateway.
fn idempotency(store: &JetStream) -> Idempotency {
    Idempotency::new(Arc::new(store.clone()), Clock::system(), TaskTracker::new())
}

#[tokio::test]
async fn one_gateway_reads_what_the_other_stores() {
    let server = Server::start().await;
    let (here, there) = (connect(&server).await, connect(&server).await);
    let mut reader = there.read("acme", 0).await.unwrap();
    for body in [&br#"{"MsgId":"1"}"#[..], b"READY"] {
        let body = Bytes::from_static(body);
        let fingerprint = Fingerprint::of(&body);
        assert_eq!(here.append("acme", body.clone(), fingerprint).await.unwrap(), Appended::Stored);
        assert_eq!(reader.next().await.unwrap()[0].body, body);
        assert_eq!(there.append("acme", body, fingerprint).await.unwrap(), Appended::Duplicate);
    }
    assert_eq!(here.extent("acme").await.unwrap(), there.extent("acme").await.unwrap());
    here.put("subscription.acme.1", b"a".to_vec()).await.unwrap();
    assert_eq!(there.list("subscription.").await.unwrap(), [("subscription.acme.1".to_owned(), b"a".to_vec())]);
    assert_eq!(here.key().await.unwrap(), there.key().await.unwrap());
}

#[tokio::test]
async fn a_second_call_at_the_other_gateway_waits_for_the_first() {
    let server = Server::start().await;
    let (here, there) = (idempotency(&connect(&server).await), idempotency(&connect(&server).await));
    let (running, runs) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let first = tokio::spawn(async move {
        let run = async move |_| {
            let _ = running.send(());
            Ok(response(ended.await.unwrap()))
        };
        here.run(&context(Duration::from_secs(30)), SCOPE, "id", &response("asked"), run).await
    });
    runs.await.unwrap();
    let runs_again = async |_| Err::<StartCallbackResponse, _>(Error::internal("it ran twice"));
    let mut late = ErrorReason::DeadlineBeforeSend;
    // A stalled machine misses the time in which the call fails with an unknown outcome.
    while late == ErrorReason::DeadlineBeforeSend {
        let second = there.run(&context(Duration::from_secs(2)), SCOPE, "id", &response("asked"), runs_again).await;
        late = second.unwrap_err().reason();
    }
    assert_eq!(late, ErrorReason::VendorOutcomeUnknown, "it is still running");
    let other = there.run(&context(Duration::from_secs(30)), SCOPE, "id", &response("other"), runs_again).await;
    assert_eq!(other.unwrap_err().reason(), ErrorReason::RequestIdReused);

    let second = tokio::spawn(async move {
        there.run(&context(Duration::from_secs(30)), SCOPE, "id", &response("asked"), runs_again).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    end.send("c-1").unwrap();
    assert_eq!(first.await.unwrap().unwrap(), response("c-1"));
    assert_eq!(second.await.unwrap().unwrap(), response("c-1"));
}

#[tokio::test]
async fn of_concurrent_calls_at_both_gateways_one_runs() {
    let server = Server::start().await;
    let gateways = [idempotency(&connect(&server).await), idempotency(&connect(&server).await)];
    let runs = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let (gateway, runs) = (gateways[number % 2].clone(), runs.clone());
            tokio::spawn(async move {
                let run = async move |_| {
                    runs.fetch_add(1, Ordering::AcqRel);
                    Ok(response("c-1"))
                };
                let id = format!("id-{}", number / 4);
                gateway.run(&context(Duration::from_secs(30)), SCOPE, &id, &response("asked"), run).await
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), response("c-1"));
    }
    assert_eq!(runs.load(Ordering::Acquire), 10);
}

#[tokio::test]
async fn a_call_without_effect_may_run_at_the_other_gateway() {
    let server = Server::start().await;
    let (here, there) = (idempotency(&connect(&server).await), idempotency(&connect(&server).await));
    let failing = async |_| -> Result<StartCallbackResponse> { Err(Error::deadline_before_send()) };
    let first = here.run(&context(Duration::from_secs(30)), SCOPE, "id", &response("asked"), failing).await;
    assert_eq!(first.unwrap_err().reason(), ErrorReason::DeadlineBeforeSend);
    let run = async |_| Ok(response("c-1"));
    let second = there.run(&context(Duration::from_secs(30)), SCOPE, "id", &response("asked"), run).await;
    assert_eq!(second.unwrap(), response("c-1"));
}

/// The state that a gateway leaves when it is killed while it runs a call.
#[tokio::test]
async fn a_call_of_a_killed_gateway_is_interrupted_once_it_cannot_run_any_more() {
    let server = Server::start().await;
    let (here, there) = (connect(&server).await, connect(&server).await);
    let (call, content) = ([1; 32], [2; 32]);
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds);
    let expired = |now: SystemTime| now - Duration::from_secs(24 * 3600);
    assert_eq!(here.begin(call, content, at(0), expired(at(0))).await.unwrap(), CallState::New);
    assert_eq!(there.begin(call, content, at(0), expired(at(0))).await.unwrap(), CallState::Running);
    assert_eq!(there.begin(call, content, at(89), expired(at(89))).await.unwrap(), CallState::Running);
    assert_eq!(there.begin(call, content, at(90), expired(at(90))).await.unwrap(), CallState::Interrupted);
    // Its own clock may be behind.
    assert_eq!(
        here.begin(call, content, at(1), expired(at(1))).await.unwrap(),
        CallState::Interrupted,
        "it does not run it"
    );
}

#[tokio::test]
async fn a_gateway_completes_only_its_own_calls() {
    let server = Server::start().await;
    let (here, there) = (connect(&server).await, connect(&server).await);
    let (call, content) = ([1; 32], [2; 32]);
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let begin = async |store: &JetStream| store.begin(call, content, now, now).await.unwrap();
    assert_eq!(begin(&here).await, CallState::New);
    there.discard(call).await.unwrap();
    assert_eq!(there.complete(call, b"other".to_vec()).await.unwrap_err().reason(), ErrorReason::StorageUnavailable);
    assert_eq!(begin(&there).await, CallState::Running, "it was not discarded");

    here.complete(call, b"sealed".to_vec()).await.unwrap();
    here.complete(call, b"again".to_vec()).await.unwrap();
    here.discard(call).await.unwrap();
    assert_eq!(begin(&there).await, CallState::Completed(b"sealed".to_vec()));
}
