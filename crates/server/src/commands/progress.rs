//! How far a command has come: one line that changes on a terminal, a line now and then otherwise.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often the line on a terminal changes.
const ON_TERMINAL: Duration = Duration::from_millis(100);

/// How often a line is printed otherwise.
const OTHERWISE: Duration = Duration::from_secs(10);

/// How many characters the bar has.
const BAR: usize = 30;

/// Shows progress on standard error.
pub struct Progress {
    is_terminal: bool,
    begun: Instant,
    shown: Instant,
    has_line: bool,
}

impl Progress {
    /// Of something that begins now.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { is_terminal: io::stderr().is_terminal(), begun: now, shown: now, has_line: false }
    }

    /// Shows that so many of so many bytes are done.
    pub fn show(&mut self, done: u64, total: u64) {
        if self.shown.elapsed() < if self.is_terminal { ON_TERMINAL } else { OTHERWISE } {
            return;
        }
        self.shown = Instant::now();
        let text = text(done, total, self.begun.elapsed());
        if self.is_terminal {
            // Back to the start of the line, and nothing of a longer one before stays.
            eprint!("\r{text}\x1b[K");
            let _ = io::stderr().flush();
            self.has_line = true;
        } else {
            eprintln!("{text}");
        }
    }

    /// Removes the line that changes.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.has_line) {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn text(done: u64, total: u64, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let done = done.min(total);
    let percent = done.saturating_mul(100) / total.max(1);
    let filled = usize::try_from(percent).unwrap_or(100) * BAR / 100;
    let left = (total - done).saturating_mul(millis) / done.max(1) / 1000;
    format!(
        "[{}{}] {percent} % of {}, {} left",
        "#".repeat(filled),
        " ".repeat(BAR - filled),
        mebibytes(total),
        clock(left)
    )
}

/// A number of bytes, in MiB with one decimal.
pub fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// A number of seconds as hours, minutes and seconds.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_the_part_that_is_done_and_the_time_that_is_left() {
        let half = text(5 << 20, 10 << 20, Duration::from_secs(4));
        assert_eq!(half, format!("[{}{}] 50 % of 10.0 MiB, 0:04 left", "#".repeat(15), " ".repeat(15)));
        for (done, total) in [(0, 0), (0, u64::MAX), (9, 3), (u64::MAX, u64::MAX)] {
            assert!(text(done, total, Duration::ZERO).starts_with('['), "{done} {total}");
        }
    }

    #[test]
    fn sizes_have_one_decimal_and_times_have_a_colon() {
        assert_eq!([0, 1 << 20, 3 << 19, 1 << 30].map(mebibytes), ["0.0 MiB", "1.0 MiB", "1.5 MiB", "1024.0 MiB"]);
        assert_eq!(
            [0, 59, 61, 3599, 3600, 36_061].map(clock),
            ["0:00", "0:59", "1:01", "59:59", "1:00:00", "10:01:01"]
        );
    }
}
