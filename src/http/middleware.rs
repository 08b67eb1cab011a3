//! What happens to every request: an id, a log line, a measurement of its own, a guard against panics and against
//! pages that pretend to be this machine.

use std::{any::Any, panic::AssertUnwindSafe};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use tokio::time::timeout;

use super::{
    doors::metrics,
    graphql, origin,
    router::HttpState,
    trace::{TRACERESPONSE, Trace},
    websocket,
};
use crate::{clock::Stopwatch, error::Error};

/// Names a request in the log and in the answer.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where the time of a request went.
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a handler says about its statements.
#[derive(Clone, Copy, Debug)]
pub struct InDatabase {
    /// How many.
    pub statements: usize,
    /// How long all of them took; side by side they may take longer than the request.
    pub ms: f64,
}

/// What a handler says about the request for the server's own metrics, where the route says too little.
#[derive(Clone, Debug)]
pub struct Operation(pub String);

/// Says that the response is no measure: it is a stream, whose operations are recorded by themselves.
#[derive(Clone, Copy, Debug)]
pub struct Unmeasured;

/// Lets a request through to its handler, with everything around it.
pub async fn guard(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    if !is_meant(&state, request.headers()) {
        let fault = Error::Forbidden(
            "this server answers local names only (localhost, 127.0.0.1, [::1]) and those of server.public_origins"
                .to_owned(),
        );
        return graphql::failure_by_code(&fault);
    }
    observe(&state, request, next).await
}

/// Without authentication everybody who reaches the server is its administrator, so a page on the web must not reach
/// it by a name that it made resolve to loopback.
fn is_meant(state: &HttpState, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    !state.config.server.listen.ip().to_canonical().is_loopback()
        || host.is_none_or(|host| origin::is_own_host(host, &state.config.server))
}

/// Gives the request an id, logs it and records how long it took.
async fn observe(state: &HttpState, request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let id = request_id(&request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let is_upgrade = websocket::is_upgrade(request.headers());
    let trace = Trace::read(request.headers());
    let span = tracing::info_span!("request", %id, trace = trace.as_ref().map(|trace| &*trace.id));
    let mut response = tracing::Instrument::instrument(answer(state, request, next), span.clone()).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let operation = response.extensions_mut().remove::<Operation>().map(|operation| operation.0);
    if let Some(value) = trace.and_then(|trace| trace.response()) {
        response.headers_mut().insert(TRACERESPONSE.clone(), value);
    }
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        // What is left of the body is not read, so nothing else can come over this connection: the client must know.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status().as_u16();
    let elapsed_ms = watch.elapsed_ms();
    let in_database = response.extensions_mut().remove::<InDatabase>();
    if let Ok(value) = HeaderValue::from_str(&server_timing(elapsed_ms, in_database)) {
        response.headers_mut().insert(SERVER_TIMING.clone(), value);
    }
    let _entered = span.enter();
    tracing::debug!(%method, route, operation, status, elapsed_ms, "served");
    // A socket or stream lives as long as its client likes: that is not a response time. Addresses that do not exist are
    // made up by callers and would fill the list of endpoints.
    let is_measured = !is_upgrade && response.extensions_mut().remove::<Unmeasured>().is_none();
    if let (Some(route), true) = (route, is_measured) {
        state.recorder.record(&operation.unwrap_or_else(|| format!("{method} {route}")), status, elapsed_ms);
    }
    response
}

/// Browsers show it beside the request.
fn server_timing(elapsed_ms: f64, in_database: Option<InDatabase>) -> String {
    let database = in_database.map(|InDatabase { statements, ms }| {
        let noun = if statements == 1 { "statement" } else { "statements" };
        format!("db;dur={};desc=\"{statements} {noun}\", ", thousandths(ms))
    });
    format!("{}total;dur={}", database.unwrap_or_default(), thousandths(elapsed_ms))
}

/// A time with three decimals. Numbers with a fraction are rounded by the long way when they are written.
fn thousandths(ms: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in microseconds")]
    let micros = (ms * 1_000.0).round() as u64;
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

fn request_id(request: &Request) -> String {
    let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    // What a caller sends ends up in the log: keep what looks like an id, nothing else.
    match given.filter(|id| {
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }) {
        Some(id) => id.to_owned(),
        None => format!("{:016x}", rand::random::<u64>()),
    }
}

/// The answer, in time and without a panic: that costs one response, and the server lives on.
async fn answer(state: &HttpState, request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(in_time(state, request, next)).catch_unwind().await;
    answered.unwrap_or_else(|panic| graphql::failure_by_code(&panicked(panic.as_ref())))
}

/// Ends a request that takes too long with an answer that says so. A body of metrics has patience of its own, and an
/// answer that says what of it was stored.
async fn in_time(state: &HttpState, request: Request, next: Next) -> Response {
    if request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str() == metrics::PATH) {
        return next.run(request).await;
    }
    let answered = timeout(state.config.server.request_timeout, next.run(request)).await;
    answered.unwrap_or_else(|_| graphql::failure_by_code(&Error::Timeout))
}

/// Logs a panic; what remains of it for the caller is that something failed.
pub fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a request panicked");
    Error::internal("panic")
}
