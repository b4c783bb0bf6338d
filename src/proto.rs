//! The contract: generated code of `proto/contactcenter/v1`, and its descriptors.

mod encoded;

use std::fmt;

pub use self::encoded::EncodedWatchEventsResponse;

/// Package `contactcenter.v1`.
///
/// The comments of the `.proto` files are the documentation.
#[expect(
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::large_enum_variant,
    clippy::missing_errors_doc,
    rustdoc::broken_intra_doc_links,
    reason = "generated; the contract's own comments are carried over where prost does so"
)]
pub mod v1 {
    use super::Redacted;

    tonic::include_proto!("contactcenter.v1");
    include!(concat!(env!("OUT_DIR"), "/contactcenter.v1.debug.rs"));
}

/// The server of package `contactcenter.v1`. `WatchEvents` sends encoded responses.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::default_trait_access,
    clippy::too_many_lines,
    rustdoc::broken_intra_doc_links,
    reason = "generated; the contract's own comments are carried over"
)]
pub mod service {
    include!(concat!(env!("OUT_DIR"), "/service/contactcenter.v1.rs"));
}

include!(concat!(env!("OUT_DIR"), "/contactcenter.v1.methods.rs"));

/// The contract's file descriptors with comments, as reflection serves them.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/contactcenter.v1.descriptors.bin"));

/// The value of an enum field; `UNSPECIFIED` for a number that the contract does not know.
pub(crate) fn enum_value<E: TryFrom<i32> + Default>(number: i32) -> E {
    E::try_from(number).unwrap_or_default()
}

/// The `Debug` output of a field that the contract marks `debug_redact`: whether it is set, never its value.
struct Redacted {
    empty: bool,
}

impl Redacted {
    fn unless(empty: bool) -> Self {
        Self { empty }
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.empty { "(unset)" } else { "(redacted)" })
    }
}
