//! What vendors send over the wire that is not plain UTF-8 JSON: content codings, charsets, malformed strings, numbers
//! that no type holds, and lists without end. In responses and in callbacks.

use std::io::Write as _;

use encoding_rs::{BIG5, GBK, SHIFT_JIS};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use prost_types::value::Kind;
use reqwest::StatusCode;
use serde_json::{Value, json};
use switchboard::proto::v1::{Event, EventType};
use tonic::Code;

use crate::support::{
    Gateway, acme, beta,
    client::Failure,
    events::{Watcher, address, posting, request},
    http_client,
    vendor::{Response, Scripted},
};

const AGENT: &str =
    r#"{"ErrCode":"000000","ErrDesc":"OK","Result":{"AgentId":"7","Name":"李四","Mobile":"13900000001"}}"#;

fn gzip(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn bare_deflate(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

fn response(status: u16, headers: &[(&'static str, &str)], body: impl Into<Vec<u8>>) -> Response {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Response::Http { status, headers, body: body.into() }
}

fn plain(body: impl Into<Vec<u8>>) -> Response {
    response(200, &[("content-type", "application/json")], body)
}

/// What a caller of a Udesk center gets when the vendor gives this response.
async fn reported(response: Response, method: &str, request: Value) -> Result<Value, Failure> {
    let vendor = Scripted::start([response]).await;
    Gateway::start(&acme(vendor.address)).await.client.call(method, request).await
}

async fn agent(response: Response) -> Result<Value, Failure> {
    reported(response, "GetAgent", json!({"name": "centers/acme/agents/7"})).await
}

async fn callback(response: Response) -> Result<Value, Failure> {
    let call = json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"});
    reported(response, "StartCallback", call).await
}

/// What a caller of a Huawei center gets of its extensions or queues when the vendor gives this response.
async fn of_huawei(token: Response, response: Response, method: &str) -> Result<Value, Failure> {
    let vendor = Scripted::start([token, response]).await;
    Gateway::start(&beta(vendor.address)).await.client.call(method, json!({"parent": "centers/beta"})).await
}

#[tokio::test]
async fn malformed_strings_of_a_response_are_repaired() {
    for (body, name) in [
        (format!("\u{feff}{AGENT}").into_bytes(), "李四"),
        (AGENT.replace("李四", "李\r\n\t\u{1}四").into_bytes(), "李\r\n\t\u{1}四"),
        (AGENT.replace("李四", "李\\uDE00\\ud83d\\ude00\\uD83D").into_bytes(), "李\u{fffd}\u{1f600}\u{fffd}"),
        // Udesk puts JSON into text.
        (
            json!({"ErrCode": "000000", "Result": "{\"AgentId\":\"7\",\"Name\":\"a\nb\\ud83d\"}"})
                .to_string()
                .into_bytes(),
            "a\nb\u{fffd}",
        ),
        // Truncated in the middle of a character.
        (
            [AGENT.split_once('四').unwrap().0.as_bytes(), b"\xe5\x9b", AGENT.split_once('四').unwrap().1.as_bytes()]
                .concat(),
            "李\u{fffd}",
        ),
    ] {
        let agent = agent(plain(body)).await.unwrap();
        assert_eq!(agent["display_name"], name);
    }
}

#[tokio::test]
async fn one_odd_name_does_not_fail_a_list() {
    let queues = r#"{"ErrCode":"000000","Result":{"Queues":[
        {"QueueId":"1","Name":"a\udbff"},{"QueueId":"2","Name":"b"}]}}"#;
    let listed = reported(plain(queues), "ListQueues", json!({"parent": "centers/acme"})).await.unwrap();
    assert_eq!(listed["queues"][0]["display_name"], "a\u{fffd}");
    assert_eq!(listed["queues"][1]["display_name"], "b");
    let skills = "{\"returnCode\":\"0\",\"total\":2,\"data\":[{\"skillId\":\"1\",\"name\":\"a\u{b}b\"},{\"skillId\":\"2\",\"name\":\"c\"}]}";
    let listed = of_huawei(Response::token(), plain(skills), "ListQueues").await.unwrap();
    assert_eq!(listed["queues"][0]["display_name"], "a\u{b}b");
}

/// A byte that is no text, in the middle of one name.
#[tokio::test]
async fn one_name_with_an_odd_byte_does_not_fail_a_list_or_a_write() {
    let typed =
        |charset: &str, body: Vec<u8>| response(200, &[("content-type", &format!("application/json{charset}"))], body);
    let queues = |odd: &[u8], other: &[u8]| {
        let head: &[u8] = br#"{"ErrCode":"000000","Result":{"Queues":[{"QueueId":"1","Name":""#;
        [head, odd, br#""},{"QueueId":"2","Name":""#, other, br#""}]}}"#].concat()
    };
    let four = "李四".as_bytes();
    let gbk = GBK.encode("李四").0;
    for (charset, body, odd, other) in [
        ("", queues(b"Jos\xe9 D", b"b"), "Jos\u{fffd} D", "b"),
        (";charset=utf-8", queues(b"a\xffb", four), "a\u{fffd}b", "李四"),
        (";charset=utf-8", queues(b"\xed\xa0\x80a", &four.repeat(4)), "\u{fffd}\u{fffd}\u{fffd}a", "李四李四李四李四"),
        (";charset=gbk", queues(b"a\xffb", &gbk), "a\u{fffd}b", "李四"),
        // In another charset, half a surrogate pair among ASCII only, and after a byte order mark.
        ("", queues(&gbk, b"b"), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}", "b"),
        ("", queues(b"a\xed\xb0\x81", b"b"), "a\u{fffd}\u{fffd}\u{fffd}", "b"),
        ("", [b"\xef\xbb\xbf", queues(b"a\xfe", b"b").as_slice()].concat(), "a\u{fffd}", "b"),
    ] {
        let listed = reported(typed(charset, body), "ListQueues", json!({"parent": "centers/acme"})).await.unwrap();
        assert_eq!(listed["queues"][0]["display_name"], odd, "{charset}");
        assert_eq!(listed["queues"][1]["display_name"], other, "{charset}");
    }
    for message in [b"d\xe9j\xe0 vu".as_slice(), &gbk] {
        let body = [b"{\"code\":0,\"message\":\"", message, b"\",\"results\":\"c-1\"}"].concat();
        assert_eq!(callback(plain(body)).await.unwrap()["call_id"], "c-1");
    }
    let skills = b"{\"returnCode\":\"0\",\"total\":1,\"data\":[{\"skillId\":\"1\",\"name\":\"a\xfeb\"}]}";
    let listed = of_huawei(Response::token(), plain(*skills), "ListQueues").await.unwrap();
    assert_eq!(listed["queues"][0]["display_name"], "a\u{fffd}b");
    // Outside of a string, it is no JSON.
    let failure = agent(plain(b"{\"ErrCode\":\"000000\",\xff\"Result\":{}}")).await.unwrap_err();
    assert_eq!(failure.reason, "VENDOR_RESPONSE_INVALID");
}

#[tokio::test]
async fn a_write_whose_response_begins_with_a_byte_order_mark_succeeded() {
    let body = "\u{feff}{\"code\":0,\"message\":\"a\nb\",\"results\":\"c-1\"}";
    let call = callback(plain(body)).await.unwrap();
    assert_eq!(call["call_id"], "c-1");
}

#[tokio::test]
async fn content_codings_are_asked_for_and_removed() {
    for (coding, body) in [
        ("gzip", gzip(AGENT)),
        ("X-GZIP", gzip(AGENT)),
        ("deflate", zlib(AGENT)),
        ("deflate", bare_deflate(AGENT)),
        ("deflate, gzip", gzip(zlib(AGENT))),
        ("identity", AGENT.into()),
        // Not named, and named by a proxy that removed it.
        ("", gzip(AGENT)),
        ("gzip", AGENT.into()),
        ("br", AGENT.into()),
    ] {
        let vendor = Scripted::start([response(200, &[("content-encoding", coding)], body)]).await;
        let gateway = Gateway::start(&acme(vendor.address)).await;
        let agent = gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/7"})).await;
        assert_eq!(agent.unwrap_or_else(|failure| panic!("{coding}: {failure:?}"))["display_name"], "李四");
        assert_eq!(vendor.asked()[0].headers["accept-encoding"], "gzip, deflate");
    }
    let token = response(200, &[("content-encoding", "gzip")], gzip(r#"{"AccessToken":"t","Expires":"600"}"#));
    let skills = zlib(r#"{"returnCode":"0","total":1,"data":[{"skillId":"1","name":"a"}]}"#);
    let listed =
        of_huawei(token, response(200, &[("content-encoding", "deflate")], skills), "ListQueues").await.unwrap();
    assert_eq!(listed["queues"][0]["display_name"], "a");
}

/// A failure keeps the vendor's code, and a body that cannot be decoded leaves the HTTP status.
#[tokio::test]
async fn refusals_are_decoded() {
    let body = gzip(r#"{"ErrCode":"200004","ErrDesc":"Agent not found"}"#);
    let failure = agent(response(400, &[("content-encoding", "gzip")], body)).await.unwrap_err();
    assert_eq!((failure.code, failure.metadata["vendorCode"].as_str()), (Code::NotFound, "200004"));
    let failure =
        agent(response(429, &[("content-encoding", "br")], b"\x0b\x02\x80nothing".to_vec())).await.unwrap_err();
    assert_eq!(failure.reason, "VENDOR_RATE_LIMITED");
}

#[tokio::test]
async fn a_response_in_no_readable_coding_is_invalid() {
    let truncated = gzip(AGENT);
    let bomb = gzip(format!("{{\"ErrCode\":\"000000\",\"Result\":{{\"Name\":\"{}\"}}}}", "0".repeat(9 << 20)));
    assert!(bomb.len() < 20_000);
    for (coding, body, cause) in [
        ("gzip", truncated[..truncated.len() - 9].to_vec(), "incomplete"),
        ("deflate", b"\x78\x9c\xff\xff\xff".to_vec(), "incomplete"),
        ("zstd", b"\x28\xb5\x2f\xfd\x04".to_vec(), "gzip and deflate"),
        ("gzip", bomb.clone(), "max_response_size"),
        ("gzip, gzip", gzip(bomb), "max_response_size"),
    ] {
        let failure = agent(response(200, &[("content-encoding", coding)], body.clone())).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Internal, "VENDOR_RESPONSE_INVALID"));
        assert!(failure.metadata["cause"].contains(cause), "{:?}", failure.metadata);
        let failure = callback(response(200, &[("content-encoding", coding)], body)).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"));
    }
}

#[tokio::test]
async fn charsets_are_decoded() {
    let gbk = GBK.encode(AGENT).0.into_owned();
    for (content_type, body) in [
        ("application/json; charset=GBK", gbk.clone()),
        ("text/html;Charset=\"gb2312\"", gbk.clone()),
        ("application/json;charset=gb18030", gbk.clone()),
        ("application/json; charset=big5", BIG5.encode(AGENT).0.into_owned()),
        ("application/json; charset=Shift_JIS", SHIFT_JIS.encode(AGENT).0.into_owned()),
        ("application/json; charset=UTF-16LE", utf16(AGENT, u16::to_le_bytes)),
        ("application/json", utf16(AGENT, u16::to_be_bytes)),
        ("application/json", utf16(&format!("\u{feff}{AGENT}"), u16::to_le_bytes)),
        // A byte order mark decides, and what is valid UTF-8 is not Latin-1.
        ("application/json; charset=GBK", format!("\u{feff}{AGENT}").into_bytes()),
        ("application/json; charset=ISO-8859-1", AGENT.into()),
        ("application/json; charset=nonsense", AGENT.into()),
        ("application/json; charset=", AGENT.into()),
    ] {
        let agent = agent(response(200, &[("content-type", content_type)], body)).await;
        assert_eq!(agent.unwrap_or_else(|failure| panic!("{content_type}: {failure:?}"))["display_name"], "李四");
    }
    let both = [("content-type", "application/json;charset=gbk"), ("content-encoding", "gzip")];
    assert_eq!(agent(response(200, &both, gzip(&gbk))).await.unwrap()["display_name"], "李四");
    // No charset is guessed: that would turn names into other names, which an update would write.
    for content_type in ["application/json", "application/json; charset=nonsense", "application/json; charset=utf-8"] {
        let agent = agent(response(200, &[("content-type", content_type)], gbk.clone())).await.unwrap();
        assert_eq!(agent["display_name"], "\u{fffd}".repeat(4), "{content_type}");
    }
}

#[tokio::test]
async fn numbers_keep_all_digits() {
    let agents = r#"{"ErrCode":"000000","Result":{"Total":1e999,"AgentList":[
        {"AgentId":98765432109876543210987654321098,"Name":1234567890.123456789,"WorkId":-9223372036854775809,
         "WrapUpTime":1e400,"Enable":NaN,"Unknown":-Infinity,"State":18446744073709551615,"Mobile":13900000001}]}}"#;
    let listed = reported(plain(agents), "ListAgents", json!({"parent": "centers/acme"})).await.unwrap();
    let agent = &listed["agents"][0];
    assert_eq!(agent["name"], "centers/acme/agents/98765432109876543210987654321098");
    assert_eq!(agent["display_name"], "1234567890.123456789");
    assert_eq!(agent["employee_number"], "-9223372036854775809");
    assert_eq!(agent["vendor_state"]["code"], "18446744073709551615");
    assert_eq!(agent["mobile_number"], "13900000001");
    assert!(agent.get("inbound_wrap_up_duration").is_none() && agent.get("enabled").is_none(), "{agent}");

    let call = callback(plain(r#"{"code":0,"results":36893488147419103232}"#)).await.unwrap();
    assert_eq!(call["call_id"], "36893488147419103232");

    let skills = r#"{"returnCode":"0","total":1e400,"data":[{"skillId":12345678901234567890123,"name":"a","maxWaitTime":-1e999,
        "description":1E500}]}"#;
    let listed = of_huawei(Response::token(), plain(skills), "ListQueues").await.unwrap();
    assert_eq!(listed["queues"][0]["name"], "centers/beta/queues/12345678901234567890123");
    assert!(listed["queues"][0].get("wait_timeout").is_none());
}

