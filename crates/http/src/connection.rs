//! A connection of a client, which is ended when it has been silent for too long.

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

/// A stream that fails once nothing was written to it for too long, although it took what was.
///
/// actix-web has a deadline for the head of the first request, for idle connections, and, with ours, for bodies. It has
/// none for the head of a later request: without another, whoever sends half of a second one is waited for for good.
/// Whatever a client does, an answer goes out within the sum of all that may come before, or else none is on its way.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// The longest that may pass between two answers.
    patience: Duration,
    /// When something was written last, or the connection was made.
    written: Instant,
    /// Whether the client takes nothing at the moment; how long it may is judged by the system.
    is_full: bool,
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, patience: Duration) -> Self {
        let written = Instant::now();
        let alarm = Box::pin(sleep_until(written + patience));
        Self { stream: Box::new(stream), patience, written, is_full: false, alarm }
    }

    /// Waits for the end of the patience, which moves with what is written.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let end = if self.is_full { now } else { self.written } + self.patience;
            if end <= now {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(end);
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
        let silence = self.poll_silence(context);
        if silence.is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.is_full = written.is_pending();
        self.written = Instant::now();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
