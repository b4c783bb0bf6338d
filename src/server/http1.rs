//! HTTP/1.1 without TLS for vendor callbacks and the admin endpoints, with limits on slow and idle peers.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::task::TaskTracker;

use super::{accept::Connection, wait_until_set};

/// Longest time to receive a request's header section. Between requests it is the connection's idle timeout.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest header section in bytes, and most header fields.
const MAX_HEADER_SIZE: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Serves until `stopped` is set, then finishes the requests in flight.
pub(super) async fn serve<F>(
    connections: impl Stream<Item = io::Result<Connection>>,
    handle: impl Fn(Request<Body>) -> F + Clone + Send + 'static,
    stopped: watch::Receiver<bool>,
) where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let tasks = TaskTracker::new();
    {
        // The listener closes before the drain. An open port without a server delays vendors; a closed port refuses
        // them immediately, so that they send to another gateway.
        let mut connections = std::pin::pin!(connections);
        loop {
            let connection = tokio::select! {
                connection = connections.next() => connection,
                () = wait_until_set(stopped.clone()) => break,
            };
            let Some(Ok(connection)) = connection else { break };
            tasks.spawn(serve_connection(connection, handle.clone(), stopped.clone()));
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Serves the requests of one connection.
async fn serve_connection<F>(
    connection: Connection,
    handle: impl Fn(Request<Body>) -> F,
    stopped: watch::Receiver<bool>,
) where
    F: Future<Output = Response<Body>>,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let response = handle(request.map(Body::new));
        async move { Ok::<_, Infallible>(response.await) }
    });
    let mut http_connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(MAX_HEADER_SIZE)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(connection), service)
    );
    tokio::select! {
        // The connection ended; the error of a disconnected peer is not logged.
        _ = http_connection.as_mut() => return,
        () = wait_until_set(stopped) => {}
    }
    http_connection.as_mut().graceful_shutdown();
    let _ = http_connection.await;
}
