//! `POST /apigovernance/api/oauth/tokenByAkSk` (A), and the tokens it issued.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    envelope::{self, Refusal},
    fields,
    options::{Options, Tokens},
    quirks::Quirk,
};

/// The valid tokens: the hash of each, and when it expires. The time to look up a hash reveals nothing about the token.
#[derive(Default)]
pub(super) struct LiveTokens(HashMap<[u8; 32], SystemTime>);

/// The body of `tokenByAkSk`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    app_key: String,
    app_secret: String,
}

// === impl LiveTokens ===

impl LiveTokens {
    /// Issues a token that is valid until `expires`; with `alone` it revokes the others.
    fn issue(&mut self, now: SystemTime, expires: SystemTime, alone: bool) -> String {
        self.0.retain(|_, end| !alone && now < *end);
        let token = Uuid::new_v4().simple().to_string();
        self.0.insert(hash(&token), expires);
        token
    }

    /// Whether this token was issued, and neither expired nor was revoked.
    pub(super) fn is_live(&self, token: &str, now: SystemTime) -> bool {
        self.0.get(&hash(token)).is_some_and(|expires| now < *expires)
    }

    /// Revokes every token.
    pub(super) fn revoke_all(&mut self) {
        self.0.clear();
    }
}

/// Whether two secrets are equal, in a time that does not depend on where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    hash(one).iter().zip(hash(other)).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

/// Responds to a request for a token.
pub(super) fn issue(
    options: &Options,
    live: &mut LiveTokens,
    headers: &HeaderMap,
    body: Result<Value, Refusal>,
    now: SystemTime,
) -> Response {
    if options.quirks.contains(Quirk::HtmlFirewall) {
        return envelope::page(StatusCode::IM_A_TEAPOT);
    }
    let credentials = body.and_then(fields::read::<Credentials>);
    let (Ok(credentials), Some(lifetime)) = (credentials, lifetime(&options.tokens, headers)) else {
        return envelope::bad_request();
    };
    // Comparing both keeps the time from revealing which one was wrong.
    let known = same(&credentials.app_key, &options.app_key)
        & same(&credentials.app_secret, options.app_secret.expose_secret());
    if !known {
        return envelope::page(StatusCode::FORBIDDEN);
    }
    let token = live.issue(now, now + lifetime, options.tokens.one_live_token);
    let created = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut response = json!({
        "AccessToken": token,
        "ApplyType": "Bearer",
        "CreateTime": created.as_secs().to_string(),
        "Expires": lifetime.as_secs().to_string(),
        "Scope": Uuid::new_v4().simple().to_string(),
        "AppKey": options.app_key,
        "UserID": "Anonymous",
    });
    if options.quirks.contains(Quirk::NumericExpires) {
        response["Expires"] = json!(lifetime.as_secs());
    }
    if options.quirks.contains(Quirk::MissingExpires)
        && let Value::Object(members) = &mut response
    {
        members.remove("Expires");
    }
    options.quirks.distort(&mut response);
    envelope::json(StatusCode::OK, &response)
}

