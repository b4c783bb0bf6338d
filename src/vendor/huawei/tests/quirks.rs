//! Every deviation that the simulator knows leads to the same canonical responses.

use switchboard_simulators::huawei::Quirk;

use super::*;
use crate::{error::ErrorReason, name::ExtensionName};

/// A client's view of a center with these deviations.
async fn seen(quirks: &'static str) -> Vec<String> {
    let server = TestServer::start(quirks).await;
    let config = server.adapter.get_softphone_config(&cx("GetSoftphoneConfig"), center()).await.unwrap();
    let name = ExtensionName::new("beta", "88880001");
    let request = v1::GetExtensionRequest::default();
    let extension = server.adapter.get_extension(&cx("GetExtension"), name, request).await.unwrap();
    let mut request = v1::ListAgentsRequest { queue: "centers/beta/queues/2".into(), ..Default::default() };
    let members = server.list_agents(request.clone()).await.unwrap();
    request.queue.clear();
    let agents = server.list_agents(request).await.unwrap();
    let numbers = server.list_numbers(v1::ListPhoneNumbersRequest::default()).await.unwrap();
    let queues = server.list_queues(v1::ListQueuesRequest::default()).await.unwrap();
    let created = create_queue(&server).await;
    let agent = create_agent(&server).await;
    server.adapter.add_agent_queues(&cx("AddAgentQueues"), agent_name("1013"), queue_names(["5"])).await.unwrap();
    let joined = server.agents_of("5").await;
    let missing = server.queue("99").await.unwrap_err().reason();
    let refused = server.adapter.logout_agent(&cx("LogoutAgent"), agent_name("1001")).await.unwrap_err().reason();
    vec![
        format!("{config:?}"),
        format!("{:?}", v1::Extension { state: 0, ..extension }),
        format!("{members:?}"),
        format!("{agents:?}"),
        format!("{:?} {}", numbers.phone_numbers, numbers.total_size),
        format!("{queues:?}"),
        format!("{created:?} {agent:?} {joined:?}"),
        format!("{missing:?} {refused:?}"),
    ]
}

async fn create_queue(server: &TestServer) -> v1::Queue {
    let queue = v1::Queue { display_name: "Returns".into(), ..Default::default() };
    let request = v1::CreateQueueRequest { queue: Some(queue), ..Default::default() };
    let created = server.adapter.create_queue(&cx("CreateQueue"), center(), request).await.unwrap();
    v1::Queue { vendor_data: None, ..created }
}

async fn create_agent(server: &TestServer) -> v1::Agent {
    let agent = v1::Agent {
        display_name: "Karl New".into(),
        login_account: "karl.new".into(),
        login_password: "Abcde#12".into(),
        email: "karl@example.com".into(),
        ..Default::default()
    };
    let request = v1::CreateAgentRequest { agent: Some(agent), ..Default::default() };
    let created = server.adapter.create_agent(&cx("CreateAgent"), center(), request).await.unwrap();
    v1::Agent { vendor_data: None, ..created }
}

#[tokio::test]
async fn the_responses_are_the_same_under_every_deviation() {
    let usual = seen("").await;
    for quirk in Quirk::ALL {
        match quirk {
            // No call is possible behind that firewall; and a pool has two nodes.
            Quirk::HtmlFirewall => {}
            Quirk::Pool => assert_eq!(seen(quirk.name()).await[1..], usual[1..], "{quirk}"),
            _ => assert_eq!(seen(quirk.name()).await, usual, "{quirk}"),
        }
    }
}

