//! GraphQL over HTTP: POST and GET, the media type by `Accept`, the status by how far the request came.

use async_graphql::Request as GraphqlRequest;
use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{middleware::Operation, request_body, router::HttpState};
use crate::{
    auth,
    error::Error,
    graphql::{
        Answer,
        engine::Method,
        error::{Phase, refuse},
        payload::Payload,
    },
};

/// Asks for the statements of a request in `extensions.db`.
const EXPLAIN: &str = "perfgraph-explain";

/// The media types that answers come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MediaType {
    /// `application/graphql-response+json`: the status tells whether the request was sound.
    GraphqlResponse,
    /// `application/json`: 200 for everything that is a GraphQL answer, as older clients expect.
    Json,
}

impl MediaType {
    /// The better liked of the two; `None` when the client takes neither.
    fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
            return Some(Self::Json);
        };
        let quality = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let essence = parts.next()?.to_ascii_lowercase();
                // A more specific range outweighs a wildcard whatever their order.
                let rank = match essence.as_str() {
                    "*/*" => 0,
                    "application/*" => 1,
                    other if other == wanted => 2,
                    _ => return None,
                };
                let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
                Some((rank, quality))
            });
            ranges.max_by_key(|(rank, _)| *rank).map_or(0.0_f32, |(_, quality)| quality)
        };
        let (modern, json) = (quality("application/graphql-response+json"), quality("application/json"));
        match (modern > 0.0, json > 0.0) {
            (false, false) => None,
            // A client that takes both alike, or anything, gets what every client can read.
            (true, _) if modern > json || accept.contains("graphql-response+json") && modern >= json => {
                Some(Self::GraphqlResponse)
            }
            _ => Some(Self::Json),
        }
    }

    const fn header(self) -> HeaderValue {
        match self {
            Self::GraphqlResponse => HeaderValue::from_static("application/graphql-response+json; charset=utf-8"),
            Self::Json => HeaderValue::from_static("application/json; charset=utf-8"),
        }
    }
}

/// `POST /graphql`.
pub async fn post(State(state): State<HttpState>, headers: HeaderMap, body: Body) -> Response {
    let Some(media_type) = MediaType::negotiate(&headers) else {
        return not_acceptable();
    };
    // Also what keeps foreign pages out: a browser sends JSON across sites only after asking, and is not allowed.
    if !request_body::is_json(&headers) {
        let fault = Error::input("Content-Type", "send a GraphQL request as application/json in UTF-8");
        return failure(&fault, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let bytes = match request_body::read(body, state.settings.body_bytes_max).await {
        Ok(bytes) => bytes,
        Err((status, fault)) => return failure(&fault, status),
    };
    match request_body::body(&bytes) {
        Ok(request) => execute(&state, &headers, media_type, Method::Post, request).await,
        Err(fault) => failure(&fault, StatusCode::BAD_REQUEST),
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
    let Some(media_type) = MediaType::negotiate(&headers) else {
        return not_acceptable();
    };
    let Some(Query(parameters)) = parameters else {
        let fault = Error::input("query", "a GET request needs ?query=…, or Accept: text/html for the explorer");
        return failure(&fault, StatusCode::BAD_REQUEST);
    };
    let mut request = GraphqlRequest::new(parameters.query);
    request.operation_name = parameters.operation_name;
    if let Some(text) = parameters.variables.filter(|text| !text.is_empty()) {
        match request_body::parse(text.as_bytes()) {
            Ok(variables) => request.variables = variables,
            Err(_) => {
                return failure(&Error::input("variables", "must be a JSON object"), StatusCode::BAD_REQUEST);
            }
        }
    }
    if let Some(text) = parameters.extensions.filter(|text| !text.is_empty()) {
        match request_body::parse(text.as_bytes()) {
            Ok(extensions) => request.extensions = extensions,
            Err(_) => {
                return failure(&Error::input("extensions", "must be a JSON object"), StatusCode::BAD_REQUEST);
            }
        }
    }
    execute(&state, &headers, media_type, Method::Get, request).await
}

async fn execute(
    state: &HttpState,
    headers: &HeaderMap,
    media_type: MediaType,
    method: Method,
    request: GraphqlRequest,
) -> Response {
    let mut answer = state.engine.execute(auth::development_viewer(), method, request).await;
    if headers.get(EXPLAIN).is_some_and(|value| value == "1") {
        explain(&mut answer);
    }
    let operation = Operation(answer.operation.clone().unwrap_or_else(|| format!("{} /graphql", method.as_str())));
    let mut response = respond(media_type, &answer);
    response.extensions_mut().insert(operation);
    response
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

fn respond(media_type: MediaType, answer: &Answer) -> Response {
    let is_request_error = answer.phase == Phase::Request;
    let status = match (answer.status, media_type) {
        (Some(status), _) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
        (None, MediaType::GraphqlResponse) if is_request_error => StatusCode::BAD_REQUEST,
        (None, _) => StatusCode::OK,
    };
    let mut response = json(&Payload::new(&answer.response, answer.phase), media_type.header());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// A whole response that is one fault, also outside of GraphQL proper.
pub fn failure(fault: &Error, status: StatusCode) -> Response {
    let answer = refuse(fault);
    let mut response = json(&Payload::new(&answer, Phase::Request), MediaType::Json.header());
    *response.status_mut() = status;
    response
}

/// The same with the status that the table of codes has for the fault, and when to come back where that helps.
pub fn failure_by_code(fault: &Error) -> Response {
    let status = StatusCode::from_u16(fault.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = failure(fault, status);
    if let Error::Unavailable { retry_after_s, .. } = fault {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
    }
    response
}

fn json(body: &impl Serialize, media_type: HeaderValue) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => ([(header::CONTENT_TYPE, media_type)], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn not_acceptable() -> Response {
    let fault = Error::input("Accept", "answers come as application/graphql-response+json or application/json");
    failure(&fault, StatusCode::NOT_ACCEPTABLE)
}

/// Anything but GET and POST.
pub async fn method_not_allowed() -> Response {
    let fault = Error::input("method", "GraphQL is served by POST, and by GET for queries");
    let mut response = failure(&fault, StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(accept: &'static str) -> Option<MediaType> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        MediaType::negotiate(&headers)
    }

    #[test]
    fn accept_decides_the_media_type() {
        let modern = Some(MediaType::GraphqlResponse);
        let json = Some(MediaType::Json);
        assert_eq!(MediaType::negotiate(&HeaderMap::new()), json);
        assert_eq!(negotiated("application/json"), json);
        assert_eq!(negotiated("*/*"), json);
        assert_eq!(negotiated("application/*"), json);
        assert_eq!(negotiated("application/graphql-response+json"), modern);
        assert_eq!(negotiated("application/graphql-response+json, application/json;q=0.9"), modern);
        assert_eq!(negotiated("application/json, application/graphql-response+json;q=0.5"), json);
        assert_eq!(negotiated("application/graphql-response+json;q=0, application/json"), json);
        assert_eq!(negotiated("text/html"), None);
    }
}
