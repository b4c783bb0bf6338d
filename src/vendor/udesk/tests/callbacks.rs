//! Udesk's callbacks: no payload is documented, so these are the forms of its sibling products and mixtures of them.

use proptest::prelude::*;
use prost::Message as _;
use prost_types::{Timestamp, value::Kind};
use serde_json::{Value, json};

use crate::{
    config::AgentStates,
    proto::v1::{
        AgentState, CallDirection, CallReference, Event, EventType, ExtensionProtocol, VendorValue, event::Payload,
    },
    vendor::udesk::{callbacks::read_event, events::EVENTS},
};

fn read(body: &Value) -> Event {
    read_event("acme", body.to_string().as_bytes(), &["s3cr3t-of-the-center"], &AgentStates::default())
}

fn value(code: &str, description: &str) -> VendorValue {
    VendorValue { code: code.into(), description: description.into() }
}

#[test]
fn each_of_the_20_events_has_its_type_and_its_arm() {
    for (event_type, name) in EVENTS {
        for body in [
            json!({ "event": name }),
            json!({ "Event": name }),
            json!({ "event_type": name }),
            json!({ "EventType": name }),
            json!({ "type": name }),
            json!({ "action": name, "message": {} }),
            json!({ "events": [name], "uuid": "u" }),
            json!({ "events": ["begin", null, name, "end"], "uuid": "u" }),
            json!({ "data": { "event": name } }),
            json!({ "Data": { "Type": name } }),
            json!({ "message": json!({ "event": name }).to_string() }),
            json!({ "type": "NTF", "Data": { "event": name } }),
            json!({ "event": "", "type": null, "action": format!(" {name} ") }),
        ] {
            let event = read(&body);
            assert_eq!((event.r#type(), event.vendor_type.as_str()), (event_type, name), "{body}");
            let arm = format!("{:?}", event.payload.unwrap());
            assert!(arm.starts_with(&format!("{event_type:?}(")), "{arm}");
        }
    }
}

#[test]
fn any_other_event_keeps_its_name() {
    // The document's own example subscribes to "begin" and "end" (Udesk 18).
    for (body, name) in [
        (json!({ "event": "begin" }), "begin"),
        (json!({ "events": ["end"], "data": "{}" }), "end"),
        (json!({ "events": [null, "", "begin", "end"] }), "begin"),
        (json!({ "events": [["end"]] }), "end"),
        (json!({ "events": [], "type": "x" }), "x"),
        (json!({ "type": 7 }), "7"),
        (json!({ "event": { "name": "x" } }), ""),
        (json!({}), ""),
        (json!({ "event": "x".repeat(200) }), &*"x".repeat(128)),
        (json!({ "event": "ACD_AGENT_STATE" }), "ACD_AGENT_STATE"),
    ] {
        let event = read(&body);
        assert_eq!((event.r#type(), event.vendor_type.as_str()), (EventType::Vendor, name), "{body}");
        assert!(event.payload.is_none() && event.vendor_payload.is_some());
    }
}

#[test]
fn an_agents_state_is_what_the_document_says_of_it() {
    let event = read(&json!({
        "AppId": "7859ff65-0e6a", "MsgType": "NTF", "Event": "acd_agent_state", "Timestamp": 1_566_523_582_000_i64,
        "AgentId": "355@7859ff65-0e6a", "Extension": 1145, "QueueId": "2@7859ff65-0e6a",
        "State": 4, "StateDes": "offline", "ReasonCode": 0, "ReasonCodeDes": "",
    }));
    assert_eq!(event.agent, "centers/acme/agents/355");
    assert_eq!(event.extension, "centers/acme/extensions/1145");
    assert_eq!(event.queue, "centers/acme/queues/2");
    assert_eq!(event.event_time, Some(Timestamp { seconds: 1_566_523_582, nanos: 0 }));
    assert_eq!(event.call, None);
    let Some(Payload::AgentStateChanged(arm)) = event.payload else { panic!("{:?}", event.payload) };
    assert_eq!(
        (arm.state(), arm.vendor_state, arm.reason),
        (AgentState::Offline, Some(value("4", "offline")), Some(value("0", "")))
    );

    let event = read(&json!({ "event": "acd_agent_state", "data": { "agent_id": "189", "state": "1" } }));
    let Some(Payload::AgentStateChanged(arm)) = event.payload else { panic!("{:?}", event.payload) };
    assert_eq!((arm.state(), arm.vendor_state, arm.reason), (AgentState::NotReady, Some(value("1", "")), None));
}

#[test]
fn an_agents_state_may_be_its_text() {
    for (body, state) in [
        (json!({ "StateDes": "offline" }), AgentState::Offline),
        (json!({ "State": "Offline" }), AgentState::Offline),
        (json!({ "State": null, "state_desc": "offline" }), AgentState::Offline),
        (json!({ "State": 1, "StateDes": "offline" }), AgentState::NotReady),
        (json!({ "State": 7, "StateDes": "offline" }), AgentState::Unspecified),
        (json!({ "StateDes": "ready" }), AgentState::Unspecified),
        (json!({}), AgentState::Unspecified),
    ] {
        let event = read(&json!({ "event": "acd_agent_state", "data": body }));
        let Some(Payload::AgentStateChanged(arm)) = event.payload else { panic!("{:?}", event.payload) };
        assert_eq!(arm.state(), state, "{body}");
    }
}

#[test]
fn extensions_and_call_modes_contain_their_codes() {
    let arm = |body| read(&body).payload.unwrap();
    let Payload::ExtensionStateChanged(state) = arm(json!({ "event": "extension_state_update", "ExtState": "2" }))
    else {
        panic!("another arm")
    };
    assert_eq!(state.vendor_state, Some(value("2", "")));
    for (body, protocol, mode) in [
        (json!({ "SignalType": 0 }), ExtensionProtocol::Sip, Some(value("0", ""))),
        (json!({ "signal_type": "1" }), ExtensionProtocol::Webrtc, Some(value("1", ""))),
        (json!({ "SignalType": "voip" }), ExtensionProtocol::Unspecified, Some(value("voip", ""))),
        (json!({ "call_mode": 1, "call_mode_des": "web" }), ExtensionProtocol::Unspecified, Some(value("1", "web"))),
        (json!({}), ExtensionProtocol::Unspecified, None),
    ] {
        let body = json!({ "event": "agent_call_mode_change", "data": body });
        let Payload::AgentCallModeChanged(arm) = arm(body) else { panic!("another arm") };
        assert_eq!((arm.protocol(), arm.vendor_mode), (protocol, mode));
    }
}

#[test]
fn the_fields_of_calls_reach_their_arms() {
    let arm = |name: &str, data: Value| read(&json!({ "event": name, "data": data })).payload.unwrap();
    let cause = json!({ "hangup_cause": 16, "hangup_cause_desc": "normal" });
    let Payload::CallHungUp(hung_up) = arm("general_hangup", cause.clone()) else { panic!("another arm") };
    let Payload::HangupCauseReported(reported) = arm("hangup_cause", cause) else { panic!("another arm") };
    assert_eq!((hung_up.cause, reported.cause), (Some(value("16", "normal")), Some(value("16", "normal"))));
    let Payload::CallHungUp(dropped) = arm("general_hangup", json!({ "drop_side": "agent" })) else { panic!() };
    assert_eq!(dropped.cause, Some(value("agent", "")));
    let Payload::CallDequeued(left) = arm("dequeue_succ", json!({ "queue_statue": "timeout" })) else { panic!() };
    assert_eq!(left.reason, Some(value("timeout", "")));

    let uri = "https://rec.example/1.mp3?sign=kept";
    let Payload::RecordingStopped(recording) = arm("record_stop", json!({ "record_url": uri })) else { panic!() };
    let Payload::VoicemailLeft(voicemail) = arm("voice_mail_succ", json!({ "talkRecord": uri })) else { panic!() };
    assert_eq!((recording.recording_uri.as_str(), voicemail.recording_uri.as_str()), (uri, uri));
    let Payload::DtmfGathered(keys) = arm("dtmf_gather_succ", json!({ "dtmf": 12 })) else { panic!() };
    assert_eq!(keys.digits, "12");
    let Payload::SpeechRecognized(speech) = arm("asr_gather_succ", json!({ "text": "yes please" })) else { panic!() };
    assert_eq!(speech.transcript, "yes please");
    let Payload::ConsultStarted(consult) = arm("consult_succ", json!({ "ConsultNumber": "1145" })) else { panic!() };
    assert_eq!(consult.target, "1145");
    let Payload::CallTransferred(moved) = arm("extern_succ", json!({ "extern_number": "02155500102" })) else {
        panic!()
    };
    assert_eq!(moved.to_number, "02155500102");
    let Payload::CallIntercepted(taken) = arm("substitute_succ", json!({ "interceptor": "12@app" })) else { panic!() };
    let Payload::CallMonitored(heard) = arm("eavesdrop_succ", json!({ "EavesdropAgentId": 12 })) else { panic!() };
    assert_eq!([taken.interceptor, heard.monitor], ["centers/acme/agents/12", "centers/acme/agents/12"]);
}

#[test]
fn a_call_event_push_contains_its_call() {
    let push = |workflow: &str| {
        json!({
            "event": "general_hangup", "call_id": "c-1", "conversation_id": 77, "customer_phone": "13800000000",
            "display_number": "01055500101", "workflow": workflow, "agent_id": "9415",
            "timestamp": "2019-08-23 09:26:22 +0800", "queue_id": null, "drop_side": "customer",
        })
    };
    let call = |workflow| read(&push(workflow)).call.unwrap();
    let reference = |from: &str, to: &str, direction: CallDirection| CallReference {
        call_id: "c-1".into(),
        from_number: from.into(),
        to_number: to.into(),
        direction: direction.into(),
    };
    assert_eq!(call("in"), reference("13800000000", "01055500101", CallDirection::Inbound));
    for out in ["out_callback", "out_direct", "out_auto", "CallOut", "outbound", "call_out"] {
        assert_eq!(call(out), reference("01055500101", "13800000000", CallDirection::Outbound), "{out}");
    }
    assert_eq!(call("internal"), reference("", "", CallDirection::Internal));
    assert_eq!(call("1"), reference("", "", CallDirection::Unspecified));
    let event = read(&push("in"));
    assert_eq!(event.event_time, Some(Timestamp { seconds: 1_566_523_582, nanos: 0 }));
    assert_eq!((event.agent.as_str(), event.queue.as_str()), ("centers/acme/agents/9415", ""));
}

#[test]
fn calls_are_read_in_the_documents_own_words_too() {
    let call = |body| read(&body).call;
    let reported = call(
        json!({ "event": "start_dialout", "CallId": 1_125_397_061_153_369_092_u64, "caller": "1", "called": "2" }),
    );
    let reference = |id: &str, from: &str, to: &str| {
        Some(CallReference { call_id: id.into(), from_number: from.into(), to_number: to.into(), ..Default::default() })
    };
    assert_eq!(reported, reference("1125397061153369092", "1", "2"));
    // A message's own ID is not a call's ID.
    assert_eq!(call(json!({ "uuid": "m", "events": ["general_hangup"], "data": "{}" })), None);
    assert_eq!(call(json!({ "event": "acd_agent_state", "uuid": "m" })), None);
    assert_eq!(call(json!({ "event": "general_hangup", "uuid": "c" })), reference("c", "", ""));
    assert_eq!(
        call(json!({ "event": "general_hangup", "uuid": "m", "data": { "uuid": "c" } })),
        reference("c", "", "")
    );
}

#[test]
fn an_invalid_id_stays_in_the_payload() {
    for id in
        [json!("Anna Berg"), json!("\u{5f20}"), json!("-1"), json!("a".repeat(33)), json!(["1", "2"]), json!("@app")]
    {
        let event = read(&json!({ "event": "acd_agent_state", "AgentId": id, "Extension": id, "QueueId": id }));
        assert_eq!([event.agent, event.extension, event.queue], ["", "", ""], "{id}");
    }
}

#[test]
fn a_signed_webhook_is_read_and_its_signature_is_not_shown() {
    // The form of Udesk's voice robot: data is JSON text.
    let data = json!({ "call_id": "c-1", "password": "p", "dtmf": "1#" }).to_string();
    let event = read(&json!({
        "uuid": "u-1", "events": ["dtmf_gather_succ"], "timestamp": 1_566_523_582, "signature": "0123abcd", "data": data,
    }));
    assert_eq!(event.r#type(), EventType::DtmfGathered);
    assert_eq!(event.call.unwrap().call_id, "c-1");
    assert_eq!(event.event_time, Some(Timestamp { seconds: 1_566_523_582, nanos: 0 }));
    let payload = event.vendor_payload.unwrap();
    assert_eq!(payload.fields.keys().collect::<Vec<_>>(), ["data", "events", "timestamp", "uuid"]);
    let text = r#"{"call_id":"c-1","dtmf":"1#"}"#;
    assert_eq!(payload.fields["data"].kind, Some(Kind::StringValue(text.into())));
}

#[test]
fn forms_are_read_as_objects_are() {
    let event =
        read_event("acme", b"event=acd_agent_state&AgentId=1013&State=4&Sign=abc", &[], &AgentStates::default());
    assert_eq!((event.r#type(), event.agent.as_str()), (EventType::AgentStateChanged, "centers/acme/agents/1013"));
    let body = Kind::StringValue("event=acd_agent_state&AgentId=1013&State=4".into());
    assert_eq!(event.vendor_payload.unwrap().fields["body"].kind, Some(body));
}

#[test]
fn a_transcript_is_cut_to_16_kib_and_an_address_of_more_than_4_kib_is_none() {
    let named = |event_type| EVENTS.iter().find(|(of, _)| *of == event_type).unwrap().1;
    for more in [0, 1] {
        let text = "t".repeat((16 << 10) + more);
        let event = read(&json!({ "event": named(EventType::SpeechRecognized), "data": { "text": text } }));
        let Some(Payload::SpeechRecognized(speech)) = event.payload else { panic!("{event:?}") };
        assert_eq!(speech.transcript.len(), 16 << 10);

        let uri = format!("https://{}", "u".repeat(4096 - 8 + more));
        let event = read(&json!({ "event": named(EventType::RecordingStopped), "data": { "record_url": uri } }));
        let Some(Payload::RecordingStopped(recording)) = event.payload else { panic!("{event:?}") };
        assert_eq!(recording.recording_uri, if more == 0 { uri } else { String::new() });
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_event(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let event = read_event("acme", &bytes, &["s3cr3t"], &AgentStates::default());
        prop_assert!(event.r#type() != EventType::Unspecified && event.vendor_payload.is_some());
        prop_assert_eq!(Event::decode(&*event.encode_to_vec()), Ok(event));
    }

    #[test]
    fn no_value_of_a_field_keeps_a_secret(
        at in 0..EVENTS.len(),
        name in "(call_?id|agent_?id|caller|called|record_url|dtmf|text|state|state_?des|timestamp|workflow|interceptor|event)",
        before in "\\PC{0,10}", after in "\\PC{0,10}",
    ) {
        let text = format!("{before}s3cr3t-of-the-center{after}");
        let event = read(&json!({ "event": EVENTS[at].1, "data": { name: text } }));
        let encoded = event.encode_to_vec();
        prop_assert!(!String::from_utf8_lossy(&encoded).contains("s3cr3t-of-the-center"));
        prop_assert_eq!(Event::decode(&*encoded), Ok(event));
    }
}
