//! Cross-origin resource sharing (CORS) for the origins in `server.cors_origins`.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer, Vary};

use super::origin;
use crate::config::Server;

/// Time for which a browser may cache the result of a preflight request.
const MAX_AGE: Duration = Duration::from_hours(1);

/// Request headers that pages may send in addition to those that browsers always allow.
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

/// The CORS layer, or `None` if no origin is configured.
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
