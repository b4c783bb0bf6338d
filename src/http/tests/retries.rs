//! When a request is sent again, and after how long.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_read_is_tried_as_often_as_configured_and_a_write_once() {
    for fate in [BUSY, Fate::Fails(Failure::Broken("test"))] {
        for attempts in [1, 2, 3, 5] {
            let stage = Stage::of([fate.clone()]);
            let client = stage.client(&format!("{PATIENT}retry = {{ attempts = {attempts}, budget = 1.0 }}"));
            (0..10).for_each(|_| client.retries.deposit());
            assert_eq!(reported(&read(&client).await), ErrorReason::VendorUnavailable);
            assert_eq!(stage.sent().len(), attempts);
            assert_eq!(reported(&write(&client).await), ErrorReason::VendorOutcomeUnknown);
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
async fn a_response_that_is_too_large_is_not_requested_again() {
    let stage = Stage::of([Fate::Fails(Failure::TooLarge)]);
    let client = stage.client("breaker = { consecutive_failures = 1 }\nlimits = { max_response_size = '5KiB' }");
    assert_eq!(reported(&read(&client).await), ErrorReason::VendorResponseInvalid);
    assert_eq!(reported(&read(&client).await), ErrorReason::VendorResponseInvalid, "the breaker is closed");
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
    let stage = Stage::of([Fate::Throttled("7"), OK]);
    read(&stage.client("")).await.unwrap();
    assert_eq!(stage.pauses(), [Duration::from_secs(7)]);

    let stage = Stage::of([Fate::Throttled("60"), OK]);
    let begun = Instant::now();
    assert_eq!(reported(&read(&stage.client("")).await), ErrorReason::VendorUnavailable);
    assert_eq!((stage.sent().len(), begun.elapsed()), (1, Duration::ZERO), "reported at once");
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
async fn a_read_that_was_not_sent_is_retried_and_so_is_one_that_broke() {
    for failure in [Failure::NotSent("test"), Failure::Broken("test")] {
        let stage = Stage::of([Fate::Fails(failure), OK]);
        assert_eq!(read(&stage.client("")).await.unwrap(), 1);
        assert_eq!(stage.sent().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_begin_at_the_deadline_is_not_waited_for() {
    for (deadline, sent) in [(7000, 1), (7001, 2)] {
        let stage = Stage::of([Fate::Throttled("7"), OK]);
        let begun = Instant::now();
        let result = stage.client("").call(&within(Duration::from_millis(deadline)), &Read).await;
        assert_eq!((stage.sent().len(), result.is_ok()), (sent, sent == 2));
        assert_eq!(begun.elapsed().as_secs(), if sent == 2 { 7 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_is_waited_for_by_the_gateway_s_clock_where_the_response_has_no_date() {
    for (date, seconds) in [("Thu, 01 Jan 2026 12:00:09 GMT", 9), ("Thursday, 01-Jan-26 12:00:41 GMT", 41), ("8.2", 9)]
    {
        let stage = Stage::of([Fate::Throttled(date), OK]);
        assert_eq!(read(&stage.client("")).await.unwrap(), 1);
        assert_eq!(stage.pauses(), [Duration::from_secs(seconds)], "{date}");
        // A call without the time for it says how long to wait.
        let stage = Stage::of([Fate::Throttled(date)]);
        let error = stage.client("").call(&within(Duration::from_secs(5)), &Read).await.unwrap_err();
        assert_eq!(stage.sent().len(), 1);
        let delay = tonic_types::StatusExt::get_details_retry_info(&error.into_status(&minute())).unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_secs(seconds)), "{date}");
    }
}
