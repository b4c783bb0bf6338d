//! Queues.

use prost_types::Duration as Seconds;
use serde_json::json;

use super::*;
use crate::error::ErrorReason;

const fn lasts(seconds: i64) -> Seconds {
    Seconds { seconds, nanos: 0 }
}

fn new_queue() -> v1::Queue {
    v1::Queue { display_name: "After-sales 2".into(), ..v1::Queue::default() }
}

async fn create(server: &TestServer, queue: v1::Queue) -> Result<v1::Queue> {
    let request = v1::CreateQueueRequest { queue: Some(queue), ..Default::default() };
    server.adapter.create_queue(&cx("CreateQueue"), center(), request).await
}

async fn update(server: &TestServer, id: &str, queue: v1::Queue, mask: &[&str]) -> Result<v1::Queue> {
    let mask = mask.iter().map(|&path| path.to_owned()).collect();
    server.adapter.update_queue(&cx("UpdateQueue"), queue_name(id), queue, mask).await
}

async fn delete(server: &TestServer, id: &str) -> Result<()> {
    server.adapter.delete_queue(&cx("DeleteQueue"), queue_name(id)).await
}

#[tokio::test]
async fn a_queue_is_read_by_its_number() {
    let server = TestServer::start("").await;
    let expected = v1::Queue {
        name: "centers/beta/queues/1".into(),
        display_name: "Support".into(),
        wait_timeout: Some(lasts(60)),
        vendor_data: vendor_data(
            &json!({ "mediaTypeId": 5, "maxWaitNum": 100, "maxAgentWrapupTime": 20, "description": "Questions" }),
        ),
        ..v1::Queue::default()
    };
    assert_eq!(server.queue("1").await.unwrap(), expected);
    let sent = json!({ "skillIds": ["1"], "limit": "100", "offset": "0" });
    assert_eq!(server.requests(), [("skill/querySkills".to_owned(), sent)]);
    assert_eq!(server.queue("99").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
}

/// The document filters by number; a vendor that does not is asked page by page.
#[tokio::test]
async fn a_queue_is_found_where_the_vendor_ignores_its_number() {
    let page = |from: usize| {
        let skills = (from..from + 100).map(|id| json!({"skillId": id.to_string(), "name": format!("queue {id}")}));
        json!({"returnCode": "0", "total": 150, "data": skills.take(150 - from).collect::<Vec<_>>()}).to_string()
    };
    for (id, is_found) in [("140", true), ("151", false)] {
        let server = TestServer::start("").await;
        server.respond("skill/querySkills", 200, &page(0));
        server.respond("skill/querySkills", 200, &page(100));
        let request = v1::GetQueueRequest::default();
        let queue = server.adapter.get_queue(&cx("GetQueue"), queue_name(id), request).await;
        match queue {
            Ok(queue) => assert!(is_found && queue.display_name == "queue 140", "{queue:?}"),
            Err(error) => assert!(!is_found && error.reason() == ErrorReason::ResourceNotFound, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn queues_are_listed_in_pages() {
    let server = TestServer::start("").await;
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListQueuesRequest { page_size: 3, page_token: token, ..Default::default() };
        let response = server.list_queues(request).await.unwrap();
        assert_eq!(response.total_size, 4);
        names.extend(response.queues.into_iter().map(|queue| queue.display_name));
        token = response.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["Support", "Sales", "Chat", "Video"]);
    let sent: Vec<Value> = server.requests().into_iter().map(|(_, body)| body).collect();
    assert_eq!(sent, [json!({ "limit": "3", "offset": "0" }), json!({ "limit": "3", "offset": "3" })]);
    let empty = TestServer::with(Setup { tenant: Tenant::Empty, ..Setup::default() }).await;
    assert_eq!(empty.list_queues(v1::ListQueuesRequest::default()).await.unwrap(), v1::ListQueuesResponse::default());
}

#[tokio::test]
async fn the_vendor_accepts_the_defaults_of_a_new_queue() {
    let server = TestServer::start("").await;
    let created = create(&server, new_queue()).await.unwrap();
    let sent = json!({
        "mediaTypeId": 5, "description": "Aftersales2", "name": "After-sales 2", "maxWaitTime": 60,
        "maxWaitNum": 100, "maxAgentWrapupTime": 5,
        "skillParam": {
            "noAgents": { "transferType": "Release" }, "busy": { "transferType": "Release" },
            "timeOut": { "transferType": "Release" }, "answerFunction": "0",
            "waitVoice": { "parameterType": "Voice" },
        },
    });
    assert_eq!(server.requests()[0], ("skill/createSkill".to_owned(), sent));
    assert_eq!((last(&created.name).as_str(), created.wait_timeout), ("5", Some(lasts(60))));
    assert_eq!(created, server.queue("5").await.unwrap());
}

#[tokio::test]
async fn every_media_type_has_accepted_defaults() {
    let server = TestServer::start("").await;
    for media in [2, 5, 18, 19, 53] {
        let queue = v1::Queue {
            display_name: format!("Kind {media}"),
            vendor_data: vendor_data(&json!({ "mediaTypeId": media })),
            ..v1::Queue::default()
        };
        let created = create(&server, queue).await.unwrap();
        assert_eq!(extra(created.vendor_data.as_ref(), "mediaTypeId"), media.to_string());
    }
}

#[tokio::test]
async fn vendor_data_overrides_the_defaults() {
    let server = TestServer::start("").await;
    let given = json!({
        "maxWaitNum": 7, "maxAgentWrapupTime": 30, "description": "Zweite",
        "skillParam": { "timeOut": { "transferType": "Transfer", "deviceType": "1", "value": 1 } },
    });
    let queue = v1::Queue { wait_timeout: Some(lasts(90)), vendor_data: vendor_data(&given), ..new_queue() };
    let created = create(&server, queue).await.unwrap();
    let sent = &server.requests()[0].1;
    assert_eq!(sent["skillParam"]["timeOut"], given["skillParam"]["timeOut"]);
    assert_eq!(sent["skillParam"]["busy"], json!({ "transferType": "Release" }));
    assert_eq!(created.wait_timeout, Some(lasts(90)));
    let reported =
        vendor_data(&json!({ "mediaTypeId": 5, "maxWaitNum": 7, "maxAgentWrapupTime": 30, "description": "Zweite" }));
    assert_eq!(created.vendor_data, reported);
}

#[tokio::test]
async fn the_new_number_may_be_in_data() {
    let server = TestServer::start("").await;
    server.response_is_lost("createSkill", 200, r#"{"returnCode":"0","data":{"skillId":"5"}}"#);
    assert_eq!(create(&server, new_queue()).await.unwrap().display_name, "After-sales 2");
}

#[tokio::test]
async fn an_unknown_number_of_a_new_agent_is_an_unknown_outcome() {
    let server = TestServer::start("").await;
    server.respond("createSkill", 200, r#"{"returnCode":"0"}"#);
    assert_eq!(create(&server, new_queue()).await.unwrap_err().reason(), ErrorReason::VendorOutcomeUnknown);
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_back_is_returned_as_sent() {
    let server = TestServer::start("").await;
    server.respond("querySkills", 200, "<html>");
    let created = create(&server, new_queue()).await.unwrap();
    assert_eq!(created, server.queue("5").await.unwrap());
    server.respond("querySkills", 200, "<html>");
    let change = v1::Queue { wait_timeout: Some(lasts(30)), ..v1::Queue::default() };
    let updated = update(&server, "5", change, &["wait_timeout"]).await.unwrap();
    assert_eq!((updated.wait_timeout, last(&updated.name).as_str()), (Some(lasts(30)), "5"));
}

#[tokio::test]
async fn a_name_in_use_is_reported() {
    let server = TestServer::start("").await;
    let error = create(&server, v1::Queue { display_name: "Sales".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::ResourceExists);
    server.respond("createSkill", 200, r#"{"returnCode":"1","description":"quota"}"#);
    assert_eq!(create(&server, new_queue()).await.unwrap_err().reason(), ErrorReason::VendorRejected);
}

#[tokio::test]
async fn an_update_sends_what_changes_and_reads_it_back() {
    let server = TestServer::start("").await;
    let change = v1::Queue {
        wait_timeout: Some(lasts(120)),
        vendor_data: vendor_data(&json!({ "maxWaitNum": 9 })),
        ..v1::Queue::default()
    };
    let updated = update(&server, "2", change.clone(), &["wait_timeout", "vendor_data"]).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].1, json!({ "skillId": 2, "maxWaitTime": 120, "maxWaitNum": 9 }));
    assert_eq!((updated.display_name.as_str(), updated.wait_timeout), ("Sales", Some(lasts(120))));
    assert_eq!(extra(updated.vendor_data.as_ref(), "maxWaitNum"), "9");
    assert_eq!(extra(updated.vendor_data.as_ref(), "description"), "Orders");
    let missing = update(&server, "99", change.clone(), &["wait_timeout"]).await.unwrap_err();
    assert_eq!(missing.reason(), ErrorReason::ResourceNotFound);
    let default = v1::Queue { wait_timeout: Some(lasts(0)), ..v1::Queue::default() };
    assert_eq!(update(&server, "2", default, &["wait_timeout"]).await.unwrap().wait_timeout, Some(lasts(60)));
}

#[tokio::test]
async fn a_part_of_skill_param_is_merged_into_the_vendors_own() {
    let server = TestServer::start("").await;
    let busy = json!({ "transferType": "Transfer", "deviceType": "3", "value": 900 });
    let change =
        v1::Queue { vendor_data: vendor_data(&json!({ "skillParam": { "busy": busy } })), ..v1::Queue::default() };
    update(&server, "2", change.clone(), &["vendor_data"]).await.unwrap();
    let (_, sent) = server.requests().remove(1);
    let release = json!({ "transferType": "Release" });
    let whole = json!({
        "noAgents": release, "busy": busy, "answerFunction": "0", "waitVoice": { "parameterType": "Voice" },
        "timeOut": { "transferType": "Transfer", "deviceType": "1", "value": 1 },
    });
    assert_eq!(sent, json!({ "skillId": 2, "skillParam": whole }));
    let missing = update(&server, "99", change, &["vendor_data"]).await.unwrap_err();
    assert_eq!(missing.reason(), ErrorReason::ResourceNotFound);
    assert_eq!(server.calls().last().unwrap(), "skill/querySkills");
}

#[tokio::test]
async fn unchangeable_fields_are_refused() {
    let server = TestServer::start("").await;
    let change = v1::Queue {
        display_name: "New".into(),
        strategy: v1::QueueStrategy::RoundRobin.into(),
        wait_music: "x.wav".into(),
        vendor_data: vendor_data(&json!({ "mediaTypeId": 5 })),
        ..v1::Queue::default()
    };
    let mask = ["display_name", "strategy", "wait_music", "vendor_data"];
    let error = update(&server, "1", change, &mask).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldUnsupported);
    let refused = ["display_name", "strategy", "wait_music", "vendor_data.mediaTypeId"];
    assert_eq!(fields(&error), refused.map(|path| format!("queue.{path}")));
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_queue_is_deleted_unless_it_has_agents() {
    let server = TestServer::start("").await;
    let error = delete(&server, "1").await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::ResourceInUse);
    assert_eq!(metadata(&error, "vendorMessage"), "The skill queue has agents");
    create(&server, new_queue()).await.unwrap();
    server.calls();
    delete(&server, "5").await.unwrap();
    assert_eq!(server.requests(), [("skill/deleteSkill".to_owned(), json!({ "skillIds": "5" }))]);
    // HTTP 404 here means that there is no such queue.
    assert_eq!(delete(&server, "5").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    // A wrong path and a proxy respond so, too: a queue that exists is not in use because of it.
    for body in ["<html>nginx</html>", r#"{"error_code":"APIG.0101","error_msg":"The API does not exist"}"#] {
        server.respond("deleteSkill", 404, body);
        assert_eq!(delete(&server, "1").await.unwrap_err().reason(), ErrorReason::CenterMisconfigured, "{body}");
    }
    server.respond("deleteSkill", 200, r#"{"returnCode":"1","description":"no"}"#);
    server.respond("queryAgentInfoBySkillId", 200, r#"{"resultCode":"0","count":0,"data":[]}"#);
    assert_eq!(delete(&server, "1").await.unwrap_err().reason(), ErrorReason::VendorRejected);
}

#[tokio::test]
async fn a_part_of_skill_param_that_lost_a_character_is_not_written_back() {
    let skill = r#"{"returnCode":"0","data":[{"skillId":"2","name":"Sales","mediaTypeId":"5","skillParam":{
        "busy":{"transferType":"Release"},"timeOut":{"transferType":"Transfer","deviceType":"3","value":"\ufffd1"}}}]}"#;
    let part = |part: &str| v1::Queue {
        vendor_data: vendor_data(&json!({ "skillParam": { part: { "transferType": "Release" } } })),
        ..v1::Queue::default()
    };
    let server = TestServer::start("").await;
    server.respond("skill/querySkills", 200, skill);
    let refused = update(&server, "2", part("busy"), &["vendor_data"]).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::VendorResponseInvalid);
    assert_eq!(fields(&refused), ["queue.vendor_data.skillParam.timeOut"]);
    assert!(!server.calls().contains(&"skill/modifySkill".to_owned()), "nothing is written");
    server.respond("skill/querySkills", 200, skill);
    server.respond("skill/modifySkill", 200, r#"{"returnCode":"0"}"#);
    update(&server, "2", part("timeOut"), &["vendor_data"]).await.unwrap();
    assert!(server.requests().iter().all(|(_, body)| !body.to_string().contains('\u{fffd}')));
}
