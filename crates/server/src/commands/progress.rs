//! How far a command has come: one line that changes on a terminal, a line now and then otherwise.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often the line on a terminal changes.
const ON_TERMINAL: Duration = Duration::from_millis(100);

/// How often a line is printed otherwise.
const OTHERWISE: Duration = Duration::from_secs(10);

/// The characters of the bar on a terminal.
const BAR: u64 = 20;

/// Shows progress on standard error.
pub struct Progress {
    is_terminal: bool,
    begun: Instant,
    /// How much was done before. `None` until that is known.
    before: Option<u64>,
    shown: Instant,
    has_line: bool,
}

impl Progress {
    /// Of something that begins now.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { is_terminal: io::stderr().is_terminal(), begun: now, before: Some(0), shown: now, has_line: false }
    }

    /// Of something of which a part was done before: what is done when it is first shown.
    pub fn resumed() -> Self {
        Self { before: None, ..Self::new() }
    }

    /// Shows that so many of so many bytes are done, and what `about` says after so long.
    pub fn show(&mut self, done: u64, total: u64, about: impl FnOnce(Duration) -> String) {
        let before = *self.before.get_or_insert(done);
        if self.shown.elapsed() < if self.is_terminal { ON_TERMINAL } else { OTHERWISE } {
            return;
        }
        self.shown = Instant::now();
        let elapsed = self.begun.elapsed();
        let left = clock(left(done.saturating_sub(before), total.saturating_sub(done), elapsed));
        let text = format!("{} % {}, {left} left", part(done, total, 100), about(elapsed));
        if self.is_terminal {
            // Back to the start of the line, and nothing of a longer one before stays.
            eprint!("\r{} {text}\x1b[K", bar(done, total));
            let _ = io::stderr().flush();
            self.has_line = true;
        } else {
            eprintln!("{text}");
        }
    }

    /// Prints a line that stays.
    pub fn line(&mut self, text: &str) {
        self.end();
        eprintln!("{text}");
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

/// How many of `of` parts are done.
fn part(done: u64, total: u64, of: u64) -> u64 {
    done.min(total).saturating_mul(of) / total.max(1)
}

/// How much is done, in [`BAR`] characters.
fn bar(done: u64, total: u64) -> String {
    let characters = |count| usize::try_from(count).unwrap_or(0);
    format!("[{:-<width$}]", "#".repeat(characters(part(done, total, BAR))), width = characters(BAR))
}

/// How many seconds the rest takes if `done` took `elapsed`.
fn left(done: u64, rest: u64, elapsed: Duration) -> u64 {
    rest.saturating_mul(millis(elapsed)) / done.max(1) / 1000
}

/// A duration in milliseconds, at least 1.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// How many a second, with a comma before each three digits.
pub fn rate(count: u64, elapsed: Duration) -> String {
    format!("{}/s", grouped(count.saturating_mul(1000) / millis(elapsed)))
}

/// A number with a comma before each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
    fn the_bar_is_as_full_as_much_is_done() {
        let bars = [(0, 0), (0, 10), (5, 10), (10, 10), (11, 10)].map(|(done, total)| bar(done, total));
        let [none, half, full] = ["-".repeat(20), format!("{}{}", "#".repeat(10), "-".repeat(10)), "#".repeat(20)];
        let [none, half, full] = [none, half, full].map(|bar| format!("[{bar}]"));
        assert_eq!(bars, [none.clone(), none, half, full.clone(), full]);
        assert_eq!([part(0, 0, 100), part(1, 3, 100), part(u64::MAX, u64::MAX, 100)], [0, 33, 1]);
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_did() {
        let four = Duration::from_secs(4);
        assert_eq!([left(5, 5, four), left(1, 3, four), left(0, 0, Duration::ZERO)], [4, 12, 0]);
        assert_eq!([rate(10_000, four), rate(0, Duration::ZERO)], ["2,500/s", "0/s"]);
    }

    #[test]
    fn numbers_are_grouped_sizes_have_one_decimal_and_times_have_a_colon() {
        let numbers = [0, 12, 999, 1000, 12_345, 1_000_000].map(grouped);
        assert_eq!(numbers, ["0", "12", "999", "1,000", "12,345", "1,000,000"]);
        assert_eq!([0, 1 << 20, 3 << 19, 1 << 30].map(mebibytes), ["0.0 MiB", "1.0 MiB", "1.5 MiB", "1024.0 MiB"]);
        assert_eq!(
            [0, 59, 61, 3599, 3600, 36_061].map(clock),
            ["0:00", "0:59", "1:01", "59:59", "1:00:00", "10:01:01"]
        );
    }
}