#[tokio::test]
async fn a_firewall_before_the_tokens_is_reported_as_a_vendor_that_is_unavailable() {
    let server = TestServer::start("html-firewall").await;
    let cx = cx("GetAgent");
    let error = server.adapter.get_agent(&cx, agent_name("1001"), v1::GetAgentRequest::default()).await.unwrap_err();
    assert_eq!((error.reason(), cx.may_have_been_sent()), (ErrorReason::VendorUnavailable, false));
    assert_eq!(metadata(&error, "vendorHttpStatus"), "418");
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn values_that_no_document_knows_are_shown_as_they_are() {
    let server = TestServer::start("unknown-enums,extra-fields").await;
    let agent = server.agent("1001").await.unwrap();
    assert_eq!(extra(agent.vendor_data.as_ref(), "agentType"), "77");
    assert_eq!(extra(agent.vendor_data.as_ref(), "ccRoleId"), "77");
    let queue = server.queue("1").await.unwrap();
    assert_eq!(extra(queue.vendor_data.as_ref(), "mediaTypeId"), "77");
    let extensions = server.list_extensions(v1::ListExtensionsRequest::default()).await.unwrap();
    assert!(extensions.extensions.iter().all(|it| it.state() == v1::ExtensionState::Unspecified));
    // Type and role of an agent without an account are on the newest page only.
    let bare = server.agent("1011").await.unwrap();
    assert_eq!(extra(bare.vendor_data.as_ref(), "agentType"), "77");
}

#[tokio::test]
async fn an_unknown_call_type_survives_a_change_of_something_else() {
    let server = TestServer::start("unknown-enums").await;
    let name = crate::name::CallSettingsName::new("beta", "1660270845627002501");
    let change = v1::UserCallSettings { default_caller_id: "5550002".into(), ..Default::default() };
    let cx = cx("UpdateUserCallSettings");
    let mask = vec!["default_caller_id".to_owned()];
    let after = server.adapter.update_user_call_settings(&cx, name, change, mask, false).await.unwrap();
    assert_eq!(extra(after.vendor_data.as_ref(), "callType"), "77");
    let (_, sent) = server.requests().remove(1);
    assert_eq!((sent["callType"].as_str(), sent["callerPresentDefault"].as_str()), (Some("77"), Some("5550002")));
}

#[tokio::test]
async fn one_read_shows_which_form_a_tenant_accepts() {
    for (quirks, refused, wrapped) in [("wrapped-only", 1, true), ("unwrapped-only", 0, false), ("", 0, false)] {
        let server = TestServer::start(quirks).await;
        create_agent(&server).await;
        server.agent("1001").await.unwrap();
        server.adapter.delete_agent(&cx("DeleteAgent"), agent_name("1013")).await.unwrap();
        let requests = server.requests();
        let accounts: Vec<_> =
            requests.iter().filter(|(operation, _)| operation.starts_with("agentAccount/")).collect();
        assert_eq!(accounts[0].1.as_object().unwrap().len(), 1);
        for (operation, body) in &accounts[refused..] {
            let is_wrapped = body.get("requestParam").or(body.get("requestParams")).is_some();
            assert_eq!(is_wrapped, wrapped, "{quirks} {operation}");
        }
        // A refused read and its retry; never a write twice.
        assert_eq!(accounts.len(), 3 + 1 + 2 + refused, "{quirks}");
    }
}

#[tokio::test]
async fn a_request_that_fails_in_both_forms_is_the_first_refusal() {
    let server = TestServer::start("").await;
    server.respond("agentAccount/query", 400, "Incorrect request. Check the request path and parameters.");
    server.respond("agentAccount/query", 400, "Something else.");
    let error = server.list_agents(v1::ListAgentsRequest::default()).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::CenterMisconfigured);
    assert!(metadata(&error, "vendorMessage").starts_with("Incorrect request"));
    server.list_agents(v1::ListAgentsRequest::default()).await.unwrap();
    // From now on the form is known and not tried again.
    server.calls();
    server.respond("agentAccount/query", 400, "Incorrect request. Check the request path and parameters.");
    server.list_agents(v1::ListAgentsRequest::default()).await.unwrap_err();
    assert!(server.calls().is_empty());
}

