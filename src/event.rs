//! Events: what vendors post, kept before it is acknowledged, and streamed to whoever watches.
//!
//! A vendor's callback comes to the ingress, which keeps its body in the center's [log](crate::store::event_log) and only then answers 200. What
//! the body means is found out later, when somebody watches.

pub mod address;
pub mod cursor;
pub mod feed;
pub mod ingress;
pub mod payload;
pub mod watch;
