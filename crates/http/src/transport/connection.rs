//! Connections of clients: how much they may send, and when they end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::web::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::memory::{Budget, Reserved};
use crate::transport::exchange::{Exchange, Phase};
use crate::transport::refusals::{HeadStart, Refusals};
use crate::transport::stop::{IDLE_GRACE, Stop};

/// How long to read and discard what a client still sends after the last answer on its connection.
///
/// If the connection were closed at once, TCP would reset it, and the client might not read the answer.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// The bytes of a head that every connection may hold; more of them come out of a budget that all connections share. It is
/// the size of the buffer that actix-http makes for each connection.
pub(crate) const FREE_HEAD_BYTES: usize = 8192;

/// The bytes of a body that are read before they are processed. Without a bound, actix-http's buffer grows to 128 KiB.
const BODY_BURST: usize = 16_384;

/// Bytes in both directions, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What holds for every connection.
#[derive(Clone)]
pub(crate) struct Rules {
    /// The longest time between two responses.
    pub(crate) answer_timeout: Duration,
    /// The most bytes of a head.
    pub(crate) max_head: usize,
    /// The memory for what requests send beyond a small part of each.
    pub(crate) memory: Budget,
    /// What is answered to a head that is not read to its end.
    pub(crate) refusals: Rc<Refusals>,
    /// Whether the service is stopping.
    pub(crate) stop: Arc<Stop>,
}

/// A stream that bounds what actix-http reads from it, and that ends in time.
///
/// actix-web has a timeout for the head of the first request and for idle connections, and this crate adds one for
/// bodies. None covers the head of a later request: without the timeout here, a client that sends half of one would
/// hold its connection for ever. Whatever a client does, a response is written within the sum of all timeouts of a
/// request, or there is none to write.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    exchange: Rc<Exchange>,
    rules: Rules,
    intake: Intake,
    /// When a write was last tried, or the connection was made.
    last_write: Instant,
    /// Whether the client takes no data now; the system limits for how long (`write_timeout` of the listener).
    is_blocked: bool,
    timer: Pin<Box<Sleep>>,
    /// Ready when the service is stopping. `None` once it was.
    stopping: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// When this connection learnt that the service is stopping.
    stopped: Option<Instant>,
    /// Whether to read again as soon as the current request is answered.
    is_held: bool,
    /// Whether the last answer is written.
    is_over: bool,
    end: Option<End>,
}

/// What was read and not processed yet, as far as the connection knows.
#[derive(Default)]
struct Intake {
    /// The number of the head that is being read.
    request: u64,
    /// Bytes of it, or bytes that were sent after a request that is being answered.
    bytes: usize,
    /// Whether bytes were sent after the previous request, before it was answered: they may begin this head.
    was_ahead: bool,
    /// Bytes of a body since the last time that none were waiting.
    burst: usize,
    /// Whether what was read up to the current bound has been shown to actix-http, and completes no head.
    was_shown: bool,
    start: HeadStart,
    /// The memory for more than [`FREE_HEAD_BYTES`], kept for all later requests, as actix-http keeps its buffer.
    reserved: Option<Reserved>,
}

/// How much may be read now.
enum Room {
    /// So many bytes.
    Bytes(usize),
    /// None until actix-http has seen what was read.
    LookFirst,
    /// None until the current request is answered.
    AnswerFirst,
    /// None at all: the head is refused.
    Refused(Bytes),
}

/// The last part of a connection's life.
struct End {
    /// What is still to be written.
    answer: Bytes,
    is_shut_down: bool,
}

