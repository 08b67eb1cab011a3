//! GraphiQL in a real Chromium: a query and a subscription, with screenshots left in `target/test-output`.

use perfgraph::clock::Clock;
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use crate::harness::{Server, TestDatabase, process::PATIENCE, server::repository};

/// On SQLite alone: what the page shows does not depend on the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphiql_runs_a_query_and_a_subscription() {
    let clients = repository("tests/clients");
    let is_installed = clients.join("node_modules/playwright-core").exists();
    assert!(is_installed, "the npm packages are not installed: run `make test`, or `scripts/test-setup` once");
    let is_built = repository("web/dist/graphiql.html").exists();
    assert!(is_built, "web/dist is not there: run `make web`, then build the tests again, which embed it");
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), "").await;
    server.seed("organizations=2 employees=6 projects=3 members=3 metrics=60").await;
    let output = repository("target/test-output");
    std::fs::create_dir_all(&output).unwrap();
    let mut command = Command::new("node");
    command.arg("graphiql.mjs").arg(server.url("")).arg(&output).current_dir(clients).kill_on_drop(true);
    let ended = timeout(2 * PATIENCE, command.output()).await.expect("the browser is done in time");
    let ended = ended.expect("node is not in PATH: install Node.js 20 or newer and run `make test`");
    let talk = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{talk}\n(no Chromium? run `make test`, or `scripts/test-setup` once)");
    let seen: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(seen["slowestEndpoints"].as_u64() >= Some(3), "{seen}");
    assert!(seen["liveEvents"].as_u64() >= Some(2) && seen["sockets"].as_u64() >= Some(1), "{seen}");
    for name in ["graphiql-query.png", "graphiql-subscription.png"] {
        let size = std::fs::metadata(output.join(name)).unwrap().len();
        assert!(size > 20_000, "{name} has {size} bytes: an empty page?");
    }
}
