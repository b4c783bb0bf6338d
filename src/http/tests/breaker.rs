//! What opens the breaker, and what closes it.

use tokio::time::timeout;

use super::*;

/// A client whose probe is a ping.
fn probing(stage: &Stage, keys: &str) -> Arc<Client<Numbered>> {
    let client = stage.client(keys);
    client.probe_with(|client, cx| Box::pin(async move { client.call(&cx, &Ping).await.map(|_| ()) }));
    client
}

/// A read whose caller leaves after this time, by its deadline or by a cancellation.
async fn abandoned(client: &Arc<Client<Numbered>>, millis: u64, cancels: bool) {
    let time = Duration::from_millis(millis);
    if cancels {
        assert!(timeout(time, read(client)).await.is_err());
    } else {
        assert_eq!(reported(&client.call(&within(time), &Read).await), ErrorReason::VendorTimeout);
    }
}

fn is_open(client: &Client<Numbered>) -> bool {
    let metrics = client.metrics.text().unwrap();
    metrics.contains("switchboard_breaker_open{center=\"acme\",family=\"numbered\"} 1")
}

/// How many milliseconds pass until the breaker opens.
async fn until_open(client: &Client<Numbered>) -> u128 {
    let begun = Instant::now();
    while !is_open(client) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never opens");
        sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn callers_who_do_not_wait_for_a_slow_vendor_never_open_the_breaker() {
    let after = |millis| Fate::Response(Duration::from_millis(millis), 200, "1");
    for (wait, response, ping) in [(1150, 1300, 1300), (999, 1300, 3900), (3100, 3900, 3900), (7000, 9000, 10)] {
        for cancels in [false, true] {
            let stage = Stage::of([after(response)]);
            *stage.0.pings.0.lock().unwrap() = Some(after(ping));
            let client = probing(&stage, "breaker = { consecutive_failures = 3 }");
            for _ in 0..30 {
                abandoned(&client, wait, cancels).await;
            }
            futures_util::future::join_all((0..30).map(|_| abandoned(&client, wait, cancels))).await;
            assert_eq!(read(&client).await.unwrap(), 1, "{wait} ms of {response} ms");
            assert!(!is_open(&client), "{wait} ms of {response} ms");
            // Less than a second suggests nothing.
            assert_eq!(stage.0.pings.1.load(Ordering::Acquire) > 0, wait >= 1000, "{wait} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_opens_the_breaker_when_a_probe_hears_nothing_either() {
    // Callers who wait for a second, and who wait for a minute.
    for (wait, cancels) in [(1000, false), (1000, true), (59_000, false)] {
        let stage = Stage::of([Fate::Silence]);
        // All permits are held: the probe requires none.
        let client = probing(&stage, "limits = { concurrency = 2, queue = 0 }\nbreaker = { consecutive_failures = 2 }");
        tokio::join!(abandoned(&client, wait, cancels), abandoned(&client, wait, cancels));
        let hanging = async { tokio::join!(abandoned(&client, 30_000, false), abandoned(&client, 30_000, false)) };
        let (_, opened) = tokio::join!(hanging, until_open(&client));
        assert!((5000..=5100).contains(&opened), "{opened} ms");
        assert_eq!(stage.0.pings.1.load(Ordering::Acquire), 1, "one probe at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_answers_during_a_silent_probe_is_not_suspected_any_more() {
    let stage = Stage::of([Fate::Silence, Fate::Silence, Fate::Response(Duration::from_secs(3), 200, "1")]);
    *stage.0.pings.0.lock().unwrap() = Some(Fate::Silence);
    let client = probing(&stage, "breaker = { consecutive_failures = 2 }");
    tokio::join!(abandoned(&client, 1500, false), abandoned(&client, 1500, false));
    assert_eq!(read(&client).await.unwrap(), 1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((stage.0.pings.1.load(Ordering::Acquire), is_open(&client)), (1, false));
}

#[tokio::test(start_paused = true)]
async fn failures_count_together_with_the_silence_that_a_probe_confirms() {
    let broken = Fate::Fails(Failure::Broken("test"));
    let stage = Stage::of([broken.clone(), broken, Fate::Silence]);
    let client = probing(&stage, "breaker = { consecutive_failures = 3 }\nretry = { attempts = 1 }");
    for _ in 0..2 {
        assert_eq!(reported(&read(&client).await), ErrorReason::VendorUnavailable);
    }
    abandoned(&client, 1100, true).await;
    assert!(!is_open(&client));
    let opened = until_open(&client).await;
    assert!((5000..=5100).contains(&opened), "{opened} ms");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_its_caller_abandons_is_made_again_by_the_gateway() {
    for silence in [1150, 150] {
        let stage = Stage::of([BUSY]);
        let client = probing(&stage, "breaker = { consecutive_failures = 1 }");
        read(&client).await.unwrap_err();
        advance(Duration::from_secs(1)).await;
        stage.then([Fate::Response(Duration::from_millis(1300), 200, "1")]);
        abandoned(&client, silence, true).await;
        // Nobody else calls, and yet the breaker closes.
        sleep(Duration::from_millis(1400)).await;
        assert!(!is_open(&client), "{silence} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_probe_believes_a_silence_of_four_seconds() {
    for (silence, opens) in [(4000, true), (3999, false)] {
        let stage = Stage::of([Fate::Silence]);
        let client = stage.client("breaker = { consecutive_failures = 2 }");
        for _ in 0..2 {
            abandoned(&client, silence, false).await;
        }
        stage.then([OK]);
        assert_eq!(read(&client).await.is_err(), opens, "{silence} ms");
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

/// Vendors close idle connections, several at the same moment.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_closed_idle_is_replaced_at_once_and_says_nothing_about_the_vendor() {
    let closed = || Fate::Fails(Failure::NotSent("the connection closed before the request was sent"));
    let stage = Stage::of([OK]);
    let client = stage.client("breaker = { consecutive_failures = 1 }\nretry = { attempts = 1, budget = 0.0 }");
    for _ in 0..20 {
        stage.then([closed(), OK]);
        assert_eq!(read(&client).await.unwrap(), 1);
        stage.then([closed(), OK]);
        assert_eq!(write(&client).await.unwrap(), 1);
    }
    assert_eq!(stage.sent().len(), 80);
    assert!(stage.pauses().iter().all(Duration::is_zero));
    // A vendor that closes the next connection, too, fails.
    stage.then([closed()]);
    assert_eq!(reported(&write(&client).await), ErrorReason::VendorUnavailable);
    assert_eq!(stage.sent().len(), 82);
    assert_eq!(reported(&write(&client).await), ErrorReason::VendorUnavailable);
    assert_eq!(stage.sent().len(), 82, "the breaker is open");
}
