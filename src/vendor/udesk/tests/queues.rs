//! Queues: Udesk 11 to 14.

use prost_types::Duration;
use serde_json::{Value, json};

use super::{Scripted, ScriptedResponse, TestServer, cx, fields, mask, metadata, name, queue, resource};
use crate::{
    error::{ErrorReason, Result},
    proto::v1,
};

fn request(id: &str, name: &str) -> v1::CreateQueueRequest {
    let queue = v1::Queue { display_name: name.into(), ..Default::default() };
    v1::CreateQueueRequest { queue_id: id.into(), queue: Some(queue), ..Default::default() }
}

async fn create(server: &TestServer, id: &str, queue_name: &str) -> Result<v1::Queue> {
    server.udesk.create_queue(&cx(), name("centers/acme"), request(id, queue_name)).await
}

async fn create_by_script(results: impl IntoIterator<Item = Value>) -> Result<v1::Queue> {
    let server = Scripted::results(results).await;
    server.udesk.create_queue(&cx(), name("centers/acme"), request("9008", "Night")).await
}

fn longest_idle() -> v1::Queue {
    v1::Queue { strategy: v1::QueueStrategy::LongestIdle.into(), ..Default::default() }
}

#[tokio::test]
async fn a_queue_has_the_id_that_udesk_assigns() {
    let server = TestServer::open().await;
    assert_eq!(create(&server, "9100", "Night").await.unwrap().name, "centers/acme/queues/9100");
    assert_eq!(create(&server, "", "Day").await.unwrap().name, "centers/acme/queues/9000");
    let bodies: Vec<Value> = server.sent().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [json!({ "QueueId": "9100", "QueueName": "Night" }), json!({ "QueueName": "Day" })]);
    for (result, id) in [
        (json!({ "QueueId": "181154" }), "181154"),
        (json!({ "QueueId": 181_154 }), "181154"),
        (json!({ "QueueId": "9008@7859ff65-0e6a", "More": 1 }), "9008"),
        (json!("9008"), "9008"),
        (json!("{\"QueueId\":\"181154\"}"), "181154"),
    ] {
        let made = create_by_script([result]).await.unwrap();
        assert_eq!((made.name, made.display_name), (format!("centers/acme/queues/{id}"), "Night".to_owned()));
    }
}

#[tokio::test]
async fn a_queue_without_an_id_in_the_response_is_found_by_its_name() {
    let list = |queues: Value| json!({ "Queues": queues });
    let night = |id: &str| json!({ "QueueId": id, "Name": "Night" });
    for nothing in [json!(null), json!(""), json!([]), json!({})] {
        let queues = list(json!([{ "QueueId": "9001", "Name": "Day" }, night("181154")]));
        assert_eq!(create_by_script([nothing, queues]).await.unwrap().name, "centers/acme/queues/181154");
    }
    for ambiguous in [list(json!([])), list(json!([night("1"), night("2")])), list(json!([night("")])), json!("odd")] {
        let unknown = create_by_script([json!(null), ambiguous]).await.unwrap_err();
        assert_eq!(unknown.reason(), ErrorReason::VendorOutcomeUnknown);
        assert_eq!(metadata(unknown, "vendorOperation"), "POST /queues");
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_created_is_refused() {
    let server = TestServer::open().await;
    let full = v1::Queue {
        wait_timeout: Some(Duration::default()),
        vendor_data: Some(prost_types::Struct::default()),
        ..longest_idle()
    };
    let asked = v1::CreateQueueRequest { queue_id: "8001".into(), queue: Some(full), ..Default::default() };
    let refused = server.udesk.create_queue(&cx(), name("centers/acme"), asked).await.unwrap_err();
    let expected = ["queue_id", "queue.display_name", "queue.strategy", "queue.wait_timeout", "queue.vendor_data"];
    assert_eq!((refused.reason(), fields(&refused)), (ErrorReason::FieldInvalid, expected.to_vec()));
    assert!(server.sent().is_empty());
    for (id, queue_name, named) in [("9001", "Night", "/queues/9001"), ("", "Sales", "")] {
        let refused = create(&server, id, queue_name).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::ResourceExists);
        assert_eq!(resource(refused), format!("centers/acme{named}"));
    }
}

#[tokio::test]
async fn an_update_writes_the_whole_queue() {
    let server = TestServer::open().await;
    let change = v1::Queue { wait_timeout: Some(Duration { seconds: 90, nanos: 0 }), ..longest_idle() };
    let sales = || name("centers/acme/queues/9001");
    let changed = server.udesk.update_queue(&cx(), sales(), change, mask(&["strategy", "wait_timeout"])).await.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.wait_music.as_str()), ("Sales", "waitmusic.wav"));
    assert_eq!(changed.strategy(), v1::QueueStrategy::LongestIdle);
    let body =
        json!({ "QueueId": "9001", "QueueName": "Sales", "Strategy": 2, "Timeout": 90, "WaitMusic": "waitmusic.wav" });
    let lines = [("GET /queues", Value::Null), ("PUT /queues", body), ("GET /queues", Value::Null)];
    assert_eq!(server.sent(), lines.map(|(line, body)| (line.to_owned(), body)));
    let cleared = server.udesk.update_queue(&cx(), sales(), v1::Queue::default(), mask(&["wait_music"])).await.unwrap();
    assert_eq!((cleared.wait_music.as_str(), cleared.wait_timeout), ("", Some(Duration { seconds: 90, nanos: 0 })));
}

