//! The JSON text of a response, the same for every transport.

use async_graphql::{Name, Response, ServerError, Value};

use super::{error::Phase, rows};

/// A response as JSON text; `data` is absent when nothing was executed.
///
/// Rows are copied as the text that they already are: a serializer would have to parse them again to trust them.
pub fn text(response: &Response, phase: Phase) -> String {
    let mut text = String::from("{");
    if !response.errors.is_empty() {
        begin(&mut text, "errors");
        text.push_str(&errors(&response.errors));
    }
    if phase == Phase::Execution {
        begin(&mut text, "data");
        rows::write_value(&response.data, &mut text);
    }
    if !response.extensions.is_empty() {
        begin(&mut text, "extensions");
        let extensions = response.extensions.iter().map(|(name, value)| (Name::new(name), value.clone())).collect();
        rows::write_value(&Value::Object(extensions), &mut text);
    }
    text.push('}');
    text
}

/// Errors as a JSON list.
pub fn errors(errors: &[ServerError]) -> String {
    // Strings, numbers and maps with string keys always serialize.
    serde_json::to_string(errors).unwrap_or_else(|_| "[]".to_owned())
}

fn begin(text: &mut String, property: &str) {
    if text.len() > 1 {
        text.push(',');
    }
    text.push('"');
    text.push_str(property);
    text.push_str("\":");
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;

    #[test]
    fn data_is_present_only_after_execution() {
        let mut response = Response::new(value!({ "a": 1 }));
        assert_eq!(text(&response, Phase::Execution), r#"{"data":{"a":1}}"#);
        response.extensions.insert("cost".to_owned(), value!({ "requested": 2 }));
        response.errors.push(ServerError::new("no", None));
        assert_eq!(
            text(&response, Phase::Execution),
            r#"{"errors":[{"message":"no"}],"data":{"a":1},"extensions":{"cost":{"requested":2}}}"#
        );
        assert_eq!(
            text(&response, Phase::Request),
            r#"{"errors":[{"message":"no"}],"extensions":{"cost":{"requested":2}}}"#
        );
    }
}
