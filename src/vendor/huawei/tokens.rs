//! `POST tokenByAkSk` (section A): an access token for a key and its secret.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{
    HeaderMap, HeaderValue, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::statuses;
use crate::{
    config,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result, Vendor},
    http::{
        Authorized, Client, Dialect, Endpoint, HttpResponse, Operation, Origin, Outgoing, ParsedResponse,
        REQUEST_HEADERS,
    },
    token::{FETCH_TIMEOUT, Fetch, Fetched},
    vendor::{
        Parts,
        de::{Integer, Text},
    },
};

/// Path of tokenByAkSk; a center can override it.
pub(super) const PATH: &str = "/apigovernance/api/oauth/tokenByAkSk";

/// Gets tokens for one center.
#[derive(Debug)]
pub(super) struct TokenByAkSk {
    center: String,
    client: Arc<Client<TokenDialect>>,
    app_key: String,
    app_secret: config::VendorSecret,
    lifetime: Duration,
}

/// The dialect of tokenByAkSk, whose only credentials are in the body.
pub(super) struct TokenDialect {
    uri: Uri,
    lifetime: Duration,
    app_key: String,
    app_secret: config::VendorSecret,
}

/// `POST tokenByAkSk`.
#[derive(Serialize)]
struct Ask<'a> {
    app_key: &'a str,
    app_secret: &'a str,
}

// A second token is harmless, so the request may be retried.
endpoint!(TokenDialect: Ask<'_>, POST "tokenByAkSk", ask, () => Granted);

/// The response: text members in the document; other clients have seen other spellings (section A, third parties).
#[derive(Deserialize)]
struct Granted {
    #[serde(rename = "AccessToken", alias = "access_token", alias = "accessToken", default)]
    access_token: Text,
    #[serde(rename = "Expires", alias = "expires_in", alias = "expiresIn", default)]
    expires: Integer,
}

// === impl TokenByAkSk ===

impl TokenByAkSk {
    /// The client of a configured center.
    ///
    /// # Errors
    /// As [`Origin::of`].
    pub(super) fn new(id: &str, center: &config::Center, huawei: &config::Huawei, parts: &Parts) -> Result<Self> {
        parts.metrics.declare_tokens(id);
        let mut url = huawei.token_base_url.clone();
        url.set_path(huawei.paths.get("tokenByAkSk").map_or(PATH, String::as_str));
        let uri = Origin::of(&url)?.uri(url.path().to_owned())?;
        let (app_key, app_secret, lifetime) = (&huawei.app_key, &huawei.app_secret, huawei.token_lifetime);
        let dialect = TokenDialect { uri, lifetime, app_key: app_key.clone(), app_secret: app_secret.clone() };
        Ok(Self {
            center: id.to_owned(),
            client: Client::new(
                id,
                center,
                dialect,
                parts.connections.clone(),
                parts.clock.clone(),
                parts.metrics.clone(),
            ),
            app_key: app_key.clone(),
            app_secret: app_secret.clone(),
            lifetime,
        })
    }
}

impl TokenByAkSk {
    /// Requests a token with this version of the secret.
    async fn ask(&self, cx: &Context, secret: usize) -> Result<Fetched> {
        let ask = Ask { app_key: &self.app_key, app_secret: self.app_secret.expose_version(secret) };
        self.client.call(cx, &ask).await?.token(self.lifetime)
    }
}

#[async_trait]
impl Fetch for TokenByAkSk {
    async fn fetch(&self) -> Result<Fetched> {
        // All waiting calls share the request, so it has a deadline of its own.
        let cx = Context::new("tokenByAkSk", String::new(), Instant::now() + FETCH_TIMEOUT);
        let secret = self.app_secret.version();
        match self.ask(&cx, secret).await {
            Err(error)
                if error.reason() == ErrorReason::VendorAuthFailed && self.app_secret.is_replaced(secret).await =>
            {
                tracing::info!(center = self.center, "app_secret was read again after the vendor refused it");
                self.ask(&cx, self.app_secret.version()).await
            }
            result => result,
        }
    }
}

// === impl Granted ===

impl Granted {
    /// The token, if it is a valid header value. `asked` is the requested lifetime.
    fn token(self, asked: Duration) -> Result<Fetched> {
        let token = self.access_token.into_string();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "the vendor's response contains no access token that is a valid header value";
            let operation = <Ask<'_> as Endpoint>::operation().name;
            return Err(Error::new(ErrorReason::VendorResponseInvalid, message)
                .from_vendor(Vendor { operation, ..Vendor::default() }));
        }
        // The shorter one counts: the lifetime that the vendor states or the one that the gateway requested.
        let lifetime = match self.expires.0.and_then(|seconds| u64::try_from(seconds).ok()) {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(asked),
            _ => asked,
        };
        Ok(Fetched { value: token.into(), lifetime })
    }
}

/// The token in a response of tokenByAkSk, as [`TokenByAkSk::fetch`] parses it.
pub(crate) fn read(response: &HttpResponse, asked: Duration) -> Option<Fetched> {
    let ParsedResponse::Payload(payload) = open(response) else { return None };
    serde_json::from_slice::<Granted>(&payload).ok()?.token(asked).ok()
}

fn open(response: &HttpResponse) -> ParsedResponse {
    match statuses::of_token_request(response.status) {
        Some(meaning) => ParsedResponse::Refused(meaning.refusal(String::new())),
        // A firewall in front of the vendor responds in HTML.
        None if !response.body.trim_ascii_start().starts_with(b"{") => {
            ParsedResponse::Unreadable("the response is not JSON")
        }
        None => ParsedResponse::Payload(response.body.clone()),
    }
}

// === impl TokenDialect ===

#[async_trait]
impl Dialect for TokenDialect {
    const FAMILY: &'static str = "token";
    type Style = ();
    type Credentials = ();

    async fn authorize(
        &self,
        _cx: &Context,
        _operation: &Operation<()>,
        _outgoing: &Outgoing,
        _renewed: Option<&()>,
    ) -> Result<Authorized<()>> {
        let mut headers = HeaderMap::with_capacity(REQUEST_HEADERS);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-token-expire", self.lifetime.as_secs().into());
        Ok(Authorized { uri: self.uri.clone(), headers, credentials: () })
    }

    fn parse(&self, _operation: &Operation<()>, response: &HttpResponse) -> ParsedResponse {
        open(response)
    }

    async fn refresh(&self, _cx: &Context, _refused: &(), _response: &HttpResponse) -> Result<Option<()>> {
        Ok(None)
    }

    fn secrets(&self) -> Vec<&str> {
        self.app_secret.iter().chain([self.app_key.as_str()]).collect()
    }
}

impl fmt::Debug for TokenDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenDialect").finish_non_exhaustive()
    }
}
