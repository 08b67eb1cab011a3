//! Numbers that count from 1970: the unit in which one is a time of our days. Programs count seconds, milliseconds,
//! microseconds and nanoseconds, and a number in the wrong unit is a time in 1970 or far in the future.

use std::fmt;

use super::{SECOND_MICROS, Timestamp};

/// The time that a number means in the unit that it seems to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinceEpoch {
    /// The unit.
    pub unit: EpochUnit,
    /// The time, in whole milliseconds.
    pub at: Timestamp,
}

/// A unit in which programs count from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

/// 1990 and 2100. The range spans less than a factor of a thousand, so a number is in it in one unit at most.
const PLAUSIBLE_SECONDS: std::ops::Range<f64> = 631_152_000.0..4_102_444_800.0;

/// The start of 1990. An earlier time is a number in a wrong unit, or the time of a clock that was never set.
pub const PLAUSIBLE_FROM: Timestamp = Timestamp::from_micros(631_152_000 * SECOND_MICROS);

impl SinceEpoch {
    /// The time that a number means, if it is one between 1990 and 2100 in some unit.
    #[expect(clippy::cast_possible_truncation, reason = "the number is in a range far below the largest integer")]
    pub fn of(number: f64) -> Option<Self> {
        let units = [
            (EpochUnit::Seconds, 1.0),
            (EpochUnit::Milliseconds, 1e3),
            (EpochUnit::Microseconds, 1e6),
            (EpochUnit::Nanoseconds, 1e9),
        ];
        let (unit, per_second) = units.into_iter().find(|(_, unit)| PLAUSIBLE_SECONDS.contains(&(number / unit)))?;
        Some(Self { unit, at: Timestamp::from_millis((number / per_second * 1e3).round() as i64) })
    }

    /// The same for text that is a number.
    pub fn of_text(text: &str) -> Option<Self> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        is_number.then(|| text.parse().ok()).flatten().and_then(Self::of)
    }

    /// The time as text, in whole seconds, which is enough to recognize it.
    pub fn text(self) -> String {
        self.at.floor(SECOND_MICROS).to_string()
    }
}

impl fmt::Display for SinceEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            EpochUnit::Seconds => "seconds",
            EpochUnit::Milliseconds => "milliseconds",
            EpochUnit::Microseconds => "microseconds",
            EpochUnit::Nanoseconds => "nanoseconds",
        };
        write!(f, "looks like {unit} since 1970")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_number_is_recognized() {
        let moment = Timestamp::from_millis(1_790_000_000_123);
        for (text, unit, at) in [
            ("1790000000", EpochUnit::Seconds, Timestamp::from_millis(1_790_000_000_000)),
            ("1790000000.123", EpochUnit::Seconds, moment),
            ("1790000000123", EpochUnit::Milliseconds, moment),
            ("1790000000123456", EpochUnit::Microseconds, moment),
            ("1790000000123456789", EpochUnit::Nanoseconds, moment),
        ] {
            assert_eq!(SinceEpoch::of_text(text), Some(SinceEpoch { unit, at }), "{text}");
        }
        for other in ["0", "12345", "20261122", "-1790000000", "", "1.7.9", "1e9", "99999999999999999999999"] {
            assert_eq!(SinceEpoch::of_text(other), None, "{other}");
        }
        assert_eq!(PLAUSIBLE_FROM.to_string(), "1990-01-01T00:00:00Z");
    }
}