/// Huawei does not document its response for an unknown account. If it is a refusal, its return code shows the form,
/// too.
#[tokio::test]
async fn a_refusal_of_the_wrapped_form_shows_that_the_tenant_accepts_it() {
    let server = TestServer::start("wrapped-only").await;
    server.respond_after(1, "agentAccount/query", 200, r#"{"resultCode":"1","resultMessage":"no such account"}"#);
    create_agent(&server).await;
    let requests = server.requests();
    let created = requests.iter().find(|(operation, _)| operation == "agentAccount/create").unwrap();
    assert_eq!(created.1["requestParam"]["userAccount"], "karl.new");
}

const MALFORMED: &str = "Incorrect request. Check the request path and parameters.";

/// The requests of agentAccount since the last look, and whether each was wrapped.
#[derive(Clone, Default)]
struct Forms(Arc<Mutex<Vec<(String, bool)>>>);

impl Forms {
    fn take(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A tenant that accepts every body, or refuses wrapped ones with a return code.
async fn tenant(is_plain: bool) -> (TestServer, Forms) {
    let (server, forms) = (TestServer::start("").await, Forms::default());
    let sent = forms.clone();
    server.respond_by(move |path, body| {
        let is_wrapped = body.get("requestParam").or(body.get("requestParams")).is_some();
        if let Some((_, operation)) = path.split_once("agentAccount/") {
            sent.0.lock().unwrap().push((operation.to_owned(), is_wrapped));
        }
        let refused = || serde_json::json!({"resultCode": "1", "resultMessage": "the parameters are wrong"});
        (is_plain && is_wrapped).then(refused)
    });
    (server, forms)
}

#[tokio::test]
async fn a_refusal_of_the_wrapped_form_is_no_proof_of_it() {
    let (server, forms) = tenant(true).await;
    server.respond("agentAccount/query", 400, MALFORMED);
    assert_eq!(accounts(&server).await.unwrap_err().reason(), ErrorReason::VendorRejected);
    assert_eq!(forms.take(), [("query".into(), false), ("query".into(), true)]);
    accounts(&server).await.unwrap();
    assert_eq!(forms.take()[..2], [("query".into(), true), ("query".into(), false)]);
    accounts(&server).await.unwrap();
    assert!(forms.take().iter().all(|(_, is_wrapped)| !is_wrapped), "the plain form is confirmed");
}

#[tokio::test]
async fn a_write_is_sent_once_in_the_form_that_the_read_before_it_shows() {
    let (server, forms) = tenant(true).await;
    server.respond("agentAccount/query", 400, MALFORMED);
    accounts(&server).await.unwrap_err();
    forms.take();
    create_agent(&server).await;
    let sent = forms.take();
    assert_eq!(sent[..3], [("query".into(), true), ("query".into(), false), ("create".into(), false)]);
    assert_eq!(sent.iter().filter(|(operation, _)| operation == "create").count(), 1);
    // A refused write is not sent in the other form.
    for operation in ["delete", "update"] {
        server.respond(
            if operation == "delete" { "agentAccount/delete" } else { "agentAccount/update" },
            400,
            MALFORMED,
        );
        let refused = if operation == "delete" {
            server.adapter.delete_agent(&cx("DeleteAgent"), agent_name("1001")).await.err()
        } else {
            let agent = v1::Agent { display_name: "Other".into(), ..Default::default() };
            let mask = vec!["display_name".to_owned()];
            server.adapter.update_agent(&cx("UpdateAgent"), agent_name("1001"), agent, mask).await.err()
        };
        assert_eq!(refused.unwrap().vendor_http_status(), Some(400));
        let writes: Vec<_> = forms.take().into_iter().filter(|(sent, _)| sent == operation).collect();
        assert_eq!(writes, [(operation.to_owned(), false)]);
    }
}

#[tokio::test]
async fn a_form_that_begins_to_fail_is_doubted() {
    for by_a_write in [false, true] {
        let (server, forms) = tenant(false).await;
        accounts(&server).await.unwrap();
        // From now on the tenant refuses plain bodies.
        if by_a_write {
            server.respond("agentAccount/delete", 400, MALFORMED);
            server.adapter.delete_agent(&cx("DeleteAgent"), agent_name("1001")).await.unwrap_err();
        } else {
            server.respond("agentAccount/query", 400, MALFORMED);
            accounts(&server).await.unwrap_err();
        }
        server.respond("agentAccount/query", 400, MALFORMED);
        forms.take();
        accounts(&server).await.unwrap();
        assert_eq!(forms.take()[..2], [("query".into(), false), ("query".into(), true)]);
        accounts(&server).await.unwrap();
        assert!(forms.take().iter().all(|(_, is_wrapped)| *is_wrapped));
    }
}

async fn accounts(server: &TestServer) -> Result<v1::ListAgentsResponse> {
    server.list_agents(v1::ListAgentsRequest::default()).await
}
