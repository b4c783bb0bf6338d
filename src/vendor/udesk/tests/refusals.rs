//! The resource of a refusal, and the outcome that it proves.

use serde_json::{Value, json};

use super::{Scripted, ScriptedResponse, cx, fields, mask, metadata, name, names, page as page_of, queue, resource};
use crate::{
    error::{
        ErrorReason::{
            self, AgentStateConflict, CenterMisconfigured, ResourceNotFound, RouteInvalid, VendorAuthFailed,
            VendorOutcomeUnknown, VendorRejected,
        },
        Result,
    },
    name::{AgentName, ExtensionName, QueueName},
    proto::v1,
};

fn agent(id: &str) -> AgentName {
    AgentName::new("acme", id)
}

fn extensions<const N: usize>(ids: [&str; N]) -> Vec<ExtensionName> {
    ids.map(|id| ExtensionName::new("acme", id)).into()
}

fn success(status: u16) -> ScriptedResponse {
    ScriptedResponse::new(status, r#"{"ErrCode":"000000","ErrDesc":"OK","Result":null}"#)
}

/// The agent as Udesk 25 returns it.
fn holds(extensions: &[&str]) -> ScriptedResponse {
    ScriptedResponse::ok(&json!([{ "AgentId": "1001", "Extensions": extensions }]))
}

fn queues(ids: &[&str]) -> ScriptedResponse {
    let queues: Vec<Value> = ids.iter().map(|id| json!({ "QueueId": id, "Name": id })).collect();
    ScriptedResponse::ok(&json!({ "Queues": queues }))
}

async fn sign_in(server: &Scripted, queues: Vec<QueueName>) -> Result<v1::LoginAgentResponse> {
    server.udesk.login_agent(&cx(), agent("1001"), queues, v1::LoginAgentRequest::default()).await
}

#[tokio::test]
async fn a_queued_write_is_not_done() {
    for response in [|| ScriptedResponse::new(202, ""), || success(202), || ScriptedResponse::new(202, "Accepted")] {
        let server = Scripted::new([response(), response(), response()]).await;
        let udesk = &server.udesk;
        for refused in [
            udesk.delete_queue(&cx(), name("centers/acme/queues/9003")).await,
            udesk.delete_extension(&cx(), name("centers/acme/extensions/1101")).await,
            udesk.bind_agent_extensions(&cx(), agent("1001"), extensions(["1101"])).await,
        ] {
            assert_eq!(refused.unwrap_err().reason(), VendorOutcomeUnknown);
        }
        assert_eq!(server.sent().len(), 3);
    }
    let server = Scripted::new([ScriptedResponse::new(202, "")]).await;
    let queued = server.udesk.delete_queue(&cx(), name("centers/acme/queues/9003")).await.unwrap_err();
    assert!(metadata(queued, "cause").contains("HTTP 202"));
    // Where the code refuses, nothing was queued; and a read is what it returns.
    let refused = ScriptedResponse { status: 202, ..ScriptedResponse::refusal("100016") };
    let read = ScriptedResponse { status: 202, ..queues(&["9003"]) };
    let server = Scripted::new([refused, read]).await;
    let refused = server.udesk.delete_queue(&cx(), name("centers/acme/queues/9003")).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::ResourceInUse);
    queue(&server.udesk, "9003").await.unwrap();
}

#[tokio::test]
async fn an_accepted_callback_is_its_success() {
    let body = r#"{"code":"000000","message":"OK","results":"c9d52506"}"#;
    let server = Scripted::new([ScriptedResponse::new(202, body)]).await;
    let request = v1::StartCallbackRequest {
        customer_number: "13676546374".into(),
        entry_number: "01055500100".into(),
        ..Default::default()
    };
    let called = server.udesk.start_callback(&cx(), name("centers/acme"), request).await.unwrap();
    assert_eq!(called.call_id, "c9d52506");
}

#[tokio::test]
async fn a_code_under_a_server_error_leaves_the_outcome_of_a_write_unknown() {
    for (status, code, expected) in [
        (500, "000001", VendorOutcomeUnknown),
        (500, "100018", VendorOutcomeUnknown),
        (503, "100016", VendorOutcomeUnknown),
        (500, "200020", VendorAuthFailed),
        (400, "000001", VendorRejected),
    ] {
        let refusal = || ScriptedResponse { status, ..ScriptedResponse::refusal(code) };
        let server = Scripted::new([refusal()]).await;
        let refused =
            server.udesk.unbind_agent_extensions(&cx(), agent("1001"), extensions(["1101"])).await.unwrap_err();
        assert_eq!((refused.reason(), refused.vendor_code()), (expected, code), "{status}");
        assert_eq!((server.sent().len(), resource(refused).as_str()), (1, ""), "{status} {code}");
    }
    let server = Scripted::new([ScriptedResponse { status: 500, ..ScriptedResponse::refusal("100018") }]).await;
    assert_eq!(super::agent(&server.udesk, "1001").await.unwrap_err().reason(), ResourceNotFound);
}

