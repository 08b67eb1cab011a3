//! Whether a document fits the schema, asked once for each document and without its variables.
//!
//! The library validates only on its way to execution, so here it goes that way and stops before the first resolver. The
//! schema that then runs the document skips validation.

use std::sync::Arc;

use async_graphql::{
    Request, Response,
    async_trait::async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute},
    parser::types::ExecutableDocument,
};
use futures_util::FutureExt;

use super::super::error;
use crate::{
    error::Error,
    graphql::schema::{PerfgraphSchema, schema_builder},
};

/// Checks documents.
pub struct Validator(PerfgraphSchema);

impl Validator {
    /// A validator for the schema of this server. What may not be asked about the schema is not suggested either.
    pub fn of_schema(introspection: bool) -> Self {
        let builder = schema_builder().extension(StopBeforeExecution);
        Self(if introspection { builder } else { builder.disable_suggestions() }.finish())
    }

    /// Whether every operation and fragment of the document fits the schema.
    ///
    /// # Errors
    /// A response with everything that is wrong.
    pub fn check(&self, document: &ExecutableDocument) -> Result<(), Box<Response>> {
        let mut request = Request::new(String::new());
        // Which one is meant is decided later; validation looks at all of them.
        let first = document.operations.iter().next().and_then(|(name, _)| name);
        request.operation_name = first.map(|name| name.as_str().to_owned());
        request.set_parsed_query(document.clone());
        let response = self.0.execute(request).now_or_never();
        let Some(response) = response else {
            // Nothing in it waits for anything.
            return Err(Box::new(error::refuse(&Error::internal("validation of a document was suspended"))));
        };
        if response.errors.is_empty() { Ok(()) } else { Err(Box::new(error::finish(response).0)) }
    }
}

struct StopBeforeExecution;

impl ExtensionFactory for StopBeforeExecution {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for StopBeforeExecution {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::default()
    }
}
