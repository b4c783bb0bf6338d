//! Accepting connections, with limits on their number and on the time to the first byte.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Longest time to a client's first byte. In HTTP/2 the client sends first.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// Backoff after a failed accept. The most frequent cause is a lack of file descriptors, and accepting again
/// immediately would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// An accepted connection. It holds its permit until it is dropped.
pub(super) struct Connection {
    stream: TcpStream,
    first_byte_timeout: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

/// A stream of accepted connections. While `max_connections` are open, the next one waits in the system's accept queue.
pub(super) fn connections(listener: TcpListener, max_connections: usize) -> ReceiverStream<io::Result<Connection>> {
    let permits = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = accept(&listener, permits, &sender) => {}
            // The receiver was dropped.
            () = sender.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept(listener: &TcpListener, permits: Arc<Semaphore>, sender: &mpsc::Sender<io::Result<Connection>>) {
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let (stream, _) = accept_with_backoff(|| listener.accept()).await;
        // Without it small responses wait for acknowledgements. An error is ignored: the first read reports it.
        let _ = stream.set_nodelay(true);
        let connection =
            Connection { stream, first_byte_timeout: Some(Box::pin(sleep(FIRST_BYTE_TIMEOUT))), _permit: permit };
        if sender.send(Ok(connection)).await.is_err() {
            return;
        }
    }
}

/// Accepts until it succeeds, with a backoff after each failure.
async fn accept_with_backoff<T, F: Future<Output = io::Result<T>>>(mut accept: impl FnMut() -> F) -> T {
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(kind = %error.kind(), "accepting a connection failed");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

// === impl Connection ===

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                this.first_byte_timeout = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                if let Some(first_byte_timeout) = &mut this.first_byte_timeout {
                    ready!(first_byte_timeout.as_mut().poll(cx));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_stream::StreamExt as _;

    use super::*;

    async fn pair(
        max_connections: usize,
    ) -> (TcpStream, Connection, ReceiverStream<io::Result<Connection>>, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = connections(listener, max_connections);
        let client = TcpStream::connect(address).await.unwrap();
        let connection = connections.next().await.unwrap().unwrap();
        (client, connection, connections, address)
    }

    #[tokio::test]
    async fn a_connection_without_a_first_byte_times_out() {
        let (_client, mut connection, _connections, _) = pair(8).await;
        tokio::time::pause();
        let paused = tokio::time::Instant::now();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // It was accepted a moment before.
        assert!(
            paused.elapsed() <= FIRST_BYTE_TIMEOUT + Duration::from_millis(1)
                && paused.elapsed() > FIRST_BYTE_TIMEOUT / 2
        );
    }

    #[tokio::test(start_paused = true)]
    async fn accept_backs_off_when_file_descriptors_are_exhausted() {
        const EMFILE: i32 = 24;
        let start = tokio::time::Instant::now();
        let mut failures = 50;
        let accept = || {
            failures -= 1;
            ready(if failures > 0 { Err(io::Error::from_raw_os_error(EMFILE)) } else { Ok(()) })
        };
        accept_with_backoff(accept).await;
        assert_eq!(start.elapsed(), ACCEPT_BACKOFF * 49);
    }

    #[tokio::test]
    async fn one_byte_stops_the_first_byte_timeout() {
        let (mut client, mut connection, _connections, _) = pair(8).await;
        client.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
        tokio::time::pause();
        let silent = tokio::time::timeout(FIRST_BYTE_TIMEOUT * 3, connection.read_u8()).await;
        assert!(silent.is_err(), "the connection ended");
    }

    #[tokio::test]
    async fn the_next_connection_waits_for_a_permit() {
        let (_client, connection, mut connections, address) = pair(1).await;
        let _second = TcpStream::connect(address).await.unwrap();
        // A peer that is accepted at once could be so before this: the accepting task has had its turns until it waits.
        tokio::time::pause();
        let waits = tokio::time::timeout(Duration::from_secs(60), connections.next()).await.is_err();
        assert!(waits, "there is no slot");
        drop(connection);
        assert!(connections.next().await.is_some());
    }

    #[tokio::test]
    async fn what_is_written_arrives_and_what_is_shut_down_ends() {
        let (mut client, mut connection, _connections, _) = pair(8).await;
        connection.write_all(b"one ").await.unwrap();
        let parts = [io::IoSlice::new(b"and "), io::IoSlice::new(b"another")];
        let mut written = connection.write_vectored(&parts).await.unwrap();
        assert!(connection.is_write_vectored() && written > 4, "both parts at once");
        while written < 11 {
            written += connection.write(&b"and another"[written..]).await.unwrap();
        }
        connection.shutdown().await.unwrap();
        let mut read = String::new();
        client.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "one and another");
        // It can be read from yet.
        client.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
    }
}
