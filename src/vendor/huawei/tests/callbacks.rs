//! Huawei's callbacks: the examples of its documents, and mixtures of them.

use proptest::prelude::*;
use prost::Message as _;
use prost_types::{Timestamp, value::Kind};
use serde_json::json;

use crate::{
    proto::v1::{CallDirection, CallReference, Event, EventType, VendorValue, event::Payload},
    vendor::huawei::callbacks::{CALL_STATUS_EVENT, RELEASE_EVENT, read_event},
};

fn read(body: &str) -> Event {
    read_event("acme", body.as_bytes(), &["s3cr3t-of-the-center"])
}

fn call(id: &str, from: &str, to: &str) -> CallReference {
    CallReference {
        call_id: id.into(),
        from_number: from.into(),
        to_number: to.into(),
        direction: CallDirection::Outbound.into(),
    }
}

fn cause(event: &Event) -> Option<&VendorValue> {
    let Some(Payload::CallHungUp(arm)) = &event.payload else { panic!("{event:?}") };
    arm.cause.as_ref()
}

fn state(event: &Event) -> Option<&VendorValue> {
    let Some(Payload::CallStateChanged(arm)) = &event.payload else { panic!("{event:?}") };
    arm.vendor_state.as_ref()
}

/// The example of "Call Status Event Callback".
const CALL_STATUS_EXAMPLE: &str =
    "{\ncallSerialNo=1197235857187927062, \nserviceNo=, \ncalled=88880067, \ncallData=\n}";

/// The example of "Release Event Callback" for two-way calls: its times, and a duration that is none, have commas.
const RELEASE_EXAMPLE: &str = "{ agentAlertingTime=2022/02/22,10:04:29:004, agentReleaseTime=2022/02/22,10:04:29:004, \
    agentTalkDuration=2022/02/22,10:04:29:004, agentTalkingTime=2022/02/22,10:04:29:004, \
    alertingTime=2022/02/22,10:04:29:004, callData=null, callSerialNo=1197765398201387012, called=88880067, \
    caller=88880066, callerPresent=960003, createCallTime=2022/02/22,10:04:28:823, locationId=0, \
    recordfile=Y:/2/mobileAgent/20220222/1645524268-824.wav, releaseReason=0, releaseTime=2022/02/22,10:04:36:318, \
    serviceNo=10001, talkDuration=6, talkingTime=2022/02/22,10:04:30:418 }";

/// The example of "Release Event Callback API" for voice notifications.
const NOTIFICATION_EXAMPLE: &str = r#"{
    "alertingTime": "2022/02/22,10:04:29:004",
    "callSerialNo": "1197765398201387012",
    "called": "88880067",
    "callerPresent": "960003",
    "createCallTime": "2022/02/22,10:04:28:823",
    "locationId": "0",
    "nonce": "-1482421808053124529",
    "recordfile": "Y:/2/mobileAgent/20220222/1645524268-824.wav",
    "releaseReason": "0",
    "releaseTime": "2022/02/22,10:04:36:318",
    "signature": "+lk************************50=",
    "talkDuration": "0",
    "talkingTime": "2022/02/22,10:04:30:418",
    "timestamp": "1645524163326"
}"#;

