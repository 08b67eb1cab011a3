//! Points and ranges of time in UTC microseconds, the one unit that both databases store.
//!
//! Text is RFC 3339 and always written with `Z`; durations are ISO 8601 (`PT5M`), so no client guesses a unit. Input may also
//! have the spellings of databases: a blank instead of `T`, and the offsets `+00`, `+0530` and ` UTC`.

pub mod epoch;

use std::{borrow::Cow, fmt, str::FromStr};

use sea_orm::DeriveValueType;
use thiserror::Error;

use self::epoch::SinceEpoch;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct Timestamp(i64);

/// An invalid time, duration or range.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("`{0}` is not an RFC 3339 time such as 2026-01-31T12:00:00Z")]
    NotRfc3339(String),
    /// A date and a time without an offset.
    #[error("`{0}` has no offset from UTC; append Z for UTC, or the offset, such as +02:00")]
    NoOffset(String),
    /// A number that counts from 1970.
    #[error("`{0}` {1}; send text such as {text}", text = .1.text())]
    Number(String, SinceEpoch),
    /// Not an ISO 8601 duration of fixed length.
    #[error("`{0}` is not an ISO 8601 duration of fixed length such as PT5M, PT24H or P7D")]
    NotDuration(String),
    /// A range that is empty or ends before it starts.
    #[error("a time range must end after it starts: from {from} to {to}")]
    Reversed {
        /// The start of the range.
        from: Timestamp,
        /// The end of the range.
        to: Timestamp,
    },
}

/// Microseconds of one second, minute, hour and day.
pub const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
/// Microseconds of five minutes.
pub const FIVE_MINUTES_MICROS: i64 = 5 * MINUTE_MICROS;
/// Microseconds of an hour.
pub const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
/// Microseconds of a day (UTC has no other kind).
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;

impl Timestamp {
    /// From the header `Date` of a response. `None` if the text is another.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let moment = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(Self(moment.timestamp().as_microsecond()))
    }

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
        Self(self.0.saturating_sub(self.0.rem_euclid(width_micros)))
    }

    /// The first bucket boundary of `width_micros` at or after this moment.
    #[must_use]
    pub const fn ceil(self, width_micros: i64) -> Self {
        Self(self.0.saturating_add(width_micros - 1).div_euclid(width_micros) * width_micros)
    }

    /// This time plus `micros` microseconds, clamped to the representable range.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parts = Rfc3339::split(text).ok_or_else(|| refusal(text))?;
        let refuse = || TimeError::NotRfc3339(shortened(text));
        let parsed = if parts.is_whole(text) {
            text.parse::<jiff::Timestamp>()
        } else {
            format!("{}T{}{}{}", parts.date, parts.time, parts.fraction, parts.offset).parse()
        };
        match parsed {
            Ok(moment) => Ok(Self(moment.as_microsecond())),
            // An existing date outside of the representable range: the last hours of year 9999. It saturates, because
            // ingest has bounds of its own and reports the row.
            Err(_) if format!("{}T{}", parts.date, parts.time).parse::<jiff::civil::DateTime>().is_ok() => {
                let far = if parts.date.starts_with('9') { jiff::Timestamp::MAX } else { jiff::Timestamp::MIN };
                // Whole seconds: a fraction after the last second is representable, but cannot be formatted.
                parts.offset_is_valid().then(|| Self(far.as_second() * SECOND_MICROS)).ok_or_else(refuse)
            }
            Err(_) => Err(refuse()),
        }
    }
}

/// The error for text that is not a time, with the cause if it is a common one.
#[cold]
fn refusal(text: &str) -> TimeError {
    let shown = shortened(text);
    if let Some(number) = SinceEpoch::of_text(text) {
        return TimeError::Number(shown, number);
    }
    if Rfc3339::split(&format!("{text}Z")).is_some() {
        return TimeError::NoOffset(shown);
    }
    TimeError::NotRfc3339(shown)
}

/// The parts of `2026-01-31T12:00:00.123456Z`; the library takes more than RFC 3339 allows.
struct Rfc3339<'a> {
    date: &'a str,
    time: &'a str,
    /// With its point, cut to the nine digits that the library reads; empty when there is none.
    fraction: &'a str,
    /// As RFC 3339 writes it.
    offset: Cow<'a, str>,
}

