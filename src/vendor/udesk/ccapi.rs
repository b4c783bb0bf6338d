//! The signature: `Sign = SHA1(Sid + AuthToken + Timestamp)`, in lower-case hex, over account and time only.
//!
//! It is valid for ten minutes by the vendor's clock. When it is refused although the secret is right, one of the two
//! clocks is wrong: the response's `Date` shows the offset.

use std::{
    fmt::{self, Write as _},
    sync::atomic::{AtomicI64, Ordering},
    time::UNIX_EPOCH,
};

use async_trait::async_trait;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, CONTENT_TYPE, DATE},
};
use sha1::{Digest as _, Sha1};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::envelope;
use crate::{
    clock::Clock,
    config,
    context::Context,
    error::Result,
    http::{Authorized, Dialect, HttpResponse, Operation, Origin, Outgoing, ParsedResponse, REQUEST_HEADERS},
    telemetry::Metrics,
};

/// A larger offset is a broken clock at the vendor, not a skew.
const LARGEST_OFFSET_MS: i64 = 24 * 3600 * 1000;
/// A smaller difference of offsets cannot be why a signature was refused that is valid for ten minutes.
const SMALLEST_SKEW_MS: i64 = 60 * 1000;

/// Path of the API.
const BASE_PATH: &str = "/ccapi/v2";
/// Enough for the path and query of most requests.
const URI_CAPACITY: usize = 256;

/// How an operation spells its parameters and wraps its response.
#[derive(Debug)]
pub(crate) struct Style {
    /// Name of the application's query parameter (C4).
    pub(super) app_id: &'static str,
    /// Whether the query contains a fresh `MsgId` (C49).
    pub(super) message_id: bool,
    /// `Content-Type`, which the document requires even without a body (C8, C9).
    pub(super) content_type: Option<&'static str>,
    /// The envelope of its responses.
    pub(super) envelope: envelope::Kind,
}

/// The dialect of `ccapi/v2` at one tenant.
pub(super) struct Ccapi {
    center: String,
    origin: Origin,
    app_id: String,
    sid: String,
    /// The same in a query.
    app_id_encoded: String,
    sid_encoded: String,
    auth_token: config::VendorSecret,
    unit: config::TimestampUnit,
    clock: Clock,
    /// How far the vendor's clock is ahead of the gateway's, once known.
    offset_ms: AtomicI64,
    metrics: Metrics,
}

/// The clock offset and the version of the secret of a signed request.
#[derive(Clone, Copy)]
pub(super) struct Credentials {
    offset_ms: i64,
    secret: usize,
}

// === impl Ccapi ===

impl Ccapi {
    /// The dialect of a configured tenant.
    ///
    /// # Errors
    /// As [`Origin::of`].
    pub(super) fn new(
        center: &str,
        base: &Url,
        config: &config::Udesk,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self> {
        let origin = Origin::of(base)?;
        metrics.clock_offset(center, 0);
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
        Ok(Self {
            center: center.to_owned(),
            origin,
            app_id: config.app_id.clone(),
            sid: config.sid.clone(),
            app_id_encoded: encoded(&config.app_id),
            sid_encoded: encoded(&config.sid),
            auth_token: config.auth_token.clone(),
            unit: config.timestamp_unit,
            clock,
            offset_ms: AtomicI64::new(0),
            metrics,
        })
    }

    fn timestamp(&self, offset_ms: i64) -> String {
        let millis = self.clock.unix_millis().saturating_add_signed(offset_ms);
        match self.unit {
            config::TimestampUnit::Milliseconds => millis.to_string(),
            config::TimestampUnit::Seconds => (millis / 1000).to_string(),
        }
    }
}

fn sign(sid: &str, auth_token: &str, timestamp: &str) -> String {
    let digest = Sha1::new().chain_update(sid).chain_update(auth_token).chain_update(timestamp).finalize();
    let mut hex = String::with_capacity(40);
    for byte in digest {
        for nibble in [byte >> 4, byte & 0xf] {
            hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or_default());
        }
    }
    hex
}

/// How far the vendor's clock is ahead of the gateway's by its `Date`, in milliseconds; `None` without a plausible
/// `Date`.
pub(crate) fn offset(headers: &HeaderMap, ours: u64) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let theirs = i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    let offset = theirs.saturating_sub(i64::try_from(ours).unwrap_or(i64::MAX));
    (offset.saturating_abs() <= LARGEST_OFFSET_MS).then_some(offset)
}

#[async_trait]
impl Dialect for Ccapi {
    const FAMILY: &'static str = "ccapi";
    type Style = Style;
    type Credentials = Credentials;