#[tokio::test]
async fn a_voice_file_that_udesk_rejects_names_its_field() {
    for code in ["100007", "100008", "100009"] {
        let server =
            Scripted::new([queues(&["9003"]), ScriptedResponse::refusal(code), ScriptedResponse::refusal(code)]).await;
        let change = v1::Queue { wait_music: "night.wav".into(), ..Default::default() };
        let target = name("centers/acme/queues/9003");
        let refused =
            server.udesk.update_queue(&cx(), target, change.clone(), mask(&["wait_music"])).await.unwrap_err();
        let created = v1::CreateQueueRequest {
            queue: Some(v1::Queue { display_name: "Night".into(), ..change }),
            ..Default::default()
        };
        let not_created = server.udesk.create_queue(&cx(), name("centers/acme"), created).await.unwrap_err();
        for refused in [refused, not_created] {
            assert_eq!((refused.reason(), fields(&refused)), (VendorRejected, vec!["queue.wait_music"]), "{code}");
            assert_eq!(resource(refused), "", "{code}");
        }
    }
}

#[tokio::test]
async fn a_callback_names_a_number_only_where_one_can_be_meant() {
    let other = "02155500102";
    for (code, caller_id, reason, named) in [
        ("100020", "", RouteInvalid, ""),
        ("100005", "", ResourceNotFound, "centers/acme/phoneNumbers/01055500100"),
        ("100005", other, ResourceNotFound, ""),
        ("100018", "", ResourceNotFound, ""),
        ("100022", "", ResourceNotFound, ""),
    ] {
        let refusal = json!({ "code": code, "message": "not found" }).to_string();
        let server = Scripted::new([ScriptedResponse::new(200, refusal)]).await;
        let request = v1::StartCallbackRequest {
            customer_number: "13676546374".into(),
            entry_number: "01055500100".into(),
            caller_id: caller_id.into(),
            ..Default::default()
        };
        let refused = server.udesk.start_callback(&cx(), name("centers/acme"), request).await.unwrap_err();
        assert_eq!((refused.reason(), resource(refused).as_str()), (reason, named), "{code}");
    }
}

#[tokio::test]
async fn one_of_several_is_named_only_where_one_can_be_meant() {
    let missing = || ScriptedResponse::refusal("100018");
    let bind = async |responses: Vec<ScriptedResponse>, ids: Vec<ExtensionName>| {
        let server = Scripted::new(responses).await;
        let refused = server.udesk.bind_agent_extensions(&cx(), agent("1001"), ids).await.unwrap_err();
        assert_eq!(refused.reason(), ResourceNotFound);
        resource(refused)
    };
    assert_eq!(bind(vec![missing(), holds(&[])], extensions(["1201", "1202"])).await, "");
    let one = bind(vec![missing(), holds(&["1201"])], extensions(["1201", "1202"])).await;
    assert_eq!(one, "centers/acme/extensions/1202");
    assert_eq!(bind(vec![missing(), missing()], extensions(["1201", "1202"])).await, "centers/acme/agents/1001");
    assert_eq!(bind(vec![missing(), ScriptedResponse::new(502, "")], extensions(["1201"])).await, "");

    let leave = async |responses: Vec<ScriptedResponse>| {
        let server = Scripted::new(responses).await;
        let queues = names(&["centers/acme/queues/9001"]);
        resource(server.udesk.remove_agent_queues(&cx(), agent("1001"), queues).await.unwrap_err())
    };
    assert_eq!(leave(vec![missing(), queues(&["9001"]), holds(&[])]).await, "", "the membership is missing");
    assert_eq!(leave(vec![missing(), queues(&["9001"]), missing()]).await, "centers/acme/agents/1001");
    assert_eq!(leave(vec![missing(), queues(&["9002"])]).await, "centers/acme/queues/9001");
    assert_eq!(leave(vec![missing(), ScriptedResponse::new(502, "")]).await, "");

    let join = async |responses: Vec<ScriptedResponse>| {
        let server = Scripted::new(responses).await;
        let queues = names(&["centers/acme/queues/9001"]);
        resource(server.udesk.add_agent_queues(&cx(), agent("1001"), queues).await.unwrap_err())
    };
    assert_eq!(join(vec![missing(), queues(&["9001"]), holds(&[])]).await, "", "both are there");
    assert_eq!(join(vec![missing(), queues(&["9001"]), missing()]).await, "centers/acme/agents/1001");
    assert_eq!(join(vec![missing(), queues(&["9002"])]).await, "centers/acme/queues/9001");

    let server = Scripted::new([missing(), ScriptedResponse::new(502, "")]).await;
    let refused = server.udesk.add_queue_agents(&cx(), name("centers/acme/queues/9001"), vec![agent("1001")]).await;
    assert_eq!(resource(refused.unwrap_err()), "");

    let server = Scripted::new([missing(), missing()]).await;
    assert_eq!(resource(sign_in(&server, names(&["centers/acme/queues/9001"])).await.unwrap_err()), "");
    assert_eq!(resource(sign_in(&server, Vec::new()).await.unwrap_err()), "centers/acme/agents/1001");
}