#[tokio::test]
async fn a_duration_that_the_contract_cannot_carry_is_left_out() {
    for seconds in [i64::MAX, 315_576_000_001, -315_576_000_001] {
        let agents = json!({"ErrCode": "000000", "Result": {"AgentList": [
            {"AgentId": "7", "Name": "a", "WrapUpTime": seconds, "OutWrapUpTime": seconds.to_string()},
            {"AgentId": "8", "WrapUpTime": 315_576_000_000_i64, "OutWrapUpTime": 0}]}});
        let listed = reported(Response::json(&agents), "ListAgents", json!({"parent": "centers/acme"})).await.unwrap();
        assert_eq!(listed["agents"][0], json!({"name": "centers/acme/agents/7", "display_name": "a"}));
        assert_eq!(listed["agents"][1]["inbound_wrap_up_duration"], "315576000000s");
        assert_eq!(listed["agents"][1]["outbound_wrap_up_duration"], "0s");
        let queues = json!({"ErrCode": "000000", "Result": {"Queues": [{"QueueId": "1", "Timeout": seconds}]}});
        let listed = reported(Response::json(&queues), "ListQueues", json!({"parent": "centers/acme"})).await.unwrap();
        assert_eq!(listed["queues"][0], json!({"name": "centers/acme/queues/1"}));
        let skills = json!({"returnCode": "0", "total": 1, "data": [{"skillId": "1", "maxWaitTime": seconds}]});
        let listed = of_huawei(Response::token(), Response::json(&skills), "ListQueues").await.unwrap();
        assert_eq!(listed["queues"][0], json!({"name": "centers/beta/queues/1"}));
    }
}

