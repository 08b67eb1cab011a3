//! The answer of a door: what became of the rows, and why it ended where it did not go to the end.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    error::Error,
    ingest::bulk::{RowError, Summary},
    live::Cursors,
};

#[derive(Serialize)]
struct Body<'a> {
    accepted: u64,
    rejected: u64,
    errors: Vec<Row<'a>>,
    duplicate: bool,
    cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    index: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
    message: &'a str,
}

impl<'a> From<&'a RowError> for Row<'a> {
    fn from(RowError { index, error }: &'a RowError) -> Self {
        Self { index: *index, field: &error.field, message: &error.message }
    }
}

#[derive(Serialize)]
struct Fault<'a> {
    code: &'static str,
    message: &'a str,
}

/// All rows were read.
pub fn complete(summary: &Summary, cursors: &Cursors) -> Response {
    let is_refused = summary.accepted == 0 && summary.rejected > 0;
    answer(if is_refused { StatusCode::BAD_REQUEST } else { StatusCode::OK }, summary, cursors, None)
}

/// It ended by a fault; what the summary says is durable.
pub fn broken_off(summary: &Summary, cursors: &Cursors, fault: &Error, status: StatusCode) -> Response {
    let message = fault.to_string();
    let mut response = answer(status, summary, cursors, Some(Fault { code: fault.code().as_str(), message: &message }));
    if let Error::Unavailable { retry_after_s, .. } = fault {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
    }
    response
}

/// The status that a fault of the write path has at a door.
pub fn status(fault: &Error) -> StatusCode {
    match fault {
        Error::Limit { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::from_u16(fault.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn answer(status: StatusCode, summary: &Summary, cursors: &Cursors, error: Option<Fault<'_>>) -> Response {
    let body = Body {
        accepted: summary.accepted,
        rejected: summary.rejected,
        errors: summary.errors.iter().map(Row::from).collect(),
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
            tracing::error!(%error, "a summary could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
