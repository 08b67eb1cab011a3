//! Validation of documents and coercion of variables, compared with an independent implementation on random requests.

mod differences;
mod mutations;
mod requests;
mod values;
mod verdicts;

use std::collections::BTreeMap;

use apollo_compiler::{Schema, validation::Valid};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};

use crate::harness::{Server, TestDatabase};
use differences::{DIFFERENCES, Difference};
use verdicts::verdicts;

/// Enough to reach most rules. Every limit of the engine is above these requests, apart from a few that cost too much.
const REQUESTS: usize = 4_000;
const SEED: u64 = 15;

fn schema() -> Valid<Schema> {
    Schema::parse_and_validate(perfgraph::graphql::schema::sdl(), "schema.graphql").unwrap()
}

#[tokio::test]
async fn random_requests_get_the_verdict_of_an_independent_implementation() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let schema = schema();
    let mut rng = StdRng::seed_from_u64(SEED);
    let (mut counts, mut faults) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for number in 0..REQUESTS {
        let mut request = requests::request(&schema, &mut rng);
        for _ in 0..rng.random_range(0..3) {
            mutations::mutate(&schema, &mut request, &mut rng);
        }
        let text = request.document.to_string();
        let kind = match verdicts(server.app.engine(), &schema, &text, &request.variables) {
            None => "limited",
            Some(verdicts) if verdicts.agree() => ["refused", "accepted"][usize::from(verdicts.ours.is_ok())],
            Some(verdicts) => {
                let known = DIFFERENCES.iter().find(|difference| (difference.is_met)(&schema, &text, &verdicts));
                if known.is_none() {
                    let variables = Value::Object(request.variables);
                    faults.push(format!("request {number}: {text}{variables}\n{verdicts:#?}"));
                }
                known.map_or("different", |known| known.name)
            }
        };
        *counts.entry(kind).or_default() += 1;
    }
    println!("{counts:?}\n{}", faults.join("\n"));
    assert!(faults.is_empty(), "{} of {REQUESTS} differ (seed {SEED}): {counts:?}", faults.len());
    let occur = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    assert!(occur("accepted") > REQUESTS / 5 && occur("refused") > REQUESTS / 5, "{counts:?}");
    assert!(occur("limited") < REQUESTS / 10, "{counts:?}");
}

fn variables(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// Rules that random requests rarely reach.
#[tokio::test]
async fn rare_requests_get_the_verdict_of_an_independent_implementation() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let schema = schema();
    for (is_accepted, text, values) in [
        (false, "{ __typename { __typename } }", json!({})),
        (false, "{ __typename(a: 1) }", json!({})),
        (false, "{ employees(first: 1, first: 1) { totalCount } }", json!({})),
        (false, "query($a: Int, $a: Int) { employees(first: $a) { totalCount } }", json!({})),
        (true, "query($a: Int !) { employees(first: $a) { totalCount } }", json!({ "a": 1 })),
        (true, "query($a: [ ID! # x\n ] !) { nodes(ids: $a) { ... on #x\n Employee { id } } }", json!({ "a": ["x"] })),
        (false, "{ ...on } fragment on on Query { viewer { role } }", json!({})),
        (false, "{ ...F } fragment F on Query { viewer { role } } fragment F on Query { viewer { role } }", json!({})),
        (false, "queryQ { viewer { role } }", json!({})),
        (false, "query Q() { viewer { role } }", json!({})),
        (false, "{ viewer { role() } }", json!({})),
        (false, "{ viewer { } }", json!({})),
        (false, "{ nodes(ids: [01]) { id } }", json!({})),
        (false, "{ viewer @include(if: trueish) { role } }", json!({})),
        (true, "{ node(id: \"\\u{1F980}\\uD83E\\uDD80\") { id } }", json!({})),
        (false, "{ node(id: \"\\u{110000}\") { id } }", json!({})),
        (false, "{ node(id: \"\\uD83E\") { id } }", json!({})),
        (true, "{ node(id: \"\"\"a \\u{1} \" b\"\"\") { id } }", json!({})),
        (
            true,
            "{ node(id: 1) { ... on Organization { x: employees(first: 1) { totalCount } }
               ... on Project { x: members(first: 2) { totalCount } } } }",
            json!({}),
        ),
        (true, "{ node(id: 1) { ... on Employee { x: __typename } ... on Project { x: name } } }", json!({})),
        (false, "{ node(id: 1) { ... on Employee { x: __typename } ... on Project { x: createdAt } } }", json!({})),
        (false, "{ node(id: 1) { x: id ... on Employee { x: name } } }", json!({})),
        (true, "{ node(id: 1) { ... on Employee { ... { x: name } } ... on Project { ... { x: slug } } } }", json!({})),
        (false, "query A { viewer { role } } query A { viewer { role } }", json!({})),
        (false, "subscription { __typename }", json!({})),
        (true, "query($a: Boolean!) { viewer { __typename @include(if: $a) } }", json!({ "a": true })),
        (false, "{ viewer { __typename @include(if: $a) } }", json!({})),
        (false, "{ viewer { __typename @nothing } }", json!({})),
        (false, "{ viewer { __typename @deprecated(reason: \"x\") } }", json!({})),
        (false, "query($a: Boolean! @skip(if: true)) { viewer { role @skip(if: $a) } }", json!({ "a": true })),
        (
            false,
            "subscription { metricWindow(filter: {}, window: \"PT1H\") @skip(if: false) { __typename } }",
            json!({}),
        ),
        (false, "{ viewer { role } } type A { a: Int }", json!({})),
    ] {
        let verdicts = verdicts(server.app.engine(), &schema, text, &variables(values)).unwrap();
        assert!(verdicts.agree() && verdicts.ours.is_ok() == is_accepted, "{text}\n{verdicts:#?}");
    }
}

/// One request for each difference. If apollo-compiler changes its verdict, the difference must go.
#[tokio::test]
async fn every_difference_to_the_independent_implementation_occurs() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let schema = schema();
    let texts = [
        "{ metricStats(filter: { time: { last: \"an hour\" } }) { count } }",
        "{ employees(filter: { isActive: null }) { totalCount } }",
        "{ metricStats(filter: { time: {} }) { count } }",
        "{ employees(filter: { isActive: true, isActive: true }) { totalCount } }",
        "query($a: [ID!]) { node(id: 1) { id } nodes(ids: [$a]) { id } }",
        "query($a: ID = null) { node(id: $a) { id } }",
        "{ nodes(ids: [1]) { id } nodes(ids: [1, 2]) { id } }",
    ];
    assert_eq!(texts.len(), DIFFERENCES.len());
    for (text, difference) in texts.iter().zip(DIFFERENCES) {
        let verdicts = verdicts(server.app.engine(), &schema, text, &Map::new()).unwrap();
        let Difference { name, reason, is_met } = difference;
        assert!(is_met(&schema, text, &verdicts), "{name}: is it still true that {reason}?\n{text}\n{verdicts:#?}");
    }
}
