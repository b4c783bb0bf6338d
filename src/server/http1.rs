//! Plain HTTP/1.1 for vendors' callbacks and for operators, with bounds on slow and silent peers.

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

use super::{accept::Connection, signal};

/// Longest that the head of a request may take; between requests this is how long a connection may be idle.
const SLOWEST_HEAD: Duration = Duration::from_secs(30);
/// Most bytes of a request's head, and most headers.
const LARGEST_HEAD: usize = 16 * 1024;
const HEADERS: usize = 64;

/// Serves until stopped, then until the requests under way are answered.
pub async fn serve<F>(
    connections: impl Stream<Item = io::Result<Connection>>,
    answer: impl Fn(Request<Body>) -> F + Clone + Send + 'static,
    stopped: watch::Receiver<bool>,
) where
    F: Future<Output = Response<Body>> + Send + 'static,
{
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
            tasks.spawn(serve_connection(connection, answer.clone(), stopped.clone()));
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Answers the requests of one connection.
async fn serve_connection<F>(
    connection: Connection,
    answer: impl Fn(Request<Body>) -> F,
    stopped: watch::Receiver<bool>,
) where
    F: Future<Output = Response<Body>>,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SLOWEST_HEAD)
            .max_buf_size(LARGEST_HEAD)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(connection), service)
    );
    tokio::select! {
        // A peer that breaks off is no news.
        _ = served.as_mut() => return,
        () = signal(stopped) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}
