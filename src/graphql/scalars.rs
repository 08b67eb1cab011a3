//! Custom scalars: times, durations, 64-bit integers and stream cursors.

use async_graphql::{Description, InputValueError, InputValueResult, Scalar, ScalarType, Value};

use std::sync::Arc;

use crate::{
    engine::schema::whole_number,
    live,
    model::{
        self,
        timestamp::{self, TimeError, epoch::SinceEpoch},
    },
};

/// A point in time in RFC 3339, for example `2026-01-31T12:00:00.123456Z`. Output is always UTC with `Z`. Input accepts
/// any offset, a blank instead of `T`, and the offsets `+00` and `+0530` as databases write them; digits beyond
/// microseconds are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Description)]
pub struct DateTime(pub model::Timestamp);

#[Scalar(use_type_description, specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text.parse()?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    /// Checked here because this error names the argument and its position; an error of `parse` cannot.
    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if text.parse::<model::Timestamp>().is_ok())
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl DateTime {
    /// The probable mistake in a value that is no time.
    pub fn hint(value: &Value) -> Option<String> {
        let since_epoch = match value {
            Value::Number(number) => SinceEpoch::of(number.as_f64()?),
            Value::String(text) => match text.parse::<model::Timestamp>() {
                Err(TimeError::Number(_, number)) => Some(number),
                Err(TimeError::NoOffset(_)) => {
                    return Some("it has no offset: append Z for UTC, or the offset, such as +02:00".to_owned());
                }
                _ => None,
            },
            _ => None,
        };
        since_epoch.map(|number| format!("it {number}, which is \"{}\"", number.text()))
    }
}

/// A duration of fixed length. Input is ISO 8601, such as `PT5M`, `PT24H`, `P7D` or `PT0.25S`, or the short form `5m`,
/// `1h 30m`, `7d`, `500ms`. Output is always ISO 8601. A day has 24 hours, a week 7 days. Zero, negative durations,
/// months and years are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Description)]
pub struct Duration(pub i64);

#[Scalar(use_type_description, specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#appendix-A")]
impl ScalarType for Duration {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(timestamp::duration_micros(&text)?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    /// Checked here because this error names the argument and its position; an error of `parse` cannot.
    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(timestamp::duration_text(self.0))
    }
}

/// A 64-bit integer, serialized as a JSON number. JavaScript represents values up to 2^53 exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Description)]
pub struct Long(pub i64);

impl From<u64> for Long {
    fn from(count: u64) -> Self {
        Self(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

#[Scalar(use_type_description)]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => match whole_number(number) {
                Some(number) => Ok(Self(number)),
                None => Err(InputValueError::expected_type(value)),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// An opaque position in a stream. Pass it back as `after` to resume there, on any server. A cursor is valid for the
/// stream and the filter that returned it; the cursor of `ingestMetrics` is valid for `metricStream` and `metricWindow`
/// in its organization.
#[derive(Clone, Debug, PartialEq, Eq, Description)]
pub struct StreamCursor(pub Arc<str>);

#[Scalar(use_type_description)]
impl ScalarType for StreamCursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if live::cursors::is_well_formed(&text) => Ok(Self(text.into())),
            Value::String(_) => Err(InputValueError::custom("not a cursor of a stream; use one as the server sent it")),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    /// Checked here because this error names the argument and its position; an error of `parse` cannot.
    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
