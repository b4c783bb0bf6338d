//! Lists of a vendor that ignores the position of a page, returns smaller pages, or counts more than it returns.

use serde_json::json;

use super::*;
use crate::{error::ErrorReason, name::ExtensionName};

/// A vendor with this many items of every list, and what it does with its pages.
#[derive(Clone, Copy)]
struct Lists {
    length: u64,
    ignores_position: bool,
    cap: u64,
    total: Option<u64>,
}

/// A list of the contract, and the vendor's operations behind it.
const LISTS: [&str; 6] = ["queues", "extensions", "agents", "agents found", "members", "credentials"];

impl Lists {
    async fn start(self) -> TestServer {
        let server = TestServer::start("").await;
        server.respond_by(move |path, body| self.response(path, body));
        server
    }

    fn response(self, path: &str, body: &Value) -> Option<Value> {
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let parameters = ["requestParam", "requestParams"].into_iter().find_map(|member| body.get(member));
        let parameters = parameters.unwrap_or(body);
        let (limit, begin) = match (number(&parameters["limit"]), number(&parameters["pageSize"])) {
            (Some(limit), _) => (limit, number(&parameters["offset"])?),
            (None, Some(size)) => (size, number(&parameters["pageNum"])? * size),
            (None, None) => (0, 0),
        };
        let begin = if self.ignores_position { 0 } else { begin };
        let end = (begin + limit.min(self.cap)).min(self.length);
        let items = |item: fn(u64) -> Value| (begin..end).map(item).collect::<Vec<_>>();
        if path.ends_with("skill/querySkills") {
            let list = items(|id| json!({ "skillId": 700 + id, "name": format!("Line {id}") }));
            return Some(json!({ "returnCode": "0", "total": self.total, "data": list }));
        }
        if path.ends_with("mobileAgent/queryPhone") {
            let list = items(|id| json!({ "phoneNum": (6000 + id).to_string(), "password": "x" }));
            return Some(json!({ "retCode": "0", "result": { "total": self.total, "phone": list } }));
        }
        if path.ends_with("agentAccount/query") {
            let list = items(|id| json!({ "userAccount": format!("user{id}"), "workNo": 2000 + id }));
            return Some(json!({ "resultCode": "0", "total": self.total, "data": list }));
        }
        if path.ends_with("queryAgentInfoBySkillId") {
            let list = items(|id| json!({ "userAccount": format!("user{id}") }));
            return Some(json!({ "resultCode": "0", "count": self.total, "data": list }));
        }
        if path.ends_with("queryAgentInfo") || path.ends_with("querySysInfo") {
            return Some(json!({ "agents": [] }));
        }
        None
    }
}

/// The items of one page of a list, the next page's token and the reason.
async fn page_of(server: &TestServer, list: &str, page_size: i32, page_token: String) -> (Vec<String>, String, String) {
    let names = |names: Vec<&String>| names.into_iter().cloned().collect();
    match list {
        "queues" => {
            let request = v1::ListQueuesRequest { page_size, page_token, ..Default::default() };
            let page = server.list_queues(request).await.unwrap();
            (names(page.queues.iter().map(|it| &it.name).collect()), page.next_page_token, page.incomplete_reason)
        }
        "extensions" => {
            let request = v1::ListExtensionsRequest { page_size, page_token, ..Default::default() };
            let page = server.list_extensions(request).await.unwrap();
            (names(page.extensions.iter().map(|it| &it.name).collect()), page.next_page_token, page.incomplete_reason)
        }
        "credentials" => {
            let mut request = v1::AccessSoftphoneCredentialsRequest { page_size, page_token, ..Default::default() };
            let page = Page::take("AccessSoftphoneCredentials", &mut request).unwrap();
            let cx = cx("AccessSoftphoneCredentials");
            let page = server.adapter.access_softphone_credentials(&cx, center(), None, page).await.unwrap();
            let names = names(page.credentials.iter().map(|it| &it.extension).collect());
            (names, page.next_page_token, page.incomplete_reason)
        }
        agents => {
            let mut request = v1::ListAgentsRequest { page_size, page_token, ..Default::default() };
            match agents {
                "agents found" => request.query = "2".into(),
                "members" => request.queue = queue_name("4").to_string(),
                _ => {}
            }
            let page = server.list_agents(request).await.unwrap();
            (names(page.agents.iter().map(|it| &it.name).collect()), page.next_page_token, page.incomplete_reason)
        }
    }
}

