//! Standard error, behind a buffer: a line for each request is not a call of the system for each request.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes wait at most. Whoever logs more waits until there is room: no line is lost because a reader is slow.
const ROOM: usize = 1 << 20;

/// How long the thread that writes rests after each time, so that it writes many lines at once where there are many.
const REST: Duration = Duration::from_millis(10);

/// How long the last lines may take to be written when the program ends. A reader that hangs must not keep it.
const LAST: Duration = Duration::from_secs(1);

/// Where log lines go. Cloning it is cheap.
#[derive(Clone)]
pub struct LogBuffer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There is something to write, or it is time to end.
    filled: Condvar,
    /// There is room again.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    is_closed: bool,
}

/// Writes what is left when it is dropped. What is logged after that is lost.
pub struct LogGuard {
    buffer: LogBuffer,
    thread: Option<JoinHandle<()>>,
}

impl LogBuffer {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// If the system has no thread.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<(Self, LogGuard)> {
        let shared = Shared { state: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new() };
        let buffer = Self(Arc::new(shared));
        let written = buffer.clone();
        let thread = thread::Builder::new().name("log".to_owned()).spawn(move || written.0.write_to(out))?;
        Ok((buffer.clone(), LogGuard { buffer, thread: Some(thread) }))
    }
}

impl Shared {
    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        while state.lines.len() >= ROOM && !state.is_closed {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Writes what there is, again and again, until the end.
    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && !state.is_closed {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.lines, &mut lines);
            let is_closed = state.is_closed;
            drop(state);
            self.emptied.notify_all();
            // There is nobody to tell that the log cannot be written.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            if is_closed {
                return;
            }
            lines.clear();
            self.rest();
        }
    }

    /// Lets lines gather, unless it is time to end.
    fn rest(&self) {
        let state = self.lock();
        let _ = self.filled.wait_timeout_while(state, REST, |state| !state.is_closed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let shared = &self.buffer.0;
        shared.lock().is_closed = true;
        shared.filled.notify_all();
        shared.emptied.notify_all();
        let Some(thread) = self.thread.take() else { return };
        let pause = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while !thread.is_finished() && waited < LAST {
            thread::sleep(pause);
            waited += pause;
        }
    }
}

impl<'a> MakeWriter<'a> for LogBuffer {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Takes one line at a time, whole.
pub struct Line<'a>(&'a Shared);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Sends on whatever is written, each time after it was told to go on.
    struct Slow {
        written: mpsc::Sender<Vec<u8>>,
        go_on: mpsc::Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the test does not tell any more, it is not slow any more.
            let _ = self.go_on.recv();
            self.written.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (LogBuffer, LogGuard, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
        let (written, lines) = mpsc::channel();
        let (tell, go_on) = mpsc::channel();
        let (buffer, guard) = LogBuffer::start(Slow { written, go_on }).expect("a thread");
        (buffer, guard, tell, lines)
    }

    #[test]
    fn every_line_is_written_in_order_by_the_end() {
        let (buffer, guard, tell, written) = slow();
        drop(tell);
        let lines: Vec<String> = (0..10_000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            buffer.make_writer().write_all(line.as_bytes()).expect("it is taken");
        }
        drop(guard);
        let writes: Vec<Vec<u8>> = written.try_iter().collect();
        assert!(writes.len() < lines.len(), "a write for each line");
        assert_eq!(String::from_utf8(writes.concat()).expect("text"), lines.concat());
    }

    #[test]
    fn a_line_that_nothing_follows_is_written_all_the_same() {
        let (buffer, _guard, tell, written) = slow();
        for line in [b"one\n", b"two\n"] {
            buffer.make_writer().write_all(line).expect("it is taken");
            tell.send(()).expect("the thread waits for it");
            assert_eq!(written.recv_timeout(Duration::from_secs(30)).as_deref(), Ok(&line[..]));
        }
    }

    #[test]
    fn whoever_logs_faster_than_the_log_is_read_waits_and_loses_nothing() {
        let (buffer, guard, tell, written) = slow();
        let line = vec![b'x'; ROOM / 4];
        let logging = thread::spawn(move || {
            for _ in 0..20 {
                buffer.make_writer().write_all(&line).expect("it is taken");
            }
        });
        // The first write waits for the word, so that the buffer runs full behind it.
        while !guard.buffer.0.lock().lines.len().ge(&ROOM) {
            thread::yield_now();
        }
        assert!(!logging.is_finished());
        drop(tell);
        logging.join().expect("no panic");
        drop(guard);
        assert_eq!(written.try_iter().map(|bytes| bytes.len()).sum::<usize>(), 5 * ROOM);
    }

    #[test]
    fn a_reader_that_hangs_does_not_keep_the_program() {
        let (buffer, guard, _tell, _written) = slow();
        buffer.make_writer().write_all(b"line\n").expect("it is taken");
        drop(guard);
    }
}
