//! Subscriptions to the gateway's own ingress, whose address only Udesk receives.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{NOW, Scripted, ScriptedResponse, TestServer, addresses, at, at_address, cx, mask, name, subscriptions};
use crate::{
    adapter::Adapter,
    config::TimestampUnit::Milliseconds,
    error::{Error, ErrorReason, Result},
    event::address::GRACE,
    proto::v1::{EventType, Subscription},
    store::{kv::KeyValueStore as _, sqlite::Database},
};

const ALL: [&str; 5] = ["display_name", "callback_uri", "event_types", "vendor_event_types", "enabled"];
const ELSEWHERE: &str = "https://crm.example.com/calls";
/// When an address that was retired at `NOW` is no longer valid.
const LATER: Duration = NOW.saturating_add(GRACE).saturating_add(Duration::from_millis(1));

fn feed() -> Subscription {
    Subscription { display_name: "feed".into(), event_types: vec![EventType::CallHungUp.into()], ..Default::default() }
}

fn whole() -> Subscription {
    Subscription { enabled: Some(true), ..feed() }
}

async fn create(udesk: &Arc<dyn Adapter>, subscription: Subscription) -> Result<Subscription> {
    udesk.create_subscription(&cx(), name("centers/acme"), subscription).await
}

async fn update(udesk: &Arc<dyn Adapter>, id: &str, change: Subscription, paths: &[&str]) -> Result<Subscription> {
    udesk.update_subscription(&cx(), name(&format!("centers/acme/subscriptions/{id}")), change, mask(paths)).await
}

async fn delete(udesk: &Arc<dyn Adapter>, id: &str) -> Result<()> {
    udesk.delete_subscription(&cx(), name(&format!("centers/acme/subscriptions/{id}"))).await
}

/// The address in a request to Udesk.
fn callback(body: &Value) -> String {
    let asked = body.get("subscriptions").map_or(body, |list| &list[0]);
    asked["callback"].as_str().unwrap().to_owned()
}

fn segment(uri: &str) -> &str {
    uri.strip_prefix("http://127.0.0.1:8080/callbacks/acme/").unwrap_or_else(|| panic!("{uri}"))
}

/// Whether a gateway with the same storage accepts callbacks at this address: now, and after the grace period.
async fn is_taken(storage: &Database, uri: &str) -> (bool, bool) {
    let taken = async |now| addresses(storage, now).verify("acme", segment(uri)).await.unwrap();
    (taken(NOW).await, taken(LATER).await)
}

const TAKEN: (bool, bool) = (true, true);
const GIVEN_UP: (bool, bool) = (true, false);
const UNKNOWN: (bool, bool) = (false, false);

/// The stored records of addresses.
async fn kept(storage: &Database) -> usize {
    storage.list("address.").await.unwrap().len()
}

/// A simulated tenant with a subscription to the ingress, and its address.
async fn subscribed() -> (TestServer, String) {
    let server = TestServer::open().await;
    assert_eq!(create(&server.udesk, feed()).await.unwrap().name, "centers/acme/subscriptions/102");
    let uri = callback(&server.sent()[0].1);
    (server, uri)
}

fn made() -> ScriptedResponse {
    ScriptedResponse::ok(&json!({ "sub_succ": [{ "subid": 7, "name": "feed" }], "sub_fail": [] }))
}

#[tokio::test]
async fn udesk_receives_the_whole_address_and_callers_see_none() {
    let server = TestServer::open().await;
    let made = create(&server.udesk, feed()).await.unwrap();
    let expected = Subscription { name: "centers/acme/subscriptions/102".into(), ..whole() };
    assert_eq!(made, expected);
    let uri = callback(&server.sent()[0].1);
    assert_eq!(is_taken(&server.storage, &uri).await, TAKEN);

    // After a restart it is listed by the ID that was stored for name and address.
    let udesk = server.restarted(NOW, Milliseconds);
    let listed = subscriptions(&udesk).await.unwrap();
    assert_eq!(listed[0], expected);
    assert_ne!(listed[1].callback_uri, "", "that of somebody else is shown");
    assert_eq!(udesk.get_subscription(&cx(), name(&expected.name)).await.unwrap(), expected);
    assert_eq!(kept(&server.storage).await, 1);
}

