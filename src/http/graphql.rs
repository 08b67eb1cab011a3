//! GraphQL over HTTP: POST and GET, single operations and batches, in the format that the client accepts.

mod accept;
mod batch;
mod explain;
pub mod page;
mod reply;

use std::borrow::Cow;

use axum::{
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use self::{
    accept::{AcceptedFormats, MediaType},
    explain::Explain,
    reply::ReplyFormat,
};
use super::{
    caller::Caller,
    content_encoding, fault,
    observation::{DatabaseWork, Observation},
    origin,
    request_body::{self, Content, Malformed},
    state::HttpState,
    streams,
};
use crate::{
    engine::{Method, OperationStream, Outcome, PreparedOperation, Request as GraphqlRequest},
    error::Error,
};

/// `POST /graphql`.
pub async fn post(State(state): State<HttpState>, caller: Caller, request: Request) -> Response {
    let (Parts { headers, .. }, body) = request.into_parts();
    let Some(formats) = accept::negotiate(&headers) else {
        return not_acceptable();
    };
    let format = reply_format(&state, formats);
    if let Err(fault) = state.admit_origin(&headers, "send operations") {
        return format.refuse(&fault, StatusCode::FORBIDDEN);
    }
    // This also keeps other origins out: a browser sends JSON to another origin only after a preflight request.
    if !request_body::is_json(&headers) {
        let fault = Error::input("Content-Type", "must be application/json in UTF-8");
        return format.refuse(&fault, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let Some(encoding) = content_encoding::of_body(&headers) else {
        let mut refusal = format.refuse(&content_encoding::unsupported(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        refusal.headers_mut().insert(header::ACCEPT_ENCODING, content_encoding::SUPPORTED);
        return refusal;
    };
    let limits = &state.config.limits;
    // The variables that are made of the bytes last as long as the request.
    let (bytes, _held) = match request_body::read(&state.in_flight, body, encoding, limits).await {
        Ok(received) => received,
        Err((status, fault)) => return format.refuse(&fault, status),
    };
    let explain = match Explain::from_headers(&headers) {
        Ok(explain) => explain,
        Err(fault) => return format.malformed(&fault),
    };
    match request_body::content(&bytes, limits) {
        Ok(Content::One(request)) => execute(&state, caller, &headers, explain, formats, Method::Post, *request).await,
        Ok(Content::Batch(_)) if formats.media_type.is_none() => {
            format.malformed(&Error::input("body", "must be one operation, not a batch, if the response is a stream"))
        }
        Ok(Content::Batch(members)) => {
            let cost_max = limits.batch_cost_max.max(limits.cost_max);
            let mut answers = batch::run(&state.engine, caller.viewer, members, cost_max).await;
            let database = answers.first().map(database_work);
            if let Some(first) = answers.first_mut() {
                explain.apply(first);
            }
            observed(format.batch(&answers), "batch /graphql".into(), database)
        }
        Err(Malformed::Syntax(fault)) => format.refuse(&fault, StatusCode::BAD_REQUEST),
        Err(Malformed::Request(fault)) => format.malformed(&fault),
    }
}

/// The properties of a request in a query string. Objects are JSON text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetParameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// `GET /graphql?query=...`: queries only.
pub async fn get(
    state: HttpState,
    caller: Caller,
    headers: HeaderMap,
    parameters: Option<Query<GetParameters>>,
) -> Response {
    let Some(formats) = accept::negotiate(&headers) else {
        return not_acceptable();
    };
    let format = reply_format(&state, formats);
    if !origin::may_query(&headers, &state.config.server) {
        state.refused_origins.tell(&headers);
        let fault = Error::Forbidden(format!(
            "GET is not allowed for pages of this origin; list it in server.cors_origins, or send the header {}: 1",
            origin::PREFLIGHT[0]
        ));
        return format.refuse(&fault, StatusCode::FORBIDDEN);
    }
    let Some(Query(parameters)) = parameters else {
        return format.malformed(&no_query());
    };
    let mut request = GraphqlRequest {
        query: parameters.query,
        document_id: parameters.document_id,
        operation_name: parameters.operation_name,
        ..GraphqlRequest::default()
    };
    if let Some(text) = parameters.variables.filter(|text| !text.is_empty()) {
        match request_body::property("variables", &text, &state.config.limits) {
            Ok(variables) => request.variables = variables,
            Err(fault) => return format.malformed(&fault),
        }
    }
    if let Some(text) = parameters.extensions.filter(|text| !text.is_empty()) {
        match request_body::property("extensions", &text, &state.config.limits) {
            Ok(extensions) => request.extensions = extensions,
            Err(fault) => return format.malformed(&fault),
        }
    }
    if !request.names_a_document() {
        return format.malformed(&no_query());
    }
    match Explain::from_headers(&headers) {
        Ok(explain) => execute(&state, caller, &headers, explain, formats, Method::Get, request).await,
        Err(fault) => format.malformed(&fault),
    }
}

fn no_query() -> Error {
    Error::input("query", "is missing in the query string; send ?query=..., or Accept: text/html for GraphiQL")
}

/// The format of a single response. A fault before a stream begins is sent as JSON.
fn reply_format(state: &HttpState, formats: AcceptedFormats) -> ReplyFormat {
    let media_type = formats.media_type.unwrap_or(MediaType::Json);
    ReplyFormat { media_type, is_strict: state.config.graphql.strict_status }
}

async fn execute(
    state: &HttpState,
    caller: Caller,
    headers: &HeaderMap,
    explain: Explain,
    formats: AcceptedFormats,
    method: Method,
    request: GraphqlRequest,
) -> Response {
    let viewer = caller.viewer;
    let prepared = state.engine.prepare(method, request);
    let is_subscription = prepared.as_ref().is_ok_and(PreparedOperation::is_subscription);
    let mut answer = match (prepared, formats.framing(is_subscription)) {
        (Ok(admitted), Some(framing)) => {
            let resume = framing.resumption(headers);
            return streams::respond(state, framing, state.engine.stream(viewer, admitted, resume));
        }
        // Clients of a stream look for errors in the stream, unless the request violates HTTP itself.
        (Err(refused), Some(framing)) if refused.status.is_none() => {
            return streams::respond(state, framing, OperationStream::refused(refused.response));
        }
        (Ok(admitted), None) => state.engine.run_alone(viewer, admitted).await,
        (Err(refused), _) => *refused,
    };
    let database = database_work(&answer);
    explain.apply(&mut answer);
    let without_name = match method {
        Method::Get => "GET /graphql",
        Method::Post => "POST /graphql",
    };
    let name = answer.operation.take().map_or(Cow::Borrowed(without_name), Cow::Owned);
    observed(reply_format(state, formats).answer(&answer), name, Some(database))
}

/// Attaches to a response what the middleware logs and records.
fn observed(mut response: Response, operation: Cow<'static, str>, database: Option<DatabaseWork>) -> Response {
    response.extensions_mut().insert(Observation { operation, database });
    response
}

fn database_work(answer: &Outcome) -> DatabaseWork {
    let elapsed_ms = answer.statements.iter().map(|statement| statement.elapsed_ms).fold(0.0, |sum: f64, ms| sum + ms);
    DatabaseWork { statements: answer.statements.len(), elapsed_ms }
}

fn not_acceptable() -> Response {
    let fault = Error::input(
        "Accept",
        "must allow application/graphql-response+json or application/json, or for streams text/event-stream or \
         multipart/mixed;subscriptionSpec=1.0",
    );
    fault::response(&fault, StatusCode::NOT_ACCEPTABLE)
}

/// The methods of this address.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");

/// `OPTIONS /graphql`: the allowed methods. Preflight requests of browsers are answered by `cors`.
pub async fn options() -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)]).into_response()
}

/// Any other method.
pub async fn method_not_allowed() -> Response {
    let fault = Error::input("method", "must be POST, or GET for queries");
    let mut response = fault::response(&fault, StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, METHODS);
    response
}
