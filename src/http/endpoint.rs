//! One REST operation of a vendor, as a value.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    http::Dialect,
};

/// What is the same for every request of one operation. `S` is what only its dialect needs to know.
#[derive(Debug)]
pub struct Operation<S> {
    /// The vendor's name for it, as errors and metrics show it, e.g. `POST /queues`.
    pub name: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Whether a repeat is harmless. An operation that is not repeatable is a write.
    pub repeatable: bool,
    /// What only its dialect needs to know.
    pub style: S,
}

/// A request of one REST operation: the value is its query or its body.
pub trait Endpoint: Serialize + Send + Sync {
    /// How its family authenticates and answers.
    type Dialect: Dialect;
    /// What the vendor answers with on success.
    type Answer: DeserializeOwned + Send;

    /// The operation.
    fn operation() -> &'static Operation<<Self::Dialect as Dialect>::Style>;
    /// Path beneath the dialect's base. Values in it are percent-encoded.
    fn path(&self) -> Cow<'static, str>;
    /// Whether the value is sent as a JSON body.
    const HAS_BODY: bool;
    /// The value's query parameters, in the order in which they are sent.
    fn query(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// A request, ready to be signed and sent as often as needed.
#[derive(Clone)]
pub struct Outgoing {
    /// Path beneath the dialect's base.
    pub path: Cow<'static, str>,
    /// Query parameters of the operation itself, not yet encoded.
    pub query: Vec<(&'static str, String)>,
    /// JSON body.
    pub body: Option<Bytes>,
}

// === impl Outgoing ===

impl Outgoing {
    /// The request an endpoint stands for.
    pub(super) fn of<E: Endpoint>(endpoint: &E) -> Result<Self> {
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

/// Ties a request type to its operation.
///
/// `endpoint!(Dialect: GetAgent<'_>, GET "/agents/{id}", read, STYLE => AgentRecord, path |e| format!("/agents/{}", e.id))`
///
/// `read` is a repeatable operation without a body, `ask` a repeatable one with a body, `write` one that must not be
/// repeated, with a body, and `write_bare` one without. `path` and `query` closures are optional.
#[macro_export]
macro_rules! endpoint {
    ($dialect:ty: $request:ty, $method:ident $name:literal, $kind:ident, $style:expr => $answer:ty
     $(, path |$p:ident| $path:expr)? $(, query |$q:ident| $query:expr)? $(,)?) => {
        impl $crate::http::Endpoint for $request {
            type Dialect = $dialect;
            type Answer = $answer;

            fn operation() -> &'static $crate::http::Operation<<$dialect as $crate::http::Dialect>::Style> {
                static OPERATION: $crate::http::Operation<<$dialect as $crate::http::Dialect>::Style> =
                    $crate::http::Operation {
                        name: concat!(stringify!($method), " ", $name),
                        method: ::http::Method::$method,
                        repeatable: $crate::endpoint!(@repeatable $kind),
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
    (@repeatable ask) => { true };
    (@repeatable write) => { false };
    (@repeatable write_bare) => { false };
    (@body read) => { false };
    (@body ask) => { true };
    (@body write) => { true };
    (@body write_bare) => { false };
    (@path $self:ident, $name:literal) => { { let _ = $self; ::std::borrow::Cow::Borrowed($name) } };
    (@path $self:ident, $name:literal, $p:ident, $path:expr) => { { let $p = $self; ::std::borrow::Cow::Owned($path) } };
}
