//! The middleware of all requests: host check, request id, log line, timeout, measurement, and recovery from panics.

use std::{borrow::Cow, fmt, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use tokio::time::timeout;

use super::{
    caller, compression, cors, fault,
    ingest_api::metrics,
    logged_request::LoggedRequest,
    observation::{DatabaseWork, Observation, Unrecorded},
    origin,
    state::HttpState,
    trace::{TRACERESPONSE, Trace},
    unread_body::UnreadBody,
};
use crate::{clock::Stopwatch, error::Error, random::Random};

/// Identifies a request in the log and in the response.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Time of the request and of its database work; browsers show it in their developer tools.
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Answers a request and leaves its connection ready for the next one, or says that it ends.
pub async fn guard(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let unread = UnreadBody::follow(&mut request);
    let mut response = admit(&state, request, next).await;
    if let Some(unread) = unread {
        unread.finish(state.config.limits.body_bytes_max.saturating_mul(4), &mut response).await;
    }
    response
}

/// Passes a request to its handler if its host is allowed.
async fn admit(state: &HttpState, mut request: Request, next: Next) -> Response {
    let head_max = state.config.limits.header_bytes_max;
    if head_bytes(&request) > head_max {
        let message = format!("the maximum is {head_max} bytes (limits.header_bytes_max); send shorter headers");
        let mut response =
            fault::response(&Error::input("headers", message), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    if let Err(fault) = origin::check_host(&request, &state.config.server) {
        return fault::response_by_code(&fault);
    }
    if request.method() == Method::OPTIONS {
        cors::tell_refusal(state, request.headers());
    }
    compression::choose(request.headers_mut());
    observe(state, request, next).await
}

/// The bytes of a request's head: its first line and its headers. The buffer of the HTTP library ends a head much later,
/// because it grows by doubling. White space around values that the library has removed is not counted.
fn head_bytes(request: &Request) -> usize {
    /// A space, a space, `HTTP/1.1` and the end of the line.
    const FIRST_LINE: usize = 12;
    /// A colon, a space and the end of the line.
    const HEADER_LINE: usize = 4;
    /// The empty line.
    const END: usize = 2;
    let uri = request.uri();
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len() + HEADER_LINE).sum();
    request.method().as_str().len() + scheme + authority + path + FIRST_LINE + headers + END
}

/// Assigns a request id, logs the request and records its duration.
async fn observe(state: &HttpState, request: Request, next: Next) -> Response {
    let trace = Trace::read(request.headers());
    let logged = LoggedRequest {
        id: request_id(&request, &state.random),
        trace: trace.as_ref().map(|trace| Arc::clone(&trace.id)),
    };
    let id = HeaderValue::from_str(&logged.id);
    let mut response = LoggedRequest::attribute(Some(logged), measure(state, request, next)).await;
    if let Ok(value) = id {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(value) = trace.and_then(|trace| trace.response(&state.random)) {
        response.headers_mut().insert(TRACERESPONSE.clone(), value);
    }
    response
}

/// Answers a request, and logs and records how.
async fn measure(state: &HttpState, request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let peer = caller::peer(request.extensions()).map(tracing::field::display);
    let mut response = respond(state, request, next).await;
    let status = response.status().as_u16();
    let elapsed_ms = watch.elapsed_ms();
    let observed = response.extensions_mut().remove::<Observation>();
    let database = observed.as_ref().and_then(|observed| observed.database);
    if let Ok(value) = HeaderValue::try_from(server_timing(elapsed_ms, database)) {
        response.headers_mut().insert(SERVER_TIMING.clone(), value);
    }
    let operation = observed.as_ref().map(|observed| &*observed.operation);
    let route = route.as_ref().map(MatchedPath::as_str);
    tracing::debug!(peer, %method, route, operation, status, elapsed_ms, "request handled");
    // Requests to unknown addresses are not recorded: callers invent the addresses, which would fill the list of endpoints.
    let is_recorded = response.extensions_mut().remove::<Unrecorded>().is_none();
    if let (Some(route), true) = (route, is_recorded) {
        let endpoint = operation.map_or_else(|| Cow::Owned(format!("{method} {route}")), Cow::Borrowed);
        state.recorder.record(&endpoint, status, elapsed_ms);
    }
    response
}

fn server_timing(elapsed_ms: f64, database: Option<DatabaseWork>) -> String {
    let total = Thousandths(elapsed_ms);
    match database {
        None => format!("total;dur={total}"),
        Some(DatabaseWork { statements, elapsed_ms }) => {
            let noun = if statements == 1 { "statement" } else { "statements" };
            let database = Thousandths(elapsed_ms);
            format!("db;dur={database};desc=\"{statements} {noun}\", total;dur={total}")
        }
    }
}

/// A time with three decimals. Formatting integers is faster than formatting a float with a precision.
struct Thousandths(f64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in microseconds")]
        let micros = (self.0 * 1_000.0).round() as u64;
        write!(f, "{}.{:03}", micros / 1_000, micros % 1_000)
    }
}

fn request_id(request: &Request, random: &Random) -> Arc<str> {
    let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    // The id is written to the log, so only letters, digits and hyphens are accepted.
    match given.filter(|id| {
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }) {
        Some(id) => id.into(),
        None => format!("{:016x}", random.number()).into(),
    }
}

/// Runs the handler. A panic costs one response, and the server continues.
async fn respond(state: &HttpState, request: Request, next: Next) -> Response {
    if let Some(response) = cors::preflight(&state.config.server, &request) {
        return response;
    }
    let response = AssertUnwindSafe(respond_in_time(state, request, next)).catch_unwind().await;
    response.unwrap_or_else(|panic| fault::response_by_code(&fault::panicked(panic.as_ref())))
}

/// Applies the request timeout, except to the ingest API, which has a timeout for the body and reports the rows that were
/// stored.
async fn respond_in_time(state: &HttpState, request: Request, next: Next) -> Response {
    if request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str() == metrics::PATH) {
        return next.run(request).await;
    }
    let response = timeout(state.config.server.request_timeout, next.run(request)).await;
    response.unwrap_or_else(|_| fault::response_by_code(&Error::Timeout))
}
