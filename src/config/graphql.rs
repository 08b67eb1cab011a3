//! Section `graphql`: what the GraphQL address offers besides answers.

use super::section::section;

section! {
    /// What the GraphQL address offers besides answers.
    "graphql" => Graphql {
        /// Whether clients may read the schema.
        introspection: bool = true,
        /// Whether a browser gets GraphiQL, a page to write and run queries. It needs introspection.
        graphiql: bool = true,
        /// Whether the status of an answer follows the GraphQL over HTTP specification of 2026 to the letter: 422 for a
        /// request that was read and cannot be run (invalid for the schema, unfit variables, above a limit), 294 for
        /// data with errors, and no 200 for a failed request to clients of application/json. Off, it is 400, 200 and
        /// 200: what clients of before 2026 expect.
        strict_status: bool = false,
    }
}