#[test]
fn the_example_of_the_call_status_callback_is_a_state_that_changed() {
    let event = read(CALL_STATUS_EXAMPLE);
    assert_eq!((event.r#type(), event.vendor_type.as_str()), (EventType::CallStateChanged, CALL_STATUS_EVENT));
    assert_eq!(state(&event), None, "the callback's table has no state");
    assert_eq!((event.agent.as_str(), event.event_time), ("", None));
    assert_eq!(event.call, Some(call("1197235857187927062", "", "88880067")));
    let body = Kind::StringValue(CALL_STATUS_EXAMPLE.into());
    assert_eq!(event.vendor_payload.unwrap().fields["body"].kind, Some(body));
}

#[test]
fn the_example_of_the_release_callback_is_a_call_that_ended() {
    let event = read(RELEASE_EXAMPLE);
    assert_eq!((event.r#type(), event.vendor_type.as_str()), (EventType::CallHungUp, RELEASE_EVENT));
    assert_eq!(cause(&event), Some(&VendorValue { code: "0".into(), description: String::new() }));
    assert_eq!(event.agent, "centers/acme/agents/10001");
    assert_eq!(event.call, Some(call("1197765398201387012", "88880066", "88880067")));
    assert_eq!(event.event_time, None, "a time without a zone is not guessed at");
    let body = Kind::StringValue(RELEASE_EXAMPLE.into());
    assert_eq!(event.vendor_payload.unwrap().fields["body"].kind, Some(body));
}

#[test]
fn the_example_of_a_voice_notification_is_a_call_that_ended() {
    let event = read(NOTIFICATION_EXAMPLE);
    assert_eq!((event.r#type(), event.vendor_type.as_str()), (EventType::CallHungUp, RELEASE_EVENT));
    assert_eq!(event.call, Some(call("1197765398201387012", "", "88880067")));
    assert_eq!(event.event_time, None, "`timestamp` is the signature's, minutes before the call");
    let payload = event.vendor_payload.unwrap();
    assert!(!payload.fields.contains_key("signature"));
    assert_eq!(payload.fields["nonce"].kind, Some(Kind::StringValue("-1482421808053124529".into())));
}

#[test]
fn json_and_unix_time_are_read_too() {
    let event = read(
        r#"{"callSerialNo":1197765398201387012,"serviceNo":10001,"caller":"88880066","called":"88880067",
            "releaseTime":"1572794607000","releaseReason":5}"#,
    );
    assert_eq!(event.event_time, Some(Timestamp { seconds: 1_572_794_607, nanos: 0 }));
    assert_eq!(cause(&event).map(|cause| cause.code.as_str()), Some("5"));
    assert_eq!(event.call, Some(call("1197765398201387012", "88880066", "88880067")));
    let event = read(r#"{"callSerialNo":"1","serviceNo":"Anna Berg","called":"2","state":2}"#);
    assert_eq!((state(&event).map(|state| state.code.as_str()), event.agent.as_str()), (Some("2"), ""));
}

#[test]
fn a_release_is_recognized_by_any_of_its_fields_even_without_a_value() {
    for field in ["releaseReason", "releaseTime", "agentReleaseTime", "talkDuration", "recordfile", "createCallTime"] {
        let event = read(&format!("{{callSerialNo=1, serviceNo=, called=2, {field}=}}"));
        assert_eq!((event.r#type(), cause(&event)), (EventType::CallHungUp, None), "{field}");
    }
}

#[test]
fn anything_else_is_the_vendors() {
    for (body, name) in [
        ("", ""),
        ("{}", ""),
        ("callback", ""),
        (r#"{"releaseReason":"0"}"#, ""),
        (r#"{"eventType":"AgentState_Ready","workNo":"291"}"#, "AgentState_Ready"),
    ] {
        let event = read(body);
        assert_eq!((event.r#type(), event.vendor_type.as_str()), (EventType::Vendor, name), "{body}");
        assert!(event.payload.is_none() && event.call.is_none() && event.vendor_payload.is_some());
    }
}

/// An example with this text for its call data. That of call states has it at the end.
fn with_call_data(text: &str) -> [String; 2] {
    [
        CALL_STATUS_EXAMPLE.replace("callData=", &format!("callData={text}")),
        RELEASE_EXAMPLE.replace("callData=null", &format!("callData={text}")),
    ]
}

#[test]
fn call_data_hides_no_field_and_adds_none() {
    for text in
        ["order [7", "{", "}{[", "a, called=999", "x, callSerialNo=9, serviceNo=9, called=9, caller=9, releaseReason=7"]
    {
        let [status, release] = with_call_data(text);
        let event = read(&status);
        assert_eq!((event.r#type(), event.agent.as_str()), (EventType::CallStateChanged, ""), "{text}");
        assert_eq!(event.call, Some(call("1197235857187927062", "", "88880067")), "{text}");
        let event = read(&release);
        assert_eq!(
            (event.r#type(), event.agent.as_str()),
            (EventType::CallHungUp, "centers/acme/agents/10001"),
            "{text}"
        );
        assert_eq!(event.call, Some(call("1197765398201387012", "88880066", "88880067")), "{text}");
        assert_eq!(cause(&event).map(|cause| cause.code.as_str()), Some("0"), "{text}");
    }
    // As its table has them.
    let release =
        "{callSerialNo=1, serviceNo=2, called=3, caller=4, callerPresent=, callData=[, called=9, releaseReason=0}";
    assert_eq!((read(release).r#type(), read(release).call), (EventType::CallHungUp, Some(call("1", "4", "3"))));
}

/// Text of which parts look like members.
fn call_data() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "callData",
        "callSerialNo",
        "called",
        "caller",
        "serviceNo",
        "releaseReason",
        "releaseTime",
        "state",
        "eventType",
    ]);
    let part = prop_oneof![
        "\\PC{0,12}",
        "[\\[\\]{}=,\" \n]{0,6}",
        (name, "[0-9]{0,3}").prop_map(|(name, value)| format!(", {name}={value}")),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

#[test]
fn the_name_of_any_other_event_has_128_bytes_at_most() {
    for length in [128, 129] {
        let event = read(&json!({ "eventType": "e".repeat(length) }).to_string());
        assert_eq!((event.r#type(), event.vendor_type), (EventType::Vendor, "e".repeat(128)));
    }
}

proptest! {
    #[test]
    fn the_rest_is_read_beside_any_call_data(text in call_data()) {
        for (body, example) in with_call_data(&text).iter().zip([CALL_STATUS_EXAMPLE, RELEASE_EXAMPLE]) {
            let (read, expected) = (read(body), read(example));
            let expected = Event { vendor_payload: read.vendor_payload.clone(), ..expected };
            prop_assert_eq!(read, expected, "{}", body);
        }
    }

    #[test]
    fn any_bytes_are_an_event(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let event = read_event("acme", &bytes, &["s3cr3t"]);
        prop_assert!(event.r#type() != EventType::Unspecified && event.vendor_payload.is_some());
        prop_assert_eq!(Event::decode(&*event.encode_to_vec()), Ok(event));
    }

    #[test]
    fn no_value_of_a_field_keeps_a_secret(
        name in "(callSerialNo|serviceNo|caller|called|releaseReason|releaseTime|state|eventType|callData)",
        before in "\\PC{0,10}", after in "\\PC{0,10}", serial in any::<bool>(),
    ) {
        let text = format!("{before}s3cr3t-of-the-center{after}");
        let mut body = json!({ &name: text });
        if serial {
            body["callSerialNo"] = json!(&text);
        }
        for body in [body.to_string(), format!("{{callSerialNo=1, {name}={text}}}"), format!("{name}={text}")] {
            let event = read(&body);
            let encoded = event.encode_to_vec();
            prop_assert!(!String::from_utf8_lossy(&encoded).contains("s3cr3t-of-the-center"));
            prop_assert_eq!(Event::decode(&*encoded), Ok(event));
        }
    }
}
