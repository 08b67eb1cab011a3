//! Section `graphql`: what the GraphQL address offers besides answers.

use super::section::section;

section! {
    /// What the GraphQL address offers besides answers.
    "graphql" => Graphql {
        /// Whether clients may read the schema.
        introspection: bool = true,
        /// Whether a browser gets GraphiQL, a page to write and run queries. It needs introspection.
        graphiql: bool = true,
    }
}
