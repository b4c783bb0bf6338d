//! Lists of which Udesk returns only a part.

use serde_json::{Value, json};

use super::{Scripted, cx, metadata, name, page, queue};
use crate::{error::ErrorReason, name::QueueName, proto::v1};

/// One agent with an extension, on this page.
fn agents_page(current: u32, pages: u32, total: u32) -> Value {
    let agent = json!({
        "AgentId": "1307", "Name": "Ito", "Role": "leader",
        "ExtenInfos": [{ "Extension": "1440", "Number": "93000077121440", "Password": "p-1440" }],
    });
    json!({ "CurrPage": current, "PageSize": 1, "Total": total, "TotalPage": pages, "AgentList": [agent] })
}

#[tokio::test]
async fn the_passwords_of_one_page_of_agents_are_not_passed_off_as_all() {
    let cases = [
        (agents_page(2, 9, 17), "Udesk returned page 2 of 9 and documents no way to request the others"),
        (agents_page(1, 1, 41), "Udesk counts 41 agents and returned 1"),
        (agents_page(1, 1, 1), ""),
    ];
    for (result, reason) in cases {
        let server = Scripted::results([result]).await;
        let page = page(&mut v1::AccessSoftphoneCredentialsRequest::default());
        let response =
            server.udesk.access_softphone_credentials(&cx(), name("centers/acme"), None, page).await.unwrap();
        assert_eq!((response.credentials.len(), response.incomplete_reason.as_str()), (1, reason));
    }
}

#[tokio::test]
async fn the_agents_of_a_queue_on_one_page_are_not_passed_off_as_all() {
    for (result, reason) in [
        (agents_page(1, 3, 3), "Udesk returned page 1 of 3 and documents no way to request the others"),
        (agents_page(1, 1, 23), "Udesk counts 23 agents and returned 1"),
        (agents_page(1, 1, 1), ""),
    ] {
        // The gateway filters, and the filter is not what is missing.
        for (role, found) in [(v1::AgentRole::Leader, 1), (v1::AgentRole::Agent, 0)] {
            let server = Scripted::results([result.clone()]).await;
            let queue: QueueName = name("centers/acme/queues/9020");
            let mut request = v1::ListAgentsRequest { role: role.into(), ..v1::ListAgentsRequest::default() };
            let page = page(&mut request);
            let list = server.udesk.list_agents(&cx(), name("centers/acme"), Some(queue), page, request).await.unwrap();
            assert_eq!((list.agents.len(), list.total_size), (found, i32::try_from(found).unwrap()));
            assert_eq!(list.incomplete_reason, reason);
        }
    }
}

#[tokio::test]
async fn one_page_of_queues_or_numbers_is_not_passed_off_as_all() {
    let queues = |last, total| {
        let queue = json!({ "QueueId": "9031", "Name": "Returns" });
        json!({ "CurrPage": 1, "TotalPage": last, "Total": total, "Queues": [queue] })
    };
    let numbers =
        |last, total| json!({ "CurrPage": 1, "TotalPage": last, "Total": total, "SpNumbers": ["02155501234"] });
    for (last, total, reason) in [
        (6, 6, "Udesk returned page 1 of 6 and documents no way to request the others"),
        (1, 4, "Udesk counts 4 <items> and returned 1"),
        (1, 1, ""),
    ] {
        let server = Scripted::results([queues(last, total), queues(last, total), numbers(last, total)]).await;
        let mut request = v1::ListQueuesRequest::default();
        let list = server.udesk.list_queues(&cx(), name("centers/acme"), page(&mut request), request).await.unwrap();
        assert_eq!(list.incomplete_reason, reason.replace("<items>", "queues"));
        let beyond = queue(&server.udesk, "9099").await.unwrap_err();
        assert_eq!(beyond.reason(), ErrorReason::ResourceNotFound);
        assert_eq!(metadata(beyond, "cause"), reason.replace("<items>", "queues"));
        let mut request = v1::ListPhoneNumbersRequest::default();
        let list = server.udesk.list_phone_numbers(&cx(), name("centers/acme"), page(&mut request), request).await;
        assert_eq!(list.unwrap().incomplete_reason, reason.replace("<items>", "numbers"));
    }
}
