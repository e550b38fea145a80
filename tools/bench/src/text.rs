//! Formats numbers and tables.

/// A whole number with a comma between thousands.
pub fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0.0 && digits != "0" { format!("-{text}") } else { text }
}

/// A time of `micros` microseconds, in milliseconds.
pub fn millis(micros: f64) -> String {
    let millis = micros / 1000.0;
    match millis {
        _ if millis.is_nan() => "–".to_owned(),
        _ if millis < 1.0 => format!("{millis:.3}"),
        _ if millis < 100.0 => format!("{millis:.2}"),
        _ => grouped(millis),
    }
}

/// The lines of a Markdown table.
pub struct Table(Vec<String>);

impl Table {
    /// A table with these columns. A column whose name ends in a space contains text, any other contains numbers.
    pub fn new(columns: &[&str]) -> Self {
        let names: Vec<&str> = columns.iter().map(|name| name.trim_end()).collect();
        let rules: Vec<&str> = columns.iter().map(|name| if name.ends_with(' ') { "---" } else { "---:" }).collect();
        Self(vec![format!("| {} |", names.join(" | ")), format!("|{}|", rules.join("|"))])
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.0.push(format!("| {} |", cells.join(" | ")));
    }

    /// The table as text.
    pub fn into_text(self) -> String {
        self.0.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, text) in
            [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567"), (-12_345.0, "-12,345")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_time_has_about_three_digits() {
        assert_eq!([millis(28.0), millis(4321.0), millis(1_234_567.0)], ["0.028", "4.32", "1,235"]);
    }
}
