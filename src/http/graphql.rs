//! GraphQL over HTTP: POST and GET, one operation or a batch; what the client wants decides how it is answered.

mod accept;
mod batch;
mod explain;
mod reply;

use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

pub use self::reply::{failure, failure_by_code};
use self::{
    accept::{MediaType, Wish},
    explain::Explain,
    reply::Style,
};
use super::{
    middleware::{self, InDatabase},
    origin,
    request_body::{self, Content, Malformed},
    router::HttpState,
    streams,
};
use crate::{
    auth,
    engine::{Admitted, Answer, Method, Operation, Request as GraphqlRequest},
    error::Error,
};

/// `POST /graphql`.
pub async fn post(State(state): State<HttpState>, headers: HeaderMap, body: Body) -> Response {
    let Some(wish) = accept::negotiate(&headers) else {
        return not_acceptable();
    };
    let style = style(&state, wish);
    // Also what keeps foreign pages out: a browser sends JSON across sites only after asking, and is not allowed.
    if !request_body::is_json(&headers) {
        let fault = Error::input("Content-Type", "send a GraphQL request as application/json in UTF-8");
        return style.refuse(&fault, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let bytes = match request_body::read(body, state.config.limits.body_bytes_max).await {
        Ok(bytes) => bytes,
        Err((status, fault)) => return style.refuse(&fault, status),
    };
    let explain = match Explain::from_headers(&headers) {
        Ok(explain) => explain,
        Err(fault) => return style.malformed(&fault),
    };
    match request_body::content(&bytes, state.config.limits.batch_operations_max) {
        Ok(Content::One(request)) => execute(&state, explain, wish, Method::Post, *request).await,
        Ok(Content::Batch(_)) if wish.media_type.is_none() => {
            style.malformed(&Error::input("body", "a stream carries one operation; send an object, not a list"))
        }
        Ok(Content::Batch(members)) => {
            let mut answers = batch::run(&state.engine, auth::development_viewer(), members).await;
            let in_database = answers.first().map(in_database);
            if let Some(first) = answers.first_mut() {
                explain.apply(first);
            }
            described(style.answers(&answers), "batch /graphql".to_owned(), in_database)
        }
        Err(Malformed::Syntax(fault)) => style.refuse(&fault, StatusCode::BAD_REQUEST),
        Err(Malformed::Request(fault)) => style.malformed(&fault),
    }
}

/// The properties of a request in a query string; objects are JSON text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetParameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// `GET /graphql?query=…`: queries only.
pub async fn get(state: HttpState, headers: HeaderMap, parameters: Option<Query<GetParameters>>) -> Response {
    let Some(wish) = accept::negotiate(&headers) else {
        return not_acceptable();
    };
    let style = style(&state, wish);
    if !origin::may_query(&headers, &state.config.server) {
        let fault = Error::Forbidden(format!(
            "a page of another origin may not query here; a client that is no page sends the header {}: 1",
            origin::PREFLIGHT[0]
        ));
        return style.refuse(&fault, StatusCode::FORBIDDEN);
    }
    let Some(Query(parameters)) = parameters else {
        let fault = Error::input("query", "a GET request needs ?query=…, or Accept: text/html for the explorer");
        return style.malformed(&fault);
    };
    let mut request = GraphqlRequest {
        query: parameters.query,
        document_id: parameters.document_id,
        operation_name: parameters.operation_name.filter(|name| !name.is_empty()),
        ..GraphqlRequest::default()
    };
    if let Some(text) = parameters.variables.filter(|text| !text.is_empty()) {
        match request_body::parse(text.as_bytes()) {
            Ok(variables) => request.variables = variables,
            Err(_) => return style.malformed(&Error::input("variables", "must be a JSON object")),
        }
    }
    if let Some(text) = parameters.extensions.filter(|text| !text.is_empty()) {
        match request_body::parse(text.as_bytes()) {
            Ok(extensions) => request.extensions = extensions,
            Err(_) => return style.malformed(&Error::input("extensions", "must be a JSON object")),
        }
    }
    if !request.names_a_document() {
        let fault = Error::input("query", "a GET request needs ?query=…, or Accept: text/html for the explorer");
        return style.malformed(&fault);
    }
    match Explain::from_headers(&headers) {
        Ok(explain) => execute(&state, explain, wish, Method::Get, request).await,
        Err(fault) => style.malformed(&fault),
    }
}

/// How to answer in one piece; what ends before a stream begins is told as JSON.
fn style(state: &HttpState, wish: Wish) -> Style {
    Style { media_type: wish.media_type.unwrap_or(MediaType::Json), is_strict: state.config.graphql.strict_status }
}

async fn execute(state: &HttpState, explain: Explain, wish: Wish, method: Method, request: GraphqlRequest) -> Response {
    let viewer = auth::development_viewer();
    let prepared = state.engine.prepare(method, request);
    let is_subscription = prepared.as_ref().is_ok_and(Admitted::is_subscription);
    let mut answer = match (prepared, wish.framing(is_subscription)) {
        (Ok(admitted), Some(framing)) => {
            return streams::respond(state, framing, state.engine.stream(viewer, admitted));
        }
        // A stream is where its clients look for errors, unless the transport itself was misused.
        (Err(refused), Some(framing)) if refused.status.is_none() => {
            return streams::respond(state, framing, Operation::refused(refused.response));
        }
        (Ok(admitted), None) => state.engine.run_alone(viewer, admitted).await,
        (Err(refused), _) => *refused,
    };
    let in_database = in_database(&answer);
    explain.apply(&mut answer);
    let name = answer.operation.clone().unwrap_or_else(|| format!("{} /graphql", method.as_str()));
    described(style(state, wish).answer(&answer), name, Some(in_database))
}

/// Tells the middleware what the response was about.
fn described(mut response: Response, operation: String, in_database: Option<InDatabase>) -> Response {
    response.extensions_mut().insert(middleware::Operation(operation));
    if let Some(in_database) = in_database {
        response.extensions_mut().insert(in_database);
    }
    response
}

fn in_database(answer: &Answer) -> InDatabase {
    let ms = answer.statements.iter().map(|statement| statement.elapsed_ms).fold(0.0, |sum: f64, ms| sum + ms);
    InDatabase { statements: answer.statements.len(), ms }
}

fn not_acceptable() -> Response {
    let fault = Error::input(
        "Accept",
        "answers come as application/graphql-response+json or application/json, streams of them as text/event-stream or \
         multipart/mixed;subscriptionSpec=1.0",
    );
    failure(&fault, StatusCode::NOT_ACCEPTABLE)
}

/// What this address understands.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");

/// `OPTIONS /graphql`: what may be sent here. Questions of browsers about other origins are answered before.
pub async fn options() -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)]).into_response()
}

/// Any other method.
pub async fn method_not_allowed() -> Response {
    let fault = Error::input("method", "GraphQL is served by POST, and by GET for queries");
    let mut response = failure(&fault, StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, METHODS);
    response
}
