//! Subscriptions: Udesk 18 to 21, and IDs that are returned once.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    NOW, Scripted, ScriptedResponse, TestServer, cx, fields, mask, metadata, name, page, resource, subscriptions,
};
use crate::{
    adapter::Adapter,
    config::TimestampUnit::Milliseconds,
    error::{ErrorReason, Result},
    proto::v1::{EventType, ListSubscriptionsRequest, Subscription},
    store::kv::KeyValueStore as _,
};

const CALLBACK: &str = "https://crm.example.com/hooks/s3cret";
const ALL: [&str; 5] = ["display_name", "callback_uri", "event_types", "vendor_event_types", "enabled"];

fn crm() -> Subscription {
    Subscription {
        display_name: "crm".into(),
        callback_uri: CALLBACK.into(),
        event_types: vec![EventType::CallHungUp.into(), EventType::AgentStateChanged.into()],
        vendor_event_types: vec!["begin".into()],
        ..Default::default()
    }
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

async fn ids(udesk: &Arc<dyn Adapter>) -> Vec<String> {
    let id =
        |subscription: Subscription| subscription.name.trim_start_matches("centers/acme/subscriptions/").to_owned();
    subscriptions(udesk).await.unwrap().into_iter().map(id).collect()
}

fn terms(name: &str, enable: bool) -> Value {
    let events = ["general_hangup", "acd_agent_state", "begin"];
    json!({ "callback": CALLBACK, "name": name, "events": events, "enable": enable })
}

#[tokio::test]
async fn a_subscription_survives_a_restart_although_udesk_lists_no_ids() {
    let server = TestServer::open().await;
    let made = create(&server.udesk, crm()).await.unwrap();
    let expected = Subscription { name: "centers/acme/subscriptions/102".into(), enabled: Some(true), ..crm() };
    assert_eq!(made, expected);
    let mut asked = terms("crm", true);
    asked.as_object_mut().unwrap().remove("enable");
    assert_eq!(server.sent(), [("POST /subscriptions".into(), json!({ "subscriptions": [asked] }))]);

    let udesk = server.restarted(NOW, Milliseconds);
    let listed = ids(&udesk).await;
    assert_eq!(listed[0], "102");
    assert!(listed[1].starts_with('~'), "the one that was there before: {}", listed[1]);
    let get = async |id: &str| udesk.get_subscription(&cx(), name(&format!("centers/acme/subscriptions/{id}"))).await;
    assert_eq!(get("102").await.unwrap(), expected);
    assert_eq!(get(&listed[1]).await.unwrap().display_name, "wallboard");
    assert_eq!(get("101").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);

    server.sent();
    let change = Subscription { display_name: "CRM".into(), enabled: Some(false), ..Default::default() };
    let changed = update(&udesk, "102", change, &["display_name", "enabled"]).await.unwrap();
    assert_eq!(changed, Subscription { display_name: "CRM".into(), enabled: Some(false), ..expected });
    let put = ("PUT /subscriptions/102".to_owned(), terms("CRM", false));
    assert_eq!(server.sent(), [("GET /subscriptions".to_owned(), Value::Null), put]);

    let udesk = server.restarted(NOW, Milliseconds);
    assert_eq!(ids(&udesk).await[0], "102", "also by its new name");
    server.requests();
    delete(&udesk, "102").await.unwrap();
    let deleted = server.requests();
    assert_eq!((deleted[0].path.as_str(), deleted[0].body.as_str()), ("/ccapi/v2/subscriptions/102", ""));
    let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    assert!(deleted[0].headers.contains(&form), "although there is no body (C8)");
    assert_eq!(ids(&udesk).await.len(), 1);
    assert!(server.subscription_ids().list("acme").await.unwrap().is_empty());
    assert_eq!(resource(delete(&udesk, "102").await.unwrap_err()), "centers/acme/subscriptions/102");
}

#[tokio::test]
async fn a_subscription_is_disabled_in_a_second_request() {
    let server = TestServer::open().await;
    let made = create(&server.udesk, Subscription { enabled: Some(false), ..crm() }).await.unwrap();
    assert_eq!(made.enabled, Some(false));
    assert_eq!(server.sent()[1], ("PUT /subscriptions/102".to_owned(), terms("crm", false)));
    assert_eq!(subscriptions(&server.udesk).await.unwrap()[0].enabled, Some(false));

    let made = json!({ "sub_succ": { "subid": 7, "name": "crm" }, "sub_fail": [] });
    for (response, unknown) in [(ScriptedResponse::refusal("000001"), "0"), (ScriptedResponse::new(500, ""), "1")] {
        let server = Scripted::new([ScriptedResponse::ok(&made), response]).await;
        let partly = create(&server.udesk, Subscription { enabled: Some(false), ..crm() }).await.unwrap_err();
        assert_eq!(partly.reason(), ErrorReason::PartiallyApplied);
        assert_eq!(metadata(partly.clone(), "appliedCount"), "1");
        assert_eq!(metadata(partly.clone(), "unknownCount"), unknown);
        assert_eq!(metadata(partly.clone(), "vendorOperation"), "PUT /subscriptions/{id}");
        assert_eq!(resource(partly), "centers/acme/subscriptions/7");
    }
}

#[tokio::test]
async fn what_a_response_to_a_new_subscription_means() {
    let made = async |result: Value| {
        let server = Scripted::results([result]).await;
        create(&server.udesk, crm()).await.map(|made| made.name).map_err(|error| {
            assert_eq!(metadata(error.clone(), "vendorCode"), "000000");
            error.reason()
        })
    };
    let one = Ok("centers/acme/subscriptions/168".to_owned());
    for success in [
        json!({ "sub_succ": [{ "subid": 168, "name": "test" }], "sub_fail": null }),
        json!({ "sub_succ": { "subid": "168", "name": "crm" }, "sub_fail": "" }),
        json!({ "sub_succ": [{ "subid": 168 }], "sub_fail": ["", null, {}] }),
        json!({ "sub_succ": [{ "subid": 168 }] }),
        json!("{\"sub_succ\":[{\"subid\":168}]}"),
    ] {
        assert_eq!(made(success.clone()).await, one, "{success}");
    }
    for refusal in [
        json!({ "sub_succ": [], "sub_fail": ["crm"] }),
        json!({ "sub_succ": null, "sub_fail": [{ "name": "crm" }] }),
        json!({ "sub_succ": null, "sub_fail": "crm" }),
    ] {
        assert_eq!(made(refusal.clone()).await, Err(ErrorReason::VendorRejected), "{refusal}");
    }
    for unclear in [
        json!({ "sub_succ": [{ "name": "crm" }] }),
        json!({ "sub_succ": [{ "subid": 168, "name": "crm" }], "sub_fail": "crm" }),
        json!({ "sub_succ": null, "sub_fail": null }),
        json!({ "sub_succ": [], "sub_fail": [""] }),
        json!(null),
    ] {
        assert_eq!(made(unclear.clone()).await, Err(ErrorReason::VendorOutcomeUnknown), "{unclear}");
    }
}

#[tokio::test]
async fn a_failed_subscription_is_reported_without_its_callback_and_its_name() {
    let text = format!("crm: no route to {CALLBACK} of sid-0001");
    let reported = "***: no route to *** of ***, name is taken";
    for (failures, message, vendor_message) in [
        (
            json!([null, text, { "why": "name is taken" }]),
            format!("Udesk refused the subscription: {reported}"),
            reported,
        ),
        (json!(["crm"]), "Udesk refused the subscription without a reason".to_owned(), ""),
    ] {
        let server = Scripted::results([json!({ "sub_succ": [], "sub_fail": failures })]).await;
        let refused = create(&server.udesk, crm()).await.unwrap_err();
        assert_eq!(refused.message(), message);
        assert_eq!(metadata(refused, "vendorMessage"), vendor_message);
    }
}

#[tokio::test]
async fn a_subscription_may_be_listed_by_the_name_in_the_response() {
    let listed = json!([{ "callback": CALLBACK, "enable": "false", "events": [], "name": "test" }]);
    let responses = [json!({ "sub_succ": [{ "subid": 168, "name": "test" }] }), listed];
    let server = Scripted::results(responses).await;
    create(&server.udesk, crm()).await.unwrap();
    assert_eq!(ids(&server.udesk).await, ["168"]);
}

#[tokio::test]
async fn a_subscription_may_be_listed_by_the_name_in_the_response_to_its_change() {
    let row = |name: &str| json!({ "callback": CALLBACK, "enable": "true", "events": ["begin"], "name": name });
    let responses = [json!({ "CRM (acme)": 164 }), json!([row("CRM (acme)")]), json!("done"), json!([row("crm")])];
    let server = Scripted::results(responses).await;
    for _ in 0..2 {
        update(&server.udesk, "168", Subscription { enabled: Some(true), ..crm() }, &ALL).await.unwrap();
        assert_eq!(ids(&server.udesk).await, ["168"]);
    }
    assert_eq!(server.storage.list("subscription.acme.").await.unwrap().len(), 1, "and by no other name for longer");
}

#[tokio::test]
async fn one_object_in_place_of_a_list_may_not_be_all() {
    let made = |id: i64, name: &str| json!({ "sub_succ": [{ "subid": id, "name": name }] });
    let row = |name: &str| json!({ "callback": CALLBACK, "enable": "true", "events": ["begin"], "name": name });
    let listed = async |list: Value| {
        let server = Scripted::results([made(7, "a"), made(8, "b"), list.clone(), list]).await;
        create(&server.udesk, Subscription { display_name: "a".into(), ..crm() }).await.unwrap();
        create(&server.udesk, Subscription { display_name: "b".into(), ..crm() }).await.unwrap();
        let page = page(&mut ListSubscriptionsRequest::default());
        let list = server.udesk.list_subscriptions(&cx(), name("centers/acme"), page).await.unwrap();
        let other = server.udesk.get_subscription(&cx(), name("centers/acme/subscriptions/8")).await;
        (list.incomplete_reason, other.map_err(|error| metadata(error, "cause")))
    };
    let mut with_id = row("x");
    with_id["subid"] = json!(7);
    for one in [row("a"), with_id] {
        let (reason, other) = listed(one).await;
        assert!(reason.contains("1 more that the gateway knows"), "{reason}");
        assert_eq!(other.unwrap_err(), reason);
    }
    assert_eq!(listed(json!([row("a")])).await.0, "", "a list is all");
    let (reason, other) = listed(json!([row("a"), row("b")])).await;
    assert_eq!((reason.as_str(), other.unwrap().display_name.as_str()), ("", "b"));
}

#[tokio::test]
async fn a_duplicate_is_refused_and_the_first_stays_known() {
    let server = TestServer::open().await;
    create(&server.udesk, crm()).await.unwrap();
    assert_eq!(create(&server.udesk, crm()).await.unwrap_err().reason(), ErrorReason::VendorRejected);
    assert_eq!(ids(&server.udesk).await[0], "102");
    let taken = Subscription { display_name: "wallboard".into(), ..Default::default() };
    let taken = update(&server.udesk, "102", taken, &["display_name"]).await.unwrap_err();
    assert_eq!(
        (taken.reason(), resource(taken)),
        (ErrorReason::ResourceExists, "centers/acme/subscriptions/102".into())
    );
    assert_eq!(server.subscription_ids().list("acme").await.unwrap().len(), 1);
    assert_eq!(ids(&server.udesk).await[0], "102");
}

#[tokio::test]
async fn a_subscription_with_an_unknown_id_can_be_read_or_replaced_whole() {
    let server = TestServer::open().await;
    let stand_in = ids(&server.udesk).await.remove(0);
    server.sent();
    for refused in [
        update(&server.udesk, &stand_in, crm(), &ALL).await.map(drop).unwrap_err(),
        delete(&server.udesk, &stand_in).await.unwrap_err(),
    ] {
        assert_eq!(refused.reason(), ErrorReason::FieldInvalid);
        assert!(fields(&refused)[0].ends_with("name"));
    }
    assert!(server.sent().is_empty());
    // With an ID from elsewhere, a part cannot be changed, because the rest is unknown; the whole can.
    let partly = update(&server.udesk, "101", crm(), &["display_name"]).await.unwrap_err();
    assert_eq!(
        (partly.reason(), resource(partly)),
        (ErrorReason::ResourceNotFound, "centers/acme/subscriptions/101".into())
    );
    server.sent();
    let whole = Subscription { enabled: Some(true), ..crm() };
    update(&server.udesk, "101", whole, &ALL).await.unwrap();
    assert_eq!(server.sent(), [("PUT /subscriptions/101".to_owned(), terms("crm", true))]);
    assert_eq!(ids(&server.udesk).await, ["101"], "and from then on it is known");
    let gone = update(&server.udesk, "999", Subscription { enabled: Some(true), ..crm() }, &ALL).await.unwrap_err();
    assert_eq!(gone.reason(), ErrorReason::ResourceNotFound);
    assert_eq!(server.subscription_ids().list("acme").await.unwrap().len(), 1);
}

#[tokio::test]
async fn unchanged_fields_are_written_back_as_udesk_returned_them() {
    let listed =
        json!({ "subid": 7, "callback": CALLBACK, "enable": "false", "events": ["begin", "play_succ"], "name": "crm" });
    let hung_up = || Subscription { event_types: vec![EventType::CallHungUp.into()], ..Default::default() };
    let others = |names: &[&str]| Subscription {
        vendor_event_types: names.iter().map(|&name| name.into()).collect(),
        ..Default::default()
    };
    for (paths, change, written) in [
        (
            &["display_name"][..],
            Subscription { display_name: "CRM".into(), ..Default::default() },
            ("CRM", json!(["play_succ", "begin"])),
        ),
        (&["event_types", "vendor_event_types"], others(&["end"]), ("crm", json!(["end"]))),
        (&["event_types", "vendor_event_types"], hung_up(), ("crm", json!(["general_hangup"]))),
        (&["event_types"], hung_up(), ("crm", json!(["general_hangup", "begin"]))),
        (&["vendor_event_types"], others(&["end", "play_succ"]), ("crm", json!(["play_succ", "end"]))),
    ] {
        let server = Scripted::results([listed.clone(), json!({ "crm": 7 })]).await;
        update(&server.udesk, "7", change, paths).await.unwrap();
        let body = json!({ "callback": CALLBACK, "name": written.0, "events": written.1, "enable": false });
        assert_eq!(server.sent()[1], ("PUT /subscriptions/7".to_owned(), body));
    }
}

#[tokio::test]
async fn fields_that_udesk_omits_are_not_written_as_empty() {
    let listed =
        json!({ "subid": 7, "callback": CALLBACK, "enable": "true", "events": ["general_hangup"], "name": "crm" });
    let change = Subscription { enabled: Some(false), ..crm() };
    for (left_out, field) in
        [("name", "display_name"), ("callback", "callback_uri"), ("events", "event_types"), ("enable", "enabled")]
    {
        for nothing in [None, Some(json!(null)), Some(json!(""))] {
            let mut listed = listed.clone();
            listed.as_object_mut().unwrap().remove(left_out);
            listed.as_object_mut().unwrap().extend(nothing.map(|nothing| (left_out.to_owned(), nothing)));
            for masked in [&ALL[..1], &ALL[1..2], &ALL[2..4], &ALL[4..]] {
                let server = Scripted::results([listed.clone(), json!({ "crm": 7 })]).await;
                let updated = update(&server.udesk, "7", change.clone(), masked).await;
                if masked[0] == field {
                    updated.unwrap();
                } else {
                    let refused = updated.unwrap_err();
                    assert_eq!((refused.reason(), fields(&refused)), (ErrorReason::FieldInvalid, vec!["update_mask"]));
                    let message = refused.message();
                    assert!(message.contains(&format!("did not return {field} of")), "{message}");
                    assert!(message.contains("display_name, callback_uri, event_types and enabled"), "{message}");
                    assert_eq!(server.sent(), [("GET /subscriptions".to_owned(), Value::Null)]);
                }
            }
        }
    }
}

#[tokio::test]
async fn an_invalid_subscription_is_refused_before_anything_is_sent() {
    let server = TestServer::open().await;
    let unsupported =
        Subscription { event_types: vec![EventType::CallHungUp.into(), EventType::CallStateChanged.into()], ..crm() };
    let refused = create(&server.udesk, unsupported).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::FieldUnsupported);
    assert_eq!(fields(&refused), ["subscription.event_types[1]"]);
    let twice = Subscription { vendor_event_types: vec![String::new(), "general_hangup".into()], ..crm() };
    let refused = create(&server.udesk, twice).await.unwrap_err();
    assert_eq!(fields(&refused), ["subscription.vendor_event_types[0]", "subscription.vendor_event_types[1]"]);
    let refused = update(&server.udesk, "x", Subscription::default(), &["callback_uri"]).await.unwrap_err();
    assert_eq!(fields(&refused), ["subscription.name"]);
    assert!(server.sent().is_empty());
}

