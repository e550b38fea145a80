//! The output of a running process, line by line.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An output stream of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The lines that a process has printed so far, both streams in the order of arrival.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<(Stream, String)>>,
    more: Condvar,
}

impl Lines {
    /// Starts a thread that reads `source` to its end.
    pub fn follow(&self, stream: Stream, source: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                lines.locked().push((stream, text));
                lines.0.more.notify_all();
                line.clear();
            }
        })
    }

    /// All lines so far.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.locked().iter().map(|(_, line)| line.clone()).collect()
    }

    /// The lines of one stream so far, as one text.
    #[must_use]
    pub fn text(&self, stream: Stream) -> String {
        let lines = self.locked();
        lines.iter().filter(|(of, _)| *of == stream).flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
    }

    /// Calls `find` with each line, those of the past and those to come, and returns its first result. `None` if there
    /// is none within `timeout`.
    pub fn find<T>(&self, timeout: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let start = Instant::now();
        let mut seen = 0;
        let mut lines = self.locked();
        loop {
            if let Some(found) = lines[seen..].iter().find_map(|(_, line)| find(line)) {
                return Some(found);
            }
            seen = lines.len();
            let left = timeout.checked_sub(start.elapsed())?;
            lines = self.0.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<(Stream, String)>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
