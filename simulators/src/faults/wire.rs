//! A listener whose connections can be cut from inside a handler.
//!
//! HTTP servers give a handler no way to end its connection without an answer. Here every connection shares a switch
//! with its requests: once it is thrown, the next write fails, the server gives the connection up, and the socket is
//! closed with a reset (`SO_LINGER` of zero), as a crashed process or a firewall does it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::connect_info::{ConnectInfo, Connected, IntoMakeServiceWithConnectInfo},
    http::Extensions,
    middleware::AddExtension,
    serve::{IncomingStream, Serve},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// A simulator being served; it runs when awaited.
pub type Serving =
    Serve<Cuttable, IntoMakeServiceWithConnectInfo<Router, Wire>, AddExtension<Router, ConnectInfo<Wire>>>;

/// Serves a simulator's router on a listener whose connections can be cut.
///
/// On any other listener a fault that resets the connection falls back to a body that ends too early.
pub fn serve(listener: TcpListener, router: Router) -> Serving {
    axum::serve(Cuttable(listener), router.into_make_service_with_connect_info())
}

/// A TCP listener whose connections can be cut.
#[derive(Debug)]
pub struct Cuttable(TcpListener);

/// The switch of one connection.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<AtomicBool>);

/// A connection that can be cut.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    wire: Wire,
}

// === impl Cuttable ===

impl axum::serve::Listener for Cuttable {
    type Io = Connection;
    type Addr = Wire;

    async fn accept(&mut self) -> (Connection, Wire) {
        let (stream, _) = axum::serve::Listener::accept(&mut self.0).await;
        // A pause between bytes must be one on the wire, too. A connection that is gone shows on its first read.
        let _ = stream.set_nodelay(true);
        let wire = Wire::default();
        (Connection { stream, wire: wire.clone() }, wire)
    }

    fn local_addr(&self) -> io::Result<Wire> {
        self.0.local_addr().map(|_| Wire::default())
    }
}

// === impl Wire ===

impl Wire {
    /// The switch of the connection on which a request came, if it has one.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get::<ConnectInfo<Self>>().map(|ConnectInfo(wire)| wire.clone())
    }

    /// Ends the connection with its next write.
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Cuttable>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Cuttable>) -> Self {
        stream.remote_addr().clone()
    }
}

// === impl Connection ===

impl Drop for Connection {
    fn drop(&mut self) {
        if self.wire.check().is_err() {
            // What is closed without lingering is reset. If the system refuses, it is closed the gentle way.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