/// Every item of a list, and the last reason.
async fn whole(server: &TestServer, list: &str, page_size: i32) -> (Vec<String>, String) {
    let (mut all, mut token) = (Vec::new(), String::new());
    for _ in 0..40 {
        let (items, next, reason) = page_of(server, list, page_size, token).await;
        all.extend(items);
        if next.is_empty() {
            return (all, reason);
        }
        token = next;
    }
    panic!("{list}: pages without an end");
}

#[tokio::test]
async fn a_vendor_that_ignores_the_position_of_a_page_is_reported() {
    for total in [None, Some(340)] {
        let vendor = Lists { length: 340, ignores_position: true, cap: 100, total };
        let server = vendor.start().await;
        for list in LISTS {
            for size in [20, 500] {
                let (items, reason) = whole(&server, list, size).await;
                let given = if size == 20 && !list.contains("found") && list != "members" { 20 } else { 100 };
                let unique: std::collections::BTreeSet<_> = items.iter().collect();
                assert_eq!((items.len(), unique.len()), (given, given), "{list} {size}");
                let expected = format!(" again in place of those after the first {given}");
                assert!(reason.ends_with(&expected), "{list} {size}: {reason}");
            }
        }
    }
}

#[tokio::test]
async fn smaller_pages_than_requested_lose_no_item() {
    for total in [None, Some(170)] {
        let server = Lists { length: 170, ignores_position: false, cap: 35, total }.start().await;
        for list in LISTS {
            for size in [60, 500] {
                let (items, reason) = whole(&server, list, size).await;
                let unique: std::collections::BTreeSet<_> = items.iter().collect();
                assert_eq!((items.len(), unique.len(), reason.as_str()), (170, 170, ""), "{list} {size} {total:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_total_above_what_is_returned_is_reported() {
    let server = Lists { length: 130, ignores_position: false, cap: 100, total: Some(301) }.start().await;
    for list in LISTS {
        for size in [50, 500] {
            let (items, reason) = whole(&server, list, size).await;
            assert_eq!(items.len(), 130, "{list} {size}");
            assert!(reason.contains("Huawei counts 301 "), "{list} {size}: {reason}");
            assert!(reason.ends_with("and returned 130"), "{list} {size}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_search_through_pages_ends() {
    let server = Lists { length: 340, ignores_position: true, cap: 100, total: Some(340) }.start().await;
    let get = async |id: &str| {
        let name = ExtensionName::new("beta", id);
        server.adapter.get_extension(&cx("GetExtension"), name, v1::GetExtensionRequest::default()).await
    };
    assert_eq!(get("6099").await.unwrap().account, "6099");
    let error = get("6200").await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::ResourceNotFound);
    let cause = "Huawei returned the same softphones again in place of those after the first 100";
    assert_eq!(metadata(&error, "cause"), cause);
}

#[tokio::test]
async fn access_codes_of_any_paging_are_counted_once() {
    for (ignores_position, cap, given, reason) in [
        (true, 100, 100, "Huawei returned the same access codes again in place of those after the first 100"),
        (false, 40, 120, "Huawei returns only the first 120 access codes"),
        (false, 100, 160, ""),
    ] {
        let server = TestServer::start("").await;
        server.respond_by(move |path, body| {
            let (limit, offset) = (body["limit"].as_u64()?, body["offset"].as_u64()?);
            let begin = if ignores_position { 0 } else { offset };
            let list = (begin..(begin + limit.min(cap)).min(160)).map(|code| json!({ "accessCode": code.to_string() }));
            let data = json!({ "total": 160, "calledRouteList": list.collect::<Vec<_>>() });
            path.ends_with("queryAccessCodeList").then(|| json!({ "returnCode": "0", "data": data }))
        });
        let response = server.list_numbers(v1::ListPhoneNumbersRequest { page_size: 500, ..Default::default() }).await;
        let response = response.unwrap();
        assert_eq!((response.phone_numbers.len(), response.total_size), (given, 160));
        assert_eq!(response.incomplete_reason, reason);
    }
}
