//! Command results on standard output: text for people, or one JSON object.

use std::io::{self, IsTerminal, Write as _};

use anyhow::Context as _;
use serde::Serialize;

/// Prints text and flushes standard output.
///
/// # Errors
/// If standard output cannot be written, as when the reader has closed it.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("the result cannot be written")
}

/// Whether what is written to `stream` has colours: it is a terminal, and `NO_COLOR` is not set (<https://no-color.org>).
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints one JSON object on one line.
///
/// # Errors
/// As [`print()`].
pub fn print_json(object: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(object)?))
}

/// A list as JSON.
#[derive(Serialize)]
pub struct List<T> {
    /// Its items.
    pub data: Vec<T>,
}

/// Aligns rows under their headings, two spaces apart.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| lines().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for line in lines() {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["1".to_owned(), "ö".to_owned(), "x".to_owned()], ["222".to_owned(), String::new(), String::new()]];
        assert_eq!(table(["ID", "NAME", "END"], &rows), "ID   NAME  END\n1    ö     x\n222\n");
    }
}
