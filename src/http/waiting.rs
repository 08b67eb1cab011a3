//! The routes of a server that cannot answer requests yet: it lives, is not ready, and says when to come back.

use axum::{
    Router,
    http::StatusCode,
    response::IntoResponse,
    routing::{any, get},
};

use super::{fault, health};
use crate::error::Error;

const RETRY_AFTER_S: u32 = 5;

/// Answers everything but liveness and the version with 503 and the reason.
pub fn router(reason: &'static str) -> Router {
    let refusal = move || async move {
        fault::response_by_code(&Error::Unavailable { message: reason, retry_after_s: RETRY_AFTER_S, source: None })
    };
    let ready = move || async move { (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response() };
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .route("/version", get(health::version))
        .fallback(any(refusal))
}
