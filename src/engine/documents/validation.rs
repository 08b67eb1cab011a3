//! Validates a document against the schema, once and without its variables.
//!
//! The library validates only on its way to execution, so the validating copy of the schema goes that way and stops before
//! the first resolver. The copy that executes the document skips validation.

use std::sync::Arc;

use async_graphql::{Request, Response, ServerError, parser::types::ExecutableDocument};
use futures_util::FutureExt;

use super::{
    super::{
        error,
        schema::{Executable, SchemaTypes, named},
    },
    arguments,
    conditions::ConditionVariable,
    omissions,
};
use crate::error::{Code, Error};

/// Validates documents.
pub struct Validator {
    schema: Arc<dyn Executable>,
    types: Arc<SchemaTypes>,
}

impl Validator {
    /// A validator that sends documents through `schema`, which stops before execution.
    pub fn new(schema: Arc<dyn Executable>, types: Arc<SchemaTypes>) -> Self {
        Self { schema, types }
    }

    /// Validates every operation and fragment of a document. Returns what [`arguments::check`] does.
    ///
    /// # Errors
    /// A response with the errors of the document.
    pub fn check(&self, document: &ExecutableDocument) -> Result<Vec<Vec<ConditionVariable>>, Box<Response>> {
        self.check_types_of_defaults(document)?;
        let arguments = arguments::check(&self.types, document);
        let mut request = Request::new(String::new());
        // Validation visits all operations; the library wants one to be named.
        let first = document.operations.iter().next().and_then(|(name, _)| name);
        request.operation_name = first.map(|name| name.as_str().to_owned());
        let mut document = document.clone();
        omissions::expose_directives(&mut document);
        request.set_parsed_query(document);
        let response = self.schema.execute(request).now_or_never();
        let Some(mut response) = response else {
            return Err(Box::new(error::refuse(&Error::internal("validation of a document was suspended"))));
        };
        // `merging` checks them without mistakes.
        response.errors.retain(|error| !is_about_merging(error));
        let wrong_values = match arguments {
            Ok(conditions) if response.errors.is_empty() => return Ok(conditions),
            Ok(_) => Vec::new(),
            Err(errors) => errors,
        };
        if !wrong_values.is_empty() {
            // The library says of a wrong value only its type.
            response.errors.retain(|error| !error::is_wrong_value(error));
        }
        response.errors.iter_mut().for_each(|error| self.advise(error));
        response.errors.extend(wrong_values);
        response.errors.sort_by_key(|error| error.locations.first().map(|place| (place.line, place.column)));
        Err(Box::new(error::finish(response).0))
    }

    /// Adds what the library does not say: the form of values, and the nearest names.
    fn advise(&self, error: &mut ServerError) {
        let mut names = error.message.split('"').skip(1).step_by(2);
        let (first, second, third) = (names.next(), names.next(), names.next());
        let advice = match (first, second, third) {
            (Some(given), Some(parent), None) if error.message.starts_with("Unknown field ") => {
                self.types.advise_field(parent, given)
            }
            (Some(given), Some(field), Some(parent)) if error.message.starts_with("Unknown argument ") => {
                self.types.advise_argument(parent, field, given)
            }
            (Some(given), None, None) if error.message.starts_with("Unknown type ") => self.types.advise_type(given),
            _ if error::is_wrong_value(error) => {
                let name = error.message.trim_end_matches(['!', '"']).rsplit('"').next().unwrap_or_default();
                self.types.expected_form(name.trim_end_matches('!')).map(str::to_owned)
            }
            _ => None,
        };
        if let Some(advice) = advice {
            let separator = if error::is_wrong_value(error) { ": " } else { ". " };
            error.message = format!("{}{separator}{advice}", error.message.trim_end_matches('.'));
        }
    }

    /// The library panics when a variable has a default value and a type that does not exist.
    fn check_types_of_defaults(&self, document: &ExecutableDocument) -> Result<(), Box<Response>> {
        let mut definitions =
            document.operations.iter().flat_map(|(_, operation)| &operation.node.variable_definitions);
        let wrong = definitions.find(|definition| {
            definition.node.default_value.is_some() && self.types.get(named(&definition.node.var_type.node)).is_none()
        });
        let Some(definition) = wrong else { return Ok(()) };
        let (name, declared) = (&definition.node.name.node, &definition.node.var_type);
        let message = format!("Variable \"${name}\" is declared as {}, which is no input type", declared.node);
        Err(Box::new(error::refuse_as(ServerError::new(message, Some(declared.pos)), Code::GraphqlValidationFailed)))
    }
}

/// An error about fields that share a response key. The library takes fields of different object types for conflicting if
/// each stands in a fragment without a type.
fn is_about_merging(error: &ServerError) -> bool {
    error.message.starts_with("Fields \"") && error.message.contains(" conflict because ")
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::{super::super::schema::Purpose, *};

    #[test]
    fn defaults_of_types_that_are_no_input_types_are_refused() {
        let schema = crate::graphql::schema::source().build(Purpose::Validation);
        let validator = Validator::new(schema, Arc::new(SchemaTypes::of_this_server()));
        for declared in ["Nothing = 1", "[Nothing!]! = [\"a\"]", "Viewer = {}"] {
            let text = format!("query($i: {declared}) {{ node(id: $i) {{ id }} }}");
            let refused = validator.check(&parse_query(&text).unwrap()).unwrap_err();
            assert!(refused.errors[0].message.ends_with("which is no input type"), "{text}: {:?}", refused.errors);
        }
    }
}