/// The lifetime that a request names; `None` if its `X-Token-Expire` is not a whole number of seconds within the limit.
fn lifetime(tokens: &Tokens, headers: &HeaderMap) -> Option<Duration> {
    let mut sent = headers.get_all("x-token-expire").iter();
    let Some(first) = sent.next() else {
        return Some(tokens.default_lifetime.min(tokens.max_lifetime));
    };
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let lifetime = Duration::from_secs(digits.parse().ok()?);
    (sent.next().is_none() && !lifetime.is_zero() && lifetime <= tokens.max_lifetime).then_some(lifetime)
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Tenant,
            testing::{APP_KEY, APP_SECRET, MANAGEMENT, START, TOKEN, TestResponse, TestServer, send},
        },
        *,
    };

    async fn server(quirks: &str, tokens: Tokens) -> TestServer {
        TestServer::start_with(Tenant::Seeded, quirks, tokens).await
    }

    async fn ask(server: &TestServer, content_type: &str, body: &str) -> TestResponse {
        let request = server.client.post(server.url(TOKEN)).header("Content-Type", content_type);
        send(request.body(body.to_owned())).await
    }

    async fn token(server: &TestServer, expire: Option<&str>) -> String {
        let response = server.request_token(expire).await.ok();
        response["AccessToken"].as_str().unwrap().to_owned()
    }

    async fn status(server: &TestServer, token: &str) -> u16 {
        let path = format!("{MANAGEMENT}/querySysInfo");
        server.get_with(&path, token).await.status.as_u16()
    }

    #[tokio::test]
    async fn a_token_is_answered_in_texts_without_return_code() {
        let server = server("", Tokens::default()).await;
        let response = server.request_token(Some("600")).await.ok();
        let members = response.as_object().unwrap();
        let mut names: Vec<_> = members.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["AccessToken", "AppKey", "ApplyType", "CreateTime", "Expires", "Scope", "UserID"]);
        assert!(members.values().all(Value::is_string));
        assert_eq!(response["ApplyType"], "Bearer");
        assert_eq!(response["CreateTime"], START.to_string());
        assert_eq!(response["Expires"], "600");
        assert_eq!(response["AppKey"], APP_KEY);
        assert_eq!(response["UserID"], "Anonymous");
        assert_ne!(response["AccessToken"], server.request_token(Some("600")).await.ok()["AccessToken"]);
    }

    #[tokio::test]
    async fn a_lifetime_is_1_to_3600_whole_seconds() {
        let server = server("", Tokens::default()).await;
        for (sent, responded) in [(None, "600"), (Some("1"), "1"), (Some("3600"), "3600")] {
            assert_eq!(server.request_token(sent).await.ok()["Expires"], responded);
        }
        for wrong in ["0", "3601", "-1", "+60", "60.0", "60s", "", "99999999999999999999999"] {
            server.request_token(Some(wrong)).await.is_bad_request();
        }
    }

    #[tokio::test]
    async fn a_body_has_exactly_two_texts() {
        let server = server("", Tokens::default()).await;
        let right = json!({ "app_key": APP_KEY, "app_secret": APP_SECRET });
        ask(&server, "application/json; charset=UTF-8", &right.to_string()).await.ok();
        ask(&server, "text/plain", &right.to_string()).await.is_bad_request();
        let wrong = [
            json!({ "app_key": APP_KEY }),
            json!({ "app_key": APP_KEY, "app_secret": 5 }),
            json!({ "app_key": APP_KEY, "app_secret": null }),
            json!({ "app_key": APP_KEY, "app_secret": APP_SECRET, "more": "" }),
            json!({ "appKey": APP_KEY, "appSecret": APP_SECRET }),
            json!([APP_KEY, APP_SECRET]),
        ];
        for body in wrong {
            ask(&server, "application/json", &body.to_string()).await.is_bad_request();
        }
        ask(&server, "application/json", "{").await.is_bad_request();
    }

    #[tokio::test]
    async fn a_wrong_key_or_secret_is_forbidden_in_html() {
        let server = server("", Tokens::default()).await;
        for (key, secret) in [(APP_KEY, "wrong"), ("wrong", APP_SECRET), ("", "")] {
            let body = json!({ "app_key": key, "app_secret": secret }).to_string();
            let response = ask(&server, "application/json", &body).await;
            assert_eq!(response.status, StatusCode::FORBIDDEN);
            assert_eq!(response.content_type, "text/html");
            assert!(response.text.contains("403 Forbidden"), "{}", response.text);
        }
    }

    #[tokio::test]
    async fn a_token_ends_when_its_time_is_over() {
        let server = server("", Tokens::default()).await;
        let token = token(&server, Some("60")).await;
        server.advance(59);
        assert_eq!(status(&server, &token).await, 200);
        server.advance(1);
        assert_eq!(status(&server, &token).await, 401);
    }

    #[tokio::test]
    async fn a_new_token_ends_the_one_before_only_if_asked_to() {
        for (one_live_token, first_status) in [(false, 200), (true, 401)] {
            let tokens = Tokens { one_live_token, ..Tokens::default() };
            let server = server("", tokens).await;
            let first = token(&server, None).await;
            let second = token(&server, None).await;
            assert_eq!(status(&server, &first).await, first_status);
            assert_eq!(status(&server, &second).await, 200);
        }
    }

    #[tokio::test]
    async fn revoked_tokens_end_at_once() {
        let server = server("", Tokens::default()).await;
        let before = token(&server, None).await;
        server.simulator.revoke_tokens();
        assert_eq!(status(&server, &before).await, 401);
        let after = token(&server, None).await;
        assert_eq!(status(&server, &after).await, 200);
    }

    #[tokio::test]
    async fn the_limits_are_configurable() {
        let tokens = Tokens { max_lifetime: Duration::from_secs(5), ..Tokens::default() };
        let server = server("", tokens).await;
        assert_eq!(server.request_token(None).await.ok()["Expires"], "5");
        server.request_token(Some("6")).await.is_bad_request();
    }

    #[tokio::test]
    async fn expires_may_be_missing_or_a_number() {
        let missing = server("missing-expires", Tokens::default()).await;
        let response = missing.request_token(None).await.ok();
        assert!(response.get("Expires").is_none() && response["AccessToken"].is_string());
        let number = server("numeric-expires", Tokens::default()).await;
        assert_eq!(number.request_token(None).await.ok()["Expires"], 600);
    }

    #[tokio::test]
    async fn a_firewall_may_respond_in_its_place() {
        let server = server("html-firewall", Tokens::default()).await;
        let response = server.request_token(None).await;
        assert_eq!(response.status, StatusCode::IM_A_TEAPOT);
        assert_eq!(response.content_type, "text/html");
    }

    #[test]
    fn expired_tokens_are_not_kept() {
        let mut live = LiveTokens::default();
        let start = SystemTime::UNIX_EPOCH;
        for second in 0..5 {
            let now = start + Duration::from_secs(second);
            live.issue(now, now + Duration::from_secs(2), false);
        }
        assert_eq!(live.0.len(), 2);
    }

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same("secret", "secret"));
        assert!(!same("secret", "secre") && !same("secret", "Secret") && !same("", "s"));
    }
}
