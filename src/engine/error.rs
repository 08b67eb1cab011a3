//! Converts faults to GraphQL errors, each with its `extensions.code`.

use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, Response, ServerError, Value, parser};

use crate::error::{Code, Error};

/// The phase that a request reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Parsing and validation; nothing was executed.
    Request,
    /// Resolution of fields.
    Execution,
}

/// Gives every error of a response its code, and logs causes that must not reach the client.
pub fn finish(mut response: Response) -> (Response, Phase) {
    let phase = if response.errors.iter().any(|error| error.path.is_empty()) && response.data == Value::Null {
        Phase::Request
    } else {
        Phase::Execution
    };
    for error in &mut response.errors {
        if let Some(fault) = error.source::<Error>().cloned() {
            fault.log();
            add_details(error, &fault);
            set_code(error, fault.code());
        } else if code(error).is_none() {
            let code = classify(error, phase);
            tag(error, code);
        }
        shorten(&mut error.message);
    }
    if phase == Phase::Request {
        response.errors.truncate(REQUEST_ERRORS_MAX);
    }
    (response, phase)
}

/// Errors of a document that never runs. A client that fixes these sends the document again.
const REQUEST_ERRORS_MAX: usize = 20;
/// Characters of a message. A message that quotes the request must not quote all of it.
const MESSAGE_CHARACTERS_MAX: usize = 500;

fn shorten(message: &mut String) {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARACTERS_MAX) {
        message.truncate(end);
        message.push_str("...");
    }
}

/// A response of one fault.
pub fn refuse(error: &Error) -> Response {
    let mut answer = ServerError::new(error.to_string(), None);
    shorten(&mut answer.message);
    answer.source = Some(Arc::new(error.clone()));
    set_code(&mut answer, error.code());
    add_details(&mut answer, error);
    Response::from_errors(vec![answer])
}

/// A response of one error with a code; the error may have a location in the document.
pub fn refuse_as(mut error: ServerError, code: Code) -> Response {
    shorten(&mut error.message);
    tag(&mut error, code);
    Response::from_errors(vec![error])
}

/// A response to a document that cannot be parsed.
pub fn refuse_syntax(error: parser::Error) -> Response {
    let mut answer = ServerError::from(error);
    // The parser prints the location over several lines and ends with the tokens that it expected.
    if let Some((_, expected)) = answer.message.rsplit_once(" = ") {
        answer.message = format!("Syntax error: {}", expected.trim());
    }
    refuse_as(answer, Code::GraphqlParseFailed)
}

fn classify(error: &mut ServerError, phase: Phase) -> Code {
    match phase {
        // The library reports variables and literals that do not fit their type with the same kind of error.
        Phase::Request if is_wrong_value(error) => Code::BadUserInput,
        Phase::Request => Code::GraphqlValidationFailed,
        Phase::Execution => Code::BadUserInput,
    }
}

/// Gives errors about an argument of the root field the name under which the client gave its value.
pub(super) fn rename_field(response: &mut Response, argument: &str, given_as: &str) {
    for error in response.errors.iter_mut().filter(|error| error.path.len() <= 1) {
        if let Some(Error::Input { field, message }) = error.source::<Error>()
            && field == argument
        {
            let renamed = Error::input(given_as, message.clone());
            error.message = renamed.to_string();
            error.source = Some(Arc::new(renamed));
        }
    }
}

/// The library found a value that does not fit the type of its argument or variable.
pub(super) fn is_wrong_value(error: &ServerError) -> bool {
    error.message.starts_with("Failed to parse")
        || error.message.starts_with("Invalid value for argument")
        || (error.message.starts_with("Variable ") && error.message.contains("required by the operation"))
}

fn extensions(error: &mut ServerError) -> &mut ErrorExtensionValues {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default)
}

/// The code of an error of a finished response.
pub fn code(error: &ServerError) -> Option<Code> {
    error.source::<Error>().map(Error::code).or_else(|| error.source::<Code>().copied())
}

/// Seconds after which the caller should retry, if the error is a temporary one.
pub fn retry_after_s(error: &ServerError) -> Option<u32> {
    match error.source::<Error>()? {
        Error::Unavailable { retry_after_s, .. } => Some(*retry_after_s),
        _ => None,
    }
}

/// Gives a code to an error that no fault of ours caused.
pub(super) fn tag(error: &mut ServerError, code: Code) {
    error.source = Some(Arc::new(code));
    set_code(error, code);
}

fn set_code(error: &mut ServerError, code: Code) {
    extensions(error).set("code", code.as_str());
}

/// Names the argument that an error is about, as `extensions.field`.
pub(super) fn name_field(error: &mut ServerError, field: &str) {
    let mut field = field.to_owned();
    shorten(&mut field);
    extensions(error).set("field", field);
}

fn add_details(error: &mut ServerError, fault: &Error) {
    match fault {
        Error::Input { field, .. } => name_field(error, field),
        Error::Limit { actual, limit, .. } => {
            extensions(error).set("actual", *actual);
            extensions(error).set("limit", *limit);
        }
        Error::Unavailable { retry_after_s, .. } => extensions(error).set("retryAfter", *retry_after_s),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_a_response_carries_its_code_as_a_value() {
        let busy = Error::Unavailable { message: "busy", retry_after_s: 2, source: None };
        let mut failed = ServerError::new("busy", None);
        failed.source = Some(Arc::new(busy.clone()));
        let library = ServerError::new("Unknown field", None);
        let (response, phase) = finish(Response::from_errors(vec![failed, library]));
        assert_eq!(phase, Phase::Request);
        let codes = [Code::Unavailable, Code::GraphqlValidationFailed];
        assert_eq!(response.errors.iter().map(code).collect::<Vec<_>>(), codes.map(Some));
        assert_eq!(response.errors.iter().map(retry_after_s).collect::<Vec<_>>(), [Some(2), None]);

        let refused = refuse(&busy);
        assert_eq!((code(&refused.errors[0]), retry_after_s(&refused.errors[0])), (Some(Code::Unavailable), Some(2)));
        let refused = refuse_as(ServerError::new("syntax", None), Code::GraphqlParseFailed);
        assert_eq!(code(&refused.errors[0]), Some(Code::GraphqlParseFailed));
    }
}
