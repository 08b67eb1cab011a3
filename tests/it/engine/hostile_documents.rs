//! Documents that are made to hurt: each is refused without a statement and for little CPU. And documents that only look
//! as if: those of the tools that everybody uses pass.

mod corpus;

use std::collections::BTreeMap;

use perfgraph::{
    auth,
    engine::{Engine, Method, Request},
};
use serde_json::Value;

use crate::harness::{Server, TestDatabase};

/// CPU that a refusal may take, in microseconds. Without optimisation the same work takes about twenty times as long.
const CPU_MICROS_MAX: u64 = if cfg!(debug_assertions) { 20 * 5_000 } else { 5_000 };

const REFUSALS: [&str; 4] = ["COMPLEXITY_LIMIT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"];

/// CPU of this thread so far. Wall time would measure the machine's other work.
fn cpu_micros() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000
}

struct Outcome {
    cpu_micros: u64,
    statements: usize,
    code: String,
    text: String,
}

async fn run(engine: &Engine, document: &str, variables: &Value) -> Outcome {
    let request = Request {
        query: Some(document.to_owned()),
        variables: async_graphql::Variables::from_json(variables.clone()),
        ..Request::default()
    };
    let before = cpu_micros();
    let answer = engine.execute(auth::development_viewer(), Method::Post, request).await;
    let cpu_micros = cpu_micros() - before;
    let text = serde_json::to_string(&answer.response).unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let code = body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned();
    Outcome { cpu_micros, statements: answer.statements.len(), code, text }
}

/// One thread, so that its CPU is that of the refusal.
#[tokio::test]
async fn every_hostile_document_is_refused_at_once() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    server.seed("organizations=1 employees=1").await;
    let corpus = corpus::hostile();
    assert!(corpus.len() >= 60, "{} documents", corpus.len());
    let engine = server.app.engine();
    run(engine, "{ viewer { role } }", &Value::Null).await;
    let (mut faults, mut codes) = (Vec::new(), BTreeMap::new());
    for (name, document, variables) in &corpus {
        let outcome = run(engine, document, variables).await;
        *codes.entry(outcome.code.clone()).or_insert(0) += 1;
        let is_small = outcome.text.len() < 20_000;
        if !REFUSALS.contains(&outcome.code.as_str())
            || outcome.statements > 0
            || outcome.cpu_micros > CPU_MICROS_MAX
            || !is_small
        {
            let start: String = outcome.text.chars().take(300).collect();
            faults.push(format!("{name}: {} us, {} statements: {start}", outcome.cpu_micros, outcome.statements));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert_eq!(codes.len(), REFUSALS.len(), "each kind of refusal is there: {codes:?}");
}

#[tokio::test]
async fn documents_of_graphql_tools_are_accepted() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    server.seed("organizations=1 employees=1").await;
    for (name, document) in corpus::harmless() {
        let outcome = run(server.app.engine(), &document, &Value::Null).await;
        assert_eq!(outcome.code, "", "{name}: {}", outcome.text.chars().take(500).collect::<String>());
    }
}
