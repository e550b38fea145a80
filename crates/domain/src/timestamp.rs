//! Points in time, to the millisecond.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveTime, Timelike, Utc};

use crate::Rule;

/// A point in time in UTC, to the millisecond, in the years 0000 to 9999.
///
/// No surface writes a finer time than a millisecond, so nothing finer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

/// Not a point in time that can be written in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time in RFC 3339 form, such as 2025-01-15T12:00:00Z")]
pub struct TimestampError;

impl Rule for TimestampError {
    fn code(&self) -> &'static str {
        "invalid_timestamp"
    }
}

/// The first millisecond of the year 0000 and the last of the year 9999.
const FIRST: DateTime<Utc> = DateTime::from_timestamp_millis(-62_167_219_200_000).expect("a time");
const LAST: DateTime<Utc> = DateTime::from_timestamp_millis(253_402_300_799_999).expect("a time");

impl Timestamp {
    /// The start of the year 0000.
    pub const MIN: Self = Self(FIRST);
    /// The end of the year 9999.
    pub const MAX: Self = Self(LAST);

    /// Converts milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`TimestampError`] outside the years 0000 to 9999, which RFC 3339 cannot write.
    pub fn from_millis(millis: i64) -> Result<Self, TimestampError> {
        let time = DateTime::from_timestamp_millis(millis).ok_or(TimestampError)?;
        if (0..=9999).contains(&time.year()) { Ok(Self(time)) } else { Err(TimestampError) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// The time `duration` later, at most the end of the year 9999; `duration` is rounded down to milliseconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.as_millis().saturating_add(millis)).unwrap_or(Self::MAX)
    }

    /// The time `duration` earlier, at least the start of the year 0000; `duration` is rounded down to milliseconds.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.as_millis().saturating_sub(millis)).unwrap_or(Self::MIN)
    }

    /// The time that has passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.as_millis() - earlier.as_millis()).unwrap_or(0))
    }

    /// The beginning of its day in UTC.
    #[must_use]
    pub fn midnight(self) -> Self {
        Self(self.0 - self.0.time().signed_duration_since(NaiveTime::MIN))
    }

    /// The time as a chrono value.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        self.0
    }

    /// Parses RFC 3339 with any offset; anything finer than a millisecond is cut off.
    ///
    /// # Errors
    /// [`TimestampError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError)?;
        Self::from_millis(time.timestamp_millis())
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 with milliseconds and `Z`: `2025-01-15T12:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (place, number) in [
            (0..4, self.0.year().unsigned_abs()),
            (5..7, self.0.month()),
            (8..10, self.0.day()),
            (11..13, self.0.hour()),
            (14..16, self.0.minute()),
            (17..19, self.0.second()),
            (20..23, self.0.timestamp_subsec_millis()),
        ] {
            write_digits(&mut text[place], number);
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes `number` right-aligned over the ASCII zeros of `place`.
fn write_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    #[test]
    fn an_offset_becomes_utc_and_microseconds_are_cut_off() {
        let time = Timestamp::parse("2025-01-15T12:00:00.123999+02:00").map(|t| t.to_string());
        assert_eq!(time, Ok("2025-01-15T10:00:00.123Z".to_owned()));
    }

    #[test]
    fn a_time_that_rfc_3339_cannot_write_is_refused() {
        for text in ["", "2025-01-15", "2025-02-30T00:00:00Z", "2025-01-15T12:00:00", "0000-01-01T00:00:00+01:00"] {
            assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text}");
        }
        assert_eq!(Timestamp::from_millis(i64::MAX), Err(TimestampError));
    }

    #[test]
    fn a_time_stays_within_the_years_0000_to_9999() {
        let time = Timestamp::parse("2025-01-15T12:00:00Z").expect("a time");
        assert_eq!(time.plus(Duration::from_millis(1)).to_string(), "2025-01-15T12:00:00.001Z");
        assert_eq!(time.minus(Duration::from_hours(12)).to_string(), "2025-01-15T00:00:00.000Z");
        assert_eq!(time.plus(Duration::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(time.minus(Duration::MAX).to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(time.plus(Duration::from_secs(9)).since(time), Duration::from_secs(9));
        assert_eq!(time.since(time.plus(Duration::from_secs(9))), Duration::ZERO);
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let midnight = |text: &str| Timestamp::parse(text).expect("a time").midnight().to_string();
        assert_eq!(midnight("2025-01-15T23:59:59.999Z"), "2025-01-15T00:00:00.000Z");
        assert_eq!(midnight("2025-01-15T00:00:00Z"), "2025-01-15T00:00:00.000Z");
        assert_eq!(midnight("1969-12-31T23:00:00-02:00"), "1970-01-01T00:00:00.000Z");
        assert_eq!(midnight("1969-12-31T23:00:00Z"), "1969-12-31T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.midnight().to_string(), "9999-12-31T00:00:00.000Z");
        assert_eq!(Timestamp::MIN.midnight(), Timestamp::MIN);
    }

    proptest! {
        #[test]
        fn every_time_round_trips_through_its_text(millis in -62_167_219_200_000i64..=253_402_300_799_999) {
            let time = Timestamp::from_millis(millis)?;
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            prop_assert_eq!(time.as_millis(), millis);
            prop_assert_eq!(time.to_string(), time.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true));
        }
    }
}
