//! Users' outbound-call settings.

use serde_json::json;

use super::*;
use crate::{error::ErrorReason, name::CallSettingsName};

/// A user of the seeded tenant, and one without settings.
const USER: &str = "1660270845627002501";
const NOBODY: &str = "nobody";

fn name(user: &str) -> CallSettingsName {
    CallSettingsName::new("beta", user)
}

async fn get(server: &TestServer, user: &str) -> Result<v1::UserCallSettings> {
    let request = v1::GetUserCallSettingsRequest { view: v1::View::Full.into(), ..Default::default() };
    server.adapter.get_user_call_settings(&cx("GetUserCallSettings"), name(user), request).await
}

async fn update(
    server: &TestServer,
    user: &str,
    settings: v1::UserCallSettings,
    mask: &[&str],
    allow_missing: bool,
) -> Result<v1::UserCallSettings> {
    let mask = mask.iter().map(|&path| path.to_owned()).collect();
    let cx = cx("UpdateUserCallSettings");
    server.adapter.update_user_call_settings(&cx, name(user), settings, mask, allow_missing).await
}

fn direct() -> v1::UserCallSettings {
    v1::UserCallSettings { call_type: v1::OutboundCallType::Direct.into(), ..Default::default() }
}

#[tokio::test]
async fn the_example_of_the_document() {
    let server = TestServer::with(Setup { tenant: Tenant::Document, ..Setup::default() }).await;
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let expected = v1::UserCallSettings {
        name: "centers/beta/users/1660270845627002401/callSettings".into(),
        call_type: v1::OutboundCallType::Bidirectional.into(),
        caller_ids: texts(&["12323"]),
        default_caller_id: "1212121212".into(),
        extension_numbers: texts(&["12323", "232343", "233", "239343"]),
        default_extension_number: "23232323".into(),
        agent_account: "y111".into(),
        vendor_data: vendor_data(&json!({ "id": "1307145259662215169", "callType": "1" })),
    };
    assert_eq!(get(&server, "1660270845627002401").await.unwrap(), expected);
}

#[tokio::test]
async fn numbers_may_come_as_one_text() {
    let server = TestServer::start("").await;
    let record = r#"{"returnCode":"0","id":7,"callerPresent":"123, 456","callNumber":"","callType":2}"#;
    server.respond("agentsettings/query", 200, record);
    let settings = get(&server, USER).await.unwrap();
    assert_eq!(settings.caller_ids, ["123", "456"]);
    assert!(settings.extension_numbers.is_empty());
    assert_eq!(settings.call_type(), v1::OutboundCallType::PassThrough);
    server.respond("agentsettings/query", 200, r#"{"returnCode":"0","id":"7","callNumber":5}"#);
    let error = get(&server, USER).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::VendorResponseInvalid);
}

