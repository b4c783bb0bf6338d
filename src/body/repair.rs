//! Repair of text that is almost JSON.

use std::borrow::Cow;

/// Largest integer up to which a double represents every integer exactly.
const MAX_EXACT_INTEGER: u64 = 1 << 53;

/// Most significant digits that every decimal number of a double keeps.
const MAX_EXACT_DIGITS: usize = 15;

/// Upper estimates of the memory of a value and of an object, in bytes.
const VALUE_BYTES: usize = 64;
const OBJECT_BYTES: usize = 704;

/// Hexadecimal digits.
const HEX: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

/// The bytes that stand for themselves within a string, and do not count as memory.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let (control, special) = (plain.split_at_mut(0x20).0, b"\"\\{[,");
    let mut at = 0;
    while at < control.len() {
        control[at] = false;
        at += 1;
    }
    at = 0;
    while at < special.len() {
        plain[special[at] as usize] = false;
        at += 1;
    }
    plain
};

/// Which numbers remain numbers. All others become strings with all their digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exact {
    /// Integers of 64 bits, and decimal numbers of 15 digits: what a typed reader keeps.
    Integer64,
    /// Integers up to 2^53, and finite decimal numbers: what `google.protobuf.Value` keeps.
    Double,
}

/// A repaired text.
pub(crate) struct Repaired<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// How much memory its values need at most, in bytes, beside the text itself.
    pub memory: usize,
}

/// Text that is copied up to the parts that are replaced.
struct Writer<'a> {
    text: &'a str,
    written: String,
    copied: usize,
}

/// Repairs a JSON text in one pass:
///
/// - in strings, the escape of a lone surrogate, as left by a sender that truncates a name, becomes U+FFFD, and a raw
///   control character becomes its escape;
/// - outside of strings, a number that `exact` does not keep, `NaN` and `Infinity` become strings.
///
/// Text that is otherwise no JSON remains no JSON.
pub(crate) fn repair(text: &str, exact: Exact) -> Repaired<'_> {
    let bytes = text.as_bytes();
    let mut writer = Writer { text, written: String::new(), copied: 0 };
    let (mut at, mut memory, mut quoted) = (0, VALUE_BYTES, false);
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            _ if quoted && PLAIN[usize::from(byte)] => {
                bytes[at..].iter().take_while(|byte| PLAIN[usize::from(**byte)]).count()
            }
            b'"' => {
                quoted = !quoted;
                1
            }
            b'\\' if quoted => repair_escape(bytes, at, &mut writer),
            0..b' ' if quoted => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                writer.replace(at..at + 1, &["\\u00", digits[0], digits[1]]);
                1
            }
            b'-' | b'0'..=b'9' | b'N' | b'I' if !quoted => {
                let length = length_of_number(&bytes[at..]);
                let number = &text[at..at + length];
                if !exact.keeps(number) {
                    writer.replace(at..at + length, &["\"", number, "\""]);
                }
                length
            }
            // Also in strings: they may be JSON.
            b'{' => {
                memory += OBJECT_BYTES;
                1
            }
            b'[' | b',' => {
                memory += VALUE_BYTES;
                1
            }
            _ => 1,
        };
    }
    Repaired { text: writer.finish(), memory }
}

/// Repairs the escape at `at`. Returns its length.
fn repair_escape(bytes: &[u8], at: usize, writer: &mut Writer<'_>) -> usize {
    match (unit(bytes, at), unit(bytes, at + 6)) {
        (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
        (Some(0xd800..0xe000), _) => {
            writer.replace(at..at + 6, &["\\ufffd"]);
            6
        }
        (Some(_), _) => 6,
        (None, _) => 2,
    }
}

/// The length of the number, `NaN` or `Infinity` that bytes begin with; at least 1.
fn length_of_number(bytes: &[u8]) -> usize {
    let sign = usize::from(bytes.starts_with(b"-"));
    for word in [&b"NaN"[..], b"Infinity"] {
        if bytes[sign..].starts_with(word) {
            return sign + word.len();
        }
    }
    let is_part = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    bytes.iter().take_while(is_part).count().max(1)
}

/// The UTF-16 code unit of the escape at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
}

// === impl Exact ===

impl Exact {
    /// Whether a number is kept. `true` for text that is no number, which must remain invalid.
    fn keeps(self, number: &str) -> bool {
        let digits = number.strip_prefix('-').unwrap_or(number);
        if matches!(digits, "NaN" | "Infinity") {
            return false;
        }
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // A leading zero is invalid JSON and must remain invalid.
            return digits.len() <= MAX_EXACT_DIGITS
                || digits.starts_with('0')
                || match self {
                    Self::Integer64 => number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok(),
                    Self::Double => digits.parse().is_ok_and(|integer: u64| integer <= MAX_EXACT_INTEGER),
                };
        }
        match number.parse::<f64>() {
            Err(_) => true,
            Ok(double) => {
                let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
                let significant = mantissa.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
                double.is_finite() && (self == Self::Double || significant <= MAX_EXACT_DIGITS)
            }
        }
    }
}

// === impl Writer ===

impl<'a> Writer<'a> {
    fn replace(&mut self, part: std::ops::Range<usize>, by: &[&str]) {
        self.written.push_str(&self.text[self.copied..part.start]);
        self.written.extend(by.iter().copied());
        self.copied = part.end;
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.written.push_str(&self.text[self.copied..]);
        Cow::Owned(self.written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The repaired text; `None` when nothing is repaired.
    fn repaired(text: &str) -> Option<String> {
        match repair(text, Exact::Integer64).text {
            Cow::Owned(repaired) => Some(repaired),
            Cow::Borrowed(same) => {
                assert_eq!(same, text);
                None
            }
        }
    }

    #[test]
    fn numbers_that_are_not_kept_become_strings() {
        for (number, integer64, double) in [
            ("0", true, true),
            ("-9007199254740992", true, true),
            ("9007199254740993", true, false),
            ("18446744073709551615", true, false),
            ("18446744073709551616", false, false),
            ("-9223372036854775808", true, false),
            ("-9223372036854775809", false, false),
            ("1e308", true, true),
            ("1e309", false, false),
            ("-1E+400", false, false),
            ("NaN", false, false),
            ("-Infinity", false, false),
            ("0.000123456789012345", true, true),
            ("1.234567890123456", false, true),
            ("01234567890123456789", true, true),
            ("1-2", true, true),
        ] {
            for (exact, is_kept) in [(Exact::Integer64, integer64), (Exact::Double, double)] {
                let quoted = format!("{{\"a\":[{number} ,\"{number}\"]}}");
                let expected = if is_kept { quoted.clone() } else { format!("{{\"a\":[\"{number}\" ,\"{number}\"]}}") };
                assert_eq!(repair(&quoted, exact).text, expected, "{number} {exact:?}");
            }
        }
        for text in ["Nothing", "{\"a\":Inf}", "-", "{\"a\":nil}"] {
            assert_eq!(repaired(text), None, "{text}");
        }
    }

    #[test]
    fn memory_is_that_of_values_also_within_text() {
        let list = format!("[{}{{}}]", "{},".repeat(999));
        assert_eq!(repair(&list, Exact::Double).memory, 1000 * OBJECT_BYTES + 1001 * VALUE_BYTES);
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(repair(&text, Exact::Double).memory, repair(&list, Exact::Double).memory);
    }

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
