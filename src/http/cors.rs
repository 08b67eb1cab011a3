//! Cross-origin resource sharing (CORS) for the origins in `server.cors_origins`.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer, Vary};

use super::{header_list, origin, state::HttpState};
use crate::config::Server;

/// Time for which a browser may cache the result of a preflight request.
const MAX_AGE: Duration = Duration::from_hours(1);

/// Request headers that pages may send in addition to those that browsers always allow, and to `server.cors_headers`.
const REQUEST_HEADERS: [HeaderName; 13] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    HeaderName::from_static("apollographql-client-name"),
    HeaderName::from_static("apollographql-client-version"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("perfgraph-explain"),
    HeaderName::from_static("perfgraph-max-statements"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// Response headers that pages may read in addition to those that browsers always show.
const RESPONSE_HEADERS: [HeaderName; 6] = [
    header::ACCEPT_ENCODING,
    header::ALLOW,
    header::RETRY_AFTER,
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("traceresponse"),
    HeaderName::from_static("x-request-id"),
];

/// The CORS layer, or `None` if no origin is configured.
pub fn layer(server: &Server) -> Option<CorsLayer> {
    if server.cors_origins.is_empty() {
        return None;
    }
    let listed = server.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(listed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(request_headers(server).collect::<Vec<_>>())
        .expose_headers(RESPONSE_HEADERS)
        .allow_credentials(server.cors_credentials)
        .vary(Vary::list([header::ORIGIN]))
        .max_age(MAX_AGE);
    Some(layer)
}

fn request_headers(server: &Server) -> impl Iterator<Item = HeaderName> {
    let added = server.cors_headers.iter().filter_map(|name| name.as_str().parse().ok());
    REQUEST_HEADERS.into_iter().chain(origin::PREFLIGHT.map(HeaderName::from_static)).chain(added)
}

/// Logs the setting that would allow what a preflight request asks for. The browser does not send the request itself, so
/// nothing else would be logged.
pub fn tell_refusal(state: &HttpState, headers: &HeaderMap) {
    let server = &state.config.server;
    if !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return;
    }
    if !origin::is_allowed(headers, server) {
        return state.refused_origins.tell(headers);
    }
    let wanted = header_list::items(headers, &header::ACCESS_CONTROL_REQUEST_HEADERS);
    let is_refused = |wanted: &str| !request_headers(server).any(|known| known.as_str().eq_ignore_ascii_case(wanted));
    let refused: Vec<_> = wanted.iter().filter(|wanted| is_refused(wanted)).map(ToString::to_string).collect();
    if !refused.is_empty() {
        state.refused_origins.tell_headers(headers, &refused);
    }
}
