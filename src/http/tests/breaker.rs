//! What opens the breaker, and what closes it.

use super::*;

#[tokio::test(start_paused = true)]
async fn silence_of_a_second_counts_as_a_failure_and_less_does_not() {
    for (silence, is_open) in [(1000, true), (999, false)] {
        let stage = Stage::of([Fate::Silence]);
        let client = stage.client("breaker = { consecutive_failures = 2 }");
        for _ in 0..2 {
            let result = client.call(&within(Duration::from_millis(silence)), &Read).await;
            assert_eq!(reported(&result), ErrorReason::VendorTimeout);
        }
        stage.then([OK]);
        assert_eq!(read(&client).await.is_err(), is_open, "{silence} ms");
        assert_eq!(stage.given_up(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_counts_as_a_failure_and_a_bare_500_or_a_code_does_not() {
    for (status, body, is_open) in
        [(502, "", true), (500, "", false), (500, "4711 busy", false), (502, "4711 x", false)]
    {
        let stage = Stage::of([Fate::Response(Duration::ZERO, status, body)]);
        let client = stage.client("breaker = { consecutive_failures = 2 }\nretry = { attempts = 1 }");
        let reason = if status == 500 { ErrorReason::VendorInternal } else { ErrorReason::VendorUnavailable };
        for _ in 0..2 {
            assert_eq!(reported(&read(&client).await), reason);
        }
        stage.then([OK]);
        assert_eq!(read(&client).await.is_err(), is_open, "{status} {body:?}");
        assert!(!is_open || client.metrics.text().unwrap().contains("outcome=\"breaker_open\"} 1"));
    }
    // What cannot be read is a response all the same.
    let stage = Stage::of([Fate::Response(Duration::ZERO, 200, "")]);
    let client = stage.client("breaker = { consecutive_failures = 1 }");
    for _ in 0..2 {
        assert_eq!(reported(&read(&client).await), ErrorReason::VendorResponseInvalid);
    }
    assert_eq!(stage.sent().len(), 2);
}

/// Opens the breaker of a client, and waits until its penalty of a second has passed.
async fn opened(stage: &Stage, keys: &str) -> Arc<Client<Numbered>> {
    let client = stage.client(&format!("breaker = {{ consecutive_failures = 1 }}\n{keys}"));
    stage.then([BUSY]);
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
    assert!(client.metrics.text().unwrap().contains("switchboard_breaker_open{center=\"acme\",family=\"numbered\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn metrics_say_when_the_breaker_opens_and_closes() {
    let stage = Stage::default();
    let client = opened(&stage, "").await;
    let shown = |open: u8| format!("switchboard_breaker_open{{center=\"acme\",family=\"numbered\"}} {open}");
    assert!(client.metrics.text().unwrap().contains(&shown(1)));
    stage.then([OK]);
    read(&client).await.unwrap();
    assert!(client.metrics.text().unwrap().contains(&shown(0)));
}

#[tokio::test(start_paused = true)]
async fn what_the_breaker_refuses_names_the_operation_that_was_asked_for() {
    let stage = Stage::default();
    let client = opened(&stage, "").await;
    let refused = write(&client).await.unwrap_err();
    assert_eq!(metadata(refused.clone(), "vendorOperation"), "POST /write");
    assert_eq!(metadata(refused, "sent"), "false");
}
