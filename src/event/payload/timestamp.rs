//! Timestamps in the formats of the vendors.

use prost_types::Timestamp;

/// Unix times that a callback can have, in seconds: the years 2000 to 2099.
const PLAUSIBLE: std::ops::Range<i64> = 946_684_800..4_102_444_800;

/// First index of a zone: behind `YYYY-MM-DDThh:mm:ss`.
const ZONE_OFFSET: usize = 19;

/// Parses Unix time of 13 digits (milliseconds) or 10 (seconds), and a date and time with a zone: RFC 3339, also with a
/// space instead of the `T` and before the zone, and with a zone without a colon (`2024-05-06 07:08:09 +0800`).
///
/// `None` for all other texts. The zone of a time without one is unknown, and a time outside the years 2000 to 2099 is
/// an error of the sender.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let timestamp = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        match text.len() {
            13 => Timestamp { seconds: number / 1000, nanos: i32::try_from(number % 1000).ok()? * 1_000_000 },
            10 => Timestamp { seconds: number, nanos: 0 },
            _ => return None,
        }
    } else {
        // prost-types parses a time without a zone as UTC.
        text.get(ZONE_OFFSET..)?.contains(['Z', 'z', '+', '-']).then(|| text.parse().ok())??
    };
    PLAUSIBLE.contains(&timestamp.seconds).then_some(timestamp)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timestamp_parses_in_every_format() {
        let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
        for (text, expected) in [
            ("1566523582000", at(1_566_523_582, 0)),
            ("1566523582123", at(1_566_523_582, 123_000_000)),
            (" 1566523582 ", at(1_566_523_582, 0)),
            ("2019-08-23T01:26:22Z", at(1_566_523_582, 0)),
            ("2019-08-23T01:26:22.5Z", at(1_566_523_582, 500_000_000)),
            ("2019-08-23T09:26:22+08:00", at(1_566_523_582, 0)),
            ("2019-08-23 09:26:22 +0800", at(1_566_523_582, 0)),
            ("2019-08-22 21:56:22 -0330", at(1_566_523_582, 0)),
            ("2019-08-23T01:26:22.123456789z", at(1_566_523_582, 123_456_789)),
        ] {
            assert_eq!(parse_timestamp(text), expected, "{text}");
        }
    }

    #[test]
    fn an_ambiguous_or_implausible_time_is_none() {
        for text in [
            "",
            "0",
            "now",
            "156652358",
            "15665235820000",
            "0000000000000",
            "9999999999999",
            "-1566523582000",
            "2019-08-23",
            "2019-08-23 09:26:22",
            "2019-08-23T09:26:22.123",
            "2022/02/22,10:04:29:004",
            "2019-02-30T00:00:00Z",
            "2019-08-23T25:00:00Z",
            "1899-12-31T00:00:00Z",
            "12019-08-23T01:26:22Z",
            "\u{662}\u{660}19-08-23T01:26:22Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_plausible_time_round_trips_in_every_format(
            seconds in 1_000_000_000_i64..4_102_444_800, millis in 0..1000,
        ) {
            let nanos = millis * 1_000_000;
            let expected = Some(Timestamp { seconds, nanos });
            prop_assert_eq!(parse_timestamp(&format!("{seconds}{millis:03}")), expected);
            prop_assert_eq!(parse_timestamp(&Timestamp { seconds, nanos }.to_string()), expected);
        }

        #[test]
        fn arbitrary_text_is_a_plausible_time_or_none(text in "\\PC{0,40}|[0-9TZ:. +-]{0,40}") {
            prop_assert!(parse_timestamp(&text).is_none_or(|timestamp| PLAUSIBLE.contains(&timestamp.seconds)));
        }
    }
}