#[tokio::test]
async fn a_response_of_too_many_values_is_invalid() {
    let list = |item: &str, count: usize| [item].repeat(count).join(",");
    for (method, request, body) in [
        (
            "ListAgents",
            json!({"parent": "centers/acme"}),
            format!(r#"{{"AgentList":[{}]}}"#, list("{}", (2 << 20) + 1)),
        ),
        (
            "ListAgents",
            json!({"parent": "centers/acme", "queue": "centers/acme/queues/1"}),
            format!("[{}]", list("{}", (2 << 20) + 1)),
        ),
        ("ListQueues", json!({"parent": "centers/acme"}), format!(r#"{{"Queues":[{}]}}"#, list(r#"{"a":1}"#, 1 << 19))),
        ("GetAgent", json!({"name": "centers/acme/agents/7"}), format!(r#"{{"Queues":[{}]}}"#, list("0", 3 << 20))),
    ] {
        let body = format!(r#"{{"ErrCode":"000000","Result":{body}}}"#);
        let failure = reported(plain(body), method, request).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::Internal, "VENDOR_RESPONSE_INVALID"), "{method}");
        assert!(failure.metadata["cause"].contains("request less"), "{:?}", failure.metadata);
    }
    let body = format!(r#"{{"ErrCode":"000000","Result":{{"AgentList":[{}]}}}}"#, list(r#"{"AgentId":1}"#, 20_000));
    let listed = reported(plain(body), "ListAgents", json!({"parent": "centers/acme", "page_size": 5})).await.unwrap();
    assert_eq!(listed["total_size"], 20_000);
}

/// Posts to center `beta`, and gives the event.
async fn event(gateway: &Gateway, watcher: &mut Watcher, headers: &[(&str, &str)], body: Vec<u8>) -> Event {
    assert_eq!(post(gateway, headers, body).await, StatusCode::OK);
    watcher.event().await
}

async fn post(gateway: &Gateway, headers: &[(&str, &str)], body: Vec<u8>) -> StatusCode {
    let mut request = http_client().post(address(gateway.http)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

const CODING: &str = "content-encoding";
const TYPE: &str = "content-type";

fn payload(event: Event) -> Value {
    let object = event.vendor_payload.unwrap();
    let value = |value: &prost_types::Value| match value.kind.as_ref().unwrap() {
        Kind::StringValue(text) => json!(text),
        Kind::NumberValue(number) => json!(number),
        Kind::BoolValue(bool) => json!(bool),
        other => panic!("{other:?}"),
    };
    object.fields.iter().map(|(name, member)| (name.clone(), value(member))).collect()
}

type Encode = fn(&str) -> Vec<u8>;

#[tokio::test]
async fn callbacks_are_decoded() {
    let gateway = Gateway::start(&posting()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    let bodies = |number: usize| format!(r#"{{"callSerialNo":"c-{number}","called":"李四"}}"#);
    let posts: Vec<(&[(&str, &str)], Encode)> = vec![
        (&[(CODING, "gzip")], |body| gzip(body)),
        (&[(CODING, "deflate")], |body| zlib(body)),
        (&[], |body| gzip(body)),
        (&[(TYPE, "application/json; charset=UTF-16")], |body| utf16(&format!("\u{feff}{body}"), u16::to_be_bytes)),
        (&[], |body| utf16(body, u16::to_le_bytes)),
        (&[], |body| utf16(&format!("\u{feff}{body}"), u16::to_le_bytes)),
        (&[(TYPE, "application/json;charset=GB2312")], |body| GBK.encode(body).0.into_owned()),
        (&[(TYPE, "application/json;charset=gbk"), (CODING, "gzip")], |body| gzip(GBK.encode(body).0)),
    ];
    for (number, (headers, encode)) in posts.into_iter().enumerate() {
        let event = event(&gateway, &mut watcher, headers, encode(&bodies(number))).await;
        assert_eq!(event.r#type(), EventType::CallStateChanged, "{headers:?}");
        assert_eq!(event.call.as_ref().unwrap().call_id, format!("c-{number}"));
        assert_eq!(payload(event), json!({"callSerialNo": format!("c-{number}"), "called": "李四"}));
    }
}

#[tokio::test]
async fn a_callback_that_cannot_be_decoded_names_its_coding() {
    let gateway = Gateway::start(&posting()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    let headers = [(CODING, "br"), (TYPE, "application/json; charset=utf-8")];
    let undecoded = event(&gateway, &mut watcher, &headers, b"\x8b\x02\x80{}\x03".to_vec()).await;
    assert_eq!(undecoded.r#type(), EventType::Vendor);
    assert_eq!(
        payload(undecoded),
        json!({
            "body": "iwKAe30D", "body_encoding": "base64", "body_content_encoding": "br",
            "body_content_type": "application/json; charset=utf-8",
        })
    );
    let headers = [(TYPE, "text/plain; charset=x-nonsense")];
    let undecoded = event(&gateway, &mut watcher, &headers, b"\xb0\xa2".to_vec()).await;
    let expected =
        json!({"body": "sKI=", "body_encoding": "base64", "body_content_type": "text/plain; charset=x-nonsense"});
    assert_eq!(payload(undecoded), expected);
    let mut corrupt = gzip("{\"callSerialNo\":\"c-1\"}");
    corrupt.truncate(20);
    let undecoded = event(&gateway, &mut watcher, &[(CODING, "gzip")], corrupt).await;
    assert_eq!(payload(undecoded)["body_content_encoding"], "gzip");
}

/// The limit of a body is that of its text, and equal texts are one event.
#[tokio::test]
async fn limits_and_duplicates_are_those_of_the_decoded_text() {
    let gateway = Gateway::start(&posting()).await;
    let mut watcher = Watcher::live(&gateway, request("beta")).await;
    let bomb = gzip(vec![b' '; (1 << 20) + 1]);
    assert_eq!(post(&gateway, &[(CODING, "gzip")], bomb).await, StatusCode::PAYLOAD_TOO_LARGE);
    let fits = gzip(format!("{{\"callSerialNo\":\"c-1\",\"callData\":\"{}\"}}", "x".repeat((1 << 20) - 100)));
    assert_eq!(post(&gateway, &[(CODING, "gzip")], fits).await, StatusCode::OK);
    assert_eq!(watcher.event().await.call.unwrap().call_id, "c-1");
    let body = r#"{"callSerialNo":"c-2","uuid":"u-2"}"#;
    for (headers, encoded) in
        [(&[][..], body.into()), (&[(CODING, "gzip")], gzip(body)), (&[(CODING, "deflate")], zlib(body))]
    {
        assert_eq!(post(&gateway, headers, encoded).await, StatusCode::OK);
    }
    assert_eq!(post(&gateway, &[], br#"{"callSerialNo":"c-3"}"#.to_vec()).await, StatusCode::OK);
    assert_eq!(watcher.event().await.call.unwrap().call_id, "c-2");
    assert_eq!(watcher.event().await.call.unwrap().call_id, "c-3", "the others were duplicates");
}

/// A byte that is no text is not replaced at the vendor by a change of another field.
#[tokio::test]
async fn a_byte_that_was_replaced_is_not_written_back() {
    let queues =
        b"{\"ErrCode\":\"000000\",\"Result\":{\"Queues\":[{\"QueueId\":\"9001\",\"Name\":\"Jos\xe9 D\"}]}}".to_vec();
    let vendor = Scripted::start([plain(queues)]).await;
    let gateway = Gateway::start(&acme(vendor.address)).await;
    let queue = json!({"name": "centers/acme/queues/9001", "wait_music": "b.wav"});
    let update = json!({"queue": queue, "update_mask": "waitMusic"});
    let refused = gateway.client.call("UpdateQueue", update).await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.code), ("VENDOR_RESPONSE_INVALID", Code::Internal));
    assert_eq!(refused.fields, ["queue.display_name"]);
    assert_eq!(vendor.asked().len(), 1, "nothing is written");
}
