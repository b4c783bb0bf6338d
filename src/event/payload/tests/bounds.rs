//! Payloads and names at their bounds and just past them.

use super::*;

#[test]
fn a_payload_of_just_its_limit_is_whole_and_one_byte_more_becomes_text() {
    // The lengths of a text of this size have as many bytes as those of one near the limit.
    let size = MAX_PAYLOAD_BYTES - 2 * RESERVED_BYTES;
    let object = |size: usize| CallbackBody::read(json!({ "a": "x".repeat(size) }).to_string().as_bytes(), &[]);
    let largest = size + MAX_PAYLOAD_BYTES - object(size).into_payload().encoded_len();
    let whole = object(largest).into_payload();
    assert_eq!((whole.encoded_len(), whole.fields.contains_key("a")), (MAX_PAYLOAD_BYTES, true));
    assert!(object(largest + 1).into_payload().fields.contains_key("body"));

    let list = |size: usize| CallbackBody::read(json!(["x".repeat(size)]).to_string().as_bytes(), &[]).into_payload();
    let is_list = |payload: &Struct| matches!(payload.fields["body"].kind, Some(Kind::ListValue(_)));
    let value = |payload: &Struct| payload.fields["body"].encoded_len();
    let largest = size + MAX_PAYLOAD_BYTES - RESERVED_BYTES - value(&list(size));
    let whole = list(largest);
    assert!(is_list(&whole));
    assert_eq!(value(&whole), MAX_PAYLOAD_BYTES - RESERVED_BYTES);
    assert!(!is_list(&list(largest + 1)));
}

#[test]
fn text_and_bytes_are_truncated_past_their_limit_and_not_before() {
    let most = MAX_PAYLOAD_BYTES - RESERVED_BYTES;
    for (largest, byte) in [(most, b'x'), (most / 4 * 3, 0xff)] {
        let is_truncated = |size| decodable_payload(vec![byte; size]).fields.contains_key("body_truncated");
        assert_eq!((is_truncated(largest), is_truncated(largest + 1)), (false, true), "{byte}");
    }
}

#[test]
fn text_is_a_form_only_if_all_its_members_are() {
    for (text, event) in [
        ("event=begin", Some("begin")),
        ("n=1&event=begin", Some("begin")),
        ("event[0].name-a_b=x&event=begin", Some("begin")),
        // A space, or a name that no form has.
        ("event=begin&note=hello world", None),
        ("event=begin and more", None),
        ("=1&event=begin", None),
        ("my note=1&event=begin", None),
        ("event=begin&note", None),
    ] {
        assert_eq!(CallbackBody::read(text.as_bytes(), &[]).fields(&[]).short(&["event"]).as_deref(), event, "{text}");
    }
}

#[test]
fn a_name_of_more_than_64_bytes_is_not_looked_up() {
    let names = [64, 65].map(|length| "x".repeat(length));
    let callback_body = CallbackBody::read(json!({ &names[0]: 1, &names[1]: 1 }).to_string().as_bytes(), &[]);
    let fields = callback_body.fields(&[]);
    assert_eq!(names.each_ref().map(|name| fields.has(name)), [true, false]);
}
