//! What a caller hands in and what comes back: the words of the write path.

use serde::{Deserialize, Serialize};

use crate::model::{Key, MetricType, ProjectId, StreamCursor, Timestamp};

/// What one call wants stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Where it belongs.
    pub project: Key<ProjectId>,
    /// The rows, in the order in which refusals count them.
    pub candidates: Vec<Candidate>,
    /// Makes a retry safe: the same key stores once and gets the same answer.
    pub idempotency_key: Option<String>,
    /// Which door it came through; keys of different doors do not meet.
    pub source: String,
    /// What a bad row does to the good ones.
    pub mode: Mode,
}

/// What a bad row does to the good ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Good rows are kept, bad ones are named.
    #[default]
    Partial,
    /// One bad row, and none is kept.
    Atomic,
}

/// A row as the caller sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What was measured.
    pub kind: MetricType,
    /// In the unit of the type.
    pub value: f64,
    /// The route, page, query or cache.
    pub endpoint: String,
    /// HTTP status, where there is one.
    pub status: Option<i32>,
    /// When it happened; the server's now when missing.
    pub timestamp: Option<Timestamp>,
    /// Which of several things of the endpoint was measured; empty is as good as missing.
    pub name: Option<String>,
    /// The version of the software that was running; empty is as good as missing.
    pub release: Option<String>,
}

/// The answer, given after COMMIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Rows stored, now or when the key was first seen.
    pub accepted: u32,
    /// Rows refused, by index.
    pub rejected: Vec<Rejection>,
    /// Whether the key had been seen before.
    pub duplicate: bool,
    /// The last stored row: a stream opened after it continues with what came next.
    pub cursor: Option<StreamCursor>,
}

/// Why a row was not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The position in the call, from zero.
    pub index: u32,
    /// The kind of fault.
    pub code: RejectionCode,
    /// The field, what is wrong with it and how to put it right.
    pub message: String,
}

/// The kind of fault in a row. The names are stored with receipts: never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RejectionCode {
    /// NaN or infinite.
    ValueNotFinite,
    /// Below zero.
    ValueNegative,
    /// Above what the type or the sketch can hold.
    ValueTooLarge,
    /// No endpoint.
    EndpointEmpty,
    /// More bytes than allowed.
    EndpointTooLong,
    /// Control characters in the endpoint.
    EndpointInvalid,
    /// Not an HTTP status.
    StatusOutOfRange,
    /// Before the window.
    TimestampTooOld,
    /// After the window.
    TimestampTooNew,
    /// More bytes than allowed.
    NameTooLong,
    /// Control characters in the name.
    NameInvalid,
    /// More bytes than allowed.
    ReleaseTooLong,
    /// Control characters in the release.
    ReleaseInvalid,
}

impl RejectionCode {
    /// The field of a row that it is about.
    pub const fn field(self) -> &'static str {
        match self {
            Self::ValueNotFinite | Self::ValueNegative | Self::ValueTooLarge => "value",
            Self::EndpointEmpty | Self::EndpointTooLong | Self::EndpointInvalid => "endpoint",
            Self::StatusOutOfRange => "statusCode",
            Self::TimestampTooOld | Self::TimestampTooNew => "timestamp",
            Self::NameTooLong | Self::NameInvalid => "name",
            Self::ReleaseTooLong | Self::ReleaseInvalid => "release",
        }
    }
}
