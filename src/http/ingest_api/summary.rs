//! The response of the ingest API: counts, refused rows, and the error if the body was not read to its end.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    error::Error,
    http::fault,
    ingest::bulk::{RowError, Summary},
    live::Cursors,
};

#[derive(Serialize)]
struct SummaryBody<'a> {
    accepted: u64,
    rejected: u64,
    errors: Vec<RefusedRow<'a>>,
    duplicate: bool,
    cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody<'a>>,
}

#[derive(Serialize)]
struct RefusedRow<'a> {
    index: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
    message: &'a str,
}

impl<'a> From<&'a RowError> for RefusedRow<'a> {
    fn from(RowError { index, error }: &'a RowError) -> Self {
        Self { index: *index, field: &error.field, message: &error.message }
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
}

/// The response after all rows were read: 400 if all of them were refused, otherwise 200.
pub fn complete(summary: &Summary, cursors: &Cursors) -> Response {
    let is_refused = summary.accepted == 0 && summary.rejected > 0;
    respond(if is_refused { StatusCode::BAD_REQUEST } else { StatusCode::OK }, summary, cursors, None)
}

/// The response if the body was not read to its end. The rows that the summary counts as accepted are stored.
pub fn interrupted(summary: &Summary, cursors: &Cursors, fault: &Error, status: StatusCode) -> Response {
    let message = fault.to_string();
    let error = ErrorBody { code: fault.code().as_str(), message: &message };
    fault::with_retry_after(respond(status, summary, cursors, Some(error)), fault)
}

/// The status of a fault of the write path.
pub fn status(fault: &Error) -> StatusCode {
    match fault {
        Error::Limit { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => fault::status(fault),
    }
}

fn respond(status: StatusCode, summary: &Summary, cursors: &Cursors, error: Option<ErrorBody<'_>>) -> Response {
    let body = SummaryBody {
        accepted: summary.accepted,
        rejected: summary.rejected,
        errors: summary.errors.iter().map(RefusedRow::from).collect(),
        duplicate: summary.duplicate,
        cursor: summary.cursor.map(|cursor| cursors.receipt(cursor)),
        error,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    match serde_json::to_vec(&body) {
        Ok(bytes) => (status, headers, bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "a summary could not be serialized");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
