//! The client against a network that does what a test says, by a clock that leaps to what is waited for.

mod stage;

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, advance, sleep};
use url::Url;

use self::stage::{BUSY, Fate, Numbered, OK, PATIENT, Read, Stage, Write, metadata, minute, read, told, within, write};
use super::*;
use crate::{
    config::Config,
    endpoint,
    error::{Error, ErrorReason},
};
#[tokio::test(start_paused = true)]
async fn a_read_is_tried_as_often_as_configured_and_a_write_once() {
    for fate in [BUSY, Fate::Fails(Failure::Broken("test"))] {
        for attempts in [1, 2, 3, 5] {
            let stage = Stage::of([fate.clone()]);
            let client = stage.client(&format!("{PATIENT}retry = {{ attempts = {attempts}, budget = 1.0 }}"));
            (0..10).for_each(|_| client.retries.deposit());
            assert_eq!(told(&read(&client).await), ErrorReason::VendorUnavailable);
            assert_eq!(stage.sent().len(), attempts);
            assert_eq!(told(&write(&client).await), ErrorReason::VendorOutcomeUnknown);
            assert_eq!(stage.sent().len(), attempts + 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_sent_again_also_when_it_is_a_write() {
    let stage = Stage::of([Fate::Fails(Failure::NotSent("test")), Fate::Fails(Failure::NotSent("test")), OK]);
    assert_eq!(write(&stage.client("")).await.unwrap(), 1);
    assert_eq!(stage.sent().len(), 3);
    assert!(stage.sent().iter().all(|(_, repeatable, _)| !repeatable));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_not_asked_for_again_and_is_an_answer() {
    let stage = Stage::of([Fate::Fails(Failure::TooLarge)]);
    let client = stage.client("breaker = { consecutive_failures = 1 }\nlimits = { max_response_size = '5KiB' }");
    assert_eq!(told(&read(&client).await), ErrorReason::VendorResponseInvalid);
    assert_eq!(told(&read(&client).await), ErrorReason::VendorResponseInvalid, "the breaker is closed");
    assert_eq!(stage.sent().len(), 2);
    assert_eq!(stage.sent()[0].2, 5 << 10);
}

#[tokio::test(start_paused = true)]
async fn pauses_between_attempts_are_random_within_what_doubles_up_to_a_quarter_of_a_second() {
    let pauses = async || {
        let stage = Stage::of([BUSY]);
        let client = stage.client(&format!("{PATIENT}retry = {{ attempts = 10, budget = 1.0 }}"));
        (0..20).for_each(|_| client.retries.deposit());
        read(&client).await.unwrap_err();
        stage.pauses()
    };
    let ceilings = [25, 50, 100, 200, 250, 250, 250, 250, 250].map(Duration::from_millis);
    let mut largest = [Duration::ZERO; 9];
    // Two gateways at each step whose vendor fails at the same moment.
    for _ in 0..30 {
        let (one, other) = (pauses().await, pauses().await);
        assert_ne!(one, other, "two gateways retry in step");
        for pauses in [one, other] {
            assert_eq!(pauses.len(), ceilings.len());
            // The clock counts in whole milliseconds and rounds up.
            let is_within = |(pause, ceiling): (&Duration, &Duration)| *pause <= *ceiling + Duration::from_millis(1);
            assert!(pauses.iter().zip(&ceilings).all(is_within), "{pauses:?}");
            largest.iter_mut().zip(&pauses).for_each(|(largest, pause)| *largest = (*largest).max(*pause));
        }
    }
    // The whole range is used: one in 2^60 tests finds none of 60 pauses in its upper half.
    assert!(largest.iter().zip(&ceilings).all(|(largest, ceiling)| *largest > *ceiling / 2), "{largest:?}");
}

#[tokio::test(start_paused = true)]
async fn the_vendor_s_retry_after_is_waited_for_unless_it_ends_after_the_deadline() {
    let stage = Stage::of([Fate::Throttled(7), OK]);
    read(&stage.client("")).await.unwrap();
    assert_eq!(stage.pauses(), [Duration::from_secs(7)]);

    let stage = Stage::of([Fate::Throttled(60), OK]);
    let begun = Instant::now();
    assert_eq!(told(&read(&stage.client("")).await), ErrorReason::VendorUnavailable);
    assert_eq!((stage.sent().len(), begun.elapsed()), (1, Duration::ZERO), "told at once");
}

#[tokio::test(start_paused = true)]
async fn retries_are_within_the_center_s_budget() {
    let stage = Stage::of([BUSY]);
    let client = stage.client(&format!("{PATIENT}retry = {{ attempts = 3, budget = 0.1 }}"));
    for _ in 0..1000 {
        read(&client).await.unwrap_err();
    }
    let retries = stage.sent().len() - 1000;
    // A tenth of the calls, and one a second over the window of ten.
    assert!((100..=110).contains(&retries), "{retries}");
}

#[tokio::test(start_paused = true)]
async fn silence_of_a_second_counts_as_a_failure_and_less_does_not() {
    for (silence, is_open) in [(1000, true), (999, false)] {
        let stage = Stage::of([Fate::Silence]);
        let client = stage.client("breaker = { consecutive_failures = 2 }");
        for _ in 0..2 {
            let result = client.call(&within(Duration::from_millis(silence)), &Read).await;
            assert_eq!(told(&result), ErrorReason::VendorTimeout);
        }
        stage.then([OK]);
        assert_eq!(read(&client).await.is_err(), is_open, "{silence} ms");
        assert_eq!(stage.given_up(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_without_a_word_counts_as_a_failure_and_one_with_a_code_does_not() {
    for (body, is_open) in [("", true), ("4711 busy", false)] {
        let stage = Stage::of([Fate::Answer(Duration::ZERO, 500, body)]);
        let client = stage.client("breaker = { consecutive_failures = 2 }");
        for _ in 0..2 {
            assert_eq!(told(&read(&client).await), ErrorReason::VendorInternal);
        }
        stage.then([OK]);
        assert_eq!(read(&client).await.is_err(), is_open, "{body:?}");
        assert!(!is_open || client.metrics.text().unwrap().contains("outcome=\"breaker_open\"} 1"));
    }
    // What cannot be read is an answer all the same.
    let stage = Stage::of([Fate::Answer(Duration::ZERO, 200, "")]);
    let client = stage.client("breaker = { consecutive_failures = 1 }");
    for _ in 0..2 {
        assert_eq!(told(&read(&client).await), ErrorReason::VendorResponseInvalid);
    }
    assert_eq!(stage.sent().len(), 2);
}

/// Opens the breaker of a client, and waits until its penalty of a second has passed.
async fn opened(stage: &Stage, keys: &str) -> Arc<Client<Numbered>> {
    let client = stage.client(&format!("breaker = {{ consecutive_failures = 1 }}\n{keys}"));
    stage.then([Fate::Answer(Duration::ZERO, 500, "")]);
    read(&client).await.unwrap_err();
    advance(Duration::from_secs(1)).await;
    client
}

#[tokio::test(start_paused = true)]
async fn a_write_is_no_probe_but_has_one_made_that_waits_five_seconds() {
    let stage = Stage::default();
    let client = opened(&stage, "").await;
    let without = write(&client).await.unwrap_err();
    assert_eq!((without.reason(), stage.sent().len()), (ErrorReason::VendorUnavailable, 1));
    assert_eq!(metadata(without, "cause"), "breaker open");

    client.probe_with(|client, cx| Box::pin(async move { client.call(&cx, &Read).await.map(|_| ()) }));
    stage.then([Fate::Silence]);
    let begun = Instant::now();
    write(&client).await.unwrap_err();
    while stage.given_up() == 0 {
        sleep(Duration::from_millis(100)).await;
    }
    let waited = begun.elapsed().as_millis();
    assert!((5000..=5100).contains(&waited), "{waited} ms");

    // The probe failed, so the penalty is twice as long; then one succeeds.
    stage.then([OK]);
    advance(Duration::from_secs(2)).await;
    write(&client).await.unwrap_err();
    while stage.sent().len() < 3 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(write(&client).await.unwrap(), 1);
    assert!(client.metrics.text().unwrap().contains("switchboard_breaker_open{center=\"beta\",family=\"numbered\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn metrics_say_when_the_breaker_opens_and_closes() {
    let stage = Stage::default();
    let client = opened(&stage, "").await;
    let shown = |open: u8| format!("switchboard_breaker_open{{center=\"beta\",family=\"numbered\"}} {open}");
    assert!(client.metrics.text().unwrap().contains(&shown(1)));
    stage.then([OK]);
    read(&client).await.unwrap();
    assert!(client.metrics.text().unwrap().contains(&shown(0)));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_refreshed_once_for_writes_too_and_confirmed_by_success() {
    let refused = || Fate::Answer(Duration::ZERO, 401, "");
    let stage = Stage::of([refused(), OK]);
    let client = stage.client("retry = { attempts = 1, budget = 0.0 }");
    assert_eq!(write(&client).await.unwrap(), 1);
    assert_eq!((stage.sent().len(), client.dialect().confirmed.lock().unwrap().as_slice()), (2, &[1][..]));
    // What never was refused has nothing to confirm.
    write(&client).await.unwrap();
    assert_eq!(client.dialect().confirmed.lock().unwrap().len(), 1);

    // Refreshed credentials that are refused, and credentials that cannot be refreshed, end the call.
    for most in [1, 0] {
        let stage = Stage::of([refused()]);
        let mut client = stage.client("");
        Arc::get_mut(&mut client).unwrap().dialect.most = most;
        assert_eq!(told(&read(&client).await), ErrorReason::VendorAuthFailed);
        assert_eq!((stage.sent().len(), client.dialect().refreshes.load(Ordering::Acquire)), (1 + most, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_only_was_refused_before_its_deadline_was_not_sent() {
    // The vendor refused the credentials, and no answer to the second request comes.
    let stage = Stage::of([Fate::Answer(Duration::ZERO, 401, ""), Fate::Silence]);
    let result = client_write_within(&stage, Duration::from_secs(5)).await;
    assert_eq!(told(&result), ErrorReason::VendorOutcomeUnknown, "the second one may have been done");
    // A connection that cannot be made leaves nothing sent, until the deadline.
    let stage = Stage::of([Fate::Throttled(1), Fate::Silence]);
    let result = stage.client("").call(&within(Duration::from_millis(500)), &Read).await;
    assert_eq!(told(&result), ErrorReason::VendorUnavailable);
}

async fn client_write_within(stage: &Stage, time: Duration) -> Result<Value> {
    let client = stage.client("");
    let result = client.call(&within(time), &Write { password: "of-the-body" }).await;
    let timeouts = "operation=\"POST /write\",outcome=\"timeout\"} 1";
    assert!(client.metrics.text().unwrap().contains(timeouts));
    result
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_caller_is_gone_is_not_sent_and_says_nothing_of_the_vendor() {
    let stage = Stage::of([OK]);
    let client = stage.client("breaker = { consecutive_failures = 1 }");
    let cx = minute();
    cx.cancel();
    let result = client.call(&cx, &Write { password: "of-the-body" }).await;
    assert_eq!((told(&result), stage.sent().len()), (ErrorReason::VendorUnavailable, 0));
    write(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_shown_without_any_secret_and_with_its_code() {
    let text = "4711 of-the-family of-the-request of-the-body and the rest";
    let stage = Stage::of([Fate::Answer(Duration::ZERO, 400, text)]);
    let error = write(&stage.client("")).await.unwrap_err();
    assert_eq!((error.reason(), error.vendor_code()), (ErrorReason::VendorRejected, "4711"));
    assert_eq!(metadata(error.clone(), "vendorMessage"), "*** *** *** and the rest");
    assert_eq!(metadata(error, "vendorHttpStatus"), "400");
    assert_eq!(stage.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_vendor_that_gives_a_code_is_believed_at_once() {
    let stage = Stage::of([Fate::Answer(Duration::ZERO, 503, "4711 busy")]);
    read(&stage.client("")).await.unwrap_err();
    assert_eq!(stage.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_are_as_many_as_configured() {
    let stage = Stage::of([Fate::Answer(Duration::from_secs(1), 200, "1")]);
    let client = stage.client("limits = { concurrency = 3, queue = 7 }");
    let calls = (0..12).map(|_| read(&client));
    let results = futures_util::future::join_all(calls).await;
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).map(Error::reason).collect();
    assert_eq!(refused, [ErrorReason::CenterOverloaded; 2]);
    let start = stage.sent()[0].0;
    let seconds: Vec<u64> = stage.sent().iter().map(|(at, ..)| (*at - start).as_secs()).collect();
    assert_eq!(seconds, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
}
