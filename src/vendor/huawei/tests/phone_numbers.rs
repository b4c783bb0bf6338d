//! Phone numbers and extensions.

use serde_json::json;

use super::*;
use crate::{
    error::ErrorReason,
    name::{ExtensionName, PhoneNumberName},
};

async fn number(server: &TestServer, number: &str) -> Result<v1::PhoneNumber> {
    let name = PhoneNumberName::new("beta", number);
    let request = v1::GetPhoneNumberRequest { view: v1::View::Full.into(), ..Default::default() };
    server.adapter.get_phone_number(&cx("GetPhoneNumber"), name, request).await
}

async fn extension(server: &TestServer, number: &str) -> Result<v1::Extension> {
    let name = ExtensionName::new("beta", number);
    let request = v1::GetExtensionRequest { view: v1::View::Full.into(), ..Default::default() };
    server.adapter.get_extension(&cx("GetExtension"), name, request).await
}

/// A response with `count` access codes, the first of which is `from`.
fn codes(from: usize, count: usize, total: Option<usize>) -> String {
    let list: Vec<Value> = (from..from + count).map(|code| json!({ "accessCode": format!("5{code:06}") })).collect();
    match total {
        Some(total) => json!({ "returnCode": "0", "data": { "total": total, "calledRouteList": list } }),
        None => json!({ "returnCode": "0", "data": list }),
    }
    .to_string()
}

#[tokio::test]
async fn access_codes_are_phone_numbers() {
    let server = TestServer::start("").await;
    let request = v1::ListPhoneNumbersRequest { page_size: 2, ..Default::default() };
    let first = server.list_numbers(request.clone()).await.unwrap();
    let numbers: Vec<&str> = first.phone_numbers.iter().map(|number| number.number.as_str()).collect();
    // By their length, then by their digits.
    assert_eq!(numbers, ["chat01", "5550001"]);
    assert_eq!(first.phone_numbers[0].name, "centers/beta/phoneNumbers/%63%68%61%7401");
    assert_eq!((first.total_size, first.incomplete_reason.as_str()), (5, ""));
    let second = v1::ListPhoneNumbersRequest { page_token: first.next_page_token, page_size: 9, ..request };
    let second = server.list_numbers(second).await.unwrap();
    let numbers: Vec<&str> = second.phone_numbers.iter().map(|number| number.number.as_str()).collect();
    assert_eq!(numbers, ["5550002", "5550003", "5550004"]);
    assert!(second.phone_numbers.iter().all(|number| !number.is_default && number.vendor_data.is_none()));
    let sent = json!({ "limit": 100, "offset": 0 });
    assert!(server.requests().into_iter().all(|(_, body)| body == sent));
}

#[tokio::test]
async fn more_than_200_access_codes_cannot_be_reached() {
    for (counts, total) in [(true, 250), (false, 200)] {
        let server = TestServer::start("").await;
        let reported = counts.then_some(250);
        server.respond("queryAccessCodeList", 200, &codes(0, 100, reported));
        server.respond("queryAccessCodeList", 200, &codes(100, 100, reported));
        let request = v1::ListPhoneNumbersRequest { page_size: 500, ..Default::default() };
        let response = server.list_numbers(request).await.unwrap();
        assert_eq!((response.phone_numbers.len(), response.total_size), (200, total));
        assert_eq!(response.incomplete_reason, "Huawei returns only the first 200 access codes");
    }
}

#[tokio::test]
async fn a_list_that_ends_with_a_page_is_whole() {
    let server = TestServer::start("").await;
    server.respond("queryAccessCodeList", 200, &codes(0, 100, None));
    server.respond("queryAccessCodeList", 200, &codes(100, 0, None));
    let request = v1::ListPhoneNumbersRequest { page_size: 500, ..Default::default() };
    let response = server.list_numbers(request).await.unwrap();
    assert_eq!((response.total_size, response.incomplete_reason.as_str()), (100, ""));
}

#[tokio::test]
async fn a_code_of_two_kinds_of_media_is_one_number() {
    let server = TestServer::start("").await;
    let data = r#"{"returnCode":"0","data":{"total":2,"calledRouteList":[
        {"accessCode":"1","mediatypeId":5},{"accessCode":"1","mediatypeId":53}]}}"#;
    server.respond("queryAccessCodeList", 200, data);
    let response = server.list_numbers(v1::ListPhoneNumbersRequest::default()).await.unwrap();
    assert_eq!((response.phone_numbers.len(), response.total_size), (1, 1));
}