#[tokio::test]
async fn an_address_is_valid_before_udesk_responds() {
    for (line, id) in [("POST", None), ("PUT", Some("7"))] {
        let storage = Database::in_memory().unwrap();
        let was_taken = Arc::new(AtomicBool::new(false));
        let router = axum::Router::new().fallback({
            let (storage, was_taken) = (storage.clone(), was_taken.clone());
            move |method: axum::http::Method, bytes: Bytes| async move {
                assert_eq!(method, line);
                // Of another gateway with the same storage.
                let uri = callback(&serde_json::from_slice(&bytes).unwrap());
                let taken = addresses(&storage, NOW).verify("acme", segment(&uri)).await.unwrap();
                was_taken.store(taken, Ordering::Release);
                made().body
            }
        });
        let udesk = at(router, &storage).await;
        match id {
            None => create(&udesk, feed()).await.map(drop).unwrap(),
            Some(id) => update(&udesk, id, whole(), &ALL).await.map(drop).unwrap(),
        }
        assert!(was_taken.load(Ordering::Acquire), "{line}");
    }
}

#[tokio::test]
async fn what_a_failed_request_leaves_of_its_address() {
    let refused = (UNKNOWN, 0);
    for (response, (taken, facts)) in [
        (ScriptedResponse::refusal("000001"), refused),
        (ScriptedResponse::ok(&json!({ "sub_succ": [], "sub_fail": ["feed"] })), refused),
        (ScriptedResponse::new(429, ""), refused),
        // The outcome of these is unknown.
        (ScriptedResponse::new(500, ""), (TAKEN, 1)),
        (ScriptedResponse::new(200, "<html>"), (TAKEN, 1)),
        (ScriptedResponse::refusal("999999"), (TAKEN, 1)),
        (ScriptedResponse::ok(&json!({ "sub_succ": [{ "name": "feed" }] })), (TAKEN, 1)),
        (ScriptedResponse::ok(&json!({ "sub_succ": [{ "subid": 7 }], "sub_fail": ["feed"] })), (TAKEN, 1)),
        (ScriptedResponse::ok(&json!(null)), (TAKEN, 1)),
    ] {
        let reported = response.body.clone();
        let server = Scripted::new([response]).await;
        create(&server.udesk, feed()).await.unwrap_err();
        assert_eq!(is_taken(&server.storage, &callback(&server.sent()[0].1)).await, taken, "{reported}");
        assert_eq!(kept(&server.storage).await, facts, "{reported}");
    }
}

#[tokio::test]
async fn a_failed_change_keeps_the_former_address() {
    for (second, new) in [(ScriptedResponse::refusal("000001"), UNKNOWN), (ScriptedResponse::new(500, ""), TAKEN)] {
        let server = Scripted::new([made(), second]).await;
        create(&server.udesk, feed()).await.unwrap();
        update(&server.udesk, "7", whole(), &ALL).await.unwrap_err();
        let sent = server.sent();
        assert_eq!(is_taken(&server.storage, &callback(&sent[0].1)).await, TAKEN);
        assert_eq!(is_taken(&server.storage, &callback(&sent[1].1)).await, new);
    }
}

#[tokio::test]
async fn a_subscription_that_was_created_but_not_disabled_keeps_its_address() {
    for failure in [ScriptedResponse::refusal("000001"), ScriptedResponse::new(500, "")] {
        let server = Scripted::new([made(), failure]).await;
        let partly = create(&server.udesk, Subscription { enabled: Some(false), ..feed() }).await.unwrap_err();
        assert_eq!(partly.reason(), ErrorReason::PartiallyApplied);
        let sent = server.sent();
        assert_eq!(callback(&sent[0].1), callback(&sent[1].1));
        assert_eq!(is_taken(&server.storage, &callback(&sent[0].1)).await, TAKEN);
        delete(&server.udesk, "7").await.unwrap_err();
    }
}

#[tokio::test]
async fn a_change_of_other_fields_keeps_the_address() {
    let (server, uri) = subscribed().await;
    let change = Subscription { display_name: "FEED".into(), enabled: Some(false), ..Default::default() };
    let changed = update(&server.udesk, "102", change, &["display_name", "enabled"]).await.unwrap();
    assert_eq!((changed.callback_uri.as_str(), changed.display_name.as_str()), ("", "FEED"));
    assert_eq!(callback(&server.sent()[1].1), uri);
    assert_eq!(is_taken(&server.storage, &uri).await, TAKEN);
    assert_eq!(kept(&server.storage).await, 1);
}

