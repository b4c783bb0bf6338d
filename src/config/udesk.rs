//! The keys of a Udesk center.

use super::{
    key::table,
    rotation::{VendorSecret, vendor_secret},
    secret::env,
    value::{choice, identifier},
};

table! {
    /// Udesk ccapi/v2.
    #[derive(Debug, Clone)]
    pub struct Udesk {
        /// `AppId` of the signature.
        app_id: String = identifier().required("4b8dc715-05e0-4340-6cae-a6e3c39a6012");
        /// `Sid` of the signature.
        sid: String = identifier().required("sid-0001");
        /// The secret that signs every request.
        auth_token: VendorSecret = vendor_secret().required(env("ACME_AUTH_TOKEN"));
        /// The unit of the signature's timestamp: milliseconds or seconds.
        timestamp_unit: TimestampUnit =
            choice(vec![("ms", TimestampUnit::Milliseconds), ("s", TimestampUnit::Seconds)]).default("ms");
    }
}

/// The unit of the timestamp in Udesk's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    /// `"ms"`
    Milliseconds,
    /// `"s"`
    Seconds,
}