#[tokio::test]
async fn a_number_is_found_among_those_that_contain_it() {
    let server = TestServer::start("").await;
    let expected = v1::PhoneNumber {
        name: "centers/beta/phoneNumbers/5550003".into(),
        number: "5550003".into(),
        is_default: false,
        vendor_data: vendor_data(&json!({
            "id": "1125397061153369303", "mediatypeId": 5, "n400Number": "4005550003", "numCallAttr": 1,
        })),
    };
    assert_eq!(number(&server, "5550003").await.unwrap(), expected);
    assert_eq!(server.requests()[0].1, json!({ "accessCode": "5550003", "limit": 100, "offset": 0 }));
    // Part of five numbers, and none of them.
    assert_eq!(number(&server, "555000").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    assert_eq!(number(&server, "chat01").await.unwrap().number, "chat01");
}

#[tokio::test]
async fn a_response_of_another_structure_is_reported_without_quoting_it() {
    let server = TestServer::start("").await;
    server.respond("queryAccessCodeList", 200, r#"{"returnCode":"0","data":"13800000000"}"#);
    let error = server.list_numbers(v1::ListPhoneNumbersRequest::default()).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorResponseInvalid);
    assert!(!format!("{error:?}").contains("13800000000"));
}

#[tokio::test]
async fn extensions_are_softphone_numbers_without_passwords() {
    let server = TestServer::start("").await;
    let found = extension(&server, "88880016").await.unwrap();
    let expected = v1::Extension {
        name: "centers/beta/extensions/88880016".into(),
        account: "88880016".into(),
        state: v1::ExtensionState::Suspended.into(),
        description: "Spare, not in use".into(),
        vendor_data: vendor_data(
            &json!({ "id": 1_125_397_061_153_369_108_u64, "tenantId": "202211030001", "partdbId": "1" }),
        ),
        ..v1::Extension::default()
    };
    assert_eq!(found, expected);
    let request = v1::ListExtensionsRequest { page_size: 7, view: v1::View::Full.into(), ..Default::default() };
    let first = server.list_extensions(request.clone()).await.unwrap();
    assert_eq!((first.extensions.len(), first.total_size), (7, 16));
    let last = v1::ListExtensionsRequest { page_token: first.next_page_token, page_size: 100, ..request };
    let last = server.list_extensions(last).await.unwrap();
    assert_eq!((last.extensions.len(), last.next_page_token.as_str()), (9, ""));
    assert_eq!(last.extensions[8], expected);
    let shown = format!("{:?}{:?}", first.extensions, last.extensions);
    assert!(!shown.contains("Sip~phone"), "{shown}");
}

#[tokio::test]
async fn an_extension_is_searched_on_every_page() {
    let server = TestServer::start("").await;
    let page = |from: usize, count: usize| {
        let phones: Vec<Value> = (from..from + count).map(|it| json!({ "phoneNum": it.to_string() })).collect();
        json!({ "retCode": "0", "result": { "total": 120, "phone": phones } }).to_string()
    };
    server.respond("queryPhone", 200, &page(1000, 100));
    server.respond("queryPhone", 200, &page(1100, 20));
    assert_eq!(extension(&server, "1119").await.unwrap().account, "1119");
    server.respond("queryPhone", 200, &page(1000, 100));
    server.respond("queryPhone", 200, &page(1100, 20));
    assert_eq!(extension(&server, "1120").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    let empty = TestServer::with(Setup { tenant: Tenant::Empty, ..Setup::default() }).await;
    assert_eq!(extension(&empty, "1").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn a_softphone_without_a_number_is_omitted_and_reported() {
    let server = TestServer::start("").await;
    let body = r#"{"retCode":"0","result":{"total":2,"phone":[{"phoneNum":"88881196"},{"phoneNum":{}}]}}"#;
    server.respond("queryPhone", 200, body);
    let response = server.list_extensions(v1::ListExtensionsRequest::default()).await.unwrap();
    let names: Vec<&str> = response.extensions.iter().map(|extension| extension.name.as_str()).collect();
    assert_eq!(names, ["centers/beta/extensions/88881196"]);
    assert!(response.incomplete_reason.contains("1 of the softphones"), "{}", response.incomplete_reason);
}

/// Codes without a number are no repetition of each other.
#[tokio::test]
async fn codes_without_a_number_are_not_the_same_code_again() {
    let server = TestServer::start("").await;
    let page = |named: &[&str], nameless: usize| {
        let named = named.iter().map(|code| json!({ "accessCode": code, "mediatypeId": 5 }));
        let nameless = (0..nameless).map(|id| json!({ "id": id, "mediatypeId": 5 }));
        let list: Vec<Value> = named.chain(nameless).collect();
        json!({ "returnCode": "0", "data": { "total": 120, "calledRouteList": list } }).to_string()
    };
    server.respond("queryAccessCodeList", 200, &page(&["5550001"], 99));
    server.respond("queryAccessCodeList", 200, &page(&[], 20));
    let response = server.list_numbers(v1::ListPhoneNumbersRequest::default()).await.unwrap();
    assert!(!response.incomplete_reason.contains("again"), "{}", response.incomplete_reason);
    assert!(response.phone_numbers.iter().any(|number| number.number == "5550001"));
}
