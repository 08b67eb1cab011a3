//! Executable copies of a schema, behind one type for every schema, so that the engine is compiled once.

use std::sync::Arc;

use async_graphql::{
    ObjectType, Request, Response, SDLExportOptions, Schema, SchemaBuilder, ServerResult, SubscriptionType,
    ValidationMode, Value,
    async_trait::async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextResolve, ResolveInfo},
};
use futures_util::{future::BoxFuture, stream::BoxStream};

use super::ScalarRule;
use crate::engine::nearest::Synonym;

/// A schema that executes requests.
pub trait Executable: Send + Sync {
    /// Executes a query or a mutation.
    fn execute(&self, request: Request) -> BoxFuture<'_, Response>;

    /// Executes any operation: one response for a query or a mutation, one per event for a subscription.
    fn execute_stream(&self, request: Request) -> BoxStream<'static, Response>;
}

impl<Q, M, S> Executable for Schema<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    fn execute(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(Self::execute(self, request))
    }

    fn execute_stream(&self, request: Request) -> BoxStream<'static, Response> {
        Self::execute_stream(self, request)
    }
}

/// The use of an executable copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Purpose {
    /// Executes validated documents.
    Execution,
    /// Executes validated documents that read the schema itself.
    Introspection,
    /// Validates documents and executes nothing.
    Validation,
}

/// A schema to execute: its text, its scalar rules and a way to build executable copies.
pub struct SchemaSource {
    sdl: String,
    description: &'static str,
    scalars: &'static [ScalarRule],
    synonyms: &'static [Synonym],
    build: Box<dyn Fn(Purpose) -> Arc<dyn Executable> + Send + Sync>,
}

impl SchemaSource {
    /// A schema that `builder` begins, with a rule for each custom scalar and the text that describes it as a whole.
    pub fn new<Q, M, S>(
        builder: fn() -> SchemaBuilder<Q, M, S>,
        scalars: &'static [ScalarRule],
        description: &'static str,
    ) -> Self
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let mut sdl = builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by());
        if !sdl.ends_with('\n') {
            sdl.push('\n');
        }
        let build = move |purpose| -> Arc<dyn Executable> { Arc::new(finish(builder(), purpose, description)) };
        Self { sdl, description, scalars, synonyms: &[], build: Box::new(build) }
    }

    /// The schema in the schema definition language, without its description: the library cannot parse one.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// The schema in the schema definition language, for clients.
    pub fn described_sdl(&self) -> String {
        let described = format!("\n\"\"\"\n{}\n\"\"\"\nschema {{", self.description);
        self.sdl.replacen("\nschema {", &described, 1)
    }

    /// The same schema with other words for its names, which errors understand: each in lower case without separators, with
    /// the name that it means.
    #[must_use]
    pub fn with_synonyms(self, synonyms: &'static [Synonym]) -> Self {
        Self { synonyms, ..self }
    }

    /// Other words for names of the schema.
    pub const fn synonyms(&self) -> &'static [Synonym] {
        self.synonyms
    }

    /// The rules for values of custom scalars.
    pub const fn scalars(&self) -> &'static [ScalarRule] {
        self.scalars
    }

    pub(in crate::engine) fn build(&self, purpose: Purpose) -> Arc<dyn Executable> {
        (self.build)(purpose)
    }
}

fn finish<Q, M, S>(builder: SchemaBuilder<Q, M, S>, purpose: Purpose, description: &'static str) -> Schema<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    match purpose {
        // With federation the library does not look up entities in every type for each root field. No client sees it:
        // documents are validated against a copy without.
        Purpose::Execution => builder.enable_federation().validation_mode(ValidationMode::Fast),
        Purpose::Introspection => {
            builder.validation_mode(ValidationMode::Fast).extension(SchemaDescription(description))
        }
        // The library suggests names by their letters alone; `advice` knows more.
        Purpose::Validation => builder.extension(StopBeforeExecution).disable_suggestions(),
    }
    .finish()
}

/// Ends a request after validation. The library validates only on its way to execution.
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

/// Resolves `__schema { description }`. The library has a text of its own there.
struct SchemaDescription(&'static str);

impl ExtensionFactory for SchemaDescription {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(self.0))
    }
}

#[async_trait]
impl Extension for SchemaDescription {
    async fn resolve(
        &self,
        context: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        if (info.parent_type, info.name) == ("__Schema", "description") {
            return Ok(Some(Value::from(self.0)));
        }
        next.run(context, info).await
    }
}