#[tokio::test]
async fn unchanged_fields_are_written_back_as_udesk_returned_them() {
    let rows = [
        // As numbers, as text, as a code without a contract value, and absent.
        (
            json!({ "QueueId": "9001@x", "Name": "Sales", "Strategy": 9, "Timeout": 30, "WaitMusic": "a.wav", "More": 1 }),
            json!({ "QueueId": "9001", "QueueName": "Sales", "Strategy": 9, "Timeout": 30, "WaitMusic": "" }),
        ),
        (
            json!({ "QueueId": 9001, "QueueName": "Sales", "Strategy": "9", "Timeout": " 30", "WaitMusic": null }),
            json!({ "QueueId": "9001", "QueueName": "Sales", "Strategy": 9, "Timeout": 30, "WaitMusic": "" }),
        ),
        (
            json!({ "QueueId": "9001", "Name": "", "Strategy": "skill", "Timeout": "" }),
            json!({ "QueueId": "9001", "Strategy": "skill", "WaitMusic": "" }),
        ),
    ];
    for (read, written) in rows {
        let list = json!({ "Queues": [{ "QueueId": "9002" }, read] });
        let server = Scripted::results([list, json!(null)]).await;
        let queue_name = name("centers/acme/queues/9001");
        let changed = server.udesk.update_queue(&cx(), queue_name, v1::Queue::default(), mask(&["wait_music"])).await;
        assert_eq!(server.sent()[1].1, written);
        // The script has no response for the read-back, so the response is what was written.
        let changed = changed.unwrap();
        assert_eq!(changed.display_name, written["QueueName"].as_str().unwrap_or_default());
        assert_eq!(changed.strategy(), v1::QueueStrategy::Unspecified);
    }
}

#[tokio::test]
async fn an_impossible_update_is_refused() {
    let server = TestServer::open().await;
    let update = async |id: &str, change: v1::Queue, paths: &[&str]| {
        let name = name(&format!("centers/acme/queues/{id}"));
        server.udesk.update_queue(&cx(), name, change, mask(paths)).await.unwrap_err()
    };
    let refused = update("q", v1::Queue::default(), &["display_name", "vendor_data"]).await;
    assert_eq!(fields(&refused), ["queue.name", "queue.display_name", "queue.vendor_data"]);
    assert!(server.sent().is_empty());
    let missing = update("9999", longest_idle(), &["strategy"]).await;
    assert_eq!(missing.reason(), ErrorReason::ResourceNotFound);
    assert_eq!(resource(missing), "centers/acme/queues/9999");
    assert_eq!(server.sent().len(), 1, "nothing is written");
    let taken = v1::Queue { display_name: "Billing".into(), ..Default::default() };
    let taken = update("9001", taken, &["display_name"]).await;
    assert_eq!((taken.reason(), resource(taken)), (ErrorReason::ResourceExists, "centers/acme/queues/9001".into()));
}

#[tokio::test]
async fn two_updates_of_one_queue_lose_nothing() {
    let server = TestServer::open().await;
    let update = async |change: v1::Queue, path: &str| {
        server.udesk.update_queue(&cx(), name("centers/acme/queues/9001"), change, mask(&[path])).await.unwrap();
    };
    for round in 0..5 {
        let timeout =
            v1::Queue { wait_timeout: Some(Duration { seconds: 100 + round, nanos: 0 }), ..Default::default() };
        let music = v1::Queue { wait_music: format!("{round}.wav"), ..Default::default() };
        tokio::join!(update(timeout, "wait_timeout"), update(music, "wait_music"));
        let now = queue(&server.udesk, "9001").await.unwrap();
        assert_eq!(
            (now.wait_timeout.map(|timeout| timeout.seconds), now.wait_music),
            (Some(100 + round), format!("{round}.wav"))
        );
    }
}

