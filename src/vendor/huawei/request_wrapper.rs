//! Bodies that the tables of agentAccount wrap in a member of their own and that their examples do not (B3.5 to B3.11).
//!
//! Which of the two a tenant takes shows when it first reads: what the examples show is tried, and after an HTTP 400 what
//! the tables say. A write is never tried: each follows a read.

use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Huawei, api_fabric::ApiFabric};
use crate::{context::Context, error::Result, http::Endpoint};

/// Fields that may be wrapped.
pub(super) trait Wrap: Serialize + Send + Sync {
    /// The member that the table wraps them in.
    const MEMBER: &'static str;
}

/// Fields as they are sent.
pub(super) struct Wrapped<T> {
    wrap: bool,
    fields: T,
}

/// What is known of how a tenant takes bodies.
#[derive(Debug, Default)]
pub(super) struct RequestWrapper(AtomicU8);

/// Values of [`RequestWrapper`]; 0 is unknown.
const PLAIN: u8 = 1;
const WRAPPED: u8 = 2;

// === impl Wrapped ===

impl<T: Wrap> Serialize for Wrapped<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.wrap {
            return self.fields.serialize(serializer);
        }
        let mut body = serializer.serialize_map(Some(1))?;
        body.serialize_entry(T::MEMBER, &self.fields)?;
        body.end()
    }
}

// === impl RequestWrapper ===

impl RequestWrapper {
    /// `None` as long as nothing was read.
    fn known(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            PLAIN => Some(false),
            WRAPPED => Some(true),
            _ => None,
        }
    }

    fn learn(&self, wrap: bool) {
        self.0.store(if wrap { WRAPPED } else { PLAIN }, Ordering::Relaxed);
    }
}

/// The fields of a write, as this tenant takes them.
pub(super) fn wrapped<T: Wrap>(huawei: &Huawei, fields: T) -> Wrapped<T> {
    Wrapped { wrap: huawei.request_wrapper.known().unwrap_or(false), fields }
}

/// Reads, and learns how this tenant takes bodies.
pub(super) async fn ask<T>(huawei: &Huawei, cx: &Context, fields: T) -> Result<<Wrapped<T> as Endpoint>::Response>
where
    T: Wrap,
    Wrapped<T>: Endpoint<Dialect = ApiFabric>,
{
    let known = huawei.request_wrapper.known();
    let plain = wrapped(huawei, fields);
    let refused = match huawei.api_fabric.call(cx, &plain).await {
        Ok(answer) => {
            huawei.request_wrapper.learn(plain.wrap);
            return Ok(answer);
        }
        Err(error) if known.is_none() && error.vendor_http_status() == Some(400) => error,
        Err(error) => return Err(error),
    };
    let answer = huawei.api_fabric.call(cx, &Wrapped { wrap: true, ..plain }).await.map_err(|_| refused)?;
    huawei.request_wrapper.learn(true);
    Ok(answer)
}
