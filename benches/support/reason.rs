//! Why a call failed.

use tonic::Status;
use tonic_types::StatusExt as _;

/// The reason of an error of the contract; `None` for what the gateway did not say, such as a connection that broke.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}
