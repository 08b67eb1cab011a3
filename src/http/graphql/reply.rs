//! Responses for answers of the engine: media type, status and headers.

use async_graphql::{Response as GraphqlResponse, Value};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use super::accept::MediaType;
use crate::{
    engine::{
        Outcome,
        error::{self, Phase},
        payload,
    },
    error::{Code, Error},
    http::fault,
};

/// The status for data with errors in the specification of GraphQL over HTTP. It is not a registered status.
const PARTIAL_SUCCESS: u16 = 294;

/// The format of a response.
#[derive(Clone, Copy, Debug)]
pub struct ReplyFormat {
    /// The negotiated media type.
    pub media_type: MediaType,
    /// Uses the statuses of the specification's 2026 edition: 422 for a request that is read but cannot be executed, 294
    /// for data with errors, and no 200 for a failed request, whatever the media type.
    pub is_strict: bool,
}

impl ReplyFormat {
    /// The response for an answer.
    pub fn answer(self, answer: &Outcome) -> Response {
        let phase = if is_unavailable(&answer.response) { Phase::Request } else { answer.phase };
        let status = match answer.status {
            Some(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            None => self.status(&answer.response, phase),
        };
        let mut response = self.json(status, payload::text(&answer.response, phase));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        let retry_after_s = answer.response.errors.first().and_then(error::retry_after_s);
        if let (StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) = (status, retry_after_s) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The response for a batch. Its status is always 200; each answer reports its errors in the body.
    pub fn batch(self, answers: &[Outcome]) -> Response {
        let texts: Vec<_> = answers.iter().map(|answer| payload::text(&answer.response, answer.phase)).collect();
        self.json(StatusCode::OK, format!("[{}]", texts.join(",")))
    }

    /// The response for a fault that prevents the execution.
    pub fn refuse(self, fault: &Error, status: StatusCode) -> Response {
        fault::with_retry_after(self.json(status, fault::body(fault)), fault)
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
        let code = response.errors.first().and_then(error::code);
        let by_code = code.and_then(|code| StatusCode::from_u16(code.http_status()).ok());
        match by_code.unwrap_or(StatusCode::BAD_REQUEST) {
            // Load balancers and retries depend on the status, so a fault of the server is never 200.
            status if status.is_server_error() => status,
            _ if !is_modern && !self.is_strict => StatusCode::OK,
            StatusCode::BAD_REQUEST if self.is_strict && code != Some(Code::GraphqlParseFailed) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            status => status,
        }
    }

    fn json(self, status: StatusCode, body: String) -> Response {
        // In strict mode clients of `application/json` get the same statuses. The specification allows them only under the
        // other media type.
        let media_type =
            if self.is_strict && !status.is_success() { MediaType::GraphqlResponse } else { self.media_type };
        fault::json(status, media_type.header(), body)
    }
}

/// True if no field has a value because the server was unavailable for all of them.
///
/// Such a response is that of a request that was not executed: 503 with `Retry-After`, and no `data`.
fn is_unavailable(response: &GraphqlResponse) -> bool {
    let is_empty = match &response.data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(|field| *field == Value::Null),
        _ => false,
    };
    let mut codes = response.errors.iter().map(error::code);
    is_empty && !response.errors.is_empty() && codes.all(|code| code == Some(Code::Unavailable))
}

#[cfg(test)]
mod tests {
    use async_graphql::{PathSegment, value};

    use super::*;

    fn format(media_type: MediaType, is_strict: bool) -> ReplyFormat {
        ReplyFormat { media_type, is_strict }
    }

    fn answer(data: Value, fault: Option<&Error>) -> Outcome {
        let mut response = fault.map_or_else(GraphqlResponse::default, error::refuse);
        for error in &mut response.errors {
            error.path = vec![PathSegment::Field("a".to_owned())];
        }
        response.data = data;
        let phase = if fault.is_some() && response.data == Value::Null { Phase::Request } else { Phase::Execution };
        Outcome { operation: None, status: None, response, phase, statements: Vec::new(), cost: None }
    }

    #[test]
    fn the_status_by_media_type_and_strictness() {
        use MediaType::{GraphqlResponse, Json};
        let invalid = answer(Value::Null, Some(&Error::input("x", "wrong")));
        let partial = answer(value!({"a": null, "b": 1}), Some(&Error::not_found("x")));
        let good = answer(value!({"b": 1}), None);
        let mut unparsed = answer(Value::Null, None);
        let syntax = async_graphql::parser::parse_query("{").unwrap_err();
        unparsed.response = error::refuse_syntax(syntax);
        unparsed.phase = Phase::Request;
        for (answer, expected) in
            [(&good, [200; 4]), (&invalid, [400, 200, 422, 422]), (&unparsed, [400, 200, 400, 400])]
                .into_iter()
                .chain([(&partial, [200, 200, 294, 200])])
        {
            let formats = [
                format(GraphqlResponse, false),
                format(Json, false),
                format(GraphqlResponse, true),
                format(Json, true),
            ];
            assert_eq!(formats.map(|format| format.answer(answer).status().as_u16()), expected);
        }
        let legacy = format(Json, true).answer(&invalid);
        assert_eq!(
            legacy.headers()[header::CONTENT_TYPE],
            GraphqlResponse.header(),
            "a status other than 2xx needs it"
        );
    }

    #[test]
    fn only_a_request_without_any_data_is_503() {
        let busy = Error::Unavailable { message: "busy", retry_after_s: 2, source: None };
        for media_type in [MediaType::GraphqlResponse, MediaType::Json] {
            for nothing in [Value::Null, value!({"a": null, "b": null})] {
                let response = format(media_type, false).answer(&answer(nothing, Some(&busy)));
                assert_eq!(
                    (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
                    (503, &HeaderValue::from(2))
                );
            }
            let partial = format(media_type, false).answer(&answer(value!({"a": null, "b": 1}), Some(&busy)));
            assert_eq!(partial.status(), StatusCode::OK);
            let other = format(media_type, false).answer(&answer(value!({"a": null}), Some(&Error::not_found("x"))));
            assert_eq!(other.status(), StatusCode::OK);
        }
    }
}
