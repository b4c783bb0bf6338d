//! Why a call failed.

use tonic::Status;
use tonic_types::StatusExt as _;

/// The contract's reason; `None` for a status that the gateway did not send, such as of a broken connection.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}
