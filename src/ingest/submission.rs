//! The types of a call to the write path: the submission, its candidates, the receipt and the rejections.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::model::{Key, Label, Measurement, MetricType, ProjectId, StreamCursor, Timestamp};

/// One call: rows for one project.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The project that the rows belong to.
    pub project: Key<ProjectId>,
    /// The rows; rejections refer to them by their index in this list.
    pub candidates: Vec<Candidate>,
    /// Makes a retry safe: a repeated key stores nothing again and returns the receipt of the first call.
    pub idempotency_key: Option<String>,
    /// The name of the ingest API that received the call. Idempotency keys are unique per source.
    pub source: String,
    /// The effect of an invalid row on the valid ones.
    pub mode: Mode,
}

/// The effect of an invalid row on the valid rows of the same submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Valid rows are stored; invalid rows are listed in the receipt.
    #[default]
    Partial,
    /// One invalid row, and no row is stored.
    Atomic,
}

/// A row as the caller sent it, before validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The metric type.
    pub kind: MetricType,
    /// The value, in the unit of the type.
    pub value: f64,
    /// The route, page, query or cache that was measured.
    pub endpoint: String,
    /// The HTTP status, if the measurement has one.
    pub status: Option<i32>,
    /// The time of the measurement. Defaults to the time of arrival.
    pub timestamp: Option<Timestamp>,
    /// Distinguishes several measurements of one endpoint. Empty means none.
    pub name: Option<String>,
    /// The version of the software that was running. Empty means none.
    pub release: Option<String>,
    /// Pairs of a key and a value, in any order.
    pub labels: Vec<Label>,
}

impl From<Measurement> for Candidate {
    fn from(measurement: Measurement) -> Self {
        let Measurement { kind, value, endpoint, status, timestamp, name, release, labels } = measurement;
        Self {
            kind,
            value,
            endpoint,
            status: Some(i32::from(status)),
            timestamp: Some(timestamp),
            name: Some(name),
            release: Some(release),
            labels: labels.as_slice().to_vec(),
        }
    }
}

/// The answer to a submission, sent after COMMIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Number of stored rows, whether by this call or by the first call with the same key.
    pub accepted: u32,
    /// The rows that were not stored, by index.
    pub rejected: Vec<Rejection>,
    /// True if the idempotency key had been used before.
    pub duplicate: bool,
    /// The position of the last stored row. A stream opened after it continues with the next row.
    pub cursor: Option<StreamCursor>,
}

/// A problem with one field of a row, or with the row as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The name of the field in the API; empty for the row as a whole.
    #[serde(default)]
    pub field: Cow<'static, str>,
    /// The problem and its fix, without the name of the field.
    pub message: String,
}

impl FieldError {
    /// A problem with `field`.
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// A problem with the row as a whole.
    pub fn row(message: impl Into<String>) -> Self {
        Self::new("", message)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// A row that validation rejected. The ledger stores rejections as JSON; rows that were written before the field was
/// stored apart have no `field`, and name it in the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The index of the row in the submission, from zero.
    pub index: u32,
    /// The reason, for programs.
    pub code: RejectionCode,
    /// The field and the reason, for people.
    #[serde(flatten)]
    pub error: FieldError,
}

impl Rejection {
    /// The rejection of row `index`, about the field of `code`.
    pub fn new(index: u32, code: RejectionCode, message: String) -> Self {
        Self { index, code, error: FieldError::new(code.field(), message) }
    }
}

/// The reason of a rejection. The ledger stores these names: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RejectionCode {
    /// The value is NaN or infinite.
    ValueNotFinite,
    /// The value is negative.
    ValueNegative,
    /// The value exceeds the maximum of its type or of the sketch.
    ValueTooLarge,
    /// The endpoint is empty.
    EndpointEmpty,
    /// The endpoint exceeds the limit of bytes.
    EndpointTooLong,
    /// The endpoint contains control characters.
    EndpointInvalid,
    /// The status is not an HTTP status.
    StatusOutOfRange,
    /// The timestamp lies before the time window.
    TimestampTooOld,
    /// The timestamp lies after the time window.
    TimestampTooNew,
    /// The name exceeds the limit of bytes.
    NameTooLong,
    /// The name contains control characters.
    NameInvalid,
    /// The release exceeds the limit of bytes.
    ReleaseTooLong,
    /// The release contains control characters.
    ReleaseInvalid,
    /// There are more labels than the limit.
    LabelsTooMany,
    /// A key is empty, or a key or value contains control characters.
    LabelInvalid,
    /// A key or a value exceeds its limit of bytes.
    LabelTooLong,
    /// A key occurs twice.
    LabelTwice,
}

impl RejectionCode {
    /// The API's name of the field that the code is about.
    pub const fn field(self) -> &'static str {
        match self {
            Self::ValueNotFinite | Self::ValueNegative | Self::ValueTooLarge => "value",
            Self::EndpointEmpty | Self::EndpointTooLong | Self::EndpointInvalid => "endpoint",
            Self::StatusOutOfRange => "statusCode",
            Self::TimestampTooOld | Self::TimestampTooNew => "timestamp",
            Self::NameTooLong | Self::NameInvalid => "name",
            Self::ReleaseTooLong | Self::ReleaseInvalid => "release",
            Self::LabelsTooMany | Self::LabelInvalid | Self::LabelTooLong | Self::LabelTwice => "labels",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_rejection_reads_back_as_it_was() {
        let rejection = Rejection::new(3, RejectionCode::ValueNegative, "-1 is negative".to_owned());
        let stored = serde_json::to_string(&rejection).unwrap();
        assert_eq!(stored, r#"{"index":3,"code":"VALUE_NEGATIVE","field":"value","message":"-1 is negative"}"#);
        assert_eq!(serde_json::from_str::<Rejection>(&stored).unwrap(), rejection);
        assert_eq!(rejection.error.to_string(), "value: -1 is negative");
    }

    #[test]
    fn a_rejection_that_was_stored_without_its_field_keeps_its_text() {
        let stored = r#"{"index":3,"code":"VALUE_NEGATIVE","message":"value: -1 is negative"}"#;
        let rejection: Rejection = serde_json::from_str(stored).unwrap();
        assert_eq!(
            (rejection.code, rejection.error.to_string().as_str()),
            (RejectionCode::ValueNegative, "value: -1 is negative")
        );
    }
}
