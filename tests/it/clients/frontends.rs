//! What frontends are built with, against a live server: the programs of `tests/clients`, each asserting for itself.

use perfgraph::clock::Clock;
use tokio::sync::OnceCell;

use crate::{
    harness::{Server, TestDatabase, node},
    on_both_databases,
};

/// Runs one program against a server with two organizations of 25 people and 5 projects each.
async fn passes(database: TestDatabase, program: &str) {
    let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
    server.seed("organizations=2 employees=25 projects=5 members=4 metrics=30").await;
    node::run(program, &[server.url("")]).await;
    server.stop().await;
}

on_both_databases! {
    async fn every_audit_of_graphql_over_http_passes(database: TestDatabase) { passes(database, "audits.mjs").await; }
}

on_both_databases! {
    async fn apollo_queries(database: TestDatabase) { passes(database, "apollo/query.mjs").await; }
}

on_both_databases! {
    async fn apollo_pages(database: TestDatabase) { passes(database, "apollo/page.mjs").await; }
}

on_both_databases! {
    async fn apollo_changes_what_is_shown(database: TestDatabase) { passes(database, "apollo/mutate.mjs").await; }
}

on_both_databases! {
    async fn apollo_sends_dates_back(database: TestDatabase) { passes(database, "apollo/dates.mjs").await; }
}

on_both_databases! {
    async fn apollo_tells_failures_apart(database: TestDatabase) { passes(database, "apollo/errors.mjs").await; }
}

on_both_databases! {
    async fn apollo_watches(database: TestDatabase) { passes(database, "apollo/live.mjs").await; }
}

on_both_databases! {
    async fn urql_queries(database: TestDatabase) { passes(database, "urql/query.mjs").await; }
}

on_both_databases! {
    async fn urql_pages(database: TestDatabase) { passes(database, "urql/page.mjs").await; }
}

on_both_databases! {
    async fn urql_changes_what_is_shown(database: TestDatabase) { passes(database, "urql/mutate.mjs").await; }
}

on_both_databases! {
    async fn relay_pages_and_changes_what_is_shown(database: TestDatabase) {
        relay_compiled().await;
        passes(database, "relay/live.mjs").await;
    }
}

on_both_databases! {
    async fn the_recipes_for_frontends_work(database: TestDatabase) { passes(database, "recipes.mjs").await; }
}

/// Compiles the documents of Relay, once for all tests that need them.
async fn relay_compiled() {
    static COMPILED: OnceCell<()> = OnceCell::const_new();
    COMPILED.get_or_init(|| async { drop(node::run("relay/compile.mjs", &[]).await) }).await;
}

/// Not on both databases: the schema is the same, and the generated files are in one folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphql_codegen_reads_the_schema_from_a_server() {
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), "self_monitoring.enabled = false").await;
    node::run("codegen/generate.mjs", &[server.url("/graphql")]).await;
    node::run("typecheck.mjs", &["codegen/tsconfig.by-url.json".to_owned()]).await;
}

/// On no server: the schema itself is what is tested here, as `schema.graphql` holds it.
mod tooling {
    use super::*;

    #[tokio::test]
    async fn graphql_codegen_types_every_document() {
        node::run("codegen/generate.mjs", &[]).await;
        node::run("typecheck.mjs", &["codegen".to_owned()]).await;
    }

    #[tokio::test]
    async fn the_relay_compiler_takes_every_document() {
        relay_compiled().await;
        node::run("typecheck.mjs", &["relay".to_owned()]).await;
    }

    #[tokio::test]
    async fn graphql_eslint_finds_nothing() {
        node::run("lint.mjs", &[]).await;
    }
}
