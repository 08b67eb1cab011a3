//! Validates a document against the schema, once and without its variables.
//!
//! The library validates only on its way to execution, so the validating copy of the schema goes that way and stops before
//! the first resolver. The copy that executes the document skips validation.

use std::sync::Arc;

use async_graphql::{Request, Response, parser::types::ExecutableDocument};
use futures_util::FutureExt;

use super::super::{
    error,
    schema::{Executable, SchemaTypes},
};
use crate::error::Error;

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

    /// Validates every operation and fragment of a document.
    ///
    /// # Errors
    /// A response with all errors of the document.
    pub fn check(&self, document: &ExecutableDocument) -> Result<(), Box<Response>> {
        let mut request = Request::new(String::new());
        // Validation visits all operations; the library wants one to be named.
        let first = document.operations.iter().next().and_then(|(name, _)| name);
        request.operation_name = first.map(|name| name.as_str().to_owned());
        request.set_parsed_query(document.clone());
        let response = self.schema.execute(request).now_or_never();
        let Some(mut response) = response else {
            return Err(Box::new(error::refuse(&Error::internal("validation of a document was suspended"))));
        };
        if response.errors.is_empty() {
            return Ok(());
        }
        for error in response.errors.iter_mut().filter(|error| error::is_wrong_value(error)) {
            // The library names the type and not the form of its values.
            let name = error.message.trim_end_matches(['!', '"']).rsplit('"').next().unwrap_or_default();
            if let Some(expected) = self.types.expected_form(name.trim_end_matches('!')) {
                error.message = format!("{}: {expected}", error.message);
            }
        }
        Err(Box::new(error::finish(response).0))
    }
}
