//! The admin endpoints: `/metrics`, `/healthz`, `/readyz`.

use std::io;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::sync::watch;
use tokio_stream::Stream;
use tower::Service as _;

use super::{accept::Connection, http1};
use crate::{drain::Draining, telemetry::Metrics};

/// Serves metrics and probes until stopped.
pub(super) async fn serve(
    connections: impl Stream<Item = io::Result<Connection>>,
    metrics: Metrics,
    draining: Draining,
    stopped: watch::Receiver<bool>,
) {
    let router = Router::new()
        .route("/metrics", get(render_metrics).with_state(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(draining));
    let handle = move |request: Request<Body>| {
        // A router is always ready, and its handlers are infallible.
        let response = router.clone().call(request);
        async move { response.await.unwrap_or_else(|never| match never {}) }
    };
    http1::serve(connections, handle, stopped).await;
}

async fn render_metrics(State(metrics): State<Metrics>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(draining): State<Draining>) -> (StatusCode, &'static str) {
    draining.not_ready().map_or((StatusCode::OK, "ok\n"), |why| (StatusCode::SERVICE_UNAVAILABLE, why))
}
