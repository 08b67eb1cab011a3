//! The time of a request as text, in milliseconds.

use crate::ingest::submission::FieldError;

/// The longest time of a request that is believed. A longer one is another number, such as a moment.
const DURATION_MS_MAX: f64 = 30.0 * 86_400_000.0;

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

impl TimeUnit {
    /// All units.
    pub const ALL: [Self; 4] = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];

    /// The symbol: `s`, `ms`, `us` or `ns`.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::Nanoseconds => "ns",
        }
    }

    /// The name in the plural.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Nanoseconds => "nanoseconds",
        }
    }

    /// The unit by its symbol.
    pub fn by_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.symbol() == symbol)
    }

    /// The power of ten that converts a number into milliseconds.
    const fn exponent(self) -> i32 {
        match self {
            Self::Seconds => 3,
            Self::Milliseconds => 0,
            Self::Microseconds => -3,
            Self::Nanoseconds => -6,
        }
    }
}

/// The form of a time of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A number in a unit.
    Plain(TimeUnit),
    /// Seconds with a decimal point, as nginx always writes them. A whole number is another field.
    Fraction,
    /// As [`Form::Fraction`], one for each server that was asked. They are added up.
    Fractions,
    /// A number with its unit, such as `22ms`.
    WithUnit,
}

impl Form {
    /// The form in words, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Plain(unit) => unit.name(),
            Self::Fraction => "seconds",
            Self::Fractions => "seconds, added up for all servers that were asked",
            Self::WithUnit => "with its unit",
        }
    }
}

/// Reads a time of a request.
///
/// # Errors
/// The text does not have this form, or is too long to be the time of a request.
pub fn milliseconds(text: &str, form: Form, name: &str) -> Result<f64, FieldError> {
    let refuse = |reason: &str| {
        let shown: String = text.chars().take(32).collect();
        FieldError::new("value", format!("`{shown}` at {name} {reason}"))
    };
    if text == "-" || text.is_empty() {
        return Err(refuse("is no time: the server did not measure this request"));
    }
    let value = match form {
        Form::Plain(unit) => {
            decimal(text, unit).ok_or_else(|| refuse(&format!("is not a number of {}", unit.name())))?
        }
        Form::Fraction | Form::Fractions => {
            let refuse = || refuse("is not a number of seconds with a decimal point such as 0.250");
            let items = super::layout::items(text);
            let times: Option<Vec<f64>> = match form {
                Form::Fraction => Some(vec![fraction(text).ok_or_else(refuse)?]),
                _ => items.filter(|item| *item != "-").map(fraction).collect(),
            };
            let times = times.filter(|times| !times.is_empty()).ok_or_else(refuse)?;
            times.iter().sum()
        }
        Form::WithUnit => with_unit(text).ok_or_else(|| refuse("is not a time with a unit such as 22ms"))?,
    };
    if value > DURATION_MS_MAX {
        return Err(refuse("is longer than 30 days, so it is not the time of a request"));
    }
    Ok(value)
}

/// A number with a decimal point in seconds.
fn fraction(text: &str) -> Option<f64> {
    text.contains('.').then(|| decimal(text, TimeUnit::Seconds))?
}

/// A number in milliseconds. Moves the decimal point instead of multiplying, which would make 1.001 s 1000.9999999999999 ms.
pub fn decimal(text: &str, unit: TimeUnit) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        // JSON writes small numbers as 2.5e-05.
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|power| power.abs() < 400)?),
        None => (text, 0),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    format!("{mantissa}e{}", exponent + unit.exponent()).parse().ok().filter(|value: &f64| value.is_finite())
}

/// Numbers with units, as Go writes them: `22ms`, `1.5s`, `1m2.5s`, `350µs`.
pub fn with_unit(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|character: char| !character.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let minutes = |count: f64| decimal(number, TimeUnit::Seconds).map(|value| value * 60.0 * count);
        sum += match unit {
            "h" => minutes(60.0)?,
            "m" => minutes(1.0)?,
            "µs" | "μs" => decimal(number, TimeUnit::Microseconds)?,
            symbol => decimal(number, TimeUnit::by_symbol(symbol)?)?,
        };
        rest = behind;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_form_and_exactly() {
        let second = TimeUnit::Seconds;
        for (text, form, expected) in [
            ("0.250", Form::Fraction, Some(250.0)),
            ("1.001", Form::Fraction, Some(1_001.0)),
            ("250", Form::Fraction, None),
            ("-", Form::Fraction, None),
            ("0.100, 0.201", Form::Fractions, Some(301.0)),
            ("0.100, -, 0.201 : 0.001", Form::Fractions, Some(302.0)),
            ("-, -", Form::Fractions, None),
            ("0.100, 5", Form::Fractions, None),
            ("12345", Form::Plain(TimeUnit::Microseconds), Some(12.345)),
            ("250000000", Form::Plain(TimeUnit::Nanoseconds), Some(250.0)),
            ("2", Form::Plain(second), Some(2_000.0)),
            ("2.5e-05", Form::Plain(second), Some(0.025)),
            ("250", Form::Plain(TimeUnit::Milliseconds), Some(250.0)),
            ("0,250", Form::Plain(second), None),
            ("1e999", Form::Plain(second), None),
            ("-1", Form::Plain(second), None),
            ("+1", Form::Plain(second), None),
            ("inf", Form::Plain(second), None),
            ("1.", Form::Plain(second), None),
            ("1795953600", Form::Plain(second), None),
            ("22ms", Form::WithUnit, Some(22.0)),
            ("0ms", Form::WithUnit, Some(0.0)),
            ("1m2.5s", Form::WithUnit, Some(62_500.0)),
            ("350µs", Form::WithUnit, Some(0.35)),
            ("1h0m1s", Form::WithUnit, Some(3_601_000.0)),
            ("22", Form::WithUnit, None),
            ("ms", Form::WithUnit, None),
            ("22 ms", Form::WithUnit, None),
            ("22MS", Form::WithUnit, None),
        ] {
            let value = milliseconds(text, form, "$x").ok();
            assert_eq!(value.map(f64::to_bits), expected.map(f64::to_bits), "{text} {form:?}: {value:?}");
        }
    }
}
