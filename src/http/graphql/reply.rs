//! From answers and faults to responses: the media type, the status and the headers that go with it.

use async_graphql::{Response as GraphqlResponse, Value};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::accept::MediaType;
use crate::{
    engine::{
        Answer,
        error::{Phase, refuse},
        payload,
    },
    error::{Code, Error},
};

/// What the GraphQL over HTTP specification calls an answer with data and errors; no official code fits.
const PARTIAL_SUCCESS: u16 = 294;

/// How a client is answered.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// As negotiated.
    pub media_type: MediaType,
    /// Statuses of the specification's edition of 2026: 422 for what was read and cannot be run, 294 for a partial
    /// success, and no 200 for a failure, whatever the media type.
    pub is_strict: bool,
}

impl Style {
    /// For faults that are met before the client's wish is known.
    pub const PLAIN: Self = Self { media_type: MediaType::Json, is_strict: false };

    /// The response for an answer.
    pub fn answer(self, answer: &Answer) -> Response {
        let phase = if is_turned_away(&answer.response) { Phase::Request } else { answer.phase };
        let status = match answer.status {
            Some(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            None => self.status(&answer.response, phase),
        };
        let mut response = self.json(status, payload::text(&answer.response, phase));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let (StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) = (status, retry_after(&answer.response)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The response for answers that came in one request: each says in its body what became of it.
    pub fn answers(self, answers: &[Answer]) -> Response {
        let texts: Vec<_> = answers.iter().map(|answer| payload::text(&answer.response, answer.phase)).collect();
        self.json(StatusCode::OK, format!("[{}]", texts.join(",")))
    }

    /// The response for a fault outside of GraphQL proper.
    pub fn refuse(self, fault: &Error, status: StatusCode) -> Response {
        self.json(status, payload::text(&refuse(fault), Phase::Request))
    }

    /// The response for a request that is JSON, but not a GraphQL request.
    pub fn malformed(self, fault: &Error) -> Response {
        self.refuse(fault, if self.is_strict { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST })
    }

    fn status(self, response: &GraphqlResponse, phase: Phase) -> StatusCode {
        let is_modern = self.media_type == MediaType::GraphqlResponse;
        if phase == Phase::Execution {
            let is_partial = self.is_strict && is_modern && !response.errors.is_empty();
            return StatusCode::from_u16(PARTIAL_SUCCESS).ok().filter(|_| is_partial).unwrap_or(StatusCode::OK);
        }
        let code = code(response);
        let by_table = code.and_then(|code| StatusCode::from_u16(code.http_status()).ok());
        match by_table.unwrap_or(StatusCode::BAD_REQUEST) {
            // A fault of the server is nobody's valid answer: balancers and retries go by the status.
            status if status.is_server_error() => status,
            _ if !is_modern && !self.is_strict => StatusCode::OK,
            StatusCode::BAD_REQUEST if self.is_strict && code != Some(Code::GraphqlParseFailed) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            status => status,
        }
    }

    fn json(self, status: StatusCode, body: String) -> Response {
        // The specification gives clients of `application/json` the same statuses, under the type that makes them safe.
        let media_type =
            if self.is_strict && !status.is_success() { MediaType::GraphqlResponse } else { self.media_type };
        // Answers are of the moment, and differ by more than their address.
        let headers = [
            (header::CONTENT_TYPE, media_type.header()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::VARY, HeaderValue::from_static("accept")),
        ];
        (status, headers, body).into_response()
    }
}

/// Whether the server had nothing to execute the request with: not one field has a value, and each for that reason.
///
/// Then the answer is that of a request that never began: 503, when to come back, and no `data`.
fn is_turned_away(response: &GraphqlResponse) -> bool {
    let is_empty = match &response.data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(|field| *field == Value::Null),
        _ => false,
    };
    let is_unavailable =
        |code: Option<&Value>| matches!(code, Some(Value::String(code)) if code == Code::Unavailable.as_str());
    let mut codes = response.errors.iter().map(|error| error.extensions.as_ref().and_then(|more| more.get("code")));
    is_empty && !response.errors.is_empty() && codes.all(is_unavailable)
}

fn code(response: &GraphqlResponse) -> Option<Code> {
    match response.errors.first()?.extensions.as_ref()?.get("code")? {
        Value::String(code) => Code::named(code),
        _ => None,
    }
}

fn retry_after(response: &GraphqlResponse) -> Option<u64> {
    match response.errors.first()?.extensions.as_ref()?.get("retryAfter")? {
        Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    }
}

/// A whole response that is one fault, where the client's wish does not matter or is not known.
pub fn failure(fault: &Error, status: StatusCode) -> Response {
    Style::PLAIN.refuse(fault, status)
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

#[cfg(test)]
mod tests {
    use async_graphql::{PathSegment, value};

    use super::*;

    fn style(media_type: MediaType, is_strict: bool) -> Style {
        Style { media_type, is_strict }
    }

    fn answer(data: Value, fault: Option<&Error>) -> Answer {
        let mut response = fault.map_or_else(GraphqlResponse::default, refuse);
        for error in &mut response.errors {
            error.path = vec![PathSegment::Field("a".to_owned())];
        }
        response.data = data;
        let phase = if fault.is_some() && response.data == Value::Null { Phase::Request } else { Phase::Execution };
        Answer { operation: None, status: None, response, phase, statements: Vec::new(), cost: None }
    }

    #[test]
    fn the_status_by_media_type_and_strictness() {
        use MediaType::{GraphqlResponse, Json};
        let invalid = answer(Value::Null, Some(&Error::input("x", "wrong")));
        let partial = answer(value!({"a": null, "b": 1}), Some(&Error::not_found("x")));
        let good = answer(value!({"b": 1}), None);
        let mut unparsed = answer(Value::Null, None);
        let syntax = async_graphql::parser::parse_query("{").unwrap_err();
        unparsed.response = crate::engine::error::refuse_syntax(syntax);
        unparsed.phase = Phase::Request;
        for (answer, expected) in
            [(&good, [200; 4]), (&invalid, [400, 200, 422, 422]), (&unparsed, [400, 200, 400, 400])]
                .into_iter()
                .chain([(&partial, [200, 200, 294, 200])])
        {
            let styles =
                [style(GraphqlResponse, false), style(Json, false), style(GraphqlResponse, true), style(Json, true)];
            assert_eq!(styles.map(|style| style.answer(answer).status().as_u16()), expected);
        }
        let legacy = style(Json, true).answer(&invalid);
        assert_eq!(
            legacy.headers()[header::CONTENT_TYPE],
            GraphqlResponse.header(),
            "a status other than 2xx needs it"
        );
    }

    #[test]
    fn a_request_that_found_no_server_is_503_and_a_field_is_not() {
        let busy = Error::Unavailable { message: "busy", retry_after_s: 2, source: None };
        for media_type in [MediaType::GraphqlResponse, MediaType::Json] {
            for nothing in [Value::Null, value!({"a": null, "b": null})] {
                let response = style(media_type, false).answer(&answer(nothing, Some(&busy)));
                assert_eq!(
                    (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
                    (503, &HeaderValue::from(2))
                );
            }
            let partial = style(media_type, false).answer(&answer(value!({"a": null, "b": 1}), Some(&busy)));
            assert_eq!(partial.status(), StatusCode::OK);
            let other = style(media_type, false).answer(&answer(value!({"a": null}), Some(&Error::not_found("x"))));
            assert_eq!(other.status(), StatusCode::OK);
        }
    }
}