impl<'a> Rfc3339<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let (time, rest) = rest.split_at_checked(8)?;
        let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let (fraction, offset) = rest.split_at_checked(if rest.starts_with('.') { digits + 1 } else { 0 })?;
        let offset = offset_of(offset)?;
        let is_right = has_shape(date, "0000-00-00") && has_shape(time, "00:00:00") && fraction != ".";
        is_right.then_some(Self { date, time, fraction: &fraction[..fraction.len().min(10)], offset })
    }

    /// True when the library reads the text unchanged.
    fn is_whole(&self, text: &str) -> bool {
        let length = self.date.len() + 1 + self.time.len() + self.fraction.len() + self.offset.len();
        text.len() == length && text.as_bytes().get(self.date.len()) == Some(&b'T') && text.ends_with(&*self.offset)
    }

    fn offset_is_valid(&self) -> bool {
        format!("2000-01-01T00:00:00{}", self.offset).parse::<jiff::Timestamp>().is_ok()
    }
}

/// An offset as RFC 3339 writes it. PostgreSQL writes `+00` and `+05:30`, programs in C `+0530`, BigQuery ` UTC`; each has one
/// meaning only.
fn offset_of(text: &str) -> Option<Cow<'_, str>> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let is = |shape: &str| has_shape(text, &format!("+{shape}")) || has_shape(text, &format!("-{shape}"));
    Some(match text {
        "Z" | "z" => Cow::Borrowed(text),
        "UTC" => Cow::Borrowed("Z"),
        _ if is("00:00") => Cow::Borrowed(text),
        _ if is("0000") => Cow::Owned(format!("{}:{}", &text[..3], &text[3..])),
        _ if is("00") => Cow::Owned(format!("{text}:00")),
        _ => return None,
    })
}

/// True if a text is as long as `shape`, has digits where it has zeros, and the same characters elsewhere.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => write!(f, "{moment}"),
            // Beyond year 9999 there is no RFC 3339 text. Ingest refuses such times, and quotes them.
            Err(_) => write!(f, "{} microseconds since 1970", self.0),
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

/// The whole microseconds of a duration, at most `i64::MAX`.
pub fn whole_micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
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

    /// The intersection of both ranges; `None` if it is empty.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to)).ok()
    }

    /// The start, inclusive.
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The end, exclusive.
    pub const fn to(self) -> Timestamp {
        self.to
    }

    /// The length in microseconds.
    pub const fn length_micros(self) -> i64 {
        self.to.as_micros().saturating_sub(self.from.as_micros())
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
    fn only_rfc_3339_is_a_time_and_the_ends_of_the_calendar_saturate() {
        for wrong in [
            "20261122T07Z",
            "2026-11-22T07:00Z",
            "2026-11-22T07:00:00+00:00[Europe/Berlin]",
            "2026-11-22",
            "2026-11-22T07:00:00",
            "2026-13-01T00:00:00Z",
            "2026-11-22T07:00:00.Z",
            "9999-12-31T23:59:59+99:00",
            "now",
            "",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
        let last: Timestamp = "9999-12-31T23:59:59Z".parse().unwrap();
        assert_eq!((last.to_string().as_str(), last.to_string().parse()), ("9999-12-30T22:00:00Z", Ok(last)));
        assert!("0000-01-01T00:00:00Z".parse::<Timestamp>().unwrap() < Timestamp::from_micros(0));
        let long: Timestamp = "2026-11-22T07:00:00.1234567890123+00:00".parse().unwrap();
        assert_eq!(long.to_string(), "2026-11-22T07:00:00.123456Z");
        assert_eq!("2026-11-22t07:00:00z".parse::<Timestamp>(), "2026-11-22 07:00:00Z".parse());
    }

    #[test]
    fn times_are_read_as_databases_write_them() {
        let moment: Timestamp = "2026-11-22T07:00:00.5Z".parse().unwrap();
        for text in [
            "2026-11-22 07:00:00.5+00",
            "2026-11-22 12:30:00.5+0530",
            "2026-11-22 12:30:00.5+05:30",
            "2026-11-21 23:00:00.500000-08",
            "2026-11-22T02:00:00.5-0500",
            "2026-11-22 07:00:00.500000 UTC",
            "2026-11-22 08:00:00.5 +0100",
        ] {
            assert_eq!(text.parse(), Ok(moment), "{text}");
        }
        for wrong in
            ["2026-11-22 07:00:00+0", "2026-11-22 07:00:00+00:0", "2026-11-22 07:00:00+99", "2026-11-22 07:00:00  UTC"]
        {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_says_what_is_missing_or_which_unit_a_number_has() {
        let words = |text: &str| text.parse::<Timestamp>().unwrap_err().to_string();
        assert!(words("2026-11-22 07:00:00").ends_with("append Z for UTC, or the offset, such as +02:00"));
        assert_eq!(
            words("1790000000"),
            "`1790000000` looks like seconds since 1970; send text such as 2026-09-21T14:13:20Z"
        );
        assert!(words("1790000000123").contains("looks like milliseconds since 1970"));
        assert!(words("12").contains("is not an RFC 3339 time"));
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
