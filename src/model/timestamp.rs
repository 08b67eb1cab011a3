//! Points and ranges of time in UTC microseconds, the one unit that both databases store.
//!
//! Text is RFC 3339 and always written with `Z`; durations are ISO 8601 (`PT5M`), so no client guesses a unit.

use std::{fmt, str::FromStr};

use sea_orm::DeriveValueType;
use thiserror::Error;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct Timestamp(i64);

/// Why a text is not a point in time or a duration.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("`{0}` is not an RFC 3339 time such as 2026-01-31T12:00:00Z")]
    NotRfc3339(String),
    /// Not an ISO 8601 duration of fixed length.
    #[error("`{0}` is not an ISO 8601 duration of fixed length such as PT5M, PT24H or P7D")]
    NotDuration(String),
    /// A range that ends before it starts, or holds nothing.
    #[error("a time range must end after it starts: from {from} to {to}")]
    Reversed {
        /// Where the range was to start.
        from: Timestamp,
        /// Where the range was to end.
        to: Timestamp,
    },
}

/// Microseconds of one second, minute, hour and day.
pub const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
/// Microseconds of an hour.
pub const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
/// Microseconds of a day (UTC has no other kind).
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The start of the bucket of `width_micros` that this moment falls into.
    #[must_use]
    pub const fn floor(self, width_micros: i64) -> Self {
        Self(self.0.div_euclid(width_micros) * width_micros)
    }

    /// The first bucket boundary of `width_micros` at or after this moment.
    #[must_use]
    pub const fn ceil(self, width_micros: i64) -> Self {
        Self(self.0.saturating_add(width_micros - 1).div_euclid(width_micros) * width_micros)
    }

    /// This moment moved by so many microseconds, clamped to the representable range.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|moment| Self(moment.as_microsecond()))
            .map_err(|_| TimeError::NotRfc3339(shortened(text)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => write!(f, "{moment}"),
            // Beyond year 9999 there is no RFC 3339 text; ingest refuses such times, so only a bug can print this.
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// Parses an ISO 8601 duration into microseconds. Days count 24 hours, weeks 7 days; months and years have no fixed
/// length and are refused, and so is anything not longer than zero.
///
/// # Errors
/// [`TimeError::NotDuration`] with the text.
pub fn duration_micros(text: &str) -> Result<i64, TimeError> {
    let refuse = || TimeError::NotDuration(shortened(text));
    let span: jiff::Span = text.parse().map_err(|_| refuse())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(refuse());
    }
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
    i64::try_from(duration.as_micros()).ok().filter(|micros| *micros > 0).ok_or_else(refuse)
}

/// Writes microseconds as an ISO 8601 duration (`PT1H30M`).
pub fn duration_text(micros: i64) -> String {
    let mut text = jiff::SignedDuration::from_micros(micros).to_string();
    // jiff writes designators in upper case by default; kept explicit because clients compare the text.
    text.make_ascii_uppercase();
    text
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A half-open range of time, `[from, to)`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    from: Timestamp,
    to: Timestamp,
}

impl TimeRange {
    /// # Errors
    /// [`TimeError::Reversed`] when `to` is not after `from`.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, TimeError> {
        if from < to { Ok(Self { from, to }) } else { Err(TimeError::Reversed { from, to }) }
    }

    /// The `micros` before `end`. `micros` must be above zero, as [`duration_micros`] guarantees.
    pub fn last(micros: i64, end: Timestamp) -> Self {
        Self { from: end.plus_micros(-micros.max(1)), to: end }
    }

    /// The first moment inside.
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The first moment after.
    pub const fn to(self) -> Timestamp {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_microseconds_and_is_utc() {
        let moment: Timestamp = "2026-01-31T13:00:00.123456+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-01-31T12:00:00.123456Z");
        assert_eq!(moment.to_string().parse::<Timestamp>(), Ok(moment));
    }

    #[test]
    fn durations_are_iso_8601_of_fixed_length() {
        assert_eq!(duration_micros("PT5M"), Ok(5 * MINUTE_MICROS));
        assert_eq!(duration_micros("P1D"), Ok(DAY_MICROS));
        assert_eq!(duration_micros("P1W"), Ok(7 * DAY_MICROS));
        assert_eq!(duration_micros("PT0.25S"), Ok(250_000));
        for wrong in ["", "5m ago", "P1M", "P1Y", "PT0S", "-PT5M", "300"] {
            assert!(duration_micros(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration_text(90 * MINUTE_MICROS), "PT1H30M");
        assert_eq!(duration_micros(&duration_text(DAY_MICROS)), Ok(DAY_MICROS));
    }

    #[test]
    fn buckets_round_down_and_up_also_before_the_epoch() {
        assert_eq!(Timestamp::from_micros(-1).floor(60), Timestamp::from_micros(-60));
        assert_eq!(Timestamp::from_micros(61).ceil(60), Timestamp::from_micros(120));
        assert_eq!(Timestamp::from_micros(60).ceil(60), Timestamp::from_micros(60));
    }
}
