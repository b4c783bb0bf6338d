//! Which requests go where.

use std::sync::Arc;

use axum::{Router, middleware::map_response_with_state};

use super::{admin, service, simulator::Simulator};
use crate::faults;

// === impl Simulator ===

impl Simulator {
    /// The vendor's operations under `/ccapi/v2`, and the simulator's own routes under `/simulator`.
    pub fn router(self: &Arc<Self>) -> Router {
        admin::routes(self)
            .merge(faults::routes(&self.faults))
            .merge(service::routes(self))
            .layer(map_response_with_state(Arc::clone(self), service::date))
    }
}
