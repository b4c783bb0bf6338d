//! Every example of the document, request against response, over a real socket.

use serde_json::Value;

use super::testing::{TestServer, prepare};

/// An operation's number, the ID in its path, the body and the response.
type Example = (u8, &'static str, &'static str, &'static str);

/// As the document prints them, except for spaces between JSON tokens. Where the path of a request is a pattern, the ID
/// is the body's (05) or that in the table of path parameters (19, 20). The document lacks the commas after `Queues`,
/// `QueuesNames` and `Extensions` of 26 (C55).
const EXAMPLES: &[Example] = &[
    (
        1,
        "",
        "",
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": {
                "SpNumbers": ["057126200671", "057126200672", "057126200673", "057126200674"],
                "DefSpNumber": "057126200670"
            }
        }"#,
    ),
    (2, "", r#"{"DefSpNumber": "057126200670"}"#, r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#),
    (3, "", "", r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": ""}"#),
    (
        4,
        "",
        r#"{"AgentId": "9415", "WorkId": "199"}"#,
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": {
                "AgentId": "9415",
                "Extension": "",
                "Password": "",
                "Number": "",
                "ExtenInfos": null
            }
        }"#,
    ),
    (5, "9415", r#"{"AgentId": "9415", "Enable": false}"#, r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#),
    (
        6,
        "",
        "",
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "",
            "Result": {
                "CurrPage": 1,
                "PageSize": 32,
                "Total": 32,
                "TotalPage": 1,
                "AgentList": [
                    {
                        "AppId": "4b8dc715-05e0-4340-6cae-a6e3c39a6012",
                        "AgentId": "189",
                        "WorkId": "",
                        "Name": "Admin 1",
                        "Mobile": "17600364320",
                        "Email": "crmdiaoxiao1@test.cn",
                        "Role": "agent",
                        "Queues": ["9003@4b8dc715-05e0-4340-6cae-a6e3c39a6012"],
                        "QueuesNames": null,
                        "Extensions": ["1001", "1008"],
                        "DefSpNumber": "02863138587",
                        "State": 1,
                        "ExtState": 0,
                        "WrapUpTime": 0,
                        "OutWrapUpTime": 0,
                        "Enable": true,
                        "ExtenInfos": null
                    }
                ]
            }
        }"#,
    ),
    (
        7,
        "",
        r#"{"AgentId": "9415", "Extensions": ["1135"]}"#,
        r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#,
    ),
    (
        8,
        "",
        r#"{"AgentId": "9415", "Extensions": ["1135"]}"#,
        r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#,
    ),
    (9, "", r#"{"Extension": "1002"}"#, r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#),
    (
        10,
        "",
        r#"{"Extension": "1002", "Password": "802411d4", "SignalType": 0}"#,
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": {
                "Extension": "1002",
                "Password": "336cd1655a1d0502",
                "Number": "93000077121002",
                "SignalType": 0
            }
        }"#,
    ),
    (
        11,
        "",
        "",
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": {
                "Queues": [
                    {
                        "QueueId": "9001",
                        "Name": "Admin test ",
                        "Strategy": 0,
                        "Timeout": 0,
                        "WaitMusic": "waitmusic.wav"
                    }
                ]
            }
        }"#,
    ),
    (
        12,
        "",
        r#"{"QueueId": "9008", "QueueName": "Test Create Queue 007", "WaitMusic": ""}"#,
        r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": {"QueueId": "181154"}}"#,
    ),
    (13, "", r#"{"QueueId": "9009"}"#, r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#),
    (14, "", r#"{"QueueId": "9009"}"#, r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#),
    (
        15,
        "",
        r#"{"QueueId": "9009", "AgentIds": ["9009", "9008", "9007", "9006"]}"#,
        r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#,
    ),
    (
        16,
        "",
        r#"{"AgentId": "9415", "Queues": ["551", "114"], "IsFull": 1}"#,
        r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#,
    ),
    (
        17,
        "",
        r#"{"AgentId": "9415", "Queues": ["551", "114"]}"#,
        r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": null}"#,
    ),
    (
        18,
        "",
        r#"{
            "subscriptions": [
                {
                    "callback": "http://s-km5.udesk.cn/as/api/v1/dialog/6/c6d4c463-5c60-43ba-a522-c972dd60e058",
                    "events": ["begin", "end"],
                    "name": "lymtest"
                }
            ]
        }"#,
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": {"sub_succ": [{"subid": 168, "name": "test"}], "sub_fail": null}
        }"#,
    ),
    (
        19,
        "73",
        r#"{
            "callback": "https://qa.udesk.cn/api/v2/middleware/",
            "name": "ymtest111",
            "events": ["acd_agent_state"],
            "enable": false
        }"#,
        r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": {"ymtest111": 164}}"#,
    ),
    (20, "73", "", r#"{"ErrCode": "000000", "ErrDesc": "OK", "Result": []}"#),
    (
        21,
        "",
        "",
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": {
                "callback": "http://ip:port",
                "enable": "false",
                "events": ["acd_agent_state"],
                "name": "sub1"
            }
        }"#,
    ),
    (
        22,
        "",
        r#"{"agent_id": "10032"}"#,
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "msg_id": "111",
            "results": "",
            "data": null
        }"#,
    ),
    (
        23,
        "",
        r#"{"agent_id": "1802"}"#,
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "msg_id": "111",
            "results": "",
            "data": null
        }"#,
    ),
    (
        24,
        "",
        r#"{
            "caller": "18789998765",
            "called": "02863208944",
            "called_display": "02863208944"
        }"#,
        r#"{
            "code": "000000",
            "message": "OK",
            "results": "c9d52506-c41b-431f-5fa0-b701a81a2da6"
        }"#,
    ),
    (
        25,
        "355",
        "",
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": {
                "AppId": "xxx",
                "AgentId": "355@7859ff65-0e6a",
                "WorkId": "111",
                "Name": "alice",
                "NickName": "alice",
                "Mobile": "1327766543",
                "Email": "aaaa@test.cn",
                "Role": "agent",
                "Queues": ["2@7859ff65-0e6a"],
                "QueuesNames": ["A"],
                "Extensions": ["1145", "1146"],
                "DefSpNumber": "0107766",
                "State": 4,
                "StateDes": "offline",
                "ReasonCode": 0,
                "ReasonCodeDes": "",
                "ExtState": 0,
                "Enable": true,
                "ExtenInfos": [
                    {
                        "Number": "",
                        "Extension": "1145",
                        "Password": "xxx",
                        "SignalType": "voip"
                    }
                ]
            }
        }"#,
    ),
    (
        26,
        "3",
        "",
        r#"{
            "ErrCode": "000000",
            "ErrDesc": "OK",
            "Result": [
                {
                    "AppId": "xxx",
                    "AgentId": "355@7859ff65-0e6a",
                    "WorkId": "111",
                    "Name": "alice",
                    "NickName": "alice",
                    "Mobile": "1327766543",
                    "Email": "aaaa@test.cn",
                    "Role": "agent",
                    "Queues": ["2@7859ff65-0e6a"],
                    "QueuesNames": ["A"],
                    "Extensions": ["1145", "1146"],
                    "DefSpNumber": "0107766",
                    "State": 4,
                    "StateDes": "offline",
                    "ReasonCode": 0,
                    "ReasonCodeDes": "",
                    "ExtState": 0,
                    "Enable": true,
                    "ExtenInfos": [
                        {
                            "Number": "",
                            "Extension": "1145",
                            "Password": "xxx",
                            "SignalType": "voip"
                        }
                    ]
                }
            ]
        }"#,
    ),
];

#[tokio::test]
async fn every_printed_request_has_the_printed_response() {
    let server = TestServer::start_document().await;
    for &(number, id, body, response) in EXAMPLES {
        let body = if body.is_empty() { Value::Null } else { json(body) };
        // No printed request has a MsgId.
        let printed = prepare(number, id, body).without("MsgId");
        let actual = server.send(printed).await;
        assert_eq!(actual.status, 200, "{number:02}");
        assert_eq!(actual.json(), json(response), "{number:02}");
    }
}

#[tokio::test]
async fn the_examples_hold_in_any_order() {
    let server = TestServer::start_document().await;
    for &(number, id, body, response) in EXAMPLES.iter().rev() {
        let body = if body.is_empty() { Value::Null } else { json(body) };
        let actual = server.send(prepare(number, id, body).without("MsgId")).await;
        assert_eq!(actual.json(), json(response), "{number:02}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("the examples are JSON")
}
