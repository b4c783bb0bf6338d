//! Authenticates a request: `Sid`, `Timestamp`, `Sign` and the application ID.

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, SystemTime},
};

use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};

use super::{
    call::Query,
    codes::{ACCOUNT_NOT_FOUND, APP_ID_EMPTY, APP_NOT_FOUND, AUTHENTICATION_ERROR, Failure, PARAMETER_EMPTY},
    options::{Options, TimestampUnit},
};

/// "Valid within 10 minutes", before or after the vendor's clock.
const WINDOW: Duration = Duration::from_mins(10);

/// Checks the account, the time and the signature, then the application.
///
/// The document has no code for an expired signature: it is 200020, like any other refused signature.
pub(super) fn authenticate(
    options: &Options,
    query: &Query,
    app_id: &'static str,
    now: SystemTime,
) -> Result<(), Failure> {
    let sid = query.get("Sid").ok_or(PARAMETER_EMPTY.because("Sid"))?;
    let timestamp = query.get("Timestamp").ok_or(PARAMETER_EMPTY.because("Timestamp"))?;
    let sign = query.get("Sign").ok_or(PARAMETER_EMPTY.because("Sign"))?;
    if sid != options.sid {
        return Err(ACCOUNT_NOT_FOUND.because(""));
    }
    let signed_at =
        instant(timestamp, options.timestamp_unit).ok_or(AUTHENTICATION_ERROR.because("unreadable Timestamp"))?;
    if distance(signed_at, now) > WINDOW {
        return Err(AUTHENTICATION_ERROR.because("Timestamp is not within 10 minutes"));
    }
    if !equal_in_constant_time(&sign.to_ascii_lowercase(), &signature(sid, &options.auth_token, timestamp)) {
        return Err(AUTHENTICATION_ERROR.because("wrong Sign"));
    }
    match query.get(app_id) {
        None => Err(APP_ID_EMPTY.because(app_id)),
        Some(id) if id != options.app_id => Err(APP_NOT_FOUND.because("")),
        Some(_) => Ok(()),
    }
}

/// Parses a `Timestamp`: 13 digits of milliseconds or 10 of seconds since 1970 (C1).
fn instant(text: &str, unit: TimestampUnit) -> Option<SystemTime> {
    let since_1970 = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse().ok()?;
        match (text.len(), unit) {
            (13, TimestampUnit::Milliseconds | TimestampUnit::Either) => Duration::from_millis(number),
            (10, TimestampUnit::Seconds | TimestampUnit::Either) => Duration::from_secs(number),
            _ => return None,
        }
    } else {
        return None;
    };
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|earlier| earlier.duration())
}