#[tokio::test]
async fn a_queue_with_agents_is_in_use() {
    let server = TestServer::open().await;
    let delete = async |id: &str| server.udesk.delete_queue(&cx(), name(&format!("centers/acme/queues/{id}"))).await;
    let refused = delete("9004").await.unwrap_err();
    assert_eq!((refused.reason(), refused.vendor_code()), (ErrorReason::ResourceInUse, "000001"));
    assert_eq!(resource(refused), "centers/acme/queues/9004");
    for agent in ["1008", "1009"] {
        let agent = name(&format!("centers/acme/agents/{agent}"));
        server.udesk.remove_agent_queues(&cx(), agent, vec![name("centers/acme/queues/9004")]).await.unwrap();
    }
    server.sent();
    delete("9004").await.unwrap();
    assert_eq!(server.sent(), [("DELETE /queues".to_owned(), json!({ "QueueId": "9004" }))]);
    let missing = delete("9004").await.unwrap_err();
    assert_eq!(
        (missing.reason(), resource(missing)),
        (ErrorReason::ResourceNotFound, "centers/acme/queues/9004".into())
    );
    assert_eq!(fields(&delete("q").await.unwrap_err()), ["name"]);
    let other = Scripted::new([ScriptedResponse::refusal("300000"), ScriptedResponse::ok(&json!([]))]).await;
    let refused = other.udesk.delete_queue(&cx(), name("centers/acme/queues/9004")).await.unwrap_err();
    assert_eq!((refused.reason(), other.sent().len()), (ErrorReason::VendorCodeUnmapped, 2));
}

#[tokio::test]
async fn one_queue_is_found_in_the_list() {
    let server = TestServer::open().await;
    let support = queue(&server.udesk, "9003").await.unwrap();
    assert_eq!((support.display_name.as_str(), support.strategy()), ("Support", v1::QueueStrategy::LongestIdle));
    let missing = queue(&server.udesk, "9999").await.unwrap_err();
    assert_eq!(
        (missing.reason(), resource(missing)),
        (ErrorReason::ResourceNotFound, "centers/acme/queues/9999".into())
    );
    assert_eq!(fields(&queue(&server.udesk, "q").await.unwrap_err()), ["name"]);
}

/// A character that was not readable would be written back as another one.
#[tokio::test]
async fn a_field_that_lost_a_character_is_not_written_back() {
    let odd = [
        ("Name", "queue.display_name", "display_name"),
        ("Strategy", "queue.strategy", "strategy"),
        ("Timeout", "queue.wait_timeout", "wait_timeout"),
        ("WaitMusic", "queue.wait_music", "wait_music"),
    ];
    for (member, field, path) in odd {
        let mut read =
            json!({ "QueueId": "9001", "Name": "Sales", "Strategy": 1, "Timeout": 30, "WaitMusic": "a.wav" });
        read[member] = "\u{fffd}x".into();
        let change = || v1::Queue {
            display_name: "Night".into(),
            wait_timeout: Some(Duration { seconds: 90, nanos: 0 }),
            ..longest_idle()
        };
        let update = async |paths: &[&str]| {
            // After the list, the response to the change, and none to the read-back.
            let list = json!({ "Queues": [{ "QueueId": "9002", "Name": "\u{fffd}" }, read.clone()] });
            let server = Scripted::results([list, json!(null)]).await;
            let updated =
                server.udesk.update_queue(&cx(), name("centers/acme/queues/9001"), change(), mask(paths)).await;
            (updated, server.sent())
        };
        let others: Vec<&str> = odd.iter().map(|(.., path)| *path).filter(|other| *other != path).collect();
        let (refused, sent) = update(&others).await;
        let refused = refused.unwrap_err();
        assert_eq!((refused.reason(), fields(&refused)), (ErrorReason::VendorResponseInvalid, vec![field]));
        assert!(refused.to_string().contains(field), "{refused}");
        assert_eq!(sent.len(), 1, "nothing is written");
        let (updated, sent) = update(&[path]).await;
        updated.unwrap();
        assert!(!sent[1].1.to_string().contains('\u{fffd}'), "{sent:?}");
    }
}

/// What the caller sends is the caller's.
#[tokio::test]
async fn a_replacement_character_of_the_caller_is_written() {
    let list = json!({ "Queues": [{ "QueueId": "9001", "Name": "Sales" }] });
    let server = Scripted::results([list, json!(null)]).await;
    let queue = v1::Queue { display_name: "\u{fffd}".into(), ..Default::default() };
    server.udesk.update_queue(&cx(), name("centers/acme/queues/9001"), queue, mask(&["display_name"])).await.unwrap();
    assert_eq!(server.sent()[1].1, json!({ "QueueId": "9001", "QueueName": "\u{fffd}" }));
}
