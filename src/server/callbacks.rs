//! The address of vendor callbacks: plain HTTP/1.1, with bounds on slow and silent peers.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::task::TaskTracker;

use super::{accept::Connection, signal};
use crate::event::ingress::Ingress;

/// Longest that the head of a request may take; between requests this is how long a connection may be idle.
const SLOWEST_HEAD: Duration = Duration::from_secs(30);
/// Most bytes of a request's head, and most headers.
const LARGEST_HEAD: usize = 16 * 1024;
const HEADERS: usize = 64;

/// Serves until stopped, then until the requests under way are answered.
pub async fn serve(
    connections: impl Stream<Item = io::Result<Connection>>,
    ingress: Ingress,
    stopped: watch::Receiver<bool>,
) {
    let ingress = Arc::new(ingress);
    let tasks = TaskTracker::new();
    {
        // Gone before the rest is waited for: a port that stays open while nobody serves it would keep vendors waiting,
        // who else would be refused at once and go to another gateway.
        let mut connections = std::pin::pin!(connections);
        loop {
            let connection = tokio::select! {
                connection = connections.next() => connection,
                () = signal(stopped.clone()) => break,
            };
            let Some(Ok(connection)) = connection else { break };
            tasks.spawn(converse(connection, ingress.clone(), stopped.clone()));
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Answers the requests of one connection.
async fn converse(connection: Connection, ingress: Arc<Ingress>, stopped: watch::Receiver<bool>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let ingress = ingress.clone();
        async move { Ok::<_, Infallible>(ingress.handle(request.map(Body::new)).await) }
    });
    let mut conversation = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SLOWEST_HEAD)
            .max_buf_size(LARGEST_HEAD)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(connection), answer)
    );
    tokio::select! {
        // A peer that breaks off is no news.
        _ = conversation.as_mut() => return,
        () = signal(stopped) => {}
    }
    conversation.as_mut().graceful_shutdown();
    let _ = conversation.await;
}
