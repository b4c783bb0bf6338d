//! HTTP/1.1 without TLS for vendor callbacks and the admin endpoints, with limits on slow and idle peers.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{sync::watch, time::sleep};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::task::TaskTracker;

use super::{accept::Connection, wait_until_set};

/// Longest time between two requests. [`super::opening`] limits the time of a head.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long responses may be written after the last request ended.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Largest header section in bytes, and most header fields.
const MAX_HEADER_SIZE: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Serves until `stopped` is set, then finishes the requests in flight. Connections without a request do not count.
pub(super) async fn serve<F>(
    connections: impl Stream<Item = io::Result<Connection>>,
    handle: impl Fn(Request<Body>) -> F + Clone + Send + 'static,
    stopped: watch::Receiver<bool>,
) where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (tasks, requests) = (TaskTracker::new(), TaskTracker::new());
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
            tasks.spawn(serve_connection(connection, handle.clone(), requests.clone(), stopped.clone()));
        }
    }
    tasks.close();
    requests.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = async {
            requests.wait().await;
            sleep(FLUSH_TIMEOUT).await;
        } => {}
    }
}

/// Serves the requests of one connection.
async fn serve_connection<F>(
    connection: Connection,
    handle: impl Fn(Request<Body>) -> F,
    requests: TaskTracker,
    stopped: watch::Receiver<bool>,
) where
    F: Future<Output = Response<Body>>,
{
    let in_request = connection.in_request();
    let service = service_fn(move |request: Request<Incoming>| {
        in_request.set(true);
        let (in_request, token) = (in_request.clone(), requests.token());
        let response = handle(request.map(Body::new));
        async move {
            let response = response.await;
            in_request.set(false);
            drop(token);
            Ok::<_, Infallible>(response)
        }
    });
    let mut http_connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            // A peer that closes its direction still receives its response (RFC 9112, 9.6), and a request that arrived
            // whole is handled even if the peer left.
            .half_close(true)
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

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::{Instant, pause, timeout},
    };

    use super::{
        super::{accept, admission::Limits, opening::Protocol},
        *,
    };

    #[tokio::test]
    async fn a_peer_that_reads_no_response_delays_the_end_for_half_a_second() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { connections: 8, per_address: 8 };
        let (stop, stopped) = watch::channel(false);
        let handle = async |_| {
            let chunks = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 * 1024])));
            Response::new(Body::from_stream(chunks))
        };
        let server = tokio::spawn(serve(accept::connections(listener, limits, Protocol::Http1), handle, stopped));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.read_u8().await.unwrap();

        pause();
        let start = Instant::now();
        stop.send_replace(true);
        timeout(Duration::from_secs(3600), server).await.expect("the server ends").unwrap();
        let after = start.elapsed();
        // The runtime's timers have a resolution of a millisecond.
        assert!((FLUSH_TIMEOUT..=FLUSH_TIMEOUT + Duration::from_millis(2)).contains(&after), "{after:?}");
        assert_eq!(FLUSH_TIMEOUT, Duration::from_millis(500));
    }
}
