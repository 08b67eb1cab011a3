//! The time of a row: text, or milliseconds since 1970. A number that is a time of our days in another unit only is refused,
//! because it would be stored in 1970 or far in the future.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Visitor};

use crate::model::{
    Timestamp,
    timestamp::epoch::{EpochUnit, SinceEpoch},
};

/// A timestamp in JSON.
pub struct Time(pub Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"2026-01-31T12:00:00Z\" or milliseconds since 1970")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                parse(text).map(Time).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<Time, E> {
                whole(millis, millis).map(Time).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<Time, E> {
                whole(i64::try_from(millis).unwrap_or(i64::MAX), millis).map(Time).map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, millis: f64) -> Result<Time, E> {
                fractional(millis, millis).map(Time).map_err(E::custom)
            }
        }

        from.deserialize_any(Reader)
    }
}

/// Parses text: RFC 3339, or a number of milliseconds.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let shown = || text.chars().take(64).collect::<String>();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let far = if digits.len() < text.len() { i64::MIN } else { i64::MAX };
        return whole(text.parse().unwrap_or(far), shown());
    }
    // Tables write whole numbers with a point, or large ones with an exponent.
    if let (Some(b'0'..=b'9'), Ok(number)) = (digits.bytes().next(), text.parse::<f64>()) {
        return fractional(number, shown());
    }
    text.parse().map_err(|error: crate::model::timestamp::TimeError| error.to_string())
}

#[expect(clippy::cast_precision_loss, reason = "the unit of a number is seen in its first digits")]
fn whole(millis: i64, shown: impl fmt::Display) -> Result<Timestamp, String> {
    check_unit(millis as f64, shown)?;
    // Saturates outside of the calendar; validation rejects such times anyway.
    Ok(Timestamp::from_micros(millis.saturating_mul(1_000)))
}

#[expect(clippy::cast_possible_truncation, reason = "the ends of the range saturate")]
fn fractional(millis: f64, shown: impl fmt::Display) -> Result<Timestamp, String> {
    check_unit(millis, shown)?;
    Ok(Timestamp::from_micros((millis * 1_000.0).round() as i64))
}

fn check_unit(number: f64, shown: impl fmt::Display) -> Result<(), String> {
    match SinceEpoch::of(number) {
        None | Some(SinceEpoch { unit: EpochUnit::Milliseconds, .. }) => Ok(()),
        Some(other) => Err(format!(
            "`{shown}` {other}; send milliseconds, such as {}, or text such as {}",
            other.at.as_millis(),
            other.text()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_milliseconds_and_other_units_are_named() {
        let moment = Timestamp::from_millis(1_790_000_000_000);
        for text in ["1790000000000", "1790000000000.0", "1.79e12", "2026-09-21 14:13:20+00"] {
            assert_eq!(parse(text), Ok(moment), "{text}");
        }
        for (text, unit) in [
            ("1790000000", "seconds"),
            ("1790000000.25", "seconds"),
            ("1.79e9", "seconds"),
            ("1790000000000000", "microseconds"),
            ("1790000000000000000", "nanoseconds"),
        ] {
            assert_eq!(
                parse(text),
                Err(format!(
                    "`{text}` looks like {unit} since 1970; send milliseconds, such as {}, or text such as \
                     2026-09-21T14:13:20Z",
                    if text.ends_with("25") { 1_790_000_000_250_i64 } else { 1_790_000_000_000 }
                ))
            );
        }
        // These are no times of our days in any unit; validation refuses them by its window.
        assert_eq!(parse("12345"), Ok(Timestamp::from_millis(12_345)));
        assert_eq!(parse("-1"), Ok(Timestamp::from_millis(-1)));
        assert_eq!(parse("99999999999999999999"), Ok(Timestamp::from_micros(i64::MAX)));
        for wrong in ["inf", "nan", "", "-", "yesterday", "31.01.2026 12:00"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
