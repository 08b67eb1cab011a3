//! Which pages of other origins browsers let read answers, and what they may send.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer, Vary};

use super::origin;
use crate::config::Server;

/// How long a browser may remember what it was told.
const MAX_AGE: Duration = Duration::from_hours(1);

/// What clients send besides the headers that browsers always allow.
const REQUEST_HEADERS: [HeaderName; 12] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    HeaderName::from_static("apollographql-client-name"),
    HeaderName::from_static("apollographql-client-version"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("perfgraph-explain"),
    HeaderName::from_static("perfgraph-max-statements"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// The layer that answers browsers' questions; none without a listed origin, so that they are told nothing.
pub fn layer(server: &Server) -> Option<CorsLayer> {
    if server.cors_origins.is_empty() {
        return None;
    }
    let listed = server.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
    let headers = REQUEST_HEADERS.into_iter().chain(origin::PREFLIGHT.map(HeaderName::from_static));
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(listed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers.collect::<Vec<_>>())
        .expose_headers([header::RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .allow_credentials(server.cors_credentials)
        .vary(Vary::list([header::ORIGIN]))
        .max_age(MAX_AGE);
    Some(layer)
}
