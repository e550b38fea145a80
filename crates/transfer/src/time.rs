//! Times as other services write them.

use roster_domain::Timestamp;
use roster_domain::timestamp::TimestampError;

/// Reads RFC 3339, the same without an offset (UTC) or seconds and with a space in the place of the `T`, a date, or a number of
/// seconds or milliseconds since 1970.
pub(crate) fn parse(text: &str) -> Result<Timestamp, TimestampError> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        let number: i64 = text.parse().map_err(|_| TimestampError)?;
        // Eleven digits of seconds reach the year 5138, twelve of milliseconds begin in 1973.
        return Timestamp::from_millis(if text.len() <= 11 { number * 1000 } else { number });
    }
    if !text.is_ascii() || text.len() < 10 {
        return Err(TimestampError);
    }
    let (date, time) = text.split_at(10);
    if time.is_empty() {
        return Timestamp::parse(&format!("{date}T00:00:00Z"));
    }
    let time = time.strip_prefix([' ', 'T', 't']).ok_or(TimestampError)?;
    let time = time.strip_suffix(" UTC").unwrap_or(time);
    let with_seconds = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    let has_offset = with_seconds.ends_with(['Z', 'z']) || with_seconds.contains(['+', '-']);
    Timestamp::parse(&format!("{date}T{with_seconds}{}", if has_offset { "" } else { "Z" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_other_services_are_read() {
        for (text, time) in [
            ("2023-04-07T23:24:53Z", "2023-04-07T23:24:53.000Z"),
            ("2023-04-07T23:24:53.123+02:00", "2023-04-07T21:24:53.123Z"),
            ("2023-04-07 23:24", "2023-04-07T23:24:00.000Z"),
            ("2023-04-07 23:24:53", "2023-04-07T23:24:53.000Z"),
            ("2023-04-07 23:24:53 UTC", "2023-04-07T23:24:53.000Z"),
            ("2023-04-07T23:24:53.123456", "2023-04-07T23:24:53.123Z"),
            (" 2023-04-07 ", "2023-04-07T00:00:00.000Z"),
            ("1680909893", "2023-04-07T23:24:53.000Z"),
            ("1680909893123", "2023-04-07T23:24:53.123Z"),
        ] {
            assert_eq!(parse(text).map(|time| time.to_string()), Ok(time.to_owned()), "{text}");
        }
        for text in ["", "soon", "07/04/2023", "2023-13-01", "2023-04-07x", "2023-04-07 24:61", "é2023-04-07", "-1"] {
            assert_eq!(parse(text), Err(TimestampError), "{text}");
        }
    }
}
