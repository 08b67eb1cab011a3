//! From bytes to a GraphQL request: media type, size and JSON, with errors that name the property.

use async_graphql::Request;
use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
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

/// From the properties of a request to the request; unknown ones are ignored.
///
/// # Errors
/// [`Error::Input`] naming the property.
pub fn request(properties: Map<String, Value>) -> Result<Request> {
    if !matches!(properties.get("query"), Some(Value::String(_))) {
        return Err(Error::input("query", "must be the text of a GraphQL document"));
    }
    serde_path_to_error::deserialize(Value::Object(properties))
        .map_err(|error| Error::input(error.path().to_string(), error.inner().to_string()))
}

/// Reads a request as it stands in a body.
///
/// # Errors
/// [`Error::Input`] naming the property.
pub fn body(bytes: &[u8]) -> Result<Request> {
    // A sequence would be taken for the properties in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::input("body", "batches of operations are not taken yet; send one operation as an object"));
    }
    let request: Request = parse(bytes)?;
    if request.query.is_empty() {
        return Err(Error::input("query", "must be the text of a GraphQL document"));
    }
    Ok(request)
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
