//! Accepting connections: no more than configured, and none that stays silent.

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

/// A client speaks first in HTTP/2: one that says nothing for this long holds a slot for nothing.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection, most often for want of file descriptors: accepting at once again would
/// spin on a core.
const PAUSE: Duration = Duration::from_millis(100);

/// One accepted connection, which holds its slot.
pub struct Connection {
    stream: TcpStream,
    silence: Option<Pin<Box<Sleep>>>,
    _slot: OwnedSemaphorePermit,
}

/// Connections as they come. Past `most` at once the next one waits in the system's queue until another ends.
pub fn connections(listener: TcpListener, most: usize) -> ReceiverStream<io::Result<Connection>> {
    let slots = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = accept(&listener, slots, &sender) => {}
            // Nobody takes connections any more.
            () = sender.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept(listener: &TcpListener, slots: Arc<Semaphore>, sender: &mpsc::Sender<io::Result<Connection>>) {
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let (stream, _) = accept_with_backoff(|| listener.accept()).await;
        // Small answers must not wait for each other; a peer that is gone already shows on the first read.
        let _ = stream.set_nodelay(true);
        let connection = Connection { stream, silence: Some(Box::pin(sleep(FIRST_BYTE))), _slot: slot };
        if sender.send(Ok(connection)).await.is_err() {
            return;
        }
    }
}

/// Tries until it succeeds, with a pause after each failure.
async fn accept_with_backoff<T, F: Future<Output = io::Result<T>>>(mut accept: impl FnMut() -> F) -> T {
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(kind = %error.kind(), "a connection could not be accepted");
                sleep(PAUSE).await;
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
                this.silence = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                if let Some(silence) = &mut this.silence {
                    ready!(silence.as_mut().poll(cx));
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
        most: usize,
    ) -> (TcpStream, Connection, ReceiverStream<io::Result<Connection>>, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = connections(listener, most);
        let client = TcpStream::connect(address).await.unwrap();
        let connection = connections.next().await.unwrap().unwrap();
        (client, connection, connections, address)
    }

    #[tokio::test]
    async fn a_silent_connection_ends() {
        let (_client, mut connection, _connections, _) = pair(8).await;
        tokio::time::pause();
        let paused = tokio::time::Instant::now();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // It was accepted a moment before.
        assert!(paused.elapsed() <= FIRST_BYTE + Duration::from_millis(1) && paused.elapsed() > FIRST_BYTE / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn want_of_file_descriptors_does_not_spin() {
        const EMFILE: i32 = 24;
        let begun = tokio::time::Instant::now();
        let mut failures = 50;
        let accept = || {
            failures -= 1;
            ready(if failures > 0 { Err(io::Error::from_raw_os_error(EMFILE)) } else { Ok(()) })
        };
        accept_with_backoff(accept).await;
        assert_eq!(begun.elapsed(), PAUSE * 49);
    }

    #[tokio::test]
    async fn one_byte_is_enough_to_stay() {
        let (mut client, mut connection, _connections, _) = pair(8).await;
        client.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
        tokio::time::pause();
        let silent = tokio::time::timeout(FIRST_BYTE * 3, connection.read_u8()).await;
        assert!(silent.is_err(), "the connection ended");
    }

    #[tokio::test]
    async fn the_next_one_waits_for_a_slot() {
        let (_client, connection, mut connections, address) = pair(1).await;
        let _second = TcpStream::connect(address).await.unwrap();
        // A peer that is accepted at once could be so before this: the accepting task has had its turns until it waits.
        tokio::time::pause();
        let waits = tokio::time::timeout(Duration::from_secs(60), connections.next()).await.is_err();
        assert!(waits, "there is no slot");
        drop(connection);
        assert!(connections.next().await.is_some());
    }
}