/// `SHA1(Sid + AuthToken + Timestamp)` in lower-case hex, over the text as it was sent (C2).
fn signature(sid: &str, auth_token: &SecretString, timestamp: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(sid);
    hash.update(auth_token.expose_secret());
    hash.update(timestamp);
    let mut hex = String::with_capacity(40);
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Compares every byte, so that the time does not depend on where they differ.
fn equal_in_constant_time(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |difference, (a, b)| black_box(difference | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::udesk::{
        operations::OPERATIONS,
        testing::{APP_ID, NOW, TestServer, prepare},
    };

    #[tokio::test]
    async fn every_operation_demands_all_four_and_each_once() {
        let server = TestServer::start().await;
        for operation in OPERATIONS {
            let number = operation.number;
            let request = || prepare(number, "1", Value::Null);
            let rows = [("Sid", "100001"), ("Timestamp", "100001"), ("Sign", "100001"), (operation.app_id, "100017")];
            for (name, code) in rows {
                let absent = server.send(request().without(name)).await;
                assert_eq!(absent.code(), code, "{number:02} without {name}");
                let empty = server.send(request().set(name, "")).await;
                assert_eq!(empty.code(), code, "{number:02} with an empty {name}");
                let mut twice = request();
                let again = twice.query.iter().find(|(key, _)| key == name).cloned();
                twice.query.extend(again);
                assert_eq!(server.send(twice).await.code(), "200002", "{number:02} with two {name}");
            }
        }
    }

    #[tokio::test]
    async fn the_application_id_has_one_spelling() {
        let server = TestServer::start().await;
        for operation in OPERATIONS {
            let documented = if matches!(operation.number, 23 | 24) { "app_id" } else { "AppId" };
            let other = if documented == "AppId" { "app_id" } else { "AppId" };
            let request = || prepare(operation.number, "1", Value::Null);
            let swapped = request().without(documented).set(other, APP_ID);
            assert_eq!(server.send(swapped).await.code(), "100017", "{:02}", operation.number);
            let both = request().set(other, APP_ID);
            assert_eq!(server.send(both).await.code(), "200002", "{:02}", operation.number);
        }
    }

    #[tokio::test]
    async fn a_wrong_account_application_or_signature_is_refused() {
        let server = TestServer::start().await;
        let request = || prepare(1, "", Value::Null);
        let rows = [
            (request().set("Sid", "SID_other"), "100003"),
            (request().set("AppId", "3c31d817-4d37-46d8-6c09-1be54dda3c03"), "200001"),
            (request().set("Sign", "7cb509c2cba42f294779f23d6a33a64030fd5890"), "200020"),
            (request().set("Sign", "c76c"), "200020"),
            // The signature covers another text than the one sent.
            (request().set("Timestamp", "1700000000124"), "200020"),
            (request().signed_at("1700000000"), "200020"),
            (request().signed_at("now"), "200020"),
        ];
        for (prepared, code) in rows {
            assert_eq!(server.send(prepared).await.code(), code);
        }
    }

    #[tokio::test]
    async fn seconds_are_accepted_where_the_option_says_so() {
        for (unit, milliseconds, seconds) in
            [(TimestampUnit::Seconds, "200020", "000000"), (TimestampUnit::Either, "000000", "000000")]
        {
            let server = TestServer::with(|options| options.timestamp_unit = unit).await;
            let request = || prepare(1, "", Value::Null);
            assert_eq!(server.send(request()).await.code(), milliseconds);
            assert_eq!(server.send(request().signed_at("1700000000")).await.code(), seconds);
        }
    }

    #[tokio::test]
    async fn the_hex_may_be_in_either_case() {
        let server = TestServer::start().await;
        let sign = "C76CA60B8DB6197A4F2CB15577BF63FDDB3E3677";
        assert_eq!(server.send(prepare(1, "", Value::Null).set("Sign", sign)).await.code(), "000000");
    }

    #[tokio::test]
    async fn a_signature_is_valid_ten_minutes_either_way() {
        let server = TestServer::start().await;
        let window = 600_000;
        let rows = [
            (NOW - window, "000000"),
            (NOW + window, "000000"),
            (NOW - window - 1, "200020"),
            (NOW + window + 1, "200020"),
        ];
        for (timestamp, code) in rows {
            let response = server.send(prepare(1, "", Value::Null).signed_at(&timestamp.to_string())).await;
            assert_eq!(response.code(), code, "{timestamp}");
        }
    }

    #[test]
    fn the_signature_is_the_digest_of_the_three_texts_in_a_row() {
        let token = SecretString::from("TOKEN_demo_abcdef");
        for (timestamp, expected) in [
            ("1566523582000", "7cb509c2cba42f294779f23d6a33a64030fd5890"),
            ("1700000000123", "c76ca60b8db6197a4f2cb15577bf63fddb3e3677"),
        ] {
            assert_eq!(signature("SID_demo_0001", &token, timestamp), expected);
        }
    }

    #[test]
    fn a_timestamp_has_the_digits_of_its_unit() {
        let seconds = SystemTime::UNIX_EPOCH + Duration::from_secs(1_566_523_582);
        let rows = [
            ("1566523582000", TimestampUnit::Milliseconds, true),
            ("1566523582", TimestampUnit::Milliseconds, false),
            ("1566523582", TimestampUnit::Seconds, true),
            ("1566523582000", TimestampUnit::Seconds, false),
            ("1566523582000", TimestampUnit::Either, true),
            ("1566523582", TimestampUnit::Either, true),
            ("+566523582", TimestampUnit::Either, false),
            ("15665235820", TimestampUnit::Either, false),
            ("", TimestampUnit::Either, false),
        ];
        for (text, unit, readable) in rows {
            assert_eq!(instant(text, unit), readable.then_some(seconds), "{text} as {unit:?}");
        }
    }

    #[test]
    fn the_comparison_sees_a_difference_in_every_place() {
        assert!(equal_in_constant_time("abcd", "abcd"));
        for other in ["xbcd", "axcd", "abxd", "abcx", "abc", "abcde", ""] {
            assert!(!equal_in_constant_time("abcd", other), "{other}");
        }
    }
}
