//! Lists: how often the vendor is asked, and how large a list may be.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use switchboard::clock::{Clock, Source};
use tonic::Code;

use crate::support::{
    Gateway, acme,
    client::{Client, Failure, descriptor},
    vendor::{Response, Scripted, serve_router},
    vendors::{VENDORS, Vendor},
};

/// A method whose responses have pages, the field of its items, and further fields of its request.
type List = (&'static str, &'static str, fn(&Vendor) -> Value);

/// A vendor, a method for a single resource, its request, and the end of the path of the list that contains it.
type Single = (&'static str, &'static str, fn() -> Value, &'static str);

const LISTS: &[List] = &[
    ("ListPhoneNumbers", "phone_numbers", |_| json!({})),
    ("ListAgents", "agents", |_| json!({})),
    ("ListAgents", "agents", |vendor| json!({"queue": vendor.first("queues")})),
    ("ListAgents", "agents", |_| json!({"query": "a"})),
    ("ListExtensions", "extensions", |_| json!({})),
    ("ListQueues", "queues", |_| json!({})),
    ("ListSubscriptions", "subscriptions", |_| json!({})),
    ("AccessSoftphoneCredentials", "credentials", |_| json!({})),
];

/// Lists that the vendor itself divides into pages: each page is a request.
const PAGED_BY_THE_VENDOR: &[(&str, &str)] = &[
    ("huawei", "ListAgents {}"),
    ("huawei", "ListExtensions {}"),
    ("huawei", "ListQueues {}"),
    ("huawei", "AccessSoftphoneCredentials {}"),
];

/// The time of day, and no time that passes.
struct StandingStill(Clock);

impl Source for StandingStill {
    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

/// The items of all pages.
async fn walk(client: &Client, method: &str, items: &str, mut request: Value) -> Result<Vec<Value>, Failure> {
    let mut seen = Vec::new();
    loop {
        let mut response = client.call(method, request.clone()).await?;
        seen.append(response[items].as_array_mut().unwrap_or(&mut Vec::new()));
        match response["next_page_token"].as_str() {
            Some(token) => request["page_token"] = json!(token),
            None => return Ok(seen),
        }
    }
}

#[test]
fn every_list_is_in_the_table() {
    let paged: BTreeSet<_> =
        descriptor("GetCenter").parent_service().methods().map(|method| method.name().to_owned()).collect();
    let has_pages = |method: &&String| {
        *method != "ListCenters" && descriptor(method).output().get_field_by_name("next_page_token").is_some()
    };
    for method in paged.iter().filter(has_pages) {
        assert!(LISTS.iter().any(|(listed, ..)| listed == method), "{method}");
    }
}

#[tokio::test]
async fn a_walk_costs_as_many_requests_as_one_page_of_everything() {
    for vendor in VENDORS {
        for (method, items, fields) in LISTS {
            let (gateway, simulator) = vendor.simulated().await;
            let fields = fields(vendor);
            let list = format!("{method} {fields}");
            let mut request = fields;
            request["parent"] = json!(format!("centers/{}", vendor.center));
            request["page_size"] = json!(500);
            let whole = match walk(&gateway.client, method, items, request.clone()).await {
                Ok(whole) => whole,
                Err(failure) if failure.code == Code::Unimplemented => continue,
                Err(failure) => panic!("{} {list}: {failure:?}", vendor.name),
            };
            assert!(!whole.is_empty(), "{} {list}", vendor.name);
            simulator.forget();
            walk(&gateway.client, method, items, request.clone()).await.unwrap();
            let of_one_page = simulator.asked().len();
            simulator.forget();
            request["page_size"] = json!(1);
            assert_eq!(walk(&gateway.client, method, items, request).await.unwrap().len(), whole.len(), "{list}");
            let of_small_pages = simulator.asked().len();
            if PAGED_BY_THE_VENDOR.contains(&(vendor.name, &list.replace(char::is_control, ""))) {
                assert!(of_small_pages > of_one_page, "{} {list}", vendor.name);
            } else {
                assert_eq!(of_small_pages, of_one_page, "{} {list}", vendor.name);
            }
        }
    }
}

/// One read of a list serves many calls for single resources, until a change through the gateway. Time stands still.
#[tokio::test]
async fn single_resources_of_a_whole_list_share_a_read_until_a_change() {
    let agent = || json!({"name": "centers/beta/agents/1011"});
    let number = || json!({"name": "centers/beta/extensions/88880002"});
    let bound = || json!({"name": "centers/acme/extensions/1101"});
    let rows: [Single; 3] = [
        ("huawei", "GetAgent", agent, "querySysInfo"),
        ("huawei", "GetExtension", number, "queryPhone"),
        ("udesk", "GetExtension", bound, "/agents"),
    ];
    for (name, method, request, path) in rows {
        let vendor = VENDORS.iter().find(|vendor| vendor.name == name).unwrap();
        let simulator = (vendor.simulate)();
        let address = serve_router(simulator.router.clone()).await;
        let centers = (vendor.config)(vendor.center, address);
        let gateway = Gateway::start_with(&centers, "", Clock::from_source(StandingStill(Clock::system()))).await;
        let reads = || simulator.asked().iter().filter(|asked| asked.path.ends_with(path)).count();
        let first = gateway.client.call(method, request()).await.unwrap();
        let of_one = reads();
        for _ in 0..20 {
            assert_eq!(gateway.client.call(method, request()).await.unwrap(), first);
        }
        assert_eq!(reads(), of_one, "{name} {method}");
        gateway.client.call("UpdateQueue", vendor.request("UpdateQueue")).await.unwrap();
        gateway.client.call(method, request()).await.unwrap();
        assert_eq!(reads(), 2 * of_one, "{name} {method}");
    }
}

/// Udesk's response with so many agents.
fn agents(count: usize) -> Response {
    let agents: Vec<Value> = (0..count)
        .map(|number| {
            json!({"AgentId": (100_000 + number).to_string(), "WorkId": format!("W{number}"), "Role": "agent",
                "Name": format!("Agent {number}"), "Email": format!("agent.{number}@example.com"), "Enable": true,
                "Mobile": "13800000000", "Queues": ["9001@app", "9002@app"], "QueuesNames": ["Sales", "Support"],
                "State": "4", "StateDes": "offline", "WrapUpTime": 30, "OutWrapUpTime": 30,
                "Extensions": ["8001"], "ExtenInfos": [{"Extension": "8001", "Password": "secret", "SignalType": "0"}]})
        })
        .collect();
    Response::json(&json!({"ErrCode": "000000", "ErrDesc": "OK", "Result": {"AgentList": agents}}))
}

#[tokio::test]
async fn a_list_larger_than_other_responses_is_read_once() {
    let vendor = Scripted::start([agents(30_000)]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let request = json!({"parent": "centers/acme", "page_size": 500});
    let seen = walk(&gateway.client, "ListAgents", "agents", request).await.unwrap();
    let names = seen.iter().map(|agent| agent["name"].as_str().unwrap().to_owned());
    let expected = (0..30_000).map(|number| format!("centers/acme/agents/{}", 100_000 + number));
    assert!(names.eq(expected));
    assert_eq!(seen[29_999]["display_name"], "Agent 29999");
    assert_eq!(vendor.asked().len(), 1);
}

#[tokio::test]
async fn a_list_above_its_limit_names_the_key() {
    let limits = "[centers.acme.limits]\nmax_response_size = \"1KiB\"\nmax_list_size = \"20KiB\"\n";
    let spaces = |count: usize| Response::Drip { body: vec![b' '; count], every: Duration::ZERO };
    let list = || json!({"parent": "centers/acme"});
    for (method, request, response, key) in [
        ("ListAgents", list(), agents(100), Some("max_list_size")),
        ("ListAgents", list(), spaces(30_000), Some("max_list_size")),
        ("ListExtensions", list(), agents(100), Some("max_list_size")),
        ("AccessSoftphoneCredentials", list(), agents(100), Some("max_list_size")),
        ("ListAgents", list(), agents(30), None),
        ("GetAgent", json!({"name": "centers/acme/agents/1"}), agents(30), Some("max_response_size")),
        ("ListQueues", list(), agents(30), Some("max_response_size")),
    ] {
        let vendor = Scripted::start([response]).await;
        let gateway = Gateway::start(&format!("{}{limits}", acme(vendor.address))).await;
        match (gateway.client.call(method, request).await, key) {
            (Ok(response), None) => assert_eq!(response["total_size"], 30),
            (Err(failure), Some(key)) => {
                assert_eq!((failure.code, failure.reason.as_str()), (Code::Internal, "VENDOR_RESPONSE_INVALID"));
                assert!(failure.message.contains(key), "{method}: {}", failure.message);
                assert!(failure.metadata["cause"].contains(key), "{method}: {:?}", failure.metadata);
            }
            (result, _) => panic!("{method}: {result:?}"),
        }
    }
}

/// A list that never ends holds nobody up but those who ask for the same list.
#[tokio::test]
async fn a_list_without_an_end_ends_at_the_deadline_and_others_are_served() {
    let endless = Response::Drip { body: vec![b' '; 1 << 20], every: Duration::from_millis(1) };
    let vendor = Scripted::start([endless, agents(3)]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let client = gateway.client.clone();
    let list = json!({"parent": "centers/acme"});
    let hanging =
        tokio::spawn(async move { client.call_bare("ListAgents", list, Duration::from_secs(2)).await.unwrap_err() });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let other = json!({"parent": "centers/acme", "query": "Agent"});
    assert_eq!(gateway.client.call("ListAgents", other).await.unwrap()["total_size"], 3);
    let failure = hanging.await.unwrap();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::DeadlineExceeded, "VENDOR_TIMEOUT"));
}
