//! The body of an ingest request: its format, and the reasons why it could not be read to its end.

use axum::http::HeaderMap;

use crate::{
    http::{
        content_encoding::{self, Encoding},
        media_type,
    },
    ingest::formats::{Format, ReadError},
};

/// The format by `Content-Type`. `None` if it is not supported or not in UTF-8.
pub fn format(headers: &HeaderMap) -> Option<Format> {
    match media_type::of_body(headers)?.as_str() {
        "application/x-ndjson" | "application/jsonl" => Some(Format::Ndjson),
        "application/json" => Some(Format::JsonArray),
        "text/csv" | "text/tab-separated-values" => Some(Format::Csv),
        _ => None,
    }
}

/// True if reading failed because the encoded or the decoded body is too large.
pub fn is_too_large(broken: &ReadError) -> bool {
    match broken {
        ReadError::TooLarge(_) => true,
        ReadError::Source(error) => content_encoding::is_too_large(error),
        ReadError::Malformed(_) => false,
    }
}

/// True if reading failed because the body gave way to others.
pub fn is_without_room(broken: &ReadError) -> bool {
    matches!(broken, ReadError::Source(error) if content_encoding::is_without_room(error))
}

/// The message for a body that could not be read to its end.
pub fn message(broken: &ReadError, encoding: Encoding) -> String {
    match broken {
        ReadError::Source(error) => content_encoding::message(error, encoding),
        ReadError::Malformed(_) | ReadError::TooLarge(_) => broken.to_string(),
    }
}
