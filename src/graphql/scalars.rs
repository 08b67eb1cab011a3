//! Scalars that say their unit: times, durations, long counts and stream cursors.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use std::sync::Arc;

use crate::{
    live,
    model::{self, timestamp},
};

/// A point in time, RFC 3339, always UTC with `Z` on output; microseconds are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(pub model::Timestamp);

/// A point in time as RFC 3339 text, always UTC with `Z` on output (`2026-01-31T12:00:00.123456Z`). Microseconds are
/// kept; on input any offset is accepted.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text.parse()?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    /// Here a refusal names the argument and the row; in `parse` it could not.
    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if text.parse::<model::Timestamp>().is_ok())
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A length of time in microseconds, written in ISO 8601.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub i64);

/// A length of time as ISO 8601 text: `PT5M` is five minutes, `PT24H` a day, `P7D` a week. Always longer than zero;
/// months and years are refused because they have no fixed length.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#appendix-A")]
impl ScalarType for Duration {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(timestamp::duration_micros(&text)?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    /// Here a refusal names the argument and the row; in `parse` it could not.
    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(timestamp::duration_text(self.0))
    }
}

/// A count that can pass 2^31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long(pub i64);

impl From<u64> for Long {
    fn from(count: u64) -> Self {
        Self(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// A whole number beyond the 32 bits of Int, as a JSON number; exact up to 2^53 in JavaScript.
#[Scalar]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => match number.as_i64() {
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

/// Where a stream stands, as `live::Cursors` sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCursor(pub Arc<str>);

/// Where a stream stands, opaque. Send it back as `after` to go on from there, on any instance: it holds for the stream
/// and the filter that it came from, the one in the answer of `ingestMetrics` for every stream of that organization.
#[Scalar]
impl ScalarType for StreamCursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if live::cursors::is_well_formed(&text) => Ok(Self(text.into())),
            Value::String(_) => Err(InputValueError::custom("not a cursor of a stream; use one as the server sent it")),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    /// Here a refusal names the argument and the row; in `parse` it could not.
    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
