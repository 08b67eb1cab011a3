//! The schema of this server: its roots, the rules for its scalars, and its text in the schema definition language.

mod synonyms;

use async_graphql::{ScalarType, Schema, SchemaBuilder};

use super::{
    mutation::Mutation,
    query::Query,
    scalars::{DateTime, Duration, Long, StreamCursor},
    subscription::LiveSubscription,
};
use crate::engine::schema::{ScalarRule, SchemaSource};

/// Rules for the values of custom scalars. The engine refuses a schema with a scalar that has none.
const SCALARS: &[ScalarRule] = &[
    ScalarRule {
        name: "DateTime",
        accepts: DateTime::is_valid,
        expected: "an RFC 3339 time such as 2026-01-31T12:00:00Z",
        hint: DateTime::hint,
    },
    ScalarRule {
        name: "Duration",
        accepts: Duration::is_valid,
        expected: "an ISO 8601 duration of fixed length such as PT5M, PT24H or P7D",
        hint: |_| None,
    },
    ScalarRule {
        name: "Long",
        accepts: |value| Long::parse(value.clone()).is_ok(),
        expected: "a whole number of 64 bits",
        hint: |_| None,
    },
    ScalarRule {
        name: "StreamCursor",
        accepts: StreamCursor::is_valid,
        expected: "a cursor of a stream as the server sent it",
        hint: |_| None,
    },
];

/// The description of the schema as a whole.
const DESCRIPTION: &str = "\
Performance analytics: measurements of pages, APIs, databases and caches, the organizations, projects and employees that
they belong to, reports on them, and streams of what is measured and changed. Times are UTC. Expected failures of
mutations are data (`userErrors`); all other errors have a code in `extensions.code`.";

fn builder() -> SchemaBuilder<Query, Mutation, LiveSubscription> {
    // The guard of the engine limits documents before validation; limits of the library would measure them again.
    Schema::build(Query::default(), Mutation::default(), LiveSubscription::default())
}

/// The schema for the engine.
pub fn source() -> SchemaSource {
    SchemaSource::new(builder, SCALARS, DESCRIPTION).with_synonyms(synonyms::SYNONYMS)
}

/// The schema in the schema definition language, as `schema.graphql` holds it.
pub fn sdl() -> String {
    source().described_sdl()
}
