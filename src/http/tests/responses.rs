//! Outcomes of responses, and of calls without one.

use super::*;

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_refreshed_once_for_writes_too_and_confirmed_by_success() {
    let refused = || Fate::Response(Duration::ZERO, 401, "");
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
        assert_eq!(reported(&read(&client).await), ErrorReason::VendorAuthFailed);
        assert_eq!((stage.sent().len(), client.dialect().refreshes.load(Ordering::Acquire)), (1 + most, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_only_was_refused_before_its_deadline_was_not_sent() {
    // The vendor refused the credentials, and no response to the second request comes.
    let stage = Stage::of([Fate::Response(Duration::ZERO, 401, ""), Fate::Silence]);
    let result = client_write_within(&stage, Duration::from_secs(5)).await;
    assert_eq!(reported(&result), ErrorReason::VendorOutcomeUnknown, "the second one may have been done");
    // A connection that cannot be made leaves nothing sent, until the deadline.
    let stage = Stage::of([Fate::Throttled("1"), Fate::Silence]);
    let result = stage.client("").call(&within(Duration::from_millis(500)), &Read).await;
    assert_eq!(reported(&result), ErrorReason::VendorUnavailable);
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
    assert_eq!((reported(&result), stage.sent().len()), (ErrorReason::VendorUnavailable, 0));
    write(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_shown_without_any_secret_and_with_its_code() {
    let text = "4711 of-the-family of-the-request of-the-body and the rest";
    let stage = Stage::of([Fate::Response(Duration::ZERO, 400, text)]);
    let error = write(&stage.client("")).await.unwrap_err();
    assert_eq!((error.reason(), error.vendor_code()), (ErrorReason::VendorRejected, "4711"));
    assert_eq!(metadata(error.clone(), "vendorMessage"), "*** *** *** and the rest");
    assert_eq!(metadata(error, "vendorHttpStatus"), "400");
    assert_eq!(stage.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_vendor_that_gives_a_code_is_believed_at_once() {
    let stage = Stage::of([Fate::Response(Duration::ZERO, 503, "4711 busy")]);
    read(&stage.client("")).await.unwrap_err();
    assert_eq!(stage.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_are_as_many_as_configured() {
    let stage = Stage::of([Fate::Response(Duration::from_secs(1), 200, "1")]);
    let client = stage.client("limits = { concurrency = 3, queue = 7 }");
    let calls = (0..12).map(|_| read(&client));
    let results = futures_util::future::join_all(calls).await;
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).map(Error::reason).collect();
    assert_eq!(refused, [ErrorReason::CenterOverloaded; 2]);
    let start = stage.sent()[0].0;
    let seconds: Vec<u64> = stage.sent().iter().map(|(at, ..)| (*at - start).as_secs()).collect();
    assert_eq!(seconds, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn each_response_is_counted_by_what_it_was() {
    let stage = Stage::default();
    let client = stage.client(&format!("{PATIENT}retry = {{ attempts = 1, budget = 0.0 }}"));
    for fate in [
        OK,
        Fate::Response(Duration::ZERO, 400, ""),
        Fate::Response(Duration::ZERO, 200, ""),
        Fate::Fails(Failure::NotSent("test")),
        Fate::Fails(Failure::Broken("test")),
        Fate::Fails(Failure::TooLarge),
    ] {
        stage.then([fate]);
        let _ = read(&client).await;
    }
    let metrics = client.metrics.text().unwrap();
    for outcome in ["ok", "refused", "unreadable", "not_sent", "broken", "too_large"] {
        let line = format!("center=\"acme\",operation=\"GET /read\",outcome=\"{outcome}\"}} 1\n");
        assert!(metrics.contains(&line), "{outcome}\n{metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_credentials_do_not_come_in_time_did_nothing() {
    for (hangs, sent) in [(Hangs::AtFirst, 0), (Hangs::AfterRefusal, 1)] {
        // An explicit refusal did nothing, also to a write.
        let stage = Stage::of([Fate::Response(Duration::ZERO, 401, "")]);
        let mut client = stage.client("");
        Arc::get_mut(&mut client).unwrap().dialect.hangs = hangs;
        let result = client.call(&within(Duration::from_secs(5)), &Write { password: "of-the-body" }).await;
        assert_eq!((reported(&result), stage.sent().len()), (ErrorReason::DeadlineBeforeSend, sent), "{hangs:?}");
        assert!(!client.metrics.text().unwrap().contains("outcome=\"timeout\""), "{hangs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_accepted_by_what_only_the_vendor_can_say() {
    for (status, body, is_accepted) in [
        (200, "1", true),
        (400, "4711 no such agent", true),
        // A proxy may say these, or the vendor to credentials that it does not know.
        (401, "4711 who are you", false),
        (401, "", false),
        (400, "", false),
        (503, "", false),
        (200, "", false),
    ] {
        let stage = Stage::of([Fate::Response(Duration::ZERO, status, body)]);
        let mut client = stage.client("retry = { attempts = 1, budget = 0.0 }");
        Arc::get_mut(&mut client).unwrap().dialect.most = 0;
        let _ = read(&client).await;
        assert_eq!(client.dialect().accepted.lock().unwrap().len(), usize::from(is_accepted), "{status} {body}");
    }
}