impl Connection {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, rules: Rules) -> Self {
        let last_write = Instant::now();
        Self {
            stream: Box::new(stream),
            exchange: Rc::new(Exchange::new(Arc::clone(&rules.stop))),
            intake: Intake::default(),
            last_write,
            is_blocked: false,
            timer: Box::pin(sleep_until(last_write + rules.answer_timeout)),
            rules,
            stopping: None,
            stopped: None,
            is_held: false,
            is_over: false,
            end: None,
        }
    }

    /// What the requests on this connection share with it.
    pub(crate) fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    /// Ready once nothing was written for too long, or the connection is idle and the service is stopping.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let end = self.deadline();
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }

    fn deadline(&self) -> Instant {
        match self.stopped {
            Some(stopped) if self.is_idle() => stopped.max(self.last_write) + IDLE_GRACE,
            _ if self.is_blocked => Instant::now() + self.rules.answer_timeout,
            _ => {
                self.exchange.went_on().map_or(self.last_write, |at| at.max(self.last_write))
                    + self.rules.answer_timeout
            }
        }
    }

    /// Whether no request has begun since the last answer.
    fn is_idle(&self) -> bool {
        let has_begun = self.intake.bytes > 0 && self.intake.request == self.exchange.requests();
        self.exchange.phase() == Phase::Head && !has_begun && !self.intake.was_ahead
    }

    /// Learns whether the service is stopping, and is woken up when that begins.
    fn notice_stop(&mut self, context: &mut Context<'_>) {
        if self.stopped.is_some() {
            return;
        }
        if self.exchange.is_stopping() {
            self.stopped = Some(Instant::now());
            self.stopping = None;
            // The timer may be set for later.
            let end = self.deadline();
            self.timer.as_mut().reset(end);
        } else if self.stopping.is_none() {
            // Polled once: it keeps the waker of the task, of which a connection has one all its life.
            let stopping = self.stopping.insert(Box::pin(Arc::clone(&self.rules.stop).closing()));
            if stopping.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
    }

    fn room(&mut self) -> Room {
        let max = self.rules.max_head;
        match self.exchange.phase() {
            Phase::Head => {
                self.intake.begin_head(self.exchange.requests());
                self.room_of_head(max)
            }
            Phase::Body if self.intake.burst >= BODY_BURST => Room::LookFirst,
            Phase::Body => Room::Bytes(usize::MAX),
            Phase::Answer => match self.intake.bound(max) - self.intake.bytes {
                0 => Room::AnswerFirst,
                rest => Room::Bytes(rest),
            },
        }
    }

    fn room_of_head(&mut self, max: usize) -> Room {
        let bound = self.intake.bound(max);
        if self.intake.bytes < bound {
            return Room::Bytes(bound - self.intake.bytes);
        }
        if !self.intake.was_shown {
            self.intake.was_shown = true;
            return Room::LookFirst;
        }
        if self.is_blocked {
            // The refusal must not come between the parts of the previous answer.
            return Room::AnswerFirst;
        }
        if bound == max {
            return Room::Refused(self.rules.refusals.head_too_large(&self.intake.start));
        }
        self.intake.reserved = self.rules.memory.reserve(max - bound);
        match &self.intake.reserved {
            Some(_) => Room::Bytes(max - bound),
            None => Room::Refused(self.rules.refusals.no_memory(&self.intake.start)),
        }
    }

    /// Reads what there is room for.
    fn poll_room(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let phase = self.exchange.phase();
        match self.room() {
            Room::Bytes(most) => {
                let before = buffer.filled().len();
                let read = self.poll_some(context, buffer, most);
                match read {
                    Poll::Ready(Ok(())) => self.intake.note(phase, &buffer.filled()[before..]),
                    _ => self.intake.burst = 0,
                }
                read
            }
            Room::LookFirst => {
                self.intake.burst = 0;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Room::AnswerFirst => {
                self.is_held = true;
                Poll::Pending
            }
            Room::Refused(answer) => {
                self.begin_end(answer);
                self.poll_end(context).map(|()| Err(io::ErrorKind::ConnectionAborted.into()))
            }
        }
    }

    /// Reads at most `most` bytes.
    fn poll_some(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>, most: usize) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.stream);
        if buffer.remaining() <= most {
            return stream.poll_read(context, buffer);
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(stream.poll_read(context, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }

    /// Begins the end of the connection with a last `answer`, perhaps an empty one, unless it has begun.
    fn begin_end(&mut self, answer: Bytes) {
        if self.end.is_none() {
            self.end = Some(End { answer, is_shut_down: false });
            self.timer.as_mut().reset(Instant::now() + LINGER);
        }
    }

    /// Writes the last answer, closes this side, and reads until the client has closed the other or [`LINGER`] is over.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        // Any failure means that the client is gone.
        self.poll_last(context).map(drop)
    }

    fn poll_last(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(end) = &mut self.end else { return Poll::Ready(Ok(())) };
        let mut stream = Pin::new(&mut self.stream);
        while !end.answer.is_empty() {
            let written = ready!(stream.as_mut().poll_write(context, &end.answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            end.answer.advance(written);
        }
        if !end.is_shut_down {
            ready!(stream.as_mut().poll_shutdown(context))?;
            end.is_shut_down = true;
        }
        let mut discarded = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut discarded);
            ready!(stream.as_mut().poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Intake {
    /// Counts anew if a request has been read since the last call.
    fn begin_head(&mut self, request: u64) {
        if self.request != request {
            *self = Self { request, was_ahead: self.was_ahead, reserved: self.reserved.take(), ..Self::default() };
        }
    }

    /// The most bytes that may be read with the memory that this connection has.
    fn bound(&self, max: usize) -> usize {
        if self.reserved.is_some() { max } else { max.min(FREE_HEAD_BYTES) }
    }

    fn note(&mut self, phase: Phase, read: &[u8]) {
        match phase {
            Phase::Head => {
                self.start.note(self.bytes, read);
                self.bytes += read.len();
                self.was_shown = false;
                self.was_ahead = false;
            }
            Phase::Body => self.burst += read.len(),
            Phase::Answer => {
                self.bytes += read.len();
                self.was_ahead |= !read.is_empty();
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.notice_stop(context);
        if self.is_over {
            self.begin_end(Bytes::new());
        }
        if self.end.is_some() {
            return self.poll_end(context).map(|()| Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let is_late = self.poll_timeout(context).is_ready();
        if is_late && !self.is_idle() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let read = self.poll_room(context, buffer);
        // The end of the stream, as if the client had closed it.
        if is_late && read.is_pending() { Poll::Ready(Ok(())) } else { read }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.is_blocked = written.is_pending();
        self.last_write = Instant::now();
        written
    }

    /// actix-http flushes when it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.exchange.phase() == Phase::Head && !self.is_over {
            self.is_over = self.exchange.is_last();
            // actix-http is not woken up by what has arrived meanwhile.
            if std::mem::take(&mut self.is_held) || self.is_over {
                context.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_over {
            return Pin::new(&mut self.stream).poll_shutdown(context);
        }
        self.begin_end(Bytes::new());
        self.poll_end(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    use actix_web::rt;
    use futures_util::FutureExt as _;

    /// A connection, its client, and what stops both.
    fn connect() -> (Connection, TcpStream, Arc<Stop>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let (accepted, _) = listener.accept().expect("a connection");
        accepted.set_nonblocking(true).expect("a socket");
        let stop = Arc::new(Stop::default());
        let rules = Rules {
            answer_timeout: Duration::from_mins(1),
            max_head: 16_384,
            memory: Budget::new(0),
            refusals: Rc::new(Refusals::new(std::iter::empty())),
            stop: Arc::clone(&stop),
        };
        (Connection::new(tokio::net::TcpStream::from_std(accepted).expect("a socket"), rules), client, stop)
    }

    /// Reads once; returns the number of bytes.
    async fn read(connection: &mut Connection) -> io::Result<usize> {
        poll_fn(|context| {
            let mut bytes = [0; 8192];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *connection).poll_read(context, &mut buffer));
            Poll::Ready(read.map(|()| buffer.filled().len()))
        })
        .await
    }

    /// What a request without a body does to its connection.
    async fn answer(connection: &mut Connection) {
        let exchange = Rc::clone(connection.exchange());
        exchange.head_received();
        exchange.body_received();
        exchange.answered();
        poll_fn(|context| Pin::new(&mut *connection).poll_flush(context)).await.expect("a socket");
    }

    #[test]
    fn an_idle_connection_ends_when_the_service_stops_whether_it_was_used_or_not() {
        rt::System::new().block_on(async {
            for is_used in [false, true] {
                let (mut connection, mut client, stop) = connect();
                if is_used {
                    client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a socket");
                    assert!(read(&mut connection).await.is_ok_and(|bytes| bytes > 0));
                    answer(&mut connection).await;
                }
                assert!(read(&mut connection).now_or_never().is_none());
                stop.close();
                assert_eq!(read(&mut connection).await.ok(), Some(0), "{is_used}");
            }
        });
    }

    #[test]
    fn a_connection_with_half_a_head_outlives_idle_ones_when_the_service_stops() {
        rt::System::new().block_on(async {
            let (mut connection, mut client, stop) = connect();
            client.write_all(b"GET / HTTP/1.1\r\n").expect("a socket");
            assert!(read(&mut connection).await.is_ok_and(|bytes| bytes > 0));
            stop.close();
            let (mut idle, _client, _) = connect();
            idle.rules.stop.close();
            assert_eq!(read(&mut idle).await.ok(), Some(0));
            assert!(read(&mut connection).now_or_never().is_none());
            client.write_all(b"\r\n").expect("a socket");
            assert_eq!(read(&mut connection).await.ok(), Some(2));
        });
    }

    #[test]
    fn no_more_than_one_head_is_read_ahead_of_the_request_that_is_answered() {
        rt::System::new().block_on(async {
            let (mut connection, mut client, _) = connect();
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a socket");
            let head = read(&mut connection).await.expect("a head");
            connection.exchange().head_received();
            connection.exchange().body_received();
            client.write_all(&[b'x'; 16_000]).expect("a socket");
            let mut ahead = 0;
            while head + ahead < FREE_HEAD_BYTES {
                ahead += read(&mut connection).await.expect("a part of the next head");
            }
            assert_eq!(head + ahead, FREE_HEAD_BYTES);
            assert!(read(&mut connection).now_or_never().is_none());
        });
    }
}
