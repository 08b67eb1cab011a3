//! Cross-origin resource sharing (CORS): what pages of the origins in `server.cors_origins` may send and see.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{header_list, ingest_api::metrics, origin, state::HttpState};
use crate::config::{Origin, Server};

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

/// Shows responses to the scripts of a page of another origin, and their times to its developer tools.
static TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// The addresses that pages of other origins use.
const ROUTES: [&str; 2] = ["/graphql", metrics::PATH];

/// The origins whose pages may see responses. Every response passes here, also that to a request which no handler has seen:
/// without these headers a page would take a timeout for a lost connection.
#[derive(Debug)]
pub struct Cors {
    origins: Vec<Origin>,
    allows_credentials: bool,
}

impl Cors {
    /// The origins of the settings.
    pub fn new(server: &Server) -> Self {
        Self { origins: server.cors_origins.clone(), allows_credentials: server.cors_credentials }
    }

    /// The origin of the page that sent these headers, if it may see the response.
    pub fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut given = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (given.next(), given.next()) else { return None };
        let is_listed = |origin| self.origins.contains(&origin);
        origin.to_str().ok().and_then(Origin::parse).is_some_and(is_listed).then(|| origin.clone())
    }

    /// The headers of a response to a page of an origin, or to any other client.
    pub fn headers(&self, origin: Option<HeaderValue>) -> Vec<(HeaderName, HeaderValue)> {
        if self.origins.is_empty() {
            return Vec::new();
        }
        // Caches must not give the response of one origin to another.
        let mut headers = vec![(header::VARY, HeaderValue::from_static("origin"))];
        if let Some(origin) = origin {
            headers.push((TIMING_ALLOW_ORIGIN.clone(), origin.clone()));
            headers.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
            headers.extend(list(RESPONSE_HEADERS).map(|names| (header::ACCESS_CONTROL_EXPOSE_HEADERS, names)));
            if self.allows_credentials {
                let yes = HeaderValue::from_static("true");
                headers.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes));
            }
        }
        headers
    }
}

/// The response to the question of a browser what a page may send, without the headers of every response. `None` for any
/// other request.
pub fn preflight(server: &Server, request: &Request) -> Option<Response> {
    let is_asking =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let route = request.extensions().get::<MatchedPath>().filter(|_| is_asking && !server.cors_origins.is_empty())?;
    ROUTES.contains(&route.as_str()).then(|| {
        let mut response = StatusCode::OK.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE.as_secs()));
        headers.extend(list(request_headers(server)).map(|names| (header::ACCESS_CONTROL_ALLOW_HEADERS, names)));
        response
    })
}

fn list(names: impl IntoIterator<Item = HeaderName>) -> Option<HeaderValue> {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    HeaderValue::from_str(&names.join(",")).ok()
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
