//! Accepting connections: the admission that all listeners share.
//!
//! It limits how many connections a listener and one address of it have, and how long a peer may take to open one.

use std::{
    borrow::Cow,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::{
    admission::{Admission, Admitted, Limits},
    opening::{InRequest, Opening, Protocol},
};

/// Backoff after a failed accept. The most frequent cause is a lack of file descriptors, and accepting again
/// immediately would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Shortest time between two lines about the same condition.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// An accepted connection. It holds its place until it is dropped.
pub(super) struct Connection {
    stream: TcpStream,
    opening: Opening,
}

/// Logs a condition at most once per [`LOG_INTERVAL`].
#[derive(Debug, Default)]
struct LogLimit {
    last: Option<Instant>,
    suppressed: u64,
}

/// A stream of accepted connections.
pub(super) fn connections(
    listener: TcpListener,
    limits: Limits,
    protocol: Protocol,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = accept(&listener, limits, protocol, &sender) => {}
            // The receiver was dropped.
            () = sender.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept(
    listener: &TcpListener,
    limits: Limits,
    protocol: Protocol,
    sender: &mpsc::Sender<io::Result<Connection>>,
) {
    let admission = Admission::new(limits);
    let (mut failures, mut refusals, mut closures) = (LogLimit::default(), LogLimit::default(), LogLimit::default());
    loop {
        let (stream, peer) = accept_with_backoff(&mut failures, || listener.accept()).await;
        let Admitted::Place { place, closed } = admission.admit(peer.ip()).await else {
            refusals.log(|suppressed| {
                let per_address = limits.per_address;
                tracing::warn!(
                    per_address,
                    suppressed,
                    "closed a connection: its address has the most connections that one address may have"
                );
            });
            continue;
        };
        if closed {
            closures.log(|suppressed| {
                let Limits { connections, per_address } = limits;
                tracing::warn!(
                    connections,
                    per_address,
                    suppressed,
                    "closed an idle connection for a new one: the listener or an address has the most connections"
                );
            });
        }
        // Without it small responses wait for acknowledgements. An error is ignored: the first read reports it.
        let _ = stream.set_nodelay(true);
        let opening = Opening::new(protocol, place);
        if sender.send(Ok(Connection { stream, opening })).await.is_err() {
            return;
        }
    }
}

/// Accepts until it succeeds, with a backoff after each failure.
async fn accept_with_backoff<T, F: Future<Output = io::Result<T>>>(
    failures: &mut LogLimit,
    mut accept: impl FnMut() -> F,
) -> T {
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                failures.log(|suppressed| {
                    tracing::warn!(cause = %cause(&error), suppressed, "accepting a connection failed");
                });
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// The system's error. The standard library has no name for a lack of file descriptors.
fn cause(error: &io::Error) -> Cow<'static, str> {
    match error.raw_os_error() {
        Some(24) if cfg!(unix) => "EMFILE: the process has no free file descriptor; raise its limit".into(),
        Some(23) if cfg!(unix) => "ENFILE: the system has no free file descriptor".into(),
        _ => error.kind().to_string().into(),
    }
}

// === impl Connection ===

impl Connection {
    /// Set by the server of an HTTP/1.1 connection.
    pub(super) fn in_request(&self) -> InRequest {
        self.opening.in_request()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.opening.is_closed() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                this.opening.received(&buf.filled()[before..]);
                // Another connection may have taken the place during the read: nothing of this one is served.
                if this.opening.is_closed() {
                    buf.set_filled(before);
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(this.opening.poll_expired(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.opening.flushed();
        Poll::Ready(flushed)
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

// === impl LogLimit ===

impl LogLimit {
    /// Logs, with the number of lines that were suppressed since the last one.
    fn log(&mut self, log: impl FnOnce(u64)) {
        if self.last.is_some_and(|last| last.elapsed() < LOG_INTERVAL) {
            self.suppressed += 1;
            return;
        }
        self.last = Some(Instant::now());
        log(std::mem::take(&mut self.suppressed));
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_stream::StreamExt as _;

    use super::{super::opening::HANDSHAKE_TIMEOUT, *};

    async fn pair(
        connections: usize,
        per_address: usize,
    ) -> (TcpStream, Connection, ReceiverStream<io::Result<Connection>>, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = super::connections(listener, Limits { connections, per_address }, Protocol::Http2);
        let client = TcpStream::connect(address).await.unwrap();
        let connection = connections.next().await.unwrap().unwrap();
        (client, connection, connections, address)
    }

    /// Completes the handshake: the connection is not idle then.
    async fn open(client: &mut TcpStream, connection: &mut Connection) {
        let opened = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
        client.write_all(&opened).await.unwrap();
        connection.read_exact(&mut vec![0; opened.len()]).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_without_a_first_byte_times_out() {
        let (_client, mut connection, _connections, _) = pair(8, 8).await;
        tokio::time::pause();
        let paused = tokio::time::Instant::now();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // It was accepted a moment before.
        assert!(
            paused.elapsed() <= HANDSHAKE_TIMEOUT + Duration::from_millis(1)
                && paused.elapsed() > HANDSHAKE_TIMEOUT / 2
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
        let mut failures = LogLimit::default();
        accept_with_backoff(&mut failures, accept).await;
        assert_eq!(start.elapsed(), ACCEPT_BACKOFF * 49);
        // 4.9 s: a line at once and one a second, each with the number of those before it.
        assert_eq!(failures.suppressed, 8);
        assert!(cause(&io::Error::from_raw_os_error(EMFILE)).starts_with("EMFILE"));
        assert!(cause(&io::Error::from_raw_os_error(23)).starts_with("ENFILE"));
    }

    #[tokio::test]
    async fn a_preface_and_settings_stop_the_handshake_timeout_and_one_byte_does_not() {
        let (mut client, mut connection, _connections, _) = pair(8, 8).await;
        client.write_u8(b'P').await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), b'P');
        tokio::time::pause();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        tokio::time::resume();

        let (mut client, mut connection, _connections, _) = pair(8, 8).await;
        open(&mut client, &mut connection).await;
        tokio::time::pause();
        let silent = tokio::time::timeout(HANDSHAKE_TIMEOUT * 3, connection.read_u8()).await;
        assert!(silent.is_err(), "the connection ended");
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_gets_it_back() {
        let (mut client, mut connection, mut connections, address) = pair(8, 1).await;
        open(&mut client, &mut connection).await;
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert!(!matches!(refused.read(&mut [0]).await, Ok(1..)), "it is closed");
        drop(connection);
        let _third = TcpStream::connect(address).await.unwrap();
        assert!(connections.next().await.is_some());
        // Another address has a share of its own.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let _other = socket.connect(address).await.unwrap();
        assert!(connections.next().await.is_some());
    }

    #[tokio::test]
    async fn the_next_connection_waits_for_a_permit() {
        // One peer with two places, so that the listener's limit applies and not the one of the address.
        let (mut client, mut connection, mut connections, address) = pair(1, 2).await;
        open(&mut client, &mut connection).await;
        let _second = TcpStream::connect(address).await.unwrap();
        // The paused clock advances only after the accepting task waits for a permit.
        tokio::time::pause();
        let waits = tokio::time::timeout(Duration::from_secs(60), connections.next()).await.is_err();
        assert!(waits, "there is no slot");
        drop(connection);
        assert!(connections.next().await.is_some());
    }

    #[tokio::test]
    async fn what_is_written_arrives_and_what_is_shut_down_ends() {
        let (mut client, mut connection, _connections, _) = pair(8, 8).await;
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
        // The other direction is still open.
        client.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
    }
}
