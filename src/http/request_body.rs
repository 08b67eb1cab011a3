//! From bytes to a GraphQL request: media type, size and JSON, with errors that name the property.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::error::{Error, Result};

/// Whether the body says that it is JSON in UTF-8.
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    is_json && is_utf8
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// The status and the fault: 413 with the limit, or 400 when the client broke off.
pub async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, (StatusCode, Error)> {
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(|cause| cause.is::<axum::Error>() || cause.to_string().contains("length limit")) {
            let advice = format!("the body is larger than {limit} bytes; send less at once");
            (StatusCode::PAYLOAD_TOO_LARGE, Error::input("body", advice))
        } else {
            (StatusCode::BAD_REQUEST, Error::input("body", "the body ended before it was complete"))
        }
    })
}

/// Parses JSON; on failure it is read once more to name the property that is wrong.
///
/// # Errors
/// [`Error::Input`] with the path and the place.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|first| {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            // What breaks off before its first property has a place but no name.
            Err(error) if matches!(error.path().iter().next(), Some(Segment::Map { .. })) => {
                Error::input(error.path().to_string(), error.inner().to_string())
            }
            _ => Error::input("body", format!("is not a GraphQL request in JSON: {first}")),
        }
    })
}
