//! Which requests go where.

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{any, get, post},
};

use super::{admin, fabric, simulator::Simulator};
use crate::faults;

// === impl Simulator ===

impl Simulator {
    /// The vendor's operations, and the simulator's own routes under `/simulator`.
    pub fn router(self: &Arc<Self>) -> Router {
        // Axum does not route the operations: a wrong method or path gets the vendor's own 404.
        let operations = any(fabric::respond)
            .layer(from_fn_with_state(Arc::clone(self), fabric::receive))
            .with_state(Arc::clone(self));
        Router::new()
            .route("/simulator/requests", get(admin::requests))
            .route("/simulator/state", get(admin::state))
            .route("/simulator/reset", post(admin::reset))
            .route("/simulator/tokens/revoke", post(admin::revoke_tokens))
            .with_state(Arc::clone(self))
            .merge(faults::routes(&self.faults))
            .fallback_service(operations)
    }
}
