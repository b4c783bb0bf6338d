mod bounds;

use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as JsonValue, json};

use super::{json::text_of_object, *};

const SECRET: &str = "s3cr3t-of-the-center";

/// The payload of a body, as JSON.
fn payload(body: impl AsRef<[u8]>) -> JsonValue {
    serde_json::from_str(&text_of_object(&CallbackBody::read(body.as_ref(), &[SECRET]).into_payload())).unwrap()
}

/// The payload of a body, after checks that it is redacted and that a client can decode it.
fn decodable_payload(body: impl AsRef<[u8]>) -> Struct {
    let payload = CallbackBody::read(body.as_ref(), &[SECRET]).into_payload();
    let encoded = payload.encode_to_vec();
    assert!(encoded.len() <= MAX_PAYLOAD_BYTES, "{} bytes", encoded.len());
    assert!(!String::from_utf8_lossy(&encoded).contains(SECRET), "the payload contains a secret");
    assert_eq!(Struct::decode(&*encoded).as_ref(), Ok(&payload));
    payload
}

#[test]
fn an_object_is_the_payload_and_other_bodies_are_the_member_body() {
    for (body, expected) in [
        (r#"{"event":"begin","n":1.5,"ok":true,"none":null,"l":[1,"a",{}]}"#, None),
        ("{}", None),
        (r#"[1,{"a":null}]"#, Some(json!([1, { "a": null }]))),
        ("7", Some(json!(7))),
        (r#""text""#, Some(json!("text"))),
        ("null", Some(json!(null))),
        ("", Some(json!(""))),
        (" hello\n", Some(json!(" hello\n"))),
        (r#"{"event":"begin""#, Some(json!(r#"{"event":"begin""#))),
        ("event=begin&n=1", Some(json!("event=begin&n=1"))),
        ("{event=begin, n=1}", Some(json!("{event=begin, n=1}"))),
    ] {
        let expected = expected.map_or_else(|| serde_json::from_str(body).unwrap(), |body| json!({ "body": body }));
        assert_eq!(payload(body), expected, "{body}");
    }
    assert_eq!(payload("\u{feff}{\"a\":1}"), json!({ "a": 1 }), "a byte order mark is no text");
}

#[test]
fn an_object_with_a_lone_surrogate_or_a_control_character_is_repaired() {
    let expected = json!({ "event": "begin", "name": "\u{5f20}\u{fffd}", "note": "a\nb" });
    assert_eq!(payload("{\"event\":\"begin\",\"name\":\"\u{5f20}\\ud83d\",\"note\":\"a\nb\"}"), expected);
}

#[test]
fn bytes_that_are_no_text_are_base64() {
    assert_eq!(payload(b"\xff\x00"), json!({ "body": "/wA=", "body_encoding": "base64" }));
    let body = [b"{\"event\":\"begin\",\"name\":\"\xb0\xa2\",\"password\":\"pw\",\"x\":\"", SECRET.as_bytes(), b"\"}"]
        .concat();
    let callback_body = CallbackBody::read(&body, &[SECRET]);
    assert_eq!(callback_body.fields(&[]).short(&["event"]).as_deref(), Some("begin"), "the readable fields are read");
    let shown = text_of_object(&callback_body.into_payload());
    let shown: JsonValue = serde_json::from_str(&shown).unwrap();
    let decoded = STANDARD.decode(shown["body"].as_str().unwrap()).unwrap();
    assert_eq!(decoded, b"{\"event\":\"begin\",\"name\":\"\xb0\xa2\",\"password\":***,\"x\":\"***\"}");
}

#[test]
fn integers_that_a_double_does_not_represent_are_text_with_all_digits() {
    let given = r#"{
        "max": 9007199254740992, "min": -9007199254740992, "above": 9007199254740993, "below":-9007199254740993,
        "u64": 18446744073709551615, "long": 123456789012345678901234567890, "list": [-123456789012345678901234567890],
        "text": "call 123456789012345678901234567890 \" 9007199254740993", "1e400": 1e400, "tiny": 1e-400,
        "float": 12345678901234567.5, "sixteen": 1234567890123456
    }"#;
    let expected = json!({
        "max": 9_007_199_254_740_992_u64, "min": -9_007_199_254_740_992_i64,
        "above": "9007199254740993", "below": "-9007199254740993",
        "u64": "18446744073709551615", "long": "123456789012345678901234567890",
        "list": ["-123456789012345678901234567890"],
        "text": "call 123456789012345678901234567890 \" 9007199254740993", "1e400": "1e400", "tiny": 0,
        "float": 12_345_678_901_234_567.5, "sixteen": 1_234_567_890_123_456_u64,
    });
    assert_eq!(payload(given), expected);
    assert_eq!(
        payload("[01234567890123456789]"),
        json!({ "body": "[01234567890123456789]" }),
        "a leading zero is invalid JSON"
    );
}

#[test]
fn the_last_of_duplicate_members_wins() {
    assert_eq!(payload(r#"{"a":1,"b":2,"a":{"c":3,"c":4}}"#), json!({ "a": { "c": 4 }, "b": 2 }));
}

#[test]
fn secrets_are_redacted_at_every_level() {
    let address = "https://gw.example/callbacks/acme/n0nce.m4c";
    for (given, expected) in [
        (
            json!({ "Password": "p", "Sign": "p", "a": [{ "accessToken": { "b": 1 }, "c": 1 }] }),
            json!({ "a": [{ "c": 1 }] }),
        ),
        (
            json!({ "a": format!("x {SECRET} y"), format!("k-{SECRET}"): 1, "callback": address }),
            json!({ "a": "x *** y", "k-***": 1, "callback": "https://gw.example/callbacks/acme/***" }),
        ),
        (
            json!({ "data": json!({ "b": 1, "password": "p", "c": 1_125_397_061_153_369_092_u64 }).to_string() }),
            json!({ "data": r#"{"b":1,"c":"1125397061153369092"}"# }),
        ),
        (
            json!({ "data": json!([json!({ "d": address, "secret": 1 }).to_string()]).to_string() }),
            json!({ "data": r#"["{\"d\":\"https://gw.example/callbacks/acme/***\"}"]"# }),
        ),
        (json!({ "data": "{a=1, password=p, q}" }), json!({ "data": "{a=1, password=***}" })),
        (json!({ "data": "{ \"a\" : 1.0 }" }), json!({ "data": "{ \"a\" : 1.0 }" })),
    ] {
        assert_eq!(payload(given.to_string()), expected, "{given}");
    }
    for (given, expected) in [
        ("event=x&pass%77ord=p&b=%7B%22token%22%3A1%2C%22c%22%3A2%7D&d=1+2", "event=x&b=%7B%22c%22%3A2%7D&d=1+2"),
        ("{event=x, password=p, q, b={pwd=1, c=2}, d=1}", "{event=x, b={pwd=***, c=2}, d=1}"),
        ("{a=x{, password=p, q=1}", "{a=x{, q=1}"),
        ("{a=x, note=y[, password=p, q={pwd=1, c=2}}", "{a=x, note=y[, q={pwd=***, c=2}}"),
        (r#"{"event":"x","password":"p"#, r#"{"event":"x","password":***"#),
        ("s3cr3t-of-the-center", "***"),
        (r#""https:\/\/gw.example\/callbacks\/acme\/n.m""#, "https://gw.example/callbacks/acme/***"),
    ] {
        assert_eq!(payload(given), json!({ "body": expected }), "{given}");
    }
}

#[test]
fn deeply_nested_values_become_json_text() {
    let nested = |levels: usize, core: &str| format!("{}{core}{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert_eq!(payload(nested(19, "1")), serde_json::from_str::<JsonValue>(&nested(19, "1")).unwrap());
    assert_eq!(payload(nested(20, "1")), serde_json::from_str::<JsonValue>(&nested(20, "1")).unwrap());
    assert_eq!(payload(nested(21, "1")), serde_json::from_str::<JsonValue>(&nested(20, r#""{\"a\":1}""#)).unwrap());
    for levels in [20, 21, 100, 1000, 100_000] {
        let core = format!(r#"{{"password":"p-{SECRET}","x":["{SECRET}",123456789012345678901234567890]}}"#);
        let shown = text_of_object(&decodable_payload(nested(levels, &core)));
        assert!(!shown.contains("p-") && shown.contains("123456789012345678901234567890"), "{levels}");
    }
    decodable_payload("[".repeat(100_000) + &"]".repeat(100_000));
}

#[test]
fn a_large_payload_becomes_one_text() {
    let numbers = format!("{{\"event\":\"begin\",\"token\":\"p\",\"n\":[{}0]}}", "0,".repeat(500_000));
    let callback_body = CallbackBody::read(numbers.as_bytes(), &[]);
    assert_eq!(callback_body.fields(&[]).short(&["event"]).as_deref(), Some("begin"));
    let shown = payload(&numbers);
    let text = shown["body"].as_str().unwrap();
    assert!(text.starts_with("{\"event\":\"begin\",\"n\":[0,0,") && text.ends_with("0,0]}"));
    assert_eq!(shown.as_object().unwrap().len(), 1);
    decodable_payload(&numbers);
    decodable_payload(format!("[{}0]", "0,".repeat(500_000)));
}

#[test]
fn a_payload_over_the_limit_is_truncated_and_flagged() {
    for body in [vec![b'x'; 5 << 20], vec![0xff; 5 << 20], format!("\"{}\"", "\u{5f20}".repeat(2 << 20)).into_bytes()] {
        let payload = decodable_payload(body);
        assert_eq!(payload.fields["body_truncated"].kind, Some(Kind::BoolValue(true)));
    }
    // `***` may be longer than the secret that it replaces.
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(4 << 20));
    let payload = CallbackBody::read(body.as_bytes(), &["x"]).into_payload();
    assert!(payload.encoded_len() <= MAX_PAYLOAD_BYTES && payload.fields.contains_key("body_truncated"));
}

#[test]
fn a_hostile_body_is_read_in_linear_time() {
    // A quadratic algorithm runs for minutes here.
    let many = |part: &str| part.repeat((1 << 17) / part.len());
    for part in [
        "[",
        "{\"\":0},",
        "\"",
        "\\",
        "\\\"",
        "{",
        "{\"a\":",
        "password",
        "password:",
        "token=,",
        "pwd=\\",
        "a=&",
        ",a=1",
        "&",
        "callbacks/",
        "callbacks\\",
        "/callbacks/a/b.",
        "123456789012345678,",
        "\\u0000",
        "{\\",
        "{a=",
        "[\"[",
        "%",
    ] {
        decodable_payload(many(part));
        decodable_payload(format!("[{}0]", many(part)));
        decodable_payload(format!("{{\"a\":\"{}\"}}", many(part)));
        decodable_payload(format!("{{a={}}}", many(part)));
        decodable_payload(json!({ "data": many(part) }).to_string());
        for body in [format!("{{a={}}}", many(part)), format!("{{b=1, a={}}}", many(part)), many(part)] {
            CallbackBody::read_with_free_text(&NOTE, body.as_bytes(), &[SECRET]);
        }
    }
}

/// `{id, note}` or, sorted, `{note, number}`.
const NOTE: FreeText = FreeText { name: "note", members: &["id", "note", "number"], last_behind: &["id"] };

#[test]
fn free_text_neither_hides_nor_adds_members() {
    for (body, note, number) in [
        ("{id=7, note=}", None, None),
        ("{id=7, note=a, number=9, id=8, note=[}", Some("a, number=9, id=8, note=["), None),
        ("{note=a[, number=1, id=7}", Some("a["), Some("1")),
        ("{\nnote=a}, other=b, \nnumber=1, \nid=7\n}", Some("a}, other=b"), Some("1")),
        // The genuine members follow or precede the free text.
        ("{note=a, number=9, id=8, number=1, id=7}", Some("a"), Some("1")),
        ("{id=7, number=1, note=a, number=9, id=8}", Some("a"), Some("1")),
        ("{number=1, x=[, id=7, note=a}", Some("a"), Some("1")),
    ] {
        let callback_body = CallbackBody::read_with_free_text(&NOTE, body.as_bytes(), &[]);
        let fields = callback_body.fields(&[]);
        let found = ["id", "number", "note"].map(|name| fields.short(&[name]));
        let expected = [Some("7"), number, note].map(|value| value.map(str::to_owned));
        assert_eq!(found, expected, "{body}");
        drop(fields);
        let shown = serde_json::from_str::<JsonValue>(&text_of_object(&callback_body.into_payload())).unwrap();
        assert_eq!(shown, json!({ "body": body }));
    }
}

#[test]
fn an_unclosed_bracket_hides_no_member() {
    for (body, expected) in [
        ("{a={b=1, c=2}, d=3}", ["{b=1, c=2}", "", "3"]),
        ("{a=x[, c=2, d=3}", ["x[", "2", "3"]),
        ("{a=x}, c=2, d={}", ["x}", "2", "{"]),
    ] {
        let callback_body = CallbackBody::read(body.as_bytes(), &[]);
        let fields = callback_body.fields(&[]);
        assert_eq!(["a", "c", "d"].map(|name| fields.short(&[name]).unwrap_or_default()), expected, "{body}");
    }
}

#[test]
fn field_names_match_without_case_and_underscores() {
    let body = json!({
        "AgentId": 1013, "call_id": "  c-1 ", "empty": "", "none": null, "word": "null", "flag": true, "one": ["7"],
        "two": [1, 2], "type": "outer",
        "Data": { "type": "inner", "queueId": "9003@app", "nested": { "deep": 1 } },
        "message": "{\"Type\":\"text\",\"dtmf\":\"12#\"}",
    });
    let callback_body = CallbackBody::read(body.to_string().as_bytes(), &[]);
    let fields = callback_body.fields(&["data", "message"]);
    for (name, value) in [
        ("agentid", Some("1013")),
        ("callid", Some("c-1")),
        ("empty", None),
        ("none", None),
        ("word", None),
        ("flag", Some("true")),
        ("one", Some("7")),
        ("two", None),
        ("queueid", Some("9003@app")),
        ("dtmf", Some("12#")),
        ("deep", None),
    ] {
        assert_eq!(fields.short(&[name]).as_deref(), value, "{name}");
    }
    assert_eq!(fields.texts(&["type"]).collect::<Vec<_>>(), ["outer", "inner", "text"]);
    assert_eq!(fields.innermost(&["type"]).as_deref(), Some("inner"));
    assert_eq!(
        fields.short(&["none", "agentid", "callid"]).as_deref(),
        Some("1013"),
        "the order of the names comes first"
    );
    assert!(fields.has("none") && !fields.has("missing"));
}

#[test]
fn fields_are_found_in_forms_maps_and_text_of_json() {
    for body in [
        "event=begin&call_id=c%2D1&data=%7B%22dtmf%22%3A%2212%22%7D",
        "{event=begin, call_id=c-1, data={\"dtmf\":\"12\"}}",
        "{\nevent=begin, \ncall_id=c-1, \ndata={\"dtmf\":\"12\"}\n}\n",
        r#""{\"event\":\"begin\",\"call_id\":\"c-1\",\"data\":\"{\\\"dtmf\\\":12}\"}""#,
    ] {
        let callback_body = CallbackBody::read(body.as_bytes(), &[]);
        let fields = callback_body.fields(&["data"]);
        let found = ["event", "callid", "dtmf"].map(|name| fields.short(&[name]).unwrap_or_default());
        assert_eq!(found, ["begin", "c-1", "12"], "{body}");
    }
}

#[test]
fn a_text_too_long_for_an_id_is_skipped() {
    let body = json!({ "a": "x".repeat(257), "b": "y".repeat(256), "c": "\u{e9}".repeat(300) }).to_string();
    let callback_body = CallbackBody::read(body.as_bytes(), &[]);
    let fields = callback_body.fields(&[]);
    assert_eq!(fields.short(&["a"]), None);
    assert_eq!(fields.short(&["a", "b"]).map(|text| text.len()), Some(256));
    assert_eq!(fields.cut(&["c"], 5).as_deref(), Some("\u{e9}\u{e9}"));
}

/// JSON documents without secrets.
fn documents() -> impl Strategy<Value = JsonValue> {
    let leaf = prop_oneof![
        Just(JsonValue::Null),
        any::<bool>().prop_map(JsonValue::from),
        any::<i64>().prop_map(JsonValue::from),
        any::<u64>().prop_map(JsonValue::from),
        any::<i16>().prop_map(|quarters| JsonValue::from(f64::from(quarters) / 4.0)),
        "\\PC{0,12}".prop_map(JsonValue::from),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(JsonValue::from),
            proptest::collection::btree_map("[a-oA-O_]{1,6}", inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// The payload of a document.
fn expected(document: JsonValue) -> JsonValue {
    match document {
        JsonValue::Number(number) => match number.as_f64() {
            _ if number.is_f64() => JsonValue::Number(number),
            Some(double) if double.abs() <= 9_007_199_254_740_992.0 && number.to_string().len() <= 17 => {
                let digits = number.to_string();
                let exact = digits.trim_start_matches('-').parse::<u64>().unwrap() <= 1 << 53;
                if exact { JsonValue::Number(number) } else { JsonValue::String(digits) }
            }
            _ => JsonValue::String(number.to_string()),
        },
        JsonValue::Array(items) => items.into_iter().map(expected).collect(),
        JsonValue::Object(members) => members.into_iter().map(|(name, member)| (name, expected(member))).collect(),
        other => other,
    }
}

/// Whether two documents are equal, where 1.0 equals 1.
fn same(a: &JsonValue, b: &JsonValue) -> bool {
    match (a, b) {
        (JsonValue::Number(a), JsonValue::Number(b)) => a.as_f64() == b.as_f64(),
        (JsonValue::Array(a), JsonValue::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (JsonValue::Object(a), JsonValue::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && same(a, b))
        }
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn a_document_without_secrets_is_unchanged(document in documents()) {
        let shown = payload(json!({ "a": document }).to_string());
        prop_assert!(same(&shown, &json!({ "a": expected(document.clone()) })), "{} from {}", shown, document);
    }

    #[test]
    fn any_bytes_have_a_decodable_payload(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decodable_payload(&bytes);
        decodable_payload([b"{\"a\":\"", &*bytes, b"\"}"].concat());
    }

    #[test]
    fn no_secret_survives(
        before in "[a-z{}\\[\\]\":,=&\\\\ ]{0,20}", after in "[a-z{}\\[\\]\":,=&\\\\ ]{0,20}", document in documents(),
    ) {
        let hidden = format!("{before}{SECRET}{after}");
        decodable_payload(&hidden);
        decodable_payload([b"\xff", hidden.as_bytes()].concat());
        decodable_payload(json!({ "a": hidden, "b": [document, hidden], hidden.clone(): 1 }).to_string());
        decodable_payload(json!({ "data": json!({ "a": hidden }).to_string() }).to_string());
        decodable_payload(format!("a={hidden}&b={hidden}"));
        decodable_payload(format!("{{a={hidden}, b=1}}"));
    }

    #[test]
    fn no_member_with_a_secrets_name_survives(value in "[a-zA-Z0-9]{12}", deep in 0_usize..40, document in documents()) {
        let member = format!("{{\"x\":{document},\"sipPassword\":\"{value}\"}}");
        let body = format!("{}{member}{}", "{\"a\":[".repeat(deep), "]}".repeat(deep));
        for body in [body.clone(), json!({ "data": body }).to_string(), json!([json!([body]).to_string()]).to_string()] {
            let encoded = decodable_payload(body).encode_to_vec();
            prop_assert!(!encoded.windows(12).any(|part| part == value.as_bytes()));
        }
    }
}

#[test]
fn objects_and_lists_after_so_many_values_become_json_text() {
    let items = format!("[{}]", vec![r#"{"n":1}"#; 15_000].join(","));
    let payload = payload(format!(r#"{{"items":{items}}}"#));
    let items = payload["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]), (15_000, &json!({"n": 1})));
    // The body and the list are values, and each object is two: so many are objects yet.
    let objects = items.iter().take_while(|item| item.is_object()).count();
    assert_eq!(objects, 9_999);
    assert!(items[objects..].iter().all(|item| item == &json!(r#"{"n":1}"#)));
}

#[test]
fn json_text_within_json_text_is_read_four_levels_deep() {
    let mut body = json!({"password": "hidden"}).to_string();
    for level in 0..6 {
        body = json!({"inner": body}).to_string();
        let text = text_of_object(&decodable_payload(&body));
        assert!(!text.contains("hidden"), "{level}: {text}");
        // Deeper text is no JSON to the reader: a value is masked, and its name stays.
        assert_eq!(text.contains("password"), level >= 4, "{level}: {text}");
    }
}
