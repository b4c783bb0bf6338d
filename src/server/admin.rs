//! The admin endpoints: `/metrics`, `/healthz`, `/readyz`.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};

use super::wait_until_set;
use crate::{drain::Draining, telemetry::Metrics};

/// Serves metrics and probes until stopped.
pub async fn serve(listener: TcpListener, metrics: Metrics, draining: Draining, stopped: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/metrics", get(render_metrics).with_state(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(draining));
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(wait_until_set(stopped)).await {
        tracing::error!(kind = %error.kind(), "the admin listener failed");
    }
}

async fn render_metrics(State(metrics): State<Metrics>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(draining): State<Draining>) -> (StatusCode, &'static str) {
    if draining.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "draining\n") } else { (StatusCode::OK, "ok\n") }
}
