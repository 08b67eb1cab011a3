//! Responses that consist of a single fault, met outside of the execution of an operation.

use std::any::Any;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::media_type;
use crate::{
    engine::{
        error::{Phase, refuse},
        payload,
    },
    error::Error,
};

/// The response for a fault, with this status, and with `Retry-After` if the server is unavailable.
pub fn response(fault: &Error, status: StatusCode) -> Response {
    with_retry_after(json(status, media_type::JSON, body(fault)), fault)
}

/// The response for a fault, with the status of its code.
pub fn response_by_code(fault: &Error) -> Response {
    response(fault, status(fault))
}

/// Adds `Retry-After` if the fault says when to come back.
pub fn with_retry_after(mut response: Response, fault: &Error) -> Response {
    if let Error::Unavailable { retry_after_s, .. } = fault {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
    }
    response
}

/// The status of a fault's code.
pub fn status(fault: &Error) -> StatusCode {
    StatusCode::from_u16(fault.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A fault as the JSON of a GraphQL response.
pub fn body(fault: &Error) -> String {
    payload::text(&refuse(fault), Phase::Request)
}

/// A JSON response that must not be cached.
pub fn json(status: StatusCode, media_type: HeaderValue, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept")),
    ];
    (status, headers, body).into_response()
}

/// Logs a panic and returns the fault for the caller, which does not contain the message of the panic.
pub fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a request panicked");
    Error::internal("panic")
}
