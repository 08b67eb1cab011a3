//! GraphiQL in a real Chromium, with screenshots left in `target/test-output`.

use perfgraph::clock::Clock;
use serde_json::{Value, json};

use crate::harness::{Server, TestDatabase, node, server::repository};

/// The observations of Chromium in a scenario of `graphiql.mjs`. On SQLite alone: the page does not depend on the database.
async fn seen(scenario: &str, screenshots: &[&str]) -> Value {
    let is_built = repository("web/dist/graphiql.html").exists();
    assert!(is_built, "web/dist is not there: run `make web`, then build the tests again, which embed it");
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), "").await;
    server.seed("organizations=2 employees=6 projects=3 members=3 metrics=60").await;
    let output = repository("target/test-output");
    std::fs::create_dir_all(&output).unwrap();
    // No Chromium? `scripts/test-setup` brings it.
    let arguments = [server.url(""), output.display().to_string(), scenario.to_owned()];
    let seen = node::run("graphiql.mjs", &arguments).await;
    for name in screenshots {
        let size = std::fs::metadata(output.join(format!("graphiql-{name}.png"))).unwrap().len();
        assert!(size > 20_000, "{name} has {size} bytes: an empty page?");
    }
    serde_json::from_str(&seen).unwrap()
}

/// The tabs of a first visit, in their order.
const TABS: [&str; 9] = [
    "NPlusOne",
    "Indexes",
    "Aggregates",
    "SlowestEndpoints",
    "Releases",
    "Sharing",
    "LiveMetrics",
    "LiveWindow",
    "Ingest",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphiql_opens_with_an_answer_and_the_sql_of_each_level_in_lines() {
    let seen = seen("opening", &["opening"]).await;
    assert_eq!(seen["tabs"], json!(TABS));
    assert_eq!(seen["projects"], 7, "six and the server's own: {seen}");
    let tables: Vec<_> = seen["sql"].as_array().unwrap().iter().map(|statement| &statement["sql"][1]).collect();
    assert_eq!(tables, ["  FROM project AS l", "  FROM organization AS l", "  FROM ("], "{seen}");
    assert_eq!(seen["sql"][2]["sql"][2].as_str().unwrap().split_at(15).0, "    SELECT m.pr", "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphiql_underlines_mistakes_and_no_example() {
    let seen = seen("examples", &[]).await;
    let none: Value = TABS.iter().map(|name| ((*name).to_owned(), json!([]))).collect();
    assert_eq!(seen["seen"], none);
    let mistakes = seen["mistakes"].to_string();
    assert!(mistakes.contains("operation.graphql: Cannot query field"), "{mistakes}");
    assert!(mistakes.contains("variables.json: "), "{mistakes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphiql_runs_a_query_and_a_subscription() {
    let seen = seen("runs", &["query", "subscription"]).await;
    assert!(seen["slowestEndpoints"].as_u64() >= Some(3), "{seen}");
    assert!(seen["liveEvents"].as_u64() >= Some(2) && seen["sockets"].as_u64() >= Some(1), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphiql_opens_an_operation_of_the_address_in_a_tab_and_runs_only_queries() {
    let seen = seen("links", &["linked"]).await;
    assert_eq!((&seen["few"], &seen["many"]), (&json!(1), &json!(12)), "{seen}");
    let tabs = seen["tabs"].as_array().unwrap();
    assert_eq!((tabs.len(), &tabs[TABS.len()]), (TABS.len() + 1, &json!("Few")), "{seen}");
    assert_eq!(
        seen["tabsAgain"].as_array().unwrap().len(),
        TABS.len() + 1,
        "the same operation needs no second tab: {seen}"
    );
    let (two_and_own, nothing) = (json!(3), json!(""));
    assert_eq!((&seen["organizations"], &seen["afterMutation"]), (&two_and_own, &nothing), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graphiql_shows_operation_and_answer_on_a_phone() {
    let seen = seen("phone", &["phone"]).await;
    let edge = |part: &str, edge: &str| seen[part][edge].as_f64().unwrap();
    let bottom = |part: &str| edge(part, "y") + edge(part, "height");
    for part in ["editor", "response"] {
        assert!(edge(part, "width") >= 340.0 && edge(part, "height") >= 250.0, "{part}: {seen}");
    }
    assert!(bottom("editor") <= edge("response", "y") && bottom("response") <= bottom("sidebar"), "{seen}");
    assert!(edge("play", "x") + edge("play", "width") <= 390.0 && bottom("sidebar") <= 844.0, "{seen}");
    assert_eq!(seen["scrollWidth"], 390, "{seen}");
    assert!(seen["slowestEndpoints"].as_u64() >= Some(3), "{seen}");
}