#[tokio::test]
async fn an_empty_callback_in_the_mask_creates_a_fresh_address() {
    for (change, paths) in [(Subscription::default(), &["callback_uri"][..]), (whole(), &ALL)] {
        let (server, old) = subscribed().await;
        let changed = update(&server.udesk, "102", change, paths).await.unwrap();
        assert_eq!(changed, Subscription { name: "centers/acme/subscriptions/102".into(), ..whole() });
        let new = callback(&server.sent().last().unwrap().1);
        assert_ne!(new, old);
        assert_eq!(is_taken(&server.storage, &old).await, GIVEN_UP);
        assert_eq!(is_taken(&server.storage, &new).await, TAKEN);
        assert_eq!(subscriptions(&server.restarted(NOW, Milliseconds)).await.unwrap()[0], changed);
    }
}

#[tokio::test]
async fn another_address_replaces_the_gateways_own_once_udesk_accepted_it() {
    for paths in [&["callback_uri"][..], &ALL] {
        let (server, uri) = subscribed().await;
        let elsewhere = Subscription { callback_uri: ELSEWHERE.into(), ..whole() };
        let changed = update(&server.udesk, "102", elsewhere, paths).await.unwrap();
        assert_eq!(changed.callback_uri, ELSEWHERE);
        assert_eq!(is_taken(&server.storage, &uri).await, GIVEN_UP);
        assert_eq!(subscriptions(&server.udesk).await.unwrap()[0].callback_uri, ELSEWHERE);
    }
}

#[tokio::test]
async fn the_address_of_a_deleted_subscription_is_retired() {
    let (server, uri) = subscribed().await;
    delete(&server.udesk, "102").await.unwrap();
    assert_eq!(is_taken(&server.storage, &uri).await, GIVEN_UP);

    // Deleted elsewhere: Udesk's response says so.
    for change in ["DELETE", "PUT"] {
        let (server, uri) = subscribed().await;
        delete(&server.elsewhere(), "102").await.unwrap();
        let gone = match change {
            "DELETE" => delete(&server.udesk, "102").await.unwrap_err(),
            _ => update(&server.udesk, "102", whole(), &ALL).await.unwrap_err(),
        };
        assert_eq!(gone.reason(), ErrorReason::ResourceNotFound);
        assert_eq!(is_taken(&server.storage, &uri).await, GIVEN_UP);
        assert_eq!(kept(&server.storage).await, 1, "{change}: what was made for the change is gone");
    }
}

#[tokio::test]
async fn a_subscription_that_only_seems_deleted_keeps_its_id_and_its_address() {
    use ErrorReason::{CenterMisconfigured, ResourceNotFound};
    let responses: [(fn() -> ScriptedResponse, ErrorReason); 5] = [
        (|| ScriptedResponse::new(404, "<html>"), CenterMisconfigured),
        (|| ScriptedResponse::new(410, ""), CenterMisconfigured),
        (|| ScriptedResponse::new(404, "{}"), CenterMisconfigured),
        (|| ScriptedResponse::refusal("100005"), ResourceNotFound),
        (|| ScriptedResponse::refusal("100022"), ResourceNotFound),
    ];
    for (response, reason) in responses {
        let server = Scripted::new([made(), response(), response()]).await;
        create(&server.udesk, feed()).await.unwrap();
        let uri = callback(&server.sent()[0].1);
        for refused in [
            delete(&server.udesk, "7").await.unwrap_err(),
            update(&server.udesk, "7", whole(), &ALL).await.unwrap_err(),
        ] {
            assert_eq!(refused.reason(), reason);
        }
        assert_eq!(is_taken(&server.storage, &uri).await, TAKEN);
        assert_eq!(kept(&server.storage).await, 1, "what was made for the change is gone");
        assert_eq!(server.storage.list("subscription.acme.").await.unwrap().len(), 1, "its ID is known");
    }
}

#[tokio::test]
async fn a_subscription_is_identified_by_the_gateways_address_where_udesk_lists_another_name() {
    let reported: Arc<Mutex<String>> = Arc::default();
    let router = axum::Router::new().fallback({
        let reported = reported.clone();
        move |method: axum::http::Method, bytes: Bytes| async move {
            if method != "GET" {
                *reported.lock().unwrap() = callback(&serde_json::from_slice(&bytes).unwrap());
                return made().body;
            }
            let uri = reported.lock().unwrap().clone();
            let listed = json!({ "callback": uri, "enable": "true", "events": ["general_hangup"], "name": "Acme Ltd" });
            ScriptedResponse::ok(&listed).body
        }
    });
    let storage = Database::in_memory().unwrap();
    let udesk = at(router, &storage).await;
    create(&udesk, feed()).await.unwrap();
    let listed = subscriptions(&udesk).await.unwrap();
    assert_eq!(
        (listed[0].name.as_str(), listed[0].display_name.as_str()),
        ("centers/acme/subscriptions/7", "Acme Ltd")
    );
    let disabled = Subscription { enabled: Some(false), ..Default::default() };
    update(&udesk, "7", disabled, &["enabled"]).await.unwrap();
}

