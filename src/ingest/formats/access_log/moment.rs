//! The moment of a request as text: the common log format, RFC 3339, seconds since 1970, or parts in formats of `strftime`.

use jiff::{
    fmt::strtime::{self, BrokenDownTime},
    tz::Offset,
};

use super::duration::TimeUnit;
use crate::{ingest::submission::FieldError, model::Timestamp};

/// The difference from UTC of times that do not name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcOffset(Offset);

impl UtcOffset {
    /// No difference.
    pub const UTC: Self = Self(Offset::UTC);
}

impl std::str::FromStr for UtcOffset {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "Z" | "UTC" | "utc") {
            return Ok(Self(Offset::UTC));
        }
        let format = if text.contains(':') { "%:z" } else { "%z" };
        let offset = BrokenDownTime::parse(format, text).ok().and_then(|parts| parts.offset());
        offset.map(Self).ok_or("is no offset from UTC such as +02:00")
    }
}

/// The form of a moment, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `10/Oct/2000:13:55:36 -0700` or RFC 3339, with or without fractions of a second.
    Text,
    /// A number since 1970.
    Epoch(TimeUnit),
    /// A number since 1970, whose unit is seen from its size.
    EpochBySize,
    /// A format of `strftime`.
    Pattern(String),
    /// The fraction of the second in milliseconds or microseconds, which is added to the other parts.
    Fraction(TimeUnit),
}

/// Reads a moment from its parts.
///
/// # Errors
/// The parts are no moment, or name no offset from UTC and there is no default.
pub fn moment(parts: &[(&Form, &str)], offset: Option<UtcOffset>) -> Result<Timestamp, FieldError> {
    let shown = || {
        let texts: Vec<_> = parts.iter().map(|(_, text)| *text).collect();
        texts.join(" ").chars().take(64).collect::<String>()
    };
    let refuse = || FieldError::new("timestamp", format!("`{}` is not a time in this format", shown()));
    let without_offset = |NoOffset| {
        let message = format!("`{}` has no offset from UTC; say it, such as --utc-offset +02:00", shown());
        FieldError::new("timestamp", message)
    };
    let mut fraction = 0;
    let mut patterns: Vec<(&str, &str)> = Vec::new();
    let mut found = None;
    for (form, text) in parts {
        match form {
            Form::Text => found = Some(text_moment(text, offset).ok_or_else(refuse)?.map_err(without_offset)?),
            Form::Epoch(unit) => found = Some(epoch(text, *unit).ok_or_else(refuse)?),
            Form::EpochBySize => {
                found = Some(unit_by_size(text).and_then(|unit| epoch(text, unit)).ok_or_else(refuse)?);
            }
            Form::Pattern(pattern) => patterns.push((pattern, text)),
            Form::Fraction(unit) => fraction = part_micros(text, *unit).ok_or_else(refuse)?,
        }
    }
    let whole = match found {
        Some(found) => found,
        None => joined(&patterns, offset).ok_or_else(refuse)?.map_err(without_offset)?,
    };
    Ok(whole.plus_micros(fraction))
}

/// A time names no offset from UTC, and there is no default.
struct NoOffset;

/// The moment of one text.
fn text_moment(text: &str, offset: Option<UtcOffset>) -> Option<Result<Timestamp, NoOffset>> {
    if text.as_bytes().get(2) == Some(&b'/') {
        return parsed("%d/%b/%Y:%H:%M:%S%.f %z", text)
            .or_else(|| parsed("%d/%b/%Y:%H:%M:%S%.f", text))
            .map(|parts| stamp(&parts, offset));
    }
    if let Ok(moment) = text.parse() {
        return Some(Ok(moment));
    }
    ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .into_iter()
        .find_map(|pattern| parsed(pattern, text))
        .map(|parts| stamp(&parts, offset))
}

/// The moment of texts that together have the patterns.
fn joined(patterns: &[(&str, &str)], offset: Option<UtcOffset>) -> Option<Result<Timestamp, NoOffset>> {
    let join = |part: fn(&(&str, &str)) -> String| patterns.iter().map(part).collect::<Vec<_>>().join(" ");
    let parts = parsed(&join(|(pattern, _)| (*pattern).to_owned()), &join(|(_, text)| (*text).to_owned()))?;
    Some(stamp(&parts, offset))
}

fn parsed(pattern: &str, text: &str) -> Option<BrokenDownTime> {
    strtime::parse(pattern, text).ok()
}

fn stamp(parts: &BrokenDownTime, offset: Option<UtcOffset>) -> Result<Timestamp, NoOffset> {
    let by_default = || offset?.0.to_timestamp(parts.to_datetime().ok()?).ok();
    let moment = parts.to_timestamp().ok().or_else(by_default).ok_or(NoOffset)?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}