#[tokio::test]
async fn without_a_store_for_an_id_nothing_is_sent() {
    let server = TestServer::open().await;
    let made = create(&server.udesk, crm()).await.unwrap();
    server.storage.refuse_writes().await;
    server.sent();
    let other = Subscription { display_name: "other".into(), ..crm() };
    let refused = create(&server.udesk, other.clone()).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::StorageUnavailable);
    let whole = Subscription { enabled: Some(true), ..other };
    let refused = update(&server.udesk, "102", whole, &ALL).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::StorageUnavailable);
    assert!(server.sent().is_empty());
    // The subscription is deleted even if its record cannot be removed.
    delete(&server.udesk, made.name.rsplit('/').next().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_change_keeps_the_requested_name_under_any_listed_name() {
    let listed = |name: &str| json!([{ "name": name, "callback": CALLBACK, "events": ["begin"], "enable": "true" }]);
    // Udesk responds with the requested name, with the tenant's, or with none.
    for answered in ["desk", "Example Ltd", ""] {
        let made = json!({ "sub_succ": [{ "subid": 71, "name": answered }], "sub_fail": [] });
        for (renamed, expected) in [(None, "desk"), (Some("front desk"), "front desk")] {
            let replies = [made.clone(), listed("Example Ltd"), json!({}), listed("Example Ltd"), json!({})];
            let server = Scripted::results(replies).await;
            let new = Subscription { display_name: "desk".into(), ..crm() };
            create(&server.udesk, new).await.unwrap();
            let change = Subscription { enabled: Some(false), ..Default::default() };
            match renamed {
                None => update(&server.udesk, "71", change.clone(), &["enabled"]).await.unwrap(),
                Some(name) => {
                    let change = Subscription { display_name: name.into(), ..change.clone() };
                    update(&server.udesk, "71", change, &["display_name", "enabled"]).await.unwrap()
                }
            };
            update(&server.udesk, "71", change, &["enabled"]).await.unwrap();
            let written = json!({ "callback": CALLBACK, "name": expected, "events": ["begin"], "enable": false });
            for index in [2, 4] {
                let put = ("PUT /subscriptions/71".to_owned(), written.clone());
                assert_eq!(server.sent()[index], put, "{answered} {renamed:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_field_that_lost_a_character_is_not_written_back() {
    let listed = json!({ "subid": 7, "callback": CALLBACK, "enable": "true", "events": ["begin"], "name": "crm" });
    for (member, odd, field) in [
        ("name", json!("c\u{fffd}m"), "display_name"),
        ("callback", json!("https://crm.example.com/\u{fffd}"), "callback_uri"),
        ("events", json!(["begin", "\u{fffd}nd"]), "vendor_event_types"),
    ] {
        let mut listed = listed.clone();
        listed[member] = odd;
        for masked in ALL {
            let server = Scripted::results([listed.clone(), json!({ "crm": 7 })]).await;
            let updated = update(&server.udesk, "7", Subscription { enabled: Some(true), ..crm() }, &[masked]).await;
            if masked == field {
                updated.unwrap();
                assert!(!server.sent()[1].1.to_string().contains('\u{fffd}'));
            } else {
                let refused = updated.unwrap_err();
                let named = format!("subscription.{field}");
                assert_eq!((refused.reason(), fields(&refused)), (ErrorReason::VendorResponseInvalid, vec![&*named]));
                assert_eq!(server.sent().len(), 1, "nothing is written");
            }
        }
    }
}
