//! How far an import has come: one line that changes on a terminal, a line now and then otherwise.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use roster_application::ImportCounts;

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
    /// The size of the file, and how many rows of it were done before, with where they end once that is known.
    size: u64,
    rows_before: u64,
    place_before: Option<u64>,
    shown: Instant,
    has_line: bool,
}

impl Progress {
    /// Of a file of `size` bytes, of which `rows` rows were done before.
    pub fn new(size: u64, rows: u64) -> Self {
        let now = Instant::now();
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, begun: now, size, rows_before: rows, place_before: None, shown: now, has_line: false }
    }

    /// Shows that the file was read up to a place.
    pub fn show(&mut self, counts: &ImportCounts, place: u64) {
        let place_before = *self.place_before.get_or_insert(if self.rows_before > 0 { place } else { 0 });
        if self.shown.elapsed() < if self.is_terminal { ON_TERMINAL } else { OTHERWISE } {
            return;
        }
        self.shown = Instant::now();
        let text = self.text(counts, place_before, place);
        if self.is_terminal {
            // Back to the start of the line, and nothing of a longer one before stays.
            eprint!("\r{} {text}\x1b[K", bar(place, self.size));
            let _ = io::stderr().flush();
            self.has_line = true;
        } else {
            eprintln!("{text}");
        }
    }

    fn text(&self, counts: &ImportCounts, place_before: u64, place: u64) -> String {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = (counts.rows - self.rows_before).saturating_mul(1000) / millis;
        let read = place.saturating_sub(place_before).max(1);
        let left = self.size.saturating_sub(place).saturating_mul(millis) / read / 1000;
        let failed = counts.failed;
        format!("{} rows, {}/s, {} left, {} errors", grouped(counts.rows), grouped(rate), clock(left), grouped(failed))
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

/// How much of `size` is done, in [`BAR`] characters and in percent.
fn bar(place: u64, size: u64) -> String {
    let part = |of: u64| place.min(size).saturating_mul(of) / size.max(1);
    let full = usize::try_from(part(BAR)).unwrap_or(0);
    let width = usize::try_from(BAR).unwrap_or(0);
    format!("[{:-<width$}] {} %", "#".repeat(full), part(100))
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

/// A number of seconds as hours, minutes and seconds.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_file_is_read() {
        let bars = [(0, 0), (0, 10), (5, 10), (10, 10), (11, 10)].map(|(place, size)| bar(place, size));
        let [none, half, full] = ["-".repeat(20), format!("{}{}", "#".repeat(10), "-".repeat(10)), "#".repeat(20)];
        let [none, half, full] = [format!("[{none}] 0 %"), format!("[{half}] 50 %"), format!("[{full}] 100 %")];
        assert_eq!(bars, [none.clone(), none, half, full.clone(), full]);
    }

    #[test]
    fn numbers_are_grouped_and_times_have_a_colon() {
        let numbers = [0, 12, 999, 1000, 12_345, 1_000_000].map(grouped);
        assert_eq!(numbers, ["0", "12", "999", "1,000", "12,345", "1,000,000"]);
        assert_eq!(
            [0, 59, 61, 3599, 3600, 36_061].map(clock),
            ["0:00", "0:59", "1:01", "59:59", "1:00:00", "10:01:01"]
        );
    }
}
