//! GraphiQL in a real Chromium: a query and a subscription, with screenshots left in `target/test-output`.

use perfgraph::clock::Clock;
use serde_json::Value;

use crate::harness::{Server, TestDatabase, node, server::repository};

/// On SQLite alone: what the page shows does not depend on the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphiql_runs_a_query_and_a_subscription() {
    let is_built = repository("web/dist/graphiql.html").exists();
    assert!(is_built, "web/dist is not there: run `make web`, then build the tests again, which embed it");
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), "").await;
    server.seed("organizations=2 employees=6 projects=3 members=3 metrics=60").await;
    let output = repository("target/test-output");
    std::fs::create_dir_all(&output).unwrap();
    // No Chromium? `scripts/test-setup` brings it.
    let seen = node::run("graphiql.mjs", &[server.url(""), output.display().to_string()]).await;
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert!(seen["slowestEndpoints"].as_u64() >= Some(3), "{seen}");
    assert!(seen["liveEvents"].as_u64() >= Some(2) && seen["sockets"].as_u64() >= Some(1), "{seen}");
    for name in ["graphiql-query.png", "graphiql-subscription.png"] {
        let size = std::fs::metadata(output.join(name)).unwrap().len();
        assert!(size > 20_000, "{name} has {size} bytes: an empty page?");
    }
}
