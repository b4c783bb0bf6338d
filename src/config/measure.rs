//! Durations and sizes: a whole number and a unit, in a string.

use std::{ops::RangeInclusive, time::Duration};

use toml::de::DeValue;

use super::{key::Kind, table::Parsed, value::string};

const DURATION: &str = r#"a duration such as "250ms", "10s", "5m" or "72h""#;
const SIZE: &str = r#"a size such as "512", "4KiB", "1MiB" or "1GiB""#;

const MILLISECOND: u64 = 1;
const SECOND: u64 = 1000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Largest first: a duration is shown in the first unit that divides it.
const DURATION_UNITS: [(&str, u64); 4] = [("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)];
/// Largest first, as above.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

/// Any duration up to ten years: what is added to a clock must not overflow it.
pub(super) const ANY: RangeInclusive<Duration> = Duration::ZERO..=LONGEST;
/// Any duration but zero.
pub(super) const POSITIVE: RangeInclusive<Duration> = SHORTEST..=LONGEST;
const LONGEST: Duration = Duration::from_millis(87_600 * HOUR);
const SHORTEST: Duration = Duration::from_millis(MILLISECOND);
/// 1 KiB: any limit below it refuses everything.
const SMALLEST: u64 = 1 << 10;
/// 1 PiB: far from the end of what a database's integers can count.
const LARGEST: u64 = 1 << 50;

/// A whole number with a unit: "250ms", "10s", "5m", "72h".
pub(super) fn duration(range: RangeInclusive<Duration>) -> Kind<Duration> {
    let shown = |bound: &Duration| in_units(u64::try_from(bound.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS);
    let expected = format!("a duration from {} to {}", shown(range.start()), shown(range.end()));
    Kind::new(expected.clone(), move |_, value| {
        measure(value, DURATION, &DURATION_UNITS)?
            .map(Duration::from_millis)
            .filter(|duration| range.contains(duration))
            .ok_or_else(|| format!("expected {expected}"))
    })
}

/// A whole number of bytes with or without a unit: "512", "4KiB", "1MiB", "1GiB".
pub(super) fn size<T: TryFrom<u64> + 'static>() -> Kind<T> {
    let expected = format!("a size from {} to {}", in_units(SMALLEST, &SIZE_UNITS), in_units(LARGEST, &SIZE_UNITS));
    Kind::new(expected.clone(), move |_, value| {
        measure(value, SIZE, &SIZE_UNITS)?
            .filter(|bytes| (SMALLEST..=LARGEST).contains(bytes))
            .and_then(|bytes| T::try_from(bytes).ok())
            .ok_or_else(|| format!("expected {expected}"))
    })
}

/// A number in the smallest unit; `None` if it is too large to count.
fn measure(value: &DeValue<'_>, expected: &str, units: &[(&str, u64)]) -> Parsed<Option<u64>> {
    let text = string(value, expected)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    match units.iter().find(|(name, _)| *name == unit) {
        Some((_, unit)) if digits > 0 => Ok(number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit))),
        _ => Err(format!("expected {expected}")),
    }
}

/// The amount in the largest unit that divides it.
fn in_units(amount: u64, units: &[(&str, u64)]) -> String {
    match units.iter().find(|(_, unit)| amount > 0 && amount.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("\"{}{name}\"", amount / unit),
        None => "zero".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::tests::read_text;

    #[test]
    fn a_duration_is_a_whole_number_with_a_unit() {
        let any = |value| read_text(&duration(ANY), value).ok();
        assert_eq!(any("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(any("10s"), Some(Duration::from_secs(10)));
        assert_eq!(any("5m"), Some(Duration::from_mins(5)));
        assert_eq!(any("72h"), Some(Duration::from_hours(72)));
        assert_eq!(any("0s"), Some(Duration::ZERO));
        for wrong in ["", "10", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "1S", "1d", "1h30m", "87601h"] {
            assert_eq!(any(wrong), None, "{wrong:?}");
        }
        assert_eq!(any("99999999999999999999h"), None);
    }

    #[test]
    fn a_duration_outside_its_range_is_refused_with_the_range() {
        let parse = duration(Duration::from_secs(1)..=Duration::from_hours(1));
        assert_eq!(read_text(&parse, "61m").unwrap_err(), r#"expected a duration from "1s" to "1h""#);
        let parse = duration(ANY);
        assert_eq!(read_text(&parse, "87601h").unwrap_err(), r#"expected a duration from zero to "87600h""#);
    }

    #[test]
    fn a_size_is_a_whole_number_with_or_without_a_unit() {
        let any = |value| read_text(&size::<u64>(), value).ok();
        assert_eq!(any("1024"), Some(1024));
        assert_eq!(any("4KiB"), Some(4096));
        assert_eq!(any("1MiB"), Some(1 << 20));
        assert_eq!(any("1GiB"), Some(1 << 30));
        for wrong in ["", "KiB", "1KB", "1kib", "1 KiB", "-1", "1.5MiB", "0x400", "18446744073709551616"] {
            assert_eq!(any(wrong), None, "{wrong:?}");
        }
        let expected = r#"expected a size from "1KiB" to "1048576GiB""#;
        assert_eq!(read_text(&size::<u64>(), "512").unwrap_err(), expected);
        assert_eq!(read_text(&size::<u64>(), "17179869184GiB").unwrap_err(), expected);
    }

    proptest! {
        #[test]
        fn durations_round_trip(milliseconds in 1..=87_600 * HOUR) {
            let written = in_units(milliseconds, &DURATION_UNITS);
            let read = read_text(&duration(POSITIVE), written.trim_matches('"'));
            prop_assert_eq!(read, Ok(Duration::from_millis(milliseconds)));
        }

        #[test]
        fn durations_round_trip_in_every_unit(number in 1..=87_600_u64, unit in 0..4_usize) {
            let (name, unit) = DURATION_UNITS[unit];
            let read = read_text(&duration(POSITIVE), &format!("{number}{name}"));
            prop_assert_eq!(read, Ok(Duration::from_millis(number * unit)));
        }

        #[test]
        fn sizes_round_trip(bytes in 1024..=LARGEST, shift in 0..40_u32) {
            let bytes = ((bytes >> shift) << shift).max(1024);
            let written = in_units(bytes, &SIZE_UNITS);
            prop_assert_eq!(read_text(&size::<u64>(), written.trim_matches('"')), Ok(bytes));
        }
    }
}