#[tokio::test]
async fn a_user_without_settings_is_not_found_in_either_way() {
    let server = TestServer::start("").await;
    assert_eq!(get(&server, NOBODY).await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    server.respond("agentsettings/query", 200, r#"{"returnCode":"1","returnDesc":"The user does not exist"}"#);
    assert_eq!(get(&server, NOBODY).await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    server.respond("agentsettings/query", 500, r#"{"returnCode":"1","returnDesc":"no"}"#);
    assert_eq!(get(&server, NOBODY).await.unwrap_err().reason(), ErrorReason::VendorRejected);
    server.respond("agentsettings/query", 404, "The requested content is not found. Check the request path.");
    assert_eq!(get(&server, NOBODY).await.unwrap_err().reason(), ErrorReason::CenterMisconfigured);
}

#[tokio::test]
async fn a_change_writes_the_whole_record_back() {
    let server = TestServer::start("").await;
    let before = get(&server, USER).await.unwrap();
    server.calls();
    let change = v1::UserCallSettings { caller_ids: vec!["5550009".into()], ..direct() };
    let after = update(&server, USER, change, &["call_type", "caller_ids"], false).await.unwrap();
    let requests = server.requests();
    let sent = json!({
        "id": "1307145259662215301", "userId": USER, "callType": "0", "callerPresent": ["5550009"],
        "callNumber": ["88880001"], "callNumberDefault": "88880001", "callerPresentDefault": "5550001",
    });
    assert_eq!(requests[1], ("openapp/agentsettings/update".to_owned(), sent));
    let operations: Vec<String> = requests.iter().map(|(operation, _)| last(operation)).collect();
    assert_eq!(operations, ["query", "update", "query"]);
    let expected = v1::UserCallSettings {
        call_type: v1::OutboundCallType::Direct.into(),
        caller_ids: vec!["5550009".into()],
        vendor_data: vendor_data(&json!({ "id": "1307145259662215301", "callType": "0" })),
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(get(&server, USER).await.unwrap(), expected);
}

#[tokio::test]
async fn empty_values_clear() {
    let server = TestServer::start("").await;
    let mask = ["caller_ids", "default_caller_id", "extension_numbers", "default_extension_number"];
    let after = update(&server, USER, v1::UserCallSettings::default(), &mask, false).await.unwrap();
    let cleared = v1::UserCallSettings {
        name: name(USER).to_string(),
        call_type: v1::OutboundCallType::Bidirectional.into(),
        agent_account: "anna.berg".into(),
        vendor_data: after.vendor_data.clone(),
        ..v1::UserCallSettings::default()
    };
    assert_eq!(after, cleared);
}

#[tokio::test]
async fn missing_settings_are_created_if_allowed() {
    let server = TestServer::start("").await;
    let refused = update(&server, NOBODY, direct(), &["call_type"], false).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::ResourceNotFound);
    server.calls();
    let created = update(&server, NOBODY, direct(), &["call_type"], true).await.unwrap();
    let requests = server.requests();
    let sent = json!({ "userId": NOBODY, "callType": "0" });
    assert_eq!(requests[1], ("openapp/agentsettings/create".to_owned(), sent));
    assert_eq!(created.call_type(), v1::OutboundCallType::Direct);
    assert_eq!(created, get(&server, NOBODY).await.unwrap());
    // From now on they are changed.
    server.calls();
    update(&server, NOBODY, direct(), &["call_type"], true).await.unwrap();
    assert_eq!(last(&server.calls()[1]), "update");
}

#[tokio::test]
async fn settings_that_cannot_be_read_back_are_returned_as_sent() {
    let server = TestServer::start("").await;
    for user in [USER, NOBODY] {
        server.respond_after(1, "agentsettings/query", 500, "down");
        let written = update(&server, user, direct(), &["call_type"], true).await.unwrap();
        assert_eq!(written, get(&server, user).await.unwrap(), "{user}");
    }
}

#[tokio::test]
async fn numbers_longer_than_15_are_refused_with_their_place() {
    let server = TestServer::start("").await;
    let long = "1".repeat(16);
    let change = v1::UserCallSettings {
        caller_ids: vec!["1".into(), long.clone()],
        extension_numbers: vec![String::new()],
        default_caller_id: long.clone(),
        default_extension_number: long,
        ..v1::UserCallSettings::default()
    };
    let mask = ["caller_ids", "extension_numbers", "default_caller_id", "default_extension_number"];
    let error = update(&server, USER, change.clone(), &mask, false).await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::FieldInvalid);
    let places = ["caller_ids[1]", "extension_numbers[0]", "default_caller_id", "default_extension_number"];
    assert_eq!(fields(&error), places.map(|place| format!("user_call_settings.{place}")));
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn changes_of_one_user_wait_for_each_other() {
    let server = Arc::new(TestServer::start("").await);
    let changes: Vec<_> = (0..8_u32)
        .map(|index| {
            let server = server.clone();
            tokio::spawn(async move {
                let number = format!("555{index}");
                let (path, change) = if index % 2 == 0 {
                    ("default_caller_id", v1::UserCallSettings { default_caller_id: number, ..Default::default() })
                } else {
                    let change = v1::UserCallSettings { default_extension_number: number, ..Default::default() };
                    ("default_extension_number", change)
                };
                update(&server, USER, change, &[path], false).await
            })
        })
        .collect();
    for change in changes {
        change.await.unwrap().unwrap();
    }
    let calls: Vec<String> = server.calls().iter().map(|operation| last(operation)).collect();
    // Read, write, read back: never two at once.
    assert_eq!(calls, ["query", "update", "query"].repeat(8));
}

#[tokio::test]
async fn settings_without_an_id_are_there_and_are_not_written() {
    // Every field of the response is optional, `id` too.
    let record = r#"{"returnCode":"0","returnDesc":"query success","userId":"u-51","callType":"2",
        "callNumber":["61","62"],"callNumberDefault":"62","agentName":"w902"}"#;
    for record in [record, r#"{"returnCode":"0","id":"","callerPresent":["778"]}"#] {
        let server = TestServer::start("").await;
        for _ in 0..3 {
            server.respond("agentsettings/query", 200, record);
        }
        let settings = get(&server, "u-51").await.unwrap();
        assert_eq!(settings.call_type == v1::OutboundCallType::PassThrough as i32, record.contains("callType"));
        assert_eq!(
            settings.caller_ids.len() + settings.extension_numbers.len(),
            record.matches("[\"").count() + record.matches(",\"62\"]").count()
        );
        server.calls();
        for allow_missing in [false, true] {
            let error = update(&server, "u-51", direct(), &["call_type"], allow_missing).await.unwrap_err();
            assert_eq!(error.reason(), ErrorReason::VendorResponseInvalid);
            assert!(error.message().contains("nothing was written"), "{error}");
        }
        assert!(server.calls().is_empty(), "no record is created or updated");
    }
}

#[tokio::test]
async fn an_answer_without_any_setting_is_of_a_user_without_settings() {
    for nothing in [
        r#"{"returnCode":"0","returnDesc":"query success"}"#,
        r#"{"returnCode":"0","returnDesc":"query success","userId":"u-52"}"#,
        r#"{"returnCode":"0","userId":"u-52","id":"","callType":null,"callNumber":[],"callNumberDefault":""}"#,
    ] {
        let server = TestServer::start("").await;
        server.respond("agentsettings/query", 200, nothing);
        assert_eq!(get(&server, "u-52").await.unwrap_err().reason(), ErrorReason::ResourceNotFound, "{nothing}");
    }
}

#[tokio::test]
async fn a_setting_that_lost_a_character_is_not_written_back() {
    let paths = ["call_type", "caller_ids", "extension_numbers", "default_extension_number", "default_caller_id"];
    let members = [
        ("call_type", r#""callType":"\ufffd""#),
        ("caller_ids", r#""callerPresent":["778","\ufffd1"]"#),
        ("extension_numbers", r#""callNumber":"61,6\ufffd""#),
        ("default_extension_number", r#""callNumberDefault":"6\ufffd""#),
        ("default_caller_id", r#""callerPresentDefault":"77\ufffd""#),
    ];
    for (path, member) in members {
        let record = format!(r#"{{"returnCode":"0","id":"9","callType":"1",{member}}}"#)
            .replace(r#""callType":"1","callType""#, r#""callType""#);
        for masked in paths {
            let server = TestServer::start("").await;
            server.respond("agentsettings/query", 200, &record);
            server.respond("agentsettings/update", 200, r#"{"returnCode":"0","id":"9"}"#);
            let updated = update(&server, USER, direct(), &[masked], false).await;
            if masked == path {
                updated.unwrap();
            } else {
                let refused = updated.unwrap_err();
                assert_eq!(refused.reason(), ErrorReason::VendorResponseInvalid, "{path} {masked}");
                assert_eq!(fields(&refused), [format!("user_call_settings.{path}")]);
                assert!(!server.calls().contains(&"openapp/agentsettings/update".to_owned()), "nothing is written");
            }
        }
    }
    // An ID that lost a character is another one.
    let server = TestServer::start("").await;
    server.respond("agentsettings/query", 200, r#"{"returnCode":"0","id":"9\ufffd","callType":"1"}"#);
    let refused = update(&server, USER, direct(), &["call_type"], false).await.unwrap_err();
    assert!(refused.message().contains("nothing was written"), "{refused}");
}
