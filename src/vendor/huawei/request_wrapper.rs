//! Request bodies that the tables of agentAccount wrap in a member and that the examples do not (B3.5 to B3.11).
//!
//! Reads show which form a tenant accepts: the examples' form until a success confirms one. While none is confirmed, a
//! read that fails in one form is sent in the other. A refusal alone is weak evidence, because it may be about
//! something else: it decides which form is tried first, and no more. A write is sent once, in the form that is known
//! then; a read precedes every write. The bodies of addSkillsToAgent and releaseAgentBySkillId are wrapped in neither
//! (B3.9, B3.10).

use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Huawei, api_fabric::ApiFabric};
use crate::{
    context::Context,
    error::{Error, ErrorReason, Result},
    http::Endpoint,
};

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

/// Which form of bodies a tenant accepts, as far as it is known: bits of [`WRAP`] and [`CONFIRMED`].
#[derive(Debug, Default)]
pub(super) struct RequestWrapper(AtomicU8);

const WRAP: u8 = 1;
/// A request in this form succeeded, and none in this form was refused with an HTTP 400 since.
const CONFIRMED: u8 = 2;

/// How far Huawei read a request that it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Understood {
    /// HTTP 400: perhaps nothing.
    No,
    /// HTTP 400 with a return code.
    Perhaps,
    /// A return code: the fields.
    Yes,
}

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
    /// Whether to wrap, and whether a success confirmed that.
    fn form(&self) -> (bool, bool) {
        let state = self.0.load(Ordering::Relaxed);
        (state & WRAP != 0, state & CONFIRMED != 0)
    }

    /// A request in this form succeeded.
    fn confirm(&self, wrap: bool) {
        self.0.store(u8::from(wrap) | CONFIRMED, Ordering::Relaxed);
    }

    /// Tries this form first from now on, unless a form is confirmed.
    fn suppose(&self, wrap: bool) {
        let suppose = |state| (state & CONFIRMED == 0).then_some(u8::from(wrap));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, suppose);
    }

    /// A request in this form was refused with an HTTP 400: it is not confirmed any more.
    fn doubt(&self, wrap: bool) {
        let wrap = u8::from(wrap);
        let _ = self.0.compare_exchange(wrap | CONFIRMED, wrap, Ordering::Relaxed, Ordering::Relaxed);
    }
}

// === impl Understood ===

impl Understood {
    /// `None` when the error says nothing about the form.
    fn of(error: &Error) -> Option<Self> {
        use ErrorReason::{CenterMisconfigured, VendorAuthFailed, VendorRateLimited, VendorTimeout, VendorUnavailable};
        let has_code = !error.vendor_code().is_empty();
        match error.vendor_http_status()? {
            400 if has_code => Some(Self::Perhaps),
            400 => Some(Self::No),
            _ => match error.reason() {
                CenterMisconfigured | VendorAuthFailed | VendorRateLimited | VendorTimeout | VendorUnavailable => None,
                _ => has_code.then_some(Self::Yes),
            },
        }
    }
}

/// Sends a write once, in the form that this tenant accepts as far as it is known.
pub(super) async fn write<T>(huawei: &Huawei, cx: &Context, fields: T) -> Result<<Wrapped<T> as Endpoint>::Response>
where
    T: Wrap,
    Wrapped<T>: Endpoint<Dialect = ApiFabric>,
{
    let (wrap, _) = huawei.request_wrapper.form();
    let result = huawei.api_fabric.call(cx, &Wrapped { wrap, fields }).await;
    match &result {
        Ok(_) => huawei.request_wrapper.confirm(wrap),
        Err(error) if error.vendor_http_status() == Some(400) => huawei.request_wrapper.doubt(wrap),
        Err(_) => {}
    }
    result
}

/// Sends a read, and learns which form this tenant accepts.
pub(super) async fn ask<T>(huawei: &Huawei, cx: &Context, fields: T) -> Result<<Wrapped<T> as Endpoint>::Response>
where
    T: Wrap,
    Wrapped<T>: Endpoint<Dialect = ApiFabric>,
{
    let known = &huawei.request_wrapper;
    let (wrap, is_confirmed) = known.form();
    let request = Wrapped { wrap, fields };
    let refused = match huawei.api_fabric.call(cx, &request).await {
        Ok(response) => {
            known.confirm(wrap);
            return Ok(response);
        }
        Err(error) => error,
    };
    let Some(understood) = Understood::of(&refused) else { return Err(refused) };
    if is_confirmed && understood < Understood::Yes {
        known.doubt(wrap);
    }
    // The plain form is only doubtful after an HTTP 400; the wrapped one until it is confirmed.
    if is_confirmed || (understood == Understood::Yes && !wrap) {
        return Err(refused);
    }
    let other = Wrapped { wrap: !wrap, ..request };
    let error = match huawei.api_fabric.call(cx, &other).await {
        Ok(response) => {
            known.confirm(other.wrap);
            return Ok(response);
        }
        Err(error) => error,
    };
    let Some(other_understood) = Understood::of(&error) else { return Err(refused) };
    // Of two forms that Huawei understood equally well, the plain one is tried first.
    let is_equal = other_understood == understood && understood > Understood::No;
    if other_understood > understood || (is_equal && !other.wrap) {
        known.suppose(other.wrap);
        return Err(error);
    }
    Err(refused)
}
