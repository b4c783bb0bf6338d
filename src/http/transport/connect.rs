//! A connector with one timeout over everything that it does: name resolution, TCP and TLS.

use std::{
    error::Error,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use tokio::time::timeout;
use tower::Service;

/// A connector whose connections are established within a timeout.
#[derive(Debug, Clone)]
pub(super) struct ConnectWithTimeout<C> {
    inner: C,
    timeout: Duration,
}

// === impl ConnectWithTimeout ===

impl<C> ConnectWithTimeout<C> {
    /// Limits the time of each connection.
    pub(super) fn new(inner: C, timeout: Duration) -> Self {
        Self { inner, timeout }
    }
}

impl<C> Service<Uri> for ConnectWithTimeout<C>
where
    C: Service<Uri, Error = Box<dyn Error + Send + Sync>>,
    C::Response: Send,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.timeout, self.inner.call(uri));
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => connected,
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}
