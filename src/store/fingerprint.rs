//! Detection of duplicate callbacks.
//!
//! Vendors retry callbacks. Two callbacks are one event when their bodies are equal and they arrive within a window.
//! The window is long when the body contains a message ID or a timestamp, because then two events cannot have equal
//! bodies. Otherwise it is short: READY, BUSY, READY are three events, and two of their bodies are equal.
//!
//! The body is scanned, not parsed: the scan runs before the acknowledgement, in linear time, and cannot fail.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// The window of a body without a message ID and a timestamp.
pub const SHORT_WINDOW: Duration = Duration::from_secs(5);

/// Names, in lower case and without `_`, of members that contain a message ID or the time of the event. A call's ID or
/// start time does not identify an event, because several events of the call contain it. Its release time does: it is
/// in Huawei's release event only.
const NAMES: [&[u8]; 7] = [b"msgid", b"uuid", b"timestamp", b"eventtime", b"time", b"notifytime", b"releasetime"];
/// Longest name that is compared, without `_`.
const MAX_NAME_LENGTH: usize = 16;

/// Identifies a callback's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// SHA-256 of the body.
    pub key: [u8; 32],
    /// Whether the body contains a message ID or a timestamp.
    pub identified: bool,
}

// === impl Fingerprint ===

impl Fingerprint {
    /// The fingerprint of a body.
    pub fn of(body: &[u8]) -> Self {
        Self { key: Sha256::digest(body).into(), identified: is_identified(body) }
    }

    /// The time within which an equal body is a duplicate; `window` is the configured one.
    pub fn window(&self, window: Duration) -> Duration {
        if self.identified { window } else { window.min(SHORT_WINDOW) }
    }
}

/// Whether one of the named members has a value: in JSON, in JSON inside a string, or as `name=value`.
fn is_identified(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b':' | b'=')) {
        let (before, after) = rest.split_at(at);
        rest = &after[1..];
        if is_name(before) && has_value(rest) {
            return true;
        }
    }
    false
}

/// Whether the text before a `:` or `=` ends with one of the names.
fn is_name(before: &[u8]) -> bool {
    let end = before.iter().rposition(|byte| !is_decoration(*byte)).map_or(0, |last| last + 1);
    let mut name = [0; MAX_NAME_LENGTH];
    let mut length: usize = 0;
    for &byte in before[..end].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_') {
        if byte == b'_' {
            continue;
        }
        let Some(index) = length.checked_add(1).and_then(|next| MAX_NAME_LENGTH.checked_sub(next)) else {
            return false;
        };
        name[index] = byte.to_ascii_lowercase();
        length += 1;
    }
    NAMES.contains(&&name[MAX_NAME_LENGTH - length..])
}

/// Whether the text after a `:` or `=` is a value: not empty, `null` or 0.
fn has_value(after: &[u8]) -> bool {
    let value = after.iter().position(|byte| !is_decoration(*byte)).map_or(&[][..], |first| &after[first..]);
    let length = value.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    length > 0 && !matches!(&value[..length], b"null" | b"0")
}

/// White space, and the quotes of JSON and of JSON inside a string.
fn is_decoration(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_with_a_message_id_or_a_timestamp_is_identified() {
        for body in [
            r#"{"MsgId":"5b0c6f3e"}"#,
            r#"{"a": 1, "uuid" : "5b0c6f3e", "events": ["hangup"]}"#,
            r#"{"timestamp":1566523582000}"#,
            r#"{"Event_Time":"2019-08-23 09:26:22 +0800"}"#,
            r#"{"data":"{\"timestamp\": \"1566523582\"}"}"#,
            "event=ready&timestamp=1566523582",
            "{time=1566523582000, serviceNo=}",
        ] {
            assert!(Fingerprint::of(body.as_bytes()).identified, "{body}");
        }
    }

    #[test]
    fn the_documented_release_event_is_identified_by_its_release_time() {
        let example = "{ agentAlertingTime=2022/02/22,10:04:29:004, agentReleaseTime=2022/02/22,10:04:29:004, \
            agentTalkDuration=2022/02/22,10:04:29:004, agentTalkingTime=2022/02/22,10:04:29:004, \
            alertingTime=2022/02/22,10:04:29:004, callData=null, callSerialNo=1197765398201387012, called=88880067, \
            caller=88880066, callerPresent=960003, createCallTime=2022/02/22,10:04:28:823, locationId=0, \
            recordfile=Y:/2/mobileAgent/20220222/1645524268-824.wav, releaseReason=0, \
            releaseTime=2022/02/22,10:04:36:318, serviceNo=10001, talkDuration=6, talkingTime=2022/02/22,10:04:30:418 }";
        let identified = |body: &str| Fingerprint::of(body.as_bytes()).identified;
        assert!(identified(example));
        assert!(!identified(&example.replace("releaseTime=2022/02/22,10:04:36:318", "releaseTime=null")));
    }

    #[test]
    fn a_body_with_neither_is_not_identified() {
        for body in [
            "",
            "READY",
            r#"{"State":1,"AgentId":"1001"}"#,
            // A duration, a call's ID and its start time are the same in several events.
            r#"{"WrapUpTime":5,"queue_time":3,"call_id":"c-1","begin_time":"2019-08-23"}"#,
            r#"{"timestamp":null,"MsgId":"","uuid":0}"#,
            r#"{"note":"timestamp"}"#,
            "{timestamp=, uuid=null}",
            ":=:=",
        ] {
            assert!(!Fingerprint::of(body.as_bytes()).identified, "{body}");
        }
    }

    #[test]
    fn the_window_is_short_for_a_body_that_is_not_identified() {
        let window = Duration::from_secs(600);
        assert_eq!(Fingerprint::of(b"READY").window(window), SHORT_WINDOW);
        assert_eq!(Fingerprint::of(b"READY").window(Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(Fingerprint::of(b"time=1").window(window), window);
    }

    proptest! {
        #[test]
        fn any_body_has_a_fingerprint(body in proptest::collection::vec(any::<u8>(), 0..200), other in any::<u8>()) {
            let fingerprint = Fingerprint::of(&body);
            prop_assert_eq!(fingerprint, Fingerprint::of(&body));
            let mut longer = body;
            longer.push(other);
            prop_assert_ne!(fingerprint.key, Fingerprint::of(&longer).key);
        }

        #[test]
        fn a_timestamp_is_found_at_any_position(before in "[a-z0-9{},\": ]{0,40}", after in "[^}]{0,40}") {
            let body = format!("{before},\"Timestamp\":\"1566523582000\",{after}");
            prop_assert!(Fingerprint::of(body.as_bytes()).identified);
        }
    }
}
