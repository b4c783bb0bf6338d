//! Telling what was posted twice.
//!
//! Vendors post again what they believe lost. Two posts are one event when their bodies are equal and they come within a
//! window: a long one where the body names its message or its time, so that equal bodies cannot be two events; a short one
//! where it names neither, because READY, BUSY, READY may be three bodies of which two are equal.
//!
//! The body is looked at, not parsed: this happens before it is acknowledged, in linear time, and cannot fail.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Longest time between two posts of a body with neither an ID nor a time that count as one.
pub const SHORT_WINDOW: Duration = Duration::from_secs(5);

/// Names, without `_` and in lower case, of members that hold the ID of a message or the time of an event. Only such: a
/// call's ID or the time it began is in several of its events. The time it was released is in Huawei's one event of that.
const NAMES: [&[u8]; 7] = [b"msgid", b"uuid", b"timestamp", b"eventtime", b"time", b"notifytime", b"releasetime"];
/// Longest spelling of a name that is looked at.
const LONGEST_NAME: usize = 16;

/// What a body is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// SHA-256 of the body. An ID in it is in the hash, too.
    pub key: [u8; 32],
    /// Whether it names its message or its time.
    pub identified: bool,
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Of this body.
    pub fn of(body: &[u8]) -> Self {
        Self { key: Sha256::digest(body).into(), identified: is_identified(body) }
    }

    /// Within which time an equal body is the same event; `window` is the configured one.
    pub fn window(&self, window: Duration) -> Duration {
        if self.identified { window } else { window.min(SHORT_WINDOW) }
    }
}

/// Whether a member of one of the names has a value: in JSON, also in JSON within text, or as `name=value`.
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

/// Whether what stands before a `:` or `=` ends with one of the names.
fn is_name(before: &[u8]) -> bool {
    let end = before.iter().rposition(|byte| !is_decoration(*byte)).map_or(0, |last| last + 1);
    let mut name = [0; LONGEST_NAME];
    let mut length: usize = 0;
    for &byte in before[..end].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_') {
        if byte == b'_' {
            continue;
        }
        let Some(place) = length.checked_add(1).and_then(|next| LONGEST_NAME.checked_sub(next)) else {
            return false;
        };
        name[place] = byte.to_ascii_lowercase();
        length += 1;
    }
    NAMES.contains(&&name[LONGEST_NAME - length..])
}

/// Whether what stands after a `:` or `=` is a value: not empty, `null` or 0.
fn has_value(after: &[u8]) -> bool {
    let value = after.iter().position(|byte| !is_decoration(*byte)).map_or(&[][..], |first| &after[first..]);
    let length = value.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    length > 0 && !matches!(&value[..length], b"null" | b"0")
}

/// Space, and the quotes of JSON and of JSON within text.
fn is_decoration(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_that_names_its_message_or_its_time_is_identified() {
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
    fn the_example_of_a_released_call_is_identified_by_its_release_alone() {
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
    fn a_body_that_names_neither_is_not() {
        for body in [
            "",
            "READY",
            r#"{"State":1,"AgentId":"1001"}"#,
            // A duration, and a call's own time and ID, are the same in several events.
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
    fn the_window_is_short_for_what_is_not_identified() {
        let window = Duration::from_secs(600);
        assert_eq!(Fingerprint::of(b"READY").window(window), SHORT_WINDOW);
        assert_eq!(Fingerprint::of(b"READY").window(Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(Fingerprint::of(b"time=1").window(window), window);
    }

    proptest! {
        #[test]
        fn any_body_has_one(body in proptest::collection::vec(any::<u8>(), 0..200), other in any::<u8>()) {
            let fingerprint = Fingerprint::of(&body);
            prop_assert_eq!(fingerprint, Fingerprint::of(&body));
            let mut longer = body;
            longer.push(other);
            prop_assert_ne!(fingerprint.key, Fingerprint::of(&longer).key);
        }

        #[test]
        fn a_time_is_found_wherever_it_stands(before in "[a-z0-9{},\": ]{0,40}", after in "[^}]{0,40}") {
            let body = format!("{before},\"Timestamp\":\"1566523582000\",{after}");
            prop_assert!(Fingerprint::of(body.as_bytes()).identified);
        }
    }
}
