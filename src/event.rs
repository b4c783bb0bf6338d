//! Events: vendors' callbacks, stored before they are acknowledged, and streamed to watchers.
//!
//! The ingress appends the body of a callback to the center's [log](crate::store::event_log) and only then responds
//! 200. The body is decoded later, for the center's watchers.

pub mod address;
pub mod cursor;
pub(crate) mod feed;
pub(crate) mod ingress;
pub(crate) mod payload;
pub(crate) mod watch;