/// A moment as a number since 1970.
fn epoch(text: &str, unit: TimeUnit) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let (per_unit, digits) = match unit {
        TimeUnit::Seconds => (1_000_000, 6),
        TimeUnit::Milliseconds => (1_000, 3),
        TimeUnit::Microseconds => (1, 0),
        TimeUnit::Nanoseconds => return Some(Timestamp::from_micros(whole / 1_000)),
    };
    Some(Timestamp::from_micros(whole.checked_mul(per_unit)?.checked_add(digits_of(fraction, digits)?)?))
}

/// The first digits of a fraction as a whole number.
fn digits_of(fraction: &str, digits: usize) -> Option<i64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let cut = &fraction[..fraction.len().min(digits)];
    format!("{cut:0<digits$}").parse().ok().or((digits == 0).then_some(0))
}

fn part_micros(text: &str, unit: TimeUnit) -> Option<i64> {
    let (digits, factor) = if unit == TimeUnit::Milliseconds { (3, 1_000) } else { (6, 1) };
    let is_number = text.len() <= digits && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse::<i64>().ok())?.map(|number| number * factor)
}

/// The unit of a number since 1970, of a moment between 1973 and 2286.
pub fn unit_by_size(text: &str) -> Option<TimeUnit> {
    let whole = text.split('.').next().unwrap_or_default();
    match whole.len() {
        _ if !whole.bytes().all(|byte| byte.is_ascii_digit()) => None,
        9 | 10 => Some(TimeUnit::Seconds),
        12 | 13 => Some(TimeUnit::Milliseconds),
        15 | 16 => Some(TimeUnit::Microseconds),
        18 | 19 => Some(TimeUnit::Nanoseconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[(&Form, &str)]) -> Option<String> {
        moment(parts, None).ok().map(|moment| moment.to_string())
    }

    #[test]
    fn moments_are_read_in_all_forms() {
        let pattern = |text: &str| Form::Pattern(text.to_owned());
        let (day, zone) = (pattern("%d/%b/%Y:%H:%M:%S"), pattern("%z"));
        let expected = Some("2026-01-31T12:00:00Z".to_owned());
        let fraction = Some("2026-01-31T12:00:00.25Z".to_owned());
        for (parts, expected) in [
            (vec![(&Form::Text, "31/Jan/2026:13:00:00 +0100")], &expected),
            (vec![(&Form::Text, "31/Jan/2026:04:00:00.250 -0800")], &fraction),
            (vec![(&Form::Text, "2026-01-31T13:00:00+01:00")], &expected),
            (vec![(&Form::Text, "2026-01-31T13:00:00.25+0100")], &fraction),
            (vec![(&Form::Text, "2026-01-31 12:00:00.250Z")], &fraction),
            (vec![(&Form::Epoch(TimeUnit::Seconds), "1769860800")], &expected),
            (vec![(&Form::Epoch(TimeUnit::Seconds), "1769860800.250")], &fraction),
            (vec![(&Form::Epoch(TimeUnit::Milliseconds), "1769860800250")], &fraction),
            (vec![(&Form::Epoch(TimeUnit::Nanoseconds), "1769860800250000999")], &fraction),
            (vec![(&Form::EpochBySize, "1769860800.25")], &fraction),
            (vec![(&Form::EpochBySize, "1769860800250000")], &fraction),
            (
                vec![
                    (&day, "31/Jan/2026:13:00:00"),
                    (&Form::Fraction(TimeUnit::Milliseconds), "250"),
                    (&zone, "+0100"),
                ],
                &fraction,
            ),
            (
                vec![
                    (&Form::Epoch(TimeUnit::Seconds), "1769860800"),
                    (&Form::Fraction(TimeUnit::Microseconds), "250000"),
                ],
                &fraction,
            ),
            (vec![(&Form::Text, "32/Jan/2026:13:00:00 +0100")], &None),
            (vec![(&Form::Text, "31/Jan/2026:13:00:00")], &None),
            (vec![(&Form::Text, "-")], &None),
            (vec![(&Form::Text, "1769860800")], &None),
            (vec![(&Form::EpochBySize, "17698608")], &None),
            (vec![(&Form::Epoch(TimeUnit::Seconds), "-5")], &None),
            (vec![(&day, "31/Jan/2026:13:00:00")], &None),
        ] {
            assert_eq!(&read(&parts), expected, "{parts:?}");
        }
    }

    #[test]
    fn a_time_without_offset_needs_one() {
        let parts = [(&Form::Text, "31/Jan/2026:13:00:00.250")];
        assert!(moment(&parts, None).unwrap_err().message.contains("--utc-offset"));
        for (offset, expected) in [
            ("+01:00", "2026-01-31T12:00:00.25Z"),
            ("-0030", "2026-01-31T13:30:00.25Z"),
            ("UTC", "2026-01-31T13:00:00.25Z"),
        ] {
            let moment = moment(&parts, Some(offset.parse().unwrap())).unwrap();
            assert_eq!(moment.to_string(), expected, "{offset}");
        }
        for wrong in ["", "1", "Berlin", "+25", "+1:00x"] {
            assert!(wrong.parse::<UtcOffset>().is_err(), "{wrong}");
        }
    }
}