/// Udesk's documented failures have its envelope, whose code is required; anything else at the address has not.
#[tokio::test]
async fn a_404_without_the_vendors_envelope_names_no_resource() {
    let any = [404, 410].as_slice();
    for (statuses, body) in [
        (any, "<html>nginx</html>"),
        (any, ""),
        (any, "Not Found"),
        (any, "{}"),
        (any, r#"{"message":"no Route matched with those values"}"#),
        (any, r#"{"error":"not found"}"#),
        (any, r#"{"status":404,"error":"Not Found","path":"/ccapi/v2/agents"}"#),
        (any, r#"{"code":"NOT_FOUND","message":"route"}"#),
        (any, r#"{"ErrCode":"","ErrDesc":"No records found"}"#),
        // A code equal to the status is not Udesk's.
        (&[404], r#"{"code":404,"message":"Not Found"}"#),
        (&[410], r#"{"code":"410","message":"Gone"}"#),
    ] {
        for &status in statuses {
            let page = || ScriptedResponse::new(status, body);
            let server = Scripted::new((0..9).map(|_| page())).await;
            let udesk = &server.udesk;
            let queue: QueueName = name("centers/acme/queues/9001");
            let mut listed = v1::ListAgentsRequest::default();
            let listed_page = page_of(&mut listed);
            let callback = v1::StartCallbackRequest {
                customer_number: "13800000000".into(),
                entry_number: "01055500100".into(),
                ..Default::default()
            };
            let refused = [
                super::agent(udesk, "1001").await.map(drop),
                udesk
                    .list_agents(&cx(), name("centers/acme"), Some(queue.clone()), listed_page, listed)
                    .await
                    .map(drop),
                udesk.start_callback(&cx(), name("centers/acme"), callback).await.map(drop),
                udesk.delete_queue(&cx(), queue.clone()).await,
                udesk.delete_extension(&cx(), name("centers/acme/extensions/1101")).await,
                udesk.bind_agent_extensions(&cx(), agent("1001"), extensions(["1201"])).await,
                udesk.remove_agent_queues(&cx(), agent("1001"), names(&["centers/acme/queues/9001"])).await,
                udesk.add_queue_agents(&cx(), queue, vec![agent("1001")]).await,
                udesk.logout_agent(&cx(), agent("1001")).await.map(drop),
            ];
            for (index, refused) in refused.into_iter().enumerate() {
                let refused = refused.unwrap_err();
                assert_eq!(refused.reason(), CenterMisconfigured, "{status} {body} {index}");
                assert!(refused.message().contains("base_url"), "{}", refused.message());
                assert_eq!(resource(refused), "", "{status} {body} {index}");
            }
            assert_eq!(server.sent().len(), 9, "nothing is diagnosed");
        }
    }
}

#[tokio::test]
async fn an_agent_without_an_extension_cannot_sign_in() {
    for code in ["000001", "000036", "100001", "200002", "100004", "300000"] {
        let server = Scripted::new([ScriptedResponse::refusal(code), holds(&[])]).await;
        let refused = sign_in(&server, names(&["centers/acme/queues/9001"])).await.unwrap_err();
        assert_eq!((refused.reason(), refused.vendor_code()), (AgentStateConflict, code));
        assert_eq!((resource(refused).as_str(), server.sent().len()), ("centers/acme/agents/1001", 2));
    }
    // The agent has one, or nobody knows.
    for read in [holds(&["1101"]), ScriptedResponse::new(502, "")] {
        let server = Scripted::new([ScriptedResponse::refusal("000001"), read]).await;
        assert_eq!(sign_in(&server, Vec::new()).await.unwrap_err().reason(), VendorRejected);
    }
    let server = Scripted::new([ScriptedResponse::new(500, "")]).await;
    assert_eq!(sign_in(&server, Vec::new()).await.unwrap_err().reason(), VendorOutcomeUnknown);
    assert_eq!(server.sent().len(), 1);
}
