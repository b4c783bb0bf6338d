//! Request bodies that the tables of agentAccount wrap in a member and that the examples do not (B3.5 to B3.11).
//!
//! The first read shows which form a tenant accepts: it tries the examples' form and, after an HTTP 400, the tables'
//! form. A write never tries, because a read precedes every write. The bodies of addSkillsToAgent and
//! releaseAgentBySkillId are wrapped in neither (B3.9, B3.10).

use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Huawei, api_fabric::ApiFabric};
use crate::{context::Context, error::Result, http::Endpoint};

/// Fields that may be wrapped.
pub(super) trait Wrap: Serialize + Send + Sync {
    /// The wrapping member in the table.
    const MEMBER: &'static str;
}

/// Fields as they are sent.
pub(super) struct Wrapped<T> {
    wrap: bool,
    fields: T,
}

/// Which form of bodies a tenant accepts, once known.
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
    /// `None` until the first read.
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

/// The fields of a write, in the form that this tenant accepts.
pub(super) fn wrapped<T: Wrap>(huawei: &Huawei, fields: T) -> Wrapped<T> {
    Wrapped { wrap: huawei.request_wrapper.known().unwrap_or(false), fields }
}

/// Sends a read, and learns which form this tenant accepts.
pub(super) async fn ask<T>(huawei: &Huawei, cx: &Context, fields: T) -> Result<<Wrapped<T> as Endpoint>::Response>
where
    T: Wrap,
    Wrapped<T>: Endpoint<Dialect = ApiFabric>,
{
    let known = huawei.request_wrapper.known();
    let plain = wrapped(huawei, fields);
    let refused = match huawei.api_fabric.call(cx, &plain).await {
        Ok(response) => {
            huawei.request_wrapper.learn(plain.wrap);
            return Ok(response);
        }
        Err(error) if known.is_none() && error.vendor_http_status() == Some(400) => error,
        Err(error) => return Err(error),
    };
    let result = huawei.api_fabric.call(cx, &Wrapped { wrap: true, ..plain }).await;
    match &result {
        // With a return code, Huawei read the fields.
        Err(error) if error.vendor_code().is_empty() => return Err(refused),
        _ => huawei.request_wrapper.learn(true),
    }
    result
}