/// As after a create with an unknown outcome, or after the loss of the storage.
#[tokio::test]
async fn a_listed_address_belongs_to_the_subscription_from_the_next_change_on() {
    let (server, uri) = subscribed().await;
    for (key, _) in server.storage.list("address.").await.unwrap() {
        server.storage.remove(&key).await.unwrap();
    }
    assert_eq!(is_taken(&server.storage, &uri).await, UNKNOWN);
    let udesk = server.restarted(NOW, Milliseconds);
    assert_eq!(subscriptions(&udesk).await.unwrap()[0].callback_uri, "", "by its mac alone");
    update(&udesk, "102", Subscription { enabled: Some(true), ..Default::default() }, &["enabled"]).await.unwrap();
    assert_eq!(is_taken(&server.storage, &uri).await, TAKEN);
    update(&udesk, "102", Subscription { callback_uri: ELSEWHERE.into(), ..whole() }, &ALL).await.unwrap();
    assert_eq!(is_taken(&server.storage, &uri).await, GIVEN_UP);
}

#[tokio::test]
async fn an_address_that_udesk_cannot_reach_is_not_created() {
    let storage = Database::in_memory().unwrap();
    let udesk = at_address("http://udesk.example.com", &storage);
    for refused in [create(&udesk, feed()).await.unwrap_err(), update(&udesk, "7", whole(), &ALL).await.unwrap_err()] {
        assert_eq!(refused.reason(), ErrorReason::CenterMisconfigured);
        assert!(refused.message().contains("events.callback_base_url"), "{}", refused.message());
    }
    assert!(storage.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn without_a_store_for_an_address_nothing_is_sent() {
    let (server, uri) = subscribed().await;
    server.storage.refuse_writes().await;
    for refused in [
        create(&server.udesk, Subscription { display_name: "other".into(), ..feed() }).await.unwrap_err(),
        update(&server.udesk, "102", whole(), &ALL).await.unwrap_err(),
    ] {
        assert_eq!(refused.reason(), ErrorReason::StorageUnavailable);
    }
    assert!(server.sent().is_empty());
    assert_eq!(is_taken(&server.storage, &uri).await, TAKEN);
}

#[tokio::test]
async fn an_address_in_udesks_text_is_not_passed_on() {
    // Udesk may quote it whole, in part, cut off or escaped, in every text.
    for quote in [
        |uri: &str| uri.to_owned(),
        |uri: &str| uri.rsplit('/').next().unwrap().to_owned(),
        |uri: &str| uri[..uri.len() - 9].to_owned(),
        |uri: &str| uri.replace('/', "\\/"),
        |uri: &str| uri.replace('/', "%2F"),
    ] {
        let reported: Arc<Mutex<String>> = Arc::default();
        let router = axum::Router::new().fallback({
            let reported = reported.clone();
            move |bytes: Bytes| async move {
                let uri = callback(&serde_json::from_slice(&bytes).unwrap());
                let text = format!("no route to {}, try again", quote(&uri));
                *reported.lock().unwrap() = uri;
                json!({ "ErrCode": "000001", "ErrDesc": text, "Result": text }).to_string()
            }
        });
        let storage = Database::in_memory().unwrap();
        let udesk = at(router, &storage).await;
        shows_nothing_of(&reported, create(&udesk, feed()).await.unwrap_err());
        shows_nothing_of(&reported, update(&udesk, "7", whole(), &ALL).await.unwrap_err());
    }
}

fn shows_nothing_of(uri: &Mutex<String>, error: Error) {
    let message = error.message().to_owned();
    assert!(message.contains("no route to ") && message.ends_with(", try again"), "{message}");
    let debug = format!("{error:?} {error}");
    let status = error.into_status(&cx());
    let shown = format!("{debug} {status:?} {}", String::from_utf8_lossy(status.details()));
    let uri = uri.lock().unwrap();
    for at in 0..segment(&uri).len() - 8 {
        let part = &segment(&uri)[at..at + 8];
        assert!(!shown.contains(part), "{part} is in {shown}");
    }
}
