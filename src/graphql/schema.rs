//! The schema of this server: its roots, and its text in the schema definition language.

use async_graphql::{Schema, SchemaBuilder};

use super::{mutation::Mutation, query::Query, subscription::LiveSubscription};

/// The schema with its roots.
pub type PerfgraphSchema = Schema<Query, Mutation, LiveSubscription>;

/// The schema before it is finished.
pub fn schema_builder() -> SchemaBuilder<Query, Mutation, LiveSubscription> {
    // The guard bounds documents before validation; the library's own limits would measure the same again.
    Schema::build(Query::default(), Mutation::default(), LiveSubscription::default())
}

/// The schema in the definition language, as `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().include_specified_by();
    let mut text = schema_builder().finish().sdl_with_options(options);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
