//! Repair of malformed JSON.

use std::fmt::Write as _;

/// Repairs the strings of a JSON text: the escape of a lone surrogate, as left by a sender that truncates a name,
/// becomes U+FFFD, and a raw control character becomes its escape. `None` when the text has neither.
pub fn repaired(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut repaired = String::new();
    let (mut at, mut copied, mut quoted) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b'"' => {
                quoted = !quoted;
                1
            }
            b'\\' if quoted => match (unit(bytes, at), unit(bytes, at + 6)) {
                (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
                (Some(0xd800..0xe000), _) => {
                    repaired.extend([&text[copied..at], "\\ufffd"]);
                    copied = at + 6;
                    6
                }
                (Some(_), _) => 6,
                (None, _) => 2,
            },
            0..b' ' if quoted => {
                repaired.push_str(&text[copied..at]);
                // Writing to a String does not fail.
                let _ = write!(repaired, "\\u{byte:04x}");
                copied = at + 1;
                1
            }
            _ => 1,
        };
        at += length;
    }
    if copied == 0 {
        return None;
    }
    repaired.push_str(&text[copied..]);
    Some(repaired)
}

/// The UTF-16 code unit of the escape at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn lone_surrogates_and_control_characters_are_repaired() {
        for (given, expected) in [
            (r#"{"a":"x\ud83d"}"#, "{\"a\":\"x\u{fffd}\"}"),
            (r#"{"a":"\ud83d\ud83d\ude00\ude00"}"#, "{\"a\":\"\u{fffd}\u{1f600}\u{fffd}\"}"),
            ("{\"a\":\"x\ny\tz\",\n\"b\":1}", r#"{"a":"x\ny\tz","b":1}"#),
            (r#"{"\uDC00":"\\ud83d"}"#, "{\"\u{fffd}\":\"\\\\ud83d\"}"),
        ] {
            let repaired: Value = serde_json::from_str(&repaired(given).unwrap()).unwrap();
            assert_eq!(repaired, serde_json::from_str::<Value>(expected).unwrap(), "{given}");
        }
        for valid in ["", "{\n}", r#"{"a":"\ud83d\ude00\\"}"#, r#"{"a":"\"#, r#"{"a":"\u12"#] {
            assert_eq!(repaired(valid), None, "{valid}");
        }
    }

    proptest! {
        #[test]
        fn valid_json_is_not_repaired(text in "\\PC{0,40}", other in any::<String>()) {
            prop_assert_eq!(repaired(&serde_json::json!([text, { other: 1 }]).to_string()), None);
        }

        #[test]
        fn a_repaired_text_needs_no_further_repair(text in "[\"\\\\ud8c0f\n{:,\u{e9}]{0,40}") {
            if let Some(once) = repaired(&text) {
                prop_assert_eq!(repaired(&once), None);
            }
        }
    }
}
