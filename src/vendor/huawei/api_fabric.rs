//! The dialect of the interfaces behind the API Fabric: `Authorization: Bearer` and `X-APP-Key`.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use async_trait::async_trait;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::ExposeSecret as _;

use super::{envelope::Envelope, tokens::TokenByAkSk};
use crate::{
    config,
    context::Context,
    error::{Error, ErrorReason, Result},
    http::{Authorized, Dialect, HttpResponse, Operation, Origin, Outgoing, ParsedResponse, REQUEST_HEADERS},
    token::{Fetch, Key, Token, Tokens},
    vendor::Parts,
};

/// An operation's path and envelope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// The operation's name in the configuration, e.g. `querySysInfo`.
    pub(crate) operation: &'static str,
    /// Its path; a center can override it.
    pub(crate) path: &'static str,
    /// The envelope of its responses.
    pub(crate) envelope: Envelope,
    /// Whether the request contains a caller's value: only then can a 400 be the caller's error.
    pub(crate) takes_caller_values: bool,
}

/// The API Fabric for one tenant.
pub(super) struct ApiFabric {
    origin: Origin,
    app_key: String,
    app_secret: config::VendorSecret,
    retry_on_403: bool,
    /// The overridden URIs, by the operation's name.
    uris: BTreeMap<String, Uri>,
    tokens: Tokens,
    key: Key,
    fetch: Arc<dyn Fetch>,
}

// === impl ApiFabric ===

impl ApiFabric {
    /// The dialect of a configured center.
    ///
    /// # Errors
    /// As [`Origin::of`].
    pub(super) fn new(id: &str, center: &config::Center, huawei: &config::Huawei, parts: &Parts) -> Result<Self> {
        let origin = Origin::of(&center.base_url)?;
        let uri = |(operation, path): (&String, &String)| {
            let mut url = center.base_url.clone();
            url.set_path(path);
            Ok((operation.clone(), origin.uri(url.path().to_owned())?))
        };
        let uris = huawei.paths.iter().map(uri).collect::<Result<_>>()?;
        let mut fingerprint = DefaultHasher::new();
        (&huawei.app_key, huawei.app_secret.expose_secret(), huawei.token_base_url.as_str()).hash(&mut fingerprint);
        Ok(Self {
            origin,
            app_key: huawei.app_key.clone(),
            app_secret: huawei.app_secret.clone(),
            retry_on_403: huawei.token_retry_on_403,
            uris,
            tokens: parts.tokens.clone(),
            key: Key { center: id.to_owned(), fingerprint: fingerprint.finish() },
            fetch: Arc::new(TokenByAkSk::new(id, center, huawei, parts)?),
        })
    }

    async fn token(&self, cx: &Context) -> Result<Arc<Token>> {
        self.tokens.get(&self.key, &self.fetch, cx.deadline()).await
    }
}

#[async_trait]
impl Dialect for ApiFabric {
    const FAMILY: &'static str = "fabric";
    type Style = Style;
    type Credentials = Arc<Token>;

    async fn authorize(
        &self,
        cx: &Context,
        operation: &Operation<Style>,
        outgoing: &Outgoing,
        refreshed: Option<&Arc<Token>>,
    ) -> Result<Authorized<Arc<Token>>> {
        let token = match refreshed {
            Some(token) => token.clone(),
            None => self.token(cx).await?,
        };
        let style = &operation.style;
        let uri = match self.uris.get(style.operation) {
            Some(uri) => uri.clone(),
            None => self.origin.uri(style.path)?,
        };

        let mut headers = HeaderMap::with_capacity(REQUEST_HEADERS);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if outgoing.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(AUTHORIZATION, secret_header(&format!("Bearer {}", token.value.expose_secret()))?);
        headers.insert("x-app-key", secret_header(&self.app_key)?);
        Ok(Authorized { uri, headers, credentials: token })
    }

    fn parse(&self, operation: &Operation<Style>, response: &HttpResponse) -> ParsedResponse {
        operation.style.envelope.open(operation, response)
    }

    async fn refresh(&self, cx: &Context, refused: &Arc<Token>, response: &HttpResponse) -> Result<Option<Arc<Token>>> {
        let may_help = response.status == StatusCode::UNAUTHORIZED
            || (response.status == StatusCode::FORBIDDEN && self.retry_on_403);
        if !may_help {
            return Ok(None);
        }
        self.tokens.replace_rejected(&self.key, refused, &self.fetch, cx.deadline()).await
    }

    fn accept(&self, token: &Arc<Token>) {
        token.accept();
    }

    fn secrets(&self) -> Vec<&str> {
        self.app_secret.iter().chain([self.app_key.as_str()]).collect()
    }

    fn credential_secrets<'a>(&self, token: &'a Arc<Token>) -> Vec<&'a str> {
        vec![token.value.expose_secret()]
    }
}

fn secret_header(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Error::new(ErrorReason::VendorResponseInvalid, "the vendor's access token is not a valid header value")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for ApiFabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiFabric").field("center", &self.key.center).finish_non_exhaustive()
    }
}
