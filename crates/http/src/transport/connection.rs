//! Connections of clients, which end if no response is written for too long.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes in both directions, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// A stream that fails if the service writes nothing to it for too long, although the client takes what is written.
///
/// actix-web has a timeout for the head of the first request and for idle connections, and this crate adds one for
/// bodies. None covers the head of a later request: without the timeout here, a client that sends half of one would
/// hold its connection for ever. Whatever a client does, a response is written within the sum of all timeouts of a
/// request, or there is none to write.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// The longest time between two responses.
    timeout: Duration,
    /// When a write was last tried, or the connection was made.
    last_write: Instant,
    /// Whether the client takes no data now; the system limits for how long (`write_timeout` of the listener).
    is_blocked: bool,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, timeout: Duration) -> Self {
        let last_write = Instant::now();
        let timer = Box::pin(sleep_until(last_write + timeout));
        Self { stream: Box::new(stream), timeout, last_write, is_blocked: false, timer }
    }

    /// Ready once the timeout has passed since the last write.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let end = if self.is_blocked { now } else { self.last_write } + self.timeout;
            if end <= now {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let timeout = self.poll_timeout(context);
        if timeout.is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.is_blocked = written.is_pending();
        self.last_write = Instant::now();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
