//! A listener whose connections a handler can reset.
//!
//! HTTP servers give a handler no way to end its connection without a response. Here every connection shares a
//! [`ResetHandle`] with its requests. After [`ResetHandle::reset`] the next write fails, the server drops the
//! connection, and the socket is closed with a reset (`SO_LINGER` of zero), as by a crashed process or a firewall.

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

/// A simulator's server; it runs when it is awaited.
pub type Serving = Serve<
    ResettableListener,
    IntoMakeServiceWithConnectInfo<Router, ResetHandle>,
    AddExtension<Router, ConnectInfo<ResetHandle>>,
>;

/// A TCP listener whose connections can be reset.
#[derive(Debug)]
pub struct ResettableListener(TcpListener);

/// Resets one connection. Clones reset the same connection.
#[derive(Clone, Debug, Default)]
pub struct ResetHandle(Arc<AtomicBool>);

/// A connection that can be reset.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    reset_handle: ResetHandle,
}

// === impl ResettableListener ===

impl axum::serve::Listener for ResettableListener {
    type Io = Connection;
    type Addr = ResetHandle;

    async fn accept(&mut self) -> (Connection, ResetHandle) {
        let (stream, _) = axum::serve::Listener::accept(&mut self.0).await;
        // A pause between bytes must reach the network. A connection that is gone fails on its first read.
        let _ = stream.set_nodelay(true);
        let reset_handle = ResetHandle::default();
        (Connection { stream, reset_handle: reset_handle.clone() }, reset_handle)
    }

    fn local_addr(&self) -> io::Result<ResetHandle> {
        self.0.local_addr().map(|_| ResetHandle::default())
    }
}

// === impl ResetHandle ===

impl ResetHandle {
    /// The handle of a request's connection, if the listener gave it one.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get::<ConnectInfo<Self>>().map(|ConnectInfo(handle)| handle.clone())
    }

    /// Resets the connection on its next write.
    pub(super) fn reset(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, ResettableListener>> for ResetHandle {
    fn connect_info(stream: IncomingStream<'_, ResettableListener>) -> Self {
        stream.remote_addr().clone()
    }
}

// === impl Connection ===

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset_handle.check().is_err() {
            // With zero linger, closing resets. If the system refuses, the connection closes in order.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.reset_handle.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.reset_handle.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reset_handle.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reset_handle.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Serves a simulator's router on a listener whose connections can be reset.
///
/// On any other listener a fault that resets the connection becomes a body that ends too early.
pub fn serve(listener: TcpListener, router: Router) -> Serving {
    axum::serve(ResettableListener(listener), router.into_make_service_with_connect_info())
}
