//! A buffer in front of standard error, so that one line a request does not mean one system call a request.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The size at which the buffer is full, in bytes: 1 MiB.
///
/// A thread that logs to a full buffer waits for room, so that a slow reader loses no line.
const CAPACITY: usize = 1 << 20;

/// How long the writer thread pauses after each write, so that it writes many lines at once under load.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the program waits at its end for the last lines. A reader that hangs must not keep the program running.
const FINAL_WRITE: Duration = Duration::from_secs(1);

/// The buffer that log lines are written to. Cloning it is cheap.
#[derive(Clone)]
pub struct LogBuffer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Signals lines to write, or the end.
    filled: Condvar,
    /// Signals room for lines, or the end.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    is_closed: bool,
}

/// Writes the remaining lines when dropped. Lines that are logged later are lost.
pub struct LogGuard {
    buffer: LogBuffer,
    thread: Option<JoinHandle<()>>,
}

impl LogBuffer {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// If the thread cannot be started.
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
        while state.lines.len() >= CAPACITY && !state.is_closed {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// The loop of the writer thread, until the buffer is closed.
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
            // A failure to write the log cannot be logged.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            if is_closed {
                return;
            }
            lines.clear();
            self.pause();
        }
    }

    /// Lets lines collect, unless the buffer is closed.
    fn pause(&self) {
        let state = self.lock();
        let _ = self.filled.wait_timeout_while(state, PAUSE, |state| !state.is_closed);
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
        while !thread.is_finished() && waited < FINAL_WRITE {
            thread::sleep(pause);
            waited += pause;
        }
    }
}

impl<'a> MakeWriter<'a> for LogBuffer {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(&self.0)
    }
}

/// Adds each write to the buffer. tracing-subscriber writes one whole line at a time.
pub struct LineWriter<'a>(&'a Shared);

impl Write for LineWriter<'_> {
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

    /// A writer that waits for `go_on` before each write, and sends what was written to the test.
    struct Slow {
        written: mpsc::Sender<Vec<u8>>,
        go_on: mpsc::Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error means that the test dropped its sender: from then on writes do not wait.
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
        let (go_ahead, go_on) = mpsc::channel();
        let (buffer, guard) = LogBuffer::start(Slow { written, go_on }).expect("a thread");
        (buffer, guard, go_ahead, lines)
    }

    #[test]
    fn every_line_is_written_in_order_by_the_end() {
        let (buffer, guard, go_ahead, written) = slow();
        drop(go_ahead);
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
    fn a_line_is_written_without_a_line_after_it() {
        let (buffer, _guard, go_ahead, written) = slow();
        for line in [b"one\n", b"two\n"] {
            buffer.make_writer().write_all(line).expect("it is taken");
            go_ahead.send(()).expect("the thread waits for it");
            assert_eq!(written.recv_timeout(Duration::from_secs(30)).as_deref(), Ok(&line[..]));
        }
    }

    #[test]
    fn a_thread_that_logs_to_a_full_buffer_waits_and_loses_nothing() {
        let (buffer, guard, go_ahead, written) = slow();
        let line = vec![b'x'; CAPACITY / 4];
        let logging = thread::spawn(move || {
            for _ in 0..20 {
                buffer.make_writer().write_all(&line).expect("it is taken");
            }
        });
        // The first write waits for `go_ahead`, so the buffer becomes full behind it.
        while !guard.buffer.0.lock().lines.len().ge(&CAPACITY) {
            thread::yield_now();
        }
        assert!(!logging.is_finished());
        drop(go_ahead);
        logging.join().expect("no panic");
        drop(guard);
        assert_eq!(written.try_iter().map(|bytes| bytes.len()).sum::<usize>(), 5 * CAPACITY);
    }

    #[test]
    fn a_reader_that_hangs_does_not_keep_the_program_running() {
        let (buffer, guard, _go_ahead, _written) = slow();
        buffer.make_writer().write_all(b"line\n").expect("it is taken");
        drop(guard);
    }
}
