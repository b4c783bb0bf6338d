//! One REST operation of a vendor, as a value.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    http::Dialect,
};

/// The properties that all requests of one operation share. `S` is the dialect's own part.
#[derive(Debug)]
pub struct Operation<S> {
    /// The vendor's name of the operation in errors and metrics, e.g. `POST /queues`.
    pub name: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Whether a retry has no further effect. An operation that is not repeatable is a write.
    pub repeatable: bool,
    /// Whether the response is a whole list, which may be as large as `max_list_size`.
    pub is_list: bool,
    /// Properties that only the dialect uses.
    pub style: S,
}

/// A request of one REST operation. The value becomes the query or the body.
pub trait Endpoint: Serialize + Send + Sync {
    /// The dialect of the operation's API family.
    type Dialect: Dialect;
    /// The payload of a successful response.
    type Response: DeserializeOwned + Send + 'static;

    /// The operation.
    fn operation() -> &'static Operation<<Self::Dialect as Dialect>::Style>;
    /// Path relative to the dialect's base URL, percent-encoded.
    fn path(&self) -> Cow<'static, str>;
    /// Whether the client sends the value as a JSON body.
    const HAS_BODY: bool;
    /// Query parameters in the order of the URL.
    fn query(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// An encoded request without credentials. Every attempt signs it again.
#[derive(Clone)]
pub struct Outgoing {
    /// Path relative to the dialect's base URL.
    pub path: Cow<'static, str>,
    /// Query parameters of the operation, not yet percent-encoded.
    pub query: Vec<(&'static str, String)>,
    /// JSON body.
    pub body: Option<Bytes>,
}

// === impl Outgoing ===

impl Outgoing {
    /// Encodes an endpoint.
    pub(super) fn from_endpoint<E: Endpoint>(endpoint: &E) -> Result<Self> {
        let body = if E::HAS_BODY {
            let bytes = serde_json::to_vec(endpoint)
                .map_err(|_| Error::internal("a vendor request could not be encoded as JSON"))?;
            Some(bytes.into())
        } else {
            None
        };
        Ok(Self { path: endpoint.path(), query: endpoint.query(), body })
    }
}

/// Implements [`Endpoint`] for a request type.
///
/// `endpoint!(Dialect: GetAgent<'_>, GET "/agents/{id}", read, STYLE => AgentRecord, path |e| format!("/agents/{}",
/// e.id))`
///
/// `read` is a repeatable operation without a body, `list` one whose response is a whole list, `ask` a repeatable one
/// with a body, `write` one that is not repeatable with a body, and `write_bare` one that is not repeatable without a
/// body. The `path` and `query` closures are optional.
#[macro_export]
macro_rules! endpoint {
    ($dialect:ty: $request:ty, $method:ident $name:literal, $kind:ident, $style:expr => $response:ty
     $(, path |$p:ident| $path:expr)? $(, query |$q:ident| $query:expr)? $(,)?) => {
        impl $crate::http::Endpoint for $request {
            type Dialect = $dialect;
            type Response = $response;

            fn operation() -> &'static $crate::http::Operation<<$dialect as $crate::http::Dialect>::Style> {
                static OPERATION: $crate::http::Operation<<$dialect as $crate::http::Dialect>::Style> =
                    $crate::http::Operation {
                        name: concat!(stringify!($method), " ", $name),
                        method: ::http::Method::$method,
                        repeatable: $crate::endpoint!(@repeatable $kind),
                        is_list: $crate::endpoint!(@is_list $kind),
                        style: $style,
                    };
                &OPERATION
            }

            const HAS_BODY: bool = $crate::endpoint!(@body $kind);

            fn path(&self) -> ::std::borrow::Cow<'static, str> {
                $crate::endpoint!(@path self, $name $(, $p, $path)?)
            }

            $(fn query(&self) -> Vec<(&'static str, String)> {
                let $q = self;
                $query
            })?
        }
    };
    (@repeatable read) => { true };
    (@repeatable list) => { true };
    (@repeatable ask) => { true };
    (@repeatable write) => { false };
    (@repeatable write_bare) => { false };
    (@is_list list) => { true };
    (@is_list $kind:ident) => { false };
    (@body read) => { false };
    (@body list) => { false };
    (@body ask) => { true };
    (@body write) => { true };
    (@body write_bare) => { false };
    (@path $self:ident, $name:literal) => { { let _ = $self; ::std::borrow::Cow::Borrowed($name) } };
    (@path $self:ident, $name:literal, $p:ident, $path:expr) => { { let $p = $self; ::std::borrow::Cow::Owned($path) } };
}
