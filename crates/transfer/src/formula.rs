//! Cells that a spreadsheet would take for a formula.
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return is run as a formula by spreadsheets (OWASP, CSV
//! injection). Roster writes a `'` in front of each text that begins so. For a way back without loss it also does that with a
//! text that begins with `'`, and with one that is empty: an empty cell is a field that is absent.

/// The mark in front of a text.
const MARK: char = '\'';

/// Whether a text is written with a mark.
fn is_marked(text: &str) -> bool {
    matches!(text.chars().next(), None | Some('=' | '+' | '-' | '@' | '\t' | '\r' | MARK))
}

/// The cell of a text.
pub(crate) fn protect(text: &str) -> String {
    if is_marked(text) { format!("{MARK}{text}") } else { text.to_owned() }
}

/// The text of a cell that [`protect`] has written. `None`: the field is absent.
pub(crate) fn restore(cell: &str) -> Option<&str> {
    match cell.strip_prefix(MARK) {
        Some(text) if is_marked(text) => Some(text),
        _ if cell.is_empty() => None,
        _ => Some(cell),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_marked() {
        for text in ["=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(protect(text), format!("'{text}"));
        }
        assert_eq!(protect("Ada"), "Ada");
        assert_eq!((protect(""), restore("")), ("'".to_owned(), None));
        assert_eq!(restore("'Ada"), Some("'Ada"), "a cell of another program keeps its apostrophe");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "['=+@\t\r-]{0,3}\\PC{0,3}") {
            let cell = protect(&text);
            prop_assert_eq!(restore(&cell), Some(text.as_str()));
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
        }
    }
}