    async fn authorize(
        &self,
        _cx: &Context,
        operation: &Operation<Style>,
        outgoing: &Outgoing,
        refreshed: Option<&Credentials>,
    ) -> Result<Authorized<Credentials>> {
        let credentials = refreshed.copied().unwrap_or_else(|| Credentials {
            offset_ms: self.offset_ms.load(Ordering::Relaxed),
            secret: self.auth_token.version(),
        });
        let timestamp = self.timestamp(credentials.offset_ms);
        let signature = sign(&self.sid, self.auth_token.expose_version(credentials.secret), &timestamp);

        let mut uri = String::with_capacity(URI_CAPACITY);
        uri.push_str(BASE_PATH);
        uri.push_str(&outgoing.path);
        uri.push('?');
        if !outgoing.query.is_empty() {
            let start = uri.len();
            uri = form_urlencoded::Serializer::for_suffix(uri, start).extend_pairs(&outgoing.query).finish();
            uri.push('&');
        }
        let Self { app_id_encoded, sid_encoded, .. } = self;
        let app_id = operation.style.app_id;
        // Names, digits and hexadecimal digits need no encoding.
        let _ = write!(uri, "{app_id}={app_id_encoded}&Timestamp={timestamp}&Sign={signature}&Sid={sid_encoded}");
        if operation.style.message_id {
            let _ = write!(uri, "&MsgId={}", Uuid::new_v4());
        }
        let uri = self.origin.uri(uri)?;
        let mut headers = HeaderMap::with_capacity(REQUEST_HEADERS);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(content_type) = operation.style.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Ok(Authorized { uri, headers, credentials })
    }

    fn parse(&self, operation: &Operation<Style>, response: &HttpResponse) -> ParsedResponse {
        envelope::open(operation, response)
    }

    async fn refresh(
        &self,
        _cx: &Context,
        refused: &Credentials,
        response: &HttpResponse,
    ) -> Result<Option<Credentials>> {
        let Credentials { offset_ms, secret } = *refused;
        if self.auth_token.is_replaced(secret).await {
            tracing::info!(center = self.center, "auth_token was read again after the vendor refused it");
            return Ok(Some(Credentials { offset_ms, secret: self.auth_token.version() }));
        }
        Ok(offset(&response.headers, self.clock.unix_millis())
            .filter(|offset| offset.saturating_sub(offset_ms).abs() >= SMALLEST_SKEW_MS)
            .map(|offset_ms| Credentials { offset_ms, secret }))
    }

    fn confirm(&self, credentials: &Credentials) {
        if self.offset_ms.swap(credentials.offset_ms, Ordering::Relaxed) == credentials.offset_ms {
            return;
        }
        self.metrics.clock_offset(&self.center, credentials.offset_ms / 1000);
        tracing::warn!(
            center = self.center,
            offset_s = credentials.offset_ms / 1000,
            "the vendor's clock differs from the gateway's"
        );
    }

    fn secrets(&self) -> Vec<&str> {
        self.auth_token.iter().chain([self.sid.as_str(), &self.app_id]).collect()
    }
}

impl fmt::Debug for Ccapi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ccapi").field("center", &self.center).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http::Method;
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{super::operations::READ, *};

    /// The vendor publishes no vector; these are computed by `printf ... | sha1sum`.
    #[test]
    fn the_signature_is_sha1_over_account_secret_and_time() {
        for (timestamp, expected) in [
            ("1566523582000", "7cb509c2cba42f294779f23d6a33a64030fd5890"),
            ("1700000000123", "c76ca60b8db6197a4f2cb15577bf63fddb3e3677"),
        ] {
            assert_eq!(sign("SID_demo_0001", "TOKEN_demo_abcdef", timestamp), expected);
        }
    }

    proptest! {
        #[test]
        fn a_signature_is_forty_lower_case_hex_digits(sid in "\\PC*", token in "\\PC*", time in "[0-9]{13}") {
            let signature = sign(&sid, &token, &time);
            prop_assert_eq!(signature.len(), 40);
            prop_assert!(signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        }

        #[test]
        fn a_query_is_encoded_as_a_form(
            app_id in "[ -~]{1,20}",
            sid in "[ -~]{1,20}",
            texts in proptest::collection::vec("\\PC{0,12}", 0..3),
        ) {
            let config = config::Udesk {
                app_id,
                sid,
                auth_token: "token".into(),
                timestamp_unit: config::TimestampUnit::Milliseconds,
                agent_states: config::AgentStates::default(),
            };
            let mut url = Url::parse("https://acme.example.com").unwrap();
            let ccapi = Ccapi::new("acme", &url, &config, Clock::system(), Metrics::new().unwrap()).unwrap();
            let query: Vec<_> = texts.into_iter().map(|text| ("FuzzyQuery", text)).collect();
            let outgoing = Outgoing { path: "/agents".into(), query: query.clone(), body: None };
            let operation = Operation { name: "", method: Method::GET, repeatable: true, is_list: false, style: READ };
            let cx = Context::new("ListAgents", String::new(), Instant::now());
            let authorized = ccapi.authorize(&cx, &operation, &outgoing, None).now_or_never().unwrap().unwrap();
            let sent = Url::parse(&authorized.uri.to_string()).unwrap();
            let timestamp = sent.query_pairs().find(|(name, _)| name == "Timestamp").unwrap().1.into_owned();

            url.set_path("/ccapi/v2/agents");
            let signature = sign(&config.sid, "token", &timestamp);
            url.query_pairs_mut()
                .extend_pairs(query)
                .append_pair("AppId", &config.app_id)
                .append_pair("Timestamp", &timestamp)
                .append_pair("Sign", &signature)
                .append_pair("Sid", &config.sid);
            prop_assert_eq!(authorized.uri.to_string(), url.as_str());
        }
    }
}
