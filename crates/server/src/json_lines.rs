//! Log lines for machines: one JSON object each.
//!
//! For each line, the formatter of tracing-subscriber builds maps and parses the JSON of spans again. Each request logs
//! a line, and that formatting took longer than answering the request. This formatter writes directly into the line.

use std::fmt::{self, Write as _};

use roster_application::ports::Clock as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::SystemClock;

/// Writes `{"timestamp":…,"level":…,` the event's own fields, `"target":…,"span":{…}}`; the span is the innermost.
pub struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        write!(out, "{{\"timestamp\":\"{}\",\"level\":\"{}\"", SystemClock.now(), metadata.level().as_str())?;
        let mut fields = Fields { out: &mut out, has_some: true, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        out.write_str(",\"target\":")?;
        write_text(&mut out, metadata.target())?;
        if let Some(span) = context.lookup_current() {
            out.write_str(",\"span\":{")?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                out.write_str(fields)?;
            }
            out.write_str("}")?;
        }
        out.write_str("}\n")
    }
}

/// Writes the fields of a span as [`JsonLines`] expects them: JSON pairs without braces.
pub struct JsonPairs;

impl<'a> FormatFields<'a> for JsonPairs {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'a>, recorded: R) -> fmt::Result {
        let mut fields = Fields { out: &mut out, has_some: false, result: Ok(()) };
        recorded.record(&mut fields);
        fields.result
    }

    fn add_fields(&self, current: &'a mut FormattedFields<Self>, recorded: &tracing::span::Record<'_>) -> fmt::Result {
        let has_some = !current.fields.is_empty();
        let mut out = current.as_writer();
        let mut fields = Fields { out: &mut out, has_some, result: Ok(()) };
        recorded.record(&mut fields);
        fields.result
    }
}

/// Writes each visited field as a JSON pair.
struct Fields<'a, 'w> {
    out: &'a mut Writer<'w>,
    has_some: bool,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn pair(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.try_pair(field, write);
        }
    }

    fn try_pair(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) -> fmt::Result {
        if std::mem::replace(&mut self.has_some, true) {
            self.out.write_char(',')?;
        }
        write_text(self.out, field.name())?;
        self.out.write_char(':')?;
        write(self.out)
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field, |out| write_text(out, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.pair(field, |out| write!(out, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.pair(field, |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.pair(field, |out| write!(out, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity: they are written as text.
        self.pair(field, |out| if value.is_finite() { write!(out, "{value}") } else { write!(out, "\"{value}\"") });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field, |out| {
            out.write_char('"')?;
            write!(Escaped(out), "{value:?}")?;
            out.write_char('"')
        });
    }
}

fn write_text(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    Escaped(out).write_str(text)?;
    out.write_char('"')
}

/// Writes text escaped, as the content of a JSON string.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Most texts need no escape. A fold without an early exit lets the compiler check many bytes at a time.
        if !text.bytes().fold(false, |some, byte| some | is_special(byte)) {
            return self.0.write_str(text);
        }
        let mut rest = text;
        // Every character that needs an escape is one byte long, so `&special[1..]` is a character boundary.
        while let Some(place) = rest.bytes().position(is_special) {
            let (plain, special) = rest.split_at(place);
            self.0.write_str(plain)?;
            match special.as_bytes()[0] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &special[1..];
        }
        self.0.write_str(rest)
    }
}

/// Whether a byte must be escaped in a JSON string (RFC 8259 §7).
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic before").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs `log` and returns its log lines, parsed.
    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || lines.clone())
            .event_format(JsonLines)
            .fmt_fields(JsonPairs)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(written.0.lock().expect("no panic before").clone()).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_its_event_with_their_types() {
        let [line] = &lines(|| {
            tracing::warn!(target: "here", text = "a", number = 7_u64, below = -1, flag = true, part = 0.5, none = f64::NAN,
                shown = %"b", debugged = ?Some(1), left_out = None::<&str>, "it {}", "happened");
        })[..] else {
            panic!("one line");
        };
        let mut line = line.clone();
        let time = line["timestamp"].take();
        assert!(time.as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{time}");
        let expected = json!({"timestamp": null, "level": "WARN", "message": "it happened", "target": "here", "text": "a",
            "number": 7, "below": -1, "flag": true, "part": 0.5, "none": "NaN", "shown": "b", "debugged": "Some(1)"});
        assert_eq!(line, expected);
    }

    #[test]
    fn any_text_is_logged_as_one_line_and_read_back_unchanged() {
        let text = "\"quoted\" \\ \n \r \t \u{0} \u{1f} \u{7f} é 漢 \u{1f600}";
        let lines = lines(|| tracing::info!(text, shown = %text));
        assert_eq!((lines.len(), &lines[0]["text"], &lines[0]["shown"]), (1, &json!(text), &json!(text)));
    }

    #[test]
    fn a_line_has_the_fields_of_the_innermost_span() {
        let lines = lines(|| {
            let _outer = tracing::info_span!("outer", a = 1).entered();
            let inner = tracing::info_span!("inner", b = "2", c = tracing::field::Empty, d = tracing::field::Empty);
            inner.record("c", 3);
            inner.record("d", "4");
            inner.in_scope(|| tracing::info!("inside"));
            tracing::info_span!("bare").in_scope(|| tracing::info!("inside"));
        });
        assert_eq!(lines[0]["span"], json!({"b": "2", "c": 3, "d": "4"}));
        assert_eq!(lines[1]["span"], json!({}));
    }
}
