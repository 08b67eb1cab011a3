//! GraphQL over HTTP: POST and GET, one operation or a batch; what the client wants decides how it is answered.

mod accept;
mod batch;
mod reply;

use async_graphql::Request as GraphqlRequest;
use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use self::reply::Style;
pub use self::reply::{failure, failure_by_code};
use super::{
    middleware::Operation,
    origin,
    request_body::{self, Content, Malformed},
    router::HttpState,
};
use crate::{
    auth,
    error::Error,
    graphql::{Answer, engine::Method},
};

/// Asks for the statements of a request in `extensions.db`.
const EXPLAIN: &str = "perfgraph-explain";

/// `POST /graphql`.
pub async fn post(State(state): State<HttpState>, headers: HeaderMap, body: Body) -> Response {
    let Some(style) = style(&state, &headers) else {
        return not_acceptable();
    };
    // Also what keeps foreign pages out: a browser sends JSON across sites only after asking, and is not allowed.
    if !request_body::is_json(&headers) {
        let fault = Error::input("Content-Type", "send a GraphQL request as application/json in UTF-8");
        return style.refuse(&fault, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let bytes = match request_body::read(body, state.settings.body_bytes_max).await {
        Ok(bytes) => bytes,
        Err((status, fault)) => return style.refuse(&fault, status),
    };
    match request_body::content(&bytes, state.settings.batch_operations_max) {
        Ok(Content::One(request)) => execute(&state, &headers, style, Method::Post, *request).await,
        Ok(Content::Batch(members)) => {
            let mut answers = batch::run(&state.engine, auth::development_viewer(), members).await;
            if let Some(first) = answers.first_mut().filter(|_| wants_explanation(&headers)) {
                explain(first);
            }
            named(style.answers(&answers), "batch /graphql".to_owned())
        }
        Err(Malformed::Syntax(fault)) => style.refuse(&fault, StatusCode::BAD_REQUEST),
        Err(Malformed::Request(fault)) => style.malformed(&fault),
    }
}

/// The properties of a request in a query string; objects are JSON text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetParameters {
    query: String,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// `GET /graphql?query=…`: queries only.
pub async fn get(state: HttpState, headers: HeaderMap, parameters: Option<Query<GetParameters>>) -> Response {
    let Some(style) = style(&state, &headers) else {
        return not_acceptable();
    };
    if !origin::may_query(&headers) {
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
    let mut request = GraphqlRequest::new(parameters.query);
    request.operation_name = parameters.operation_name.filter(|name| !name.is_empty());
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
    execute(&state, &headers, style, Method::Get, request).await
}

fn style(state: &HttpState, headers: &HeaderMap) -> Option<Style> {
    let media_type = accept::negotiate(headers)?;
    Some(Style { media_type, is_strict: state.settings.strict_status })
}

async fn execute(
    state: &HttpState,
    headers: &HeaderMap,
    style: Style,
    method: Method,
    request: GraphqlRequest,
) -> Response {
    let mut answer = state.engine.execute(auth::development_viewer(), method, request).await;
    if wants_explanation(headers) {
        explain(&mut answer);
    }
    let name = answer.operation.clone().unwrap_or_else(|| format!("{} /graphql", method.as_str()));
    named(style.answer(&answer), name)
}

fn named(mut response: Response, operation: String) -> Response {
    response.extensions_mut().insert(Operation(operation));
    response
}

fn wants_explanation(headers: &HeaderMap) -> bool {
    headers.get(EXPLAIN).is_some_and(|value| value == "1")
}

/// Shows what the answer cost: statements, rows, milliseconds and the SQL.
fn explain(answer: &mut Answer) {
    let statements = answer.statements.iter().map(
        |statement| serde_json::json!({ "sql": statement.sql, "rows": statement.rows, "ms": statement.elapsed_ms }),
    );
    let db = serde_json::json!({
        "statements": answer.statements.len(),
        "rows": answer.statements.iter().map(|statement| statement.rows).sum::<u64>(),
        "ms": answer.statements.iter().map(|statement| statement.elapsed_ms).sum::<f64>(),
        "sql": statements.collect::<Vec<_>>(),
    });
    if let Ok(value) = async_graphql::Value::from_json(db) {
        answer.response.extensions.insert("db".to_owned(), value);
    }
}

fn not_acceptable() -> Response {
    let fault = Error::input("Accept", "answers come as application/graphql-response+json or application/json");
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
